"""The layers of a model in order of depth, and which variable belongs to which."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np


@dataclass(frozen=True)
class LayerInfo:
    """What the rules have to know of a layer.

    Attributes:
        name: its path in the model, e.g. `dense` or `encoder/dense`.
        kind: the name of its class.
        activation: the name of its activation function, "" if it has none.
        initializer: the name of its kernel's initializer, "" if it has none.
        frozen: whether training is meant to leave it alone.
    """

    name: str
    kind: str
    activation: str
    initializer: str
    frozen: bool


def activation_name(layer: Any) -> str:
    """The name of the function that a layer ends with, in lower case.

    Recurrent layers use theirs inside: what they return is not its value.
    """
    if isinstance(layer, keras.layers.RNN):
        return ""
    if type(layer) is keras.layers.ReLU and layer.negative_slope:
        return "leaky_relu"
    for kind in ("ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax"):
        if type(layer) is getattr(keras.layers, kind):
            return {"LeakyReLU": "leaky_relu"}.get(kind, kind.lower())
    function = getattr(layer, "activation", None)
    name = getattr(function, "__name__", type(function).__name__)
    return "" if function is None or name == "linear" else str(name).lower()


def describe(layer: Any, name: str) -> LayerInfo:
    """The facts about one layer."""
    initializer = getattr(layer, "kernel_initializer", None)
    return LayerInfo(
        name=name,
        kind=type(layer).__name__,
        activation=activation_name(layer),
        initializer="" if initializer is None else type(initializer).__name__,
        frozen=not layer.trainable,
    )


def children(layer: Any) -> list[Any]:
    """The layers directly inside a layer, in order of depth."""
    inside = layer.layers if isinstance(layer, keras.Model) else layer._layers
    return [
        child
        for child in inside
        if isinstance(child, keras.Layer) and not isinstance(child, keras.Metric)
    ]


def walk(model: Any) -> Iterator[tuple[str, Any]]:
    """All layers below the model with their paths, each once, the deepest first met.

    A layer whose weights all lie in a single layer inside it (an LSTM and its cell)
    is one layer. Of layers with the same name the second one gets a `_2`.
    """
    seen: set[int] = set()
    paths: set[str] = set()

    def visit(layer: Any, path: str) -> Iterator[tuple[str, Any]]:
        if id(layer) in seen:
            return
        seen.add(id(layer))
        path = unlike(paths, path)
        inside = [child for child in children(layer) if child.variables]
        own = layer._trainable_variables or layer._non_trainable_variables
        if not isinstance(layer, keras.Model) and len(inside) == 1 and not own:
            seen.update(id(below) for below in inside[0]._flatten_layers())
            yield path, layer
            return
        yield path, layer
        for child in children(layer):
            yield from visit(child, f"{path}/{child.name}")

    seen.add(id(model))
    for child in children(model):
        yield from visit(child, child.name)
    if model._trainable_variables or model._non_trainable_variables:
        yield model.name, _OwnVariables(model)


def unlike(taken: set[str], name: str) -> str:
    """The name, or with a number behind it if it is taken; it is taken from now on.

    >>> names = {"dense"}
    >>> unlike(names, "dense"), unlike(names, "dense"), unlike(names, "out")
    ('dense_2', 'dense_3', 'out')
    """
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free


class _OwnVariables:
    """The variables that a subclassed model holds itself, as if they were a layer."""

    def __init__(self, model: Any) -> None:
        self.name, self.trainable = model.name, model.trainable
        self.variables = [*model._trainable_variables, *model._non_trainable_variables]
        self._trainable_variables = model._trainable_variables
        self._non_trainable_variables = model._non_trainable_variables


def owners(model: Any) -> dict[int, tuple[str, str]]:
    """For the id of each variable: the path of its layer, and its name there."""
    found: dict[int, tuple[str, str]] = {}
    for path, layer in reversed(list(walk(model))):  # the innermost layer owns it
        names: set[str] = set()
        for variable in layer.variables:
            if id(variable) not in found:
                found[id(variable)] = path, unlike(names, variable.name)
    return found


def layer_infos(model: Any) -> dict[str, LayerInfo]:
    """The facts about every layer by its path, in order of depth."""
    return {path: describe(layer, path) for path, layer in walk(model)}


def frozen_digests(model: Any) -> dict[str, int]:
    """A checksum of the weights of every layer that training leaves alone.

    Counters and the states of seeds may move: they are whole numbers.
    """
    digests: dict[str, int] = {}
    whose = owners(model)
    for path, layer in walk(model):
        if layer.trainable:
            continue
        for variable in layer.variables:
            mine = whose.get(id(variable), (path,))[0] == path
            if mine and keras.backend.is_float_dtype(variable.dtype):
                value = np.ascontiguousarray(keras.ops.convert_to_numpy(variable))
                digests[path] = zlib.crc32(value.tobytes(), digests.get(path, 0))
    return digests
