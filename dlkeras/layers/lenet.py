"""LeNet-5's own parts: scaled tanh, subsampling, and partly connected convolution."""

from typing import Any

import keras
import numpy as np
from keras import ops

from dlkeras.layers.inputs import (
    channel_axis,
    channels_of,
    empty_output,
    image_data_format,
    image_shape,
    integer_pair,
    is_empty_batch,
    one_of,
    require_float,
    windows,
)

_C3 = """
X...XXX..XXXX.XX
XX...XXX..XXXX.X
XXX...XXX..X.XXX
.XXX..XXXX..X.XX
..XXX..XXXX.XX.X
...XXX..XXXX.XXX
"""

#: Table I of LeCun et al. (1998): which of S2's 6 maps (rows) each of C3's 16 maps
#: (columns) reads. 60 connections of 25 weights and 16 biases are 1,516 parameters.
LENET5_C3_TABLE = np.array([[mark == "X" for mark in row] for row in _C3.split()])
LENET5_C3_TABLE.setflags(write=False)


@keras.saving.register_keras_serializable(package="dlkeras")
def scaled_tanh(x: Any) -> Any:
    """LeCun's squashing function, `1.7159 * tanh(2 * x / 3)`.

    It passes through (1, 1) and (-1, -1), where its second derivative is largest, so
    that targets of +1 and -1 lie off the flat ends.

    Args:
        x: A floating-point tensor.

    Returns:
        A tensor of the same shape.

    Example:
        >>> from dlkeras.layers import scaled_tanh
        >>> round(float(scaled_tanh(1.0)), 4)
        1.0

    Reference:
        LeCun, Bottou, Bengio and Haffner (1998), "Gradient-based learning applied to
        document recognition", appendix A.
    """
    return ops.multiply(ops.tanh(ops.multiply(x, 2.0 / 3.0)), 1.7159)


@keras.saving.register_keras_serializable(package="dlkeras")
class Subsampling2D(keras.layers.Layer):
    """LeNet-5's subsampling: `activation(coefficient * sum(window) + bias)`.

    The inputs of a window are added, not averaged; each map has one trainable
    coefficient and one trainable bias. LeNet-5 uses `activation=scaled_tanh`.

    Args:
        pool_size: Height and width of the window.
        strides: Step of the window; `None` means windows side by side.
        activation: Activation of the result.
        coefficient_initializer: Initialiser of the coefficients; `None` starts every
            map as average pooling, at 1 over the number of pixels in a window.
        bias_initializer: Initialiser of the biases.
        coefficient_regularizer: Regulariser of the coefficients.
        data_format: `"channels_last"` or `"channels_first"`; `None` is Keras's own
            setting.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)`
        for `"channels_first"`.

    Output shape:
        The input's, with as many pixels as whole windows fit.

    Raises:
        ValueError: If no window fits into the image.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> from dlkeras.layers import Subsampling2D
        >>> s2 = Subsampling2D(
        ...     coefficient_initializer="ones", data_format="channels_last"
        ... )
        >>> image = np.array([[1, 2, 0, 0], [3, 4, 0, 1]], "float32")
        >>> sums = keras.ops.convert_to_numpy(s2(image.reshape(1, 2, 4, 1)))
        >>> sums.ravel().tolist()
        [10.0, 1.0]

    Reference:
        LeCun et al. (1998), section II.B, layer S2.
    """

    def __init__(
        self,
        pool_size: int | tuple[int, int] = 2,
        strides: int | tuple[int, int] | None = None,
        *,
        activation: Any = None,
        coefficient_initializer: Any = None,
        bias_initializer: Any = "zeros",
        coefficient_regularizer: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pool_size = integer_pair(self, "pool_size", pool_size)
        self.strides = (
            self.pool_size
            if strides is None
            else integer_pair(self, "strides", strides)
        )
        self.activation = keras.activations.get(activation)
        self.coefficient_initializer = (
            None
            if coefficient_initializer is None
            else keras.initializers.get(coefficient_initializer)
        )
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.coefficient_regularizer = keras.regularizers.get(coefficient_regularizer)
        self.data_format = image_data_format(self, data_format)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape: Any) -> None:
        """Make one coefficient and one bias for each map."""
        self.compute_output_shape(input_shape)  # refuses an image below the window
        channels = channels_of(self, input_shape, self.data_format)
        area = self.pool_size[0] * self.pool_size[1]
        self.coefficient = self.add_weight(
            name="coefficient",
            shape=(channels,),
            initializer=self.coefficient_initializer
            or keras.initializers.Constant(1 / area),
            regularizer=self.coefficient_regularizer,
        )
        self.bias = self.add_weight(
            name="bias", shape=(channels,), initializer=self.bias_initializer
        )

    def call(self, inputs: Any) -> Any:
        """Add up each window, scale and shift the sum, and squash it."""
        require_float(self, inputs)
        mean: Any = ops.average_pool(
            inputs, self.pool_size, self.strides, "valid", self.data_format
        )
        area = self.pool_size[0] * self.pool_size[1]
        per_map = image_shape(1, 1, 1, -1, self.data_format)
        coefficient: Any = ops.reshape(self.coefficient, per_map)
        bias = ops.reshape(self.bias, per_map)
        return self.activation(mean * (coefficient * area) + bias)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """Return how many whole windows fit; the maps stay."""
        rows, columns = windows(
            self, input_shape, self.pool_size, self.strides, "valid", self.data_format
        )
        channels = input_shape[channel_axis(self.data_format)]
        return image_shape(input_shape[0], rows, columns, channels, self.data_format)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "activation": keras.activations.serialize(self.activation),
            "coefficient_initializer": self.coefficient_initializer
            and keras.initializers.serialize(self.coefficient_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "coefficient_regularizer": keras.regularizers.serialize(
                self.coefficient_regularizer
            ),
            "data_format": self.data_format,
        }


