"""The LMS loops at the edges of their blocks, chunks and groups: a float64 loop."""

import keras
import numpy as np
import pytest

from dlkeras.layers import LMSFilter
from dlkeras.layers.adaptive.backend.lms_loops import CHUNK, LOOK_AHEAD, WIDTH


def float64_loop(signal, desired, taps, step, normalised=False):
    """LMS or NLMS of all channels at once: output and error, `(time, channels)`."""
    time, channels = signal.shape
    padded = np.concatenate([np.zeros((taps - 1, channels)), signal.astype("float64")])
    weights = np.zeros((taps, channels))
    output, error = np.empty(signal.shape), np.empty(signal.shape)
    for n in range(time):
        frame = padded[n : n + taps]
        output[n] = (weights * frame).sum(axis=0)
        error[n] = desired[n] - output[n]
        gain = step / (1e-3 + (frame**2).sum(axis=0)) if normalised else step
        weights += gain * error[n] * frame
    return output, error


def noise(time, channels):
    random = np.random.default_rng(time + channels)
    signal = random.normal(size=(time, channels)).astype("float32")
    return signal, random.normal(size=(time, channels)).astype("float32")


def assert_equal_to_the_loop(taps, time, channels, algorithm="lms"):
    signal, desired = noise(time, channels)
    step = 0.5 if algorithm == "nlms" else 0.2 / taps
    layer = LMSFilter(taps, step, algorithm=algorithm, epsilon=1e-3)
    found = layer(signal[None], desired[None])
    expected = float64_loop(signal, desired, taps, step, algorithm == "nlms")
    for array, wanted in zip(found, expected, strict=True):
        array = keras.ops.convert_to_numpy(array)[0]
        np.testing.assert_allclose(array, wanted, rtol=0, atol=2e-5)


@pytest.mark.parametrize("algorithm", ["lms", "nlms"])
@pytest.mark.parametrize("taps", [1, 16, 17, 32])
def test_one_filter_looks_ahead_over_every_remainder(taps, algorithm):
    for time in range(10 * LOOK_AHEAD, 11 * LOOK_AHEAD):
        assert_equal_to_the_loop(taps, time, 1, algorithm)


def test_a_signal_shorter_than_one_look_ahead_is_filtered():
    for time in range(1, LOOK_AHEAD + 1):
        assert_equal_to_the_loop(1, time, 1)


@pytest.mark.parametrize("channels", [2, WIDTH + 1, 2 * WIDTH + 3])
@pytest.mark.parametrize("time", [CHUNK - 1, 3 * CHUNK + 7])
@pytest.mark.parametrize("taps", [1, 8])
def test_many_filters_are_cut_into_chunks_and_groups_without_a_seam(
    taps, time, channels
):
    assert_equal_to_the_loop(taps, time, channels)


@pytest.mark.parametrize("taps", [CHUNK + 1, 80])
def test_a_filter_longer_than_a_chunk_sees_its_whole_past(taps):
    assert_equal_to_the_loop(taps, 3 * CHUNK + 7, WIDTH + 1, "nlms")


def test_an_odd_signal_long_enough_to_run_outside_one_kernel_is_filtered():
    assert_equal_to_the_loop(8, 8_193, 1)


@pytest.mark.parametrize(("channels", "taps"), [(1, 32), (WIDTH + 72, 8), (300, 32)])
def test_carried_weights_do_not_depend_on_where_calls_end(channels, taps):
    time = 8 * CHUNK + 30
    signal, desired = noise(time, channels)

    def output(*ends):
        layer, start, parts = LMSFilter(taps, 0.1 / taps, stateful=True), 0, []
        for end in ends:
            found = layer(signal[None, start:end], desired[None, start:end])[0]
            parts.append(keras.ops.convert_to_numpy(found))
            start = end
        return np.concatenate(parts, axis=1)

    chunked = output(1, 60, 61, 163, 200, 307, time)
    np.testing.assert_array_equal(chunked, output(time))
