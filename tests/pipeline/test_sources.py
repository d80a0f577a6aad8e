"""Sources: folders, archives, manifests, NumPy and TFDS; every kind of image file."""

import hashlib
import io
import itertools
import shutil
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from corrupt_input import held_megabytes
from PIL import Image

from dlkeras.datasets.splitting import hash_split
from dlkeras.pipeline import ExampleGenConfig
from dlkeras.pipeline.components.example_gen import example_gen
from dlkeras.pipeline.examples.decoding import decode, decode_image
from dlkeras.pipeline.examples.digest import pixel_digest
from dlkeras.pipeline.examples.reading import read_split
from dlkeras.pipeline.examples.sources import SourceExample, open_source
from dlkeras.pipeline.examples.sources.numpy_arrays import NumpySource
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import Draft

SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def photos(tmp_path) -> Path:
    """60 images of noise in two classes."""
    random = np.random.default_rng(0)
    for number in range(60):
        folder = tmp_path / "photos" / ("cat", "dog")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 255, (7, 9, 3), dtype="uint8")
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "photos"


def ingest(output: Path, **config) -> Draft:
    output.mkdir(parents=True)
    draft = Draft(output)
    example_gen(ExampleGenConfig(**config), draft, output / "data")
    return draft


def rows(draft: Draft) -> dict[str, tuple[str, int, bytes]]:
    """What TFDS itself reads: id to split, label and pixels."""
    from dlkeras.pipeline.tensorflow_import import tfds

    builder = tfds.builder_from_directory(draft.path / draft.properties["builder"])
    found = {}
    for split in builder.info.splits:
        if draft.properties["file_format"] == "array_record":
            examples = builder.as_data_source(split)
        else:
            examples = builder.as_dataset(split=split).as_numpy_iterator()
        for example in examples:
            name = example["id"]
            name = name.decode() if isinstance(name, bytes) else name
            pixels = np.asarray(example["image"]).tobytes()
            found[name] = (split, int(example["label"]), pixels)
    return found


def splits_by_pixels(draft: Draft) -> dict[bytes, str]:
    return {pixels: split for split, _, pixels in rows(draft).values()}


# Splits -------------------------------------------------------------------------------


def test_splits_stay_when_files_are_added_renamed_and_reordered(photos, tmp_path):
    before = splits_by_pixels(ingest(tmp_path / "one", image_folder=photos))
    for file in list(photos.glob("*/*.png")):
        file.rename(file.with_name(f"renamed {999 - int(file.stem)}.png"))
    for number in range(30):
        pixels = np.random.default_rng(number + 100).integers(0, 255, (5, 5), "uint8")
        Image.fromarray(pixels).save(photos / "cat" / f"new {number}.png")
    after = splits_by_pixels(ingest(tmp_path / "two", image_folder=photos))
    assert len(after) == 90
    assert before == {pixels: after[pixels] for pixels in before}


def test_hash_split_gives_the_shares_that_are_asked_for():
    digests = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(20_000)]
    fractions = {"train": 0.7, "validation": 0.1, "test": 0.2}
    splits = [hash_split(digest, fractions) for digest in digests]
    for name, share in fractions.items():
        spread = np.sqrt(share * (1 - share) / 20_000)
        assert abs(splits.count(name) / 20_000 - share) < 4 * spread


# Manifests ----------------------------------------------------------------------------


def manifest(photos: Path, name: str = "table.csv", **columns) -> Path:
    files = sorted(photos.glob("*/*.png"))
    table = pd.DataFrame(
        {
            "path": [file.relative_to(photos).as_posix() for file in files],
            "label": [file.parent.name for file in files],
            **columns,
        }
    )
    file = photos / name
    table.to_csv(file, index=False) if name.endswith("csv") else table.to_parquet(file)
    return file


