"""The page of the statistics says first what a person should look at, with pictures."""

import html.parser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dlkeras.pipeline import ExampleGenConfig, StatisticsGenConfig
from dlkeras.pipeline.artifacts.types import Examples, Statistics
from dlkeras.pipeline.components.example_gen import example_gen
from dlkeras.pipeline.components.statistics_gen import statistics_gen
from dlkeras.pipeline.examples.overview.near_duplicates import (
    MAX_KEPT,
    near_duplicate_pairs,
)
from dlkeras.pipeline.examples.overview.notable import notable
from dlkeras.pipeline.store.publishing import Store
from tests.strangers.folders import Photos, blobs


@pytest.fixture(scope="module")
def statistics(tmp_path_factory) -> Statistics:
    """An imbalance, a rare class, copies of all kinds, grey and tiny images, litter."""
    root = tmp_path_factory.mktemp("page")
    photos = Photos(root / "photos")
    for split, label, number in (
        ("train", "cat & <b>", 60), ("train", "ship", 30), ("train", "rare", 3),
        ("test", "cat & <b>", 10), ("test", "ship", 10), ("test", "rare", 1),
    ):  # fmt: skip
        for index in range(number):
            place = photos.root / split / label / f"{index}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            blobs(len(list(photos.root.rglob("*.png"))) + 100).save(place)
    train = photos.root / "train"
    blobs(1).save(train / "ship" / "twice.png")
    blobs(1).save(train / "rare" / "twice.png")  # another class
    blobs(2).save(train / "ship" / "seen.png")
    blobs(2).save(photos.root / "test" / "ship" / "near.jpg", quality=60)
    blobs(3).convert("L").convert("RGB").save(train / "ship" / "grey.png")
    blobs(4, size=8).save(train / "ship" / "tiny.png")
    photos.file("train/ship/notes.txt")
    store = Store(root / "store")
    options = {"pipeline": "p", "config": {}, "inputs": {}, "versions": {},
               "run_id": "r"}  # fmt: skip
    with store.publish(Examples, key="k" * 64, producer="E", **options) as draft:
        example_gen(ExampleGenConfig(image_folder=photos.root), draft, root / "d" / "d")
    examples = store.find(Examples, "k" * 64)
    with store.publish(Statistics, key="s" * 64, producer="S", **options) as draft:
        statistics_gen(StatisticsGenConfig(gallery_size=4), draft, examples)
    return store.find(Statistics, "s" * 64)


class Page(html.parser.HTMLParser):
    """The text of a page in order, and what its pictures are called."""

    def __init__(self, file: Path):
        super().__init__()
        self.text, self.pictures = [], []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.pictures.append(dict(attrs)["alt"])
            self.text.append(f"[{self.pictures[-1]}]")

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_says_first_what_is_unusual_with_pictures(statistics):
    page = Page(statistics.path / "statistics.html")
    text = " ".join(" ".join(page.text).split())
    first = text[text.index("Look at these first") : text.index("Photos by class")]
    assert text.index("Look at these first") < text.index("Splits")
    for words in (
        "images in several classes, one label is wrong: 1 "
        "[train/rare/twice.png] train/rare/twice.png [train/ship/twice.png]",
        "images of validation or test that nearly repeat train: 1 [",
        "classes of few photos: rare 5",
        "cat & <b> has 70 photos, rare 5: 14 times fewer",
        "tiny images: 1, the smallest of 8 pixels, where others have 64 "
        "[train/ship/tiny.png]",
        "grey images among coloured ones: 1 [train/ship/grey.png]",
        "1 not an image (.txt 1)",
    ):
        assert words in first, (words, first)
    assert "test/ship/near.jpg" in page.pictures
    assert page.pictures.count("cat & <b>") == 4


def test_a_set_without_faults_has_nothing_to_look_at_first():
    rows = pd.DataFrame(
        {"id": [str(n) for n in range(60)], "label": ["cat", "dog"] * 30,
         "sha256": [str(n) for n in range(60)], "height": 64, "width": 64,
         "channels": 3, "grey": False}
    )  # fmt: skip
    summary = {"labels": ["cat", "dog"], "leaked": [], "near_leaked": {},
               "near_duplicate_pairs": [], "quarantined": 0}  # fmt: skip
    assert notable(rows, summary) == []


def test_the_near_duplicates_of_a_film_are_bounded_and_both_splits_are_seen():
    """20,000 frames that hash alike are 200 million pairs."""
    random = np.random.default_rng(0)
    thumbs = np.tile(random.integers(0, 256, 256, "uint8"), (20_000, 1))
    thumbs[:, 0] = np.arange(20_000) % 251
    splits = np.where(np.arange(20_000) < 19_990, "train", "test")
    pairs, complete = near_duplicate_pairs(
        np.zeros(20_000, "uint64"), thumbs, np.arange(20_000).astype(str), splits
    )
    assert not complete
    assert len(np.unique(pairs)) == 20_000
    assert len(pairs) <= 20_000 * 2 * MAX_KEPT
    across = splits[pairs[:, 0]] != splits[pairs[:, 1]]
    assert set(pairs[across].ravel()) >= set(range(19_990, 20_000))
