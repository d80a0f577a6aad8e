"""Every architecture, made small, passes the conformance suite."""

import pytest

from dlkeras.architectures import alexnet, googlenet, lenet5, resnet18, resnet20
from dlkeras.testing import check_architecture

SLIM = {"num_classes": 3, "width_multiplier": 0.0625}

CASES = {
    "lenet5": (lenet5, {}, (2, 32, 32, 1)),
    "lenet5-1998": (lenet5, {"version": "1998"}, (2, 32, 32, 1)),
    "alexnet": (alexnet, {"input_shape": (67, 67, 3), **SLIM}, (2, 67, 67, 3)),
    "googlenet": (
        googlenet,
        {"input_shape": (65, 65, 3), "auxiliary": True, "activation": "elu", **SLIM},
        (2, 65, 65, 3),
    ),
    "resnet18": (
        resnet18,
        {"input_shape": (None, None, 3), "version": "v2", **SLIM},
        (2, 32, 32, 3),
    ),
    "resnet20": (resnet20, {"stochastic_depth": 0.01, **SLIM}, (2, 32, 32, 3)),
}


@pytest.mark.parametrize("case", CASES)
def test_the_architecture_conforms(case):
    build, init, shape = CASES[case]
    axes = (1, 2) if None in init.get("input_shape", ()) else ()
    check_architecture(build, init, shape, dynamic_axes=axes)
