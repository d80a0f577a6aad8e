"""The theory of the LMS filter: numbers by hand, and ensembles of filters that ran."""

import keras
import numpy as np
import pytest

from dlkeras.layers import LMSFilter
from dlkeras.optimization import lms_theory

# The lecture's two-tap problem, worked by hand:
# lambda = 1 -+ 1/2, w* = (1/2, 0), Jmin = 1 - 1/4, mu_max = 2 / 1.5.
CORRELATION = [[1.0, 0.5], [0.5, 1.0]]
CROSS = [0.5, 0.25]


def test_the_two_tap_problem_has_the_values_of_the_hand_calculation():
    theory = lms_theory(CORRELATION, CROSS, 0.8)
    np.testing.assert_allclose(theory.eigenvalues, [0.5, 1.5], rtol=1e-14)
    np.testing.assert_allclose(theory.wiener_solution, [0.5, 0.0], atol=1e-15)
    assert theory.minimum_error == pytest.approx(0.75, rel=1e-14)
    assert theory.max_step_size_mean == pytest.approx(4 / 3, rel=1e-14)
    # lambda 0.5: -1/ln(0.6); lambda 1.5: -1/ln(0.2)
    np.testing.assert_allclose(theory.time_constants, [1.957615, 0.621335], rtol=1e-6)


def test_steepest_descent_at_mu_0_8_gives_the_hand_calculated_errors():
    curve = lms_theory(CORRELATION, CROSS, 0.8).steepest_descent_curve(4)
    np.testing.assert_allclose(curve, [1, 0.78, 0.7584, 0.752928], rtol=1e-12)


def test_steepest_descent_at_mu_1_4_diverges_and_is_called_unstable():
    theory = lms_theory(CORRELATION, CROSS, 1.4)
    curve = theory.steepest_descent_curve(200)
    assert not theory.stable_in_the_mean
    assert curve[-1] > 1e6


def test_the_mean_curve_is_the_recursion_of_steepest_descent():
    theory = lms_theory(CORRELATION, CROSS, 0.3)
    weights = np.array([1.0, -2.0])
    for predicted in theory.mean_curve(20, initial_weights=[1, -2]):
        np.testing.assert_allclose(predicted, weights, atol=1e-12)
        weights = weights + 0.3 * (np.array(CROSS) - np.array(CORRELATION) @ weights)


def test_white_input_with_8_taps_has_bound_a_fifth_and_misadjustment_4_15ths():
    # gamma = 8 mu / (2 (1 - mu)): 1 at mu = 1/5; 0.4/1.9 at mu = 0.05, and
    # (4/19) / (15/19) = 0.2667, where the small-step formula mu tr(R) / 2 says 0.2
    theory = lms_theory(np.eye(8), np.zeros(8), 0.05)
    assert theory.max_step_size == pytest.approx(0.2, rel=1e-12)
    assert theory.max_step_size_mean == pytest.approx(2.0)
    assert theory.misadjustment == pytest.approx(4 / 15, rel=1e-12)
    assert theory.excess_error == pytest.approx(4 / 15, rel=1e-12)
    assert lms_theory(np.eye(8), np.zeros(8), 0.199).stable
    assert not lms_theory(np.eye(8), np.zeros(8), 0.201).stable
    assert lms_theory(np.eye(8), np.zeros(8), 0.201).misadjustment == float("inf")


def test_the_learning_curve_settles_at_jmin_plus_excess_error():
    theory = lms_theory(CORRELATION, CROSS, 0.2)
    settled = theory.learning_curve(2000)[-1]
    assert settled == pytest.approx(theory.minimum_error + theory.excess_error)


def ensemble(correlation, unknown, noise, step, steps, runs, seed):
    """Squared errors and weights of `runs` filters on Gaussian regressors."""
    rng = np.random.default_rng(seed)
    taps = len(unknown)
    root = np.linalg.cholesky(correlation)
    regressors = rng.normal(size=(runs, steps, taps)) @ root.T
    desired = regressors @ unknown + noise * rng.normal(size=(runs, steps))
    layer = LMSFilter(taps, step, input_type="regressors", return_weights=True)
    outputs = layer(regressors.astype("float32"), desired.astype("float32"))
    _, error, weights = (keras.ops.convert_to_numpy(output) for output in outputs)
    return error.astype("float64") ** 2, weights.astype("float64")


