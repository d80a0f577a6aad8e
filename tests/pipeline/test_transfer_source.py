"""Transfer in the pipeline: where the weights come from, and what is frozen."""

import hashlib
import json

import numpy as np
import pytest

from dlkeras.architectures import lenet5, pretrained_card, resnet20
from dlkeras.pipeline.configuration.config import TrainerConfig, TransferConfig
from dlkeras.pipeline.store.errors import InputError, NoSuchModelError
from dlkeras.pipeline.training.network import compiled_network
from dlkeras.pipeline.training.transfer_source import (
    check_pixels,
    locate_weights,
    transfer_table,
    transferred_network,
)

DIGITS = TransferConfig(source="lenet5:digits", freeze_until="stage2")
LECUN = {"scale": 1.275 / 255, "offset": -0.1}


def nowhere(name):
    raise NoSuchModelError(name, "registered: none")


def compiled(transfer, input_shape=(32, 32, 1), num_classes=5):
    return compiled_network(
        TrainerConfig(transfer=transfer),
        input_shape=input_shape,
        num_classes=num_classes,
        learning_rate=1e-3,
        steps=10,
    )


def test_without_a_source_nothing_is_looked_for():
    assert locate_weights(TransferConfig(), nowhere) == (TransferConfig(), None)


def test_weights_of_the_package_are_known_by_their_digest_and_pixels():
    config, source = locate_weights(DIGITS, nowhere)
    assert config == DIGITS
    assert source["sha256"] == pretrained_card("lenet5", "digits")["sha256"]
    check_pixels(source, **LECUN)
    with pytest.raises(InputError, match=r"--transform.scale: expected 0.005"):
        check_pixels(source, 1 / 255, -0.1)


def test_a_name_in_the_registry_becomes_the_file_it_stands_for(tmp_path):
    resnet20(num_classes=3).save(tmp_path / "model.keras")
    asked = []

    def pushed(name):
        asked.append(name)
        return tmp_path

    config = TransferConfig(source="models:/photos@champion")
    config, source = locate_weights(config, pushed)
    assert asked == ["models:/photos@champion"]
    assert config.source == str(tmp_path / "model.keras")
    content = (tmp_path / "model.keras").read_bytes()
    assert source["sha256"] == hashlib.sha256(content).hexdigest()
    assert transferred_network(config, (32, 32, 3), 7).output_shape == (None, 7)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("lenet6:mnist", "expected ARCHITECTURE:WEIGHTS .*lenet5:digits"),
        ("lenet5", "expected ARCHITECTURE:WEIGHTS"),
        ("lenet5:minst", "did you mean 'mnist'"),
        ("lenet5:no.pth", "no.pth does not exist"),
        ("none.keras", "none.keras does not exist"),
        ("models:/none@champion", "expected a registered model"),
    ],
)
def test_a_source_that_does_not_exist_is_refused(source, message):
    with pytest.raises(InputError, match=rf"--trainer.transfer.source: .*{message}"):
        locate_weights(TransferConfig(source=source), nowhere)


def test_a_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "a.keras").write_bytes(b"no zip")
    with pytest.raises(InputError, match="expected a whole Keras model"):
        locate_weights(TransferConfig(source=str(tmp_path / "a.keras")), nowhere)


def test_the_index_of_several_files_is_refused_whose_digest_is_not_theirs(tmp_path):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"conv1.weight": "a.safetensors"}}))
    with pytest.raises(InputError, match=r"in one file; .*index\.json is the index"):
        locate_weights(TransferConfig(source=f"resnet50:{index}"), nowhere)


def test_the_frozen_stages_are_the_sources_and_the_head_is_new():
    model = compiled(DIGITS)
    source = lenet5(weights="digits")
    for name in ("C1", "C3", "C5", "F6"):
        np.testing.assert_array_equal(
            model.get_layer(name).get_weights()[0],
            source.get_layer(name).get_weights()[0],
        )
    assert model.output_shape == (None, 5)
    assert [x.name for x in model.layers if x.trainable_weights] == [
        "C5",
        "F6",
        "classifier",
    ]


