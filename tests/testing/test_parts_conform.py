"""Every public part passes the conformance suite on the backend in use."""

import keras
import pytest

from dlkeras.layers import (
    LENET5_C3_TABLE,
    AffineProjectionFilter,
    AuxiliaryClassifier,
    BatchNormalization,
    BlindEqualizer,
    BottleneckBlock,
    FilteredXLMSFilter,
    FrequencyDomainFilter,
    GroupedConv2D,
    InceptionModule,
    LMSFilter,
    LocalResponseNormalization,
    MaxPooling2D,
    PartiallyConnectedConv2D,
    RBFOutput,
    ResidualBlock,
    RLSFilter,
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
    "bottleneck, D, groups, squeeze-and-excitation": (
        BottleneckBlock,
        {
            **RESIDUAL,
            "version": "v1.5",
            "shortcut": "D",
            "groups": 2,
            "width_per_group": 32,
            "reduction_ratio": 4,
            "kernel_regularizer": L2,
        },
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
    "partially connected, map by map": (
        PartiallyConnectedConv2D,
        {"connection_table": LENET5_C3_TABLE, "kernel_size": 3, "implementation": 2},
        (3, 6, 6, 6),
    ),
    "radial basis output": (RBFOutput, {"train_bitmaps": True}, (3, 84)),
    "random radial basis output": (
        RBFOutput,
        {"units": 4, "bitmaps": "random", "seed": 3},
        (3, 9),
    ),
}


PAIR = {"inputs": (2, 12, 2), "desired": (2, 12, 2)}
FILTERS = {
    "lms": (
        LMSFilter,
        {"taps": 3, "step_size": 0.02, "initial_weights": "ones"},
        {"inputs": (2, 12), "desired": (2, 12)},
    ),
    "normalised, with its weights": (
        LMSFilter,
        {
            "taps": 3,
            "step_size": 0.2,
            "algorithm": "nlms",
            "epsilon": 0.1,
            "return_weights": True,
        },
        PAIR,
    ),
    "variable step, trained": (
        LMSFilter,
        {
            "taps": 3,
            "step_size": 0.02,
            "algorithm": "variable_step",
            "leakage": 0.1,
            "momentum": 0.3,
            "step_decay": 0.9,
            "step_gain": 0.01,
            "step_range": (0.001, 0.05),
            "loss": "huber",
            "loss_scale": 0.5,
            "trainable_step_size": True,
        },
        PAIR,
    ),
    "several inputs": (
        LMSFilter,
        {"taps": 3, "step_size": 0.02, "input_type": "multi_input"},
        {"inputs": (2, 12, 2), "desired": (2, 12)},
    ),
    "regressors": (
        LMSFilter,
        {"taps": 3, "step_size": 0.02, "input_type": "regressors"},
        {"inputs": (2, 12, 3), "desired": (2, 12)},
    ),
    "least squares": (
        RLSFilter,
        {
            "taps": 3,
            "forgetting": 0.95,
            "regularization": 0.5,
            "form": "inverse_qr",
        },
        PAIR,
    ),
    "projection": (
        AffineProjectionFilter,
        {"taps": 3, "step_size": 0.3, "order": 2, "epsilon": 0.1},
        PAIR,
    ),
    "filtered x": (
        FilteredXLMSFilter,
        {
            "taps": 3,
            "step_size": 0.02,
            "secondary_path": [0.5, 0.2],
            "secondary_estimate": [0.4],
            "leakage": 0.1,
            "normalised": True,
            "probe": 0.1,
            "path_step_size": 0.02,
        },
        PAIR,
    ),
    "frequency domain": (
        FrequencyDomainFilter,
        {
            "taps": 8,
            "step_size": 0.3,
            "block": 4,
            "forgetting": 0.8,
            "constrained": False,
        },
        PAIR,
    ),
    "blind": (
        BlindEqualizer,
        {
            "taps": 3,
            "step_size": 0.02,
            "algorithm": "decision_directed",
            "symbols": [-2.0, 2.0],
        },
        PAIR,
    ),
}
NORMALIZED = {"momentum": 0.5, "epsilon": 0.1, "gamma_initializer": "ones"}
GROUPED = {"filters": 4, "kernel_size": 3, "groups": 2, "padding": "same"}
CASES |= {
    "batch normalisation": (BatchNormalization, NORMALIZED, IMAGE),
    "grouped convolution": (GroupedConv2D, GROUPED, IMAGE),
    "max pooling": (MaxPooling2D, {"pool_size": 3, "strides": 2}, IMAGE),
}


@pytest.mark.parametrize("case", CASES)
def test_part_conforms(case):
    layer, init, shape = CASES[case]
    free = () if layer in (AuxiliaryClassifier, RBFOutput) else (1, 2)
    passed = check_layer(layer, init, shape, dynamic_axes=free)
    always = {"config", "save", "clone", "shapes", "batch", "empty_batch", "gradients"}
    always |= {"mixed_precision", "determinism", "state", "rank", "dtype"}
    assert always <= set(passed)
    inherits = layer in (RBFOutput, BatchNormalization)
    assert ("data_format" in passed) == (not inherits)
    assert ("size" in passed) == bool(free)


# XLA takes its time: with TensorFlow these run with the slow tests.
SLOW = {"normalised, with its weights", "several inputs", "regressors"}
SLOW = SLOW if keras.backend.backend() == "tensorflow" else set()


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=pytest.mark.slow) if c in SLOW else c for c in FILTERS],
)
def test_adaptive_filter_conforms(case):
    layer, init, shape = FILTERS[case]
    passed = check_layer(layer, init, shape, dynamic_axes=(1,))
    always = {"config", "save", "clone", "shapes", "batch", "empty_batch", "gradients"}
    always |= {"mixed_precision", "determinism", "state", "rank", "dtype", "size"}
    assert always <= set(passed)


@pytest.mark.parametrize("layer", [LMSFilter, RLSFilter, AffineProjectionFilter])
def test_stateful_filter_conforms_but_for_its_state(layer):
    # a second call starts elsewhere: that is the point of a state
    init = {"taps": 3, "stateful": True}
    if layer is AffineProjectionFilter:
        # By default a share of the largest power so far: the same signal for the second
        # time stands on the kink of that maximum.
        init["epsilon"] = 1e-3
    passed = check_layer(layer, init, PAIR, dynamic_batch=False, skip=["state"])
    always = {"config", "save", "clone", "shapes", "mixed_precision", "rank", "dtype"}
    assert always <= set(passed)
