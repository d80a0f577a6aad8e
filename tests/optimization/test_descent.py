"""Tests of the descents against hand calculation and scipy."""

import warnings

import numpy as np
import pytest
from scipy import optimize, sparse

from dlkeras.optimization import (
    LeastSquares,
    NeuronSurface,
    QuadraticSurface,
    armijo_line_search,
    conjugate_gradient,
    exact_line_search,
    gauss_newton,
    newton,
    steepest_descent,
    wolfe_line_search,
)

SURFACE = QuadraticSurface([[1, 0.5], [0.5, 1]], [0.5, 0.25], sigma_d2=1)


def rosenbrock():
    return LeastSquares(
        lambda w: np.array([10 * (w[1] - w[0] ** 2), 1 - w[0]]),
        lambda w: np.array([[-20 * w[0], 10.0], [-1.0, 0.0]]),
    )


def random_surface(m, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3 * m, m)) * np.linspace(0.5, 2, m)
    return QuadraticSurface.from_data(x, rng.normal(size=3 * m))


def test_step_0_8_gives_the_issues_learning_curve():
    run = steepest_descent(SURFACE, 0.8, steps=3)
    np.testing.assert_allclose(
        run.mean_square_error, [1, 0.78, 0.7584, 0.752928], rtol=1e-14
    )
    np.testing.assert_allclose(run.weights[1], [0.4, 0.2], rtol=1e-14)


def test_every_correction_is_minus_eta_times_the_gradient():
    run = steepest_descent(SURFACE, 0.3, [1.0, -2.0], steps=8)
    for before, after in zip(run.weights[:-1], run.weights[1:], strict=True):
        np.testing.assert_allclose(after - before, -0.3 * SURFACE.gradient(before))


def test_step_1_4_diverges_and_the_warning_names_the_bound():
    with pytest.warns(UserWarning, match=r"below 2 / lambda_max = 1\.33333.*=1\.4"):
        run = steepest_descent(SURFACE, 1.4, steps=60)
    assert run.divergent and not run.converged
    assert run.regimes == ("over-damped", "divergent")
    assert run.cost[-1] > run.cost[0]


def test_a_step_below_the_bound_warns_nothing_and_the_cost_falls_every_time():
    run = steepest_descent(SURFACE, 1.33, steps=30)
    assert np.all(np.diff(run.cost) < 0)  # eq. (3.10)
    assert not run.divergent


def test_a_run_that_overflows_ends_with_finite_numbers():
    with pytest.warns(UserWarning, match="lambda_max"):
        run = steepest_descent(SURFACE, 1e3, steps=1000)
    assert run.divergent
    assert run.iterations < 1000
    assert np.isfinite(run.cost).all() and np.isfinite(run.weights).all()


def test_a_divergent_step_is_divergent_even_from_the_minimum():
    with pytest.warns(UserWarning, match="lambda_max"):
        run = steepest_descent(SURFACE, 1.4, SURFACE.minimizer)
    assert run.divergent and run.iterations == 0


def test_exact_line_search_converges_within_kantorovichs_bound():
    run = steepest_descent(SURFACE, exact_line_search, [10.0, -3.0], steps=200)
    assert run.converged
    excess = run.cost - SURFACE.minimum_error / 2
    bound = ((3 - 1) / (3 + 1)) ** 2  # ((kappa - 1) / (kappa + 1))^2
    assert np.all(excess[1:10] <= bound * excess[:9] * (1 + 1e-9))


def test_newton_is_there_after_one_step_on_any_quadratic():
    for m in (1, 2, 5, 20):
        surface = random_surface(m, seed=m)
        run = newton(surface, np.full(m, 7.0))
        assert run.iterations == 1 and run.converged
        np.testing.assert_allclose(run.final_weights, surface.minimizer, atol=1e-10)


def test_newton_converges_quadratically_on_a_bent_surface():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 2))
    surface = NeuronSurface(x, np.tanh(x @ [0.8, -0.4]), "tanh")
    run = newton(surface, [0.4, -0.1], tolerance=1e-14)
    distance = np.linalg.norm(run.weights - [0.8, -0.4], axis=1)
    assert run.converged
    late = distance[distance > 1e-7][-2:]
    assert late[1] < 10 * late[0] ** 2


