"""A convolution in groups gives what Keras's own gives, without XLA."""

import keras
import numpy as np
import pytest

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
def test_there_is_no_compiled_call_in_the_graph():
    import tensorflow as tf

    layer = GroupedConv2D(4, 3, groups=2)
    layer.build((1, 8, 8, 4))
    graph = tf.function(layer).get_concrete_function(tf.TensorSpec((1, 8, 8, 4)))
    kinds = [operation.type for operation in graph.graph.get_operations()]
    assert kinds.count("Conv2D") == 2
    assert not any("PartitionedCall" in kind for kind in kinds)
