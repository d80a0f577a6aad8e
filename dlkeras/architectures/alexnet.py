"""AlexNet: the two groups of 2012, the single tower of Table 13-2, and that of 2014."""

from typing import Any, NamedTuple

import keras
from keras import layers

from dlkeras.architectures.parts.ends import (
    check_head,
    check_input,
    fresh_initializers,
    global_pooling,
    preprocess,
    scaled,
    weight_penalty,
)
from dlkeras.architectures.parts.keras_arguments import offers_ours
from dlkeras.architectures.weights.loading import with_weights
from dlkeras.layers import GroupedConv2D, LocalResponseNormalization, MaxPooling2D
from dlkeras.layers.normalization import normalization_layer
from dlkeras.layers.output_policy import output_policy

NORMALIZATIONS = ("version", "local", "batch", "group", "layer", None)
PADDINGS = ("valid", "same", "symmetric")


class _Version(NamedTuple):
    size: int
    padding: str
    groups: int
    filters: tuple[int, ...]
    normalization: str | None


VERSIONS = {
    "2012": _Version(227, "valid", 2, (96, 256, 384, 384, 256), "local"),
    "table": _Version(224, "same", 1, (96, 256, 384, 384, 256), "local"),
    "2014": _Version(224, "symmetric", 1, (64, 192, 384, 256, 256), None),
}


