"""Resizing as `keras.layers.Resizing` does it, antialiased in half of its time."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf


def with_aspect(
    image: "tf.Tensor", height: int, width: int, aspect: str
) -> "tf.Tensor":
    """Crop or pad an image to the aspect of a size, as the model that is served does.

    Args:
        image: `(rows, columns, channels)`.
        height: rows of the size.
        width: its columns.
        aspect: "crop", "pad" (with 0) or "stretch", which changes nothing.

    Returns:
        `(rows, columns, channels)`, of the given type.

    Example:
    >>> import tensorflow as tf
    >>> photo = tf.zeros([900, 1600, 3], tf.uint8)
    >>> [with_aspect(photo, 32, 32, way).shape[:2].as_list() for way in ("crop", "pad")]
    [[900, 900], [1600, 1600]]
    """
    from dlkeras.layers.aspect import aspect_padding
    from dlkeras.pipeline.tensorflow_import import tf

    if aspect == "stretch":
        return image
    shape = tf.shape(image)
    rows, columns = shape[0], shape[1]
    if aspect == "pad":
        return tf.pad(image, [*aspect_padding(rows, columns, height, width), (0, 0)])
    # Keras's own arithmetic, in float32, so that no row is rounded another way.
    fitting = (
        tf.cast(tf.cast(columns * height, "float32") / width, "int32"),
        tf.cast(tf.cast(rows * width, "float32") / height, "int32"),
    )
    kept = [
        tf.maximum(tf.minimum(n, fit), 1)
        for n, fit in zip((rows, columns), fitting, strict=True)
    ]
    top, left = (rows - kept[0]) // 2, (columns - kept[1]) // 2
    return image[top : top + kept[0], left : left + kept[1]]


def resize_antialiased(
    image: "tf.Tensor", height: int, width: int, transposed: bool = False
) -> "tf.Tensor":
    """Resize an image bilinearly, antialiased where it shrinks.

    TensorFlow's kernel resizes the rows as whole vectors, but along a row it adds three
    channels at a time. So the columns are turned into rows for their turn: two
    transpositions take less than what they save.

    Args:
        image: `(rows, columns, channels)`, of any type of number; the number of
            channels is known while the graph is made.
        height: rows of the result.
        width: its columns.
        transposed: leave out the second transposition, and give columns as rows.

    Returns:
        `(height, width, channels)` float32, or transposed `(width, height, channels)`:
        what `tf.image.resize(antialias=True)` gives but for the order in which its sums
        are rounded.

    Example:
    >>> import tensorflow as tf
    >>> resize_antialiased(tf.constant([[[0], [2]]], tf.uint8), 1, 1).numpy().tolist()
    [[[1.0]]]
    """
    from dlkeras.pipeline.tensorflow_import import tf

    def resize_rows(image: Any, number: int) -> Any:
        size = tf.shape(image)
        row = size[1] * image.shape[2]
        # A picture one pixel wide, of as many channels as a row has numbers.
        rows = tf.reshape(image, [1, size[0], 1, row])
        rows = tf.image.resize(rows, [number, 1], antialias=True)
        return tf.reshape(rows, [number, size[1], image.shape[2]])

    lying = resize_rows(tf.transpose(resize_rows(image, height), [1, 0, 2]), width)
    return lying if transposed else tf.transpose(lying, [1, 0, 2])
