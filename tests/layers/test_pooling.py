"""Max pooling equals Keras's, forwards, backwards and twice; so does the fused norm."""

import keras
import numpy as np
import pytest
from keras import ops
from weighted_gradients import gradients, numpy

from dlkeras.layers import BatchNormalization, MaxPooling2D

CASES = {
    "3x3, stride 2": ((2, 7, 9, 3), 3, 2, "same"),
    "an even size": ((2, 8, 6, 3), 3, 2, "same"),
    "as in an inception module": ((2, 8, 6, 3), 3, 1, "same"),
    "side by side": ((2, 9, 7, 2), 2, 2, "valid"),
    "stride beyond the window": ((1, 11, 10, 2), (3, 2), (2, 3), "same"),
    "too large a window": ((1, 9, 9, 2), 6, 2, "valid"),
}


def whole_numbers(shape):
    """Images with equal values in most windows, some of them negative."""
    x = np.random.default_rng(0).integers(-2, 2, shape)
    return ops.convert_to_tensor(x.astype("float32"))


def both(size, strides, padding, **options):
    return [
        kind(size, strides, padding, **options)
        for kind in (MaxPooling2D, keras.layers.MaxPooling2D)
    ]


@pytest.mark.parametrize("case", CASES)
def test_outputs_and_gradients_are_those_of_keras(case):
    shape, *window = CASES[case]
    ours, theirs = both(*window)
    x = whole_numbers(shape)
    expected = numpy(theirs(x))
    np.testing.assert_array_equal(numpy(ours(x)), expected)
    weights = np.random.default_rng(1).normal(size=expected.shape).astype("float32")
    got, wanted = (gradients(pool, x, weights)[0] for pool in (ours, theirs))
    np.testing.assert_allclose(numpy(got), numpy(wanted), atol=1e-6)


def test_of_equal_values_the_first_gets_the_gradient():
    """Three windows of two along one row of ones, handed 1, 10 and 100 back."""
    layer = MaxPooling2D((1, 2), 1)
    x = ops.ones((1, 1, 4, 1))
    weights = np.array([1.0, 10.0, 100.0], "float32").reshape(1, 1, 3, 1)
    got = numpy(gradients(layer, x, weights)[0]).ravel()
    np.testing.assert_array_equal(got, [1.0, 10.0, 100.0, 0.0])


def test_what_is_no_number_stays_none_in_its_windows_alone():
    x = np.zeros((1, 6, 6, 1), "float32")
    x[0, 2, 2, 0] = np.nan
    ours, theirs = (
        numpy(pool(ops.convert_to_tensor(x))) for pool in both(2, 2, "same")
    )
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))


def test_no_images_give_no_maps():
    assert tuple(MaxPooling2D(2)(np.zeros((0, 4, 6, 3), "float32")).shape) == (
        0,
        2,
        3,
        3,
    )


jax_alone = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="a rule of derivatives of JAX's"
)


@jax_alone
def test_derivatives_forwards_and_of_derivatives_go_through_a_pooling():
    import jax

    ours, theirs = both(3, 2, "same")
    x = np.random.default_rng(2).normal(size=(1, 5, 5, 2)).astype("float32")
    results = []
    for pool in (ours, theirs):

        def cubed(x, pool=pool):
            return (pool(x) ** 3).sum()

        slope = jax.grad(cubed)
        results.append(
            (
                jax.jvp(pool, (x,), (x,))[1],
                jax.vmap(pool)(x[:, None]),
                jax.jvp(slope, (x,), (x,))[1] if pool is ours else 2 * slope(x),
            )
        )
    # The third power is of degree three: x . H = 2 g.
    for got, expected in zip(*results, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@jax_alone
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("axis", [-1, 1])
def test_a_gpus_batch_normalisation_is_kerass(dtype, axis, monkeypatch):
    """Its mathematics on this processor: on a GPU the layer takes it by itself."""
    import jax

    from dlkeras.layers import batch_normalization
    from dlkeras.layers.backend.jax import normalised

    monkeypatch.setattr(
        batch_normalization,
        "fused_batch_normalization",
        lambda x, axis, gamma, beta, statistics, epsilon: normalised(
            x, axis, gamma, beta, epsilon
        ),
    )
    rng = np.random.default_rng(3)
    # A mean far from zero: squares alone would lose their digits.
    x = (rng.normal(size=(3, 5, 4, 6)) * 2 + 100 * (dtype == "float32")).astype(dtype)
    weights = rng.normal(size=x.shape).astype("float32")
    policy = dtype if dtype == "float32" else f"mixed_{dtype}"
    found = []
    for kind in (BatchNormalization, keras.layers.BatchNormalization):
        layer = kind(axis=axis, dtype=policy)
        layer.build(x.shape)
        draw = np.random.default_rng(4)
        for weight in layer.trainable_variables:
            weight.assign(draw.normal(size=weight.shape))
        y = layer(x, training=True)
        slopes = gradients(layer, jax.numpy.asarray(x), weights)
        found.append([y, *layer.non_trainable_variables, *slopes])
    digits = 1e-4 if dtype == "float32" else 2e-2
    for got, expected in zip(*(map(numpy, values) for values in found), strict=True):
        np.testing.assert_allclose(got, expected, atol=digits * np.abs(expected).max())
