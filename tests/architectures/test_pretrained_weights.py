"""The weights that come with the package: they are what their cards say they are."""

import hashlib
import json
import os
import shutil
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest

from dlkeras import architectures
from dlkeras.architectures import (
    WeightFileError,
    lenet5,
    names,
    pretrained_card,
    pretrained_names,
    resnet18,
    resnet20,
)
from dlkeras.architectures.weights import shipped as pretrained_weights

FOLDER = Path(architectures.__file__).parent / "pretrained"
SHIPPED = [(owner, name) for owner in names() for name in pretrained_names(owner)]


def accuracy(model, card, batches):
    """Share of right answers to pairs of (uint8 images, labels)."""
    resize = keras.layers.Resizing(
        card["pixels"]["height"], card["pixels"]["width"], antialias=True
    )
    right = []
    for images, labels in batches:
        x = images.astype("float32") * card["pixels"]["scale"]
        x = resize(x + card["pixels"]["offset"])
        right.append(model.predict(x, verbose=0).argmax(axis=1) == labels)
    return np.concatenate(right).mean()


def test_these_weights_come_with_the_package():
    assert SHIPPED == [
        ("lenet5", "digits"),
        ("lenet5", "mnist"),
        ("resnet20", "cifar10-small"),
    ]


@pytest.mark.parametrize(("owner", "name"), SHIPPED)
def test_a_file_is_the_one_of_its_card_and_below_2_megabytes(owner, name):
    file = FOLDER / f"{owner}_{name}.weights.h5"
    card = pretrained_card(owner, name)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == card["sha256"]
    assert file.stat().st_size < 2_000_000
    assert card["sha256"] in file.with_name(f"{owner}_{name}.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("owner", "name", "least"),
    [
        ("lenet5", "digits", 0.97),
        ("lenet5", "mnist", 0.991),
        # 0.731 with TensorFlow's fast decoder of JPEG, 0.729 with the exact one.
        ("resnet20", "cifar10-small", 0.729),
    ],
)
def test_a_card_states_the_accuracy_that_is_asked_for(owner, name, least):
    assert pretrained_card(owner, name)["metrics"]["accuracy"] >= least


def test_the_digits_weights_have_the_accuracy_of_their_card(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    from dlkeras.datasets.digits import Digits

    builder = Digits(data_dir=tmp_path)
    builder.download_and_prepare()
    examples = list(builder.as_dataset("test").as_numpy_iterator())
    images = np.stack([example["image"] for example in examples])
    labels = np.array([example["label"] for example in examples])
    card = pretrained_card("lenet5", "digits")
    found = accuracy(lenet5(weights="digits"), card, [(images, labels)])
    assert found == pytest.approx(card["metrics"]["accuracy"], abs=1e-9)


@pytest.mark.skipif("DLKERAS_DATA" not in os.environ, reason="DLKERAS_DATA is not set")
def test_the_mnist_weights_have_the_accuracy_of_their_card():
    tfds = pytest.importorskip("tensorflow_datasets")
    folder = Path(os.environ["DLKERAS_DATA"]) / "tfds"
    if not (folder / "mnist").is_dir():
        pytest.skip(f"no MNIST in {folder}")
    test = tfds.load("mnist", split="test", data_dir=folder, download=False)
    batches = [(b["image"], b["label"]) for b in tfds.as_numpy(test.batch(1000))]
    card = pretrained_card("lenet5", "mnist")
    found = accuracy(lenet5(weights="mnist"), card, batches)
    assert found == pytest.approx(card["metrics"]["accuracy"], abs=2e-4)


@pytest.mark.skipif("DLKERAS_DATA" not in os.environ, reason="DLKERAS_DATA is not set")
def test_the_photo_weights_have_the_accuracy_of_their_card():
    pytest.importorskip("tensorflow")
    from dlkeras.pipeline.examples.decoding import decode_in_graph

    archive = Path(os.environ["DLKERAS_DATA"]) / "cifar10_small.tar.xz"
    if not archive.is_file():
        pytest.skip(f"no {archive}")
    card = pretrained_card("resnet20", "cifar10-small")
    images, labels = [], []
    with tarfile.open(archive) as photos:
        for member in photos:
            name = Path(member.name)
            if member.isfile() and name.parts[-3] == "test":
                data = photos.extractfile(member).read()
                images.append(decode_in_graph(data, 3).numpy())
                labels.append(card["labels"].index(name.parts[-2]))
    model = resnet20(weights="cifar10-small")
    found = accuracy(model, card, [(np.stack(images), np.array(labels))])
    assert len(labels) == 2000
    assert found == pytest.approx(card["metrics"]["accuracy"], abs=1e-3)


def test_weights_by_name_are_those_of_the_file():
    model = lenet5(weights="mnist")
    twin = lenet5()
    twin.load_weights(FOLDER / "lenet5_mnist.weights.h5")
    for ours, theirs in zip(model.weights, twin.weights, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(theirs)
        )


def test_a_network_without_a_head_takes_the_rest():
    whole, maps = lenet5(weights="mnist"), lenet5(num_classes=0, weights="mnist")
    np.testing.assert_array_equal(
        whole.get_layer("C5").get_weights()[0], maps.get_layer("C5").get_weights()[0]
    )


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'digits', 'mnist'; did you mean 'mnist'\?"):
        lenet5(weights="minst")
    with pytest.raises(ValueError, match="for 'resnet18' there are none"):
        resnet18(weights="mnist")


def test_another_number_of_classes_is_refused_with_what_to_pass():
    with pytest.raises(ValueError, match="pass num_classes=10"):
        lenet5(num_classes=4, weights="mnist")
    with pytest.raises(ValueError, match="pass num_classes=10"):
        resnet20(num_classes=3, weights="cifar10-small")


def test_a_file_with_a_flipped_bit_is_refused(tmp_path, monkeypatch):
    for file in FOLDER.iterdir():
        shutil.copy(file, tmp_path)
    file = tmp_path / "lenet5_digits.weights.h5"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    monkeypatch.setattr(pretrained_weights, "_FOLDER", tmp_path)
    with pytest.raises(WeightFileError, match="must have the SHA-256"):
        lenet5(weights="digits")


def test_a_card_names_no_path_of_the_machine_it_was_made_on():
    for file in FOLDER.glob("*.json"):
        values = json.dumps(json.loads(file.read_text("utf-8")))
        assert '"/' not in values and " /" not in values
