"""Pairs the source's arrays with the model's variables, in the network's order."""

import difflib
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from dlkeras.architectures.weights.names import parts

HEADS = ("classifier", "F6", "F8", "F9", "Out")
STEMS = ("stem_convolution", "stem_convolution_1", "conv1", "C1")

Arrays = dict[str, np.ndarray]


def is_head(path: str) -> bool:
    """Whether a layer classifies: of the network, or of one of its side branches."""
    return path in HEADS or (
        path.startswith("auxiliary") and path.endswith("/classifier")
    )


def matched(
    model: Any,
    find: Callable[[str, Any], tuple[Arrays, float] | None],
    name_of: Callable[[str], str | None],
    names: Iterable[str],
    head: bool,
) -> list[tuple[Any, np.ndarray]]:
    """Return each variable with its value, in the order of the network.

    Args:
        model: The model that gets the weights.
        find: From a name in the source and our layer to the arrays there and the
            epsilon of a normalisation, or `None`.
        name_of: From our path to the name in the source, or `None`.
        names: The names of the source.
        head: Whether the classifier takes part.

    Raises:
        ValueError: A layer does not fit; the message names the first.

    A bias that a convolution of the source has and ours has not is a constant added
    to one tensor. It is kept in `offsets` under the tensor's first reader, a
    normalisation, which takes it off its mean.
    """
    layers = {p: x for p, x in parts(model).items() if head or not is_head(p)}
    found = {}
    for path, layer in layers.items():
        name = name_of(path)
        result = find(name, layer) if name else None
        if result is None:
            known = {name_of(p) for p in layers}  # the others are those renamed there
            others = [x for x in names if x not in known] or names
            raise ValueError(
                f"Layer {path!r} of model {model.name!r}, of shape "
                f"{tuple(layer.weights[0].shape)}, has no counterpart in the source"
                + (
                    f", where it would be {name!r}{near(name, others)}. "
                    if name
                    else ". "
                )
                + "Is the source of another depth or version, or has it a shortcut or "
                "a normalisation of another kind?"
            )
        found[path] = (*result, name)
    offsets = _offsets(
        {
            path: arrays["bias"]
            for path, (arrays, _, _) in found.items()
            if "bias" in arrays and not getattr(layers[path], "use_bias", True)
        },
        layers,
    )
    values = []
    for path, layer in layers.items():
        arrays, epsilon, name = found[path]
        if isinstance(layer, keras.layers.BatchNormalization):
            missing = {"gamma", "beta", "mean", "variance"} - set(arrays)
            if missing:
                raise ValueError(
                    f"Layer {path!r} of model {model.name!r} is a batch normalisation, "
                    f"the source's {name!r} has no {' and no '.join(sorted(missing))}: "
                    "is it a group normalisation there, or one without "
                    + ("running statistics?" if "mean" in missing else "a scale?")
                )
            arrays["mean"] = arrays["mean"] - offsets.get(path, 0.0)
            arrays["variance"] = arrays["variance"] + (epsilon - layer.epsilon)
            if not (arrays["variance"] + layer.epsilon > 0).all():
                raise ValueError(
                    f"The variances of {name!r} in the source are not positive."
                )
            pairs = [
                (layer.gamma, "gamma"),
                (layer.beta, "beta"),
                (layer.moving_mean, "mean"),
                (layer.moving_variance, "variance"),
            ]
        elif not hasattr(layer, "kernel"):
            raise ValueError(
                f"Layer {path!r} of model {model.name!r} is a {type(layer).__name__}, "
                f"the source's {name!r} is not. Pass normalization='batch'."
            )
        else:
            pairs = [(layer.kernel, "kernel")]
            if getattr(layer, "use_bias", False):
                pairs.append((layer.bias, "bias"))
        for variable, key in pairs:
            if key not in arrays:
                raise ValueError(
                    f"Layer {path!r} of model {model.name!r} has a {key}, and the "
                    f"source's {name!r} has none: it is normalised there. Pass "
                    "normalization='batch'."
                )
            array = in_width_of(variable, path, arrays[key])
            check_shapes(model, path, variable, array, name)
            values.append((variable, array))
    return values


def near(name: str, names: Iterable[str]) -> str:
    """Return `; its nearest names are ...`, for an error."""
    found = difflib.get_close_matches(name, list(names), n=3, cutoff=0.0)
    return f"; its nearest names are {', '.join(map(repr, found))}" if found else ""


