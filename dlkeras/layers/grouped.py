"""Convolution in groups that TensorFlow runs, and exports, without XLA."""

import math
from typing import Any

import keras
from keras import ops

from dlkeras.layers.inputs import (
    channel_axis,
    empty_output,
    is_empty_batch,
    require_float,
)

# Below so many channels TensorFlow's convolution on a processor takes no less time.
_FEWEST_CHANNELS = 16


@keras.saving.register_keras_serializable(package="dlkeras")
class GroupedConv2D(keras.layers.Conv2D):
    """Keras's `Conv2D` with `groups`: each group of filters sees its own channels.

    The arguments, the weights and the numbers are those of `keras.layers.Conv2D`. On
    TensorFlow that layer compiles a convolution in groups by XLA, which is slow on a
    CPU and cannot be exported to ONNX; this one makes one convolution for each group
    and stacks their outputs. Groups of fewer than 16 channels are convolved several at
    a time, with zeros in the kernel between them: oneDNN computes with 16 channels at
    least. An infinite activation is then NaN in the groups beside its own.

    Args:
        filters: Number of filters, a multiple of `groups`.
        kernel_size: Height and width of the kernels.
        groups: Number of groups; the input's channels are a multiple of it.
        **kwargs: The other arguments of `keras.layers.Conv2D`, whose positions are
            those of all arguments.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)` for
        `data_format="channels_first"`.

    Output shape:
        That of `keras.layers.Conv2D`.

    Example:
        >>> from dlkeras.layers import GroupedConv2D
        >>> layer = GroupedConv2D(4, 3, groups=2, data_format="channels_last")
        >>> layer.build((None, 8, 8, 6))
        >>> tuple(layer.kernel.shape)  # a filter sees 3 of the 6 channels
        (3, 3, 3, 4)

    Reference:
        Krizhevsky, Sutskever and Hinton (2012), "ImageNet classification with deep
        convolutional neural networks", section 3.2.
    """

    def call(self, inputs: Any) -> Any:
        """Convolve the channels of each group with the group's own filters."""
        require_float(self, inputs)
        if is_empty_batch(inputs):
            return empty_output(self, inputs)
        return super().call(inputs)

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Return the convolution, group by group on TensorFlow."""
        if self.groups == 1 or keras.backend.backend() != "tensorflow":
            return super().convolution_op(inputs, kernel)
        axis = channel_axis(self.data_format)
        joined = self._joined(kernel)
        kernel, count = self._between_zeros(kernel, joined), self.groups // joined
        images: Any = ops.split(inputs, count, axis=axis)
        kernels: Any = ops.split(kernel, count, axis=-1)
        convolve = super().convolution_op
        parts = [convolve(x, own) for x, own in zip(images, kernels, strict=True)]
        return ops.concatenate(parts, axis=axis)

    def _joined(self, kernel: Any) -> int:
        """The number of groups that are convolved at a time."""
        into = int(kernel.shape[-2])
        return math.gcd(self.groups, max(1, _FEWEST_CHANNELS // into))

    def _between_zeros(self, kernel: Any, joined: int) -> Any:
        """Kernels whose filters see the channels of `joined` groups, most by a zero."""
        if joined == 1:
            return kernel
        *size, into, filters = kernel.shape
        own: Any = ops.eye(joined, dtype=kernel.dtype)  # a filter's group is the row's
        own = ops.reshape(own, (joined, 1, 1, joined, 1))
        shape = (*size, 1, into, self.groups // joined, joined, filters // self.groups)
        return ops.reshape(
            ops.reshape(kernel, shape) * own, (*size, joined * into, filters)
        )
