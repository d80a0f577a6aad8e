"""LMSFilter against padasip and float64 recursions written out by sample."""

import itertools

import keras
import numpy as np
import padasip
import pytest

from dlkeras.layers import AffineProjectionFilter, LMSFilter, RLSFilter


def system(seed, time=400, taps=8, batch=1):
    """A white signal through an unknown FIR system, with a little noise."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(batch, time)).astype("float32")
    unknown = rng.normal(size=taps) / np.sqrt(taps)
    desired = np.stack([np.convolve(row, unknown)[:time] for row in signal])
    desired += 0.01 * rng.normal(size=desired.shape)
    return signal, desired.astype("float32")


def frames(signal, taps):
    """Regressors of one signal, newest sample first: (time, taps), float64."""
    padded = np.pad(signal.astype(np.result_type(signal, "float64")), (taps - 1, 0))
    return np.lib.stride_tricks.sliding_window_view(padded, taps)[:, ::-1]


def arrays(outputs):
    return [keras.ops.convert_to_numpy(output) for output in outputs]


def recursion(signal, desired, taps, update):
    """The filter as a float64 loop; `update(w, e, x, n)` gives w(n+1)."""
    regressors = frames(signal, taps)
    weights = np.zeros(taps, regressors.dtype)
    outputs, errors, path = [], [], []
    for n, x in enumerate(regressors):
        path.append(weights)
        outputs.append(np.vdot(weights, x))
        errors.append(desired[n] - outputs[-1])
        weights = update(weights, errors[-1], x, n)
    return np.array(outputs), np.array(errors), np.array(path)


def assert_same(ours, theirs, tolerance=1e-5):
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, atol=tolerance, rtol=0)


@pytest.mark.parametrize("seed", range(20))
def test_lms_and_nlms_equal_padasip_on_20_random_systems(seed):
    (signal,), (desired,) = system(seed)
    for algorithm, peer, step in (
        ("lms", padasip.filters.FilterLMS, 0.05),
        ("nlms", padasip.filters.FilterNLMS, 0.5),
    ):
        layer = LMSFilter(8, step, algorithm=algorithm, epsilon=1e-3)
        ours = [a[0] for a in arrays(layer(signal[None], desired[None]))]
        theirs = peer(8, mu=step, w="zeros").run(
            desired.astype("float64"), frames(signal, 8)
        )
        assert_same(ours, theirs[:2])


def test_the_weight_trajectory_equals_padasips():
    (signal,), (desired,) = system(3)
    layer = LMSFilter(8, 0.05, return_weights=True)
    ours = [a[0] for a in arrays(layer(signal[None], desired[None]))]
    peer = padasip.filters.FilterLMS(8, mu=0.05, w="zeros")
    assert_same(ours, peer.run(desired.astype("float64"), frames(signal, 8)))


def variable_step(step=0.02, alpha=0.97, gain=4.8e-4, low=0.01, high=0.06):
    """Kwong and Johnston's step as a closure over its own state."""
    state = [step]

    def update(w, e, x, n):
        moved = w + state[0] * e * x
        state[0] = min(max(alpha * state[0] + gain * e * e, low), high)
        return moved

    return update


def momentum(step, alpha, leakage=0.0):
    """w(n+1) = (1 - mu gamma) w(n) + mu e x + alpha (w(n) - w(n-1))."""
    before = [0.0]

    def update(w, e, x, n):
        after = (1 - step * leakage) * w + step * e * x + alpha * (w - before[0])
        before[0] = w
        return after

    return update


