"""State dicts of PyTorch: unwrap them, and work out what they leave unsaid."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from dlkeras.architectures.weights.matching import (
    HEADS,
    Arrays,
    array_of,
    check_nothing_left,
    matched,
    warn,
    warn_of_padding,
)
from dlkeras.architectures.weights.names import family, in_torch, parts
from dlkeras.untrusted.weights import no_arrays, unwrapped

# PyTorch's own, and what torchvision's GoogLeNet sets.
_EPSILON = {"resnet": 1e-5, "alexnet": 1e-5, "googlenet": 1e-3}
# A weight that every network of the family has, and that no other part has.
_ANCHORS = {
    "resnet": "layer1.0.conv1.weight",
    "googlenet": "inception3a.branch1.conv.weight",
    "alexnet": "features.0.weight",
}
# What these networks are made of in PyTorch, besides what holds other modules.
_KNOWN_MODULES = (
    "AdaptiveAvgPool2d", "BatchNorm2d", "Conv2d", "Dropout", "Flatten", "Identity",
    "Linear", "MaxPool2d", "ReLU",
)  # fmt: skip


def is_module(source: Any) -> bool:
    """Return whether a source is a module of PyTorch."""
    return callable(getattr(source, "state_dict", None)) and hasattr(source, "modules")


def from_torch(model: Any, source: Any, head: bool) -> list[tuple[Any, np.ndarray]]:
    """Match a module of PyTorch, its state dict or a checkpoint that has it.

    Args:
        model: The model that gets the weights.
        source: The module; or what was read or made of it, `unwrapped` or not.
        head: Whether the classifier takes part.

    Raises:
        ValueError: It does not fit.
    """
    kind = family(model)
    if kind is None:
        raise ValueError(
            "A state dict can be loaded into a ResNet, a GoogLeNet or an AlexNet. "
            f"Received: model {model.name!r}"
        )
    if "head_normalization" in parts(model):
        raise ValueError(
            "PyTorch's ResNets normalise after the convolutions: pass version='v1.5'. "
            f"Received: model {model.name!r} with version='v2'"
        )
    modules = {}
    if isinstance(source, Mapping):  # a whole network may be saved in a checkpoint
        whole = [x for x in source.values() if is_module(x)]
        source = whole[0] if len(whole) == 1 else source
    if is_module(source):
        modules, source = dict(source.named_modules()), source.state_dict()
    else:
        source = unwrapped(source)
        if not any(hasattr(x, "shape") for x in source.values()):
            raise ValueError(f"The source is no state dict: {no_arrays(source)}")
    prefix, state = _network_in(source, _ANCHORS[kind])
    modules = {n[len(prefix) :]: x for n, x in modules.items() if n.startswith(prefix)}
    _warn_of_doubts(model, kind)
    _warn_of_other_modules(model, modules)
    left = {name for name in state if not name.endswith("num_batches_tracked")}

    layers = dict.fromkeys(name.rpartition(".")[0] for name in state)

    def find(name: str, layer: Any) -> tuple[Arrays, float] | None:
        keys = {"weight": "kernel", "bias": "bias"}
        if isinstance(layer, keras.layers.BatchNormalization):
            keys = {"weight": "gamma", "bias": "beta"}
            keys |= {"running_mean": "mean", "running_var": "variance"}
        found = {}
        for key, ours in keys.items():
            if f"{name}.{key}" in state:
                left.discard(f"{name}.{key}")
                found[ours] = array_of(state[f"{name}.{key}"])
        kernel = found.get("kernel")
        if kernel is not None and kernel.ndim == 4:
            found["kernel"] = kernel.transpose(2, 3, 1, 0)
        elif kernel is not None:
            found["kernel"] = _from_flattened_channels_first(model, layer, kernel)
        theirs = modules.get(name)
        if found and theirs is not None:
            _check_windows(model, layer, name, theirs)
        return (found, getattr(theirs, "eps", _EPSILON[kind])) if found else None

    values = matched(model, find, in_torch(kind), layers, head)
    ignored = tuple(
        f"{side}."
        for side in ("aux1", "aux2")
        if kind == "googlenet" and not hasattr(model, "loss_weight")
    )
    if not head:
        ignored += ("aux1.fc2.", "aux2.fc2.")
    if not head or not set(HEADS) & set(parts(model)):
        ignored += ("fc.", "classifier.")
    check_nothing_left(
        model, [n for n in state if n in left and not n.startswith(ignored)]
    )
    return values


def _network_in(source: Mapping, anchor: str) -> tuple[str, dict[str, Any]]:
    """Return the prefix of the network's names, and its state dict.

    A training script may keep other things beside it: a loss, metrics, an average.
    """
    names = [name for name in source if isinstance(name, str)]
    found = {n.removesuffix(anchor) for n in names if f".{n}".endswith(f".{anchor}")}
    if len(found) > 1 and "" not in found:
        raise ValueError(
            f"The source has {len(found)} networks, whose names begin with "
            f"{', '.join(map(repr, sorted(found)))}: pass a dictionary of one of them, "
            "without that beginning."
        )
    prefix = "" if "" in found or not found else found.pop()
    return prefix, {n[len(prefix) :]: source[n] for n in names if n.startswith(prefix)}


def _check_windows(model: Any, layer: Any, name: str, theirs: Any) -> None:
    """Compare what a state dict does not say and the module itself does."""
    for ours, argument in (("strides", "stride"), ("dilation_rate", "dilation")):
        here, there = getattr(layer, ours, None), getattr(theirs, argument, None)
        if here is None or there is None or tuple(here) == tuple(there):
            continue
        path = next(p for p, part in parts(model).items() if part is layer)
        raise ValueError(
            f"Layer {path!r} of model {model.name!r} has {ours} {tuple(here)}, the "
            f"source's {name!r} has {argument} {tuple(there)}: it is of another "
            "version, or dilated."
        )


def _warn_of_other_modules(model: Any, modules: Mapping[str, Any]) -> None:
    known: set[str] = set(_KNOWN_MODULES)
    if any(getattr(x, "shortcut_pool", None) is not None for x in model.layers):
        known.add("AvgPool2d")  # ResNet-D
    if any(getattr(x, "excitation", None) is not None for x in model.layers):
        known.add("Sigmoid")  # at the end of a squeeze-and-excitation
    ends = [x for x in modules.values() if not any(True for _ in x.children())]
    # A module of TorchScript keeps the name that its class had.
    kinds = {getattr(x, "original_name", type(x).__name__) for x in ends}
    others = kinds - known
    if others:
        warn(
            f"The source has modules that model {model.name!r} does not have: "
            f"{', '.join(sorted(others))}"
        )


def _from_flattened_channels_first(model: Any, layer: Any, kernel: Any) -> np.ndarray:
    """Turn (out, channels * height * width) to (height * width * channels, out)."""
    shape = None
    if layer.name == "F8" and any(x.name == "flatten" for x in model.layers):
        shape = tuple(model.get_layer("flatten").input.shape)[1:]
    for side in model.layers:
        if getattr(side, "hidden", None) is layer:
            height, width = side.pool.compute_output_shape(side.input.shape)[1:3]
            shape = (height, width, side.filters)
    if shape is None:
        return kernel.T
    height, width, channels = shape
    if kernel.shape[1] != height * width * channels:
        return kernel.T  # the comparison of the shapes will say so
    maps = kernel.reshape(-1, channels, height, width)
    return maps.transpose(2, 3, 1, 0).reshape(height * width * channels, -1)


def _warn_of_doubts(model: Any, kind: str) -> None:
    warn_of_padding(model)
    if kind == "googlenet" and max(model.get_layer("pool4").pool_size) != 2:
        warn(
            f"'pool4' of model {model.name!r} pools 3x3 pixels; PyTorch's pools "
            "2x2: pass pool4_size=2"
        )
    blocks = [x for x in model.layers if x.name.startswith("stage")]
    if kind == "resnet" and len(blocks[0].convolutions) == 3:
        strided = next((b for b in blocks if b.strides > 1), None)
        if strided is not None and strided.version == "v1":
            warn(
                f"{strided.name!r} of model {model.name!r} has its stride in the first "
                "1x1 convolution; PyTorch's has it in the 3x3: pass version='v1.5'"
            )
