"""What evaluation and training hold in memory does not grow with the photographs."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dlkeras.judging.robustness import LEVELS, corrupt, robustness
from dlkeras.pipeline import ExampleGenConfig, PipelineConfig, run
from dlkeras.pipeline.batches.shown_images import first_images, gallery_images, shrunk
from dlkeras.pipeline.tracking.descriptions import described
from dlkeras.pipeline.training.monitoring import first_images as probe_images
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """MiB that components took in a process of its own, and those of their images."""
    folder = tmp_path_factory.mktemp("held")
    program = [sys.executable, "tests/pipeline/held_memory.py", folder]
    env = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(program, env=env, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.job
def test_the_evaluator_holds_a_part_of_the_photographs(held):
    assert held["raw"] > 500
    assert held["photographs"] < held["raw"] / 3


@pytest.mark.job
def test_a_split_beyond_the_cache_is_not_held(held):
    """Nor 256 images of it as a view of all: the monitors measure that many."""
    assert min(held["validation"], held["test"]) > 240
    assert held["trainer beyond"] < held["trainer within"] - 0.5 * held["validation"]
    assert held["evaluator beyond"] < 0.7 * held["test"]


@pytest.mark.job
def test_a_split_that_fits_the_cache_is_held_once(held):
    kept = held["trainer within"] - held["trainer beyond"]
    assert 0.5 * held["validation"] < kept < 1.5 * held["validation"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Examples of twelve pictures of 400 x 300 pixels, eight of them for the test."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for number in range(12):
        place = folder / "source" / ("cat", "dog")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        coarse = random.integers(0, 255, (15, 20, 3), dtype="uint8")
        image = Image.fromarray(coarse).resize((400, 300), Image.Resampling.BOX)
        image.save(place / f"{number}.jpg", quality=60)
    config = ExampleGenConfig(
        image_folder=folder / "source", test_fraction=0.6, validation_fraction=0.2
    )
    return run(
        PipelineConfig(mlruns=folder / "mlruns", example_gen=config), until="ExampleGen"
    ).artifacts["Examples"]


def test_images_are_judged_at_the_size_of_the_network(pictures):
    images = first_images(pictures, 100, 24, 32)
    gallery = gallery_images(pictures, set(range(100)))
    assert {image.shape for image in images} == {(24, 32, 3)}
    assert len(images) == len(gallery) == pictures.splits["test"]
    assert {image.shape for image in gallery.values()} == {(192, 256, 3)}
    whole = next(pictures.dataset("test").take(1).as_numpy_iterator())["image"]
    assert np.abs(images[0].mean((0, 1)) - whole.mean((0, 1))).max() < 1


def test_images_that_would_not_fit_together_are_left_out(pictures, monkeypatch):
    monkeypatch.setattr(
        "dlkeras.pipeline.batches.shown_images.HELD_BYTES", 5 * 32 * 32 * 3
    )
    assert len(first_images(pictures, 100, 32, 32)) == 5


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


def test_a_description_is_cut_at_a_line_and_names_the_whole_card():
    card = "# 1,000 classes\n\n" + "| a class | 0.9 | 0.8 |\n" * 1000
    text = described(card)
    assert 4900 < len(text) <= 5000
    lines = text.splitlines()
    assert lines[-3] == "| a class | 0.9 | 0.8 |"
    assert lines[-1].endswith("`model_card.md` has all of it.")
    assert described(card[:5000]) == card[:5000]
