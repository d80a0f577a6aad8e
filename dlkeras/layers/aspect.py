"""Padding images to the aspect of a size, whatever size they have.

Keras's own, `Resizing(pad_to_aspect_ratio=True)`, has branches from which TensorFlow
cannot tell how much memory an image will take before it is computed.
"""

from typing import Any

import keras
from keras import ops


def aspect_padding(
    rows: Any, columns: Any, height: int, width: int
) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Rows above and below, columns left and right, that give a size's aspect.

    Args:
        rows: of the image, an integer or a tensor.
        columns: of the image.
        height: rows of the size.
        width: its columns.

    Example:
        >>> [[int(n) for n in side] for side in aspect_padding(900, 1600, 32, 32)]
        [[350, 350], [0, 0]]
    """
    missing: tuple[Any, Any] = (
        columns * height // width - rows,
        rows * width // height - columns,
    )
    above, beside = (_at_least_0(number) for number in missing)
    return (above // 2, above - above // 2), (beside // 2, beside - beside // 2)


def _at_least_0(number: Any) -> Any:
    return max(number, 0) if isinstance(number, int) else ops.maximum(number, 0)


@keras.saving.register_keras_serializable(package="dlkeras")
class PadToAspect(keras.layers.Layer):
    """Pads images with 0 to the aspect of a size; what is drawn stays in the middle.

    Args:
        height: Rows of the size.
        width: Its columns.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, rows, columns, channels)`, any type of number.

    Output shape:
        `(batch, rows', columns', channels)`, of the same type.

    Example:
        >>> import numpy as np
        >>> PadToAspect(32, 32)(np.ones((1, 2, 6, 3), "float32")).shape[1:3] == (6, 6)
        True
    """

    def __init__(self, height: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.height = height
        self.width = width

    def call(self, images: Any) -> Any:
        """Pad a batch of images."""
        shape: Any = ops.shape(images)
        _, rows, columns, _ = shape
        sides = aspect_padding(rows, columns, self.height, self.width)
        return ops.pad(images, [[0, 0], *map(list, sides), [0, 0]])

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """The shape where it is known, else None for rows and columns."""
        batch, rows, columns, channels = input_shape
        if rows is None or columns is None:
            return (batch, None, None, channels)
        (above, below), (left, right) = aspect_padding(
            rows, columns, self.height, self.width
        )
        rows, columns = rows + int(above + below), columns + int(left + right)
        return (batch, rows, columns, channels)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the layer again."""
        return {**super().get_config(), "height": self.height, "width": self.width}
