"""Local response normalisation equals its formula, TensorFlow's and PyTorch's."""

import keras
import numpy as np
import pytest

from dlkeras.layers import LocalResponseNormalization
from dlkeras.layers.normalization import normalization_layer


def activity(channels, scale=20.0, seed=0):
    rng = np.random.default_rng(seed)
    return (scale * rng.normal(size=(2, 3, 4, channels))).astype("float32")


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def formula(a, n, k, alpha, beta):
    """Compute section 3.3 of the paper channel by channel in float64."""
    a = a.astype("float64")
    channels = a.shape[-1]
    b = np.empty_like(a)
    for i in range(channels):
        low, high = max(0, i - n // 2), min(channels - 1, i + n // 2)
        energy = (a[..., low : high + 1] ** 2).sum(axis=-1)
        b[..., i] = a[..., i] / (k + alpha * energy) ** beta
    return b


@pytest.mark.parametrize("channels", [1, 3, 16, 600])
@pytest.mark.parametrize(
    "constants",
    [(5, 2.0, 1e-4, 0.75), (3, 1.0, 0.02, 0.5), (9, 1.5, 0.01, 0.6), (1, 1.0, 1.0, 1)],
)
def test_lrn_equals_the_papers_formula(channels, constants):
    a = activity(channels)
    got = numpy(LocalResponseNormalization(*constants)(a))
    np.testing.assert_allclose(got, formula(a, *constants), rtol=2e-6, atol=1e-6)


def test_the_defaults_are_alexnets_constants():
    layer = LocalResponseNormalization()
    assert (layer.n, layer.k, layer.alpha, layer.beta) == (5, 2.0, 1e-4, 0.75)


def test_lrn_equals_tensorflows_to_1e_6():
    tf = pytest.importorskip("tensorflow")
    a = activity(96, scale=1.0)
    expected = tf.nn.local_response_normalization(a, 2, 2.0, 1e-4, 0.75).numpy()
    got = numpy(LocalResponseNormalization()(a))
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("beta", [0.75, 0.5, 0.6])
@pytest.mark.parametrize("compiled", [False, True, "XLA"])
def test_training_has_the_gradients_of_inference_which_tensorflow_derives(
    beta, compiled
):
    """And the gradients of a gradient's size, as a gradient penalty needs them."""
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the short gradient is TensorFlow's")
    layer = LocalResponseNormalization(5, 2.0, 0.01, beta, dtype="float64")
    a = tf.constant(activity(7).astype("float64"))
    weights = tf.constant(activity(7, 1.0, seed=1).astype("float64"))

    def gradients(training):
        with tf.GradientTape() as outer:
            outer.watch([a, weights])
            with tf.GradientTape() as inner:
                inner.watch(a)
                output = layer(a, training=training)
            first = inner.gradient(output, a, weights)
            size = tf.reduce_sum(first**2)
        return output, first, *outer.gradient(size, [a, weights])

    if compiled:
        gradients = tf.function(gradients, jit_compile=compiled == "XLA")
    for ours, expected in zip(gradients(True), gradients(False), strict=True):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12 * scale)


def test_lrn_equals_pytorchs_with_its_alpha_n_times_as_large_to_1e_6():
    torch = pytest.importorskip("torch")
    a = activity(96, scale=1.0)
    nchw = torch.from_numpy(a.transpose(0, 3, 1, 2))
    expected = torch.nn.functional.local_response_norm(nchw, 5, 5 * 1e-4, 0.75, 2.0)
    got = numpy(LocalResponseNormalization()(a))
    expected = expected.cpu().numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("channels", [7, 600])
def test_channels_first_is_the_same_transposed(channels):
    a = activity(channels)
    last = numpy(LocalResponseNormalization(data_format="channels_last")(a))
    first = LocalResponseNormalization(data_format="channels_first")(
        a.transpose(0, 3, 1, 2)
    )
    np.testing.assert_allclose(numpy(first).transpose(0, 2, 3, 1), last, rtol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_does_not_overflow_in_the_squares(policy):
    a = np.full((1, 1, 1, 8), 1000.0, "float32")  # 1000 ** 2 is beyond float16
    got = numpy(keras.ops.cast(LocalResponseNormalization(dtype=policy)(a), "float32"))
    np.testing.assert_allclose(got, formula(a, 5, 2.0, 1e-4, 0.75), rtol=8e-3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n": 4}, r"`n` must be odd.*n=4"),
        ({"n": 0}, "`n` must be a positive integer"),
        ({"k": 0.0}, r"`k` must be positive.*k=0.0"),
        ({"data_format": "NHWC"}, "data_format='NHWC'"),
    ],
)
def test_constants_without_a_meaning_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        LocalResponseNormalization(**wrong)


def test_unknown_channels_are_refused():
    with pytest.raises(ValueError, match=r"known number of channels.*'damp'"):
        LocalResponseNormalization(name="damp").build((None, 4, 4, None))


def test_layer_normalisation_by_name_spans_all_channels_and_pixels():
    x = activity(6)
    layer = normalization_layer(
        "layer", 6, data_format="channels_last", epsilon=1e-5, momentum=0.9
    )
    mean = x.mean(axis=(1, 2, 3), keepdims=True)
    deviation = x.std(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(numpy(layer(x)), (x - mean) / deviation, atol=1e-4)


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (48, 16), (6, 2), (7, 1)])
def test_group_normalisation_by_name_takes_groups_that_divide_the_channels(
    channels, groups
):
    layer = normalization_layer(
        "group", channels, data_format="channels_last", epsilon=1e-5, momentum=0.9
    )
    assert layer.groups == groups
