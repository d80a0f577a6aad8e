"""The loops that numba compiles give what a loop in float64 and PyTorch give."""

import itertools

import keras
import numpy as np
import pytest

pytest.importorskip("numba")

from dlkeras.layers import LMSFilter
from dlkeras.layers.adaptive.backend import host_loops

BACKEND = keras.backend.backend()
if BACKEND == "jax":
    pytest.skip("XLA's loops are as fast", allow_module_level=True)
# What takes the backend's own recursion, too: on the others that is a compilation each.
torch_only = pytest.mark.skipif(BACKEND != "torch", reason="of eager PyTorch")


def arrays(tensors):
    return [keras.ops.convert_to_numpy(x) for x in tensors]


@pytest.fixture
def calls(monkeypatch):
    """The shapes of the calls that ran in the processor's loops."""
    seen, run = [], host_loops._filtered

    def spied(given, problem):
        seen.append(given["desired"].shape)
        return run(given, problem)

    monkeypatch.setattr(host_loops, "_filtered", spied)
    return seen


def backends_own(monkeypatch, make):
    """The same layer as on a machine without numba."""
    with monkeypatch.context() as patched:
        patched.setattr(host_loops, "installed", lambda: False)
        return make()


def loop(signal, desired, weights, step, epsilon=None):
    """One filter in float64, one sample after the other; weights newest first."""
    w = np.array(weights, "float64")
    line, errors = np.zeros(len(w)), []
    for x, d in zip(signal, desired, strict=True):
        line = np.concatenate([[x], line[:-1]])
        errors.append(d - w @ line)
        gain = step if epsilon is None else step / (epsilon + line @ line)
        w = w + gain * errors[-1] * line
    return np.array(errors)


@pytest.mark.parametrize("algorithm", ["lms", "nlms"])
@pytest.mark.parametrize("taps", [1, 3, 40, host_loops.LONG])
@pytest.mark.parametrize("batch, channels", [(1, ()), (9, ()), (1, (1,)), (2, (19,))])
def test_it_is_a_loop_in_float64(batch, channels, taps, algorithm, calls):
    shape = batch, max(90, taps + 30), *channels
    rng = np.random.default_rng(taps)
    signal, desired = rng.normal(size=(2, *shape)).astype("float32")
    initial = rng.normal(size=(*shape[2:], taps)).astype("float32") / taps**0.5
    step, epsilon = (0.3, 1e-2) if algorithm == "nlms" else (0.2 / taps, None)
    layer = LMSFilter(
        taps, step, algorithm=algorithm, epsilon=epsilon or 1e-3,
        initial_weights=keras.initializers.Constant(initial),
    )  # fmt: skip
    output, error = arrays(layer(signal, desired))
    assert calls == [shape]
    assert output.dtype == np.float32
    np.testing.assert_allclose(output + error, desired, atol=1e-5)
    filters = signal.reshape(*shape[:2], -1), desired.reshape(*shape[:2], -1)
    ours = error.reshape(*shape[:2], -1)
    for row in range(shape[0]):
        for channel in range(ours.shape[2]):
            expected = loop(
                filters[0][row, :, channel], filters[1][row, :, channel],
                initial.reshape(-1, taps)[channel], step, epsilon,
            )  # fmt: skip
            np.testing.assert_allclose(ours[row, :, channel], expected, atol=1e-5)


@torch_only
@pytest.mark.parametrize("policy", ["float64", "bfloat16", "mixed_bfloat16"])
def test_data_types_are_the_backends(policy, calls, monkeypatch):
    signal, desired = np.random.default_rng(1).normal(size=(2, 2, 300, 3))
    dtype = "float64" if policy == "float64" else "float32"
    signal, desired = signal.astype(dtype), desired.astype(dtype)

    def make():
        layer = LMSFilter(4, 0.05, dtype=policy)
        return layer(signal, desired)

    ours, theirs = make(), backends_own(monkeypatch, make)
    assert len(calls) == 1
    tolerance = 1e-12 if policy == "float64" else 1e-2
    for one, two in zip(ours, theirs, strict=True):
        assert one.dtype == two.dtype
        one, two = arrays(keras.ops.cast(x, dtype) for x in (one, two))
        np.testing.assert_allclose(one, two, atol=tolerance)


