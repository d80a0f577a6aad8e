"""Strangers' folders and archives, each walked to its right answer."""

import os
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

import pytest

from dlkeras.pipeline import ExampleGenConfig
from dlkeras.pipeline.artifacts.types import Examples, Record
from dlkeras.pipeline.components.example_gen import example_gen, left_out
from dlkeras.pipeline.examples.reading import read_encoded
from dlkeras.pipeline.examples.sources import open_source
from dlkeras.pipeline.examples.sources.layout import HANDFUL
from dlkeras.pipeline.examples.splits import SPLITS
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import Draft
from tests.strangers import folders
from tests.strangers.reported import REPORTED


@pytest.fixture
def photos(tmp_path) -> folders.Photos:
    return folders.Photos(tmp_path / "photos")


def listed(folder: Path, **options):
    """A folder's source: what is read of it, before it is read."""
    config = ExampleGenConfig(image_folder=folder, **options)
    return open_source(config, folder, folder.parent / "scratch")


def ingest(output: Path, **options) -> Draft:
    output.mkdir(parents=True)
    draft = Draft(output)
    example_gen(ExampleGenConfig(**options), draft, output / "data" / "tfds")
    return draft


def classes_by_split(draft: Draft) -> dict[str, dict[str, set[str]]]:
    """For each class the ids in each split, as they lie in the shards."""
    folder = draft.path / draft.properties["builder"]
    found = defaultdict(lambda: {split: set() for split in SPLITS})
    for split in SPLITS:
        for example in read_encoded(folder, split):
            found[draft.properties["labels"][example.label]][split].add(example.id)
    return found


# What is an image ---------------------------------------------------------------------


def test_the_content_decides_what_is_an_image_not_the_suffix(photos, tmp_path):
    images, litter = folders.every_kind(photos)
    draft = ingest(tmp_path / "out", image_folder=photos.root)
    assert sum(draft.properties["splits"].values()) == images
    assert len(draft.properties["labels"]) == 3
    assert draft.properties["ignored"] == {
        "hidden": {"no suffix": 3}, "not an image": {".db": 3, ".txt": 3},
    }  # fmt: skip
    record = Record.model_construct(properties=draft.properties)
    (line,) = left_out(Examples(draft.path, record))
    assert line.startswith("left out: 3 hidden (no suffix 3), 6 not an image (.db 3, ")
    assert (draft.path / "left_out.json").read_text().count("[") == litter + 1


def test_more_than_a_handful_of_other_files_stops_the_run(photos, tmp_path):
    photos.classes("{c}/{i}.png")
    for index in range(9):
        photos.file(f"cat/{index}.xml")
    with pytest.raises(
        InputError, match=r"9 not an image \(\.xml 9\).*and 4 more, all"
    ):
        ingest(tmp_path / "out", image_folder=photos.root)
    listing = (tmp_path / "out" / "data" / "unreadable.txt").read_text()
    assert len(listing.splitlines()) == 9
    draft = ingest(tmp_path / "two", image_folder=photos.root, on_error="quarantine")
    assert sum(draft.properties["splits"].values()) == 24


@pytest.mark.parametrize("start", [b"BMW is a car", b"\x28\0\0\0", b"GIF", b"II*\0ab"])
def test_a_file_that_only_begins_as_an_image_is_none(photos, start):
    photos.classes("{c}/{i}.png")
    photos.file("cat/notes", start)
    source = listed(photos.root)
    assert len(source) == 24
    assert [file.name for file in source.ignored] == ["cat/notes"]


@pytest.mark.skipif(find_spec("pillow_heif") is not None, reason="it can be read")
def test_a_heic_photo_says_which_package_reads_it(photos, tmp_path):
    photos.classes("{c}/{i}.png")
    photos.file("cat/IMG_0001", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(90))
    with pytest.raises(InputError, match=r"cat/IMG_0001: HEIF: install pillow-heif"):
        ingest(tmp_path / "out", image_folder=photos.root)


# Where the images lie -----------------------------------------------------------------


def test_images_in_folders_below_a_class_are_of_the_class(photos):
    source = listed(photos.classes("{c}/2026/{i}/a.png"))
    assert (len(source), source.labels) == (24, ("cat", "dog"))


