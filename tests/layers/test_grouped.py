"""A convolution in groups gives what Keras's own gives, without XLA."""

import keras
import numpy as np
import pytest
from weighted_gradients import gradients, numpy

from dlkeras.layers import GroupedConv2D
from dlkeras.testing import check_layer


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_it_equals_the_convolution_of_keras(groups, padding):
    options = {"strides": 2, "padding": padding, "groups": groups}
    x = np.random.default_rng(0).normal(size=(2, 9, 7, 8)).astype("float32")
    theirs, ours = (k(12, 3, **options) for k in (keras.layers.Conv2D, GroupedConv2D))
    expected = keras.ops.convert_to_numpy(theirs(x))
    ours.build(x.shape)
    ours.set_weights(theirs.get_weights())
    got = keras.ops.convert_to_numpy(ours(x))
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("groups", "channels"), [(32, 64), (6, 24), (3, 12), (2, 32), (5, 80)]
)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_its_gradients_are_those_of_a_convolution_for_each_group(
    groups, channels, data_format
):
    """Beside PyTorch's `conv2d` in float64."""
    if data_format == "channels_first" and keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow convolves so on a GPU alone")
    torch = pytest.importorskip("torch")

    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, 7, 5, channels)).astype("float32")
    layer = GroupedConv2D(2 * groups, 3, groups=groups, data_format=data_format)
    first = data_format == "channels_first"
    turned = x.transpose(0, 3, 1, 2) if first else x
    layer.build(turned.shape)
    weights = rng.normal(size=(2, 5, 3, 2 * groups)).astype(
        "float32"
    )  # of the outputs' sum
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    image, filters = (
        torch.tensor(a.transpose(order), dtype=torch.float64, requires_grad=True)
        for a, order in ((x, (0, 3, 1, 2)), (kernel, (3, 2, 0, 1)))
    )
    output = torch.nn.functional.conv2d(image, filters, groups=groups)
    (output * torch.tensor(weights.transpose(0, 3, 1, 2))).sum().backward()
    expected = image.grad, filters.grad.permute(2, 3, 1, 0)
    turned_weights = weights.transpose(0, 3, 1, 2) if first else weights
    got = gradients(layer, keras.ops.convert_to_tensor(turned), turned_weights)
    expected = [expected[0] if first else expected[0].permute(0, 2, 3, 1), expected[1]]
    for mine, theirs in zip(got, expected, strict=False):  # no bias there
        np.testing.assert_allclose(numpy(mine), theirs.numpy(), rtol=1e-5, atol=1e-5)


def test_a_filter_sees_its_own_group_alone():
    layer = GroupedConv2D(2, 1, groups=2, kernel_initializer="ones")
    x = np.array([1.0, 10.0, 100.0, 1000.0], "float32").reshape(1, 1, 1, 4)
    got = keras.ops.convert_to_numpy(layer(x))
    np.testing.assert_array_equal(got.ravel(), [11.0, 1100.0])


def test_the_layer_passes_the_conformance_suite():
    options = {"filters": 4, "kernel_size": 3, "groups": 2, "padding": "same"}
    passed = check_layer(GroupedConv2D, options, (3, 6, 6, 4))
    assert {"config", "save", "gradients", "mixed_precision"} <= set(passed)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="it is TensorFlow's XLA"
)
@pytest.mark.parametrize("groups", [2, 4])
def test_there_is_no_compiled_call_in_the_graph(groups):
    import tensorflow as tf

    layer = GroupedConv2D(4, 3, groups=groups)
    layer.build((1, 8, 8, 32))
    graph = tf.function(layer).get_concrete_function(tf.TensorSpec((1, 8, 8, 32)))
    kinds = [operation.type for operation in graph.graph.get_operations()]
    assert kinds.count("Conv2D") == 2  # of 16 channels each
    assert not any("PartitionedCall" in kind for kind in kinds)
