"""The normalised filters and least squares do the same at any amplitude."""

import keras
import numpy as np
import pytest

from dlkeras.layers import AffineProjectionFilter, LMSFilter, RLSFilter

FILTERS = {
    "nlms": lambda **k: LMSFilter(16, 0.5, algorithm="nlms", **k),
    "affine projection": lambda **k: AffineProjectionFilter(16, 0.5, order=2, **k),
    "rls": lambda **k: RLSFilter(16, 0.99, **k),
    "inverse qr": lambda **k: RLSFilter(16, 0.99, form="inverse_qr", **k),
}


def misalignment(make, amplitude, **options):
    """Of a white signal through 16 taps, in decibels, after 600 samples."""
    rng = np.random.default_rng(0)
    signal, system = rng.normal(size=600), rng.normal(size=16)
    signal = (amplitude * signal).astype("float32")[None]
    desired = np.convolve(signal[0], system)[None, :600].astype("float32")
    layer = make(stateful=True, **options)
    layer(signal, desired)
    apart = layer.filter_weights[0] - system
    return 10 * np.log10(np.sum(apart**2) / np.sum(system**2))


@pytest.mark.parametrize("name", FILTERS)
def test_the_same_system_is_found_from_1e_minus_6_to_1e6_within_1_decibel(name):
    reference = misalignment(FILTERS[name], 1.0)
    assert reference < -55
    for amplitude in (1e-6, 1e-3, 1e3, 1e6):
        found = misalignment(FILTERS[name], amplitude)
        # At -100 dB and below what is left is float32's rounding.
        assert max(found, -100) == pytest.approx(max(reference, -100), abs=1)


def test_the_absolute_form_is_kept():
    exact = misalignment(FILTERS["nlms"], 1e-4, epsilon=1e-3)
    assert exact > -1  # 16 taps at 1e-4 have a power of 1.6e-7: the step all but stops


def test_the_share_is_a_thousandth_of_the_largest_power_so_far():
    """The step is mu e x / (x.x + 1e-3 max(x.x) / taps), as a loop in float64."""
    rng = np.random.default_rng(5)
    signal, desired = rng.normal(size=(2, 90)).astype("float32")
    signal[40:] *= 0.01  # quiet, after it was loud
    weights, loudest, expected = np.zeros(3), 0.0, []
    padded = np.concatenate([np.zeros(2), signal])
    for n in range(90):
        x = padded[n : n + 3][::-1]
        loudest = max(loudest, x @ x)
        expected.append(desired[n] - weights @ x)
        weights = weights + 0.5 * expected[-1] * x / (x @ x + 1e-3 * loudest / 3)
    for options in ({}, {"return_weights": True}):
        layer = LMSFilter(3, 0.5, algorithm="nlms", **options)
        error = keras.ops.convert_to_numpy(layer(signal[None], desired[None])[1])[0]
        np.testing.assert_allclose(error, expected, rtol=1e-3, atol=1e-3)


def test_leading_silence_moves_nothing():
    signal = np.zeros((1, 40), "float32")
    desired = np.ones((1, 40), "float32")
    for make in FILTERS.values():
        layer = make(stateful=True)
        layer(signal, desired)
        assert not layer.filter_weights.any()


@pytest.mark.parametrize("form", ["covariance", "inverse_qr"])
def test_least_squares_begins_as_with_the_literatures_delta(form):
    """P(0) = I / (0.01 sigma_x^2), Haykin's, whose power is known beforehand.

    Beside a loop in float64: the first errors are no larger, one system in 200 that
    begins with a small sample included, and the system is found as well.
    """
    rng = np.random.default_rng(0)
    signal, noise = rng.normal(size=(2, 200, 146))
    systems = rng.normal(size=(200, 16)) / 4
    pairs = zip(signal, systems, strict=True)
    desired = 0.1 * noise + [np.convolve(x, h)[:146] for x, h in pairs]

    inverse = np.tile(np.eye(16) / 0.01, (200, 1, 1))
    weights, line = np.zeros((2, 200, 16))
    expected = np.zeros((200, 146))
    for n in range(146):
        line = np.concatenate([signal[:, n, None], line[:, :-1]], axis=1)
        spread = np.einsum("fij,fj->fi", inverse, line)
        gain = spread / (0.99 + np.sum(spread * line, axis=1))[:, None]
        expected[:, n] = desired[:, n] - np.sum(weights * line, axis=1)
        weights = weights + gain * expected[:, n, None]
        inverse = (inverse - gain[:, :, None] * spread[:, None]) / 0.99

    inputs = signal.astype("float32"), desired.astype("float32")
    error = keras.ops.convert_to_numpy(RLSFilter(16, 0.99, form=form)(*inputs)[1])
    assert np.abs(error).max() < 1.1 * np.abs(expected).max()
    assert np.mean(error[:, 64:] ** 2) < 1.1 * np.mean(expected[:, 64:] ** 2)
