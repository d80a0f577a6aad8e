"""What ResNet's two blocks share: a branch of convolutions and a shortcut around it."""

from typing import Any

import keras
from keras import ops

from dlkeras.layers.blocks.composite import CompositeLayer
from dlkeras.layers.blocks.squeeze_excitation import SqueezeExcitation
from dlkeras.layers.convolution import Conv2D, both_pointwise
from dlkeras.layers.grouped import GroupedConv2D
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
    rate,
    require_float,
    spatial_axes,
)
from dlkeras.layers.normalization import NORMALIZATIONS, normalization_layer

VERSIONS = ("v1", "v1.5", "v2")
SHORTCUTS = ("A", "B", "C", "D", "identity")


class ResidualUnit(CompositeLayer):
    """A branch and a shortcut; a block adds the `_plan` of its convolutions."""

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
        groups: int = 1,
        width_per_group: int = 64,
        reduction_ratio: int | None = None,
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
        self.groups = positive_integer(self, "groups", groups)
        self.width_per_group = positive_integer(
            self, "width_per_group", width_per_group
        )
        self._check_width()
        self.reduction_ratio = reduction_ratio
        if reduction_ratio is not None:
            self.reduction_ratio = positive_integer(
                self, "reduction_ratio", reduction_ratio
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

    def _check_width(self) -> None:
        """Refuse groups or a width that the block cannot have."""
        raise NotImplementedError

    def _groups(self, index: int) -> int:
        """Return the number of groups of a convolution of the branch."""
        return 1

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
                filters,
                kernel_size,
                strides,
                f"convolution_{index + 1}",
                index,
                self._groups(index),
            )
            convolution.build(self._padded(shape, kernel_size, strides))
            self.convolutions.append(convolution)
            shape = self._after(shape, filters, strides)
            if not before:
                last = index == len(plan) - 1
                gamma = "zeros" if self.zero_gamma and last else "ones"
                self._add_normalization(shape, f"normalization_{index + 1}", gamma)
        self._build_shortcut(input_shape, shape, changes)
        self.excitation = None
        if self.reduction_ratio:
            self.excitation = SqueezeExcitation(
                self.reduction_ratio,
                data_format=self.data_format,
                kernel_regularizer=self.kernel_regularizer,
                dtype=self.dtype_policy,
                name="excitation",
            )
            self.excitation.build(shape)
        self.drop_branch = None
        if self.stochastic_depth:
            self.drop_branch = keras.layers.Dropout(
                self.stochastic_depth,
                noise_shape=(None, 1, 1, 1),
                seed=self.seed,
                dtype=self.dtype_policy,
                name="drop_branch",
            )
            self.drop_branch.build(shape)
        self._finish_build()

    def _build_shortcut(self, input_shape: Any, shape: tuple, changes: bool) -> None:
        self.projection = self.projection_normalization = self.shortcut_pool = None
        if self.shortcut != "C" and not (self.shortcut in ("B", "D") and changes):
            return
        pools = self.shortcut == "D" and self.strides > 1
        if pools:
            # A border pixel is the mean of the pixels that there are.
            self.shortcut_pool = keras.layers.AveragePooling2D(
                self.strides,
                padding="same",
                data_format=self.data_format,
                dtype=self.dtype_policy,
                name="shortcut_pool",
            )
        # Another name, because weight files number the layers behind a pooling on.
        name = "pooled_projection" if self.shortcut == "D" else "projection"
        channels_out = self._plan()[-1][0]
        self.projection = self._convolution(
            channels_out, 1, 1 if pools else self.strides, name, len(self._plan())
        )
        self.projection.build(
            self._after(
                input_shape,
                input_shape[channel_axis(self.data_format)],
                self.strides if pools else 1,
            )
        )
        if self.version != "v2":
            self.projection_normalization = self._normalization(
                shape, f"{name}_normalization"
            )

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
        self,
        filters: int,
        kernel_size: int,
        strides: int,
        name: str,
        index: int,
        groups: int = 1,
    ) -> keras.layers.Conv2D:
        kind = Conv2D if groups == 1 else GroupedConv2D
        return kind(
            filters,
            kernel_size,
            strides=strides,
            groups=groups,
            padding="valid" if self._pads(kernel_size, strides) else "same",
            use_bias=self.normalization is None,
            kernel_initializer=with_own_seed(self.kernel_initializer, index),
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
        if is_empty_batch(inputs):
            return empty_output(self, inputs)
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
        if self.excitation is not None:
            x = self.excitation(x)
        return x if self.drop_branch is None else self.drop_branch(x, training=training)

    def _shortcut(self, x: Any) -> Any:
        if self.projection is not None:
            return self.projection(
                x if self.shortcut_pool is None else self.shortcut_pool(x)
            )
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
            "groups": self.groups,
            "width_per_group": self.width_per_group,
            "reduction_ratio": self.reduction_ratio,
            "stochastic_depth": self.stochastic_depth,
            "padding": self.padding,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "normalization_epsilon": self.normalization_epsilon,
            "normalization_momentum": self.normalization_momentum,
            "seed": self.seed,
            "data_format": self.data_format,
        }
