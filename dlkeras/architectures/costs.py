"""What a layer costs and sees: multiply-adds, and the window it slides."""

from typing import Any

import keras
import numpy as np

from dlkeras.layers import (
    AuxiliaryClassifier,
    BottleneckBlock,
    InceptionModule,
    PartiallyConnectedConv2D,
    ResidualBlock,
)
from dlkeras.layers.inputs import spatial_axes

_RESIDUAL = (ResidualBlock, BottleneckBlock)


def _size(layer: Any, shape: Any) -> tuple[int, int]:
    """Return height and width; a layer without a data format has Keras's own."""
    data_format = getattr(layer, "data_format", None)
    axes = spatial_axes(data_format or keras.config.image_data_format())
    height, width = (shape[axis] for axis in axes)
    if height is None or width is None:
        raise ValueError(
            f"Costs need a known height and width, and layer {layer.name!r} has "
            f"{tuple(shape)}. Build the model with an input_shape that has them."
        )
    return height, width


def _weights(variable: Any) -> int:
    return int(np.prod(tuple(variable.shape)))


def multiply_adds(layer: Any, input_shape: Any, output_shape: Any) -> int:
    """Count the multiply-adds of a layer's convolutions and dense layers.

    A bias, a normalisation, a pooling and an activation are not counted, as in the
    papers' own figures.

    Args:
        layer: A built layer.
        input_shape: What goes in, with the batch.
        output_shape: What comes out, with the batch.

    Returns:
        Multiply-adds for one example.

    Raises:
        ValueError: If an image's height or width is not known.
    """
    if isinstance(layer, keras.layers.Dense):
        return _weights(layer.kernel) * int(np.prod(output_shape[1:-1], dtype="int64"))
    if isinstance(layer, keras.layers.Conv2D | PartiallyConnectedConv2D):
        height, width = _size(layer, output_shape)
        return height * width * _weights(layer.kernel)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        height, width = _size(layer, output_shape)
        return height * width * _weights(layer.kernel)
    if isinstance(layer, keras.layers.SeparableConv2D):
        height, width = _size(layer, output_shape)
        kernels = _weights(layer.depthwise_kernel) + _weights(layer.pointwise_kernel)
        return height * width * kernels
    if isinstance(layer, InceptionModule):
        height, width = _size(layer, output_shape)
        kernels = sum(_weights(c.kernel) for c in layer.convolutions.values())
        return height * width * kernels
    if isinstance(layer, AuxiliaryClassifier):
        height, width = _size(layer, layer.pool.compute_output_shape(input_shape))
        dense = _weights(layer.hidden.kernel) + _weights(layer.classifier.kernel)
        return height * width * _weights(layer.convolution.kernel) + dense
    if isinstance(layer, _RESIDUAL):
        height, width = _size(layer, input_shape)
        total = 0
        for convolution in layer.convolutions:
            height = -(-height // convolution.strides[0])
            width = -(-width // convolution.strides[1])
            total += height * width * _weights(convolution.kernel)
        if layer.projection is not None:
            total += height * width * _weights(layer.projection.kernel)
        return total
    return 0


def windows(layer: Any) -> list[tuple[int, int]]:
    """Return kernel size and stride of what a layer slides over the image, in order.

    Of parallel branches it is the one with the widest view.

    Args:
        layer: A built layer.

    Returns:
        Pairs of kernel size and stride along the height; none for a layer that works
        on each pixel alone.
    """
    if isinstance(layer, _RESIDUAL):
        return [(c.kernel_size[0], c.strides[0]) for c in layer.convolutions]
    if isinstance(layer, InceptionModule):
        return [(max(3, layer.kernel_size_5x5), 1)]
    if isinstance(layer, AuxiliaryClassifier):
        return [(layer.pool_size[0], layer.strides[0])]
    kernel = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    strides = getattr(layer, "strides", None)
    if isinstance(kernel, tuple) and isinstance(strides, tuple) and len(kernel) == 2:
        return [(kernel[0], strides[0])]
    return []
