"""Both ends of a network: how images come in, and how classes come out."""

import itertools
import operator
from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from dlkeras.layers.initializers import with_own_seed
from dlkeras.layers.output_policy import output_policy

# Red, green and blue of ImageNet's training images, on a scale of 0 to 1.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
# Blue, green and red of ImageNet on a scale of 0 to 255, as Caffe's networks want it.
CAFFE_MEANS = (103.939, 116.779, 123.68)

POOLINGS = (None, "avg", "max")


def scaled(filters: int, width_multiplier: float, multiple: int = 1) -> int:
    """Return the filters of a layer in a network of another width.

    >>> scaled(64, 0.25), scaled(3, 0.1), scaled(96, 0.33, multiple=2)
    (16, 1, 32)
    """
    if isinstance(width_multiplier, str) or not width_multiplier > 0:
        raise ValueError(
            "width_multiplier must be positive. "
            f"Received: width_multiplier={width_multiplier!r}"
        )
    return multiple * max(1, round(filters * width_multiplier / multiple))


def check_input(
    network: str, input_shape: Any, fits: Callable[[int], bool], why: str
) -> None:
    """Refuse images that are too small for the network, and say how small they may be.

    Args:
        network: Name of the network, for the message.
        input_shape: Height, width and channels; height and width may be None.
        fits: Whether an image of so many pixels on a side is large enough.
        why: What is missing in a smaller image.

    Raises:
        ValueError: There are not three whole numbers, height or width is too small, or
            Keras is set to channels first.
    """
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            f"{network} takes images with the channels last. Received: "
            f"keras.config.image_data_format()={keras.config.image_data_format()!r}"
        )
    sizes = tuple(input_shape) if isinstance(input_shape, tuple | list) else ()
    open_sizes = sizes[:2].count(None)
    whole = [whole_number(size) for size in sizes if size is not None]
    if (
        len(sizes) != 3
        or len(whole) + open_sizes != 3
        or None in whole
        or not whole[-1]
    ):
        raise ValueError(
            f"{network} needs an input_shape of height, width and a number of "
            f"channels. Received: input_shape={input_shape!r}"
        )
    if any(size is not None and not fits(size) for size in input_shape[:2]):
        smallest = next(size for size in range(1, 1024) if fits(size))
        raise ValueError(
            f"{network} needs images of at least {smallest}x{smallest} pixels: {why}. "
            f"Received: input_shape={tuple(input_shape)}"
        )


def whole_number(value: Any) -> int | None:
    """Return a whole number as an int, and None for anything else.

    >>> whole_number(3), whole_number(3.0), whole_number(True)
    (3, None, None)
    """
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def check_head(
    network: str, num_classes: Any, pooling: Any, flattened: Any = None
) -> None:
    """Refuse a number of classes or a pooling that no head can have.

    Args:
        network: Name of the network, for the message.
        num_classes: Number of outputs, or 0 for features.
        pooling: One of `POOLINGS`.
        flattened: The input's shape if the head reads every pixel of the maps where
            there is no pooling.

    Raises:
        ValueError: `num_classes` is no whole number from 0 on, there is no such
            pooling, or the pixels to flatten are not known.
    """
    number = whole_number(num_classes)
    if number is None or number < 0:
        raise ValueError(
            "num_classes must be at least 1, or 0 for features without a head. "
            f"Received: num_classes={num_classes!r}"
        )
    if pooling not in POOLINGS:
        raise ValueError(
            f"pooling must be one of {POOLINGS}. Received: pooling={pooling!r}"
        )
    if number and pooling is None and flattened and None in tuple(flattened)[:2]:
        raise ValueError(
            f"The dense layers of {network} read every pixel of its maps: pass a "
            "height and a width, or pooling='avg', which pools the maps first. "
            f"Received: input_shape={tuple(flattened)}"
        )


