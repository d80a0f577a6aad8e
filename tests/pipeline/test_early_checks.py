"""What is refused before any component runs, in one line."""

import typing
from pathlib import Path

import pytest

from dlkeras.pipeline import (
    PipelineConfig,
    TrainerConfig,
    TransferConfig,
    TunerConfig,
    main,
)
from dlkeras.pipeline.configuration.flags import flags_of
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.training.network import check_frozen_layers, compiled_network
from dlkeras.pipeline.training.search_spaces import search_space


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--evaluator.slices", "age"], ["--evaluator.slices", "'age'", "mean, std"]),
        (
            ["--evaluator.slices", "hue", "--example-gen.manifest", "TABLE"],
            ["--evaluator.slices", "'hue'", "file_channels, grey, age, camera;"],
        ),
        # LeNet-5 has five layers with weights: C1, C3, C5, F6 and the output.
        (["--trainer.frozen-layers", "5"], ["at most 4", "lenet5", "has 5", "5"]),
        (["--trainer.frozen-layers", "6"], ["at most 4", "lenet5", "has 5", "6"]),
        (
            ["--tuner.space", "frozen_layers=0:5"],
            ["--tuner.space frozen_layers", "at most 4", "received 5"],
        ),
        (["--tuner.space", "hue=on"], ["--tuner.space", "'hue'", "dropout"]),
        (
            [
                "--evaluator.calibrate",
                "--example-gen.task",
                "multilabel",
                "--example-gen.manifest",
                "TABLE",
            ],
            ["--evaluator.calibrate", "multilabel decides it"],
        ),
        (
            ["--bulk-inferrer.images", "FOLDER"],
            ["--bulk-inferrer.images", "expected a folder of images"],
        ),
    ],
)
def test_it_is_said_in_a_line_before_anything_is_written(
    capsys, tmp_path, flags, parts
):
    table = tmp_path / "table.csv"
    table.write_text("path,label,age,camera,id\na.png,a,1,x,7\nb.png,b,,y,8\n")
    there = {"TABLE": str(table), "FOLDER": str(tmp_path)}
    flags = [there.get(flag, flag) for flag in flags]
    mlruns = tmp_path / "mlruns"
    assert main(PipelineConfig(), [*flags, "--mlruns", str(mlruns)]) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    for part in parts:
        assert part in line
    assert not mlruns.exists()


def test_no_declared_search_freezes_a_whole_network():
    """Of each family the network of the fewest layers."""
    config = TunerConfig(space={"frozen_layers": "on"})
    for name in ("lenet5", "alexnet", "googlenet", "resnet18", "resnet20"):
        model = compiled_network(
            TrainerConfig(architecture=name),
            input_shape=(67, 67, 3),
            num_classes=2,
            learning_rate=0.1,
            steps=1,
        )
        check_frozen_layers(model, 0, search_space(name, config))


@pytest.mark.parametrize("place", ["1.0", "classifier", "5"])
def test_a_transfer_that_would_learn_nothing_is_refused(place):
    transfer = TransferConfig(source="lenet5:digits", freeze_until=place)
    with pytest.raises(InputError, match=r"freeze-until: expected a place before"):
        compiled_network(
            TrainerConfig(transfer=transfer),
            input_shape=(32, 32, 1),
            num_classes=10,
            learning_rate=0.1,
            steps=1,
        )


def test_the_layers_of_a_transfers_network_are_counted_too():
    """It is not there before any component runs: the tuner and the trainer build it."""
    transfer = TransferConfig(source="lenet5:digits")
    with pytest.raises(InputError, match=r"--trainer\.frozen-layers: .* at most 4"):
        compiled_network(
            TrainerConfig(transfer=transfer, frozen_layers=5),
            input_shape=(32, 32, 1),
            num_classes=10,
            learning_rate=0.1,
            steps=1,
        )


# What is wrong of a text, by its flag; a number, a choice and a path need no example.
WRONG = {
    "--name": "a/b",
    "--mlruns": "FILE",
    "--tracking-uri": "nonsense://here",
    "--example-gen.columns": "label",
    "--example-gen.source": "no_such_module:rows",
    "--tuner.space": "dropuot=on",
    "--trainer.architecture": "lenet6",
    "--trainer.network": "no_such_module:net",
    "--trainer.network-args": "depth=3",
    "--trainer.optimizer": "adamm",
    "--trainer.loss": "focall",
    "--trainer.metrics": "recal",
    "--trainer.objective": "val_acuracy",
    "--trainer.callbacks": "no_such_module:Callback",
    "--trainer.augmentation": "no_such_module:flip",
    "--trainer.activation": "reluu",
    "--trainer.kernel-initializer": "he_norml",
    "--trainer.transfer.source": "lenet6:digits",
    "--trainer.transfer.freeze-until": "nowhere",
    "--evaluator.slices": "agee",
    "--pusher.model-name": "a/b",
    "--pusher.alias": "9",
    "--pusher.destination": "FILE",
}
# ExampleGen, which runs first, asks TFDS or Beam.
ASKED_THERE = {
    "--example-gen.dataset",
    "--example-gen.data-dir",
    "--example-gen.train-split",
    "--example-gen.validation-split",
    "--example-gen.test-split",
    "--example-gen.beam-options",
}
OPTIONS = {n: f for n, f in flags_of(PipelineConfig).items() if not f.negated}


@pytest.mark.parametrize("name", [n for n in OPTIONS if n not in ASKED_THERE])
def test_a_wrong_value_of_any_option_is_one_line_and_no_component_runs(
    capsys, tmp_path, monkeypatch, name
):
    kind = OPTIONS[name].kind
    if name in WRONG:
        value = WRONG[name]
    elif kind is Path:
        value = str(tmp_path / "missing")
    else:
        assert kind in (int, float, bool) or typing.get_origin(kind) is typing.Literal
        value = "nonsense"
    (tmp_path / "file").touch()
    value = str(tmp_path / "file") if value == "FILE" else value
    monkeypatch.chdir(tmp_path)
    arguments = [f"{name}={value}"]
    if name == "--trainer.transfer.freeze-until":
        arguments += ["--trainer.transfer.source", "lenet5:digits"]
    assert main(PipelineConfig(), arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert name in line, line
    assert not (tmp_path / "mlruns" / "store").exists()


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--tuner.space", "activation=relu,reluu"], ["--tuner.space", "'reluu'"]),
        (
            ["--trainer.architecture=resnet20", "--tuner.space=architecture=resnet21"],
            ["--tuner.space", "resnet21", "resnet20"],
        ),
        (["--tuner.space", "optimizer=adam,sdg"], ["--tuner.space", "'sdg'", "sgd?"]),
        (["--transform.height", "4"], ["--transform.height", "lenet5"]),
        (["--trainer.loss", "focall"], ["did you mean focal"]),
        (["--trainer.architecture", "lenet6"], ["lenet5"]),
    ],
)
def test_a_value_that_only_keras_can_judge_is_named(capsys, tmp_path, flags, parts):
    arguments = [*flags, "--mlruns", str(tmp_path / "mlruns")]
    assert main(PipelineConfig(), arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    for part in parts:
        assert part in line
    assert not (tmp_path / "mlruns").exists()
