"""What the configuration of a stranger's network may name: the parts of image networks.

Keras's safe mode refuses Python code. But it calls any function that Keras exports,
such as one that downloads a data set or writes a figure, and loads any layer.
"""

import re
from typing import Any

from dlkeras.untrusted.gate import UntrustedFileError
from dlkeras.untrusted.torch_pickle import printable

# EfficientNetV2-L has 1,031 layers, which are 4,775 parts, nine levels deep.
_MOST_LAYERS = 2_000
_MOST_PARTS = 15_000
_DEEPEST = 100

_VALUES = frozenset(
    f"__{name}__"
    for name in ("bytes", "ellipsis", "keras_tensor", "numpy", "slice", "tensor")
)
_LAYERS = frozenset(
    (
        "Activation", "ActivityRegularization", "AdaptiveAveragePooling2D",
        "AdaptiveMaxPooling2D", "Add", "AdditiveAttention", "AlphaDropout", "Attention",
        "Average", "AveragePooling1D", "AveragePooling2D", "BatchNormalization",
        "CenterCrop", "Concatenate", "Conv1D", "Conv1DTranspose", "Conv2D",
        "Conv2DTranspose", "Cropping1D", "Cropping2D", "Dense", "DepthwiseConv1D",
        "DepthwiseConv2D", "Dot", "Dropout", "ELU", "EinsumDense", "Embedding",
        "Flatten", "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D",
        "GlobalAveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D",
        "GroupNormalization", "GroupQueryAttention", "Identity", "InputLayer",
        "LayerNormalization", "LeakyReLU", "MaxPooling1D", "MaxPooling2D", "Maximum",
        "Minimum", "MultiHeadAttention", "Multiply", "Normalization", "PReLU",
        "Permute", "RMSNormalization", "RandomBrightness", "RandomContrast",
        "RandomCrop", "RandomErasing", "RandomFlip", "RandomGaussianBlur",
        "RandomGrayscale", "RandomHue", "RandomInvert", "RandomPerspective",
        "RandomRotation", "RandomSaturation", "RandomSharpness", "RandomShear",
        "RandomTranslation", "RandomZoom", "ReLU", "RepeatVector", "Rescaling",
        "Reshape", "Resizing", "SeparableConv1D", "SeparableConv2D", "Softmax",
        "SpatialDropout1D", "SpatialDropout2D", "SpectralNormalization", "Subtract",
        "UnitNormalization", "UpSampling1D", "UpSampling2D", "ZeroPadding1D",
        "ZeroPadding2D",
    )
)  # fmt: skip
_OF_KERAS = frozenset(
    ("Sequential", "Model", "Functional", "DTypePolicy", "FloatDTypePolicy")
)
# Whatever these export is arithmetic.
_MODULES = frozenset(
    f"keras.{name}"
    for name in (
        "activations", "constraints", "dtype_policies", "initializers", "losses",
        "metrics", "optimizers", "optimizers.schedules", "quantizers", "regularizers",
    )
)  # fmt: skip
_MAKERS = frozenset(("get", "deserialize", "serialize"))
# Operations, and the layers that some of keras.applications have: Keras takes classes.
_INNER = re.compile(r"keras\.src\.(ops|applications)\.\w+")


def check_parts(config: Any) -> list[str]:
    """Look at every part of a network before any of it is built.

    Args:
        config: the network's configuration, as it was read from JSON.

    Returns:
        The names of parts that are not Keras's: classes by them must be registered.

    Raises:
        UntrustedFileError: it names something that is not a part of an image network,
            has too many parts, or is nested too deep.
    """
    waiting = [(config, 0)]
    layers = parts = 0
    own: list[str] = []
    while waiting:
        node, depth = waiting.pop()
        if depth > _DEEPEST:
            raise UntrustedFileError(f"its parts are nested more than {_DEEPEST} deep")
        if isinstance(node, dict):
            waiting += [(value, depth + 1) for value in node.values()]
            if "class_name" not in node:
                continue
            parts += 1
            layers += _is_layer(node, own)
            if layers > _MOST_LAYERS or parts > _MOST_PARTS:
                raise UntrustedFileError(
                    f"it has more than {_MOST_LAYERS:,} layers or {_MOST_PARTS:,} parts"
                )
        elif isinstance(node, list):
            waiting += [(value, depth + 1) for value in node]
    return own


def _is_layer(node: dict[str, Any], own: list[str]) -> bool:
    """Refuse a part that is not known; collect those that are not Keras's."""
    module, name = node.get("module"), node["class_name"]
    registered = node.get("registered_name")
    if name == "function":
        name = registered = node.get("config")
    if isinstance(name, str) and name in _VALUES:
        return False
    if isinstance(module, str) and isinstance(name, str):
        if module == "keras.layers" and name in _LAYERS:
            return True
        if _INNER.fullmatch(module):
            return True
        known = (
            (module == "keras" and name in _OF_KERAS)
            or (module == "keras.src.models.functional" and name == "Functional")
            or (module == "keras.random" and name == "SeedGenerator")
            or (module in _MODULES and name not in _MAKERS)
            or (module == "builtins" and node["class_name"] == "function")
        )
        if known:
            return False
    if isinstance(registered, str) and ">" in registered:  # package>name
        own.append(registered)
        return True
    raise unknown(f"{str(module)[:80]}.{str(name)[:80]}")


def unknown(name: str) -> UntrustedFileError:
    """Say that a file names something that is not loaded."""
    return UntrustedFileError(
        f"it names {printable(name)}, which is not a part of a network of images"
    )
