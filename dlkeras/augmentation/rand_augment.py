"""RandAugment (Cubuk et al. 2020): a few random operations of one strength.

The 14 operations and the ranges are the paper's; the arithmetic is Keras's own layers'.
"""

import math
from typing import TYPE_CHECKING, Any

from dlkeras.augmentation.keras_layers import unit_layer

if TYPE_CHECKING:
    import tensorflow as tf

OPERATIONS = (
    "identity",
    "auto_contrast",
    "equalize",
    "rotate",
    "solarize",
    "color",
    "posterize",
    "contrast",
    "brightness",
    "sharpness",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)
MAX_MAGNITUDE = 10.0
MAX_ROTATION = 30.0
MAX_SHEAR = 0.3
MAX_TRANSLATION = 0.45
MAX_ENHANCEMENT = 0.9
MAX_POSTERIZED_BITS = 4


def rand_augment(
    image: "tf.Tensor", number: int, magnitude: float, draws: "tf.Tensor"
) -> "tf.Tensor":
    """Apply operations chosen at random, one after the other.

    Args:
        image: `(height, width, 1 or 3)` float32, 0 to 1.
        number: how many operations, the paper's N.
        magnitude: 0 to 10, the paper's M.
        draws: at least `2 * number` numbers from 0 to 1: for each operation which, and
            with which sign.

    Returns:
        The image, same shape, 0 to 1.
    """
    from dlkeras.augmentation.tensorflow_names import tf

    for step in range(number):
        which = tf.cast(draws[2 * step] * len(OPERATIONS), tf.int32)
        sign = tf.where(draws[2 * step + 1] < 0.5, -1.0, 1.0)
        branches = [
            lambda name=name, image=image, sign=sign: apply(
                name, image, sign * magnitude / MAX_MAGNITUDE
            )
            for name in OPERATIONS
        ]
        image = tf.ensure_shape(tf.switch_case(which, branches), image.shape)
    return image


def apply(name: str, image: "tf.Tensor", amount: Any) -> "tf.Tensor":
    """Apply one operation.

    Args:
        name: one of `OPERATIONS`.
        image: `(height, width, 1 or 3)` float32, 0 to 1.
        amount: -1 to 1, the magnitude over 10 with its sign; operations without a sign
            take its absolute value.
    """
    from dlkeras.augmentation.tensorflow_names import keras, tf

    amount = tf.cast(amount, tf.float32)
    size, images = tf.abs(amount), image[None]
    shape: Any = image.shape
    height, width, channels = shape
    factor = 1 + MAX_ENHANCEMENT * amount
    if name == "identity":
        return image
    if name == "auto_contrast":
        images = unit_layer("AutoContrast").transform_images(images, None)
    elif name == "equalize":
        images = unit_layer("Equalization").transform_images(images, None)
    elif name == "solarize":  # invert what is above a threshold, 255 down to 0
        change = {"thresholds": 255 * (1 - size), "additions": 0.0}
        images = unit_layer("Solarization").transform_images(images, change)
    elif name == "posterize":
        bits = tf.cast(tf.round(size * MAX_POSTERIZED_BITS), tf.uint8)
        change = {"shift_factor": bits[None]}
        images = unit_layer("RandomPosterization").transform_images(images, change)
    elif name == "color":
        if channels == 1:
            return image
        grey = tf.image.rgb_to_grayscale(images)
        images = grey + factor * (images - grey)
    elif name == "contrast":
        change = {"contrast_factor": factor}
        images = unit_layer("RandomContrast").transform_images(images, change)
    elif name == "brightness":  # as PIL has it: towards black, or away from it
        images = images * factor
    elif name == "sharpness":
        blurred = keras.ops.image.gaussian_blur(
            images, (3, 3), (0.8, 0.8), data_format="channels_last"
        )
        images = blurred + factor * (images - blurred)
    else:
        images = _moved(name, images, amount, height, width)
    return tf.clip_by_value(images[0], 0.0, 1.0)


def _moved(
    name: str, images: "tf.Tensor", amount: "tf.Tensor", height: int, width: int
) -> "tf.Tensor":
    """Rotate, shear or translate; from outside comes grey, as in the paper."""
    from dlkeras.augmentation.tensorflow_names import keras, tf

    angle = amount * MAX_ROTATION * math.pi / 180 if name == "rotate" else 0.0
    shear_x = amount * MAX_SHEAR if name == "shear_x" else 0.0
    shear_y = amount * MAX_SHEAR if name == "shear_y" else 0.0
    x = amount * MAX_TRANSLATION * width if name == "translate_x" else 0.0
    y = amount * MAX_TRANSLATION * height if name == "translate_y" else 0.0
    cosine, sine = tf.cos(angle), tf.sin(angle)
    a0, a1, b0, b1 = cosine, shear_x - sine, shear_y + sine, cosine
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    a2 = middle_x - a0 * middle_x - a1 * middle_y + x
    b2 = middle_y - b0 * middle_x - b1 * middle_y + y
    row = [a0, a1, a2, b0, b1, b2, 0.0, 0.0]
    matrix = tf.stack([tf.cast(value, tf.float32) for value in row])
    return keras.ops.image.affine_transform(
        images, matrix[None], interpolation="bilinear", fill_mode="constant",
        fill_value=0.5, data_format="channels_last",
    )  # fmt: skip