@offers_ours
def alexnet(
    input_shape: tuple[int | None, int | None, int] | None = None,
    num_classes: int = 1000,
    *,
    version: str = "2012",
    groups: int | None = None,
    padding: str | None = None,
    pool_after_c7: bool = True,
    include_preprocessing: bool | str = False,
    pooling: str | None = None,
    dropout: float = 0.5,
    width_multiplier: float = 1.0,
    activation: Any = "relu",
    normalization: str | None = "version",
    classifier_activation: Any = "softmax",
    kernel_initializer: Any = None,
    weight_decay: float = 5e-4,
    weights: Any = None,
    name: str = "alexnet",
) -> keras.Model:
    """Build AlexNet.

    The layers carry the names of the course's Table 13-2: C1, S2, C3, S4, C5, C6, C7,
    S8 (the pooling that the table leaves out), F8, F9, Out. Local response
    normalisation with the paper's constants follows C1 and C3.

    The sources differ, and the readings can be built:

    - `version="2012"`: the paper. C3, C6 and C7 read only the half of the maps that
      lie on their own GPU. The paper says 224x224 pixels, but its 55x55 maps need
      227x227, which is what its authors' code had. 60,965,224 parameters and
      724,406,816 multiply-adds.
    - `version="table"`: Table 13-2. One tower, 224x224 pixels and SAME padding in C1,
      which give 56x56 maps where the table prints 55x55; with VALID pooling S2 is
      27x27 either way. 62,378,344 parameters and 1,139,124,224 multiply-adds. The
      table has no pooling behind C7, as `pool_after_c7=False` builds it: F8 alone
      then has 177,213,440 parameters, so the default has the paper's pooling.
    - `version="2014"`: the narrower single tower of "One weird trick", with two pixels
      of padding on every side in C1 and no normalisation. It is the network whose
      weights torchvision has.

    Args:
        input_shape: Height, width and channels; `None` is the version's own.
        num_classes: Number of outputs; 0 for the maps behind C7 without a head.
        version: `"2012"`, `"table"` or `"2014"`.
        groups: Groups of C3, C6 and C7; `None` is the version's own, 2 or 1.
        padding: Of C1: `"valid"`, `"same"` or `"symmetric"`; `None` is the version's.
        pool_after_c7: Whether S8 follows C7.
        include_preprocessing: `True` or `"imagenet"` standardises pixels of 0 to 255
            by ImageNet's channels, `"symmetric"` brings them to -1 to 1.
        pooling: `"avg"` or `"max"` pools each map to one number before F8 (or as the
            output without a head); `None` flattens, as the paper does.
        dropout: Share of units dropped before F8 and F9 while training. The paper
            drops the outputs of these two layers (`"2012"`, `"table"`), torchvision's
            network the inputs (`"2014"`).
        width_multiplier: Factor of the numbers of filters and units.
        activation: Activation of C1 to F9.
        normalization: After C1 and C3 `"local"`; `"batch"`, `"group"` or `"layer"`
            after every convolution, before its activation; or `None`. `"version"` is
            the version's own.
        classifier_activation: Activation of the output; None gives logits.
        kernel_initializer: Of all kernels; `None` is the paper's normal distribution
            of deviation 0.01. Biases start at 1 in C3, C6, C7, F8 and F9 and at 0
            elsewhere, as in the paper.
        weight_decay: Of the kernels; the paper's is 0.0005.
        weights: Source of weights, as for `load_weights_from`.
        name: Name of the model.

    Returns:
        A Functional model: `(batch, height, width, channels)` images to
        `(batch, num_classes)`.

    Raises:
        ValueError: The input is too small for the strides, or an argument has a value
            that the network does not know.

    Example:
        >>> model = alexnet((67, 67, 3), num_classes=10, width_multiplier=0.125)
        >>> model.get_layer("C1").output.shape
        (None, 15, 15, 12)
        >>> model.output.shape
        (None, 10)

    Reference:
        Krizhevsky, Sutskever and Hinton (2012), "ImageNet classification with deep
        convolutional neural networks", sections 3 to 5; Table 13-2 of the course;
        Krizhevsky (2014), "One weird trick for parallelizing convolutional neural
        networks".
    """
    for argument, value, known in (
        ("version", version, tuple(VERSIONS)),
        ("padding", padding, (None, *PADDINGS)),
        ("normalization", normalization, NORMALIZATIONS),
    ):
        if value not in known:
            raise ValueError(
                f"{argument} must be one of {known}. Received: {argument}={value!r}"
            )
    own = VERSIONS[version]
    groups = own.groups if groups is None else groups
    padding = padding or own.padding
    if normalization == "version":
        normalization = own.normalization
    if input_shape is None:
        input_shape = (own.size, own.size, 3)

    def fits(size: int) -> bool:
        edge = {"valid": size - 11, "same": size - 1, "symmetric": size - 7}[padding]
        c1 = edge // 4 + 1
        s4 = ((c1 - 3) // 2 + 1 - 3) // 2 + 1
        return edge >= 0 and s4 >= (3 if pool_after_c7 else 1)

    check_input(name, input_shape, fits, "S8 or S4 has no pixel left otherwise")
    check_head(name, num_classes, pooling, flattened=input_shape)
    if kernel_initializer is None:
        kernel_initializer = keras.initializers.RandomNormal(stddev=0.01)
    fresh = fresh_initializers(kernel_initializer)
    penalty = weight_penalty(weight_decay)

    def convolution(x: Any, index: int, size: int, label: str, **options: Any) -> Any:
        filters = scaled(own.filters[index], width_multiplier, groups)
        generic = normalization not in (None, "local")
        kind = GroupedConv2D if options.get("groups", 1) > 1 else layers.Conv2D
        x = kind(
            filters,
            size,
            activation=None if generic else activation,
            use_bias=not generic,
            kernel_initializer=fresh(),
            kernel_regularizer=penalty,
            name=label,
            **{"padding": "same", **options},
        )(x)
        if generic:
            x = normalization_layer(
                normalization,
                filters,
                data_format="channels_last",
                epsilon=1e-5,
                momentum=0.9,
                name=f"{label}_normalization",
            )(x)  # pyright: ignore[reportOptionalCall]
            x = layers.Activation(activation, name=f"{label}_activation")(x)
        elif normalization == "local" and index < 2:
            x = LocalResponseNormalization(name=f"{label}_normalization")(x)
        return x

    def dense(x: Any, label: str) -> Any:
        if dropout and version == "2014":
            x = layers.Dropout(dropout, name=f"{label}_dropout")(x)
        x = layers.Dense(
            scaled(4096, width_multiplier),
            activation=activation,
            kernel_initializer=fresh(),
            bias_initializer="ones",
            kernel_regularizer=penalty,
            name=label,
        )(x)
        if dropout and version != "2014":
            x = layers.Dropout(dropout, name=f"{label}_dropout")(x)
        return x

    images = layers.Input(input_shape, name="In")
    x = preprocess(images, include_preprocessing, input_shape[-1])
    if padding == "symmetric":
        x = layers.ZeroPadding2D(2, name="C1_padding")(x)
    first = "same" if padding == "same" else "valid"
    x = convolution(x, 0, 11, "C1", strides=4, padding=first)
    x = MaxPooling2D(3, 2, name="S2")(x)
    biased: dict[str, Any] = {"bias_initializer": "ones"}
    x = convolution(x, 1, 5, "C3", groups=groups, **biased)
    x = MaxPooling2D(3, 2, name="S4")(x)
    x = convolution(x, 2, 3, "C5")
    x = convolution(x, 3, 3, "C6", groups=groups, **biased)
    x = convolution(x, 4, 3, "C7", groups=groups, **biased)
    if pool_after_c7:
        x = MaxPooling2D(3, 2, name="S8")(x)
    x = global_pooling(x, pooling)
    if num_classes:
        if pooling is None:
            x = layers.Flatten(name="flatten")(x)
        x = dense(dense(x, "F8"), "F9")
        x = layers.Dense(
            num_classes,
            activation=classifier_activation,
            kernel_initializer=fresh(),
            kernel_regularizer=penalty,
            dtype=output_policy(),
            name="Out",
        )(x)
    return with_weights(keras.Model(images, x, name=name), weights, alexnet)