def test_200_runs_follow_the_predicted_learning_curve_within_99_percent_bands():
    unknown = np.array([0.5, 0.0])
    squared, weights = ensemble(
        np.array(CORRELATION), unknown, np.sqrt(0.75), 0.1, 150, 200, seed=1
    )
    theory = lms_theory(CORRELATION, CROSS, 0.1)
    for values, predicted in (
        (squared, theory.learning_curve(150)),
        (weights.reshape(200, -1), theory.mean_curve(150).reshape(-1)),
    ):
        spread = values.std(axis=0, ddof=1) / np.sqrt(200)
        outside = np.abs(values.mean(axis=0) - predicted) > 2.576 * spread + 1e-12
        # 1 % may be outside by chance; five times that, as neighbours are correlated
        assert outside.mean() < 0.05


def test_200_runs_show_the_exact_misadjustment_and_not_the_small_step_formula():
    squared, _ = ensemble(np.eye(8), np.arange(8) / 8, 1.0, 0.05, 600, 200, seed=2)
    settled = squared[:, 300:].mean(axis=1)  # one independent number a run
    band = 2.576 * settled.std(ddof=1) / np.sqrt(200)
    assert abs(settled.mean() - (1 + 4 / 15)) < band
    assert abs(settled.mean() - 1.2) > band


@pytest.mark.filterwarnings("ignore:LMSFilter:RuntimeWarning")
def test_runs_above_the_mean_square_bound_run_away_and_below_it_do_not():
    def last(step):
        squared, _ = ensemble(np.eye(8), np.ones(8), 0.1, step, 400, 50, seed=3)
        return squared[:, -50:].mean()

    assert last(0.9 * 0.2) < 1.0
    with pytest.raises(FloatingPointError):
        last(2 * 0.2)


def test_a_desired_response_that_is_explained_whole_has_no_minimum_error():
    # R^-1 p = (10/3, 10/3) and p.w* = 100/3: no power was given, so it is that
    theory = lms_theory(CORRELATION, [5, 5], 0.1)
    np.testing.assert_allclose(theory.wiener_solution, [10 / 3, 10 / 3])
    assert theory.desired_power == pytest.approx(100 / 3)
    assert theory.minimum_error == theory.excess_error == 0


def test_a_complex_problem_has_the_values_of_the_hand_calculation():
    # [[1, j/2], [-j/2, 1]]: lambda = 1/2 and 3/2; R^-1 = [[1, -j/2], [j/2, 1]] 4/3,
    # so p = (1/2, -j/4) gives w* = (1/2, 0), and p^H w* = 1/4
    theory = lms_theory([[1, 0.5j], [-0.5j, 1]], [0.5, -0.25j], 0.4)
    np.testing.assert_allclose(theory.eigenvalues, [0.5, 1.5], rtol=1e-14)
    np.testing.assert_allclose(theory.wiener_solution, [0.5, 0.0], atol=1e-15)
    assert theory.minimum_error == pytest.approx(0.75, rel=1e-14)
    # gamma = 0.2 / 1.8 + 0.6 / 1.4
    assert theory.gamma == pytest.approx(1 / 9 + 3 / 7)
    assert theory.learning_curve(3000)[-1] == pytest.approx(0.75 / (1 - 1 / 9 - 3 / 7))
    weights = np.zeros(2, complex)
    for predicted in theory.mean_curve(10):
        np.testing.assert_allclose(predicted, weights, atol=1e-14)
        residual = theory.cross_correlation - theory.correlation @ weights
        weights = weights + 0.4 * residual


def test_white_complex_input_of_8_taps_has_bound_2_ninths():
    # 8 mu / (2 - mu) = 1
    theory = lms_theory(np.eye(8, dtype=complex), np.zeros(8), 0.05)
    assert theory.max_step_size == pytest.approx(2 / 9, rel=1e-12)


def test_200_complex_runs_follow_the_predicted_learning_curve():
    rng = np.random.default_rng(6)
    correlation = np.array([[1, 0.5j], [-0.5j, 1]])
    unknown = np.array([0.5, 0.0])
    runs, steps = 200, 100

    def circular(*shape):
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2)

    regressors = circular(runs, steps, 2) @ np.linalg.cholesky(correlation).T
    desired = regressors @ unknown.conj() + np.sqrt(0.75) * circular(runs, steps)
    layer = LMSFilter(2, 0.2, input_type="regressors", complex_valued=True)
    error = keras.ops.convert_to_numpy(
        layer(regressors.astype("complex64"), desired.astype("complex64"))[1]
    )
    squared = np.abs(error) ** 2
    predicted = lms_theory(correlation, correlation @ unknown, 0.2).learning_curve(
        steps
    )
    spread = squared.std(axis=0, ddof=1) / np.sqrt(runs)
    outside = np.abs(squared.mean(axis=0) - predicted) > 2.576 * spread
    assert outside.mean() < 0.05