@pytest.mark.parametrize("taps", [8, host_loops.AHEAD + 1, host_loops.LONG])
def test_threads_change_no_bit(taps, calls, monkeypatch):
    signal, desired = np.random.default_rng(2).normal(size=(2, 3, 250, 40))
    layer = LMSFilter(taps, 0.1 / taps)
    inputs = signal.astype("float32"), desired.astype("float32")
    one = arrays(layer(*inputs))
    monkeypatch.setattr(host_loops, "LARGE", 1)
    monkeypatch.setattr(host_loops, "_processors", lambda: 3)
    for a, b in zip(arrays(layer(*inputs)), one, strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(calls) == 2


@torch_only
@pytest.mark.parametrize("algorithm", ["lms", "nlms"])
@pytest.mark.parametrize(
    "shape, taps",
    [
        ((1, 600), 7),
        ((2, 600, 5), 7),
        ((2, 600, 5), host_loops.AHEAD + 1),
        ((2, 600, 5), host_loops.LONG),
    ],
)
def test_chunks_give_what_one_call_gives(shape, taps, algorithm, calls, monkeypatch):
    """To the last bit; and a chunk that the backend runs fits in between."""
    rng = np.random.default_rng(8)
    signal, desired = rng.normal(size=(2, *shape)).astype("float32")

    def make():
        step = 0.05 if algorithm == "nlms" else 0.35 / taps
        return LMSFilter(taps, step, algorithm=algorithm, stateful=True)

    whole, layer = make(), make()
    expected = arrays(whole(signal, desired))
    ends = [0, 3, 4, 90, 200, 600]  # some are shorter than the filter
    parts = [slice(a, b) for a, b in itertools.pairwise(ends)]
    found = [arrays(layer(signal[:, part], desired[:, part])) for part in parts]
    assert len(calls) == 1 + len(parts)
    for n, one in enumerate(expected):
        joined = np.concatenate([part[n] for part in found], axis=1)
        np.testing.assert_array_equal(joined, one)
    np.testing.assert_array_equal(layer.filter_weights, whole.filter_weights)

    layer.reset_state()
    for n, part in enumerate(parts):
        with monkeypatch.context() as patched:
            if n % 2:
                patched.setattr(host_loops, "computes_on_host", lambda arrays: False)
            output, _ = arrays(layer(signal[:, part], desired[:, part]))
        np.testing.assert_allclose(output, expected[0][:, part], atol=1e-5)
    assert len(calls) == 1 + len(parts) + 3


@torch_only
@pytest.mark.parametrize(
    "options",
    [
        {"return_weights": True},
        {"leakage": 0.1},
        {"momentum": 0.1},
        {"algorithm": "sign_error"},
        {"algorithm": "variable_step"},
        {"complex_valued": True},
        {"input_type": "multi_input"},
    ],
)
def test_what_it_does_not_know_is_left_to_the_backend(options, calls):
    signal, desired = np.random.default_rng(3).normal(size=(2, 1, 50, 2))
    if options.get("input_type"):
        desired = desired[..., 0]
    LMSFilter(2, 0.01, **options)(signal.astype("float32"), desired.astype("float32"))
    assert not calls


@torch_only
def test_an_empty_call_is_left_to_the_backend(calls):
    layer = LMSFilter(2, 0.01)
    layer.build((1, 8, 2), (1, 8, 2))
    empty = np.zeros((0, 8, 2), "float32")
    assert [x.shape for x in arrays(layer(empty, empty))] == [(0, 8, 2)] * 2
    assert not calls


@torch_only
@pytest.mark.parametrize("step", [2.5, 0.9])
@pytest.mark.parametrize("shape", [(1, 4000), (1, 4000, 3)])
def test_the_same_filters_are_said_to_diverge(step, shape, calls, monkeypatch):
    """Steps of 2.5 end in infinities; 0.9 is beyond the bound, and only grows."""
    signal, desired = np.random.default_rng(4).normal(size=(2, *shape))
    signal, desired = signal.astype("float32"), desired.astype("float32")
    if len(shape) == 3:
        signal[..., 1] *= 0.01  # which is stable

    def message():
        with pytest.raises(FloatingPointError) as said:
            LMSFilter(4, step, name="wild")(signal, desired)
        return str(said.value)

    with pytest.warns(RuntimeWarning, match="below"):
        ours = message()
    with pytest.warns(RuntimeWarning, match="below"):
        assert ours == backends_own(monkeypatch, message)
    assert len(calls) == 1
    assert ("2 of 3 filters (number 0, 2" if len(shape) == 3 else "1 of 1") in ours


@pytest.mark.filterwarnings("ignore:LMSFilter 'loud' expects:RuntimeWarning")
def test_a_filter_that_diverges_is_told_of_as_everywhere(calls):
    signal = np.random.default_rng(5).normal(size=(1, 400)).astype("float32")
    with pytest.raises(FloatingPointError, match=r"in 1 of 1 .* step_size below"):
        LMSFilter(8, 0.5, name="loud")(signal, signal)
    with pytest.warns(RuntimeWarning, match="diverged in 1 of 1"):
        LMSFilter(8, 0.5, name="loud", on_divergence="warn")(signal, signal)
    assert len(calls) == 2


@torch_only
def test_a_sample_that_is_not_finite_freezes_its_own_filter(calls, monkeypatch):
    signal, desired = np.random.default_rng(5).normal(size=(2, 1, 60, 3))
    signal, desired = signal.astype("float32"), desired.astype("float32")
    signal[0, 20, 1] = np.nan

    def make():
        return arrays(LMSFilter(4, 0.05)(signal, desired))

    for ours, theirs in zip(make(), backends_own(monkeypatch, make), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
        assert np.flatnonzero(np.isnan(ours[0, :, 1])).tolist() == [20, 21, 22, 23]
        assert np.isfinite(ours[..., [0, 2]]).all()


@torch_only
def test_a_gradient_is_the_backends(calls):
    signal, desired = np.random.default_rng(6).normal(size=(2, 1, 40))
    signal, desired = signal.astype("float32"), desired.astype("float32")
    layer = LMSFilter(3, 0.05)

    def loss(x):
        return keras.ops.sum(keras.ops.square(layer(x, desired)[1]))

    import torch

    x = torch.tensor(signal, requires_grad=True)
    loss(x).backward()
    gradient = x.grad.numpy()
    assert not calls
    n, h = 17, 1e-2
    moved = [signal.copy(), signal.copy()]
    moved[0][0, n] += h
    moved[1][0, n] -= h
    high, low = (float(loss(x)) for x in moved)
    assert calls
    assert gradient[0, n] == pytest.approx((high - low) / (2 * h), rel=1e-2)


@torch_only
def test_a_model_agrees(calls):
    x, d = keras.Input((64, 2)), keras.Input((64, 2))
    layer = LMSFilter(4, 0.05)
    model = keras.Model([x, d], layer(x, d))
    signal, desired = np.random.default_rng(7).normal(size=(2, 3, 64, 2))
    inputs = [signal.astype("float32"), desired.astype("float32")]
    found = model.predict(inputs, verbose=0)
    assert calls  # PyTorch's `predict` has no graph
    for one, two in zip(found, arrays(layer(*inputs)), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


@torch_only
@pytest.mark.filterwarnings("ignore:::torch.*")
def test_a_compiled_graph_is_the_backends(calls):
    signal, desired = np.random.default_rng(9).normal(size=(2, 2, 40))
    import torch

    inputs = [torch.tensor(x.astype("float32")) for x in (signal, desired)]
    layer = LMSFilter(3, 0.05)
    expected = arrays(layer(*inputs))
    assert len(calls) == 1
    found = torch.compile(lambda x, d: layer.call(x, d), backend="eager")(*inputs)
    for one, two in zip(arrays(found), expected, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)
    assert len(calls) == 1


@pytest.mark.skipif(BACKEND == "torch", reason="said above")
def test_a_graph_and_a_gradient_are_the_backends(calls):
    signal, desired = np.random.default_rng(9).normal(size=(2, 2, 40))
    x, d = (keras.ops.convert_to_tensor(a.astype("float32")) for a in (signal, desired))
    layer = LMSFilter(3, 0.05)
    expected = arrays(layer(x, d))
    assert len(calls) == 1

    def loss(x):
        return keras.ops.sum(keras.ops.square(layer(x, d)[1]))

    if BACKEND == "jax":
        import jax

        value, gradient = jax.jit(jax.value_and_grad(loss))(x)
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            value = tf.function(loss)(x)
        gradient = tape.gradient(value, x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            eager = loss(x)
        np.testing.assert_allclose(tape.gradient(eager, x), gradient, rtol=1e-5)
    assert len(calls) == 1
    np.testing.assert_allclose(value, np.sum(expected[1] ** 2), rtol=1e-5)
    assert np.isfinite(gradient).all() and np.any(gradient)


def test_what_a_call_gave_stays_and_any_operation_reads_it(calls):
    """The loops' memory becomes the tensors': nobody else writes into it."""
    rng = np.random.default_rng(12)
    layer, kept = LMSFilter(5, 0.02, stateful=True), []
    for length in (7, 64, 1023, 1024):
        signal, desired = rng.normal(size=(2, 1, length)).astype("float32")
        pair = layer(signal, desired)
        np.testing.assert_allclose(sum(arrays(pair)), desired, atol=1e-5)
        kept.append((pair, [array.copy() for array in arrays(pair)]))
    assert len(calls) == 4
    del layer
    for (output, error), values in kept:
        for one, two in zip(arrays((output, error)), values, strict=True):
            np.testing.assert_array_equal(one, two)
        (product,) = arrays([keras.ops.matmul(output, keras.ops.transpose(error))])
        expected = values[0][0].astype("float64") @ values[1][0]
        np.testing.assert_allclose(product[0, 0], expected, atol=1e-3)


def test_a_value_that_is_remembered_is_never_an_old_one(calls, tmp_path):
    """TensorFlow's variables are read once: whoever may write to them is noticed."""
    signal, desired = np.random.default_rng(13).normal(size=(2, 1, 60))
    inputs = signal.astype("float32"), desired.astype("float32")

    def check(layer, weights):
        for _ in range(2):
            errors = arrays(layer(*inputs))[1][0]
            expected = loop(signal[0], desired[0], weights, 0.05)
            np.testing.assert_allclose(errors, expected, atol=1e-5)

    layer = LMSFilter(2, 0.05)
    check(layer, [0.0, 0.0])
    layer.initial_weights.assign([1.0, 0.0])
    check(layer, [1.0, 0.0])
    layer.filter_weights[:] = 7.0  # a copy
    check(layer, [1.0, 0.0])
    layer.set_weights([np.array([1.0, 2.0], "float32")])
    check(layer, [1.0, 2.0])
    if BACKEND == "tensorflow":
        import tensorflow as tf

        fresh = LMSFilter(2, 0.05)
        check(fresh, [0.0, 0.0])
        tf.train.Checkpoint(layer=layer).save(str(tmp_path / "kept"))
        saved = tf.train.Checkpoint(layer=fresh)
        saved.restore(tf.train.latest_checkpoint(str(tmp_path))).assert_consumed()
        check(fresh, [1.0, 2.0])

        fresh, change = LMSFilter(2, 0.05), tf.Variable([0.0, 0.0])
        check(fresh, [0.0, 0.0])
        graph = tf.function(lambda: fresh.initial_weights.assign(change))
        graph()
        check(fresh, [0.0, 0.0])
        change.assign([0.0, 3.0])
        graph()  # nothing of Python's runs in it
        check(fresh, [0.0, 3.0])
        fresh.initial_weights.value.assign([4.0, 0.0])
        check(fresh, [4.0, 0.0])
    assert len(calls) == (20 if BACKEND == "tensorflow" else 8)


def test_a_stream_goes_on_from_graph_to_graph_and_back(calls):
    rng = np.random.default_rng(14)
    signal, desired = rng.normal(size=(2, 1, 80)).astype("float32")
    given = [keras.Input((None,), batch_size=1) for _ in range(2)]
    layer = LMSFilter(3, 0.05, stateful=True)
    model = keras.Model(given, layer(*given))
    whole = arrays(LMSFilter(3, 0.05)(signal, desired))[1]
    calls.clear()
    for n in range(8):
        part = slice(10 * n, 10 * n + 10)
        inputs = [array[:, part] for array in (signal, desired)]
        run = layer if n % 2 == 0 else lambda *pair: model.predict(pair, verbose=0)
        error = arrays(run(*inputs))[1]
        np.testing.assert_allclose(error, whole[:, part], atol=1e-5)
    assert len(calls) >= 4