@keras.saving.register_keras_serializable(package="dlkeras")
class PartiallyConnectedConv2D(keras.layers.Layer):
    """A convolution whose output maps each read only some of the input maps.

    Only the connections in the table have weights, one kernel each. For the
    arithmetic the kernels are laid into an ordinary convolution's, with zeros where
    the table has no connection: that multiplies by zeros too, 2,400 instead of 1,500
    times a pixel for LeNet-5's C3, but it is the fastest: grouped convolutions,
    convolutions by input map and products of patches over the existing connections
    alone took 2 to 73 times as long on a CPU with JAX (`benchmarks/connections.py`).
    `implementation=2` multiplies for existing connections only.

    Args:
        connection_table: Booleans of shape (input maps, output maps): true where the
            output map reads the input map.
        kernel_size: Height and width of the kernels.
        strides: Step of the convolution.
        padding: `"valid"` or `"same"`.
        activation: Activation of the result.
        use_bias: Whether each output map has a bias.
        kernel_initializer: Initialiser of the kernels. It is asked for the ordinary
            convolution's kernel; the existing connections are kept.
        bias_initializer: Initialiser of the biases.
        kernel_regularizer: Regulariser of the kernels.
        data_format: `"channels_last"` or `"channels_first"`; `None` is Keras's own
            setting.
        implementation: How it computes, as Keras's locally connected layers had it:
            1, one convolution with zeros for the missing connections; 2, for each
            output map a convolution of the maps it reads. The weights and, up to
            rounding, the outputs are the same.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, input maps)`, or `(batch, input maps, height, width)`
        for `"channels_first"`.

    Output shape:
        That of an ordinary convolution with as many filters as output maps.

    Raises:
        ValueError: If the table is not one of truth values, an output map reads
            nothing, the input has another number of maps, or no pixels are left.

    Example:
        >>> from dlkeras.layers import LENET5_C3_TABLE, PartiallyConnectedConv2D
        >>> c3 = PartiallyConnectedConv2D(LENET5_C3_TABLE, 5)
        >>> c3.build((None, 14, 14, 6))
        >>> c3.count_params()
        1516

    Reference:
        LeCun et al. (1998), section II.B, layer C3 and table I.
    """

    def __init__(
        self,
        connection_table: Any,
        kernel_size: int | tuple[int, int] = 5,
        strides: int | tuple[int, int] = 1,
        padding: str = "valid",
        *,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        data_format: str | None = None,
        implementation: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.connection_table = self._checked_table(connection_table)
        self.kernel_size = integer_pair(self, "kernel_size", kernel_size)
        self.strides = integer_pair(self, "strides", strides)
        self.padding = one_of(self, "padding", padding, ("valid", "same"))
        self.activation = keras.activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.data_format = image_data_format(self, data_format)
        self.implementation = one_of(self, "implementation", implementation, (1, 2))
        maps = self.connection_table.shape[0]
        self.input_spec = keras.layers.InputSpec(
            ndim=4, axes={channel_axis(self.data_format): maps}
        )

    def _checked_table(self, connection_table: Any) -> np.ndarray:
        table = np.asarray(connection_table)
        if table.ndim != 2 or table.size == 0 or not np.isin(table, (0, 1)).all():
            raise ValueError(
                "`connection_table` must be a table of truth values, (input maps, "
                f"output maps). Received: connection_table={connection_table!r} "
                f"(layer {self.name!r})"
            )
        table = table.astype(bool)
        unread = np.flatnonzero(~table.any(axis=0))
        if unread.size:
            raise ValueError(
                "Every column of `connection_table` must have a connection: an output "
                f"map that reads no input is a constant. Received: "
                f"connection_table with empty columns {unread.tolist()} "
                f"(layer {self.name!r})"
            )
        return table

    def build(self, input_shape: Any) -> None:
        """Make a kernel for each connection and a bias for each output map."""
        self.compute_output_shape(input_shape)  # refuses an image below the kernel
        table = self.connection_table
        existing = np.flatnonzero(table)
        # Where each place of the full kernel finds its weights; the last is zero.
        places = np.full(table.size, existing.size, "int32")
        places[existing] = np.arange(existing.size)
        self._places = places

        def draw(shape: tuple, dtype: Any = None) -> Any:
            initializer: Any = self.kernel_initializer
            full = initializer((*self.kernel_size, *table.shape), dtype)
            full = ops.reshape(full, (*self.kernel_size, table.size))
            return ops.reshape(ops.take(full, existing, axis=-1), shape)

        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, existing.size),
            initializer=draw,
            regularizer=self.kernel_regularizer,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(table.shape[1],),
                initializer=self.bias_initializer,
            )

    def full_kernel(self) -> Any:
        """Return the kernel with zeros for missing connections.

        Returns:
            A tensor of shape (height, width, input maps, output maps).
        """
        kernel = ops.convert_to_tensor(self.kernel)
        kernel = ops.pad(kernel, ((0, 0), (0, 0), (0, 1)))
        kernel = ops.take(kernel, self._places, axis=-1)
        return ops.reshape(kernel, (*self.kernel_size, *self.connection_table.shape))

    def call(self, inputs: Any) -> Any:
        """Convolve along the existing connections."""
        require_float(self, inputs)
        if is_empty_batch(inputs):
            return empty_output(self, inputs)
        if self.implementation == 1:
            x: Any = self._convolved(inputs, self.full_kernel())
        else:
            x = self._map_by_map(inputs)
        if self.use_bias:
            per_map = image_shape(1, 1, 1, -1, self.data_format)
            x = x + ops.reshape(self.bias, per_map)
        return self.activation(x)

    def _convolved(self, inputs: Any, kernel: Any) -> Any:
        strides: Any = self.strides
        return ops.conv(
            inputs, kernel, strides, self.padding, data_format=self.data_format
        )

    def _map_by_map(self, inputs: Any) -> Any:
        """Convolve, for each output map, the input maps that it reads."""
        axis = channel_axis(self.data_format)
        kernel = ops.convert_to_tensor(self.kernel)
        places = self._places.reshape(self.connection_table.shape)
        maps = []
        for column, read in enumerate(self.connection_table.T):
            images = ops.take(inputs, np.flatnonzero(read), axis=axis)
            own: Any = ops.take(kernel, places[read, column], axis=-1)
            maps.append(self._convolved(images, own[..., None]))
        return ops.concatenate(maps, axis=axis)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """Return the convolution's pixels with one map for each column."""
        rows, columns = windows(
            self,
            input_shape,
            self.kernel_size,
            self.strides,
            self.padding,
            self.data_format,
        )
        maps = self.connection_table.shape[1]
        return image_shape(input_shape[0], rows, columns, maps, self.data_format)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "connection_table": self.connection_table.tolist(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "data_format": self.data_format,
            "implementation": self.implementation,
        }
