"""ExampleGen on real sources: scikit-learn's digits, MNIST, folders; and bad input."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from dlkeras.datasets.splitting import stratified_split
from dlkeras.pipeline import ExampleGenConfig
from dlkeras.pipeline.artifacts.types import Examples
from dlkeras.pipeline.components.example_gen import decode, example_gen
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import Store

SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"


def ingest(folder: Path, config: ExampleGenConfig) -> Examples:
    store = Store(folder / "store")
    with store.publish(
        Examples, key="k" * 64, producer="ExampleGen", pipeline="p", config={},
        inputs={}, versions={}, run_id="r",
    ) as draft:  # fmt: skip
        example_gen(config, draft, folder / "tensorflow_datasets")
    return store.find(Examples, "k" * 64)


def write_images(folder: Path, classes=("cat", "dog"), number=10, **options) -> None:
    random = np.random.default_rng(0)
    for label in classes:
        (folder / label).mkdir(parents=True)
        for index in range(number):
            pixels = random.integers(0, 255, (8 + index, 9, 3), dtype="uint8")
            Image.fromarray(pixels).save(folder / label / f"{index}.png", **options)


def test_digits_are_scikit_learns_images_and_labels(prepared):
    examples = prepared["Examples"]
    digits = load_digits()
    expected = np.round(digits.images * 255 / 16).astype("uint8")
    seen = set()
    for split in ("train", "validation", "test"):
        for example in examples.dataset(split).as_numpy_iterator():
            index = int(example["id"].decode().split("/")[1])
            assert np.array_equal(example["image"][..., 0], expected[index])
            assert example["label"] == digits.target[index]
            seen.add(index)
    assert len(seen) == 1797


def test_digits_splits_are_stratified(prepared):
    summary = prepared["Statistics"].summary["splits"]
    target = load_digits().target
    shares = {"train": 0.65, "validation": 0.15, "test": 0.2}
    for split, share in shares.items():
        for label, count in summary[split]["classes"].items():
            assert abs(count - share * (target == int(label)).sum()) <= 1


def test_the_split_does_not_depend_on_the_order_of_the_examples():
    random = np.random.default_rng(1)
    digests = [f"{value:064x}" for value in random.permutation(500)]
    labels = random.integers(0, 3, 500).tolist()
    fractions = {"train": 0.7, "validation": 0.1, "test": 0.2}
    splits = stratified_split(digests, labels, fractions)
    order = random.permutation(500)
    again = stratified_split(
        [digests[i] for i in order], [labels[i] for i in order], fractions
    )
    assert again == [splits[i] for i in order]


def test_identical_images_never_stand_in_two_splits():
    digests = ["same"] * 100
    fractions = {"train": 0.5, "test": 0.5}
    splits = stratified_split(digests, [0] * 50 + [1] * 50, fractions)
    assert len(set(splits)) == 1


def test_the_digest_of_examples_is_that_of_their_content(tmp_path, prepared):
    again = ingest(tmp_path, ExampleGenConfig())
    assert again.record.digest == prepared["Examples"].record.digest


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="the real MNIST is not here")
def test_mnist_is_read_by_its_tfds_name(tmp_path):
    config = ExampleGenConfig(
        dataset="mnist",
        data_dir=SHARED_DATA / "tfds",
        train_split="train[:10%]",
        test_split="test[:5%]",
    )
    examples = ingest(tmp_path, config)
    splits = examples.splits
    assert splits["train"] + splits["validation"] == 6000
    assert splits["test"] == 500
    # 15 % of 6,000 by a hash of the pixels: within 3 standard deviations.
    assert abs(splits["validation"] - 900) < 3 * np.sqrt(6000 * 0.15 * 0.85)
    first = next(examples.dataset("test").as_numpy_iterator())
    assert first["image"].shape == (28, 28, 1)
    assert first["image"].max() > 200


def test_an_image_folder_is_split_and_keeps_its_pixels(tmp_path):
    write_images(tmp_path / "photos", number=20)
    examples = ingest(tmp_path, ExampleGenConfig(image_folder=tmp_path / "photos"))
    assert examples.labels == ("cat", "dog")
    assert sum(examples.splits.values()) == 40
    for example in examples.dataset("train").as_numpy_iterator():
        file = tmp_path / "photos" / example["id"].decode()
        assert np.array_equal(example["image"], np.asarray(Image.open(file)))
        assert examples.labels[example["label"]] == file.parent.name


def test_an_image_folder_with_splits_keeps_them(tmp_path):
    for split, number in (("train", 6), ("val", 3), ("test", 4)):
        write_images(tmp_path / "photos" / split, number=number)
    examples = ingest(tmp_path, ExampleGenConfig(image_folder=tmp_path / "photos"))
    assert examples.splits == {"train": 12, "validation": 6, "test": 8}


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_pixel_becomes_grey_or_rgb(mode):
    pixels = np.arange(64, dtype="uint8").reshape(8, 8) * 4
    if mode == "I;16":
        image = Image.fromarray(pixels.astype("uint16") * 257)
    else:
        image = Image.fromarray(pixels).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, format="TIFF" if mode == "CMYK" else "PNG")
    encoded, decoded = decode(buffer.getvalue())
    assert decoded.shape == (8, 8, 1 if mode in ("1", "L", "LA", "I;16") else 3)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encoded))).reshape(8, 8, -1),
                          decoded)  # fmt: skip
    if mode in ("L", "I;16", "RGB", "CMYK"):
        assert np.array_equal(decoded[..., 0], pixels)


def test_an_unknown_data_set_gets_near_matches(tmp_path):
    with pytest.raises(InputError, match=r"'mnits'; did you mean .*mnist"):
        ingest(tmp_path, ExampleGenConfig(dataset="mnits"))
    with pytest.raises(InputError, match=r"'digit'; did you mean digits"):
        ingest(tmp_path, ExampleGenConfig(dataset="digit"))


def test_a_data_set_that_is_not_prepared_is_not_downloaded_unasked(tmp_path):
    with pytest.raises(InputError, match=r"'mnist' is not prepared.*--example-gen.dow"):
        ingest(tmp_path, ExampleGenConfig(dataset="mnist"))


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    folder = tmp_path / "absent"
    with pytest.raises(InputError, match=f"expected a folder; received {folder}"):
        ingest(tmp_path, ExampleGenConfig(image_folder=folder))


def test_a_folder_without_images_is_named(tmp_path):
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "photos" / "cat" / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match=r"expected images as .*photos.*found none"):
        ingest(tmp_path, ExampleGenConfig(image_folder=tmp_path / "photos"))


def test_a_folder_of_one_class_is_named(tmp_path):
    write_images(tmp_path / "photos", classes=("cat",))
    with pytest.raises(InputError, match=r"at least two class folders.*'cat'"):
        ingest(tmp_path, ExampleGenConfig(image_folder=tmp_path / "photos"))


def test_all_unreadable_files_are_named_with_the_reason(tmp_path):
    photos = tmp_path / "photos"
    write_images(photos)
    good = (photos / "cat" / "0.png").read_bytes()
    (photos / "cat" / "empty.png").write_bytes(b"")
    (photos / "cat" / "cut.png").write_bytes(good[: len(good) // 2])
    (photos / "dog" / "page.jpg").write_bytes(b"<html></html>")
    with pytest.raises(InputError) as caught:
        ingest(tmp_path, ExampleGenConfig(image_folder=photos))
    message = str(caught.value)
    assert "3 cannot" in message
    assert "cat/empty.png: the file is empty" in message
    assert "cat/cut.png: " in message
    assert "dog/page.jpg: not an image" in message
    assert not (tmp_path / "store" / "Examples").exists()