VARIANTS = {
    "lms": ({}, lambda w, e, x, n: w + 0.02 * e * x),
    "nlms": (
        {"algorithm": "nlms", "epsilon": 0.1},
        lambda w, e, x, n: w + 0.02 * e * x / (0.1 + x @ x),
    ),
    "leaky": (
        {"leakage": 0.5},
        lambda w, e, x, n: (1 - 0.02 * 0.5) * w + 0.02 * e * x,
    ),
    "sign_error": (
        {"algorithm": "sign_error"},
        lambda w, e, x, n: w + 0.02 * np.sign(e) * x,
    ),
    "sign_data": (
        {"algorithm": "sign_data"},
        lambda w, e, x, n: w + 0.02 * e * np.sign(x),
    ),
    "sign_sign": (
        {"algorithm": "sign_sign"},
        lambda w, e, x, n: w + 0.02 * np.sign(e) * np.sign(x),
    ),
    "momentum": ({"momentum": 0.5}, momentum(0.02, 0.5)),
    "leaky momentum": (
        {"momentum": 0.5, "leakage": 0.1},
        momentum(0.02, 0.5, leakage=0.1),
    ),
    "variable step": (
        {"algorithm": "variable_step", "step_range": (0.01, 0.06)},
        variable_step(),
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_each_variant_equals_its_equation_as_a_float64_loop(name):
    options, update = VARIANTS[name]
    (signal,), (desired,) = system(7, time=200)
    layer = LMSFilter(8, 0.02, return_weights=True, **options)
    ours = [a[0] for a in arrays(layer(signal[None], desired[None]))]
    assert_same(ours, recursion(signal, desired, 8, update), 2e-5)
    bare = LMSFilter(8, 0.02, **options)  # no trajectory: the fastest way through
    assert_same([a[0] for a in arrays(bare(signal[None], desired[None]))], ours[:2])


@pytest.mark.parametrize("algorithm", ["lms", "nlms"])
def test_complex_filter_is_haykins_w_plus_mu_x_conjugate_e(algorithm):
    rng = np.random.default_rng(0)
    signal = (rng.normal(size=300) + 1j * rng.normal(size=300)).astype("complex64")
    unknown = rng.normal(size=4) + 1j * rng.normal(size=4)
    desired = np.convolve(signal, unknown)[:300].astype("complex64")

    def update(w, e, x, n):
        power = 1e-3 + np.vdot(x, x).real if algorithm == "nlms" else 1.0
        return w + 0.05 * np.conj(e) * x / power

    theirs = recursion(signal, desired, 4, update)
    for trajectory in (True, False):
        layer = LMSFilter(
            4,
            0.05,
            algorithm=algorithm,
            epsilon=1e-3,
            complex_valued=True,
            return_weights=trajectory,
        )
        ours = [a[0] for a in arrays(layer(signal[None], desired[None]))]
        assert_same(ours, theirs[: 2 + trajectory])


def test_rows_and_channels_are_independent_filters():
    rng = np.random.default_rng(1)
    signal = rng.normal(size=(3, 150, 2)).astype("float32")
    desired = rng.normal(size=(3, 150, 2)).astype("float32")
    layer = LMSFilter(5, 0.03, return_weights=True)
    output, error, weights = arrays(layer(signal, desired))
    assert weights.shape == (3, 150, 2, 5)
    for row in range(3):
        for channel in range(2):
            alone = recursion(
                signal[row, :, channel],
                desired[row, :, channel],
                5,
                lambda w, e, x, n: w + 0.03 * e * x,
            )
            ours = (output, error, weights)
            assert_same([a[row, :, channel] for a in ours], alone)


def test_multi_input_is_one_filter_over_the_regressors_of_all_channels():
    rng = np.random.default_rng(2)
    signal = rng.normal(size=(2, 120, 3)).astype("float32")
    desired = rng.normal(size=(2, 120)).astype("float32")
    layer = LMSFilter(4, 0.02, input_type="multi_input", return_weights=True)
    output, error, weights = arrays(layer(signal, desired))
    assert weights.shape == (2, 120, 3, 4)
    for row in range(2):
        joined = np.concatenate([frames(c, 4) for c in signal[row].T], axis=1)
        peer = padasip.filters.FilterLMS(12, mu=0.02, w="zeros")
        theirs = peer.run(desired[row].astype("float64"), joined)
        ours = [output[row], error[row], weights[row].reshape(120, 12)]
        assert_same(ours, theirs)


def test_regressors_of_a_signal_give_what_the_signal_gives():
    (signal,), (desired,) = system(4)
    regressors = frames(signal, 8).astype("float32")
    given = LMSFilter(8, 0.05, input_type="regressors", return_weights=True)
    kept = LMSFilter(8, 0.05, return_weights=True)
    ours = arrays(given(regressors[None], desired[None]))
    assert_same(ours, arrays(kept(signal[None], desired[None])), 1e-6)


def test_the_pair_of_signal_and_desired_is_the_same_call():
    signal, desired = system(5)
    layer = LMSFilter(8, 0.05)
    assert_same(arrays(layer([signal, desired])), arrays(layer(signal, desired)), 0)


def test_a_call_starts_from_the_initial_weights():
    signal, desired = system(6)
    layer = LMSFilter(8, 0.05, return_weights=True, initial_weights="ones")
    assert (arrays(layer(signal, desired))[2][0, 0] == 1).all()


@pytest.mark.parametrize("input_type", ["signal", "multi_input", "regressors"])
@pytest.mark.parametrize(
    "options",
    [{}, {"algorithm": "nlms"}, {"momentum": 0.4}, {"algorithm": "variable_step"}],
    ids=str,
)
def test_ten_chunks_give_what_one_call_gives(input_type, options):
    rng = np.random.default_rng(8)
    channels = {"signal": 2, "multi_input": 2, "regressors": 6}[input_type]
    signal = rng.normal(size=(2, 100, channels)).astype("float32")
    wanted = (2, 100, 2) if input_type == "signal" else (2, 100)
    desired = rng.normal(size=wanted).astype("float32")
    once = LMSFilter(6, 0.01, input_type=input_type, **options)
    chunked = LMSFilter(6, 0.01, input_type=input_type, stateful=True, **options)
    whole = arrays(once(signal, desired))
    for attempt in range(2):  # again after a reset
        parts = [
            arrays(chunked(signal[:, n : n + 10], desired[:, n : n + 10]))
            for n in range(0, 100, 10)
        ]
        joined = [np.concatenate(part, axis=1) for part in zip(*parts, strict=True)]
        assert_same(joined, whole, 2e-6)
        chunked.reset_state()
        assert not chunked.filter_weights.any(), attempt


def streamed(make, signal, desired, cuts):
    layer = make()
    parts = [
        arrays(layer(signal[:, a:b], desired[:, a:b]))
        for a, b in itertools.pairwise(cuts)
    ]
    return [np.concatenate(part, axis=1) for part in zip(*parts, strict=True)]


STREAMS = {
    "lms": lambda: LMSFilter(6, 0.01, stateful=True),
    "nlms": lambda: LMSFilter(6, 0.1, algorithm="nlms", stateful=True),
    "sign_error": lambda: LMSFilter(6, 0.01, algorithm="sign_error", stateful=True),
    "sign_data": lambda: LMSFilter(6, 0.01, algorithm="sign_data", stateful=True),
    "variable": lambda: LMSFilter(6, 0.01, algorithm="variable_step", stateful=True),
    "momentum": lambda: LMSFilter(6, 0.01, momentum=0.4, leakage=0.1, stateful=True),
    "weights": lambda: LMSFilter(6, 0.01, return_weights=True, stateful=True),
    "rls": lambda: RLSFilter(6, stateful=True),
    "affine projection": lambda: AffineProjectionFilter(6, order=3, stateful=True),
}


@pytest.mark.parametrize("name", STREAMS)
def test_chunks_give_what_one_call_gives_to_the_last_bit(name):
    rng = np.random.default_rng(16)
    signal, desired = rng.normal(size=(2, 2, 100, 2)).astype("float32")
    whole = streamed(STREAMS[name], signal, desired, [0, 100])
    for cuts in (range(0, 101, 10), [0, 1, 3, 40, 41, 100]):
        chunks = streamed(STREAMS[name], signal, desired, cuts)
        for mine, other in zip(chunks, whole, strict=True):
            np.testing.assert_array_equal(mine, other)


def test_chunks_of_one_sample_and_of_none_keep_the_delay_line():
    signal, desired = system(9, time=12, taps=4)
    layer = LMSFilter(4, 0.05, stateful=True)
    cuts = [0, 1, 1, 2, 3, 7, 12]
    parts = [
        arrays(layer(signal[:, a:b], desired[:, a:b]))[0]
        for a, b in itertools.pairwise(cuts)
    ]
    whole = arrays(LMSFilter(4, 0.05)(signal, desired))[0]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-6)


def test_adapt_false_filters_with_the_weights_it_has():
    signal, desired = system(10)
    layer = LMSFilter(8, 0.05, stateful=True)
    layer(signal, desired)
    learned = layer.filter_weights
    layer_history = np.concatenate([signal[0, -7:], signal[0]])
    expected = np.convolve(layer_history, learned[0])[7 : 7 + 400]
    output = arrays(layer(signal, desired, adapt=False))[0][0]
    np.testing.assert_allclose(output, expected, atol=1e-5)
    np.testing.assert_array_equal(layer.filter_weights, learned)
    layer(signal, desired, training=False)
    np.testing.assert_array_equal(layer.filter_weights, learned)
    layer(signal, desired, adapt=True, training=False)
    assert (layer.filter_weights != learned).any()


def test_adapt_may_be_gated_sample_by_sample():
    (signal,), (desired,) = system(11)
    gate = np.arange(400) % 3 != 0
    theirs = recursion(
        signal, desired, 8, lambda w, e, x, n: w + 0.05 * gate[n] * e * x
    )
    layer = LMSFilter(8, 0.05)
    ours = arrays(layer(signal[None], desired[None], adapt=gate[None]))
    assert_same([a[0] for a in ours], theirs[:2])


def test_a_sample_that_is_not_finite_freezes_only_its_own_filter():
    rng = np.random.default_rng(12)
    signal = rng.normal(size=(1, 60, 2)).astype("float32")
    desired = rng.normal(size=(1, 60, 2)).astype("float32")
    clean = arrays(LMSFilter(4, 0.05, return_weights=True)(signal, desired))
    signal[0, 20, 0] = np.nan
    desired[0, 40, 0] = np.inf
    layer = LMSFilter(4, 0.05, return_weights=True)
    output, error, weights = arrays(layer(signal, desired))
    assert_same([a[:, :, 1] for a in (output, error, weights)],
                [a[:, :, 1] for a in clean], 0)  # fmt: skip
    unknown = np.isnan(output[0, :, 0])
    assert np.flatnonzero(unknown).tolist() == [20, 21, 22, 23]
    frozen = np.flatnonzero((np.diff(weights[0, :, 0], axis=0) == 0).all(axis=1))
    assert frozen.tolist() == [20, 21, 22, 23, 40]
    assert np.isfinite(weights).all()


@pytest.mark.parametrize("algorithm", ["lms", "nlms", "sign_error", "sign_data"])
def test_wherever_a_sample_is_not_finite_it_is_found(algorithm):
    """A call that is told for each sample whether to adapt looks at every sample."""
    rng = np.random.default_rng(14)
    layer = LMSFilter(4, 0.05, algorithm=algorithm)
    told = np.ones((2, 40), "float32")
    for place, value in itertools.product((0, 17, 39), (np.nan, np.inf, -np.inf)):
        for broken in (0, 1):
            pair = [rng.normal(size=(2, 40)).astype("float32") for _ in range(2)]
            pair[broken][1, place] = value
            for ours, theirs in zip(
                arrays(layer(*pair)), arrays(layer(*pair, adapt=told)), strict=True
            ):
                np.testing.assert_allclose(ours, theirs, atol=1e-5, equal_nan=True)
                assert np.isfinite(ours[0]).all()


def test_streaming_carries_a_sample_that_is_not_finite_across_chunks():
    rng = np.random.default_rng(13)
    signal = rng.normal(size=(1, 40)).astype("float32")
    desired = rng.normal(size=(1, 40)).astype("float32")
    signal[0, 9] = np.nan
    layer = LMSFilter(4, 0.05, stateful=True)
    parts = [
        arrays(layer(signal[:, n : n + 10], desired[:, n : n + 10]))[0]
        for n in range(0, 40, 10)
    ]
    output = np.concatenate(parts, axis=1)
    assert np.flatnonzero(np.isnan(output[0])).tolist() == [9, 10, 11, 12]
    whole = arrays(LMSFilter(4, 0.05)(signal, desired))[0]
    np.testing.assert_allclose(output, whole, atol=1e-6)


def test_the_normalised_filter_stays_finite_on_silence():
    signal, desired = system(14)
    signal[:, 100:200] = 0
    layer = LMSFilter(8, 0.5, algorithm="nlms")
    assert np.isfinite(arrays(layer(signal, desired))).all()


@pytest.mark.parametrize("algorithm", ["lms", "nlms", "sign_data", "sign_error"])
@pytest.mark.parametrize(("channels", "taps"), [(70, 40), (20, 110)])
def test_many_filters_at_once_are_each_the_filter_alone(algorithm, channels, taps):
    rng = np.random.default_rng(30)
    signal = rng.normal(size=(1, 150, channels)).astype("float32")
    desired = rng.normal(size=(1, 150, channels)).astype("float32")
    layer = LMSFilter(taps, 0.002, algorithm=algorithm, epsilon=1e-3, stateful=True)
    output, error = arrays(layer(signal, desired))
    for channel in (0, channels - 1):
        weights = np.zeros(taps)
        regressors = frames(signal[0, :, channel], taps)
        for n, x in enumerate(regressors):
            e = desired[0, n, channel] - weights @ x
            assert abs(error[0, n, channel] - e) < 2e-5
            assert abs(output[0, n, channel] - weights @ x) < 2e-5
            power = 1e-3 + x @ x if algorithm == "nlms" else 1.0
            push = np.sign(e) if algorithm == "sign_error" else e
            along = np.sign(x) if algorithm == "sign_data" else x
            weights = weights + 0.002 * push * along / power
        learned = layer.filter_weights[0, channel]
        np.testing.assert_allclose(learned, weights, atol=1e-5)
