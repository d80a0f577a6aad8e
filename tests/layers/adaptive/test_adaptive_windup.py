"""RLSFilter on silence, a constant and a tone: it lives, and learns again."""

import keras
import numpy as np
import pytest

from dlkeras.layers import RLSFilter

SYSTEM = np.array([0.5, -0.3, 0.2, 0.1])
SILENCES = {
    "silence": lambda n: np.zeros(n),
    "constant": lambda n: np.full(n, 0.7),
    "tone": lambda n: np.sin(0.3 * np.arange(n)),
    "dither": lambda n: np.random.default_rng(1).integers(-1, 2, n) / 2.0**15,
}


def fed(layer, signal):
    """The layer's errors on a signal behind the system, as the layer streams on."""
    desired = np.convolve(signal, SYSTEM)[: len(signal)]
    arrays = (a.astype("float32")[None] for a in (signal, desired))
    return keras.ops.convert_to_numpy(layer(*arrays)[1])[0]


@pytest.mark.parametrize("form", ["covariance", "inverse_qr"])
@pytest.mark.parametrize("kind", SILENCES)
def test_after_what_excites_nothing_the_filter_learns_again(kind, form):
    rng = np.random.default_rng(0)
    samples = 300 if keras.backend.backend() == "torch" else 30_000
    # The memory is 10 samples: 300 forget as much as 30 seconds do with 0.999.
    layer = RLSFilter(4, 0.9 if samples < 1000 else 0.99, form=form, stateful=True)
    fed(layer, rng.normal(size=200))
    for _ in range(2):
        fed(layer, SILENCES[kind](samples))
    # a thousandth of what was known before is left: 70 samples, or 690
    error = fed(layer, rng.normal(size=200 if samples < 1000 else 1000))
    assert np.abs(error[-100:]).max() < 1e-3
    np.testing.assert_allclose(layer.filter_weights[0], SYSTEM, atol=1e-3)


@pytest.mark.parametrize("form", ["covariance", "inverse_qr"])
def test_once_silence_has_frozen_the_filter_a_day_of_it_changes_nothing(form):
    layer = RLSFilter(4, 0.9, form=form, stateful=True)
    fed(layer, np.random.default_rng(2).normal(size=100))
    states = []
    for _ in range(2):  # the state of the next call is the state of this one
        fed(layer, np.zeros(300))
        states.append([keras.ops.convert_to_numpy(v) for v in layer.variables])
    for before, after in zip(*states, strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_filter_that_has_heard_nothing_yet_waits():
    layer = RLSFilter(4, 0.9, stateful=True)
    fed(layer, np.zeros(1000))
    error = fed(layer, np.random.default_rng(3).normal(size=100))
    assert np.abs(error[50:]).max() < 1e-3


def test_a_tone_that_changes_its_amplitude_is_followed_after_a_long_time():
    """What is excited is not frozen: the gain along the tone stays what it was."""
    layer = RLSFilter(2, 0.95, stateful=True)
    fed(layer, np.sin(0.3 * np.arange(2000)))
    tone = np.sin(0.3 * np.arange(2000, 2400))
    desired = (0.1 * tone).astype("float32")[None]  # the system has changed
    error = keras.ops.convert_to_numpy(layer(tone.astype("float32")[None], desired)[1])
    assert np.abs(error[0, 300:]).max() < 1e-3


@pytest.mark.parametrize("form", ["covariance", "inverse_qr"])
def test_both_forms_are_haykins_recursion(form):
    """Table 10.1 in float64, its own regularisation given."""
    rng = np.random.default_rng(4)
    signal, desired = rng.normal(size=(2, 120)).astype("float32")
    inverse, weights, expected = np.eye(3) / 0.1, np.zeros(3), []
    padded = np.concatenate([np.zeros(2), signal])
    for n in range(120):
        x = padded[n : n + 3][::-1]
        gain = inverse @ x / (0.98 + x @ inverse @ x)
        expected.append(desired[n] - weights @ x)
        weights = weights + gain * expected[-1]
        inverse = (inverse - np.outer(gain, x @ inverse)) / 0.98
    layer = RLSFilter(3, 0.98, regularization=0.1, form=form)
    error = keras.ops.convert_to_numpy(layer(signal[None], desired[None])[1])[0]
    np.testing.assert_allclose(error, expected, atol=2e-5)


def test_a_file_from_before_the_power_was_carried_is_read():
    """Absolute regularisation; the carried arrays are written in order, by number."""
    layer = RLSFilter(4, regularization=0.1, stateful=True)
    fed(layer, np.random.default_rng(5).normal(size=50))
    kept = [v for v in layer.variables if v.name != "power"]
    assert len(kept) == len(layer.variables) - 1
    store = {str(n): keras.ops.convert_to_numpy(v) for n, v in enumerate(kept)}
    again = RLSFilter(4, regularization=0.1, stateful=True)
    again.build((1, 50), (1, 50))
    again.load_own_variables(store)
    np.testing.assert_array_equal(again.filter_weights, layer.filter_weights)
