"""Tests of the regimes of steepest descent, predicted and measured."""

import warnings

import numpy as np
import pytest

from dlkeras.optimization import (
    QuadraticSurface,
    Regime,
    best_step_size,
    convergence_rate,
    damping_factors,
    regimes,
    steepest_descent,
    time_constants,
)

SURFACE = QuadraticSurface([[1, 0.5], [0.5, 1]], [0.5, 0.25], sigma_d2=1)


@pytest.mark.parametrize(
    ("step_size", "slow", "fast"),
    [
        (0.1, "over-damped", "over-damped"),
        (0.66, "over-damped", "over-damped"),
        (1 / 1.5, "over-damped", "critically damped"),
        (0.67, "over-damped", "under-damped"),
        (1.33, "over-damped", "under-damped"),
        (4 / 3, "over-damped", "undamped"),
        (1.34, "over-damped", "divergent"),
        (2.0, "critically damped", "divergent"),
        (3.9, "under-damped", "divergent"),
        (4.0, "undamped", "divergent"),
        (4.1, "divergent", "divergent"),
    ],
)
def test_the_regime_changes_at_one_and_two_over_lambda(step_size, slow, fast):
    assert regimes(SURFACE, step_size) == (slow, fast)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = steepest_descent(SURFACE, step_size, [3.0, -7.0])
    assert run.measured_regimes == (slow, fast)
    assert run.confirmed
    assert run.divergent == ("divergent" in (slow, fast))


def test_prediction_and_run_agree_on_random_surfaces():
    rng = np.random.default_rng(0)
    met = set()
    for _ in range(200):
        m = int(rng.integers(1, 7))
        x = rng.normal(size=(m + 5, m)) * rng.uniform(0.3, 3, size=m)
        surface = QuadraticSurface.from_data(x, rng.normal(size=m + 5))
        eta = rng.uniform(0.02, 1.2) * surface.max_step_size
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run = steepest_descent(surface, eta, rng.normal(size=m), steps=60)
        assert run.confirmed, (run.regimes, run.measured_regimes)
        met |= {regime for regime in run.measured_regimes if regime}
    assert met >= {Regime.OVER_DAMPED, Regime.UNDER_DAMPED, Regime.DIVERGENT}


def test_each_mode_is_multiplied_by_one_minus_eta_lambda():
    run = steepest_descent(SURFACE, 0.8, [2.0, 1.0], steps=5)
    modes = (run.weights - SURFACE.minimizer) @ SURFACE.eigenvectors
    factors = damping_factors(SURFACE, 0.8)
    np.testing.assert_allclose(factors, [0.6, -0.2], rtol=1e-12)
    np.testing.assert_allclose(modes[1:], modes[:-1] * factors, atol=1e-12)


def test_a_mode_that_the_start_does_not_excite_is_not_measured():
    start = SURFACE.minimizer + 2 * SURFACE.eigenvectors[:, 0]
    run = steepest_descent(SURFACE, 0.8, start, steps=5)
    assert run.measured_regimes == ("over-damped", None)
    assert run.confirmed


def test_the_run_shrinks_at_the_predicted_rate():
    run = steepest_descent(SURFACE, 0.5, steps=40)
    assert run.rate == convergence_rate(SURFACE, 0.5) == pytest.approx(0.75)
    assert run.measured_rate == pytest.approx(0.75, rel=1e-6)


def test_the_best_step_has_the_rate_of_the_condition_number():
    eta = best_step_size(SURFACE)
    assert eta == pytest.approx(1.0)  # 2 / (0.5 + 1.5)
    assert convergence_rate(SURFACE, eta) == pytest.approx(0.5)  # (3 - 1) / (3 + 1)
    rates = [convergence_rate(SURFACE, s) for s in np.linspace(0.01, 1.33, 200)]
    assert min(rates) >= 0.5


def test_time_constants_are_those_of_the_exponentials():
    tau = time_constants(SURFACE, 0.8)
    np.testing.assert_allclose(np.exp(-1 / tau), [0.6, 0.2], rtol=1e-12)
    assert time_constants(SURFACE, 1.4)[1] == np.inf
    assert time_constants(SURFACE, 2.0)[0] == 0


@pytest.mark.parametrize(
    "step_size", [0, -0.1, float("nan"), float("inf"), "0.1", None]
)
def test_a_step_size_that_is_no_positive_number_is_refused(step_size):
    with pytest.raises(ValueError, match=r"`step_size` must be a positive, finite"):
        regimes(SURFACE, step_size)
