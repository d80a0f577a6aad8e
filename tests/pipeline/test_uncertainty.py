"""Intervals, tests, temperature, corruptions and slices against other computations."""

import numpy as np
import pandas as pd
import pytest

from dlkeras.judging.robustness import CORRUPTIONS, LEVELS, corrupt, robustness
from dlkeras.judging.slices import accuracy_by_slice, slice_names
from dlkeras.judging.uncertainty import (
    bootstrap_interval,
    mcnemar,
    proportion_interval,
    scale_temperature,
    temperature,
)
from dlkeras.pipeline.artifacts.types import Evaluation
from dlkeras.pipeline.store.publishing import Store


def test_the_interval_of_five_right_out_of_five_is_wilsons():
    # By hand: n / (n + z^2) = 5 / (5 + 1.96^2)
    low, high = proportion_interval(np.ones(5, bool), 0.95)
    assert low == pytest.approx(5 / (5 + 1.959964**2))
    assert high == 1
    assert proportion_interval(np.zeros(5, bool), 0.95) == pytest.approx([0, 1 - low])


def test_the_interval_of_a_mean_is_that_of_the_normal_approximation():
    values = np.random.default_rng(0).exponential(size=1000)
    low, high = bootstrap_interval(values, 4000, 0.95)
    spread = 1.96 * values.std() / np.sqrt(1000)
    assert low == pytest.approx(values.mean() - spread, abs=0.006)
    assert high == pytest.approx(values.mean() + spread, abs=0.006)


def test_intervals_hold_the_truth_as_often_as_they_say():
    random = np.random.default_rng(0)
    of_means = of_shares = of_few = 0
    for trial in range(200):
        low, high = bootstrap_interval(random.exponential(size=200), 300, 0.9, trial)
        of_means += low <= 1 <= high
        low, high = proportion_interval(random.random(200) < 0.8, 0.9)
        of_shares += low <= 0.8 <= high
        low, high = proportion_interval(random.random(12) < 0.95, 0.9)
        of_few += low <= 0.95 <= high  # a bootstrap of 12 holds it 44 times of 100
    for held in (of_means, of_shares, of_few):
        assert 0.83 <= held / 200 <= 0.98


def test_mcnemars_p_value_is_that_counted_by_hand():
    right = np.array([True] * 5 + [False] + [True] * 10)
    before = np.array([False] * 5 + [True] + [True] * 10)
    # of 6 that differ, 5 or 6 (or 0 or 1) on one side: 2 (1 + 6) / 2**6
    assert mcnemar(right, before) == {"better": 5, "worse": 1, "p_value": 14 / 64}


