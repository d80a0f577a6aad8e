"""Tests of the activations' derivatives against calculus and scipy."""

import keras
import numpy as np
import pytest
from scipy import special

from dlkeras.optimization import activation

V = np.linspace(-6, 6, 48).reshape(8, 6)
SIGNAL = np.random.default_rng(0).normal(scale=1e-3, size=V.shape)


@pytest.mark.parametrize("name", sorted(activation.ACTIVATIONS))
def test_slope_and_curvature_equal_central_differences(name):
    phi, v, h = activation.ACTIVATIONS[name], V + 0.01, 1e-5
    slope = (phi.phi(v + h) - phi.phi(v - h)) / (2 * h)
    np.testing.assert_allclose(phi.slope(v, phi.phi(v)), slope, atol=1e-9)

    def slope_at(u):
        return phi.slope(u, phi.phi(u))

    bend = (slope_at(v + h) - slope_at(v - h)) / (2 * h)
    np.testing.assert_allclose(phi.curvature(v, phi.phi(v)), bend, atol=1e-9)


@pytest.mark.parametrize("name", sorted(activation.ACTIVATIONS))
def test_the_hand_written_activation_is_keras_s(name):
    ours = activation.ACTIVATIONS[name].phi(V)
    keras_s = getattr(keras.activations, name)(keras.ops.convert_to_tensor(V))
    np.testing.assert_allclose(ours, keras.ops.convert_to_numpy(keras_s), atol=1e-6)


def test_the_logistic_function_is_exact_at_both_ends_without_overflow():
    v = np.array([-1000.0, -50, 0, 50, 1000])
    phi = activation.ACTIVATIONS["sigmoid"].phi
    np.testing.assert_allclose(phi(v), special.expit(v), rtol=1e-15)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_any_function_is_differentiated_under_any_dtype_policy(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        found = activation.backward(keras.activations.softplus, V, V, SIGNAL)
    finally:
        keras.config.set_dtype_policy(before)
    np.testing.assert_allclose(found, SIGNAL * special.expit(V), rtol=1e-5, atol=1e-12)


def test_softmax_sends_back_its_transposed_jacobian():
    y = special.softmax(V, axis=-1)
    found = activation.backward(keras.activations.softmax, V, y, SIGNAL)
    for row, signal, answer in zip(y, SIGNAL, found, strict=True):
        jacobian = np.diag(row) - np.outer(row, row)
        np.testing.assert_allclose(answer, jacobian.T @ signal, atol=1e-15)
