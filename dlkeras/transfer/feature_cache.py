"""Computes the features of a network's frozen part once, and keeps them."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlkeras.model_graph import Call, Graph, read


def split_frozen(model: Any) -> tuple[keras.Model, keras.Model]:
    """Cut a network behind its frozen part.

    The frozen part ends before the first layer that can change or that draws random
    numbers while training, such as dropout. Both models share the layers of the
    network: training the second trains the network.

    Args:
        model: A built Keras model of one input, as `freeze` takes it.

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
    graph = read(model)
    still, ends = _frozen_part(graph)
    if not any(call.weights for call in ends):
        changing = [c for c in graph.calls if not c.is_input and not _is_still(c)]
        why = "it has no weights"
        if changing:
            why = f"{changing[0].name!r} learns or draws random numbers"
        raise ValueError(
            "split_frozen needs a network that is frozen from its images up to a "
            "place: call freeze first. Received: model "
            f"{model.name!r} with no frozen layer at its beginning; {why}"
        )
    if all(id(tensor) in still for tensor in graph.outputs):
        raise ValueError(
            "split_frozen needs a network with something to train. Received: "
            f"model {model.name!r}, frozen from input to output"
        )
    graph.check_training()
    for call in reversed(ends):
        tensor = call.outputs[0]
        try:
            rest = graph.rest(tensor, name=f"{model.name}_rest")
        except ValueError:  # a path leads around this layer
            continue
        return graph.front([tensor], name=f"{model.name}_frozen"), rest
    raise ValueError(
        f"The frozen part of model {model.name!r} does not end in a single tensor; "
        "freeze up to the end of a stage."
    )


def augments_images(model: Any) -> bool:
    """Return whether a model draws random numbers before its first weights."""
    for call in read(model).calls:
        if isinstance(call.operation, keras.layers.Layer) and _draws(call):
            return True
        if call.weights:
            return False
    return False


def cached_features(
    frozen: Any,
    images: Any,
    folder: str | os.PathLike | None = None,
    *,
    batch_size: int = 32,
) -> np.ndarray:
    """Return a frozen model's features of your images; a file keeps them.

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

    Raises:
        ValueError: The model has several inputs or outputs.

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
    starts = keras.tree.flatten(getattr(frozen, "inputs", None) or [])
    if len(starts) > 1 or isinstance(images, Mapping):
        raise ValueError(
            "cached_features needs a model of one input, whose features one array has. "
            f"Received: model {frozen.name!r} of {max(len(starts), len(images))} inputs"
        )
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
                np.save(opened, _named_bits(_computed(frozen, images, batch_size)))
                opened.flush()
                os.fsync(opened.fileno())
            os.replace(name, file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    kept = np.load(file, mmap_mode="r", allow_pickle=False)
    for name in kept.dtype.names or ():
        return kept[name].view(np.dtype(name))
    return kept


def _named_bits(features: np.ndarray) -> np.ndarray:
    """The bits under their type's name, where a `.npy` file cannot say the type.

    NumPy writes its own types alone: bfloat16 and the two float8 would come back as
    bytes without a meaning, or not at all.
    """
    dtype = features.dtype
    if dtype.isbuiltin == 1:
        return features
    return features.view(np.dtype([(dtype.name, f"u{dtype.itemsize}")]))


def _computed(frozen: Any, images: np.ndarray, batch_size: int) -> np.ndarray:
    found = frozen.predict(images, batch_size=batch_size, verbose=0)
    if isinstance(found, list | tuple | dict):
        raise ValueError(
            "cached_features needs a model of one output. "
            f"Received: model {frozen.name!r} of {len(found)} outputs"
        )
    return np.asarray(found)


def _digest(frozen: Any, images: np.ndarray) -> str:
    digest = hashlib.sha256(_structure(read(frozen)).encode())
    for array in (images, *frozen.get_weights()):
        array = np.asarray(array)
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _structure(graph: Graph) -> str:
    """What a model computes, in text, without the names that Keras counts up."""
    places = {id(x): str(i) for i, x in enumerate(graph.inputs)}
    lines = []
    for call in graph.calls:
        config = call.operation.get_config() if not call.is_input else {}
        settings = {k: v for k, v in config.items() if k not in ("name", "trainable")}
        kind = type(call.operation)
        places.update((id(x), str(len(places) + i)) for i, x in enumerate(call.outputs))
        read_from = [places[id(x)] for x in call.inputs]
        arguments = [x for x in (*call.args[1:], *call.kwargs.items())]
        lines.append(
            f"{kind.__module__}.{kind.__name__} {read_from} "
            f"{json.dumps(settings, sort_keys=True, default=str)} "
            f"{[str(x) for x in arguments if not isinstance(x, keras.KerasTensor)]}"
        )
    return "\n".join(lines)


def _frozen_part(graph: Graph) -> tuple[set[int], list[Call]]:
    """The tensors that training does not change, and the calls that give one."""
    still = {id(tensor) for tensor in graph.inputs}
    ends = []
    for call in graph.calls:  # an input comes before its readers
        if call.is_input or not _is_still(call):
            continue
        if all(id(tensor) in still for tensor in call.inputs):
            still.update(id(tensor) for tensor in call.outputs)
            if len(call.outputs) == 1:
                ends.append(call)
    return still, ends


def _is_still(call: Call) -> bool:
    """Return whether a call does the same in training, whatever was trained before."""
    if not isinstance(call.operation, keras.layers.Layer):
        return not any(weight.trainable for weight in call.weights)
    if _draws(call):
        return False
    for part in call.operation._flatten_layers():
        if part.trainable_weights:
            return False
        if isinstance(part, keras.layers.BatchNormalization) and part.trainable:
            return False
    return True


def _draws(call: Call) -> bool:
    """Return whether a layer draws random numbers while training.

    Keras notes every `SeedGenerator` of a layer, whatever attribute holds it.
    """
    return any(
        part._seed_generators and not _never_drops(part)
        for part in call.operation._flatten_layers()
    )


def _never_drops(part: Any) -> bool:
    """Whether it is a recurrent cell without dropout, which has a generator."""
    rates = [getattr(part, name, None) for name in ("dropout", "recurrent_dropout")]
    return rates == [0, 0]
