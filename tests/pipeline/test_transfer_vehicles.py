"""The comparison of transfer with training from scratch is a fair one."""

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "pipelines" / "transfer_vehicles.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("transfer_vehicles", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_digit_of_the_target_is_in_the_source_and_no_tested_image_is_learnt(
    script, tmp_path
):
    source, target = script.class_folders(None, tmp_path)
    classes = [
        sorted(p.name for p in (f / "train").iterdir()) for f in (source, target)
    ]
    assert classes == [list("01234"), list("56789")]
    names = {
        split: {p.name for p in (target / split).rglob("*.png")}
        for split in ("train", "test")
    }
    assert not names["train"] & names["test"]
    # UCI's digits 5 to 9 as scikit-learn has them: 182, 181, 179, 174 and 180.
    assert len(names["train"]) + len(names["test"]) == 896
    images = [p.read_bytes() for f in (source, target) for p in f.rglob("*.png")]
    assert len(images) == 1797
    assert len({hashlib.sha256(data).digest() for data in images}) > 1700


def test_both_ways_learn_the_same_images_so_many_of_each_class(script):
    y = np.repeat(np.arange(4), 50)
    x = np.arange(200)
    first, labels = script.some(x, y, 10, seed=3)
    again, _ = script.some(x, y, 10, seed=3)
    other, _ = script.some(x, y, 10, seed=4)
    assert np.bincount(labels).tolist() == [10] * 4
    assert len(set(first.tolist())) == 40
    assert np.array_equal(labels, y[first])
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_recipe_is_judged_by_images_that_were_not_drawn(script):
    y = np.repeat(np.arange(4), 300)
    x = np.arange(1200)
    drawn, _ = script.some(x, y, 60, seed=3)
    judges, labels = script.some(x, y, 60, seed=3, others=True)
    assert not set(drawn.tolist()) & set(judges.tolist())
    assert np.bincount(labels).tolist() == [200] * 4
    few, _ = script.some(x, y, 290, seed=3, others=True)
    assert len(few) == 40  # what is left


def test_the_table_has_means_deviations_and_the_seeds_differences(script):
    ways = {script.SCRATCH: [0.5, 0.6, 0.7], script.TRANSFER: [0.7, 0.7, 0.7]}
    found = {way: {10: accuracies} for way, accuracies in ways.items()}
    lines, wins = script.table(found, [10])
    assert lines.endswith("| 10 | 60.0 ± 10.0 % | 70.0 ± 0.0 % | +10.0 ± 10.0 % |")
    assert wins
    assert not script.table({**found, script.TRANSFER: {10: [0.6] * 3}}, [10])[1]


@pytest.mark.slow
def test_transfer_beats_training_from_scratch_at_ten_digits_a_class(script, tmp_path):
    found, folder = script.compared(None, tmp_path, [10], 5)
    means = {way: np.mean(accuracies[10]) for way, accuracies in found.items()}
    assert means[script.TRANSFER] > means[script.SCRATCH] > 0.9
    before = sorted(folder.glob("accuracies-*.json"))
    assert script.compared(None, tmp_path, [10], 5)[0] == found  # nothing is done twice
    assert sorted(folder.glob("accuracies-*.json")) == before