LAYOUTS = {  # pattern of the paths, others beside them; splits, images, ignored
    "capitals": (("Train/{c}/{i}.png", "Val/{c}/{i}.png", "TEST/{c}/{i}.png"), 3, 72),
    "dev": (("train/{c}/{i}.png", "dev/{c}/{i}.png"), 2, 48),
    "sets": (("training_set/{c}/{i}.png", "test-set/{c}/{i}.png"), 2, 48),
    "one folder more": (("data/train/{c}/{i}.png", "data/valid/{c}/{i}.png"), 2, 48),
    "folders below": (("train/{c}/a/{i}.png", "test/{c}/{i}.png"), 2, 48),
    "class first": (("{c}/train/{i}.png", "{c}/test/{i}.png"), 2, 48),
    "trains and cats": (("train/{c}{i}.png", "{c}/{i}.png"), 0, 48),
    "runs beside": (("{c}/{i}.png", "mlruns/store/{c}/{i}.png"), 0, 24),
    "thumbnails of a NAS": (("{c}/{i}.png", "{c}/@eaDir/{i}.png"), 0, 24),
    "notebook's copies": (("{c}/{i}.png", "{c}/.ipynb_checkpoints/{i}.png"), 0, 24),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_usual_layouts_are_recognised(name, photos):
    patterns, splits, images = LAYOUTS[name]
    for pattern in patterns:
        photos.classes(pattern)
    source = listed(photos.root)
    assert (len(source.splits), len(source)) == (splits, images)


def test_a_few_strays_beside_the_splits_are_left_out_and_named(photos):
    for split in ("train", "val", "test"):
        photos.classes(split + "/{c}/{i}.png")
    for stray in ("samples/1.png", "previews/1.png"):
        photos.add(stray)
    source = listed(photos.root)
    assert (len(source), source.labels) == (72, ("cat", "dog"))
    assert len(source.splits) == 3
    assert [file.name for file in source.ignored] == ["previews/1.png", "samples/1.png"]


def test_a_layout_that_is_not_plain_says_what_was_seen_and_which_flag_decides(photos):
    for split in ("train", "val"):
        photos.classes(split + "/{c}/{i}.png")
    photos.classes("unlabelled/{c}{i}.png")
    with pytest.raises(
        InputError, match=r"unlabelled/ \(24 images, 0 folders below\).*layout splits"
    ):
        listed(photos.root)
    source = listed(photos.root, layout="splits")
    assert (len(source), source.splits) == (48, {"train", "validation"})
    assert {file.expected for file in source.ignored} == {True}
    source = listed(photos.root, layout="classes")
    assert source.labels == ("train", "unlabelled", "val")


def test_the_flat_test_folder_of_a_competition_is_not_a_class(photos):
    photos.classes("train/{c}/{i}.png")
    for index in range(9):
        photos.add(f"test/{index}.png")
    source = listed(photos.root)
    assert (len(source), source.splits) == (24, {"train"})
    assert {file.reason for file in source.ignored} == {
        "in a split without class folders"
    }


def test_a_folder_of_one_class_names_the_folders_in_it(photos):
    photos.classes("data/{c}/{i}.png")
    with pytest.raises(InputError, match=r"'data', with the folders cat, dog in it"):
        listed(photos.root)


def test_a_zip_that_macos_has_packed_is_read(photos, tmp_path):
    photos.classes("{c}/{i}.png")
    archive = folders.finder_zip(photos, tmp_path / "finder.zip")
    source = listed(archive)
    assert (len(source), source.labels) == (24, ("cat", "dog"))


@pytest.mark.parametrize("name", REPORTED)
def test_what_users_of_other_libraries_report_has_its_right_answer(name, photos):
    _, make, right = REPORTED[name]
    photos.classes("{c}/{i}.png")
    make(photos)
    if isinstance(right, str):
        with pytest.raises(InputError, match=right):
            listed(photos.root)
        return
    source = listed(photos.root)
    assert (len(source), source.labels) == right
    assert len([file for file in source.ignored if not file.expected]) <= HANDFUL


# Splits -------------------------------------------------------------------------------


def test_every_one_of_many_classes_is_in_every_split(photos, tmp_path):
    names = [f"class{number:02}" for number in range(40)]
    photos.classes("{c}/{i}.png", number=6, names=names)
    photos.root.joinpath("class00/copy.png").write_bytes(
        photos.root.joinpath("class00/0.png").read_bytes()
    )
    draft = ingest(tmp_path / "out", image_folder=photos.root, examples_per_shard=50)
    found = classes_by_split(draft)
    assert sum(draft.properties["splits"].values()) == 241
    assert all(all(splits.values()) for splits in found.values())
    (home,) = [s for s, ids in found["class00"].items() if "class00/copy.png" in ids]
    assert "class00/0.png" in found["class00"][home]
    # What moved is written once, and TFDS's metadata count it where it lies.
    lengths = {split: sum(len(c[split]) for c in found.values()) for split in SPLITS}
    assert lengths == draft.properties["splits"]
    # The same images in the other form, in other shards: the same splits.
    again = ingest(
        tmp_path / "again", image_folder=photos.root, file_format="array_record"
    )
    assert again.digest == draft.digest


@pytest.fixture
def rare(photos) -> Path:
    photos.classes("{c}/{i}.png", names=("cat", "dog"))
    photos.classes("{c}/{i}.png", number=3, names=("rare",))
    photos.classes("{c}/{i}.png", number=1, names=("very rare",))
    photos.classes("{c}/{i}.png", number=2, names=("odd",))
    return photos.root


def test_a_class_of_too_few_photos_is_named_with_what_to_do(rare, tmp_path):
    with pytest.raises(
        InputError,
        match=r"odd has 2 photos, very rare has 1 photo: .*--example-gen\.rare-classes "
        r"leave_out .*merge .*train_only",
    ):
        ingest(tmp_path / "out", image_folder=rare)


@pytest.mark.parametrize(
    ("policy", "labels", "images"),
    [
        ("leave_out", ["cat", "dog", "rare"], 27),
        ("merge", ["cat", "dog", "other", "rare"], 30),
        ("train_only", ["cat", "dog", "odd", "rare", "very rare"], 30),
    ],
)
def test_rare_classes_are_left_out_merged_or_trained_on_alone(
    policy, labels, images, rare, tmp_path
):
    draft = ingest(tmp_path / "out", image_folder=rare, rare_classes=policy)
    found = classes_by_split(draft)
    assert sorted(found) == draft.properties["labels"] == labels
    assert sum(draft.properties["splits"].values()) == images
    assert all(found["rare"].values())
    if policy == "merge":
        assert all(found["other"].values())
    if policy == "train_only":
        assert found["odd"]["train"] == {"odd/0.png", "odd/1.png"}
        assert found["very rare"]["train"] == {"very rare/0.png"}
    assert draft.properties["rare_classes"]["classes"] == ["odd", "very rare"]


@pytest.mark.parametrize(
    ("policy", "labels"),
    [("leave_out", ["cat", "dog"]), ("merge", ["cat", "dog", "other"])],
)
def test_a_rare_class_may_be_called_other(policy, labels, photos, tmp_path):
    photos.classes("{c}/{i}.png", names=("cat", "dog"))
    photos.classes("{c}/{i}.png", number=1, names=("other",))
    photos.classes("{c}/{i}.png", number=2, names=("zebra",))
    draft = ingest(tmp_path / "out", image_folder=photos.root, rare_classes=policy)
    assert draft.properties["labels"] == labels


def test_copies_do_not_make_a_class_large_enough(rare, tmp_path):
    content = (rare / "odd" / "0.png").read_bytes()
    for index in range(5):
        (rare / "odd" / f"copy{index}.png").write_bytes(content)
    (rare / "very rare" / "0.png").unlink()
    with pytest.raises(InputError, match=r"odd has 2 photos: "):
        ingest(tmp_path / "out", image_folder=rare)
    draft = ingest(tmp_path / "two", image_folder=rare, rare_classes="leave_out")
    assert draft.properties["labels"] == ["cat", "dog", "rare"]


# Names --------------------------------------------------------------------------------


def test_names_that_look_alike_are_one_class(photos):
    source = listed(folders.names_that_look_alike(photos))
    assert (len(source), source.labels) == (32, ("Caf\u00e9", "Tee"))


# What changed since -------------------------------------------------------------------


def test_what_became_of_the_files_since_is_counted(photos, tmp_path):
    photos.classes("{c}/{i}.png")
    kept = [
        ingest(tmp_path / "one", image_folder=photos.root),
        ingest(tmp_path / "two", image_folder=photos.root),
    ]
    for file in photos.root.glob("*/*.png"):
        os.utime(file, (1, 1))  # as a copy, a download or a checkout leaves them
    (photos.root / "cat" / "0.png").unlink()
    photos.add("cat/1.png")
    photos.add("dog/new.png")
    kept.append(ingest(tmp_path / "three", image_folder=photos.root))
    record = Record.model_construct(properties={})
    one, two, three = (Examples(draft.path, record) for draft in kept)
    assert two.changes_since(one) == "0 files touched, 0 added, 0 removed, 0 changed"
    assert three.changes_since(two) == "22 files touched, 1 added, 1 removed, 1 changed"
