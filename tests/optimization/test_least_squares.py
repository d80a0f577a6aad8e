"""Tests of the neuron's error surface against finite differences and the quadratic."""

import numpy as np
import pytest
from scipy import optimize

from dlkeras.optimization import LeastSquares, NeuronSurface, QuadraticSurface

RNG = np.random.default_rng(0)
X, D = RNG.normal(size=(30, 2)), RNG.uniform(-0.9, 0.9, size=30)


@pytest.mark.parametrize("activation", ["linear", "sigmoid", "tanh", "relu"])
def test_gradient_jacobian_and_hessian_equal_finite_differences(activation):
    surface, w = NeuronSurface(X, D, activation), np.array([0.6, -0.9])
    slope = optimize.approx_fprime(w, surface.cost, 1e-7)
    np.testing.assert_allclose(surface.gradient(w), slope, atol=1e-6)
    rows = optimize.approx_fprime(w, surface.errors, 1e-7)
    np.testing.assert_allclose(surface.jacobian(w), rows, atol=1e-6)
    bend = optimize.approx_fprime(w, surface.gradient, 1e-7)
    np.testing.assert_allclose(surface.hessian(w), bend, atol=1e-6)


def test_a_linear_neurons_surface_is_the_quadratic_of_its_data():
    neuron, quadratic = NeuronSurface(X, D), QuadraticSurface.from_data(X, D)
    w = RNG.normal(size=(4, 5, 2))
    np.testing.assert_allclose(neuron.cost(w), quadratic.cost(w), rtol=1e-10)
    np.testing.assert_allclose(neuron.gradient(w), quadratic.gradient(w), atol=1e-12)
    np.testing.assert_allclose(neuron.hessian(w[0, 0]), quadratic.R, atol=1e-12)


def test_half_the_squared_errors_are_the_cost_and_their_gradient_agrees():
    surface, w = NeuronSurface(X, D, "tanh"), np.array([1.0, 2.0])
    around = LeastSquares(surface.errors, surface.jacobian)
    assert around.cost(w) == pytest.approx(surface.cost(w))
    np.testing.assert_allclose(around.gradient(w), surface.gradient(w), rtol=1e-12)


def test_a_saturated_neuron_has_a_plateau():
    surface = NeuronSurface(X, D, "tanh")
    assert np.linalg.norm(surface.gradient([300.0, 100.0])) < 1e-3
    linear = NeuronSurface(X, D)
    assert np.linalg.norm(linear.gradient([300.0, 100.0])) > 100


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match=r"must be one of .* Received: .*'swosh'"):
        NeuronSurface(X, D, "swosh")


def test_examples_without_their_desired_response_are_refused():
    with pytest.raises(ValueError, match=r"same number of examples"):
        NeuronSurface(X, D[:-1])
