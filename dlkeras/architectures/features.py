"""Intermediate features: a model that returns the outputs of layers you choose."""

from collections.abc import Sequence
from typing import Any

import keras

from dlkeras.model_graph import read
from dlkeras.stages import find_ends


def feature_extractor(model: Any, layers: str | Sequence[str]) -> keras.Model:
    """Return a model with the same weights that outputs the layers you name.

    Args:
        model: A built Keras model: Functional, Sequential, nested, or subclassed and
            written in layers and `keras.ops`.
        layers: Names of stages (`"stage2"` is the last layer of stage 2) or of layers,
            `"base/conv1"` inside a nested model; one name, or several.

    Returns:
        A Functional model that shares the layers: with one output for one name, with
        a list of outputs in the order of several names.

    Raises:
        ValueError: A name is neither a stage nor a layer, there is no name, or the
            model's graph cannot be known.

    Example:
        >>> from dlkeras.architectures import feature_extractor, resnet18
        >>> network = resnet18((64, 64, 3), num_classes=10, width_multiplier=0.125)
        >>> features = feature_extractor(network, ["stage2", "stage4"])
        >>> [tuple(output.shape) for output in features.outputs]
        [(None, 8, 8, 16), (None, 2, 2, 64)]
    """
    names = [layers] if isinstance(layers, str) else list(layers)
    if not names:
        raise ValueError(
            f"layers must name at least one stage or layer. Received: layers={layers!r}"
        )
    graph = read(model)
    tensors = [find_ends(graph, name, "layers")[0] for name in names]
    found = graph.front(tensors, f"{model.name}_features")
    if isinstance(layers, str) or len(names) > 1:
        return found
    return keras.Model(graph.start, found.outputs, name=found.name)  # a list of one
