"""The auxiliary classifier counts what GoogLeNet's does and computes what it says."""

import keras
import numpy as np
import pytest
from numpy_images import convolve, pool, randomize

from dlkeras.layers import AuxiliaryClassifier


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def test_the_two_heads_of_googlenet_have_6_379_728_parameters():
    total = 0
    for channels in (512, 528):  # behind 4a and 4d
        head = AuxiliaryClassifier(1000, kernel_initializer="zeros")
        head.build((None, 14, 14, channels))
        total += head.count_params()
    assert total == 13_378_280 - 6_998_552


def test_auxiliary_classifier_equals_loops_in_numpy():
    head = AuxiliaryClassifier(3, filters=4, units=6, activation="relu")
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 5)).astype("float32")
    head.build(x.shape)
    randomize(head)
    weights = [numpy(w).astype("float64") for w in head.weights]
    kernel, bias, hidden, hidden_bias, output, output_bias = weights
    y = np.maximum(convolve(pool(x, 5, 3, np.mean), kernel) + bias, 0)
    y = np.maximum(y.reshape(2, -1) @ hidden + hidden_bias, 0)
    logits = y @ output + output_bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(numpy(head(x)), expected, atol=1e-5)


def test_dropout_works_while_training_only():
    head = AuxiliaryClassifier(3, filters=4, units=64, classifier_activation=None)
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 5)).astype("float32")
    used = [numpy(head(x)) for _ in range(2)]
    np.testing.assert_array_equal(used[0], used[1])
    trained = [numpy(head(x, training=True)) for _ in range(2)]
    assert not np.allclose(trained[0], trained[1])


def test_an_image_below_the_pooling_window_is_refused():
    head = AuxiliaryClassifier(10, name="side")
    with pytest.raises(ValueError, match=r"at least 5 pixels.*\(1, 4, 9, 3\).*'side'"):
        head.build((1, 4, 9, 3))


def test_an_unknown_size_is_refused():
    head = AuxiliaryClassifier(10, name="side")
    with pytest.raises(ValueError, match="known height and width"):
        head.build((None, None, None, 3))


@pytest.mark.parametrize("dropout", [-0.1, 1.0, float("nan")])
def test_dropout_out_of_range_is_refused(dropout):
    with pytest.raises(ValueError, match="`dropout` must be a probability"):
        AuxiliaryClassifier(10, dropout=dropout)
