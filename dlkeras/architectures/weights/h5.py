"""Keras's own weight files, looked into before anything in them is believed."""

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


def read_keras_weights(model: Any, path: str | Path) -> tuple[Found, list[str]]:
    """Read the arrays of a `.weights.h5` file by the layers of a model.

    The file knows a layer by its class and its number among those of its class, so
    the model says where its weights would be. Nothing is read that lies in another
    file, and no array that is larger than any that the model holds.

    Args:
        model: A model of this package.
        path: The file.

    Returns:
        The arrays of every layer of the model that the file has, by the path in
        `parts`; and the places in the file where it has weights beside them.

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
            for layer, place in _places(model):
                arrays: list[np.ndarray] = []
                while (name := f"{place}/vars/{len(arrays)}") in given:
                    arrays.append(_array(given.pop(name), name, largest, budget))
                if arrays:
                    found[layer] = arrays
            left = [name.partition("/vars/")[0] for name in given]
    except (FileNotFoundError, WeightFileError):
        raise
    except UntrustedFileError as error:
        raise WeightFileError(f"{str(path)!r}: {error}") from error
    except Exception as error:  # whatever a broken file makes the parser stumble over
        raise WeightFileError(
            f"{str(path)!r} is not a readable weight file of Keras "
            f"({type(error).__name__}: {error})."
        ) from error
    # Beside the layers a file may hold an optimizer and random states.
    return found, [
        name
        for name in dict.fromkeys(left)
        if not name.startswith("optimizer") and "seed_generator" not in name
    ]


def _array(dataset: Any, name: str, largest: int, budget: Budget) -> np.ndarray:
    if dataset.dtype.kind not in "fiu" or dataset.size > largest:
        raise WeightFileError(
            f"{name!r} has {dataset.size} values of type {dataset.dtype}, where at "
            f"most {largest} numbers are expected"
        )
    budget.spend(dataset.size * dataset.dtype.itemsize)
    return np.asarray(dataset[()])


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
