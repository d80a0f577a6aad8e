"""Keras's own tests, from the installed wheel, with our layers in place of Keras's."""

import importlib
import sys
from types import SimpleNamespace

import keras
import keras.src
import pytest

from dlkeras.layers import BatchNormalization, Conv2D, GroupedConv2D, MaxPooling2D

# What Keras itself warns about, as in its own runs.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.rotates]

CONVOLUTION = "keras.src.layers.convolutional.conv_test"
POOLING = "keras.src.layers.pooling.max_pooling_test"
NORMALIZATION = "keras.src.layers.normalization.batch_normalization_test"


@pytest.fixture(scope="module", autouse=True)
def filtered_tracebacks():
    """Keras's test cases switch it off, and with it a layer's name in errors."""
    yield
    keras.config.enable_traceback_filtering()


def with_ours(name, ours, **replaced):
    """Import a module of Keras's tests for which our layers are Keras's.

    Its tests of other layers are left out.
    """
    pytest.importorskip(name)
    del sys.modules[name]
    theirs = keras.src.layers
    keras.src.layers = SimpleNamespace(**{**vars(theirs), **replaced})
    try:
        module = importlib.import_module(name)
    finally:
        keras.src.layers = theirs
        del sys.modules[name]
    for kind in list(vars(module).values()):
        if isinstance(kind, type) and kind.__module__ == name:
            tests = {
                test: None
                for test in vars(kind)
                if any(other in test for other in ("1d", "3d"))
            }
            yield (
                f"{kind.__name__}Of{ours}",
                type(f"{kind.__name__}Of{ours}", (kind,), tests),
            )


globals().update(with_ours(CONVOLUTION, "Conv2D", Conv2D=Conv2D))
globals().update(with_ours(CONVOLUTION, "GroupedConv2D", Conv2D=GroupedConv2D))
globals().update(with_ours(POOLING, "MaxPooling2D", MaxPooling2D=MaxPooling2D))
globals().update(
    with_ours(
        NORMALIZATION, "BatchNormalization", BatchNormalization=BatchNormalization
    )
)
