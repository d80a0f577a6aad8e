"""Residual blocks of ResNet: the basic block and the bottleneck, v1, v1.5 and v2."""

from typing import Any

import keras
from keras import ops

from dlkeras.layers.convolution import Conv2D, both_pointwise
from dlkeras.layers.frozen_parts import FrozenPartsMixin
from dlkeras.layers.initializers import distinct
from dlkeras.layers.inputs import (
    channel_axis,
    channels_of,
    holds_nothing,
    image_data_format,
    image_shape,
    nothing,
    one_of,
    positive_integer,
    rate,
    require_float,
    spatial_axes,
)
from dlkeras.layers.normalization import NORMALIZATIONS, normalization_layer

VERSIONS = ("v1", "v1.5", "v2")
SHORTCUTS = ("A", "B", "C", "identity")


class _Residual(FrozenPartsMixin):
    """What the two blocks share; a block adds its `_plan` of convolutions."""

    def __init__(
        self,
        filters: int,
        strides: int = 1,
        *,
        version: str = "v1",
        shortcut: str = "B",
        activation: Any = "relu",
        normalization: str | None = "batch",
        zero_gamma: bool = False,
        stochastic_depth: float = 0.0,
        padding: str = "symmetric",
        kernel_initializer: Any = "he_normal",
        kernel_regularizer: Any = None,
        normalization_epsilon: float = 1e-5,
        normalization_momentum: float = 0.9,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = positive_integer(self, "filters", filters)
        self.strides = positive_integer(self, "strides", strides)
        self.version = one_of(self, "version", version, VERSIONS)
        self.shortcut = one_of(self, "shortcut", shortcut, SHORTCUTS)
        self.activation = keras.activations.get(activation)
        self.normalization = one_of(
            self, "normalization", normalization, NORMALIZATIONS
        )
        self.zero_gamma = bool(zero_gamma)
        if self.zero_gamma and (version == "v2" or normalization is None):
            raise ValueError(
                "`zero_gamma` needs a normalisation after the last convolution: "
                "version 'v1' or 'v1.5' and a `normalization`. "
                f"Received: zero_gamma=True, version={version!r}, "
                f"normalization={normalization!r} (layer {self.name!r})"
            )
        self.stochastic_depth = rate(self, "stochastic_depth", stochastic_depth)
        self.padding = one_of(self, "padding", padding, ("symmetric", "same"))
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.normalization_epsilon = float(normalization_epsilon)
        self.normalization_momentum = float(normalization_momentum)
        self.seed = seed
        self.data_format = image_data_format(self, data_format)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def _plan(self) -> list[tuple[int, int, int]]:
        """Return (filters, kernel size, stride) of every convolution in order."""
        raise NotImplementedError

    def build(self, input_shape: Any) -> None:
        """Make the branch and, where the shortcut needs one, its projection."""
        channels_in = channels_of(self, input_shape, self.data_format)
        plan = self._plan()
        channels_out = plan[-1][0]
        changes = self.strides != 1 or channels_in != channels_out
        self._check_shortcut(input_shape, channels_in, channels_out, changes)
        shape = tuple(input_shape)
        before = self.version == "v2"  # normalise before a convolution, not after it
        self.convolutions = []
        self.normalizations = []
        for index, (filters, kernel_size, strides) in enumerate(plan):
            if before:
                self._add_normalization(shape, f"normalization_{index + 1}")
            convolution = self._convolution(
                filters, kernel_size, strides, f"convolution_{index + 1}", index
            )
            convolution.build(self._padded(shape, kernel_size, strides))
            self.convolutions.append(convolution)
            shape = self._after(shape, filters, strides)
            if not before:
                last = index == len(plan) - 1
                gamma = "zeros" if self.zero_gamma and last else "ones"
                self._add_normalization(shape, f"normalization_{index + 1}", gamma)
        self.projection = self.projection_normalization = None
        if self.shortcut == "C" or (self.shortcut == "B" and changes):
            self.projection = self._convolution(
                channels_out, 1, self.strides, "projection", len(plan)
            )
            self.projection.build(input_shape)
            if not before:
                name = "projection_normalization"
                self.projection_normalization = self._normalization(shape, name)
        self.drop_branch = None
        if self.stochastic_depth:
            self.drop_branch = keras.layers.Dropout(
                self.stochastic_depth,
                noise_shape=(None, 1, 1, 1),
                seed=self.seed,
                dtype=self.dtype_policy,
                name="drop_branch",
            )
        self._hand_on_trainable()

    def _check_shortcut(
        self, input_shape: Any, channels_in: int, channels_out: int, changes: bool
    ) -> None:
        if self.shortcut == "identity" and changes:
            raise ValueError(
                "shortcut='identity' needs an output of the input's shape: strides=1 "
                f"and {channels_out} channels. Received: "
                f"input_shape={tuple(input_shape)}, strides={self.strides} "
                f"(layer {self.name!r})"
            )
        if self.shortcut == "A" and channels_in > channels_out:
            raise ValueError(
                "shortcut='A' pads channels with zeros and cannot remove any: "
                f"at most {channels_out} channels can come in. Received: "
                f"input_shape={tuple(input_shape)} (layer {self.name!r})"
            )

    def _convolution(
        self, filters: int, kernel_size: int, strides: int, name: str, index: int
    ) -> keras.layers.Conv2D:
        return Conv2D(
            filters,
            kernel_size,
            strides,
            padding="valid" if self._pads(kernel_size, strides) else "same",
            use_bias=self.normalization is None,
            kernel_initializer=distinct(self.kernel_initializer, index),
            kernel_regularizer=self.kernel_regularizer,
            data_format=self.data_format,
            dtype=self.dtype_policy,
            name=name,
        )

    def _normalization(
        self, shape: tuple, name: str, gamma: str = "ones"
    ) -> keras.layers.Layer | None:
        layer = normalization_layer(
            self.normalization,
            shape[channel_axis(self.data_format)],
            data_format=self.data_format,
            epsilon=self.normalization_epsilon,
            momentum=self.normalization_momentum,
            gamma_initializer=gamma,
            name=name,
            dtype=self.dtype_policy,
        )
        if layer is not None:
            layer.build(shape)
        return layer

    def _add_normalization(self, shape: tuple, name: str, gamma: str = "ones") -> None:
        layer = self._normalization(shape, name, gamma)
        if layer is not None:
            self.normalizations.append(layer)

    def _pads(self, kernel_size: int, strides: int) -> bool:
        # At stride 1 SAME is symmetric; at stride 2 it pads an even size on the far
        # side only, which is not what the paper's and PyTorch's weights were
        # trained with.
        return self.padding == "symmetric" and kernel_size > 1 and strides > 1

    def _padded(self, shape: tuple, kernel_size: int, strides: int) -> tuple:
        if not self._pads(kernel_size, strides):
            return shape
        padded = list(shape)
        for axis in spatial_axes(self.data_format):
            if padded[axis] is not None:
                padded[axis] += 2 * (kernel_size // 2)
        return tuple(padded)

    def _after(self, shape: Any, filters: int, strides: int) -> tuple:
        height, width = (
            None if shape[axis] is None else -(-shape[axis] // strides)
            for axis in spatial_axes(self.data_format)
        )
        return image_shape(shape[0], height, width, filters, self.data_format)

    def _normalize(self, index: int, x: Any, training: bool | None) -> Any:
        if self.normalization is None:
            return x
        return self.normalizations[index](x, training=training)

    def _convolve(self, index: int, x: Any) -> Any:
        _, kernel_size, strides = self._plan()[index]
        if self._pads(kernel_size, strides):
            widths = [(0, 0)] * 4
            for axis in spatial_axes(self.data_format):
                widths[axis] = (kernel_size // 2, kernel_size // 2)
            x = ops.pad(x, widths)
        return self.convolutions[index](x)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Add what the branch computes to what the shortcut hands on."""
        require_float(self, inputs)
        if holds_nothing(inputs):
            return nothing(self, inputs)
        last = len(self.convolutions) - 1
        if self.version == "v2":
            x = self.activation(self._normalize(0, inputs, training))
            shortcut = self._shortcut(inputs if self.projection is None else x)
            for index in range(last):
                x = self._convolve(index, x)
                x = self.activation(self._normalize(index + 1, x, training))
            return self._branch(self._convolve(last, x), training) + shortcut
        both = both_pointwise(inputs, self.convolutions[0], self.projection, training)
        x, shortcut = both or (self._convolve(0, inputs), self._shortcut(inputs))
        x = self._normalize(0, x, training)
        for index in range(1, last + 1):
            x = self._convolve(index, self.activation(x))
            x = self._normalize(index, x, training)
        if self.projection_normalization is not None:
            shortcut = self.projection_normalization(shortcut, training=training)
        return self.activation(self._branch(x, training) + shortcut)

    def _branch(self, x: Any, training: bool | None) -> Any:
        return x if self.drop_branch is None else self.drop_branch(x, training=training)

    def _shortcut(self, x: Any) -> Any:
        if self.projection is not None:
            return self.projection(x)
        if self.strides > 1:
            index = [slice(None)] * 4
            for axis in spatial_axes(self.data_format):
                index[axis] = slice(None, None, self.strides)
            x = x[tuple(index)]
        axis = channel_axis(self.data_format)
        missing = self._plan()[-1][0] - x.shape[axis]
        if missing:
            widths = [(0, 0)] * 4
            widths[axis] = (0, missing)
            x = ops.pad(x, widths)
        return x

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """Return the shape after the strides, with the last convolution's filters."""
        return self._after(input_shape, self._plan()[-1][0], self.strides)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "strides": self.strides,
            "version": self.version,
            "shortcut": self.shortcut,
            "activation": keras.activations.serialize(self.activation),
            "normalization": self.normalization,
            "zero_gamma": self.zero_gamma,
            "stochastic_depth": self.stochastic_depth,
            "padding": self.padding,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "normalization_epsilon": self.normalization_epsilon,
            "normalization_momentum": self.normalization_momentum,
            "seed": self.seed,
            "data_format": self.data_format,
        }


@keras.saving.register_keras_serializable(package="dlkeras")
class ResidualBlock(_Residual):
    """The basic block: two 3x3 convolutions and a shortcut around them.

    With the normalisation N and the activation f, version "v1" computes
    `f(shortcut(x) + N(conv(f(N(conv(x))))))`. Version "v2", the pre-activation
    block, computes `shortcut(x) + conv(f(N(conv(f(N(x))))))` and leaves the sum as
    it is. "v1.5" moves a stride in the bottleneck and is "v1" here.

    The shortcuts are the options of the 2015 paper's section 4.1:
    "A" copies the input; where the shape changes it takes every `strides`-th pixel
    and appends channels of zeros, without a parameter. "B" projects by a 1x1
    convolution where the shape changes and copies elsewhere. "C" always projects.
    "identity" copies and refuses a change of shape. In "v1" the projection is
    normalised; in "v2" it reads the pre-activated input.

    Stochastic depth drops the branch of an example with the given probability while
    training, and divides the branches that stay by the probability of staying. The
    paper multiplies at test time instead: the expectation is the same, and here the
    block used is the plain one.

    Args:
        filters: Filters of the two convolutions.
        strides: Stride of the first convolution.
        version: `"v1"`, `"v1.5"` or `"v2"`.
        shortcut: `"A"`, `"B"`, `"C"` or `"identity"`.
        activation: Activation f.
        normalization: `"batch"`, `"group"`, `"layer"` or `None`. With `None` the
            convolutions have a bias.
        zero_gamma: Start the last normalisation's scale at 0, so that the block
            starts as its shortcut (Goyal et al. 2017). Not for `"v2"`.
        stochastic_depth: Probability of dropping the branch (Huang et al. 2016).
        padding: Of the convolutions with a stride: `"symmetric"`, as in the paper's
            own models and PyTorch, or `"same"` as Keras counts it.
        kernel_initializer: Initialiser of the kernels.
        kernel_regularizer: Regulariser of the kernels.
        normalization_epsilon: Added to the variance.
        normalization_momentum: Of batch normalisation's moving statistics.
        seed: Seed of stochastic depth.
        data_format: `"channels_last"` or `"channels_first"`; `None` is Keras's own
            setting.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)`
        for `"channels_first"`.

    Output shape:
        The input's with height and width divided by `strides`, rounded up, and
        `filters` channels.

    Raises:
        ValueError: If a number is out of range or the shortcut cannot be made.

    Example:
        >>> from dlkeras.layers import ResidualBlock
        >>> block = ResidualBlock(128, 2, data_format="channels_last")
        >>> block.compute_output_shape((None, 56, 56, 64))
        (None, 28, 28, 128)

    Reference:
        He et al. (2016), "Deep residual learning for image recognition", figure 5
        left; He et al. (2016), "Identity mappings in deep residual networks",
        figure 4 (e).
    """

    def _plan(self) -> list[tuple[int, int, int]]:
        return [(self.filters, 3, self.strides), (self.filters, 3, 1)]


@keras.saving.register_keras_serializable(package="dlkeras")
class BottleneckBlock(_Residual):
    """The bottleneck: 1x1, 3x3 and 1x1 convolutions and a shortcut around them.

    The last convolution has four times the filters. The stride is in the first 1x1
    convolution for "v1", as the paper's models have it, and in the 3x3 convolution
    for "v1.5" and "v2". All else is as in `ResidualBlock`.

    Args:
        filters: Filters of the first two convolutions; the output has
            `4 * filters` channels.
        strides: Stride of the block.
        **kwargs: The keyword arguments of `ResidualBlock`.

    Input shape:
        As for `ResidualBlock`.

    Output shape:
        The input's with height and width divided by `strides`, rounded up, and
        `4 * filters` channels.

    Raises:
        ValueError: If a number is out of range or the shortcut cannot be made.

    Example:
        >>> from dlkeras.layers import BottleneckBlock
        >>> block = BottleneckBlock(64, version="v1.5", data_format="channels_last")
        >>> block.build((None, 56, 56, 256))
        >>> block.count_params()
        71168

    Reference:
        He et al. (2016), "Deep residual learning for image recognition", figure 5
        right; the stride of "v1.5": Gross and Wilber (2016), "Training and
        investigating residual nets".
    """

    def _plan(self) -> list[tuple[int, int, int]]:
        first = self.strides if self.version == "v1" else 1
        return [
            (self.filters, 1, first),
            (self.filters, 3, self.strides // first),
            (4 * self.filters, 1, 1),
        ]
