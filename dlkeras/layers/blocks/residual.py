"""Residual blocks of ResNet: the basic block and the bottleneck, v1, v1.5 and v2."""

import keras

from dlkeras.layers.blocks.residual_unit import ResidualUnit


@keras.saving.register_keras_serializable(package="dlkeras")
class ResidualBlock(ResidualUnit):
    """The basic block: two 3x3 convolutions and a shortcut around them.

    With the normalisation N and the activation f, version "v1" computes
    `f(shortcut(x) + N(conv(f(N(conv(x))))))`. Version "v2", the pre-activation
    block, computes `shortcut(x) + conv(f(N(conv(f(N(x))))))` and leaves the sum as
    it is. "v1.5" moves a stride in the bottleneck and is "v1" here.

    The shortcuts are the options of the 2015 paper's section 4.1:
    "A" copies the input; where the shape changes it takes every `strides`-th pixel
    and appends channels of zeros, without a parameter. "B" projects by a 1x1
    convolution where the shape changes and copies elsewhere. "C" always projects.
    "D", of He et al. (2019), is "B" with an average pooling in the place of the
    projection's stride. "identity" copies and refuses a change of shape. In "v1" the
    projection is normalised; in "v2" it reads the pre-activated input.

    Stochastic depth drops the branch of an example with the given probability while
    training, and divides the branches that stay by the probability of staying. The
    paper multiplies at test time instead: the expectation is the same, and here the
    block used is the plain one.

    Args:
        filters: Filters of the two convolutions.
        strides: Stride of the first convolution.
        version: `"v1"`, `"v1.5"` or `"v2"`.
        shortcut: `"A"`, `"B"`, `"C"`, `"D"` or `"identity"`.
        activation: Activation f.
        normalization: `"batch"`, `"group"`, `"layer"` or `None`. With `None` the
            convolutions have a bias.
        zero_gamma: Start the last normalisation's scale at 0, so that the block
            starts as its shortcut (Goyal et al. 2017). Not for `"v2"`.
        groups: 1; more are for `BottleneckBlock`.
        width_per_group: 64; others are for `BottleneckBlock`.
        reduction_ratio: Of a squeeze-and-excitation at the end of the branch (Hu et al.
            2018), which scales each channel by what all channels say on average;
            `None` for none. Theirs is 16.
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

    def _check_width(self) -> None:
        if (self.groups, self.width_per_group) != (1, 64):
            raise ValueError(
                "`groups` and `width_per_group` are for BottleneckBlock; here they are "
                f"1 and 64. Received: groups={self.groups}, "
                f"width_per_group={self.width_per_group} (layer {self.name!r})"
            )

    def _plan(self) -> list[tuple[int, int, int]]:
        return [(self.filters, 3, self.strides), (self.filters, 3, 1)]


@keras.saving.register_keras_serializable(package="dlkeras")
class BottleneckBlock(ResidualUnit):
    """The bottleneck: 1x1, 3x3 and 1x1 convolutions and a shortcut around them.

    The last convolution has four times the filters. The stride is in the first 1x1
    convolution for "v1", as the paper's models have it, and in the 3x3 convolution
    for "v1.5" and "v2". All else is as in `ResidualBlock`.

    Args:
        filters: Filters of the first two convolutions, if there is one group of width
            64; the output has `4 * filters` channels.
        strides: Stride of the block.
        groups: Groups of the 3x3 convolution: ResNeXt's cardinality.
        width_per_group: Filters of a group where `filters` is 64: the first two
            convolutions have `filters * width_per_group // 64 * groups` filters.
            ResNeXt 32x4d has 32 groups of 4, a network of twice the width one of 128.
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
        investigating residual nets"; groups: Xie et al. (2017), "Aggregated residual
        transformations for deep neural networks"; width: Zagoruyko and Komodakis
        (2016), "Wide residual networks".
    """

    def _check_width(self) -> None:
        if not self._inner:
            raise ValueError(
                "`filters * width_per_group` must be at least 64: one filter a group. "
                f"Received: filters={self.filters}, "
                f"width_per_group={self.width_per_group} (layer {self.name!r})"
            )

    @property
    def _inner(self) -> int:
        return self.filters * self.width_per_group // 64 * self.groups

    def _groups(self, index: int) -> int:
        return self.groups if index == 1 else 1

    def _plan(self) -> list[tuple[int, int, int]]:
        first = self.strides if self.version == "v1" else 1
        return [
            (self._inner, 1, first),
            (self._inner, 3, self.strides // first),
            (4 * self.filters, 1, 1),
        ]
