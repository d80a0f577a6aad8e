"""Checks of a layer's arguments and inputs; messages name the layer and the value."""

import operator
from typing import Any

import keras


def positive_integer(layer: keras.layers.Layer, name: str, value: Any) -> int:
    """Return `value` as an int of at least 1, or say which argument is wrong."""
    try:
        if isinstance(value, bool):
            raise TypeError
        integer = operator.index(value)
    except TypeError:
        integer = 0
    if integer < 1:
        raise ValueError(
            f"`{name}` must be a positive integer. "
            f"Received: {name}={value!r} (layer {layer.name!r})"
        )
    return integer


def integer_pair(layer: keras.layers.Layer, name: str, value: Any) -> tuple[int, int]:
    """Return one integer or a pair of them as (height, width)."""
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2:
        raise ValueError(
            f"`{name}` must be an integer or a pair (height, width). "
            f"Received: {name}={value!r} (layer {layer.name!r})"
        )
    return (
        positive_integer(layer, name, pair[0]),
        positive_integer(layer, name, pair[1]),
    )


def one_of(layer: keras.layers.Layer, name: str, value: Any, allowed: tuple) -> Any:
    """Return `value` if it is one of `allowed`."""
    if value not in allowed:
        raise ValueError(
            f"`{name}` must be one of {', '.join(map(repr, allowed))}. "
            f"Received: {name}={value!r} (layer {layer.name!r})"
        )
    return value


def rate(layer: keras.layers.Layer, name: str, value: Any) -> float:
    """Return a probability of at least 0 and below 1."""
    if not 0 <= value < 1:
        raise ValueError(
            f"`{name}` must be a probability with 0 <= {name} < 1. "
            f"Received: {name}={value!r} (layer {layer.name!r})"
        )
    return float(value)


def require_float(layer: keras.layers.Layer, inputs: Any) -> None:
    """Refuse integers: Keras casts floats only, and the backends then disagree."""
    dtype = keras.backend.standardize_dtype(inputs.dtype)
    if not keras.backend.is_float_dtype(dtype):
        raise ValueError(
            f"{type(layer).__name__} expects a floating-point input; cast integers "
            f"(pixels, for example) first. Received: dtype={dtype} "
            f"(layer {layer.name!r})"
        )


def is_empty_batch(inputs: Any) -> bool:
    """Whether the batch is known to be empty.

    TensorFlow's convolution of no images has the shape of its input, and PyTorch
    has no maximum over none: a layer then gives `empty_output` itself.
    """
    return inputs.shape[0] == 0


def empty_output(layer: keras.layers.Layer, inputs: Any) -> Any:
    """Return what a layer makes of an empty batch: no examples, in the right shape."""
    shape = layer.compute_output_shape(inputs.shape)
    return keras.ops.zeros(shape, dtype=layer.compute_dtype)


def image_data_format(layer: keras.layers.Layer, value: str | None) -> str:
    """Return where the channels are; `None` asks Keras's own setting."""
    if value is None:
        return keras.config.image_data_format()
    return one_of(layer, "data_format", value, ("channels_last", "channels_first"))


def channel_axis(data_format: str) -> int:
    """Return the axis of the channels in a batch of images."""
    return 1 if data_format == "channels_first" else -1


def channels_of(
    layer: keras.layers.Layer, input_shape: Any, data_format: str | None
) -> int:
    """Return the number of channels (or features), which a weight's shape needs."""
    channels = input_shape[-1 if data_format is None else channel_axis(data_format)]
    if channels is None:
        raise ValueError(
            f"{type(layer).__name__} needs a known number of channels. "
            f"Received: input_shape={tuple(input_shape)} (layer {layer.name!r})"
        )
    return channels


def spatial_axes(data_format: str) -> tuple[int, int]:
    """Return the axes of height and width in a batch of images."""
    return (2, 3) if data_format == "channels_first" else (1, 2)


def image_shape(
    batch: Any, height: Any, width: Any, channels: Any, data_format: str
) -> tuple:
    """Order a shape as `data_format` says."""
    if data_format == "channels_first":
        return (batch, channels, height, width)
    return (batch, height, width, channels)


def windows(
    layer: keras.layers.Layer,
    input_shape: Any,
    size: tuple[int, int],
    strides: tuple[int, int],
    padding: str,
    data_format: str,
) -> tuple[int | None, int | None]:
    """Return how many windows fit into height and width: 1 at least."""
    counts: list[int | None] = []
    for axis, window, stride in zip(
        spatial_axes(data_format), size, strides, strict=True
    ):
        pixels = input_shape[axis]
        if pixels is None:
            counts.append(None)
            continue
        room = pixels if padding == "same" else pixels - window + 1
        if room < 1:
            raise ValueError(
                f"{type(layer).__name__} expects at least {window} pixels along axis "
                f"{axis} for its window of {size} with strides {strides} and padding "
                f"{padding!r}: none would be left. "
                f"Received: input_shape={tuple(input_shape)} (layer {layer.name!r})"
            )
        counts.append(-(-room // stride))
    return counts[0], counts[1]
