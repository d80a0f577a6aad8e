"""Keras's own healthy layers pass the conformance suite: it accuses nobody falsely."""

import keras
import pytest
from keras import layers

from dlkeras.testing import check_layer


def indices(shape, rng):
    return rng.integers(0, 5, shape)


CASES = {
    "Dense": (layers.Dense, {"units": 3, "activation": "relu"}, (6, 4)),
    "Conv2D": (
        layers.Conv2D,
        {"filters": 3, "kernel_size": 3, "activation": "relu"},
        (2, 6, 6, 4),
    ),
    "MaxPooling2D": (layers.MaxPooling2D, {"pool_size": 2}, (2, 6, 6, 4)),
    "LSTM": (layers.LSTM, {"units": 3}, (2, 5, 4)),
    "TimeDistributed": (layers.TimeDistributed(layers.Dense(3)), None, (2, 5, 4)),
    "BatchNormalization": (layers.BatchNormalization, {"epsilon": 0.1}, (3, 6, 6, 4)),
    "Dropout without a seed": (layers.Dropout, {"rate": 0.3}, (4, 6)),
    "Embedding": (layers.Embedding, {"input_dim": 5, "output_dim": 3}, (2, 6)),
    "MultiHeadAttention": (
        layers.MultiHeadAttention,
        {"num_heads": 2, "key_dim": 3, "attention_axes": 1},
        {"query": (2, 5, 4), "value": (2, 5, 4)},
    ),
    "EinsumDense": (
        layers.EinsumDense,
        {"equation": "abc,cd->abd", "output_shape": (None, 7)},
        (2, 5, 4),
    ),
    "Softmax": (layers.Softmax, {}, (2, 6, 4)),
    "Resizing": (layers.Resizing, {"height": 3, "width": 4}, (2, 6, 6, 4)),
    "CategoryEncoding": (
        layers.CategoryEncoding,
        {"num_tokens": 5, "output_mode": "one_hot"},
        (4,),
    ),
    "Activation": (layers.Activation, {"activation": "tanh"}, (2, 6)),
    "Flatten": (layers.Flatten, {}, (2, 3, 4)),
    "Concatenate": (layers.Concatenate, {}, [(2, 6), (2, 3)]),
    "Sequential": (
        keras.Sequential([layers.Input((4,)), layers.Dense(3), layers.Dense(2)]),
        None,
        (2, 4),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_healthy_layer_of_keras_passes(case):
    layer, init, shape = CASES[case]
    options = {}
    if case in ("Embedding", "CategoryEncoding"):
        options = {"input_dtype": "int32", "inputs": indices}
    passed = check_layer(layer, init, shape, **options)
    assert {"config", "save", "clone", "shapes", "batch", "state"} <= set(passed)
