"""The fused batch normalisation equals Keras's layer, forwards and backwards."""

import keras
import numpy as np
import pytest
from keras import ops
from weighted_gradients import gradients, numpy

from dlkeras.layers import BatchNormalization, ResidualBlock
from dlkeras.testing import check_layer

SHAPE = (3, 5, 4, 6)


def pair(shape=SHAPE, **options):
    """Keras's layer and ours with the same weights, some of them negative."""
    rng = np.random.default_rng(1)
    made = [
        kind(**options)
        for kind in (keras.layers.BatchNormalization, BatchNormalization)
    ]
    for layer in made:
        layer.build(shape)
    weights = [rng.normal(size=w.shape) for w in made[0].weights]
    if len(weights) > 1:
        weights[-1] = weights[-1] ** 2 + 0.1  # the moving variance
    for layer in made:
        layer.set_weights(weights)
    return made


def predicted(layer, x):
    """Answers at inference, as `predict` computes them: in a graph."""
    model = keras.Sequential([keras.Input(tuple(x.shape)[1:]), layer])
    return model.predict(x, verbose=0)


def images(shape=SHAPE, dtype="float32"):
    rng = np.random.default_rng(2)
    return ops.cast(3 * rng.normal(size=shape) + 1, dtype)


OPTIONS = {
    "as it is": {},
    "no scale": {"scale": False},
    "no centre": {"center": False},
    "constants": {"epsilon": 0.3, "momentum": 0.6},
}


