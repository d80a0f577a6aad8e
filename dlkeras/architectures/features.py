"""Intermediate features: a model that answers with what chosen layers see."""

from collections.abc import Sequence
from typing import Any

import keras

from dlkeras.stages import find_layer


def feature_extractor(model: Any, layers: str | Sequence[str]) -> keras.Model:
    """Return a model of the same weights whose outputs are intermediate features.

    Args:
        model: A Functional model of images.
        layers: Names of stages (`"stage2"` is the last layer of stage 2) or of layers;
            one name, or several.

    Returns:
        A Functional model that shares the layers: with one output for one name, with
        a list of outputs in the order of several names.

    Raises:
        ValueError: A name is neither a stage nor a layer, or there is no name.

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
    outputs = [find_layer(model, name, "layers").output for name in names]
    return keras.Model(
        model.input,
        outputs[0] if isinstance(layers, str) else outputs,
        name=f"{model.name}_features",
    )
