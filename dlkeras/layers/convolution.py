"""Convolution whose 1x1 kernels train as matrix products, where that is faster."""

import functools
from typing import Any

import keras
from keras import ops

from dlkeras.layers.backend import pointwise_convolution, visited_pixels
from dlkeras.layers.inputs import empty_output, is_empty_batch


# The name is Keras's, because a weight file addresses a layer within a block by the
# name of its class: each loads the other's files.
@keras.saving.register_keras_serializable(package="dlkeras")
class Conv2D(keras.layers.Conv2D):
    """Keras's convolution; a 1x1 kernel is trained as the matrix that it is.

    Outputs, gradients, weights and configuration are those of `keras.layers.Conv2D`.
    A 1x1 convolution multiplies every pixel by one matrix, and with strides only the
    pixels that it visits. On TensorFlow without a GPU the gradient by the kernel takes
    two to seven times as long in half precision as that of the product, and up to twice
    as long in float32, so that in training this layer multiplies. At inference, where
    TensorFlow folds a normalisation into the convolution, and in all other cases it is
    Keras's layer.

    Args:
        filters: The channels of the output.
        kernel_size: Height and width of the kernel, or one integer for both.
        **kwargs: The arguments of `keras.layers.Conv2D`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)`
        for `"channels_first"`.

    Output shape:
        As for `keras.layers.Conv2D`.

    Example:
        >>> from dlkeras.layers import Conv2D
        >>> Conv2D(128, 1, strides=2).compute_output_shape((None, 56, 56, 64))
        (None, 28, 28, 128)
    """

    def call(
        self, inputs: Any, training: bool | None = None, visited: bool = False
    ) -> Any:
        """Convolve; what is trained may go through a matrix product.

        With `visited`, `inputs` are the pixels that the strides visit, and no others.
        """
        if is_empty_batch(inputs):
            return empty_output(self, inputs)
        outputs, strides = None, (1, 1) if visited else self.strides
        if self.is_pointwise and training:
            outputs = pointwise_convolution(inputs, self.kernel, strides)
        if outputs is None and visited:
            outputs = ops.conv(inputs, self.kernel, 1, data_format=self.data_format)
        if outputs is None:
            return super().call(inputs)
        if self.use_bias:
            outputs = ops.add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def rematerialized_call(self, layer_call: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the call that a `RematScope` makes again for the gradient.

        TensorFlow's takes no keywords, and Keras's convolution has none.
        """
        call = functools.partial(layer_call, **kwargs)
        again: Any = super().rematerialized_call(call, *args)
        return lambda *args, **_: again(*args)

    @property
    def is_pointwise(self) -> bool:
        """Whether it may be trained as one matrix for every pixel."""
        return (
            # Elsewhere `training` is not looked at: under a RematScope of JAX it is
            # traced, and has no value.
            keras.backend.backend() == "tensorflow"
            and tuple(self.kernel_size) == (1, 1)
            and self.groups == 1
            and self.data_format == "channels_last"
        )


def both_pointwise(
    x: Any, first: Conv2D, second: Conv2D | None, training: bool | None
) -> tuple[Any, Any] | None:
    """Two 1x1 convolutions with the same strides, whose pixels are picked once.

    Forward that saves little; backward, the gradients are added where they are small.

    Returns:
        Both outputs; None where the convolutions are of another kind, do not train, or
        pick their pixels as fast.
    """
    if second is None or not (first.is_pointwise and second.is_pointwise and training):
        return None
    strides = tuple(first.strides)
    if strides == (1, 1) or strides != tuple(second.strides):
        return None
    pixels = visited_pixels(x, strides)
    if pixels is None:
        return None
    return tuple(c(pixels, training=training, visited=True) for c in (first, second))
