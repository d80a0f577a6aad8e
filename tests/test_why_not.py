"""The command `dlkeras why-not`: a verdict on a network and images at hand."""

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from dlkeras.cli import main


@keras.saving.register_keras_serializable("mine")
def own_loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_pred))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two classes of 20 grey pictures: bright on the left, bright on the right."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for side in ("left", "right"):
        (folder / side).mkdir()
        for number in range(20):
            pixels = rng.integers(0, 80, (8, 8), dtype=np.uint8)
            pixels[:, :4] += 150 * (side == "left")
            pixels[:, 4:] += 150 * (side == "right")
            Image.fromarray(pixels).save(folder / side / f"{number}.png")
    return folder


@pytest.fixture
def saved(tmp_path):
    """A function that saves a network with a last activation, compiled with a loss."""

    def save(activation, loss="sparse_categorical_crossentropy"):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten()])
        model.add(layers.Dense(2, activation, name="scores"))
        if loss:
            model.compile(keras.optimizers.Adam(0.01), loss)
        model.save(tmp_path / "model.keras")
        return str(tmp_path / "model.keras")

    return save


def test_a_network_and_a_folder_are_judged(saved, photos, capsys, tmp_path):
    words = ["--data", str(photos), "--divide-by", "255"]
    assert main(["why-not", saved("softmax"), *words]) == 0
    assert capsys.readouterr().out.startswith("healthy: looked at the model (2 layers)")
    page = tmp_path / "page.html"
    assert main(["why-not", saved(None), *words, "--report", str(page)]) == 1
    told = capsys.readouterr().out
    assert told.startswith("error: the loss expects probabilities")
    assert "SparseCategoricalCrossentropy(from_logits=True)" in told
    assert "from_logits=True" in page.read_text(encoding="utf-8")
    # As the pixels are; and with a loss of columns, which the labels are made for.
    assert main(["why-not", saved("softmax"), *words[:2]]) == 1
    assert "Rescaling(1 / 255)" in capsys.readouterr().out
    hot = ["--loss", "categorical_crossentropy", "--epochs", "30"]
    model = saved("softmax", None)
    before = (tmp_path / "model.keras").read_bytes()
    assert main(["why-not", model, *words, *hot]) == 0
    assert "30 epochs of the loss" in capsys.readouterr().out
    assert (tmp_path / "model.keras").read_bytes() == before


def test_what_cannot_be_judged_is_one_line(saved, photos, capsys, tmp_path):
    data, lost = ["--data", str(photos)], str(tmp_path / "lost")
    for loss, words, said in (
        (None, data, "--loss: expected the loss of the training"),
        ("mse", ["--data", lost], "expected a folder"),
        ("mse", [*data, "--loss", "mine"], "--loss: expected a loss and an optimizer"),
    ):
        assert main(["why-not", saved("softmax", loss), *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
    # A loss that is not Keras's own is not loaded from a file.
    saved("softmax", own_loss)
    assert main(["why-not", str(tmp_path / "model.keras"), *data]) == 2
    assert "--loss: expected a loss" in capsys.readouterr().err
    assert main(["why-not", f"{lost}.keras", *data]) == 2
    assert "MODEL.keras: " in capsys.readouterr().err
