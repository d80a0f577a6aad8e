"""Tests of the line searches: their conditions hold on scipy's functions."""

import numpy as np
import pytest
from scipy import optimize

from dlkeras.optimization import (
    LeastSquares,
    NeuronSurface,
    QuadraticSurface,
    armijo_line_search,
    exact_line_search,
    wolfe_line_search,
)


class Rosenbrock:
    """scipy's Rosenbrock function as a surface."""

    cost = staticmethod(optimize.rosen)
    gradient = staticmethod(optimize.rosen_der)


def test_the_exact_step_is_the_minimum_that_scipy_finds_along_the_line():
    surface = QuadraticSurface([[1, 0.5], [0.5, 1]], [0.5, 0.25])
    rng = np.random.default_rng(0)
    for w in rng.normal(size=(10, 2)):
        s = -surface.gradient(w)
        eta = exact_line_search(surface, w, s)
        found = optimize.minimize_scalar(
            lambda t, w=w, s=s: surface.cost(w + t * s), tol=1e-12
        )
        assert eta == pytest.approx(found.x, rel=1e-5)
        assert surface.gradient(w + eta * s) @ s == pytest.approx(0, abs=1e-10)


def test_armijos_condition_holds_and_twice_the_step_breaks_it():
    rng = np.random.default_rng(1)
    shrunk = 0
    for w in rng.normal(size=(50, 3)):
        s = -Rosenbrock.gradient(w)
        eta = armijo_line_search(Rosenbrock, w, s)
        allowed = Rosenbrock.cost(w) + 1e-4 * eta * (Rosenbrock.gradient(w) @ s)
        assert Rosenbrock.cost(w + eta * s) <= allowed
        if eta < 1:
            shrunk += 1
            allowed = Rosenbrock.cost(w) - 2e-4 * eta * (s @ s)
            assert Rosenbrock.cost(w + 2 * eta * s) > allowed
    assert shrunk > 25


@pytest.mark.parametrize("c2", [0.1, 0.9])
def test_the_strong_wolfe_conditions_hold_on_scipys_rosenbrock(c2):
    rng = np.random.default_rng(2)
    for w in rng.normal(size=(50, 3)):
        s = -Rosenbrock.gradient(w)
        slope = -(s @ s)
        eta = wolfe_line_search(Rosenbrock, w, s, c2=c2)
        after = w + eta * s
        assert Rosenbrock.cost(after) <= Rosenbrock.cost(w) + 1e-4 * eta * slope
        assert abs(Rosenbrock.gradient(after) @ s) <= c2 * abs(slope)


def test_on_a_parabola_c1_bounds_the_step_at_twice_one_minus_c1():
    # E along the line falls enough up to 2 (1 - c1) times the step to the bottom
    surface = QuadraticSurface.bowl((1, 0))
    w, s = np.zeros(2), np.array([1.0, 0.0])
    for search in (armijo_line_search, wolfe_line_search):
        options = {} if search is armijo_line_search else {"c2": 0.9}
        inside = search(surface, w, s, start=1.19, c1=0.4, **options)
        assert inside == 1.19
        assert search(surface, w, s, start=1.21, c1=0.4, **options) < 1.2


def test_wolfes_step_grows_where_the_first_try_is_far_too_short():
    surface = QuadraticSurface.bowl((5, 3), R=1e-6 * np.eye(2))
    w = np.zeros(2)
    eta = wolfe_line_search(surface, w, -surface.gradient(w))
    assert eta == pytest.approx(1e6, rel=0.1)


@pytest.mark.parametrize(
    "search", [exact_line_search, armijo_line_search, wolfe_line_search]
)
def test_a_direction_that_climbs_is_refused(search):
    surface = QuadraticSurface.bowl()
    with pytest.raises(ValueError, match="direction of descent"):
        search(surface, [0.0, 0.0], surface.gradient([0, 0]))


def test_the_exact_step_needs_a_quadratic():
    surface = NeuronSurface([[1.0, 0.0]], [0.5], "tanh")
    with pytest.raises(TypeError, match="QuadraticSurface"):
        exact_line_search(surface, [0, 0], [1, 0])


def test_a_gradient_of_another_cost_is_told_apart():
    class Liar:
        def cost(self, w):
            return float(w @ w)

        def gradient(self, w):
            return -w

    with pytest.raises(ArithmeticError, match="does the gradient belong to the cost"):
        armijo_line_search(Liar(), np.ones(2), np.ones(2))


def test_a_cost_without_a_floor_ends_wolfes_search():
    slide = LeastSquares(lambda w: w, lambda w: np.eye(1))

    class Slide:
        cost = staticmethod(lambda w: float(w[0]))
        gradient = staticmethod(lambda w: np.ones(1))

    with pytest.raises(ArithmeticError, match="no lower bound"):
        wolfe_line_search(Slide, np.zeros(1), -np.ones(1))
    assert wolfe_line_search(slide, np.ones(1), -np.ones(1)) == pytest.approx(1)


def test_wolfes_constants_out_of_order_are_refused():
    with pytest.raises(ValueError, match="0 < c1 < c2 < 1"):
        wolfe_line_search(Rosenbrock, np.zeros(2), np.ones(2), c1=0.5, c2=0.1)