def in_width_of(variable: Any, path: str, array: np.ndarray) -> np.ndarray:
    """Return a first kernel for grey images: the sum of a coloured one's channels.

    A grey image counts as one whose three channels are equal.
    """
    if path in STEMS and array.ndim == 4 and tuple(variable.shape)[2:3] == (1,):
        return array.sum(axis=2, keepdims=True)
    return array


def _offsets(biases: Arrays, layers: dict[str, Any]) -> Arrays:
    """Return what each normalisation's input is higher in the source than here."""
    offsets: Arrays = {}
    if "head_normalization" not in layers:  # a normalisation follows each convolution
        for path, bias in biases.items():
            reader = path.replace("convolution", "normalization")
            offsets[
                reader
                if reader in layers and reader != path
                else f"{path}_normalization"
            ] = bias
        return offsets
    # In v2 a block's last bias and its projection's are added to the sum that runs
    # through the stage; every block reads it through its first normalisation.
    running: Any = 0.0
    for block in dict.fromkeys(p.split("/")[0] for p in layers if "_block" in p):
        offsets[f"{block}/normalization_1"] = running
        if f"{block}/projection" in layers:
            running = biases.get(f"{block}/projection", 0.0)
        *inner, last = sorted(p for p in layers if p.startswith(f"{block}/convo"))
        for index, path in enumerate(inner, start=2):
            offsets[f"{block}/normalization_{index}"] = biases.get(path, np.zeros(1))
        running = running + biases.get(last, 0.0)
    offsets["head_normalization"] = running
    return offsets


def check_shapes(model: Any, path: str, variable: Any, array: Any, name: str) -> None:
    """Refuse an array of another shape, and say what to pass to the builder."""
    if tuple(variable.shape) == tuple(array.shape):
        return
    if path == "F8" or path.endswith("/hidden"):
        hint = (
            "its maps have other pixels there. Build for images of the size that it "
            "was trained on; torchvision's have 224 x 224"
        )
    elif path == "Out" or path.endswith("classifier"):
        hint = (
            f"pass num_classes={array.shape[-1]} to the builder, or head=False to "
            "load_weights_from to keep the model's own head"
        )
    elif path in STEMS and variable.shape[2] != array.shape[2]:
        hint = f"the source's images have {array.shape[2]} channels"
    elif path.endswith("/reduce") and array.ndim == 4:
        ratio = array.shape[2] / array.shape[3]
        hint = (
            f"its squeeze-and-excitation has {array.shape[3]} units for "
            f"{array.shape[2]} channels there; `reduction_ratio` would be {ratio:g}, "
            "in every block (timm's small ones have 8 units at least and do not fit)"
        )
    elif path.endswith("/5x5"):
        hint = f"pass kernel_size_5x5={array.shape[0]} to the builder"
    else:
        hint = "is the source of another width, depth or version?"
    raise ValueError(
        f"Layer {path!r} of model {model.name!r} has a weight of shape "
        f"{tuple(variable.shape)}, the source's {name!r} one of {tuple(array.shape)}: "
        f"{hint}"
    )


def check_nothing_left(model: Any, left: list[str]) -> None:
    """Stop if the source has more weights than the model."""
    if left:
        hint = "Is the source of another depth or version?"
        if left[0] == "S2":
            hint = "Pass version='1998'."
        raise ValueError(
            f"The source has {left[0]!r} and {len(left) - 1} more weights for which "
            f"model {model.name!r} has no layer. {hint}"
        )


def array_of(value: Any) -> np.ndarray:
    """Return a Keras variable, a PyTorch tensor or an array as a numpy array."""
    if isinstance(value, keras.Variable):
        return np.asarray(keras.ops.convert_to_numpy(value))
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            value = value.float()
        return value.numpy()
    return np.asarray(value)


def warn_of_padding(model: Any) -> None:
    """Warn where images are padded differently from every source."""
    for argument, name in (
        ("padding", "stem_convolution"),
        ("padding", "stem_convolution_1"),
        ("stem_padding", "conv1"),
    ):
        stem = next((layer for layer in model.layers if layer.name == name), None)
        if stem is not None and max(stem.strides) > 1 and stem.padding == "same":
            warn(
                f"{name!r} of model {model.name!r} has SAME padding; the source was "
                f"trained with padding on both sides: pass {argument}='symmetric'"
            )


def warn(message: str) -> None:
    """Warn if the weights fit but their network computes something else."""
    warnings.warn(f"{message}. The outputs will differ.", UserWarning, stacklevel=5)
