"""Image files as pixels: in training and evaluation, and where a model is served.

There are two decoders, TensorFlow's inside the graph and Pillow's outside. Both give
the same pixels: what is served is what was judged.
"""

from typing import TYPE_CHECKING

import numpy as np

from dlkeras.untrusted.images import MAX_PIXELS as MAX_PIXELS
from dlkeras.untrusted.images import DecodedImage as DecodedImage
from dlkeras.untrusted.images import decode_image as decode_image
from dlkeras.untrusted.images import read_image_file as read_image_file
from dlkeras.untrusted.images import to_png as to_png

if TYPE_CHECKING:
    import tensorflow as tf


def decode(encoded: bytes) -> tuple[bytes, np.ndarray]:
    """Decode an image to its bytes in the examples, and its pixels.

    Raises:
        ValueError: the bytes are not an image that can be decoded whole.

    Example:
    >>> decode(to_png(np.zeros((2, 3), "uint8")))[1].shape
    (2, 3, 1)
    """
    image = decode_image(encoded)
    return image.encoded, image.pixels


def decode_in_graph(encoded: "tf.Tensor | bytes", channels: int) -> "tf.Tensor":
    """Decode a JPEG or PNG that `decode_image` gave, to its very pixels.

    TensorFlow's own choice is a faster inverse transform of JPEG, whose pixels differ
    by up to 11 of 255 from those of Pillow, browsers and cameras.

    Args:
        encoded: the file's bytes, a scalar string.
        channels: 1, or 3: grey becomes RGB.

    Returns:
        `(height, width, channels)` uint8.
    """
    from dlkeras.pipeline.tensorflow_import import tf

    # It reads PNG as well.
    return tf.io.decode_jpeg(encoded, channels, dct_method="INTEGER_ACCURATE")


def image_pixels(content: bytes, channels: int) -> np.ndarray:
    """Decode an image file's content, `(height, width, channels)` uint8.

    Raises:
        ValueError: it is not an image that can be decoded whole.
    """
    return with_channels(decode(content)[1], channels)


def with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """Turn grey into RGB or RGB into grey (ITU-R BT.601 luma, as PIL does)."""
    from PIL import Image

    if image.shape[-1] == channels:
        return image
    mode = "L" if channels == 1 else "RGB"
    grey = image[..., 0] if image.shape[-1] == 1 else image
    converted = np.asarray(Image.fromarray(grey).convert(mode))
    return converted[..., None] if channels == 1 else converted