@pytest.mark.parametrize("case", OPTIONS)
def test_outputs_and_moving_statistics_are_those_of_keras(case):
    keras_layer, ours = pair(**OPTIONS[case])
    for step in range(3):
        x = images() * (step + 1)
        got, expected = ours(x, training=True), keras_layer(x, training=True)
        np.testing.assert_allclose(numpy(got), numpy(expected), rtol=1e-5, atol=1e-5)
    for mine, theirs in zip(ours.weights, keras_layer.weights, strict=True):
        np.testing.assert_allclose(numpy(mine), numpy(theirs), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        numpy(ours(images())), numpy(keras_layer(images())), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(
        predicted(ours, images()),
        predicted(keras_layer, images()),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize("case", OPTIONS)
def test_gradients_are_those_of_keras(case):
    weights = np.random.default_rng(3).normal(size=SHAPE).astype("float32")
    keras_layer, ours = pair(**OPTIONS[case])
    got = gradients(ours, images(), weights)
    expected = gradients(keras_layer, images(), weights)
    for mine, theirs in zip(got, expected, strict=True):
        scale = np.abs(numpy(theirs)).max()
        np.testing.assert_allclose(numpy(mine), numpy(theirs), atol=1e-5 * scale)


@pytest.mark.parametrize("kind, digits", [("bfloat16", 2**-7), ("float16", 2**-10)])
def test_half_precision_rounds_once(kind, digits):
    keras_layer, ours = pair(dtype=f"mixed_{kind}")
    x = images(dtype=kind)
    got, expected = ours(x, training=True), keras_layer(x, training=True)
    assert keras.backend.standardize_dtype(got.dtype) == kind
    np.testing.assert_allclose(
        numpy(got), numpy(expected), rtol=digits, atol=digits / 16
    )
    for mine, theirs in zip(ours.weights, keras_layer.weights, strict=True):
        assert keras.backend.standardize_dtype(mine.dtype) == "float32"
        np.testing.assert_allclose(numpy(mine), numpy(theirs), rtol=1e-5, atol=1e-6)


def test_one_value_a_channel_has_variance_0():
    keras_layer, ours = pair(shape=(1, 1, 1, 6))
    x = images((1, 1, 1, 6))
    for layer in (keras_layer, ours):
        layer(x, training=True)
    for mine, theirs in zip(ours.weights, keras_layer.weights, strict=True):
        np.testing.assert_allclose(numpy(mine), numpy(theirs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "shape, options",
    [
        ((4, 6), {}),
        ((4, 7, 6), {}),
        (SHAPE, {"axis": 1}),
        pytest.param(
            SHAPE,
            {"dtype": "float64"},
            marks=pytest.mark.skipif(
                keras.backend.backend() == "jax", reason="JAX has it behind a switch"
            ),
        ),
        (SHAPE, {"renorm": True}),
    ],
)
def test_what_the_kernel_does_not_do_is_left_to_keras(shape, options):
    keras_layer, ours = pair(shape, **options)
    x = images(shape, options.get("dtype", "float32"))
    got, expected = ours(x, training=True), keras_layer(x, training=True)
    np.testing.assert_allclose(numpy(got), numpy(expected), rtol=1e-12)
    for mine, theirs in zip(ours.weights, keras_layer.weights, strict=True):
        np.testing.assert_allclose(numpy(mine), numpy(theirs), rtol=1e-12)


def test_a_frozen_layer_uses_and_keeps_its_moving_statistics():
    keras_layer, ours = pair()
    ours.trainable = keras_layer.trainable = False
    before = ours.get_weights()
    got = ours(images(), training=True)
    np.testing.assert_allclose(
        numpy(got), numpy(keras_layer(images(), training=True)), rtol=1e-5, atol=1e-5
    )
    for now, then in zip(ours.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_weight_files_of_keras_layers_load_and_the_other_way_round(tmp_path):
    def network(normalization):
        return keras.Sequential(
            [
                keras.Input((4, 4, 3)),
                keras.layers.Conv2D(2, 3),
                normalization(),
                keras.layers.Conv2D(2, 1),
                normalization(),
            ]
        )

    kinds = (keras.layers.BatchNormalization, BatchNormalization)
    rng = np.random.default_rng(4)
    for source, target in (kinds, kinds[::-1]):
        saved, loaded = network(source), network(target)
        saved.set_weights([rng.uniform(0.1, 1, w.shape) for w in saved.weights])
        saved.save_weights(tmp_path / "n.weights.h5")
        loaded.load_weights(tmp_path / "n.weights.h5")
        for mine, theirs in zip(loaded.weights, saved.weights, strict=True):
            np.testing.assert_array_equal(numpy(mine), numpy(theirs))


def test_a_keras_file_of_ours_holds_ours(tmp_path):
    model = keras.Sequential([keras.Input((4, 4, 3)), BatchNormalization(epsilon=0.1)])
    model.save(tmp_path / "n.keras")
    loaded = keras.saving.load_model(tmp_path / "n.keras")
    assert type(loaded.layers[0]) is BatchNormalization
    assert loaded.layers[0].epsilon == 0.1


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the kernel is TensorFlow's"
)
def test_the_kernel_runs_in_a_residual_block():
    import tensorflow as tf

    block = ResidualBlock(4)
    block.build((None, 8, 8, 4))
    graph = tf.function(lambda x: block(x, training=True)).get_concrete_function(
        tf.TensorSpec((2, 8, 8, 4))
    )
    kinds = [operation.type for operation in graph.graph.get_operations()]
    assert kinds.count("FusedBatchNormV3") == 2


def test_the_layer_passes_the_conformance_suite():
    options = {"momentum": 0.5, "epsilon": 0.1, "gamma_initializer": "ones"}
    passed = check_layer(BatchNormalization, options, (3, 6, 6, 4))
    assert {"config", "save", "gradients", "mixed_precision"} <= set(passed)


@pytest.mark.parametrize("policy", ["float16", "bfloat16"])
def test_a_layer_all_in_half_precision_trains_as_kerass(policy):
    keras_layer, ours = pair(dtype=policy)
    x = images(dtype=policy)
    got, expected = ours(x, training=True), keras_layer(x, training=True)
    assert keras.backend.standardize_dtype(got.dtype) == policy
    digits = {"float16": 2e-3, "bfloat16": 2e-2}[policy]
    for mine, theirs in [
        (got, expected),
        *zip(ours.weights, keras_layer.weights, strict=True),
    ]:
        scale = np.abs(numpy(theirs)).max()
        np.testing.assert_allclose(numpy(mine), numpy(theirs), atol=digits * scale)
    if keras.backend.backend() == "tensorflow":  # at inference the kernel is in a graph
        np.testing.assert_allclose(
            predicted(ours, x), predicted(keras_layer, x), atol=8 * digits
        )