def test_csv_and_parquet_give_the_examples_of_the_folder(photos, tmp_path):
    folder = rows(ingest(tmp_path / "folder", image_folder=photos))
    csv = rows(ingest(tmp_path / "csv", manifest=manifest(photos)))
    parquet = manifest(photos, "table.parquet")
    assert csv == folder
    assert rows(ingest(tmp_path / "parquet", manifest=parquet)) == folder


def test_a_group_never_stands_in_two_splits(photos, tmp_path):
    groups = [f"person {number % 20}" for number in range(60)]
    table = manifest(photos, group=groups)
    found = rows(ingest(tmp_path / "out", manifest=table))
    names = pd.read_csv(table).path
    where = {group: set() for group in groups}
    for name, group in zip(names, groups, strict=True):
        where[group].add(found[name][0])
    assert all(len(splits) == 1 for splits in where.values())
    assert len({split for split, _, _ in found.values()}) == 3


def test_splits_of_a_manifest_are_kept_and_validation_is_taken_by_group(
    photos, tmp_path
):
    given = ["test" if number % 3 == 0 else "train" for number in range(60)]
    groups = [f"g{number % 3}{number % 5}" for number in range(60)]
    table = manifest(photos, split=given, group=groups)
    found = rows(ingest(tmp_path / "out", manifest=table, validation_fraction=0.3))
    names = pd.read_csv(table).path.tolist()
    for name, split in zip(names, given, strict=True):
        assert (found[name][0] == "test") == (split == "test")
    of_group = {}
    for name, group in zip(names, groups, strict=True):
        of_group.setdefault(group, set()).add(found[name][0])
    assert all(len(splits) == 1 for splits in of_group.values())


# NumPy, archives, TFDS ----------------------------------------------------------------


def test_an_npz_of_keras_datasets_keeps_its_splits_and_pixels(tmp_path):
    random = np.random.default_rng(0)
    arrays = {
        "x_train": random.integers(0, 255, (80, 6, 5), dtype="uint8"),
        "y_train": random.integers(0, 3, (80, 1)),
        "x_test": random.integers(0, 255, (20, 6, 5), dtype="uint8"),
        "y_test": random.integers(0, 3, (20, 1)),
    }
    np.savez(tmp_path / "set.npz", **arrays)
    draft = ingest(tmp_path / "out", npz=tmp_path / "set.npz")
    assert draft.properties["splits"]["test"] == 20
    assert draft.properties["channels"] == 1
    found = rows(draft)
    assert len(found) == 100
    for name, (split, label, pixels) in found.items():
        array, index = name[:-1].split("[")
        assert pixels == arrays[array][int(index)].tobytes()
        assert label == arrays[array.replace("x", "y")][int(index), 0]
        assert (split == "test") == (array == "x_test")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_is_read_one_image_at_a_time(save, tmp_path):
    """200 MB of images; whoever loads them at once needs as much."""
    x = np.arange(200, dtype="uint8")[:, None, None] * np.ones((1000, 1000), "uint8")
    save(tmp_path / "set.npz", x=x, y=np.arange(200) % 2)
    del x
    tracemalloc.start()
    try:
        source = NumpySource(tmp_path / "set.npz", tmp_path / "scratch")
        seen = {}
        for example in source.examples():
            pixels = example.read()
            assert pixels.shape == (1000, 1000)
            assert pixels.min() == pixels.max()
            seen[example.id] = (int(pixels[0, 0]), example.label)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
    assert seen == {f"x[{n}]": (n, n % 2) for n in range(200)}


def test_an_npz_stored_by_columns_is_refused_with_what_to_do(tmp_path):
    x = np.asfortranarray(np.zeros((20, 8, 9), "uint8"))
    np.savez(tmp_path / "set.npz", x=x, y=np.arange(20) % 2)
    with pytest.raises(InputError, match="ascontiguousarray"):
        NumpySource(tmp_path / "set.npz", tmp_path / "scratch")


