"""Hostile `.keras` and `.weights.h5` files end in one line, soon, in little memory."""

import re

import numpy as np
import pytest
from PIL import Image

from dlkeras.cli import main
from dlkeras.untrusted import models
from tests.untrusted.hostile_models import (
    functional,
    keras_file,
    node,
    sequential,
    write_all,
)
from tests.untrusted.own_process import tried

# Three times the largest that is written, which is 64 MiB.
MOST_MIB = 200


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    first = folder / "0.keras"  # nothing is there: what Keras itself takes
    files = [first, *write_all(folder)]
    imports = (
        "import dlkeras.pipeline.tensorflow_import\n"
        "from dlkeras.architectures import lenet5; lenet5()\n"
        "from tests.untrusted.doors import through_all"
    )
    return tried(imports, "through_all(path)", files)


def test_no_door_lets_a_hostile_model_take_memory_or_time(answers):
    assert len(answers) > 50
    before = answers["0.keras"][1]
    for name, (said, mib, seconds) in answers.items():
        assert said.startswith("ValueError: "), name
        for line in said.removeprefix("ValueError: ").split("\0"):
            kind = line.split(":")[0]
            assert kind in ("InputError", "WeightFileError", "FileNotFoundError"), line
            assert "\n" not in line and len(line) < 700, line
        assert mib < before + MOST_MIB, name
        assert seconds < 10, name


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (sequential(node("Identity"), shape=[None, 10]), r"takes \(10,\)"),
        (sequential(node("Flatten"), shape=[None, 8, 8, 7]), r"takes \(8, 8, 7\)"),
        (sequential(node("Identity")), r"probabilities of classes; .* gives \(8, 8, 1"),
        (
            sequential(
                node("ZeroPadding2D", {"padding": 100_000}),
                node("GlobalAveragePooling2D"),
            ),
            "make 80,006,400,129 numbers",
        ),
        (
            sequential(node("Flatten"), shape=[None, 28, 28, 1]),
            "IMAGE: expected 28 x 28 pixels, .*image.png has 8 x 8",
        ),
        (
            functional(
                [
                    node("InputLayer", {"batch_shape": [None, 8, 8, 1], "name": "i"}),
                    node("UpSampling2D", {"size": [50_000, 50_000], "name": "u"}),
                    node("GlobalMaxPooling2D", {"name": "g"}),
                ],
                [None, "i", "u"],
            ),
            "numbers; at most 1,073,741,824 are computed",
        ),
    ],
)
def test_a_network_that_is_not_of_images_is_refused_in_a_line(
    tmp_path, capfd, config, reason
):
    image, model = tmp_path / "image.png", tmp_path / "model.keras"
    Image.fromarray(np.zeros((8, 8), "uint8")).save(image)
    keras_file(model, config)
    assert main(["predict", str(model), str(image)]) == 2
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert re.search(f"^error: .*{reason}", lines[0])


def test_whole_networks_pass_the_door(tmp_path):
    """Operations, nested networks, our own layers, half precision, a compiled model."""
    import keras

    from dlkeras.architectures import create

    file = tmp_path / "model.keras"
    image = keras.Input((32, 32, 3))
    inner = create("resnet20", input_shape=(32, 32, 3), num_classes=4)
    halved = keras.layers.Dense(4, dtype="mixed_bfloat16", activation="softmax")
    out = halved(
        keras.ops.sqrt(
            inner(keras.layers.RandomFlip()(image, training=False) / 255.0) + 1
        )
    )
    model = keras.Model(image, out)
    model.compile(
        keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(1, 9)),
        keras.losses.CategoricalCrossentropy(),
        ["accuracy"],
    )
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), "uint8")
    small = keras.applications.MobileNetV3Small(
        weights=None, input_shape=(32, 32, 3), classes=2
    )
    for network in (model, small):
        network.save(file)
        loaded = models.load_model(file)
        models.check_activations(loaded, 32, 32)
        assert np.allclose(np.asarray(loaded(pixels)), np.asarray(network(pixels)))
