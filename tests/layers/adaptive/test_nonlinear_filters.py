"""Volterra and kernel LMS filters beside loops of their papers, in float64."""

import contextlib
import itertools
import json

import keras
import numpy as np
import pytest

from dlkeras.layers import KernelLMSFilter, LMSFilter, VolterraFilter


def volterra_loop(x, d, taps, mu, mu_2):
    """Koh and Powers: the error, the linear and the quadratic kernel."""
    weights, kernel = np.zeros(taps), np.zeros((taps, taps))
    padded, errors = np.concatenate([np.zeros(taps - 1), x]), []
    for n, wanted in enumerate(d):
        frame = padded[n : n + taps][::-1]
        products = np.triu(np.outer(frame, frame))
        errors.append(wanted - weights @ frame - np.sum(kernel * products))
        weights = weights + mu * errors[-1] * frame
        kernel = kernel + mu_2 * errors[-1] * products
    return np.array(errors), weights, kernel


def kernel_loop(x, d, taps, mu, size, radius, budget):
    """Chen et al.'s algorithm 1, and a codebook that is full: errors and codebook."""
    centers, coefficients, errors = [], [], []
    padded = np.concatenate([np.zeros(taps - 1), x])
    for n, wanted in enumerate(d):
        frame = padded[n : n + taps][::-1]
        apart = np.array([np.linalg.norm(frame - c) for c in centers])
        kernel = np.exp(-(apart**2) / (2 * size**2))
        errors.append(wanted - np.dot(coefficients, kernel))
        if len(centers) and (apart.min() <= radius or len(centers) == budget):
            coefficients[apart.argmin()] += mu * errors[-1]
        else:
            centers.append(frame)
            coefficients.append(mu * errors[-1])
    return np.array(errors), np.array(centers), np.array(coefficients)


@contextlib.contextmanager
def wide_floats():
    """Where float64 is what it says, which JAX has to be told."""
    if keras.backend.backend() != "jax":
        yield
        return
    import jax

    with jax.enable_x64(True):
        yield


def in_chunks(layer, x, d, ends=(0, 7, 40, 90)):
    parts = [
        keras.ops.convert_to_numpy(layer(x[None, a:b], d[None, a:b])[1])[0]
        for a, b in itertools.pairwise(ends)
    ]
    return np.concatenate(parts)


def test_volterra_is_the_papers_loop_to_twelve_digits_and_streams():
    x, d = np.random.default_rng(0).normal(size=(2, 90))
    expected, weights, kernel = volterra_loop(x, d, 3, 0.02, 0.01)
    with wide_floats():
        layer = VolterraFilter(
            3, 0.02, quadratic_step_size=0.01, stateful=True, dtype="float64"
        )
        found = in_chunks(layer, x, d)
        np.testing.assert_allclose(layer.filter_weights[0], weights, rtol=1e-11)
        np.testing.assert_allclose(layer.quadratic_weights[0], kernel, rtol=1e-11)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)
    again = VolterraFilter.from_config(json.loads(json.dumps(layer.get_config())))
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize(("radius", "budget"), [(0.0, 100), (0.8, 100), (0.8, 6)])
def test_kernel_lms_is_the_papers_loop_to_twelve_digits_and_streams(radius, budget):
    x, d = np.random.default_rng(1).normal(size=(2, 90))
    expected, centers, coefficients = kernel_loop(x, d, 2, 0.4, 0.9, radius, budget)
    with wide_floats():
        layer = KernelLMSFilter(
            2, 0.4, kernel_size=0.9, quantization=radius, budget=budget,
            stateful=True, dtype="float64",
        )  # fmt: skip
        found = in_chunks(layer, x, d)
        ((mine, learned),) = layer.codebook
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(mine, centers, rtol=1e-15)
    np.testing.assert_allclose(learned, coefficients, rtol=1e-10, atol=1e-12)
    assert (len(mine) == 90) == (radius == 0) and (len(mine) == 6) == (budget == 6)
    again = KernelLMSFilter.from_config(json.loads(json.dumps(layer.get_config())))
    assert again.get_config() == layer.get_config()