def test_an_archive_gives_the_examples_of_the_folder_inside(photos, tmp_path):
    expected = ingest(tmp_path / "folder", image_folder=photos)
    with tarfile.open(tmp_path / "photos.tar.gz", "w:gz") as archive:
        archive.add(photos, "photos")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for file in photos.glob("*/*"):
            archive.write(file, file.relative_to(photos))
    for name in ("photos.tar.gz", "photos.zip"):
        draft = ingest(tmp_path / f"out {name}", image_folder=tmp_path / name)
        assert draft.digest == expected.digest
        assert not (draft.path / "source").exists()


def test_array_record_and_tfrecord_hold_the_same_examples(photos, tmp_path):
    one = ingest(tmp_path / "one", image_folder=photos)
    two = ingest(tmp_path / "two", image_folder=photos, file_format="array_record")
    assert rows(one) == rows(two)
    assert one.digest == two.digest
    assert list((tmp_path / "two").rglob("*.array_record*"))


def test_both_forms_are_read_in_the_stored_order(photos, tmp_path):
    from dlkeras.pipeline.examples.reading import read_encoded, read_split

    ids = []
    for form in ("tfrecord", "array_record"):
        draft = ingest(tmp_path / form, image_folder=photos, file_format=form,
                       examples_per_shard=16)  # fmt: skip
        folder = draft.path / draft.properties["builder"]
        dataset = read_split(folder, "train")
        assert int(dataset.cardinality()) == draft.properties["splits"]["train"]
        read = [example["id"].decode() for example in dataset.as_numpy_iterator()]
        assert read == [example.id for example in read_encoded(folder, "train")]
        ids.append(read)
    assert ids[0] == ids[1]


def test_shards_mix_the_classes(photos, tmp_path):
    """A shuffle buffer smaller than the data set must not see one class only."""
    draft = ingest(tmp_path / "out", image_folder=photos)
    from dlkeras.pipeline.examples.reading import read_encoded

    folder = draft.path / draft.properties["builder"]
    labels = [example.label for example in read_encoded(folder, "train")]
    changes = sum(one != other for one, other in itertools.pairwise(labels))
    assert changes > len(labels) / 4


def test_a_builder_directory_and_split_expressions_are_read(photos, tmp_path):
    first = ingest(tmp_path / "one", image_folder=photos)
    folder = first.path / first.properties["builder"]
    again = ingest(tmp_path / "two", builder_dir=folder)
    assert rows(again) == rows(first)
    part = ingest(
        tmp_path / "three", builder_dir=folder, train_split="train[:50%]",
        validation_split="train[50%:]", test_split="test+validation",
    )  # fmt: skip
    number = first.properties["splits"]
    assert part.properties["splits"]["train"] == round(number["train"] / 2)
    assert sum(part.properties["splits"].values()) == 60
    assert part.properties["splits"]["test"] == number["test"] + number["validation"]
    with pytest.raises(InputError, match=r"test-split: expected a split.*'tset'"):
        ingest(tmp_path / "four", builder_dir=folder, test_split="tset")


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="the real MNIST is not here")
def test_a_version_of_a_tfds_name_is_read_and_a_wrong_one_is_named(tmp_path):
    config = {
        "data_dir": SHARED_DATA / "tfds",
        "train_split": "train[:200]",
        "validation_split": "train[200:300]",
        "test_split": "test[:100]",
    }
    draft = ingest(tmp_path / "one", dataset="mnist:3.0.1", **config)
    assert draft.properties["splits"] == {"train": 200, "validation": 100, "test": 100}
    with pytest.raises(InputError, match=r"'mnist:9\.9\.9'"):
        ingest(tmp_path / "two", dataset="mnist:9.9.9", **config)


