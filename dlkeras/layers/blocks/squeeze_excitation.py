"""Squeeze-and-excitation: a scale for each channel, from the averages of all."""

from typing import Any

import keras

from dlkeras.layers.blocks.composite import CompositeLayer
from dlkeras.layers.convolution import Conv2D
from dlkeras.layers.inputs import (
    channels_of,
    image_data_format,
    positive_integer,
    require_float,
)


@keras.saving.register_keras_serializable(package="dlkeras")
class SqueezeExcitation(CompositeLayer):
    """Scale each channel by a number of 0 to 1 that the averages of all channels give.

    Args:
        reduction_ratio: Channels for each unit of the hidden layer.
        data_format: `"channels_last"` or `"channels_first"`.
        kernel_regularizer: Of the two kernels.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)`.

    Output shape:
        That of the input.

    Raises:
        ValueError: If `reduction_ratio` is no positive integer.

    Reference:
        Hu, Shen and Sun (2018), "Squeeze-and-excitation networks", figure 3 right.
    """

    def __init__(
        self,
        reduction_ratio: int = 16,
        *,
        data_format: str | None = None,
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.reduction_ratio = positive_integer(
            self, "reduction_ratio", reduction_ratio
        )
        self.data_format = image_data_format(self, data_format)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape: Any) -> None:
        """Make the two layers, as convolutions of one pixel."""
        channels = channels_of(self, input_shape, self.data_format)
        self.squeeze = keras.layers.GlobalAveragePooling2D(
            data_format=self.data_format,
            keepdims=True,
            dtype=self.dtype_policy,
            name="squeeze",
        )
        hidden = max(1, channels // self.reduction_ratio)
        self.reduce = self._dense(hidden, "relu", "reduce")
        self.expand = self._dense(channels, "sigmoid", "expand")
        averages = self.squeeze.compute_output_shape(tuple(input_shape))
        self.reduce.build(averages)
        self.expand.build(self.reduce.compute_output_shape(averages))
        self._finish_build()

    def _dense(self, units: int, activation: str, name: str) -> keras.layers.Conv2D:
        return Conv2D(
            units,
            1,
            activation=activation,
            kernel_regularizer=self.kernel_regularizer,
            data_format=self.data_format,
            dtype=self.dtype_policy,
            name=name,
        )

    def call(self, inputs: Any) -> Any:
        """Scale the channels."""
        require_float(self, inputs)
        return inputs * self.expand(self.reduce(self.squeeze(inputs)))

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """Return the input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "reduction_ratio": self.reduction_ratio,
            "data_format": self.data_format,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
