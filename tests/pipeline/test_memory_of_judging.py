"""What evaluation and training hold in memory does not grow with the photographs."""

import re

import numpy as np
import pytest
from corrupt_input import held_megabytes
from PIL import Image

from dlkeras.judging.robustness import LEVELS, corrupt, robustness
from dlkeras.pipeline import ExampleGenConfig
from dlkeras.pipeline.artifacts.types import Examples, Record
from dlkeras.pipeline.batches.shown_images import first_images, gallery_images, shrunk
from dlkeras.pipeline.components.example_gen import example_gen
from dlkeras.pipeline.components.trainer import first_images as probe_images
from dlkeras.pipeline.store.publishing import Draft
from dlkeras.pipeline.tracking.descriptions import described
from tests.conftest import ROOT

NUMBER, WIDTH, HEIGHT = 30, 2000, 1500
RAW_MEGABYTES = NUMBER * WIDTH * HEIGHT * 3 / 2**20


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Examples of thirty photographs of 3 megapixels, most of them for the test."""
    folder = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(0)
    for number in range(NUMBER + 6):
        place = folder / "source" / ("cat", "dog")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        coarse = random.integers(0, 255, (15, 20, 3), dtype="uint8")
        image = Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BOX)
        image.save(place / f"{number}.jpg", quality=60)
    config = ExampleGenConfig(
        image_folder=folder / "source", test_fraction=0.8, validation_fraction=0.1
    )
    (folder / "examples").mkdir()
    draft = Draft(folder / "examples")
    example_gen(config, draft, folder)
    assert draft.properties["splits"]["test"] >= 24
    return Examples(draft.path, Record.model_construct(properties=draft.properties))


def test_photographs_are_held_at_the_size_of_the_network(photographs):
    before = held_megabytes(reset=True)
    images = first_images(photographs, 100, 32, 24)
    gallery = gallery_images(photographs, set(range(100)))
    assert held_megabytes() - before < RAW_MEGABYTES / 2
    assert {image.shape for image in images} == {(32, 24, 3)}
    assert len(images) == len(gallery) == photographs.splits["test"]
    assert {image.shape for image in gallery.values()} == {(192, 256, 3)}
    whole = next(photographs.dataset("test").take(1).as_numpy_iterator())["image"]
    assert np.abs(images[0].mean((0, 1)) - whole.mean((0, 1))).max() < 1


def test_images_that_would_not_fit_together_are_left_out(photographs, monkeypatch):
    monkeypatch.setattr(
        "dlkeras.pipeline.batches.shown_images.HELD_BYTES", 5 * 32 * 32 * 3
    )
    assert len(first_images(photographs, NUMBER, 32, 32)) == 5


def test_an_image_that_is_smaller_than_the_network_is_corrupted_as_it_is():
    image = np.arange(192, dtype="uint8").reshape(8, 8, 3)
    assert shrunk(image, 32, 32) is image


def test_robustness_in_batches_is_robustness_at_once():
    random = np.random.default_rng(0)
    images = list(random.integers(0, 255, (7, 8, 8, 1), dtype="uint8"))
    truth = random.integers(0, 2, 7)

    def predict(given):
        bright = np.array([image.mean() / 255 for image in given])
        return np.stack([1 - bright, bright], axis=1)

    found = robustness(images, truth, predict, batch_size=3)
    assert found == robustness(images, truth, predict)
    changed = [corrupt(im, "noise", 5, i) for i, im in enumerate(images)]
    right = predict(changed).argmax(axis=1) == truth
    assert found["noise"][len(LEVELS) - 1] == right.mean()


def test_the_monitors_images_are_no_view_of_the_split(prepared):
    from dlkeras.pipeline.batches.input_pipeline import evaluation_batches

    examples, transform = prepared["Examples"], prepared["Transform"]
    probe = probe_images(evaluation_batches, examples, transform, 32, number=40)
    assert probe.base is None
    assert probe.shape == (40, *transform.input_shape)
    batches = evaluation_batches(examples, transform, "validation", 64)
    first = np.concatenate([images for images, _ in batches])[:40]
    np.testing.assert_array_equal(probe, first)


def test_no_split_is_kept_without_asking_whether_it_fits():
    """Each `.cache()` of the pipeline stands behind `fits_in_memory`."""
    for file in sorted((ROOT / "dlkeras" / "pipeline").rglob("*.py")):
        lines = file.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if re.search(r"\.cache\(\)", line):
                assert "if fits else" in line, (file.name, number + 1)


def test_a_description_is_cut_at_a_line_and_names_the_whole_card():
    card = "# 1,000 classes\n\n" + "| a class | 0.9 | 0.8 |\n" * 1000
    text = described(card)
    assert 4900 < len(text) <= 5000
    lines = text.splitlines()
    assert lines[-3] == "| a class | 0.9 | 0.8 |"
    assert lines[-1].endswith("`model_card.md` has all of it.")
    assert described(card[:5000]) == card[:5000]