def written_by_tfds(folder: Path, features, supervised_keys, examples: dict) -> Path:
    """A data set that TFDS's own writer writes; `examples` by split."""
    from dlkeras.pipeline.tensorflow_import import tf, tfds

    place = folder / "pets" / "1.0.0"
    place.mkdir(parents=True)
    features = tfds.features.FeaturesDict(features)
    infos = []
    for split, rows in examples.items():
        name = f"pets-{split}.tfrecord-00000-of-00001"
        with tf.io.TFRecordWriter(str(place / name)) as writer:
            for row in rows:
                writer.write(features.serialize_example(features.encode_example(row)))
        template = tfds.core.ShardedFileTemplate(
            data_dir=place, dataset_name="pets", split=split, filetype_suffix="tfrecord"
        )
        infos.append(
            tfds.core.SplitInfo(
                name=split, shard_lengths=[len(rows)], num_bytes=0,
                filename_template=template,
            )
        )  # fmt: skip
    tfds.folder_dataset.write_metadata(
        data_dir=place, features=features, split_infos=infos, check_data=False,
        supervised_keys=supervised_keys,
    )  # fmt: skip
    return place


@pytest.fixture
def pets(tmp_path) -> Path:
    """As Oxford's pets are: an image and a mask, two labels, the number as `id`."""
    from dlkeras.pipeline.tensorflow_import import tfds

    random = np.random.default_rng(0)

    def example(number: int) -> dict:
        return {
            "picture": random.integers(0, 255, (5, 6, 3), dtype="uint8"),
            "mask": np.zeros((5, 6, 1), "uint8"),
            "breed": number % 3,
            "species": number % 2,
            "id": number,
        }

    features = {
        "picture": tfds.features.Image(shape=(None, None, 3)),
        "mask": tfds.features.Image(shape=(None, None, 1)),
        "breed": tfds.features.ClassLabel(names=["pug", "boxer", "siamese"]),
        "species": tfds.features.ClassLabel(names=["dog", "cat"]),
        "id": np.int64,
    }
    rows = [example(number) for number in range(60)]
    splits = {"train": rows[:30], "validation": rows[30:40], "test": rows[40:]}
    return written_by_tfds(tmp_path, features, ("picture", "breed"), splits)


def test_of_several_images_and_labels_the_supervised_ones_are_read(pets, tmp_path):
    draft = ingest(tmp_path / "out", builder_dir=pets)
    assert draft.properties["labels"] == ["pug", "boxer", "siamese"]
    found = rows(draft)
    assert len(found) == 60
    for name, (split, label, pixels) in found.items():
        shard, number = name.split("__")
        first = {"train": 0, "validation": 30, "test": 40}[split]
        assert shard == f"pets-{split}.tfrecord-00000-of-00001"
        assert label == (first + int(number)) % 3
        assert len(pixels) == 5 * 6 * 3


def test_the_labels_of_cifar_100_are_its_fine_ones(tmp_path):
    """By TFDS's own description of it, which says that it has 100 and 20 labels."""
    from dlkeras.pipeline.examples.sources.tfds_source import TFDSSource
    from dlkeras.pipeline.tensorflow_import import tfds

    info = tfds.builder("cifar100", data_dir=tmp_path / "tfds", try_gcs=False).info
    pixels = np.zeros((32, 32, 3), "uint8")
    row = {"id": "one", "image": pixels, "label": 99, "coarse_label": 19}
    place = written_by_tfds(
        tmp_path, dict(info.features.items()), info.supervised_keys, {"train": [row]}
    )
    source = TFDSSource(ExampleGenConfig(builder_dir=place), tmp_path)
    (example,) = source.examples()
    assert len(source.labels) == 100
    assert (example.id, example.label) == ("one", 99)


@pytest.mark.parametrize(
    ("expressions", "numbers"),
    [
        ({}, (30, 10, 20)),
        # What is not said is the data set's own split, if nothing else reads it.
        ({"train_split": "train[:20]"}, (20, 10, 20)),
        ({"train_split": "train[:20]", "validation_split": "train[20:]"}, (20, 10, 20)),
        ({"test_split": "validation", "validation_split": "train[25:]",
          "train_split": "train[:25]+test"}, (45, 5, 10)),
    ],
)  # fmt: skip
def test_splits_that_are_not_said_are_those_of_the_data_set(
    pets, tmp_path, expressions, numbers
):
    draft = ingest(tmp_path / "out", builder_dir=pets, **expressions)
    assert tuple(draft.properties["splits"].values()) == numbers