def test_dense_trained_by_sgd_at_half_mu_is_the_same_filter():
    # d(e^2)/dw = -2 e x: plain SGD on MSE moves twice as far as w += mu e x
    rng = np.random.default_rng(4)
    regressors = rng.normal(size=(60, 4)).astype("float32")
    desired = rng.normal(size=60).astype("float32")
    layer = LMSFilter(4, 0.05, input_type="regressors", return_weights=True)
    outputs = layer(regressors[None], desired[None])
    _, error, weights = (keras.ops.convert_to_numpy(output)[0] for output in outputs)

    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((4,)), dense])
    model.compile(keras.optimizers.SGD(0.05 / 2), "mse")
    for n in range(60):
        kernel = dense.get_weights()[0][:, 0]
        np.testing.assert_allclose(kernel, weights[n], atol=1e-6)
        loss = model.train_on_batch(regressors[n : n + 1], desired[n : n + 1, None])
        assert float(np.asarray(loss)) == pytest.approx(
            error[n] ** 2, rel=1e-6, abs=1e-6
        )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([[1, 0]], [1], 0.1), "R of shape"),
        (([[1, 0.5], [0, 1]], [0, 0], 0.1), "symmetric"),
        (([[1, 1], [1, 1]], [0, 0], 0.1), "positive definite"),
        ((CORRELATION, CROSS, 0), "step_size"),
        ((CORRELATION, CROSS, float("nan")), "step_size"),
        ((CORRELATION, CROSS, [0.1, 0.2]), "step_size to be one real number"),
        ((CORRELATION, [5, 5], 0.1, 1.0), "desired_power"),
        (([[1, 0.5j], [0.5j, 1]], [0, 0], 0.1), "Hermitian"),
    ],
    ids=str,
)
def test_an_argument_that_cannot_be_is_refused(arguments, words):
    with pytest.raises(ValueError, match=f"lms_theory expects.*{words}.*Received"):
        lms_theory(*arguments)


def delay_line_errors(taps, step, seeds, time=20_000):
    """LMS on white delay lines, one a column, as a float64 loop: squared errors."""
    signal = np.random.default_rng(0).normal(size=(time + taps, seeds))
    noise = 0.1 * np.random.default_rng(1).normal(size=(time, seeds))
    weights, squared = np.ones((taps, seeds)), np.empty((time, seeds))
    with np.errstate(over="ignore", invalid="ignore"):
        for n in range(time):
            frame = signal[n : n + taps]
            error = noise[n] - (weights * frame).sum(axis=0)
            weights += step * error * frame
            squared[n] = error**2
    return squared


def test_a_delay_line_runs_away_below_the_bound_of_independent_regressors():
    """12 taps of white noise: Feuer and Weinstein's bound holds, the exact one not."""
    theory = lms_theory(np.eye(12), np.zeros(12), 0.135)
    assert theory.max_step_size == pytest.approx(2 / 14)
    assert theory.safe_step_size == pytest.approx(2 / 36)
    assert theory.stable
    assert not theory.safe
    wild = delay_line_errors(12, 0.135, 40)
    assert (~np.isfinite(wild) | (wild > 1e4)).any(axis=0).any()
    safe = delay_line_errors(12, theory.safe_step_size, 40)
    settled = safe[2000:].mean()
    predicted = lms_theory(np.eye(12), np.zeros(12), theory.safe_step_size)
    # gamma = 12 mu / (2 (1 - mu)) = 6/17, misadjustment 6/11: 0.01 (1 + 6/11)
    assert settled == pytest.approx(0.01 * 17 / 11, rel=0.15)
    assert predicted.misadjustment == pytest.approx(6 / 11)


def test_haykins_equaliser_at_0_075_is_beyond_the_safe_step():
    """Adaptive Filter Theory, section 6.8: W = 3.5, 11 taps, spread 46.8216."""
    channel = 0.5 * (1 + np.cos(2 * np.pi / 3.5 * (np.arange(1, 4) - 2)))
    r = np.correlate(channel, channel, "full")[2:] + np.array([0.001, 0, 0])
    lags = np.abs(np.subtract.outer(np.arange(11), np.arange(11)))
    R = np.where(lags < 3, np.append(r, np.zeros(8))[lags], 0.0)
    p = np.zeros(11)
    p[4:7] = channel  # the delay of 7 samples, in the middle
    theory = lms_theory(R, p, 0.075, desired_power=1.0)
    assert theory.eigenvalues[-1] / theory.eigenvalues[0] == pytest.approx(46.8216)
    assert theory.stable
    assert not theory.safe
    assert theory.safe_step_size == pytest.approx(2 / (3 * 11 * r[0]))