def test_the_volterra_filters_excess_error_is_mu_tr_r_over_two():
    """LMS of small steps, of Gaussian samples (R = I) and their products.

    A square has the power 3, a product of two samples 1: tr R = 2 + 3 + 1 + 3.
    """
    rng = np.random.default_rng(2)
    x, noise = rng.normal(size=(2, 300, 1600))
    d = 0.5 * x + 0.1 * noise
    d[:, 1:] += 0.2 * x[:, 1:] * x[:, :-1]
    mu, pair = 0.005, (x.astype("float32"), d.astype("float32"))
    error = keras.ops.convert_to_numpy(VolterraFilter(2, mu)(*pair)[1])
    excess = np.mean((error / 0.1 - noise)[:, 1300:] ** 2)
    assert excess == pytest.approx(mu * 9 / 2, rel=0.15)  # of first order in mu


def test_the_kernel_filters_excess_error_is_that_of_energy_conservation():
    """Chen et al., the limit of small quantization: mu s^2 / (2 - mu)."""
    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, size=(50, 500)).astype("float32")
    noise = 0.1 * rng.normal(size=x.shape)
    d = (np.sin(3 * x) + noise).astype("float32")
    layer = KernelLMSFilter(1, 0.5, kernel_size=0.15, quantization=0.03, budget=50)
    error = keras.ops.convert_to_numpy(layer(x, d)[1])[:, 250:] - noise[:, 250:]
    excess = np.mean(error.astype("float64") ** 2)
    assert excess == pytest.approx(0.5 * 0.01 / (2 - 0.5), rel=0.1)


def test_a_loudspeakers_distortion_is_removed_where_a_linear_filter_leaves_it():
    rng = np.random.default_rng(4)
    x = rng.normal(size=4000).astype("float32")
    distorted = x + 0.2 * x**2
    echo = np.convolve(distorted, [0.6, -0.3, 0.1])[:4000].astype("float32")

    def left(layer):
        error = keras.ops.convert_to_numpy(layer(x, echo)[1])[-500:]
        return 10 * np.log10(np.mean(error**2) / np.mean(echo[-500:] ** 2))

    assert left(VolterraFilter(3, 0.02)) < -60
    assert left(LMSFilter(3, 0.02)) > -10


def test_chaos_that_a_linear_filter_cannot_predict():
    x = [0.4]
    for _ in range(1500):
        x.append(3.8 * x[-1] * (1 - x[-1]))
    x = np.array(x, "float32") - 0.6

    def left(layer):
        error = keras.ops.convert_to_numpy(layer(x[:-1], x[1:])[1])[-300:]
        return 10 * np.log10(np.mean(error**2) / np.mean(x**2))

    kernel = KernelLMSFilter(1, 0.5, kernel_size=0.2, quantization=0.02, budget=40)
    assert left(kernel) < -25
    assert left(LMSFilter(1, 0.5, algorithm="nlms")) > -12


@pytest.mark.parametrize(
    ("layer", "options", "words"),
    [
        (VolterraFilter, {"step_size": 0}, "to be positive and finite.*step_size=0"),
        (VolterraFilter, {"quadratic_step_size": -1}, "quadratic_step_size"),
        (VolterraFilter, {"complex_valued": True}, "real signals"),
        (KernelLMSFilter, {"kernel_size": 0}, "kernel_size to be positive"),
        (KernelLMSFilter, {"quantization": -1}, "quantization >= 0"),
        (KernelLMSFilter, {"budget": 0}, "budget of at least 1"),
        (KernelLMSFilter, {"return_weights": True}, "no return_weights"),
    ],
)
def test_an_argument_out_of_range_is_refused_by_name(layer, options, words):
    with pytest.raises(ValueError, match=words):
        layer(3, **options)


def test_what_a_filter_learned_is_read_from_one_that_keeps_it():
    with pytest.raises(ValueError, match="stateful=True"):
        _ = VolterraFilter(2).quadratic_weights
    with pytest.raises(ValueError, match="stateful=True"):
        _ = KernelLMSFilter(2).codebook
