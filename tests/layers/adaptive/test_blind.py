"""BlindEqualizer beside Godard's equation, and constellations that it opens."""

import json

import keras
import numpy as np
import pytest

from dlkeras.layers import BlindEqualizer, LMSFilter

QPSK = np.array([1 + 1j, 1 - 1j, -1 + 1j, -1 - 1j]) / 2**0.5
QAM16 = np.array([a + 1j * b for a in (-3, -1, 1, 3) for b in (-3, -1, 1, 3)])
QAM16 = QAM16 / 10**0.5
CHANNEL = np.array([0.1, 1.0, 0.3 - 0.2j, 0.1j]) * np.exp(0.5j)


def loop(x, taps, mu, symbols, algorithm):
    weights = np.zeros(taps, complex)
    weights[taps - 1 - taps // 2] = 1.0
    radius = np.mean(np.abs(symbols) ** 4) / np.mean(np.abs(symbols) ** 2)
    padded, outputs, errors = np.concatenate([np.zeros(taps - 1), x]), [], []
    for n in range(len(x)):
        frame = padded[n : n + taps][::-1]
        y = np.vdot(weights, frame)
        if algorithm == "constant_modulus":
            error = y * (radius - abs(y) ** 2)
        else:
            error = symbols[np.argmin(np.abs(symbols - y))] - y
        weights = weights + mu * frame * np.conj(error)
        outputs.append(y)
        errors.append(error)
    return np.array(outputs), np.array(errors)


def received(symbols, count, seed=0):
    rng = np.random.default_rng(seed)
    sent = rng.choice(symbols, count)
    heard = np.convolve(sent, CHANNEL)[:count]
    noise = rng.normal(size=count) + 1j * rng.normal(size=count)
    return sent, (heard + 0.01 * noise).astype("complex64")


@pytest.mark.parametrize("algorithm", ["constant_modulus", "decision_directed"])
@pytest.mark.parametrize("symbols", [QPSK, QAM16])
def test_it_is_the_papers_loop(symbols, algorithm):
    _, heard = received(symbols, 120)
    layer = BlindEqualizer(5, 0.01, algorithm=algorithm, symbols=symbols)
    found = [keras.ops.convert_to_numpy(a) for a in layer(heard)]
    for mine, wanted in zip(
        found, loop(heard, 5, 0.01, symbols, algorithm), strict=True
    ):
        np.testing.assert_allclose(mine, wanted, atol=2e-4)
    again = BlindEqualizer.from_config(json.loads(json.dumps(layer.get_config())))
    assert again.get_config() == layer.get_config()


def spread(output, symbols):
    """Mean squared distance to the nearest symbol, at the best of 90 phases."""
    turned = output[None] * np.exp(1j * np.pi / 180 * np.arange(90))[:, None]
    apart = np.abs(turned[..., None] - symbols).min(axis=-1) ** 2
    return 10 * np.log10(apart.mean(axis=1).min())


@pytest.mark.parametrize(("symbols", "before"), [(QPSK, -9), (QAM16, -11)])
def test_a_constellation_is_opened_and_decisions_take_it_further(symbols, before):
    """After 8000 symbols of nothing but noise and what was sent."""
    _, heard = received(symbols, 8000)
    assert spread(heard[-2000:], symbols) > before - 2
    modulus = BlindEqualizer(15, 0.004, symbols=symbols, stateful=True)
    opened = keras.ops.convert_to_numpy(modulus(heard[None])[0])[0, -2000:]
    assert spread(opened, symbols) < before - 6
    # its weights, turned upright by the phase that is left of them
    phases = np.exp(1j * np.pi / 180 * np.arange(90))
    turned = opened[None] * phases[:, None]
    apart = np.abs(turned[..., None] - symbols).min(axis=-1).mean(axis=1)
    weights = modulus.filter_weights[0] * np.conj(phases[apart.argmin()])
    decided = BlindEqualizer(
        15, 0.01, algorithm="decision_directed", symbols=symbols,
        initial_weights=lambda shape, dtype=None: keras.ops.cast(
            keras.ops.convert_to_tensor(weights.astype("complex64")), dtype
        ),
    )  # fmt: skip
    output = keras.ops.convert_to_numpy(decided(heard)[0])[-2000:]
    apart = np.abs(output[:, None] - symbols).min(axis=-1) ** 2
    assert 10 * np.log10(apart.mean()) < -25


def test_symbols_that_are_none_are_refused():
    with pytest.raises(ValueError, match="symbols"):
        BlindEqualizer(5, symbols=[1.0])
    with pytest.raises(ValueError, match="algorithm"):
        BlindEqualizer(5, algorithm="godard")


# Set-membership and robust errors, of the same file of rules.


def test_set_membership_is_gollamudis_loop_and_seldom_moves():
    rng = np.random.default_rng(1)
    x = rng.normal(size=400).astype("float32")
    noise = 0.05 * rng.normal(size=400)
    d = (np.convolve(x, [0.5, -0.25, 0.1])[:400] + noise).astype("float32")
    bound, weights, path = 5**0.5 * 0.05, np.zeros(3), []
    padded = np.concatenate([np.zeros(2), x])
    for n in range(400):
        frame = padded[n : n + 3][::-1].astype("float64")
        error = d[n] - weights @ frame
        path.append(weights)
        if abs(error) > bound:
            step = (1 - bound / abs(error)) / (1e-6 + frame @ frame)
            weights = weights + step * error * frame
    layer = LMSFilter(
        3, 1.0, algorithm="set_membership", error_bound=bound, epsilon=1e-6,
        return_weights=True,
    )  # fmt: skip
    found = keras.ops.convert_to_numpy(layer(x[None], d[None])[2])[0]
    np.testing.assert_allclose(found, path, atol=1e-5)
    moved = (np.diff(found, axis=0) != 0).any(axis=1)
    assert moved[100:].mean() < 0.1
    np.testing.assert_allclose(found[-1], [0.5, -0.25, 0.1], atol=0.05)


@pytest.mark.parametrize("loss", ["log_cosh", "correntropy", "huber"])
def test_outliers_move_a_robust_filter_less_than_a_tenth_as_far(loss):
    rng = np.random.default_rng(2)
    x = rng.normal(size=4000).astype("float32")
    d = np.convolve(x, [0.5, -0.25])[:4000] + 0.01 * rng.normal(size=4000)
    d[::50] += 30 * rng.normal(size=80)

    def apart(**options):
        layer = LMSFilter(2, 0.02, stateful=True, on_divergence="ignore", **options)
        path, distances = None, []
        for n in range(0, 4000, 100):
            layer(x[None, n : n + 100], d[None, n : n + 100].astype("float32"))
            path = layer.filter_weights[0] - [0.5, -0.25]
            distances.append(np.sum(path**2))
        return np.mean(distances[10:])

    # correntropy forgets what is far beyond its scale, its own start included
    scale = 0.5 if loss == "correntropy" else 0.1
    assert apart(loss=loss, loss_scale=scale) < 0.1 * apart()
