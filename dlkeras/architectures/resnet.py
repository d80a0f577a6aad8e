"""ResNet: 18 to 152 layers for ImageNet and 20 to 110 for CIFAR; v1, v1.5 and v2."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from dlkeras.architectures import resnet_docstrings as docstrings
from dlkeras.architectures.parts.ends import (
    check_head,
    check_input,
    fresh_initializers,
    pooled_head,
    preprocess,
    scaled,
    weight_penalty,
)
from dlkeras.architectures.parts.keras_arguments import offers_ours
from dlkeras.architectures.weights.loading import with_weights
from dlkeras.layers import BottleneckBlock, MaxPooling2D, ResidualBlock
from dlkeras.layers.normalization import NORMALIZATIONS, normalization_layer

Size = tuple[int | None, int | None, int]

LAYOUTS = ("paper", "keras")
STEMS = ("paper", "deep")


class _Parts:
    """The settings that every layer of one ResNet shares."""

    def __init__(
        self,
        version: str,
        activation: Any,
        normalization: str | None,
        epsilon: float,
        padding: str,
        kernel_initializer: Any,
        weight_decay: float,
        block_options: dict[str, Any] | None = None,
    ) -> None:
        self.version = version
        self.activation = activation
        self.normalization = normalization
        self.epsilon = epsilon
        self.padding = padding
        self.block_options = block_options or {}
        self.initializer = fresh_initializers(kernel_initializer)
        self.penalty = weight_penalty(weight_decay)

    def padded(self, x: Any, pixels: int, label: str) -> tuple[Any, str]:
        """Pad for a layer with a stride; return how the layer itself pads."""
        if self.padding == "same":
            return x, "same"
        return layers.ZeroPadding2D(pixels, name=label)(x), "valid"

    def deep_stem(self, x: Any, filters: int) -> Any:
        """Add three 3x3 convolutions, the first of stride 2, for one of 7x7."""
        half = max(1, filters // 2)
        for number, (width, strides) in enumerate(
            ((half, 2), (half, 1), (filters, 1)), start=1
        ):
            x = self.convolution(x, width, 3, strides, ending=f"_{number}")
            if number < 3:
                x = self.activated(x, "stem", f"_{number}")
        return x

    def convolution(
        self,
        x: Any,
        filters: int,
        size: int,
        strides: int,
        use_bias: bool = False,
        ending: str = "",
    ) -> Any:
        """Add a convolution of the stem."""
        padding = "same"
        if strides > 1:
            x, padding = self.padded(x, size // 2, "stem_padding")
        return layers.Conv2D(
            filters,
            size,
            strides,
            padding=padding,
            use_bias=use_bias or self.normalization is None,
            kernel_initializer=self.initializer(),
            kernel_regularizer=self.penalty,
            name=f"stem_convolution{ending}",
        )(x)

    def activated(self, x: Any, label: str, ending: str = "") -> Any:
        """Add normalisation and activation."""
        normalization = normalization_layer(
            self.normalization,
            x.shape[-1],
            data_format="channels_last",
            epsilon=self.epsilon,
            momentum=0.9,
            name=f"{label}_normalization{ending}",
        )
        if normalization is not None:
            x = normalization(x)
        name = f"{label}_activation{ending}"
        return layers.Activation(self.activation, name=name)(x)

    def stages(
        self,
        x: Any,
        block: type[ResidualBlock] | type[BottleneckBlock],
        stages: Sequence[tuple[int, int, int]],
        shortcut: str,
        stochastic_depth: float,
        zero_gamma: bool,
        stride_in_last: bool = False,
    ) -> Any:
        """Add all blocks; `stages` has the filters, the blocks and the stride."""
        total = sum(count for _, count, _ in stages)
        index = 0
        for stage, (filters, count, strides) in enumerate(stages, start=1):
            for number in range(1, count + 1):
                index += 1
                strided = number == (count if stride_in_last else 1)
                # A stride in the last block subsamples its input, which is the
                # shortcut A of equal channels.
                kind = "A" if stride_in_last and number > 1 else shortcut
                x = block(
                    filters,
                    strides if strided else 1,
                    version=self.version,
                    shortcut=kind,
                    activation=self.activation,
                    normalization=self.normalization,
                    zero_gamma=zero_gamma,
                    stochastic_depth=stochastic_depth * index / total,
                    padding=self.padding,
                    kernel_initializer=self.initializer(),
                    kernel_regularizer=self.penalty,
                    normalization_epsilon=self.epsilon,
                    **self.block_options,
                    name=f"stage{stage}_block{number}",
                )(x)
        return x


def _check(argument: str, value: Any, known: tuple) -> None:
    if value not in known:
        raise ValueError(
            f"{argument} must be one of {known}. Received: {argument}={value!r}"
        )


def _imagenet(
    depth: int, block: Any, counts: tuple[int, int, int, int], parameters: str
) -> Any:
    """Return the builder of an ImageNet network."""
    own_name = f"resnet{depth}"

    def build(
        input_shape: Size = (224, 224, 3),
        num_classes: int = 1000,
        *,
        version: str = "v1",
        layout: str = "paper",
        shortcut: str = "B",
        stem: str = "paper",
        groups: int = 1,
        width_per_group: int = 64,
        reduction_ratio: int | None = None,
        include_preprocessing: bool | str = False,
        pooling: str | None = None,
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
        width_multiplier: float = 1.0,
        activation: Any = "relu",
        normalization: str | None = "batch",
        normalization_epsilon: float = 1e-5,
        zero_gamma: bool = False,
        padding: str = "symmetric",
        classifier_activation: Any = "softmax",
        kernel_initializer: Any = "he_normal",
        weight_decay: float = 1e-4,
        weights: Any = None,
        name: str = own_name,
    ) -> keras.Model:
        check_input(name, input_shape, lambda n: n >= 32, "its strides divide by 32")
        check_head(name, num_classes, pooling)
        _check("normalization", normalization, NORMALIZATIONS)
        _check("version", version, ("v1", "v1.5", "v2"))
        _check("layout", layout, LAYOUTS)
        _check("shortcut", shortcut, ("A", "B", "C", "D"))
        _check("stem", stem, STEMS)
        _check("padding", padding, ("symmetric", "same"))
        theirs = layout == "keras"
        if theirs and (version != "v2" or shortcut != "B" or stem != "paper"):
            raise ValueError(
                "layout='keras' is a layout of version='v2' with shortcut='B' and "
                "stem='paper'; keras.applications' v1 is the paper's. Received: "
                f"version={version!r}, shortcut={shortcut!r}, stem={stem!r}"
            )
        options = {
            "groups": groups,
            "width_per_group": width_per_group,
            "reduction_ratio": reduction_ratio,
        }
        parts = _Parts(
            version,
            activation,
            normalization,
            normalization_epsilon,
            padding,
            kernel_initializer,
            weight_decay,
            options,
        )
        widths = [scaled(n, width_multiplier) for n in (64, 128, 256, 512)]
        strides = (2, 2, 2, 1) if theirs else (1, 2, 2, 2)
        images = layers.Input(input_shape, name="images")
        x = preprocess(images, include_preprocessing, input_shape[-1])
        if stem == "deep":
            x = parts.deep_stem(x, widths[0])
        else:
            x = parts.convolution(x, widths[0], 7, 2, use_bias=theirs)
        if version != "v2":
            x = parts.activated(x, "stem")
        x, pool_padding = parts.padded(x, 1, "stem_pool_padding")
        x = MaxPooling2D(3, 2, padding=pool_padding, name="stem_pool")(x)
        stages = list(zip(widths, counts, strides, strict=True))
        x = parts.stages(
            x, block, stages, shortcut, stochastic_depth, zero_gamma, theirs
        )
        if version == "v2":
            x = parts.activated(x, "head")
        x = pooled_head(
            x,
            num_classes,
            pooling=pooling,
            dropout=dropout,
            activation=classifier_activation,
            kernel_regularizer=parts.penalty,
        )
        return with_weights(keras.Model(images, x, name=name), weights, build)

    kind = "basic blocks" if block is ResidualBlock else "bottlenecks"
    return _documented(
        build,
        depth,
        intro=docstrings.IMAGENET.format(kind=kind, parameters=parameters),
        version=docstrings.IMAGENET_VERSION,
        shortcuts=docstrings.IMAGENET_SHORTCUTS,
        variants=docstrings.IMAGENET_VARIANTS,
        imagenet=docstrings.IMAGENET_WEIGHTS if depth >= 50 else "",
        smallest=32,
        reference=docstrings.REFERENCE.format(where="table 1"),
    )


def _cifar(depth: int, parameters: str) -> Any:
    """Return the builder of a CIFAR network."""
    own_name, blocks = f"resnet{depth}", (depth - 2) // 6

    def build(
        input_shape: Size = (32, 32, 3),
        num_classes: int = 10,
        *,
        version: str = "v1",
        shortcut: str = "A",
        include_preprocessing: bool | str = False,
        pooling: str | None = None,
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
        width_multiplier: float = 1.0,
        activation: Any = "relu",
        normalization: str | None = "batch",
        normalization_epsilon: float = 1e-5,
        zero_gamma: bool = False,
        padding: str = "symmetric",
        classifier_activation: Any = "softmax",
        kernel_initializer: Any = "he_normal",
        weight_decay: float = 1e-4,
        weights: Any = None,
        name: str = own_name,
    ) -> keras.Model:
        check_input(name, input_shape, lambda n: n >= 4, "its strides divide by 4")
        check_head(name, num_classes, pooling)
        _check("normalization", normalization, NORMALIZATIONS)
        _check("version", version, ("v1", "v2"))
        _check("shortcut", shortcut, ("A", "B", "C"))
        _check("padding", padding, ("symmetric", "same"))
        parts = _Parts(
            version,
            activation,
            normalization,
            normalization_epsilon,
            padding,
            kernel_initializer,
            weight_decay,
        )
        widths = [scaled(n, width_multiplier) for n in (16, 32, 64)]
        images = layers.Input(input_shape, name="images")
        x = preprocess(images, include_preprocessing, input_shape[-1])
        x = parts.convolution(x, widths[0], 3, 1)
        if version != "v2":
            x = parts.activated(x, "stem")
        stages = [
            (widths[0], blocks, 1),
            (widths[1], blocks, 2),
            (widths[2], blocks, 2),
        ]
        x = parts.stages(
            x, ResidualBlock, stages, shortcut, stochastic_depth, zero_gamma
        )
        if version == "v2":
            x = parts.activated(x, "head")
        x = pooled_head(
            x,
            num_classes,
            pooling=pooling,
            dropout=dropout,
            activation=classifier_activation,
            kernel_regularizer=parts.penalty,
        )
        return with_weights(keras.Model(images, x, name=name), weights, build)

    return _documented(
        build,
        depth,
        intro=docstrings.CIFAR.format(n=blocks, parameters=parameters),
        version=docstrings.CIFAR_VERSION,
        shortcuts="",
        variants="",
        imagenet=docstrings.CIFAR_WEIGHTS if depth == 20 else "",
        smallest=4,
        reference=docstrings.REFERENCE.format(where="section 4.2 and table 6"),
    )


def _documented(build: Any, depth: int, **parts: Any) -> Any:
    build.__name__ = build.__qualname__ = f"resnet{depth}"
    build.__doc__ = docstrings.DOC.format(depth=depth, **parts)
    return offers_ours(build)


resnet18 = _imagenet(
    18,
    ResidualBlock,
    (2, 2, 2, 2),
    "11,689,512 parameters, 1,814,073,344 multiply-adds.",
)
resnet34 = _imagenet(
    34,
    ResidualBlock,
    (3, 4, 6, 3),
    "21,797,672 parameters, 3,663,761,408 multiply-adds.",
)
resnet50 = _imagenet(
    50,
    BottleneckBlock,
    (3, 4, 6, 3),
    "25,557,032 parameters and 3,857,973,248 multiply-adds; 4,089,184,256 as v1.5.",
)
resnet101 = _imagenet(
    101,
    BottleneckBlock,
    (3, 4, 23, 3),
    "44,549,160 parameters and 7,570,194,432 multiply-adds; 7,801,405,440 as v1.5.",
)
resnet152 = _imagenet(
    152,
    BottleneckBlock,
    (3, 8, 36, 3),
    "60,192,808 parameters and 11,282,415,616 multiply-adds; 11,513,626,624 as v1.5.",
)
resnet20 = _cifar(20, "269,722 parameters and 40,551,040 multiply-adds.")
resnet32 = _cifar(32, "464,154 parameters.")
resnet44 = _cifar(44, "658,586 parameters.")
resnet56 = _cifar(56, "853,018 parameters.")
resnet110 = _cifar(110, "1,727,962 parameters and 252,887,680 multiply-adds.")