def test_the_table_says_what_is_frozen_and_how_fast_the_rest_learns():
    lines = transfer_table(compiled(DIGITS), DIGITS).splitlines()
    assert lines[0] == "transfer from lenet5:digits"
    cells = [line.split() for line in lines[2:]]
    assert cells == [  # 6 x 26, 16 x 151, 120 x 401, 84 x 121 + 5 x 85
        ["stage1", "156", "frozen", "-"],
        ["stage2", "2,416", "frozen", "-"],
        ["stage3", "48,120", "48,120", "x", "0.5"],
        ["head", "10,589", "10,589", "x", "1"],
    ]


@pytest.mark.parametrize(
    ("until", "frozen"), [("0.4", 2), ("3", 3), ("C1", 1), (None, 0)]
)
def test_a_place_is_a_name_a_share_or_a_number(until, frozen):
    config = TransferConfig(source="lenet5:digits", freeze_until=until)
    model = transferred_network(config, (32, 32, 1), 5)
    held = [x.name for x in model.layers if x.weights and not x.trainable_weights]
    assert held == ["C1", "C3", "C5"][:frozen]


def test_another_place_or_another_size_of_images_is_refused():
    config = TransferConfig(source="lenet5:digits", freeze_until="stage9")
    with pytest.raises(InputError, match=r"freeze-until: .*stage1, stage2, stage3"):
        transferred_network(config, (32, 32, 1), 5)


def test_a_pushed_model_gives_its_network_without_its_preprocessing(tmp_path):
    import keras

    images = keras.Input((None, None, 1), dtype="uint8", name="image")
    x = keras.layers.Rescaling(**LECUN)(images)
    x = keras.layers.Resizing(32, 32)(x)
    preprocessing = keras.Model(images, x, name="preprocessing")
    image = preprocessing.inputs[0]
    pushed = keras.Model(image, lenet5(weights="digits")(preprocessing(image)))
    pushed.save(tmp_path / "model.keras")
    config = TransferConfig(source=str(tmp_path / "model.keras"))
    config, source = locate_weights(config, nowhere)
    check_pixels(source, **LECUN)
    with pytest.raises(InputError, match=r"--transform.offset: expected -0.1"):
        check_pixels(source, LECUN["scale"], 0.0)
    model = transferred_network(config, (32, 32, 1), 4)
    assert [x.name for x in model.layers if x.weights][:2] == ["C1", "C3"]
    with pytest.raises(InputError, match=r"takes \(32, 32, 1\): set --transform"):
        transferred_network(config, (28, 28, 1), 4)


def test_a_network_of_keras_applications_is_a_source():
    config = TransferConfig(
        source="keras.applications:MobileNetV2:none", freeze_until="0.5"
    )
    model = compiled(config, (32, 32, 3), 3)
    assert model.output_shape == (None, 3)
    assert "frozen" in transfer_table(model, config)
    with pytest.raises(InputError, match="there is no 'MobileNetV9'"):
        compiled(TransferConfig(source="keras.applications:MobileNetV9"))


@pytest.mark.job
def test_a_transfer_of_the_main_job_freezes_and_beats_its_epoch(
    script_runner, tmp_path
):
    flags = ["--no-tuner", "--trainer.epochs", "1", "--evaluator.min-accuracy", "0"]
    flags += ["--trainer.transfer.freeze-until", "stage2", "--no-trainer.monitor"]
    source = ["--trainer.transfer.source", "lenet5:digits"]
    first = script_runner(tmp_path, *flags, *source)
    assert first.exit_code == 0, first.stderr
    assert "transfer from lenet5:digits" in first.stdout
    lines = [x.split() for x in first.stdout.splitlines()]
    assert ["stage2", "2,416", "frozen", "-"] in lines
    metrics = next(tmp_path.glob("store/Evaluation/*/metrics.json"))
    assert json.loads(metrics.read_text())["accuracy"] > 0.9  # after one epoch
    source[1] = "models:/lenet5_digits@champion"
    second = script_runner(tmp_path, *flags, *source)
    assert second.exit_code == 0, second.stderr
    assert "transfer from" in second.stdout
    third = script_runner(tmp_path, *flags, *source)
    assert third.exit_code == 0, third.stderr
