"""FilteredXLMSFilter beside Kuo and Morgan's equations, and an engine it silences."""

import json

import keras
import numpy as np
import pytest

from dlkeras.layers import FilteredXLMSFilter

PATH, ESTIMATE = [0.0, 0.6, 0.3, -0.1], [0.0, 0.5, 0.4]


def sequence(count):
    """Signs of x^16 + x^15 + x^13 + x^4 + 1, by bits of whole numbers."""
    register, signs = 1, []
    for _ in range(count):
        bit = register ^ (register >> 1) ^ (register >> 3) ^ (register >> 12)
        register = (register >> 1) | ((bit & 1) << 15)
        signs.append(2 * (bit & 1) - 1)
    return np.array(signs)


def loop(x, d, taps, mu, path, model, gamma=0.0, probe=0.0, mu_s=0.0, relative=False):
    """The tutorial's eq. 10 and 11; with a probe Eriksson and Allie's model."""
    weights, model, path = np.zeros(taps), np.array(model, float), np.array(path)
    longest = taps + len(path) + len(model)
    x = np.concatenate([np.zeros(longest), x])
    filtered, played, probes = (np.zeros(len(x)) for _ in range(3))
    errors, signs, loudest = [], probe * sequence(len(d)), 0.0
    for n, wanted in enumerate(d):
        t = n + longest
        filtered[t] = model @ x[t - len(model) + 1 : t + 1][::-1]
        probes[t] = signs[n] if probe else 0.0
        played[t] = weights @ x[t - taps + 1 : t + 1][::-1] + probes[t]
        errors.append(wanted - path @ played[t - len(path) + 1 : t + 1][::-1])
        heard, error = filtered[t - taps + 1 : t + 1][::-1], errors[-1]
        if probe:
            known = probes[t - len(model) + 1 : t + 1][::-1]
            error = error + model @ known
            model = model - mu_s * error * known
        gain = mu
        if relative:
            loudest = max(loudest, heard @ heard)
            power = heard @ heard + 1e-3 * loudest / taps
            gain = mu / power if power else 0.0
        weights = (1 - mu * gamma) * weights + gain * error * heard
    return np.array(errors), model


@pytest.mark.parametrize(
    "options",
    [{}, {"leakage": 0.3}, {"normalised": True}, {"probe": 0.2}],
    ids=str,
)
def test_it_is_the_papers_loop_and_streams(options):
    rng = np.random.default_rng(0)
    x, d = rng.normal(size=(2, 150)).astype("float32")
    mu = 0.3 if options.get("normalised") else 0.02
    expected, model = loop(
        x, d, 6, mu, PATH, ESTIMATE, options.get("leakage", 0.0),
        options.get("probe", 0.0), 0.05, options.get("normalised", False),
    )  # fmt: skip
    layer = FilteredXLMSFilter(
        6, mu, secondary_path=PATH, secondary_estimate=ESTIMATE,
        path_step_size=0.05, stateful=True, **options,
    )  # fmt: skip
    parts = [
        keras.ops.convert_to_numpy(layer(x[None, a:b], d[None, a:b])[1])[0]
        for a, b in ((0, 50), (50, 51), (51, 150))
    ]
    np.testing.assert_allclose(np.concatenate(parts), expected, atol=5e-5)
    np.testing.assert_allclose(layer.path_model[0], model, atol=1e-5)
    again = FilteredXLMSFilter.from_config(json.loads(json.dumps(layer.get_config())))
    assert again.get_config() == layer.get_config()


def engine(time=6000):
    """Harmonics of 30 Hz at 2 kHz, heard at the microphone through another path."""
    n = np.arange(time)
    x = sum(np.sin(2 * np.pi * 30 * k * n / 2000 + k) / k for k in (1, 2, 3))
    return x.astype("float32"), np.convolve(x, [0, 0, 0, 0.8, 0.4])[:time]


def test_an_engine_is_silenced_by_40_decibels():
    x, d = engine()
    layer = FilteredXLMSFilter(16, 0.02, secondary_path=PATH)
    left = keras.ops.convert_to_numpy(layer(x, d.astype("float32"))[1])[-2000:]
    assert 10 * np.log10(np.mean(d[-2000:] ** 2) / np.mean(left**2)) > 40


def test_without_its_path_the_gradient_points_elsewhere_and_with_a_probe_it_is_found():
    """A path of the other sign: 180 degrees from an estimate of 1."""
    x, d = engine()
    d = d.astype("float32")
    path = [0.0, -0.8]
    options = {"secondary_path": path, "secondary_estimate": [0.0, 0.1]}
    with pytest.raises(FloatingPointError, match="90 degrees"):
        FilteredXLMSFilter(16, 0.05, **options)(x, d)
    layer = FilteredXLMSFilter(
        16,
        0.001,
        probe=0.3,
        path_step_size=0.02,
        leakage=0.01,
        stateful=True,
        **options,
    )
    left = keras.ops.convert_to_numpy(layer(x[None], d[None])[1])[0, -2000:]
    np.testing.assert_allclose(layer.path_model[0], path, atol=0.1)
    assert np.mean(left**2) < 0.2 * np.mean(d[-2000:] ** 2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"secondary_path": []}, "secondary_path to be an impulse response"),
        ({"secondary_path": [1], "step_size": 0}, "step_size"),
        ({"secondary_path": [1], "probe": -1}, "probe"),
        ({"secondary_path": [1], "complex_valued": True}, "real signals"),
    ],
)
def test_an_argument_out_of_range_is_refused_by_name(options, words):
    with pytest.raises(ValueError, match=words):
        FilteredXLMSFilter(4, **options)
