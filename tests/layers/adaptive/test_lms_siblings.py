"""RLSFilter and AffineProjectionFilter against padasip and their own papers."""

import itertools
import json

import keras
import numpy as np
import padasip
import pytest

from dlkeras.layers import AffineProjectionFilter, LMSFilter, RLSFilter


def system(seed, time=200, taps=6):
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=time).astype("float32")
    desired = np.convolve(signal, rng.normal(size=taps) / np.sqrt(taps))[:time]
    return signal, (desired + 0.01 * rng.normal(size=time)).astype("float32")


def frames(signal, taps):
    padded = np.pad(signal.astype("float64"), (taps - 1, 0))
    return np.lib.stride_tricks.sliding_window_view(padded, taps)[:, ::-1]


def arrays(outputs):
    return [keras.ops.convert_to_numpy(output) for output in outputs]


def assert_same(ours, theirs, tolerance=1e-5):
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, atol=tolerance, rtol=0)


@pytest.mark.parametrize("seed", range(20))
def test_rls_equals_padasip_on_20_random_systems(seed):
    signal, desired = system(seed)
    layer = RLSFilter(6, 0.99, regularization=0.1, return_weights=True)
    ours = [a[0] for a in arrays(layer(signal[None], desired[None]))]
    peer = padasip.filters.FilterRLS(6, mu=0.99, eps=0.1, w="zeros")
    assert_same(ours, peer.run(desired.astype("float64"), frames(signal, 6)))


@pytest.mark.parametrize("seed", range(20))
def test_affine_projection_equals_padasip_on_20_random_systems(seed):
    signal, desired = system(seed)
    layer = AffineProjectionFilter(6, 0.5, order=3, epsilon=0.1, return_weights=True)
    ours = [a[0] for a in arrays(layer(signal[None], desired[None]))]
    peer = padasip.filters.FilterAP(6, order=3, mu=0.5, ifc=0.1, w="zeros")
    assert_same(ours, peer.run(desired.astype("float64"), frames(signal, 6)))


def test_rls_without_forgetting_is_the_regularised_least_squares_solution():
    signal, desired = system(21)
    layer = RLSFilter(6, 1.0, regularization=0.5, stateful=True)
    layer(signal[None], desired[None])
    regressors = frames(signal, 6)
    normal = regressors.T @ regressors + 0.5 * np.eye(6)
    expected = np.linalg.solve(normal, regressors.T @ desired)
    np.testing.assert_allclose(layer.filter_weights[0], expected, atol=1e-5)


def test_rls_stays_stable_where_an_unsymmetrised_float32_recursion_runs_away():
    rng = np.random.default_rng(22)
    time, taps, forgetting = 4000, 6, np.float32(0.9)
    signal = rng.normal(size=time).astype("float32")
    desired = np.convolve(signal, rng.normal(size=taps))[:time].astype("float32")
    # the same recursion without the step that restores the symmetry of P
    inverse = np.eye(taps, dtype="float32") * np.float32(1e3)
    with np.errstate(all="ignore"):
        for x in frames(signal, taps).astype("float32"):
            spread = inverse @ x
            gain = spread / (forgetting + x @ spread)
            inverse = (inverse - np.outer(gain, spread)) / forgetting
    assert not np.abs(inverse - inverse.T).max() < 1  # large, or no longer finite
    error = arrays(RLSFilter(taps, 0.9)(signal[None], desired[None]))[1]
    assert np.abs(error[0, 100:]).max() < 1e-3


def test_affine_projection_of_order_1_is_the_normalised_filter():
    signal, desired = system(23)
    one = AffineProjectionFilter(6, 0.5, order=1, epsilon=0.2)
    nlms = LMSFilter(6, 0.5, algorithm="nlms", epsilon=0.2)
    pair = signal[None], desired[None]
    assert_same(arrays(one(*pair)), arrays(nlms(*pair)))


def complex_loop(kind, signal, desired, taps):
    """The complex recursions, sample by sample, in complex128."""
    padded = np.pad(signal.astype("complex128"), (taps, 0))
    window = np.lib.stride_tricks.sliding_window_view(padded, taps)[:, ::-1]
    weights, inverse = np.zeros(taps, complex), np.eye(taps) / 0.1
    outputs = []
    for n, d in enumerate(desired):
        x = window[n + 1]
        outputs.append(np.vdot(weights, x))
        if kind is RLSFilter:
            gain = inverse @ x / (0.98 + np.vdot(x, inverse @ x))
            weights = weights + gain * np.conj(d - outputs[-1])
            inverse = (inverse - np.outer(gain, x.conj() @ inverse)) / 0.98
        else:
            block = np.stack([x, window[n]], axis=1)  # (taps, 2)
            wanted = np.array([d, desired[n - 1] if n else 0])
            error = wanted - weights.conj() @ block
            gram = block.conj().T @ block + 0.1 * np.eye(2)
            weights = weights + 0.5 * block @ np.linalg.solve(gram, error.conj())
    return np.array(outputs)


@pytest.mark.parametrize("kind", [RLSFilter, AffineProjectionFilter])
def test_the_complex_filters_equal_their_recursions_in_complex128(kind):
    rng = np.random.default_rng(24)
    signal = (rng.normal(size=100) + 1j * rng.normal(size=100)).astype("complex64")
    unknown = rng.normal(size=4) + 1j * rng.normal(size=4)
    desired = np.convolve(signal, unknown)[:100].astype("complex64")
    options = (
        {"forgetting": 0.98, "regularization": 0.1}
        if kind is RLSFilter
        else {"step_size": 0.5, "epsilon": 0.1}
    )
    layer = kind(4, complex_valued=True, **options)
    output = arrays(layer(signal[None], desired[None]))[0][0]
    expected = complex_loop(kind, signal, desired, 4)
    np.testing.assert_allclose(output, expected, atol=3e-5)


