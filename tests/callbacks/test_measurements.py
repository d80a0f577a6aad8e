"""The table of measurements, and a diagnosis that costs the same at any length."""

import numpy as np

from dlkeras.callbacks.measurements import Measurements
from dlkeras.diagnosis.histories.gradient_history import GradientHistory
from dlkeras.diagnosis.measured import diagnose_new
from dlkeras.diagnosis.rules.gradients import median_rms


def test_rows_and_late_columns_are_kept_as_they_came():
    table, rng = Measurements(), np.random.default_rng(0)
    rows = [rng.normal(size=(5, 2 if n < 100 else 3)) for n in range(300)]
    for n, row in enumerate(rows):
        facts = np.array([(n, n // 10, 0.5, 1.0)])
        table.extend(facts, [1, 0] if n < 100 else [1, 0, 2], row[None])
    assert table.values.shape == (300, 5, 3)
    assert np.isnan(table.values[:100, :, 2]).all()
    np.testing.assert_array_equal(table.values[7][:, [1, 0]], rows[7])
    np.testing.assert_array_equal(table.values[250][:, [1, 0, 2]], rows[250])
    assert table.facts[:, 0].tolist() == list(range(300))
    table.permute([2, 0, 1])
    np.testing.assert_array_equal(table.values[250][:, [2, 1, 0]], rows[250])


def test_many_rows_at_once_are_the_rows_one_by_one():
    single, together = Measurements(), Measurements()
    rng = np.random.default_rng(0)
    facts, rows = rng.normal(size=(200, 4)), rng.normal(size=(200, 5, 3))
    for start, end in ((0, 1), (1, 150), (150, 150), (150, 200)):
        together.extend(facts[start:end], [2, 0, 1], rows[start:end])
    for fact, row in zip(facts, rows, strict=True):
        single.extend(fact[None], [2, 0, 1], row[None])
    assert together.length == single.length == 200
    np.testing.assert_array_equal(together.facts, single.facts)
    np.testing.assert_array_equal(together.values, single.values)


def test_the_median_over_samples_is_numpys_where_some_are_missing():
    missing = history(24)
    missing.values[:, 0, 0] = np.nan
    missing.values[3:17, 0, 1] = np.inf
    missing.values[5, 0, 2] = np.nan
    for samples in (24, 7, 1):
        rms = missing.gradient_norm[:samples] / 10
        rms = np.where(np.isfinite(rms), rms, np.nan)
        expected = [np.nan, *np.nanmedian(rms[:, 1:], 0)]
        np.testing.assert_allclose(median_rms(missing, samples), expected)


def history(samples):
    """A healthy training of two kernels and an output layer."""
    rng = np.random.default_rng(1)
    values = np.zeros((samples, 5, 3))
    values[:, 0] = rng.uniform(0.5, 1.5, (samples, 3))
    values[:, 1] = 10.0
    values[:, 2] = 1e-2
    return GradientHistory(
        variables=[("first", "kernel"), ("second", "kernel"), ("out", "kernel")],
        sizes=np.full(3, 100.0),
        ranks=np.full(3, 2),
        steps=np.arange(1, samples + 1),
        epochs=np.arange(samples) // 100,
        loss=np.linspace(1, 0.5, samples),
        loss_scale=np.ones(samples),
        values=values,
    )


def test_a_single_bad_sample_among_many_is_named_with_its_layer_and_step():
    bad = history(5_000)
    bad.values[4_321, 0, 1] = np.nan
    bad.values[4_321, 4, 1] = 7
    (finding,) = diagnose_new(bad, judged=4_300)
    assert (finding.name, finding.layer, finding.since) == (
        "non_finite",
        "second",
        "step 4322",
    )
    assert not diagnose_new(bad, judged=4_400)  # seen before


def test_a_learning_rate_that_falls_to_0_at_the_end_is_no_small_update():
    """The last epoch's samples do not outweigh the training's."""
    fallen = history(5_000)
    fallen.values[4_000:, 2] = 1e-6
    assert not diagnose_new(fallen, judged=4_000)
    fallen.values[:, 2] = 1e-6
    (finding,) = diagnose_new(fallen, judged=4_000)
    assert finding.name == "update_ratio_small"
