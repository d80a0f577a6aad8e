"""Max pooling whose gradient is fast on JAX, too."""

from typing import Any

import keras

from dlkeras.layers.backend import max_pool
from dlkeras.layers.inputs import empty_output, is_empty_batch


# The name is Keras's, so that people who look for a pooling find one.
@keras.saving.register_keras_serializable(package="dlkeras")
class MaxPooling2D(keras.layers.MaxPooling2D):
    """Keras's max pooling, with a gradient that needs no scatter on JAX.

    Outputs, gradients and configuration are those of `keras.layers.MaxPooling2D`; of
    equal values in a window the first gets the gradient. On TensorFlow and PyTorch, and
    for windows of more than 25 pixels, it is Keras's layer.

    Args:
        pool_size: Height and width of the window, or one integer for both.
        strides: Of the windows; `None` is the window's size.
        padding: `"valid"` or `"same"`.
        **kwargs: The arguments of `keras.layers.MaxPooling2D`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)`
        for `"channels_first"`.

    Output shape:
        As for `keras.layers.MaxPooling2D`.

    Example:
        >>> from dlkeras.layers import MaxPooling2D
        >>> pool = MaxPooling2D(3, 2, padding="same")
        >>> pool.compute_output_shape((None, 112, 112, 64))
        (None, 56, 56, 64)
    """

    def call(self, inputs: Any) -> Any:
        """Take the maximum of each window."""
        if is_empty_batch(inputs):
            return empty_output(self, inputs)
        last = self.data_format == "channels_last"

        def over_all_axes(pair: Any) -> tuple[int, ...]:
            return (1, *pair, 1) if last else (1, 1, *pair)

        outputs = max_pool(
            inputs,
            over_all_axes(self.pool_size),
            over_all_axes(self.strides),
            self.padding,
        )
        return super().call(inputs) if outputs is None else outputs