def weight_penalty(weight_decay: float) -> keras.regularizers.Regularizer | None:
    """Return the penalty whose gradient is `weight_decay` times the weight."""
    if not weight_decay >= 0:
        raise ValueError(
            f"weight_decay must be at least 0. Received: weight_decay={weight_decay!r}"
        )
    return keras.regularizers.L2(weight_decay / 2) if weight_decay else None


def fresh_initializers(initializer: Any) -> Callable[[], Any]:
    """Return a function that gives each layer an initialiser of its own.

    One initialiser object would start layers of one shape with the same values.
    """
    initializer = keras.initializers.get(initializer)
    numbers = itertools.count(step=10)  # a block counts its convolutions on from one
    return lambda: with_own_seed(initializer, next(numbers))


def preprocess(images: Any, kind: bool | str, channels: int) -> Any:
    """Bring pixels of 0 to 255 to the range that a network was trained on.

    Args:
        images: The model's input.
        kind: `True` or `"imagenet"` for mean 0 and deviation 1 of ImageNet's
            channels; `"symmetric"` for -1 to 1; `"caffe"` for blue, green and red less
            their means; `False` for pixels as they come.
        channels: Number of channels; the mean of the three where it is not 3.

    Returns:
        The images, rescaled.

    Raises:
        ValueError: There is no such kind.
    """
    if kind is False or kind is None:
        return images
    if kind == "symmetric":
        return layers.Rescaling(1 / 127.5, -1.0, name="preprocessing")(images)
    if kind == "caffe":
        blue_first = keras.ops.flip(images, axis=-1)
        means = list(CAFFE_MEANS)
        if channels != 3:
            means = [sum(means) / 3] * channels
        lower: Any = [-mean for mean in means]
        return layers.Rescaling(1.0, lower, name="preprocessing")(blue_first)
    if kind not in (True, "imagenet"):
        raise ValueError(
            "include_preprocessing must be True, False, 'imagenet', 'symmetric' or "
            f"'caffe'. Received: include_preprocessing={kind!r}"
        )
    mean, deviation = list(IMAGENET_MEAN), list(IMAGENET_DEVIATION)
    if channels != 3:
        mean = [sum(mean) / 3] * channels
        deviation = [sum(deviation) / 3] * channels
    scale: Any = [1 / (255 * d) for d in deviation]
    offset: Any = [-m / d for m, d in zip(mean, deviation, strict=True)]
    return layers.Rescaling(scale, offset, name="preprocessing")(images)


def global_pooling(x: Any, pooling: str | None) -> Any:
    """Pool every map to one number, or leave the maps as they are."""
    if pooling == "avg":
        return layers.GlobalAveragePooling2D(name="global_pool")(x)
    if pooling == "max":
        return layers.GlobalMaxPooling2D(name="global_pool")(x)
    return x


def pooled_head(
    x: Any,
    num_classes: int,
    *,
    pooling: str | None,
    dropout: float,
    activation: Any,
    kernel_initializer: Any = "glorot_uniform",
    kernel_regularizer: Any = None,
    name: str = "classifier",
) -> Any:
    """Pool the maps and classify them; with `num_classes=0` only pool, if asked.

    Args:
        x: The feature maps.
        num_classes: Number of outputs, or 0.
        pooling: `"avg"`, `"max"` or `None`, which is the average before a
            classifier and no pooling without one.
        dropout: Share of the pooled features dropped while training.
        activation: Of the outputs.
        kernel_initializer: Of the classifier.
        kernel_regularizer: Of the classifier.
        name: Of the classifier.

    Returns:
        `(batch, num_classes)`, or the features.
    """
    if num_classes == 0:
        return global_pooling(x, pooling)
    x = global_pooling(x, pooling or "avg")
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    return layers.Dense(
        num_classes,
        activation=activation,
        kernel_initializer=kernel_initializer,
        kernel_regularizer=kernel_regularizer,
        dtype=output_policy(),
        name=name,
    )(x)