def test_a_split_that_another_expression_reads_is_not_read_twice(pets, tmp_path):
    draft = ingest(tmp_path / "out", builder_dir=pets, test_split="validation")
    assert draft.properties["splits"]["test"] == 10
    found = rows(draft)  # validation is taken out of train by content
    assert len(found) == 40
    assert {name.split("-")[1].split(".")[0] for name in found} == {
        "train", "validation",
    }  # fmt: skip


def test_an_expression_whose_end_is_before_its_beginning_is_refused(pets, tmp_path):
    with pytest.raises(InputError, match=r"train-split: expected .*'train\[50%:10%\]'"):
        ingest(tmp_path / "out", builder_dir=pets, train_split="train[50%:10%]")


def test_parts_of_a_tensorflow_data_set_are_those_of_the_whole(pets, tmp_path):
    def read(source, parts):
        return [example.id for part in parts for example in source.examples(*part)]

    def fresh():
        return open_source(ExampleGenConfig(builder_dir=pets), tmp_path, tmp_path)

    whole = read(fresh(), [(0, None)])
    assert len(whole) == len(fresh()) == 60
    assert read(fresh(), [(0, 7), (7, 33), (33, 60)]) == whole
    source = fresh()
    assert (
        read(source, [(33, 60), (7, 33), (0, 7)])
        == whole[33:] + whole[7:33] + (whole[:7])
    )
    # A shard that is cut: each part tells of its own records.
    (file,) = pets.glob("*train*")
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    source = fresh()
    found = [item for at in (0, 16, 24) for item in source.examples(at, at + 8)]
    lost = [item for item in found if not isinstance(item, SourceExample)]
    kept = len(found) - len(lost)
    assert kept + sum(problem.count for problem in lost) == 24
    assert [problem.id.split(" to ")[1] for problem in lost] == ["23", "29"]


def test_two_sources_at_once_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"at most one source.*manifest, npz"):
        ExampleGenConfig(manifest=tmp_path, npz=tmp_path)


# Every kind of image ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, lambda a: a),
        (2, np.fliplr),
        (3, lambda a: np.rot90(a, 2)),
        (4, np.flipud),
        (5, lambda a: np.transpose(a, (1, 0, 2))),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(np.transpose(a, (1, 0, 2)), 2)),
        (8, np.rot90),
    ],
)
def test_a_photograph_is_turned_upright_by_its_exif_orientation(orientation, expected):
    pixels = np.random.default_rng(0).integers(0, 255, (4, 6, 3), dtype="uint8")
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", exif=exif)
    encoded, found = decode(buffer.getvalue())
    assert np.array_equal(found, expected(pixels))
    from dlkeras.pipeline.tensorflow_import import tf

    assert np.array_equal(tf.io.decode_png(encoded), found)


def test_transparent_pixels_are_laid_on_white():
    pixels = np.zeros((1, 3, 4), dtype="uint8")
    pixels[0, :, 3] = (0, 128, 255)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(buffer, format="PNG")
    assert decode(buffer.getvalue())[1][0, :, 0].tolist() == [255, 127, 0]


def test_the_first_frame_of_an_animation_counts():
    frames = [Image.new("L", (5, 5), level) for level in (200, 90, 10)]
    buffer = io.BytesIO()
    frames[0].save(buffer, format="GIF", save_all=True, append_images=frames[1:])
    image = decode_image(buffer.getvalue())
    assert image.format == "GIF"
    assert (image.pixels == 200).all()


@pytest.mark.parametrize("form", ["BMP", "GIF", "WEBP", "PNG", "TIFF"])
def test_every_lossless_form_gives_the_same_pixels(form):
    pixels = (np.arange(60, dtype="uint8") * 4).reshape(6, 10)
    buffer = io.BytesIO()
    options = {"lossless": True} if form == "WEBP" else {}
    Image.fromarray(pixels).save(buffer, format=form, **options)
    image = decode_image(buffer.getvalue())
    assert image.format == form
    assert np.array_equal(image.pixels[..., 0], pixels)


