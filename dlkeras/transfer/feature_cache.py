"""What the frozen part of a network sees, computed once and kept."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np


def split_frozen(model: Any) -> tuple[keras.Model, keras.Model]:
    """Cut a network behind its frozen part.

    The frozen part ends before the first layer that can change or that draws random
    numbers while training, such as dropout. Both models share the layers of the
    network: training the second trains the network.

    Args:
        model: A Functional model with one input and one output.

    Returns:
        The model from the images to the frozen features, and the model from there to
        the outputs, not compiled.

    Raises:
        ValueError: Nothing at the network's beginning is frozen, or all of it.

    Example:
        >>> from dlkeras.architectures import lenet5
        >>> from dlkeras.transfer import freeze, split_frozen
        >>> model = lenet5()
        >>> names = freeze(model, until="stage3")
        >>> frozen, rest = split_frozen(model)
        >>> frozen.output_shape, rest.output_shape
        ((None, 120), (None, 10))
    """
    still: set[int] = {id(tensor) for tensor in model.inputs}
    ends = []
    for layer in model.layers:  # an input comes before its readers
        if isinstance(layer, keras.layers.InputLayer) or not _is_still(layer):
            continue
        inputs = keras.tree.flatten(layer.input)
        if all(id(tensor) in still for tensor in inputs):
            outputs = keras.tree.flatten(layer.output)
            still.update(id(tensor) for tensor in outputs)
            if len(outputs) == 1:
                ends.append(layer)
    if not any(layer.weights for layer in ends):
        raise ValueError(
            "split_frozen needs a network that is frozen from its images up to a "
            "place: call freeze first. Received: model "
            f"{model.name!r} with no frozen layer at its beginning"
        )
    if all(id(tensor) in still for tensor in model.outputs):
        raise ValueError(
            "split_frozen needs a network of which something can train. Received: "
            f"model {model.name!r}, all of which is frozen"
        )
    output = model.outputs[0] if len(model.outputs) == 1 else model.outputs
    for layer in reversed(ends):
        try:
            rest = keras.Model(layer.output, output, name=f"{model.name}_rest")
        except ValueError:  # a path leads around this layer
            continue
        frozen = keras.Model(model.inputs[0], layer.output, name=f"{model.name}_frozen")
        return frozen, rest
    raise ValueError(
        f"The frozen part of model {model.name!r} does not end in a single tensor; "
        "freeze up to the end of a stage."
    )


def cached_features(
    frozen: Any,
    images: Any,
    folder: str | os.PathLike | None = None,
    *,
    batch_size: int = 32,
) -> np.ndarray:
    """Return what a frozen model makes of images, computed once and kept in a file.

    The file is named by the SHA-256 of the images and of the frozen weights, so that
    neither other images nor another network can find it.

    Args:
        frozen: The first model of `split_frozen`.
        images: `(examples, height, width, channels)`, an array; not augmented, since
            every epoch sees the same features.
        folder: Where to keep the features; `None` keeps them in memory alone.
        batch_size: Images at a time while computing.

    Returns:
        The features, `(examples, ...)`; read from the file piece by piece where there
        is one.

    Example:
        >>> import numpy as np
        >>> from dlkeras.architectures import lenet5
        >>> from dlkeras.transfer import cached_features, freeze, split_frozen
        >>> model = lenet5()
        >>> names = freeze(model, until="stage3")
        >>> frozen, rest = split_frozen(model)
        >>> images = np.zeros((2, 32, 32, 1), "float32")
        >>> cached_features(frozen, images).shape
        (2, 120)
    """
    images = np.asarray(images)
    if folder is None:
        return _computed(frozen, images, batch_size)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"features-{_digest(frozen, images)[:32]}.npy"
    if not file.exists():
        descriptor, name = tempfile.mkstemp(dir=folder, suffix=".incomplete")
        try:
            with os.fdopen(descriptor, "wb") as opened:
                np.save(opened, _computed(frozen, images, batch_size))
                opened.flush()
                os.fsync(opened.fileno())
            os.replace(name, file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    return np.load(file, mmap_mode="r", allow_pickle=False)


def _computed(frozen: Any, images: np.ndarray, batch_size: int) -> np.ndarray:
    return np.asarray(frozen.predict(images, batch_size=batch_size, verbose=0))


def _digest(frozen: Any, images: np.ndarray) -> str:
    digest = hashlib.sha256(frozen.to_json().encode())
    for array in (images, *frozen.get_weights()):
        array = np.asarray(array)
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _is_still(layer: Any) -> bool:
    """Return whether a layer does the same in training, whatever was trained before."""
    for part in layer._flatten_layers():
        if part.trainable_weights or getattr(part, "seed_generator", None) is not None:
            return False
        if isinstance(part, keras.layers.BatchNormalization) and part.trainable:
            return False
    return True
