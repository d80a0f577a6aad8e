"""The applications of the adaptive filter find what their closed forms say."""

import numpy as np
import pytest

from dlkeras.layers import LMSFilter, RLSFilter
from dlkeras.layers.adaptive import applications as applications

RNG = np.random.default_rng(0)


def through(system, signal):
    """The signal after an FIR system, row by row."""
    rows = [np.convolve(row, system)[: signal.shape[1]] for row in signal]
    return np.stack(rows).astype("float32")


def test_identification_finds_the_impulse_response_of_every_row():
    signal = RNG.normal(size=(2, 800)).astype("float32")
    first, second = [1.0, -0.5, 0.25, 0.0], [0.0, 0.3, 0.0, -0.7]
    response = np.concatenate([through(first, signal[:1]), through(second, signal[1:])])
    found = applications.system_identification(signal, response, taps=4)
    np.testing.assert_allclose(found.weights, [first, second], atol=1e-3)
    assert found.output.shape == found.error.shape == (2, 800)


def test_identification_by_least_squares_is_exact_after_few_samples():
    signal = RNG.normal(size=(1, 40)).astype("float32")
    response = through([1.0, -0.5, 0.25], signal)
    rls = RLSFilter(3, 1.0, regularization=1e-4, stateful=True)
    found = applications.system_identification(signal, response, 3, adaptive_filter=rls)
    np.testing.assert_allclose(found.weights, [[1.0, -0.5, 0.25]], atol=1e-3)


def test_cancelling_leaves_the_tone_and_takes_20_db_of_the_noise():
    time = 6000
    noise = RNG.normal(size=(1, time)).astype("float32")
    tone = (0.1 * np.sin(0.05 * np.arange(time)))[None].astype("float32")
    heard = through([0.8, 0.4, -0.2], noise)
    slow = LMSFilter(3, 0.005, stateful=True)
    found = applications.noise_cancelling(tone + heard, noise, 3, adaptive_filter=slow)
    left = (found.error - tone)[0, 2000:]
    assert 20 * np.log10(heard.std() / left.std()) > 20


def test_prediction_of_an_autoregressive_signal_finds_its_coefficients():
    # x(n) = 0.9 x(n-1) - 0.5 x(n-2) + v(n), and the error is v, of variance 1
    innovation = RNG.normal(size=20000)
    signal = np.zeros(20000, "float32")
    for n in range(2, 20000):
        signal[n] = 0.9 * signal[n - 1] - 0.5 * signal[n - 2] + innovation[n]
    slow = LMSFilter(2, 0.002, stateful=True)
    found = applications.linear_prediction(signal[None], 2, adaptive_filter=slow)
    np.testing.assert_allclose(found.weights, [[0.9, -0.5]], atol=0.1)
    assert found.error[0, 5000:].var() == pytest.approx(1, rel=0.05)


def test_a_delayed_inverse_undoes_a_system_that_is_not_minimum_phase():
    # 0.5 + z^-1 has its zero outside the unit circle: no causal inverse without delay
    signal = RNG.normal(size=(1, 8000)).astype("float32")
    response = through([0.5, 1.0], signal)
    for delay, power in ((0, 0.5), (12, 0.01)):
        found = applications.inverse_modelling(signal, response, 16, delay=delay)
        settled = found.error[0, 4000:].var()
        assert settled > power if delay == 0 else settled < power


def test_an_equaliser_decides_without_errors_where_the_bare_channel_makes_them():
    sent = RNG.choice([-1.0, 1.0], (1, 4000)).astype("float32")
    # zeros at 0.483 and -2.483: no inverse without delay, and the eye is closed
    received = through([0.5, 1.0, -0.6], sent)
    received += 0.02 * RNG.normal(size=received.shape).astype("float32")
    bare = np.sign(received[:, 1:]) != sent[:, :-1]
    assert bare.mean() > 0.05
    decided = applications.channel_equalization(received, sent[:, :1500], 21, delay=11)
    assert decided.shape == (1, 4000 - 11 - 1500)
    assert (decided == sent[:, 1500:-11]).all()


def test_what_does_not_fit_is_refused():
    signal = np.zeros((1, 20), "float32")
    with pytest.raises(ValueError, match="stateful=True"):
        applications.system_identification(
            signal, signal, 4, adaptive_filter=LMSFilter(4)
        )
    with pytest.raises(ValueError, match="delay of at least 1"):
        applications.linear_prediction(signal, 4, delay=0)
    with pytest.raises(ValueError, match=r"20 samples\. Received: delay=1000"):
        applications.linear_prediction(signal, 4, delay=1000)
    with pytest.raises(ValueError, match="ends before the received"):
        applications.channel_equalization(signal, signal, 4)


def test_one_signal_or_a_list_is_a_batch_of_one():
    signal = RNG.normal(size=400).astype("float32")
    response = through([1.0, -0.5], signal[None])[0]
    batch = applications.system_identification(signal[None], response[None], 2)
    for pair in ((signal, response), (signal.tolist(), response.tolist())):
        alone = applications.system_identification(*pair, 2)
        for mine, other in zip(alone, batch, strict=True):
            np.testing.assert_allclose(mine, other[0], atol=1e-6)
    assert applications.linear_prediction(signal.tolist(), 2, delay=3).error.ndim == 1
