"""The filters where no value can be asked for: compiled, exported, transformed."""

import keras
import numpy as np
import pytest

from dlkeras.layers import AffineProjectionFilter, LMSFilter, RLSFilter

BACKEND = keras.backend.backend()
FILTERS = {
    "lms": lambda **k: LMSFilter(3, 0.05, **k),
    "nlms": lambda **k: LMSFilter(3, 0.5, algorithm="nlms", **k),
    "momentum": lambda **k: LMSFilter(3, 0.05, momentum=0.3, **k),
    "rls": lambda **k: RLSFilter(3, **k),
    "inverse qr": lambda **k: RLSFilter(3, form="inverse_qr", **k),
    "projection": lambda **k: AffineProjectionFilter(3, **k),
}
each = pytest.mark.parametrize("name", FILTERS)
# What takes a second or more a filter: the fastest form, and one with matrices.
two = pytest.mark.parametrize("name", ["nlms", "rls"])


def signals(*shape):
    return list(np.random.default_rng(3).normal(size=(2, *shape)).astype("float32"))


def errors(layer, signal, desired):
    return keras.ops.convert_to_numpy(layer(signal, desired)[1])


@each
def test_half_precision_tensors_are_filtered_in_float32(name):
    """Whatever is given: tensors of the backend's own bfloat16."""
    pair = [keras.ops.cast(s, "bfloat16") for s in signals(2, 40)]
    layer = FILTERS[name](dtype="mixed_bfloat16")
    error = layer(*pair)[1]
    assert keras.backend.standardize_dtype(error.dtype) == "bfloat16"
    assert layer.filter_weights.dtype == "float32"
    exact = errors(FILTERS[name](), *(keras.ops.cast(s, "float32") for s in pair))
    found = keras.ops.convert_to_numpy(keras.ops.cast(error, "float32"))
    np.testing.assert_allclose(found, exact, rtol=2**-7, atol=1e-6)


@two
def test_a_network_in_mixed_precision_trains_through_a_filter(name):
    inputs = keras.Input((24, 1), dtype="bfloat16")
    noise = keras.layers.Conv1D(1, 3, padding="causal", dtype="mixed_bfloat16")(inputs)
    error = FILTERS[name](dtype="mixed_bfloat16")(inputs, noise)[1]
    model = keras.Model(inputs, error)
    model.compile("sgd", "mse", jit_compile=False)
    signal = signals(2, 24, 1)[0]
    history = model.fit(signal, 0 * signal, verbose=0)
    assert np.isfinite(history.history["loss"][0])


@each
def test_a_compiled_call_is_the_ordinary_one(name):
    pair, layer = signals(2, 12), FILTERS[name]()
    exact = errors(layer, *pair)
    if BACKEND == "jax":
        import jax

        found = jax.jit(lambda x, d: layer(x, d)[1])(*pair)
    elif BACKEND == "tensorflow":
        import tensorflow as tf

        found = tf.function(lambda x, d: layer(x, d)[1])(*pair)
    else:
        import torch

        program = torch.export.export(
            _Module(layer), tuple(map(torch.from_numpy, pair)), strict=False
        )
        found = program.module()(*map(torch.from_numpy, pair))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found), exact, atol=1e-5)


@two
def test_an_exported_model_answers_as_the_layer_does(name, tmp_path):
    inputs = [keras.Input((12,)), keras.Input((12,))]
    layer = FILTERS[name]()
    model = keras.Model(inputs, layer(*inputs)[1])
    pair = signals(1, 12)
    exact = errors(layer, *pair)
    if BACKEND == "torch":
        import torch

        model.export(tmp_path / "filter.pt2", format="torch", verbose=False)
        served = torch.export.load(tmp_path / "filter.pt2").module()
        found = served([torch.from_numpy(s) for s in pair])
    else:
        import tensorflow as tf

        model.export(tmp_path / "filter", format="tf_saved_model", verbose=False)
        served = tf.saved_model.load(str(tmp_path / "filter"))  # owns the variables
        found = served.serve(pair).numpy()
    if isinstance(found, (list, tuple)):
        (found,) = found
    np.testing.assert_allclose(np.asarray(found), exact, atol=1e-5)


@each
def test_a_transformed_call_has_the_gradient_of_finite_differences(name):
    """By `jax.grad`, `torch.func.grad` or a tape: of the squared errors, by one x."""
    signal, desired = signals(1, 20)
    layer = FILTERS[name]()
    layer.build(signal.shape, desired.shape)

    def loss(x):
        return keras.ops.sum(layer(x, desired)[1] ** 2)

    if BACKEND == "jax":
        import jax

        gradient = jax.grad(loss)(signal)
    elif BACKEND == "tensorflow":
        import tensorflow as tf

        x = tf.constant(signal)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(x)
        gradient = tape.gradient(value, x)
    else:
        import torch

        desired = torch.from_numpy(desired)
        gradient = torch.func.grad(loss)(torch.from_numpy(signal))
    gradient = keras.ops.convert_to_numpy(gradient)
    shifted = [signal.copy(), signal.copy()]
    shifted[0][0, 9] += 1e-2
    shifted[1][0, 9] -= 1e-2
    above, below = (float(loss(keras.ops.convert_to_tensor(s))) for s in shifted)
    assert gradient[0, 9] == pytest.approx((above - below) / 2e-2, rel=2e-2, abs=2e-2)


@two
def test_a_mapped_call_is_every_call(name):
    """By `jax.vmap`, `torch.func.vmap` or `tf.vectorized_map`."""
    signal, desired = signals(3, 1, 20)
    layer = FILTERS[name]()
    layer.build(signal[0].shape, desired[0].shape)
    exact = np.stack(
        [errors(layer, *pair) for pair in zip(signal, desired, strict=True)]
    )
    if BACKEND == "jax":
        import jax

        found = jax.vmap(lambda x, d: layer(x, d)[1])(signal, desired)
    elif BACKEND == "tensorflow":
        import tensorflow as tf

        found = tf.vectorized_map(lambda pair: layer(*pair)[1], (signal, desired))
    else:
        import torch

        pair = torch.from_numpy(signal), torch.from_numpy(desired)
        found = torch.func.vmap(lambda x, d: layer(x, d)[1])(*pair)
    found = keras.ops.convert_to_numpy(found)
    # Of the largest: RLS divides by sums, in which the order of a sum is seen.
    np.testing.assert_allclose(found, exact, atol=1e-5 * np.abs(exact).max())


if BACKEND == "torch":
    import torch

    class _Module(torch.nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def forward(self, signal, desired):
            return self.layer(signal, desired)[1]
