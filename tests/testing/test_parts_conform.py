"""Every public part passes the conformance suite on the backend in use."""

import keras
import pytest

from dlkeras.layers import (
    LENET5_C3_TABLE,
    AuxiliaryClassifier,
    BottleneckBlock,
    InceptionModule,
    LocalResponseNormalization,
    PartiallyConnectedConv2D,
    RBFOutput,
    ResidualBlock,
    Subsampling2D,
    scaled_tanh,
)
from dlkeras.testing import check_layer

L2 = keras.regularizers.L2(0.01)
INCEPTION = {
    "filters_1x1": 2,
    "filters_3x3_reduce": 3,
    "filters_3x3": 4,
    "filters_5x5_reduce": 2,
    "filters_5x5": 3,
    "filters_pool_proj": 2,
    "activation": "tanh",
}
RESIDUAL = {"filters": 4, "strides": 2, "activation": "tanh"}
IMAGE = (3, 6, 6, 4)

CASES = {
    "inception": (
        InceptionModule,
        {
            **INCEPTION,
            "kernel_size_5x5": 3,
            "kernel_initializer": "he_normal",
            "bias_initializer": "ones",
            "kernel_regularizer": L2,
        },
        IMAGE,
    ),
    "inception, batch normalisation": (
        InceptionModule,
        {
            **INCEPTION,
            "normalization": "batch",
            "normalization_epsilon": 0.1,
            "normalization_momentum": 0.5,
        },
        IMAGE,
    ),
    "auxiliary": (
        AuxiliaryClassifier,
        {
            "num_classes": 3,
            "filters": 2,
            "units": 5,
            "dropout": 0.5,
            "pool_size": (3, 2),
            "strides": 2,
            "activation": "tanh",
            "classifier_activation": "sigmoid",
            "normalization": "batch",
            "normalization_epsilon": 0.1,
            "normalization_momentum": 0.5,
            "bias_initializer": "ones",
            "kernel_regularizer": L2,
            "seed": 3,
        },
        IMAGE,
    ),
    "residual, v1, A": (
        ResidualBlock,
        {**RESIDUAL, "shortcut": "A", "zero_gamma": True, "normalization_epsilon": 0.1},
        IMAGE,
    ),
    "residual, v2, stochastic depth": (
        ResidualBlock,
        {
            **RESIDUAL,
            "version": "v2",
            "normalization": "group",
            "stochastic_depth": 0.5,
            "padding": "same",
            "kernel_regularizer": L2,
            "seed": 3,
        },
        IMAGE,
    ),
    "bottleneck, v1.5, C": (
        BottleneckBlock,
        {
            **RESIDUAL,
            "filters": 2,
            "version": "v1.5",
            "shortcut": "C",
            "normalization_momentum": 0.5,
        },
        IMAGE,
    ),
    "bottleneck without normalisation": (
        BottleneckBlock,
        {**RESIDUAL, "filters": 2, "normalization": None, "kernel_initializer": "ones"},
        IMAGE,
    ),
    "local response normalisation": (
        LocalResponseNormalization,
        {"n": 3, "k": 1.5, "alpha": 0.1, "beta": 0.6},
        IMAGE,
    ),
    "subsampling": (
        Subsampling2D,
        {
            "pool_size": (2, 3),
            "strides": (1, 2),
            "activation": scaled_tanh,
            "coefficient_initializer": "ones",
            "bias_initializer": "ones",
            "coefficient_regularizer": L2,
        },
        IMAGE,
    ),
    "partially connected": (
        PartiallyConnectedConv2D,
        {
            "connection_table": LENET5_C3_TABLE,
            "kernel_size": (3, 2),
            "strides": (1, 2),
            "padding": "same",
            "activation": scaled_tanh,
            "bias_initializer": "ones",
            "kernel_regularizer": L2,
        },
        (3, 6, 6, 6),
    ),
    "radial basis output": (RBFOutput, {"train_bitmaps": True}, (3, 84)),
    "random radial basis output": (
        RBFOutput,
        {"units": 4, "bitmaps": "random", "seed": 3},
        (3, 9),
    ),
}


CONVOLUTIONS = (
    AuxiliaryClassifier,
    BottleneckBlock,
    InceptionModule,
    PartiallyConnectedConv2D,
    ResidualBlock,
)


def empty_convolutions_work():
    image = keras.ops.zeros((0, 4, 4, 3))
    return tuple(keras.ops.conv(image, keras.ops.ones((3, 3, 3, 2))).shape)[-1] == 2


def test_only_tensorflow_cannot_convolve_an_empty_batch():
    # With oneDNN its convolution of no images has the shape of the input. When this
    # is mended, the tests below check convolutions on empty batches there too.
    assert empty_convolutions_work() or keras.backend.backend() == "tensorflow"


@pytest.mark.parametrize("case", CASES)
def test_part_conforms(case):
    layer, init, shape = CASES[case]
    free = () if layer in (AuxiliaryClassifier, RBFOutput) else (1, 2)
    skip = set()
    if layer in CONVOLUTIONS and not empty_convolutions_work():
        skip.add("empty_batch")
    passed = check_layer(layer, init, shape, dynamic_axes=free, skip=skip)
    always = {"config", "save", "shapes", "gradients", "mixed_precision", "rank"}
    assert always <= set(passed)
    assert ("data_format" in passed) == (layer is not RBFOutput)
    assert ("size" in passed) == bool(free)
