"""GoogLeNet, with and without its auxiliary classifiers and batch normalisation."""

from typing import Any

import keras
from keras import layers

from dlkeras.architectures.parts.auxiliary import AuxiliaryTraining, MainOutput
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
from dlkeras.layers import (
    AuxiliaryClassifier,
    InceptionModule,
    LocalResponseNormalization,
    MaxPooling2D,
)
from dlkeras.layers.normalization import NORMALIZATIONS, normalization_layer
from dlkeras.layers.output_policy import output_policy

#: Table 1: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj.
INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


@offers_ours
def googlenet(
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    num_classes: int = 1000,
    *,
    auxiliary: bool = False,
    auxiliary_loss_weight: float = 0.3,
    stem: str = "table",
    stem_padding: str = "same",
    filters_5x5_reduce_5a: int = 32,
    kernel_size_5x5: int = 5,
    pool4_size: int = 3,
    include_preprocessing: bool | str = False,
    pooling: str | None = None,
    dropout: float = 0.4,
    auxiliary_dropout: float = 0.7,
    width_multiplier: float = 1.0,
    activation: Any = "relu",
    normalization: str | None = None,
    normalization_epsilon: float = 1e-3,
    classifier_activation: Any = "softmax",
    kernel_initializer: Any = "glorot_uniform",
    weight_decay: float = 0.0,
    weights: Any = None,
    name: str = "googlenet",
) -> keras.Model:
    """Build GoogLeNet: a stem, nine inception modules, and one dense layer.

    All convolutions and poolings have SAME padding; those of Caffe's and PyTorch's
    models come with `stem_padding="symmetric"`. Where the paper is not of one mind,
    this is what is built:

    - The stem. Table 1's sizes (7x7, 64 filters, stride 2) are those of an ordinary
      convolution, which has 9,408 weights and 118 million multiply-adds; its columns
      "params" and "ops" print 2.7K and 34M, which fit a separable convolution of
      depth multiplier 8. The ordinary one is built, as Caffe's and PyTorch's models
      have it; `stem="separable"` builds the other.
    - Local response normalisation is in figure 3, behind the first pooling and
      behind the 3x3 convolution, and not in Table 1. It is built where there is no
      other normalisation. Figure 3 pads the 1x1 convolution before the 3x3 VALID,
      which for 1x1 is the same.
    - Inception 5a: Table 1 prints 32 filters of 5x5 reduction, and 54M operations that
      fit 48. `filters_5x5_reduce_5a=48` builds that.

    6,998,552 parameters and 1,582,671,872 multiply-adds; 13,378,280 and 1,591,044,096
    with the auxiliary classifiers behind 4a and 4d; 7,005,832 parameters with batch
    normalisation in place of biases. The paper's "about 5 million" leaves out the
    dense layer.

    With `auxiliary=True`, `compile` with one loss and `fit` with one target train all
    three classifiers, the auxiliary ones with weight 0.3; `predict` and `evaluate`
    use the main one.

    Args:
        input_shape: Height, width and channels of the images, at least 32 by 32; with
            auxiliary classifiers 65 by 65, or 79 by 79 where `stem_padding` is
            `"symmetric"`.
        num_classes: Number of outputs; 0 for the maps of inception 5b without a head.
        auxiliary: Whether the auxiliary classifiers are there.
        auxiliary_loss_weight: Weight of their losses.
        stem: `"table"` or `"separable"`.
        stem_padding: `"same"`, with which the first convolution pads an even size by 2
            pixels before and 3 behind, or `"symmetric"`, as Caffe's and PyTorch's
            models have it: 3 on both sides, and the poolings with strides pad behind
            alone, with 0, where a map has an even size (SAME pads an odd one on both
            sides).
        filters_5x5_reduce_5a: The 5x5 reduction of inception 5a, 32 or 48.
        kernel_size_5x5: Size of the "5x5" kernels; torchvision's network has 3.
        pool4_size: Window of the pooling before 5a; torchvision's network has 2.
        include_preprocessing: `True` or `"imagenet"` standardises pixels of 0 to 255
            by ImageNet's channels, `"symmetric"` brings them to -1 to 1.
        pooling: `"avg"`, `"max"` or `None`, which is the average before a head.
        dropout: Share of the pooled features dropped while training.
        auxiliary_dropout: Share of the auxiliary hidden units dropped.
        width_multiplier: Factor of the numbers of filters.
        activation: Activation of the convolutions.
        normalization: `None` as in the paper; `"batch"`, `"group"` or `"layer"` after
            every convolution, which then has no bias.
        normalization_epsilon: Added to the variance.
        classifier_activation: Activation of the outputs; None gives logits.
        kernel_initializer: Initialiser of the kernels; the paper does not give its.
        weight_decay: Of the kernels; the paper does not mention any.
        weights: Source of weights, as for `load_weights_from`.
        name: Name of the model.

    Returns:
        A Functional model: `(batch, height, width, channels)` images to
        `(batch, num_classes)`.

    Raises:
        ValueError: The input is too small for the strides, or an argument has a value
            that the network does not know.

    Example:
        >>> model = googlenet((32, 32, 3), num_classes=10, width_multiplier=0.125)
        >>> model.get_layer("inception_3a").output.shape
        (None, 4, 4, 32)
        >>> model.output.shape
        (None, 10)

    Reference:
        Szegedy et al. (2015), "Going deeper with convolutions", table 1, figure 3 and
        section 5.
    """
    if stem not in ("table", "separable"):
        raise ValueError(
            f"stem must be 'table' or 'separable'. Received: stem={stem!r}"
        )
    if stem_padding not in ("same", "symmetric"):
        raise ValueError(
            "stem_padding must be 'same' or 'symmetric'. "
            f"Received: stem_padding={stem_padding!r}"
        )
    if normalization not in NORMALIZATIONS:
        raise ValueError(
            f"normalization must be one of {NORMALIZATIONS}. "
            f"Received: normalization={normalization!r}"
        )
    check_head(name, num_classes, pooling)
    symmetric = stem_padding == "symmetric"
    smallest = (79 if symmetric else 65) if auxiliary else 32
    why = "its strides divide by 32"
    if auxiliary:
        why = "the auxiliary classifiers pool 5x5 pixels of a sixteenth of the image"
        if num_classes < 1 or None in (input_shape or ()):
            raise ValueError(
                "Auxiliary classifiers need a known image size and at least one class. "
                f"Received: input_shape={input_shape}, num_classes={num_classes}"
            )
    check_input(name, input_shape, lambda size: size >= smallest, why)
    fresh = fresh_initializers(kernel_initializer)
    penalty = weight_penalty(weight_decay)

    shared: dict[str, Any] = {
        "activation": activation,
        "normalization": normalization,
        "kernel_regularizer": penalty,
        "normalization_epsilon": normalization_epsilon,
        "normalization_momentum": 0.9,
    }

    def convolution(x: Any, filters: int, size: int, label: str, strides: int = 1):
        filters = scaled(filters, width_multiplier)
        plain = normalization is None
        explicit = strides > 1 and symmetric
        if explicit:
            x = layers.ZeroPadding2D(size // 2, name=f"{label}_padding")(x)
        options: dict[str, Any] = {
            "strides": strides,
            "padding": "valid" if explicit else "same",
            "activation": activation if plain else None,
            "use_bias": plain,
            "name": label,
        }
        if stem == "separable" and label == "conv1":
            x = layers.SeparableConv2D(
                filters,
                size,
                depth_multiplier=8,
                depthwise_initializer=fresh(),
                pointwise_initializer=fresh(),
                depthwise_regularizer=penalty,
                pointwise_regularizer=penalty,
                **options,
            )(x)
        else:
            x = layers.Conv2D(
                filters,
                size,
                kernel_initializer=fresh(),
                kernel_regularizer=penalty,
                **options,
            )(x)
        if not plain:
            x = normalization_layer(
                normalization,
                filters,
                data_format="channels_last",
                epsilon=normalization_epsilon,
                momentum=0.9,
                name=f"{label}_normalization",
            )(x)  # pyright: ignore[reportOptionalCall]
            x = layers.Activation(activation, name=f"{label}_activation")(x)
        return x

    def pool(x: Any, label: str, size: int = 3) -> Any:
        # As Caffe and PyTorch's ceil_mode count windows: what the last one lacks is
        # padded behind. So does SAME for windows of 3 on even maps and of 2 on all.
        lacks = [1 if n is None else (n - size) % 2 for n in x.shape[1:3]]
        even = size == 3 and None not in x.shape[1:3] and min(lacks) == 1
        padding = "same"
        if symmetric and size > 2 and not even:
            padding = "valid"
            if any(lacks):
                behind = tuple((0, n) for n in lacks)
                x = layers.ZeroPadding2D(behind, name=f"{label}_padding")(x)
        return MaxPooling2D(size, 2, padding=padding, name=label)(x)

    def local(x: Any, label: str) -> Any:
        if normalization is not None:
            return x
        return LocalResponseNormalization(name=label)(x)

    def inception(x: Any, label: str) -> Any:
        filters = list(INCEPTIONS[label])
        if label == "5a":
            filters[3] = filters_5x5_reduce_5a
        return InceptionModule(
            *(scaled(n, width_multiplier) for n in filters),
            kernel_size_5x5=kernel_size_5x5,
            kernel_initializer=fresh(),
            name=f"inception_{label}",
            **shared,
        )(x)

    def side(x: Any, label: str) -> Any:
        return AuxiliaryClassifier(
            num_classes,
            filters=scaled(128, width_multiplier),
            units=scaled(1024, width_multiplier),
            dropout=auxiliary_dropout,
            classifier_activation=classifier_activation,
            kernel_initializer=fresh(),
            name=label,
            **shared,
        )(x)

    images = layers.Input(input_shape, name="images")
    x = preprocess(images, include_preprocessing, input_shape[-1])
    x = convolution(x, 64, 7, "conv1", strides=2)
    x = local(pool(x, "pool1"), "pool1_normalization")
    x = convolution(x, 64, 1, "conv2_reduce")
    x = local(convolution(x, 192, 3, "conv2"), "conv2_normalization")
    x = pool(x, "pool2")
    sides = []
    for label in INCEPTIONS:
        if label == "4a":
            x = pool(x, "pool3")
        if label == "5a":
            x = pool(x, "pool4", pool4_size)
        x = inception(x, label)
        if auxiliary and label in ("4a", "4d"):
            sides.append(side(x, f"auxiliary_{label}"))
    outputs = pooled_head(
        x,
        num_classes,
        pooling=pooling,
        dropout=dropout,
        activation=classifier_activation,
        kernel_initializer=fresh(),
        kernel_regularizer=penalty,
    )
    if not auxiliary:
        return with_weights(keras.Model(images, outputs, name=name), weights, googlenet)
    outputs = MainOutput(
        auxiliary_loss_weight, dtype=output_policy(), name="main_output"
    )([outputs, *sides])
    return with_weights(
        AuxiliaryTraining(images, outputs, name=name), weights, googlenet
    )
