"""What a layer is called in PyTorch's networks and in `keras.applications`."""

import re
from collections.abc import Callable
from typing import Any

from dlkeras.layers import (
    AuxiliaryClassifier,
    BottleneckBlock,
    InceptionModule,
    ResidualBlock,
)

_BLOCK = re.compile(r"stage(\d+)_block(\d+)/(\w+?)(?:_(\d))?$")

_BRANCHES = {
    "1x1": "branch1",
    "3x3_reduce": "branch2.0",
    "3x3": "branch2.1",
    "5x5_reduce": "branch3.0",
    "5x5": "branch3.1",
    "pool_proj": "branch4.1",
}
_GOOGLENET = {"conv1": "conv1", "conv2_reduce": "conv2", "conv2": "conv3"}
_AUXILIARY = {"auxiliary_4a": "aux1", "auxiliary_4d": "aux2"}
_ALEXNET = {
    "C1": "features.0",
    "C3": "features.3",
    "C5": "features.6",
    "C6": "features.8",
    "C7": "features.10",
    "F8": "classifier.1",
    "F9": "classifier.4",
    "Out": "classifier.6",
}


def parts(model: Any) -> dict[str, Any]:
    """Return every layer with weights by its path, those within blocks too.

    >>> from dlkeras.architectures import resnet20
    >>> list(parts(resnet20()))[:4]
    ['stem_convolution', 'stem_normalization', 'stage1_block1/convolution_1',
        'stage1_block1/convolution_2']
    """
    found = {}
    for layer in model.layers:
        inner: list[Any]
        if isinstance(layer, ResidualBlock | BottleneckBlock):
            inner = [*layer.convolutions, *layer.normalizations]
            inner += [layer.projection, layer.projection_normalization]
            if layer.excitation is not None:
                inner += [layer.excitation.reduce, layer.excitation.expand]
        elif isinstance(layer, InceptionModule):
            inner = [*layer.convolutions.values(), *layer.normalizations.values()]
        elif isinstance(layer, AuxiliaryClassifier):
            inner = [layer.convolution, layer.convolution_normalization]
            inner += [layer.hidden, layer.classifier]
        else:
            if layer.weights:
                found[layer.name] = layer
            continue
        for part in inner:
            if part is not None:
                found[f"{layer.name}/{part.name}"] = part
    return found


def family(model: Any) -> str | None:
    """Return which network of the literature this is: the names of its layers tell."""
    names = {layer.name for layer in model.layers}
    if "stage1_block1" in names and names & {"stem_convolution", "stem_convolution_1"}:
        return "resnet"
    if "inception_3a" in names:
        return "googlenet"
    if {"C1", "C3", "C5", "C6", "C7"} <= names:
        return "alexnet"
    return None


def in_torch(kind: str) -> Callable[[str], str | None]:
    """Return the function from our path to the state dict's prefix."""
    return {"resnet": _resnet, "googlenet": _googlenet, "alexnet": _ALEXNET.get}[kind]


def _resnet(path: str) -> str | None:
    ends = {
        "stem_convolution": "conv1",
        "stem_normalization": "bn1",
        # Of the deep stem, as timm has it.
        "stem_convolution_1": "conv1.0",
        "stem_normalization_1": "conv1.1",
        "stem_convolution_2": "conv1.3",
        "stem_normalization_2": "conv1.4",
        "stem_convolution_3": "conv1.6",
        "classifier": "fc",
    }
    match = _BLOCK.match(path)
    if not match:
        return ends.get(path)
    stage, block, part, index = match.groups()
    place = f"layer{stage}.{int(block) - 1}"
    name = {
        "convolution": f"conv{index}",
        "normalization": f"bn{index}",
        "projection": "downsample.0",
        "projection_normalization": "downsample.1",
        "pooled_projection": "downsample.1",
        "pooled_projection_normalization": "downsample.2",
        "reduce": "se.fc1",
        "expand": "se.fc2",
    }[part]
    return f"{place}.{name}"


def _googlenet(path: str) -> str | None:
    if path == "classifier":
        return "fc"
    layer, _, part = path.rpartition("/")
    plain = part.removesuffix("_normalization")
    end = "bn" if part != plain else "conv"
    if layer in _AUXILIARY:
        dense = {"hidden": "fc1", "classifier": "fc2"}
        return f"{_AUXILIARY[layer]}.{dense.get(part, f'conv.{end}')}"
    if layer.startswith("inception_"):
        return f"inception{layer[-2:]}.{_BRANCHES[plain]}.{end}"
    return f"{_GOOGLENET[plain]}.{end}" if plain in _GOOGLENET else None


def in_keras_applications(version: str) -> Callable[[str], str | None]:
    """Return the function from our path to the layer's name there."""
    ends = {
        "stem_convolution": "conv1_conv",
        "stem_normalization": "conv1_bn",
        "head_normalization": "post_bn",
        "classifier": "predictions",
    }
    first = {"1": "preact", "2": "1", "3": "2"}  # v2 normalises before a convolution

    def name(path: str) -> str | None:
        match = _BLOCK.match(path)
        if not match:
            return ends.get(path)
        stage, block, part, index = match.groups()
        if part.startswith("projection"):
            index = "0"
        elif part == "normalization" and version == "v2":
            index = first[index]
        end = "bn" if part.endswith("normalization") else "conv"
        return f"conv{int(stage) + 1}_block{block}_{index}_{end}"

    return name
