"""FrequencyDomainFilter beside the block recursions in NumPy, and on long echoes."""

import contextlib
import json

import keras
import numpy as np
import pytest

from dlkeras.layers import FrequencyDomainFilter, LMSFilter


def loop(x, d, taps, mu, block, forgetting, constrained):
    """Soo and Pang's multidelay filter, in complex128: the errors and the taps.

    With the bounds of ours on the step: no less power than the partitions hold, nor
    than the mean has missed.
    """
    parts = taps // block
    weights = np.zeros((parts, 2 * block), complex)
    heard, power, last = np.zeros_like(weights), None, np.zeros(block)
    errors = []
    for start in range(0, len(x), block):
        new = np.fft.fft(np.concatenate([last, x[start : start + block]]))
        last = x[start : start + block]
        heard = np.concatenate([new[None], heard[:-1]])
        output = np.fft.ifft((weights * heard).sum(axis=0)).real[block:]
        errors.append(d[start : start + block] - output)
        wrong = np.fft.fft(np.concatenate([np.zeros(block), errors[-1]]))
        now = np.abs(new) ** 2
        power = now if power is None else forgetting * power + (1 - forgetting) * now
        floor = 1e-3 * power[: block + 1].mean()
        present = (np.abs(heard) ** 2).sum(axis=0)
        total = np.maximum(parts * (power + floor), present)
        missed = present[: block + 1].mean() - 2 * parts * power[: block + 1].mean()
        total = np.maximum(total, missed)
        move = mu * heard.conj() * wrong / total
        if constrained:
            move = np.fft.ifft(move, axis=1)
            move[:, block:] = 0
            move = np.fft.fft(move, axis=1)
        weights = weights + move
    return np.concatenate(errors), np.fft.ifft(weights).real[:, :block].ravel()


@pytest.mark.parametrize(("taps", "constrained"), [(8, False), (24, True)])
def test_it_is_the_papers_loop_and_streams(taps, constrained):
    rng = np.random.default_rng(0)
    x, d = rng.normal(size=(2, 160)).astype("float32")
    expected, learned = loop(x, d, taps, 0.5, 8, 0.8, constrained)
    options = {"block": 8, "forgetting": 0.8, "constrained": constrained}
    layer = FrequencyDomainFilter(taps, 0.5, stateful=True, **options)
    parts = [
        keras.ops.convert_to_numpy(layer(x[None, a:b], d[None, a:b])[1])[0]
        for a, b in ((0, 40), (40, 48), (48, 160))
    ]
    np.testing.assert_allclose(np.concatenate(parts), expected, atol=5e-5)
    np.testing.assert_allclose(layer.filter_weights[0], learned, atol=2e-5)
    # a call of any length, and two channels at once
    whole = FrequencyDomainFilter(taps, 0.5, **options)
    pair = [np.stack([s, s[::-1]], axis=-1)[None, :150] for s in (x, d)]
    error = keras.ops.convert_to_numpy(whole(*pair)[1])[0, :, 0]
    np.testing.assert_allclose(error[:144], expected[:144], atol=5e-5)
    again = FrequencyDomainFilter.from_config(
        json.loads(json.dumps(layer.get_config()))
    )
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize(
    "options",
    [
        {"step_size": 0.5},
        {"step_size": 1.0},
        {"step_size": 1.5, "forgetting": 0.99},
        {"step_size": 1.5, "forgetting": 0.99, "constrained": False},
    ],
    ids=str,
)
def test_a_signal_that_starts_after_silence_does_not_drive_the_filter_away(options):
    """Without adaptation the error is the desired response: 0 dB."""
    rng = np.random.default_rng(4)
    echo = rng.normal(size=64) * 0.95 ** np.arange(64)
    silence, noise = np.zeros(20 * 64), rng.normal(size=(2, 20 * 64))
    x = np.concatenate([silence, noise[0], silence, noise[1]]).astype("float32")
    d = np.convolve(x, echo)[: len(x)].astype("float32")
    for taps in (64, 128):  # one partition, and two
        layer = FrequencyDomainFilter(taps, block=64, **options)
        error = keras.ops.convert_to_numpy(layer(x, d)[1]).reshape(-1, 64)
        power = np.mean(error**2, axis=1) / np.mean(d[20 * 64 : 40 * 64] ** 2)
        assert 10 * np.log10(power.max()) < 3
        # and it learns: before the pause, and after it
        assert 10 * np.log10(power[[38, 39, 78, 79]].max()) < -10


def wide_floats():
    """Where float64 is what it says, which JAX has to be told."""
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.enable_x64(True)


