"""The papers' tables, and counts of a model for comparison with them."""

import functools
import json
import math
from pathlib import Path

import keras

from dlkeras.architectures import create
from dlkeras.architectures.costs import multiply_adds

TABLES = json.loads((Path(__file__).parent / "tables.json").read_text())


@functools.lru_cache(maxsize=2)  # the largest have 240 MB of weights
def built(name, **options):
    """Build an architecture once for the tests that follow each other."""
    # Only shapes are looked at: zeros are quicker than random numbers.
    if name != "lenet5":
        options.setdefault("kernel_initializer", "zeros")
    return create(name, **options)


def parameters(model):
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def operations(model, *names):
    """Return the multiply-adds of the layers with these names, or of all."""
    layers = [model.get_layer(name) for name in names] or model.layers
    total = 0
    for layer in layers:
        if not isinstance(layer, keras.layers.InputLayer):
            shape = layer.input if isinstance(layer.input, list) else [layer.input]
            total += multiply_adds(layer, shape[0].shape, layer.output.shape)
    return total