@pytest.mark.parametrize("wanted", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_probabilities_is_found(wanted):
    """Labels drawn from a softmax; the model says its logits times the temperature."""
    random = np.random.default_rng(1)
    logits = random.normal(size=(20_000, 4)) * 2
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (true.cumsum(axis=1) > random.random((20_000, 1))).argmax(axis=1)
    said = np.exp(logits * wanted)
    said /= said.sum(axis=1, keepdims=True)
    assert temperature(truth, said) == pytest.approx(wanted, rel=0.05)
    assert np.allclose(scale_temperature(said, wanted), true, atol=1e-6)


def test_corruptions_grow_with_their_level_and_keep_type_and_shape():
    random = np.random.default_rng(0)
    image = random.integers(60, 200, (32, 32, 3), dtype="uint8")
    for corruption in CORRUPTIONS:
        changed = [corrupt(image, corruption, level, seed=1) for level in LEVELS]
        assert all(c.shape == image.shape and c.dtype == "uint8" for c in changed)
        if corruption != "shift":  # noise has nothing to be near to
            gaps = [np.abs(c.astype(int) - image).mean() for c in changed]
            assert gaps == sorted(gaps)
            assert gaps[0] > 0
    assert np.array_equal(
        corrupt(image, "noise", 3, seed=1), corrupt(image, "noise", 3, seed=1)
    )


def test_contrast_and_shift_do_to_pixels_what_they_say():
    image = np.zeros((40, 40, 1), "uint8")
    image[10:20, 10:20] = 200
    pale = corrupt(image, "contrast", 2, seed=0).astype(float)  # factor 0.5
    assert np.ptp(pale) == pytest.approx(100, abs=1)
    assert pale.mean() == pytest.approx(image.mean(), abs=1)

    def centre(pixels):
        rows, columns = np.indices(pixels.shape[:2])
        weights = pixels[..., 0].astype(float)
        return np.array([np.average(c, weights=weights) for c in (rows, columns)])

    moved = centre(corrupt(image, "shift", 3, seed=0)) - centre(image)
    assert np.linalg.norm(moved) == pytest.approx(4, abs=0.1)  # 0.1 of 40 pixels


def test_the_accuracy_of_a_guess_by_brightness_falls_only_where_it_must():
    """Bright and dark images: a change of contrast about the mean alters no mean."""
    images = [np.full((8, 8, 1), v, "uint8") for v in (40, 210) * 10]
    truth = np.array([0, 1] * 10)

    def predict(given):
        bright = np.array([image.mean() > 127 for image in given]).astype(int)
        return np.eye(2)[bright]

    found = robustness(images, truth, predict)
    assert all(accuracies == [1.0] * 5 for accuracies in found.values())
    found = robustness(images, 1 - truth, predict)
    assert all(accuracies == [0.0] * 5 for accuracies in found.values())


def test_slices_are_quarters_of_numbers_and_values_of_names():
    table = pd.DataFrame({"mean": np.arange(100.0), "camera": ["a", "b"] * 50})
    right = np.arange(100) >= 25
    sliced = accuracy_by_slice(table, ("mean", "camera"), right, 0.95)
    quarters = list(sliced["mean"].values())
    assert [q["examples"] for q in quarters] == [25] * 4
    assert [q["accuracy"] for q in quarters] == [0, 1, 1, 1]
    assert sliced["camera"]["a"]["accuracy"] == right[::2].mean()
    with pytest.raises(ValueError, match=r"columns .* mean, camera; received 'hue'"):
        accuracy_by_slice(table, ("hue",), right, 0.95)


AGES = [1, 2, 8, 9, 18, 19, 80, 85.25]
COLUMNS = {
    "quarters by number": (AGES, ["1 to 6.5", "6.5 to 13.5", "13.5 to 34.25",
                                  "34.25 to 85.25"]),
    "one blank": ([*AGES, None], ["1 to 6.5", "6.5 to 13.5", "13.5 to 34.25",
                                  "34.25 to 85.25", "unknown"]),
    "all blank": ([None, np.nan], ["unknown"]),
    "whole numbers with a blank": (pd.array([10, None, 9], "Int64"),
                                   ["9", "10", "unknown"]),
    "few numbers": ([10.0, 9.5, 10.0], ["9.5", "10"]),
    "infinity": ([1.0, 2, 3, 4, 5, np.inf],
                 ["1 to 2", "2 to 3", "3 to 4", "4 to 5", "unknown"]),
    "large numbers": (1e6 + np.arange(5.0), ["1000000 to 1000001",
                                             "1000001 to 1000002",
                                             "1000002 to 1000003",
                                             "1000003 to 1000004"]),
    "texts": (["b", "", " ", None, "a"], ["a", "b", "unknown"]),
    "many texts": ([f"{i:02d}" for i in range(21)] * 2 + [""],
                   [*(f"{i:02d}" for i in range(20)), "other", "unknown"]),
    "truths": ([True, False], ["False", "True"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", COLUMNS)
def test_every_example_is_in_a_slice_and_slices_are_in_their_order(kind):
    values, expected = COLUMNS[kind]
    names, ordered = slice_names(pd.Series(values))
    assert ordered == expected
    assert len(names) == len(values)
    assert set(names) == set(expected)


def test_the_main_job_measures_all_of_it(main_job):
    (evaluation,) = Store(main_job.mlruns / "store").artifacts(Evaluation)
    metrics = evaluation.metrics
    low, high = metrics["accuracy_interval"]
    assert low <= metrics["accuracy"] <= high
    assert sum(s["examples"] for s in metrics["slices"]["mean"].values()) == 359
    for corruption in CORRUPTIONS:
        assert len(metrics["robustness"][corruption]) == 5
        assert metrics["robustness"][corruption][0] > 0.6
    assert 0.05 < metrics["temperature_scaling"]["temperature"] < 20
    cost = metrics["cost"]
    # Table 13-1: the multiply-adds of C1, C3, C5, F6 and the output.
    by_hand = 28 * 28 * 6 * 25 + 10 * 10 * 16 * 150 + 120 * 400 + 84 * 120 + 10 * 84
    assert cost["multiply_adds"] == by_hand
    assert cost["bytes"] == 61706 * 4
    assert 0 < cost["latency_ms"]["p50"] <= cost["latency_ms"]["p95"]
