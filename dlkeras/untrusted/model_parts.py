"""What the configuration of a stranger's network may name: the parts of image networks.

Keras's safe mode refuses Python code. But it calls any function that Keras exports,
such as one that downloads a data set or writes a figure, and loads any layer.
"""

import re
from typing import Any, NamedTuple

from dlkeras.untrusted.gate import UntrustedFileError
from dlkeras.untrusted.torch_pickle import printable

# EfficientNetV2-L has 1,031 layers, which are 4,775 parts, nine levels deep.
_MOST_LAYERS = 2_000
_MOST_PARTS = 15_000
_MOST_NODES = 200_000
_DEEPEST = 100
_MOST_REPETITIONS = {
    "bins": 2**16, "chain_depth": 16, "num_chains": 16, "num_ops": 16,
}  # fmt: skip

_VALUES = frozenset(
    f"__{name}__"
    for name in ("bytes", "ellipsis", "keras_tensor", "numpy", "slice", "tensor")
)
_LAYERS = frozenset(
    (
        "Activation", "ActivityRegularization", "AdaptiveAveragePooling2D",
        "AdaptiveMaxPooling2D", "Add", "AdditiveAttention", "AlphaDropout", "Attention",
        "AugMix", "AutoContrast", "Average", "AveragePooling1D", "AveragePooling2D",
        "BatchNormalization", "CenterCrop", "Concatenate", "Conv1D", "Conv1DTranspose",
        "Conv2D", "Conv2DTranspose", "Cropping1D", "Cropping2D", "CutMix", "Dense",
        "DepthwiseConv1D", "DepthwiseConv2D", "Dot", "Dropout", "ELU", "EinsumDense",
        "Embedding", "Equalization", "Flatten", "GaussianDropout", "GaussianNoise",
        "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D",
        "GlobalMaxPooling2D", "GroupNormalization", "GroupQueryAttention", "Identity",
        "InputLayer", "LayerNormalization", "LeakyReLU", "MaxPooling1D", "MaxPooling2D",
        "Maximum", "Minimum", "MixUp", "MultiHeadAttention", "Multiply",
        "Normalization", "PReLU", "Permute", "RMSNormalization", "RandAugment",
        "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter",
        "RandomContrast", "RandomCrop", "RandomElasticTransform", "RandomErasing",
        "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue",
        "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation",
        "RandomSaturation", "RandomSharpness", "RandomShear", "RandomTranslation",
        "RandomZoom", "ReLU", "RepeatVector", "Rescaling", "Reshape", "Resizing",
        "SeparableConv1D", "SeparableConv2D", "Softmax", "Solarization",
        "SpatialDropout1D", "SpatialDropout2D", "SpectralNormalization", "Subtract",
        "TimeDistributed", "UnitNormalization", "UpSampling1D", "UpSampling2D",
        "ZeroPadding1D", "ZeroPadding2D",
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


class Own(NamedTuple):
    """A part that is not Keras's: its name in the registry, and that of its class.

    A function has the first alone: Keras looks for nothing else.
    """

    registered: str
    name: str | None


def check_parts(config: Any) -> list[Own]:
    """Look at every part of a network before any of it is built.

    Args:
        config: the network's configuration, as it was read from JSON.

    Returns:
        The parts that are not Keras's: classes of their names must be registered.

    Raises:
        UntrustedFileError: it names something that is not a part of an image network,
            has too many parts, or is nested too deep.
    """
    waiting = [(config, 0)]
    layers = parts = nodes = 0
    own: list[Own] = []
    while waiting:
        node, depth = waiting.pop()
        nodes += 1
        if depth > _DEEPEST:
            raise UntrustedFileError(f"its parts are nested more than {_DEEPEST} deep")
        if isinstance(node, dict) and "class_name" in node:
            parts += 1
            layers += _is_layer(node, own)
        if isinstance(node, dict) and node.get("inbound_nodes"):
            _check_calls(node["inbound_nodes"])
        values = node.values() if isinstance(node, dict) else node
        waiting += [(x, depth + 1) for x in values if isinstance(x, dict | list)]
        if layers > _MOST_LAYERS or parts > _MOST_PARTS:
            raise UntrustedFileError(
                f"it has more than {_MOST_LAYERS:,} layers or {_MOST_PARTS:,} parts"
            )
        if nodes + len(waiting) > _MOST_NODES:
            raise UntrustedFileError(
                f"its parts have more than {_MOST_NODES:,} lists and dictionaries"
            )
    return own


def _is_layer(node: dict[str, Any], own: list[Own]) -> bool:
    """Refuse a part that is not known; collect what is not Keras's."""
    module, name = node.get("module"), node["class_name"]
    registered = node.get("registered_name")
    if name == "function":
        name = registered = node.get("config")
    if isinstance(name, str) and name in _VALUES:
        return False
    if isinstance(module, str) and isinstance(name, str):
        if name in ("AugMix", "Equalization", "RandAugment"):
            _check_repetitions(node.get("config"))
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
    # package>name: Keras takes what is registered by it. Were nothing registered, or
    # had the part no module, it would look for the class among all of its layers.
    if (
        isinstance(module, str)
        and isinstance(registered, str)
        and isinstance(node["class_name"], str)
        and ">" in registered
    ):
        is_function = node["class_name"] == "function"
        own.append(Own(registered, None if is_function else node["class_name"]))
        return True
    raise unknown(f"{str(module)[:80]}.{str(name)[:80]}")


def _check_calls(calls: Any) -> None:
    """Refuse a layer that is called on constants alone: Keras computes it at once."""
    for call in calls if isinstance(calls, list) else [None]:
        if isinstance(call, dict):
            waiting = [call.get("args"), call.get("kwargs")]
            found = False
            while waiting and not found:
                value = waiting.pop()
                if isinstance(value, dict):
                    found = value.get("class_name") == "__keras_tensor__"
                    waiting += () if "class_name" in value else value.values()
                elif isinstance(value, list):
                    waiting += value
        else:  # as earlier versions wrote it: the names of layers
            first = call[0] if isinstance(call, list) and call else None
            found = isinstance(first, list) and isinstance((first or [0])[0], str)
        if not found:
            raise UntrustedFileError("it calls a layer on no output of another layer")


def _check_repetitions(config: Any) -> None:
    """Refuse what an image layer does as often as its file says."""
    for key, most in _MOST_REPETITIONS.items():
        value = config.get(key, 1) if isinstance(config, dict) else 1
        if type(value) is not int or value > most:
            raise UntrustedFileError(
                f"it has a layer whose {key!r} is more than {most}"
            )


def unknown(name: str) -> UntrustedFileError:
    """Say that a file names something that is not loaded."""
    return UntrustedFileError(
        f"it names {printable(name)}, which is not a part of a network of images"
    )