def test_a_cmyk_jpeg_becomes_rgb():
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    buffer = io.BytesIO()
    red.save(buffer, format="JPEG", quality=95)
    image = decode_image(buffer.getvalue())
    assert image.pixels.shape == (16, 16, 3)
    assert np.allclose(image.pixels, (255, 0, 0), atol=12)


def test_sixteen_bits_keep_their_upper_eight():
    levels = np.array([[0, 257, 128 * 257, 65535]], dtype="uint16")
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, format="PNG")
    assert decode(buffer.getvalue())[1][..., 0].tolist() == [[0, 1, 128, 255]]


def test_an_image_beyond_the_largest_size_is_refused_before_it_is_decoded():
    buffer = io.BytesIO()
    Image.new("L", (300, 200)).save(buffer, format="PNG")
    with pytest.raises(ValueError, match="at most 50,000 pixels; it claims 300x200"):
        decode_image(buffer.getvalue(), max_pixels=50_000)


def test_the_largest_transparent_image_takes_less_than_a_gib():
    """8,000 x 8,000 is the bound; as RGBA and as RGB Pillow holds 244 MiB of each."""
    buffer = io.BytesIO()
    Image.new("RGBA", (8000, 8000), (10, 20, 30, 0)).save(buffer, format="PNG")
    before = held_megabytes(reset=True)
    image = decode_image(buffer.getvalue())
    assert len(pixel_digest(image.pixels)) == 64
    assert image.pixels.min() == 255
    assert held_megabytes() - before < 1024


def test_a_folder_of_mixed_kinds_is_read_by_tensorflow_as_pillow_reads_it(tmp_path):
    random = np.random.default_rng(0)
    for number, (form, mode) in enumerate(
        [("PNG", "RGBA"), ("PNG", "P"), ("PNG", "1"), ("PNG", "LA"), ("GIF", "P"),
         ("BMP", "RGB"), ("WEBP", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"),
         ("PNG", "I;16")] * 4
    ):  # fmt: skip
        folder = tmp_path / "photos" / ("cat", "dog")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 255, (8 + number, 9, 3), dtype="uint8")
        image = Image.fromarray(pixels)
        if mode == "I;16":
            image = Image.fromarray(pixels[..., 0].astype("uint16") * 257)
        else:
            image = image.convert(mode)
        image.save(folder / f"{number}.{form.lower()}", format=form)
    draft = ingest(tmp_path / "out", image_folder=tmp_path / "photos")
    assert draft.properties["channels"] == 3
    wanted = {"BMP": 4, "GIF": 4, "JPEG": 8, "PNG": 20, "WEBP": 4}
    assert draft.properties["formats"] == wanted
    folder = draft.path / draft.properties["builder"]
    read = [e for s in ("train", "validation", "test") for e in read_split(folder, s)]
    assert len(read) == 40
    for example in read:
        file = tmp_path / "photos" / example["id"].numpy().decode()
        expected = decode(file.read_bytes())[1]
        expected = np.broadcast_to(expected, (*expected.shape[:2], 3))
        assert np.array_equal(example["image"], expected), file


# Beam: test_beam.py has what needs it ------------------------------------------------


def test_a_python_without_beam_is_named(photos, tmp_path):
    python = Path(shutil.which("false") or "/bin/false")
    with pytest.raises(Exception, match=r"--example-gen\.beam-python: expected Beam's"):
        ingest(tmp_path / "out", image_folder=photos, beam_python=python)


def test_a_part_of_a_source_is_read_as_in_the_whole(photos, tmp_path):
    source = open_source(ExampleGenConfig(image_folder=photos), tmp_path, tmp_path)
    whole = [example.id for example in source.examples()]
    parts = [e.id for at in (0, 25, 50) for e in source.examples(at, at + 25)]
    assert whole == parts
    assert all(isinstance(example, SourceExample) for example in source.examples())