def test_in_float64_it_is_the_loop_to_twelve_digits():
    x, d = np.random.default_rng(5).normal(size=(2, 80))
    with wide_floats():
        layer = FrequencyDomainFilter(16, 0.5, block=8, dtype="float64")
        error = keras.ops.convert_to_numpy(layer(x, d)[1])
    expected = loop(x, d, 16, 0.5, 8, 0.9, True)[0]
    np.testing.assert_allclose(error, expected, rtol=1e-12, atol=1e-12)


def coloured(rng, time):
    """An autoregressive signal, 0.95: eigenvalues spread by more than a thousand."""
    white = rng.normal(size=time)
    signal = np.zeros(time)
    for n in range(1, time):
        signal[n] = 0.95 * signal[n - 1] + white[n]
    return signal


def test_a_coloured_signal_converges_where_nlms_does_not():
    rng = np.random.default_rng(1)
    x = coloured(rng, 6144).astype("float32")
    echo = rng.normal(size=64) * 0.9 ** np.arange(64)
    d = np.convolve(x, echo)[: len(x)].astype("float32")

    def misalignment(layer):
        layer(x[None], d[None])
        apart = layer.filter_weights[0] - echo
        return 10 * np.log10(np.sum(apart**2) / np.sum(echo**2))

    ours = misalignment(FrequencyDomainFilter(64, 0.7, block=64, stateful=True))
    nlms = misalignment(LMSFilter(64, 0.7, algorithm="nlms", stateful=True))
    assert ours < nlms - 10


def test_an_echo_path_of_8192_taps_is_found():
    rng = np.random.default_rng(2)
    x = rng.normal(size=12 * 8192).astype("float32")
    echo = rng.normal(size=8192) * np.exp(-np.arange(8192) / 1500)
    d = np.fft.irfft(np.fft.rfft(x, 2**18) * np.fft.rfft(echo, 2**18))[: len(x)]
    layer = FrequencyDomainFilter(8192, 1.0, block=1024)
    left = keras.ops.convert_to_numpy(layer(x, d.astype("float32"))[1])[-8192:]
    assert 10 * np.log10(np.mean(d[-8192:] ** 2) / np.mean(left**2)) > 15


def test_samples_that_are_not_to_count_move_nothing():
    rng = np.random.default_rng(3)
    x, d = rng.normal(size=(2, 1, 64)).astype("float32")
    layer = FrequencyDomainFilter(8, 0.5, block=8, stateful=True)
    layer(x, d, adapt=False)
    assert not layer.filter_weights.any()
    d[0, 20] = np.nan
    error = keras.ops.convert_to_numpy(layer(x, d)[1])
    assert np.flatnonzero(np.isnan(error[0])).tolist() == [20]
    assert np.isfinite(layer.filter_weights).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"taps": 12, "block": 8}, "a multiple of block"),
        ({"taps": 8, "block": 8, "step_size": 2}, "step_size"),
        (
            {"taps": 8, "block": 8, "step_size": 1.6, "constrained": False},
            "step_size <= 1.5 where constrained=False",
        ),
        (
            {"taps": 8, "block": 8, "step_size": 0.6, "forgetting": 0.2},
            "forgetting >= 0.3 where step_size > 0.5",
        ),
        ({"taps": 8, "block": 8, "return_weights": True}, "no return_weights"),
    ],
)
def test_an_argument_out_of_range_is_refused_by_name(options, words):
    with pytest.raises(ValueError, match=words):
        FrequencyDomainFilter(**options)


def test_a_stream_in_broken_blocks_is_refused():
    layer = FrequencyDomainFilter(8, 0.5, block=8, stateful=True)
    with pytest.raises(ValueError, match="whole blocks of 8"):
        layer(np.zeros((1, 20), "float32"), np.zeros((1, 20), "float32"))


def test_a_call_without_samples_leaves_the_stream_as_it_was():
    x, d = np.random.default_rng(6).normal(size=(2, 1, 48)).astype("float32")
    nothing = np.zeros((1, 0), "float32")
    errors = []
    for pauses in (False, True):
        layer = FrequencyDomainFilter(16, 0.5, block=8, stateful=True)
        parts = []
        for start in range(0, 48, 16):
            if pauses:
                assert layer(nothing, nothing)[1].shape == (1, 0)
            chunk = slice(start, start + 16)
            parts.append(keras.ops.convert_to_numpy(layer(x[:, chunk], d[:, chunk])[1]))
        errors.append(np.concatenate(parts, axis=1))
    np.testing.assert_array_equal(*errors)


def test_a_stream_whose_length_is_not_known_is_refused():
    layer = FrequencyDomainFilter(8, 0.5, block=8, stateful=True)
    signal = keras.KerasTensor((1, None))
    with pytest.raises(ValueError, match=r"number known.*time=None"):
        layer.call(signal, signal)
