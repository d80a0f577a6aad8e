"""The convolution equals Keras's layer, and trains 1x1 kernels as matrix products."""

import keras
import numpy as np
import pytest
from keras import ops
from weighted_gradients import gradients, numpy

from dlkeras.layers import BottleneckBlock, Conv2D
from dlkeras.testing import check_layer

SHAPE = (3, 7, 5, 6)
OPTIONS = {
    "as it is": {},
    "strides": {"strides": 2},
    "uneven strides": {"strides": (3, 2), "padding": "same"},
    "bias and activation": {"bias_initializer": "ones", "activation": "relu"},
    "no bias": {"use_bias": False, "strides": 2},
    "a kernel of 3": {"kernel_size": 3},
    "groups": {"groups": 2},
}


def pair(**options):
    """Keras's layer and ours with the same weights."""
    options = {"filters": 4, "kernel_size": 1, **options}
    made = [kind(**options) for kind in (keras.layers.Conv2D, Conv2D)]
    for layer in made:
        layer.build(SHAPE)
    made[1].set_weights(made[0].get_weights())
    return made


def images(dtype="float32", shape=SHAPE):
    return ops.cast(np.random.default_rng(2).normal(size=shape), dtype)


@pytest.mark.parametrize("dtype, digits", [("float32", 1e-6), ("bfloat16", 2**-7)])
@pytest.mark.parametrize("case", OPTIONS)
def test_outputs_and_gradients_are_those_of_keras(case, dtype, digits):
    policy = dtype if dtype == "float32" else f"mixed_{dtype}"
    keras_layer, ours = pair(dtype=policy, **OPTIONS[case])
    x = images(dtype)
    expected, got = keras_layer(x, training=True), ours(x, training=True)
    assert tuple(got.shape) == tuple(expected.shape)
    assert keras.backend.standardize_dtype(got.dtype) == dtype
    scale = np.abs(numpy(expected)).max()
    np.testing.assert_allclose(numpy(got), numpy(expected), atol=digits * scale)
    np.testing.assert_array_equal(numpy(ours(x)), numpy(keras_layer(x)))
    weights = np.random.default_rng(3).normal(size=got.shape).astype("float32")
    pairs = zip(
        gradients(ours, x, weights), gradients(keras_layer, x, weights), strict=True
    )
    for mine, theirs in pairs:
        scale = np.abs(numpy(theirs)).max()
        np.testing.assert_allclose(numpy(mine), numpy(theirs), atol=digits * scale)


def test_weight_files_of_keras_layers_load_and_the_other_way_round(tmp_path):
    kinds = (keras.layers.Conv2D, Conv2D)
    for source, target in (kinds, kinds[::-1]):
        saved, loaded = (
            keras.Sequential([keras.Input((4, 4, 3)), kind(2, 3), kind(2, 1)])
            for kind in (source, target)
        )
        saved.save_weights(tmp_path / "n.weights.h5")
        loaded.load_weights(tmp_path / "n.weights.h5")
        for mine, theirs in zip(loaded.weights, saved.weights, strict=True):
            np.testing.assert_array_equal(numpy(mine), numpy(theirs))


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the product is TensorFlow's"
)
@pytest.mark.parametrize(
    "policy, training, size, products",
    [
        ("mixed_bfloat16", True, None, 3),  # 1x1, 1x1 and the projection; not the 3x3
        ("mixed_bfloat16", False, None, 0),
        ("float32", True, None, 3),
        ("float32", True, 57, 3),
        ("float32", False, 56, 0),
        ("float64", True, 56, 0),
    ],
)
def test_a_bottleneck_trains_by_products(policy, training, size, products):
    import tensorflow as tf

    block = BottleneckBlock(4, 2, dtype=policy)
    block.build((None, 8, 8, 8))
    graph = tf.function(lambda x: block(x, training=training)).get_concrete_function(
        tf.TensorSpec((None, size, size, 8), block.compute_dtype)
    )
    kinds = [operation.type for operation in graph.graph.get_operations()]
    on_gpu = bool(tf.config.list_logical_devices("GPU"))
    assert kinds.count("MatMul") == (0 if on_gpu else products)
    assert kinds.count("Conv2D") == 4 - kinds.count("MatMul")
    picked_once = training and policy != "float64" and not on_gpu
    assert kinds.count("AvgPool") == picked_once


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the product is TensorFlow's"
)
@pytest.mark.parametrize("filters", [4, 9])  # fewer and more than the 6 that come in
def test_gradients_of_gradients_and_jacobians_are_those_of_keras(filters):
    import tensorflow as tf

    x, direction = images(), images()[::-1]

    def found(layer):
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = layer(x, training=True)
                energy = tf.reduce_sum(tf.sin(y))
            first = inner.gradient(energy, [x, layer.kernel.value])
            total = sum(tf.reduce_sum(tf.sin(slope)) for slope in first)
        with tf.autodiff.ForwardAccumulator(x, direction) as forward:
            along = forward.jvp(layer(x, training=True))
        second = outer.gradient(total, [x, layer.kernel.value])
        return [*second, along, outer.batch_jacobian(y, x)]

    keras_layer, ours = pair(filters=filters)
    for mine, theirs in zip(found(ours), found(keras_layer), strict=True):
        scale = np.abs(numpy(theirs)).max()
        np.testing.assert_allclose(numpy(mine), numpy(theirs), atol=1e-5 * scale)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="others pick no pixels"
)
@pytest.mark.parametrize("size", [9, 64])
def test_pixels_that_are_picked_once_are_every_second(size):
    """Of a block with strides, beside one without on the pixels that are visited."""
    x = images(shape=(2, size, size, 8))
    weights = np.random.default_rng(3).normal(size=(2, *[-(-size // 2)] * 2, 32))
    block, plain = (
        BottleneckBlock(8, strides, shortcut="C", normalization=None)
        for strides in (2, 1)
    )
    visited = ops.convert_to_tensor(ops.convert_to_numpy(x)[:, ::2, ::2])
    block.build(x.shape)
    plain.build(visited.shape)
    plain.set_weights(block.get_weights())
    weights = weights.astype("float32")
    found = [numpy(y) for y in gradients(block, x, weights)]
    expected = [numpy(y) for y in gradients(plain, visited, weights)]
    everywhere = np.zeros((2, size, size, 8))
    everywhere[:, ::2, ::2] = expected[0]
    found = [block(x, training=True), *found]
    expected = [plain(visited, training=True), everywhere, *expected[1:]]
    for mine, theirs in zip(found, expected, strict=True):
        scale = np.abs(numpy(theirs)).max()
        np.testing.assert_allclose(numpy(mine), numpy(theirs), atol=1e-6 * scale)


def test_the_layer_passes_the_conformance_suite():
    # At stride 1: TensorFlow ignores the strides of an empty batch, here as in Keras.
    options = {"filters": 4, "kernel_size": 1, "activation": "tanh"}
    passed = check_layer(Conv2D, options, (3, 6, 6, 4))
    assert {"config", "save", "gradients", "mixed_precision"} <= set(passed)
