"""Keras's own weight files, checked before anything in them is used."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from dlkeras.architectures.weights.names import parts
from dlkeras.untrusted.gate import Budget, UntrustedFileError
from dlkeras.untrusted.hdf5 import datasets
from dlkeras.untrusted.weights import (
    WeightFileError,
    open_weight_file,
    weight_budget,
)

Found = dict[str, list[np.ndarray]]
Left = dict[str, list[tuple[int, ...]]]


def read_keras_weights(model: Any, path: str | Path) -> tuple[Found, Left]:
    """Read the arrays of a `.weights.h5` or `.h5` file by the layers of a model.

    The first knows a layer by its class and its number among those of its class, the
    second, that of Keras 2 and of keras.applications, by its name; so the model says
    where its weights would be. Nothing is read that lies in another file, and no
    array that is larger than any that the model holds.

    Args:
        model: A model of this package.
        path: The file.

    Returns:
        The arrays of every layer of the model that the file has, by the path in
        `parts`; and the shapes of the weights that it has beside them, by their
        places in the file.

    Raises:
        FileNotFoundError: There is no such file.
        WeightFileError: The file is corrupt, of another format, or hostile.
    """
    path = Path(path)
    sizes = [math.prod(weight.shape) for weight in model.weights]
    largest = 3 * max(sizes, default=0)  # a kernel for colours, where ours is for grey
    try:
        with open_weight_file(path) as opened, h5py.File(opened, "r") as file:
            budget = weight_budget(path, opened)
            given = dict(datasets(file))
            found: Found = {}
            by_class = any(name.startswith("layers/") for name in given)
            for layer, names in (_numbered_names if by_class else _names)(model, given):
                arrays = [
                    _array(given.pop(name), name, largest, budget)
                    for name in names
                    if name in given
                ]
                if arrays:
                    found[layer] = arrays
            left: Left = {}
            for name, dataset in given.items():
                # Beside the layers a file may hold an optimizer and random states.
                if name.startswith("optimizer") or "seed_generator" in name:
                    continue
                place = name.removeprefix("model_weights/").partition("/")[0]
                if by_class:
                    place = name.partition("/vars/")[0]
                left.setdefault(place, []).append(dataset.shape)
    except (FileNotFoundError, WeightFileError):
        raise
    except UntrustedFileError as error:
        raise WeightFileError(f"{str(path)!r}: {error}") from error
    except Exception as error:  # whatever a broken file makes the parser stumble over
        raise WeightFileError(
            f"{str(path)!r} is not a readable weight file of Keras "
            f"({type(error).__name__}: {error})."
        ) from error
    return found, left


def _array(dataset: Any, name: str, largest: int, budget: Budget) -> np.ndarray:
    brain = dataset.dtype == "V2"  # bfloat16: HDF5 knows its size alone
    if (dataset.dtype.kind not in "fiu" and not brain) or dataset.size > largest:
        raise WeightFileError(
            f"{name!r} has {dataset.size} values of type {dataset.dtype}, where at "
            f"most {largest} numbers are expected"
        )
    budget.spend(dataset.size * dataset.dtype.itemsize * (3 if brain else 1))
    array = np.asarray(dataset[()])
    return array.view("bfloat16").astype("float32") if brain else array


def _numbered_names(model: Any, given: Any) -> Iterator[tuple[str, list[str]]]:
    for layer, place in _places(model):
        count = sum(name.startswith(f"{place}/vars/") for name in given)
        yield layer, [f"{place}/vars/{index}" for index in range(count)]


def _names(model: Any, given: Any) -> Iterator[tuple[str, list[str]]]:
    """Give each part's path and the names of its arrays in a file of Keras 2."""
    top = "model_weights/" if any(n.startswith("model_weights/") for n in given) else ""
    end = ":0" if any(name.endswith(":0") for name in given) else ""
    for layer, part in parts(model).items():
        first = top + layer.partition("/")[0]
        yield layer, [f"{first}/{weight.path}{end}" for weight in part.weights]


def _places(model: Any) -> Iterator[tuple[str, str]]:
    """Give each part's path and its place in a file, as Keras names it."""
    known = parts(model)
    for layer, name in _numbered(model.layers):
        place = f"layers/{name}"
        if layer.name in known:
            yield layer.name, place
            continue
        for attribute, value in vars(layer).items():
            if attribute.startswith("_"):
                continue
            if isinstance(value, keras.layers.Layer):
                inner = [(value, attribute)]
            elif isinstance(value, list | tuple | dict):
                held = value.values() if isinstance(value, dict) else value
                inner = [(x, f"{attribute}/{n}") for x, n in _numbered(held)]
            else:
                continue
            for part, end in inner:
                if f"{layer.name}/{part.name}" in known:
                    yield f"{layer.name}/{part.name}", f"{place}/{end}"


def _numbered(layers: Any) -> Iterator[tuple[Any, str]]:
    """Give layers their names in a file: conv2d, conv2d_1, dense, ..."""
    used: dict[str, int] = {}
    for layer in layers:
        if not isinstance(layer, keras.layers.Layer):
            continue
        name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", type(layer).__name__)
        name = re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
        number = used.get(name, 0)
        used[name] = number + 1
        yield layer, f"{name}_{number}" if number else name
