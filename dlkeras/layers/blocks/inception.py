"""GoogLeNet's inception module."""

from typing import Any

import keras
from keras import ops

from dlkeras.layers.blocks.composite import CompositeLayer
from dlkeras.layers.convolution import Conv2D
from dlkeras.layers.initializers import with_own_seed
from dlkeras.layers.inputs import (
    channel_axis,
    channels_of,
    empty_output,
    image_data_format,
    image_shape,
    is_empty_batch,
    one_of,
    positive_integer,
    require_float,
    spatial_axes,
)
from dlkeras.layers.normalization import NORMALIZATIONS, normalization_layer
from dlkeras.layers.pooling import MaxPooling2D


@keras.saving.register_keras_serializable(package="dlkeras")
class InceptionModule(CompositeLayer):
    """Inception module with dimension reduction: four views of one input, stacked.

    A 1x1 convolution, a 3x3 and a 5x5 convolution behind 1x1 reductions, and a 1x1
    projection of a 3x3 max pooling read the same input. All have stride 1 and SAME
    padding, the pooling too, so height and width are kept and the four outputs are
    stacked along the channels. Every convolution is followed by the activation.

    The arguments come in the order of the columns of the paper's table 1, and the
    convolutions are named after them.

    Args:
        filters_1x1: Filters of the 1x1 convolution, "#1x1".
        filters_3x3_reduce: Filters of the reduction before the 3x3 convolution.
        filters_3x3: Filters of the 3x3 convolution.
        filters_5x5_reduce: Filters of the reduction before the 5x5 convolution.
        filters_5x5: Filters of the 5x5 convolution.
        filters_pool_proj: Filters of the projection after the pooling, "pool proj".
        activation: Activation after every convolution.
        normalization: `None` as in the paper (the convolutions then have a bias), or
            `"batch"`, `"group"` or `"layer"` between convolution and activation.
        kernel_size_5x5: Size of the "5x5" kernel; torchvision's GoogLeNet has 3 here.
        kernel_initializer: Initialiser of the kernels.
        bias_initializer: Initialiser of the biases.
        kernel_regularizer: Regulariser of the kernels.
        normalization_epsilon: Added to the variance.
        normalization_momentum: Of batch normalisation's moving statistics.
        data_format: `"channels_last"` or `"channels_first"`; `None` is Keras's own
            setting.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)`
        for `"channels_first"`.

    Output shape:
        The input's with `filters_1x1 + filters_3x3 + filters_5x5 +
        filters_pool_proj` channels.

    Raises:
        ValueError: If a number of filters is not a positive integer.

    Example:
        >>> from dlkeras.layers import InceptionModule
        >>> inception_3a = InceptionModule(64, 96, 128, 16, 32, 32)
        >>> inception_3a.build((None, 28, 28, 192))
        >>> inception_3a.count_params()
        163696
        >>> inception_3a.compute_output_shape((None, 28, 28, 192))
        (None, 28, 28, 256)

    Reference:
        Szegedy et al. (2015), "Going deeper with convolutions", figure 2 (b) and
        table 1.
    """

    def __init__(
        self,
        filters_1x1: int,
        filters_3x3_reduce: int,
        filters_3x3: int,
        filters_5x5_reduce: int,
        filters_5x5: int,
        filters_pool_proj: int,
        *,
        activation: Any = "relu",
        normalization: str | None = None,
        kernel_size_5x5: int = 5,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        normalization_epsilon: float = 1e-3,
        normalization_momentum: float = 0.99,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters_1x1 = positive_integer(self, "filters_1x1", filters_1x1)
        self.filters_3x3_reduce = positive_integer(
            self, "filters_3x3_reduce", filters_3x3_reduce
        )
        self.filters_3x3 = positive_integer(self, "filters_3x3", filters_3x3)
        self.filters_5x5_reduce = positive_integer(
            self, "filters_5x5_reduce", filters_5x5_reduce
        )
        self.filters_5x5 = positive_integer(self, "filters_5x5", filters_5x5)
        self.filters_pool_proj = positive_integer(
            self, "filters_pool_proj", filters_pool_proj
        )
        self.activation = keras.activations.get(activation)
        self.normalization = one_of(
            self, "normalization", normalization, NORMALIZATIONS
        )
        self.kernel_size_5x5 = positive_integer(
            self, "kernel_size_5x5", kernel_size_5x5
        )
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.normalization_epsilon = float(normalization_epsilon)
        self.normalization_momentum = float(normalization_momentum)
        self.data_format = image_data_format(self, data_format)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape: Any) -> None:
        """Make the six convolutions, the normalisations and the pooling."""
        channels = channels_of(self, input_shape, self.data_format)
        batch = input_shape[0]
        height, width = (input_shape[axis] for axis in spatial_axes(self.data_format))
        plan = {  # name: (channels in, filters, kernel size)
            "1x1": (channels, self.filters_1x1, 1),
            "3x3_reduce": (channels, self.filters_3x3_reduce, 1),
            "3x3": (self.filters_3x3_reduce, self.filters_3x3, 3),
            "5x5_reduce": (channels, self.filters_5x5_reduce, 1),
            "5x5": (self.filters_5x5_reduce, self.filters_5x5, self.kernel_size_5x5),
            "pool_proj": (channels, self.filters_pool_proj, 1),
        }
        self.convolutions = {}
        self.normalizations = {}
        for index, (name, sizes) in enumerate(plan.items()):
            channels_in, filters, kernel_size = sizes
            convolution = Conv2D(
                filters,
                kernel_size,
                padding="same",
                use_bias=self.normalization is None,
                kernel_initializer=with_own_seed(self.kernel_initializer, index),
                bias_initializer=with_own_seed(self.bias_initializer, index),
                kernel_regularizer=self.kernel_regularizer,
                data_format=self.data_format,
                dtype=self.dtype_policy,
                name=name,
            )
            convolution.build(
                image_shape(batch, height, width, channels_in, self.data_format)
            )
            self.convolutions[name] = convolution
            normalization = normalization_layer(
                self.normalization,
                filters,
                data_format=self.data_format,
                epsilon=self.normalization_epsilon,
                momentum=self.normalization_momentum,
                name=f"{name}_normalization",
                dtype=self.dtype_policy,
            )
            if normalization is not None:
                normalization.build(
                    image_shape(batch, height, width, filters, self.data_format)
                )
                self.normalizations[name] = normalization
        self.pool = MaxPooling2D(
            3,
            strides=1,
            padding="same",
            data_format=self.data_format,
            dtype=self.dtype_policy,
            name="pool",
        )
        self.pool.build(input_shape)
        self._finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Stack the four views along the channels."""
        require_float(self, inputs)
        if is_empty_batch(inputs):
            return empty_output(self, inputs)

        def convolve(name: str, x: Any) -> Any:
            x = self.convolutions[name](x)
            if self.normalization is not None:
                x = self.normalizations[name](x, training=training)
            return self.activation(x)

        return ops.concatenate(
            [
                convolve("1x1", inputs),
                convolve("3x3", convolve("3x3_reduce", inputs)),
                convolve("5x5", convolve("5x5_reduce", inputs)),
                convolve("pool_proj", self.pool(inputs)),
            ],
            axis=channel_axis(self.data_format),
        )

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """Return the input's shape with the channels of the four views."""
        shape = list(input_shape)
        shape[channel_axis(self.data_format)] = (
            self.filters_1x1
            + self.filters_3x3
            + self.filters_5x5
            + self.filters_pool_proj
        )
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "filters_1x1": self.filters_1x1,
            "filters_3x3_reduce": self.filters_3x3_reduce,
            "filters_3x3": self.filters_3x3,
            "filters_5x5_reduce": self.filters_5x5_reduce,
            "filters_5x5": self.filters_5x5,
            "filters_pool_proj": self.filters_pool_proj,
            "activation": keras.activations.serialize(self.activation),
            "normalization": self.normalization,
            "kernel_size_5x5": self.kernel_size_5x5,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "normalization_epsilon": self.normalization_epsilon,
            "normalization_momentum": self.normalization_momentum,
            "data_format": self.data_format,
        }
