"""Which window each operation slides over feature maps, if any."""

from dataclasses import dataclass
from typing import Any

import keras

from dlkeras.model_graph.calls import Call


@dataclass(frozen=True)
class Window:
    """What one output pixel reads along an axis.

    Attributes:
        size: Pixels from the first to the last that are read.
        stride: Pixels from one output's window to the next.
        before: How far the first window begins before the maps.
    """

    size: int = 1
    stride: int = 1
    before: int = 0

    def looked_at(self, first: int, last: int) -> tuple[int, int]:
        """Return the first and last pixel that a range of outputs reads."""
        start = first * self.stride - self.before
        return start, last * self.stride - self.before + self.size - 1


_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
_POOLINGS = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)
_POINTWISE_LAYERS = (
    keras.layers.Activation, keras.layers.ActivityRegularization, keras.layers.Add,
    keras.layers.AlphaDropout, keras.layers.Average, keras.layers.BatchNormalization,
    keras.layers.Dropout, keras.layers.ELU, keras.layers.GaussianDropout,
    keras.layers.GaussianNoise, keras.layers.Identity, keras.layers.LeakyReLU,
    keras.layers.Maximum, keras.layers.Minimum, keras.layers.Multiply,
    keras.layers.Normalization, keras.layers.RandomBrightness,
    keras.layers.RandomContrast, keras.layers.RandomFlip, keras.layers.RandomRotation,
    keras.layers.RandomTranslation, keras.layers.RandomZoom, keras.layers.ReLU,
    keras.layers.Rescaling, keras.layers.SpatialDropout2D, keras.layers.Subtract,
)  # fmt: skip
# Along one axis; where it is that of the channels, every pixel is by itself.
_ALONG_CHANNELS = (
    "Concatenate", "LayerNorm", "LayerNormalization", "LogSoftmax", "RMSNorm",
    "RMSNormalization", "Softmax", "UnitNormalization",
)  # fmt: skip
_POINTWISE_OPERATIONS = (
    "Abs", "Absolute", "Add", "BatchNorm", "Cast", "Clip", "Cos", "Divide", "Elu",
    "Equal", "Erf", "Exp", "Expm1", "Gelu", "Greater", "GreaterEqual", "HardSigmoid",
    "HardSilu", "HardTanh", "LeakyRelu", "Less", "LessEqual", "Log", "Log1p",
    "LogSigmoid", "Maximum", "Minimum", "Mish", "Multiply", "Negative", "NotEqual",
    "Power", "ReLU", "Reciprocal", "Relu", "Relu6", "Rsqrt", "Selu", "Sigmoid", "Sign",
    "Silu", "Sin", "Softplus", "Softsign", "Sqrt", "Square", "StopGradient", "Subtract",
    "Tanh", "TrueDivide", "Where",
)  # fmt: skip


def window_of(call: Call) -> tuple[Window, Window] | None:
    """Return what a call slides over the rows and the columns of its maps.

    Args:
        call: A call that reads and gives maps, `(batch, rows, columns, maps)` or
            channels first.

    Returns:
        The two windows; None where the operation is not known to have one.
    """
    layer = call.operation
    kind = type(layer).__name__
    if isinstance(layer, keras.layers.ZeroPadding2D):
        (top, _), (left, _) = layer.padding
        return Window(before=top), Window(before=left)
    if isinstance(layer, keras.layers.Cropping2D):
        (top, _), (left, _) = layer.cropping
        return Window(before=-top), Window(before=-left)
    if isinstance(layer, _CONVOLUTIONS):
        return _sliding(call, layer.kernel_size)
    if isinstance(layer, _POOLINGS) or kind in ("MaxPool", "AveragePool"):
        return _sliding(call, layer.pool_size)
    if kind in ("Conv", "DepthwiseConv", "SeparableConv") and _is_keras(layer):
        kernel = call.args[1] if len(call.args) > 1 else None
        return None if kernel is None else _sliding(call, kernel.shape[:2])
    if kind == "GetItem":
        return _sliced(call)
    if kind == "Pad" and layer.mode == "constant" and len(layer.pad_width) == 4:
        rows, columns = (layer.pad_width[axis] for axis in spatial_axes(layer))
        return Window(before=rows[0]), Window(before=columns[0])
    return None


def keeps_pixels(call: Call) -> bool:
    """Return whether every output pixel reads its own pixel of each input alone."""
    layer = call.operation
    kind = type(layer).__name__
    if kind == "LocalResponseNormalization" or isinstance(layer, _POINTWISE_LAYERS):
        return True
    channels = ({1, 2, 3} - set(spatial_axes(layer))).pop()
    if isinstance(layer, keras.layers.Dense):
        return channels == 3
    if kind in _ALONG_CHANNELS:
        axis = getattr(layer, "axis", None)
        axes = axis if isinstance(axis, list | tuple) else [axis]
        return all(isinstance(i, int) and i % 4 == channels for i in axes)
    return kind in _POINTWISE_OPERATIONS and _is_keras(layer)


def spatial_axes(layer: Any) -> tuple[int, int]:
    """Return the axes of rows and columns in the maps of a layer."""
    data_format = getattr(layer, "data_format", None)
    data_format = data_format or keras.config.image_data_format()
    return (2, 3) if data_format == "channels_first" else (1, 2)


def _is_keras(operation: Any) -> bool:
    return type(operation).__module__.startswith("keras.")


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _sliding(call: Call, size: Any) -> tuple[Window, Window] | None:
    layer = call.operation
    sizes, strides = _pair(size), _pair(layer.strides or size)
    dilation = _pair(getattr(layer, "dilation_rate", 1))
    if layer.padding not in ("valid", "same"):
        return None
    windows = []
    for axis in range(2):
        kernel = (sizes[axis] - 1) * dilation[axis] + 1
        before = 0
        if layer.padding == "same":
            pixels = call.inputs[0].shape[spatial_axes(layer)[axis]]
            fitting = -(-pixels // strides[axis])
            missing = (fitting - 1) * strides[axis] + kernel - pixels
            before = max(missing, 0) // 2
        windows.append(Window(kernel, strides[axis], before))
    return windows[0], windows[1]


def _sliced(call: Call) -> tuple[Window, Window] | None:
    """`x[:, ::2, 1:]`: slices that go forwards, of all four axes."""
    key = call.args[1] if len(call.args) > 1 else None
    if not isinstance(key, tuple) or not all(isinstance(x, slice) for x in key):
        return None
    slices = [*key, *[slice(None)] * (4 - len(key))]
    rows, columns = (slices[axis] for axis in spatial_axes(call.operation))
    if any((x.start or 0) < 0 or (x.step or 1) < 0 for x in (rows, columns)):
        return None
    return (
        Window(stride=rows.step or 1, before=-(rows.start or 0)),
        Window(stride=columns.step or 1, before=-(columns.start or 0)),
    )