@pytest.mark.parametrize("input_type", ["signal", "multi_input", "regressors"])
@pytest.mark.parametrize("kind", [RLSFilter, AffineProjectionFilter])
def test_chunks_give_what_one_call_gives(kind, input_type):
    rng = np.random.default_rng(25)
    channels = {"signal": 2, "multi_input": 2, "regressors": 3}[input_type]
    signal = rng.normal(size=(2, 60, channels)).astype("float32")
    wanted = (2, 60, 2) if input_type == "signal" else (2, 60)
    desired = rng.normal(size=wanted).astype("float32")
    whole = arrays(kind(3, input_type=input_type)(signal, desired))
    layer = kind(3, input_type=input_type, stateful=True)
    parts = [
        arrays(layer(signal[:, n : n + 6], desired[:, n : n + 6]))
        for n in range(0, 60, 6)
    ]
    joined = [np.concatenate(part, axis=1) for part in zip(*parts, strict=True)]
    assert_same(joined, whole, 2e-5)
    layer.reset_state()
    assert not layer.filter_weights.any()


def test_a_sample_that_is_not_finite_freezes_only_its_own_filter():
    rng = np.random.default_rng(26)
    signal = rng.normal(size=(2, 40)).astype("float32")
    desired = rng.normal(size=(2, 40)).astype("float32")
    for make in (
        lambda n, **k: RLSFilter(n, regularization=0.1, **k),  # it learns at once
        lambda n, **k: AffineProjectionFilter(n, order=3, **k),
    ):
        clean = arrays(make(3)(signal, desired))[0]
        broken, wanted = signal.copy(), desired.copy()
        broken[0, 10], wanted[0, 30] = np.inf, np.nan
        output, _, weights = arrays(make(3, return_weights=True)(broken, wanted))
        np.testing.assert_allclose(output[1], clean[1], atol=1e-6)
        # as long as it is among the 3 samples of the delay line, and no longer
        assert np.flatnonzero(np.isnan(output[0])).tolist() == [10, 11, 12]
        frozen = np.flatnonzero((np.diff(weights[0], axis=0) == 0).all(axis=1))
        assert frozen.tolist() == [10, 11, 12, 30]
        # and cut into chunks just so
        layer = make(3, stateful=True)
        parts = [
            arrays(layer(broken[:, a:b], wanted[:, a:b]))[0]
            for a, b in itertools.pairwise([0, 9, 11, 12, 31, 32, 40])
        ]
        np.testing.assert_allclose(
            np.concatenate(parts, axis=1), output, atol=1e-5, equal_nan=True
        )


def test_affine_projection_leaves_out_what_it_does_not_know():
    rng = np.random.default_rng(28)
    signal, desired = rng.normal(size=(2, 1, 30)).astype("float32")
    desired[0, 12] = np.nan
    layer = AffineProjectionFilter(3, 0.5, order=2, epsilon=0.1, return_weights=True)
    weights = arrays(layer(signal, desired))[2][0]
    x = frames(signal[0], 3)
    # sample 13 has one regressor left: the normalised filter's step
    error = desired[0, 13] - weights[13] @ x[13]
    alone = weights[13] + 0.5 * error * x[13] / (0.1 + x[13] @ x[13])
    np.testing.assert_allclose(weights[14], alone, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (RLSFilter, {"forgetting": 0.9, "regularization": 0.2}),
        (AffineProjectionFilter, {"step_size": 0.3, "order": 4, "epsilon": 0.2}),
    ],
)
def test_config_survives_json_and_gives_the_same_filter(kind, options):
    signal, desired = system(27)
    layer = kind(5, **options, initial_weights="ones", on_divergence="warn")
    again = kind.from_config(json.loads(json.dumps(layer.get_config())))
    assert again.get_config() == layer.get_config()
    pair = signal[None], desired[None]
    assert_same(arrays(layer(*pair)), arrays(again(*pair)), 0)


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        (RLSFilter, {"forgetting": 0}, "forgetting"),
        (RLSFilter, {"forgetting": 1.1}, "forgetting"),
        (RLSFilter, {"regularization": 0}, "regularization"),
        (AffineProjectionFilter, {"step_size": 0}, "step_size"),
        (AffineProjectionFilter, {"order": 0}, "order"),
        (AffineProjectionFilter, {"epsilon": 0}, "epsilon"),
    ],
)
def test_an_argument_out_of_range_is_refused_by_name(kind, options, words):
    with pytest.raises(ValueError, match=f"'strict' expects {words}.*Received"):
        kind(4, **options, name="strict")


def test_a_projection_step_of_2_is_warned_of():
    with pytest.warns(RuntimeWarning, match="below 2"):
        AffineProjectionFilter(4, 2.0)


@pytest.mark.filterwarnings("ignore:AffineProjectionFilter:RuntimeWarning")
def test_a_projection_beyond_2_diverges_with_its_bound_said():
    rng = np.random.default_rng(31)
    signal, desired = rng.normal(size=(2, 1, 400)).astype("float32")
    layer = AffineProjectionFilter(4, 2.5, order=3, name="wild")
    with pytest.raises(FloatingPointError, match=r"'wild' diverged.*below 2.*2\.5"):
        layer(signal, desired)