def test_newton_refuses_a_hessian_that_is_not_positive_definite():
    surface = NeuronSurface([[1.0, 0.0], [0.0, 1.0]], [0.9, 0.9], "tanh")
    with pytest.raises(ValueError, match=r"positive definite Hessian .* at w="):
        newton(surface, [-3.0, -3.0])


def test_gauss_newton_finds_what_scipys_least_squares_finds():
    rng = np.random.default_rng(1)
    t = np.linspace(0, 3, 25)
    d = 2.5 * np.exp(-1.3 * t) + rng.normal(scale=0.01, size=25)

    def errors(w):
        return d - w[0] * np.exp(-w[1] * t)

    def jacobian(w):
        return np.stack([-np.exp(-w[1] * t), w[0] * t * np.exp(-w[1] * t)], 1)

    run = gauss_newton(LeastSquares(errors, jacobian), [2.0, 1.0])
    reference = optimize.least_squares(errors, [2.0, 1.0], jacobian, xtol=1e-14)
    assert run.converged
    np.testing.assert_allclose(run.final_weights, reference.x, rtol=1e-7)


def test_gauss_newton_is_newton_on_a_linear_neuron():
    rng = np.random.default_rng(2)
    x, d = rng.normal(size=(20, 2)), rng.normal(size=20)
    run = gauss_newton(NeuronSurface(x, d))
    assert run.iterations == 1
    np.testing.assert_allclose(
        run.final_weights, np.linalg.lstsq(x, d, rcond=None)[0], rtol=1e-10
    )


def test_one_gauss_newton_step_is_the_normal_equations_with_delta():
    surface, w, delta = rosenbrock(), np.array([-1.2, 1.0]), 0.5
    J, e = surface.jacobian(w), surface.errors(w)
    by_hand = w - np.linalg.inv(J.T @ J + delta * np.eye(2)) @ J.T @ e
    run = gauss_newton(surface, w, delta=delta, steps=1)
    np.testing.assert_allclose(run.final_weights, by_hand, rtol=1e-12)


def test_gauss_newton_refuses_a_singular_jacobian_without_delta():
    surface = NeuronSurface([[1.0, 1.0], [2.0, 2.0]], [1.0, 3.0])
    with pytest.raises(ValueError, match="rank 1 for 2 weights"):
        gauss_newton(surface)
    assert gauss_newton(surface, delta=1e-3, steps=500).converged


@pytest.mark.parametrize("m", [2, 5, 12])
def test_conjugate_gradient_is_there_after_m_steps_as_scipys(m):
    surface = random_surface(m, seed=m)
    run = conjugate_gradient(surface, tolerance=1e-8)
    assert run.iterations <= m
    reference, code = sparse.linalg.cg(surface.R, surface.p, rtol=1e-12)
    assert code == 0
    np.testing.assert_allclose(run.final_weights, reference, atol=1e-6)
    directions = np.diff(run.weights, axis=0)
    products = directions @ surface.R @ directions.T
    scale = np.sqrt(np.outer(np.diag(products), np.diag(products)))
    assert np.abs(products / scale - np.eye(len(products))).max() < 1e-6


def test_conjugate_gradient_finds_rosenbrocks_minimum():
    run = conjugate_gradient(rosenbrock(), [-1.2, 1.0], steps=500)
    assert run.converged
    np.testing.assert_allclose(run.final_weights, [1, 1], atol=1e-6)


@pytest.mark.parametrize("search", [armijo_line_search, wolfe_line_search])
def test_steepest_descent_with_a_line_search_never_climbs(search):
    run = steepest_descent(rosenbrock(), search, [-1.2, 1.0], steps=50)
    assert np.all(np.diff(run.cost) <= 0)
    assert run.cost[-1] < 0.2 * run.cost[0]
    assert run.regimes is None and run.confirmed is None


def test_newton_with_a_line_search_goes_down_where_the_full_step_goes_up():
    # sqrt(1 + w^2): the full step from |w| > 1 overshoots to -w^3
    class Hyperbola:
        def cost(self, w):
            return float(np.sqrt(1 + w @ w))

        def gradient(self, w):
            return w / np.sqrt(1 + w @ w)

        def hessian(self, w):
            return np.eye(1) * (1 + w @ w) ** -1.5

    full = newton(Hyperbola(), [2.0], steps=3)
    np.testing.assert_allclose(full.weights[:3, 0], [2, -8, 512], rtol=1e-9)
    assert full.divergent and not full.converged
    damped = newton(Hyperbola(), [2.0], step_size=armijo_line_search)
    assert damped.converged and not damped.divergent


