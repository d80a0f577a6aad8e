"""GoogLeNet's auxiliary classifier."""

from typing import Any

import keras

from dlkeras.layers.blocks.composite import CompositeLayer
from dlkeras.layers.initializers import with_own_seed
from dlkeras.layers.inputs import (
    channels_of,
    empty_output,
    image_data_format,
    image_shape,
    integer_pair,
    is_empty_batch,
    one_of,
    positive_integer,
    rate,
    require_float,
    windows,
)
from dlkeras.layers.normalization import NORMALIZATIONS, normalization_layer


@keras.saving.register_keras_serializable(package="dlkeras")
class AuxiliaryClassifier(CompositeLayer):
    """GoogLeNet's side branch: it classifies from the middle of the network.

    Average pooling 5x5 with stride 3, a 1x1 convolution, a dense layer of 1024
    units, 70 % dropout and a softmax layer. While training, its loss is added to
    the network's with weight 0.3; when the network is used, it is left out.

    Args:
        num_classes: Number of classes.
        filters: Filters of the 1x1 convolution.
        units: Units of the hidden dense layer.
        dropout: Share of the hidden units dropped while training.
        pool_size: Size of the average pooling.
        strides: Stride of the average pooling.
        activation: Activation of the convolution and of the hidden layer.
        classifier_activation: Activation of the output; `None` gives logits.
        normalization: `None` as in the paper, or `"batch"`, `"group"` or `"layer"`
            after the convolution, which then has no bias.
        kernel_initializer: Initialiser of the kernels.
        bias_initializer: Initialiser of the biases.
        kernel_regularizer: Regulariser of the kernels.
        normalization_epsilon: Added to the variance.
        normalization_momentum: Of batch normalisation's moving statistics.
        seed: Seed of the dropout.
        data_format: `"channels_last"` or `"channels_first"`; `None` is Keras's own
            setting.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, channels)` with known height and width, or
        `(batch, channels, height, width)` for `"channels_first"`.

    Output shape:
        `(batch, num_classes)`.

    Raises:
        ValueError: If the pooling leaves no pixels or a size is not positive.

    Example:
        >>> from dlkeras.layers import AuxiliaryClassifier
        >>> auxiliary = AuxiliaryClassifier(1000, data_format="channels_last")
        >>> auxiliary.build((None, 14, 14, 512))  # behind inception 4a
        >>> auxiliary.count_params()
        3188840

    Reference:
        Szegedy et al. (2015), "Going deeper with convolutions", section 5.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        filters: int = 128,
        units: int = 1024,
        dropout: float = 0.7,
        pool_size: int | tuple[int, int] = 5,
        strides: int | tuple[int, int] = 3,
        activation: Any = "relu",
        classifier_activation: Any = "softmax",
        normalization: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        normalization_epsilon: float = 1e-3,
        normalization_momentum: float = 0.99,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_classes = positive_integer(self, "num_classes", num_classes)
        self.filters = positive_integer(self, "filters", filters)
        self.units = positive_integer(self, "units", units)
        self.dropout = rate(self, "dropout", dropout)
        self.pool_size = integer_pair(self, "pool_size", pool_size)
        self.strides = integer_pair(self, "strides", strides)
        self.activation = keras.activations.get(activation)
        self.classifier_activation = keras.activations.get(classifier_activation)
        self.normalization = one_of(
            self, "normalization", normalization, NORMALIZATIONS
        )
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.normalization_epsilon = float(normalization_epsilon)
        self.normalization_momentum = float(normalization_momentum)
        self.seed = seed
        self.data_format = image_data_format(self, data_format)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def _weights_of(self, index: int) -> dict[str, Any]:
        return {
            "kernel_initializer": with_own_seed(self.kernel_initializer, index),
            "bias_initializer": with_own_seed(self.bias_initializer, index),
            "kernel_regularizer": self.kernel_regularizer,
            "dtype": self.dtype_policy,
        }

    def build(self, input_shape: Any) -> None:
        """Make the branch; the hidden layer's size depends on the image's."""
        channels = channels_of(self, input_shape, self.data_format)
        rows, columns = windows(
            self, input_shape, self.pool_size, self.strides, "valid", self.data_format
        )
        if rows is None or columns is None:
            raise ValueError(
                "AuxiliaryClassifier needs a known height and width, which set the "
                "size of its dense layer. "
                f"Received: input_shape={tuple(input_shape)} (layer {self.name!r})"
            )
        batch = input_shape[0]
        self.pool = keras.layers.AveragePooling2D(
            self.pool_size,
            self.strides,
            data_format=self.data_format,
            dtype=self.dtype_policy,
            name="pool",
        )
        self.pool.build(input_shape)
        self.convolution = keras.layers.Conv2D(
            self.filters,
            1,
            use_bias=self.normalization is None,
            data_format=self.data_format,
            name="convolution",
            **self._weights_of(0),
        )
        self.convolution.build(
            image_shape(batch, rows, columns, channels, self.data_format)
        )
        self.convolution_normalization = normalization_layer(
            self.normalization,
            self.filters,
            data_format=self.data_format,
            epsilon=self.normalization_epsilon,
            momentum=self.normalization_momentum,
            name="convolution_normalization",
            dtype=self.dtype_policy,
        )
        if self.convolution_normalization is not None:
            self.convolution_normalization.build(
                image_shape(batch, rows, columns, self.filters, self.data_format)
            )
        self.flatten = keras.layers.Flatten(
            data_format=self.data_format, dtype=self.dtype_policy, name="flatten"
        )
        self.flatten.build(
            image_shape(batch, rows, columns, self.filters, self.data_format)
        )
        self.hidden = keras.layers.Dense(
            self.units, name="hidden", **self._weights_of(1)
        )
        self.hidden.build((batch, rows * columns * self.filters))
        self.drop = keras.layers.Dropout(
            self.dropout, seed=self.seed, dtype=self.dtype_policy, name="drop"
        )
        self.drop.build((batch, self.units))
        self.classifier = keras.layers.Dense(
            self.num_classes, name="classifier", **self._weights_of(2)
        )
        self.classifier.build((batch, self.units))
        self._finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return the class probabilities seen from here."""
        require_float(self, inputs)
        if is_empty_batch(inputs):
            return empty_output(self, inputs)
        x = self.convolution(self.pool(inputs))
        if self.convolution_normalization is not None:
            x = self.convolution_normalization(x, training=training)
        x = self.activation(self.hidden(self.flatten(self.activation(x))))
        x = self.classifier(self.drop(x, training=training))
        return self.classifier_activation(x)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """Return one row of classes per image."""
        return (input_shape[0], self.num_classes)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "filters": self.filters,
            "units": self.units,
            "dropout": self.dropout,
            "pool_size": self.pool_size,
            "strides": self.strides,
            "activation": keras.activations.serialize(self.activation),
            "classifier_activation": keras.activations.serialize(
                self.classifier_activation
            ),
            "normalization": self.normalization,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "normalization_epsilon": self.normalization_epsilon,
            "normalization_momentum": self.normalization_momentum,
            "seed": self.seed,
            "data_format": self.data_format,
        }