def test_the_result_is_frozen():
    run = steepest_descent(SURFACE, 0.5, steps=2)
    with pytest.raises(AttributeError):
        run.cost = None
    with pytest.raises(ValueError, match="read-only"):
        run.weights[0] = 1


@pytest.mark.parametrize("step_size", [0, -1.0, float("nan"), float("inf")])
def test_a_bad_step_size_is_refused_by_every_descent(step_size):
    for run in (
        lambda: steepest_descent(SURFACE, step_size),
        lambda: newton(SURFACE, step_size=step_size),
        lambda: gauss_newton(SURFACE, step_size=step_size),
        lambda: steepest_descent(rosenbrock(), step_size, [0, 0]),
    ):
        with pytest.raises(ValueError, match=r"`step_size` must be .* Received: step_"):
            run()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": [0, float("nan")]}, "`start` must be finite"),
        ({"start": [1, 2, 3]}, "axis of 2 weights"),
        ({"start": [[0, 0]]}, "`start` must have 1 axes"),
        ({"steps": 0}, "`steps` must be a positive int. Received: steps=0"),
        ({"tolerance": float("nan")}, "`tolerance` must not be negative"),
        ({"steps": 2.5}, "`steps` must be a positive int"),
    ],
)
def test_a_bad_start_or_count_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        steepest_descent(SURFACE, 0.1, **arguments)


def test_a_surface_without_a_size_needs_a_start():
    with pytest.raises(ValueError, match="`start` must be given"):
        steepest_descent(rosenbrock(), 0.1)


def test_a_surface_without_what_a_method_needs_is_refused():
    with pytest.raises(TypeError, match=r"cost, gradient, hessian.* without hessian"):
        newton(rosenbrock(), [0, 0])
    with pytest.raises(TypeError, match="without cost, gradient, errors, jacobian"):
        gauss_newton(lambda w: w @ w, [0, 0])
    with pytest.raises(TypeError, match="without cost, gradient"):
        steepest_descent(None, 0.1)


def test_conjugate_gradient_refuses_a_constant_step():
    with pytest.raises(ValueError, match=r"must be a line search.* step_size=0.1"):
        conjugate_gradient(SURFACE, step_size=0.1)


def test_a_negative_delta_is_refused():
    with pytest.raises(ValueError, match=r"Received: delta=-1"):
        gauss_newton(SURFACE, delta=-1)


def test_a_convergent_run_raises_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert steepest_descent(SURFACE, 1.0).converged


def test_newton_says_that_it_has_converged_in_a_valley_of_condition_1e10():
    # R = Q diag(1e-10, ..., 1) Q' and p = R w*, with an exact w* of large entries
    rng = np.random.default_rng(0)
    for size in (2, 5, 20):
        Q, _ = np.linalg.qr(rng.normal(size=(size, size)))
        R = Q @ np.diag(np.logspace(-10, 0, size)) @ Q.T
        surface = QuadraticSurface((R + R.T) / 2, rng.normal(size=size))
        assert surface.condition_number == pytest.approx(1e10, rel=1e-4)
        run = newton(surface)
        assert run.converged
        assert run.iterations <= 2
        assert surface.is_optimal(surface.minimizer)
        assert not surface.is_optimal(surface.minimizer + 1e-3 * rng.normal(size=size))


def test_conjugate_gradients_need_m_iterations_and_more_in_a_long_valley():
    rng = np.random.default_rng(1)
    Q, _ = np.linalg.qr(rng.normal(size=(12, 12)))
    taken = []
    for least in (0.1, 1e-6):
        R = Q @ np.diag(np.geomspace(least, 1, 12)) @ Q.T
        surface = QuadraticSurface((R + R.T) / 2, rng.normal(size=12))
        run = conjugate_gradient(surface, steps=1000)
        assert run.converged
        taken.append(run.iterations)
    assert taken[0] <= 12 < taken[1]
