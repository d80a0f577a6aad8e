"""LeNet-5, in two forms: Table 13-1 of the course and the paper of 1998."""

from typing import Any

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
from dlkeras.layers import (
    LENET5_C3_TABLE,
    PartiallyConnectedConv2D,
    RBFOutput,
    Subsampling2D,
    scaled_tanh,
)
from dlkeras.layers.normalization import NORMALIZATIONS, normalization_layer
from dlkeras.layers.output_policy import output_policy

VERSIONS = ("table", "1998")
OUTPUTS = (None, "dense", "rbf")


@offers_ours
def lenet5(
    input_shape: tuple[int | None, int | None, int] = (32, 32, 1),
    num_classes: int = 10,
    activation: Any = None,
    classifier_activation: str | None = "softmax",
    name: str = "lenet5",
    *,
    version: str = "table",
    output: str | None = None,
    include_preprocessing: bool | str = False,
    pooling: str | None = None,
    dropout: float = 0.0,
    width_multiplier: float = 1.0,
    normalization: str | None = None,
    kernel_initializer: Any = None,
    weight_decay: float = 0.0,
    weights: Any = None,
) -> keras.Model:
    """Build LeNet-5.

    The layers carry the paper's names. Two convolutions of 5x5 (C1: 6 maps, C3: 16),
    each followed by 2x2 pooling (S2, S4); C5 is a 5x5 convolution whose 120 maps are
    1x1 at the input of the paper; F6 has 84 units.

    The sources differ, and both readings can be built:

    - `version="table"`: Table 13-1 of the course. S2 and S4 average, the activation is
      tanh, C3 reads all maps of S2. The table gives the output layer as RBF units; it
      is a dense softmax here, and RBF units with `output="rbf"`. 61,706 parameters
      and 416,520 multiply-adds with the softmax.
    - `version="1998"`: the paper. S2 and S4 add their four pixels, multiply the sum by
      a trainable coefficient and add a trainable bias; each map of C3 reads 3, 4 or
      6 maps of S2; the activation is `1.7159 tanh(2x/3)`; the outputs are distances
      to fixed bitmaps, trained with `MaximumAPosteriori`. 60,000 trainable
      parameters, 325,680 multiply-adds, 340,908 connections as the paper counts them.

    Args:
        input_shape: Height, width and channels of the images, at least 32 by 32;
            height and width may be None with `pooling`.
        num_classes: Number of outputs; 0 for the maps of C5 without a head.
        activation: Activation of C1 to F6; `None` is the version's own.
        classifier_activation: Activation of a dense output; None gives logits.
        name: Name of the model.
        version: `"table"` or `"1998"`.
        output: `"dense"` or `"rbf"`; `None` is dense for the table and RBF for 1998.
            RBF units are the bitmaps of the digits for 10 classes, else random ones.
        include_preprocessing: `True` brings pixels of 0 to 255 to the paper's -0.1
            (ground) to 1.175 (ink); `"imagenet"` and `"symmetric"` as elsewhere.
        pooling: `"avg"` or `"max"` pools each of C5's maps to one number; `None`
            flattens them before F6, which at 32 by 32 is the same.
        dropout: Share of F6's units dropped while training; the paper has none.
        width_multiplier: Factor of the numbers of maps and units. `"1998"` and RBF
            digits come in the paper's width only.
        normalization: `None` as in the paper; `"batch"`, `"group"` or `"layer"` after
            C1, C3 and C5, before their activation.
        kernel_initializer: `None` is Keras's own for the table and the paper's
            uniform distribution over +-2.4 / inputs for 1998; C3's maps have from 75
            to 150 inputs, their mean is taken.
        weight_decay: Of the kernels; the paper has none.
        weights: Source of weights, as for `load_weights_from`.

    Returns:
        A Functional model: `(batch, height, width, channels)` images to
        `(batch, num_classes)`.

    Raises:
        ValueError: The input is smaller than 32 by 32, so that C5 has no pixel left,
            or an argument has a value that the network does not know.

    Example:
    >>> model = lenet5()
    >>> model.count_params()
    61706
    >>> model.get_layer("C3").output.shape
    (None, 10, 10, 16)
    >>> paper = lenet5(version="1998")
    >>> sum(weight.size for weight in paper.get_weights()) - 10 * 84  # fixed bitmaps
    60000

    Reference:
        Table 13-1 of the course; LeCun, Bottou, Bengio and Haffner, "Gradient-based
        learning applied to document recognition", Proc. IEEE 86 (11), 1998,
        section II.B.
    """
    check_input(
        "lenet5", input_shape, lambda size: size >= 32, "C5 has no pixel left otherwise"
    )
    check_head(name, num_classes, pooling, flattened=input_shape)
    for argument, value, known in (
        ("version", version, VERSIONS),
        ("output", output, OUTPUTS),
        ("normalization", normalization, NORMALIZATIONS),
    ):
        if value not in known:
            raise ValueError(
                f"{argument} must be one of {known}. Received: {argument}={value!r}"
            )
    original = version == "1998"
    output = output or ("rbf" if original else "dense")
    if width_multiplier != 1 and (original or output == "rbf"):
        raise ValueError(
            "width_multiplier must be 1 for version='1998' and for RBF outputs, whose "
            "connection table and bitmaps have the paper's sizes. "
            f"Received: width_multiplier={width_multiplier}"
        )
    if activation is None:
        activation = scaled_tanh if original else "tanh"

    given = (
        fresh_initializers(kernel_initializer)
        if kernel_initializer is not None
        else None
    )
    penalty = weight_penalty(weight_decay)

    def weights_of(inputs: float) -> dict[str, Any]:
        initializer: Any = "glorot_uniform"
        if given is not None:
            initializer = given()
        elif original:
            initializer = keras.initializers.RandomUniform(-2.4 / inputs, 2.4 / inputs)
        return {"kernel_initializer": initializer, "kernel_regularizer": penalty}

    def convolution(x: Any, kind: Any, what: Any, inputs: float, name: str) -> Any:
        plain = normalization is None
        own = activation if plain else None
        layer = kind(what, 5, activation=own, name=name, **weights_of(inputs))
        x = layer(x)
        if plain:
            return x
        x = normalization_layer(
            normalization,
            x.shape[-1],
            data_format="channels_last",
            epsilon=1e-5,
            momentum=0.9,
            name=f"{name}_normalization",
        )(x)  # pyright: ignore[reportOptionalCall]
        return layers.Activation(activation, name=f"{name}_activation")(x)

    def subsample(x: Any, name: str) -> Any:
        if original:
            return Subsampling2D(activation=activation, name=name)(x)
        x = layers.AveragePooling2D(2, name=name)(x)
        return layers.Activation(activation, name=f"{name}_activation")(x)

    maps = [scaled(n, width_multiplier) for n in (6, 16, 120, 84)]
    images = layers.Input(input_shape, name="In")
    if include_preprocessing is True:
        x = layers.Rescaling(1.275 / 255, -0.1, name="preprocessing")(images)
    else:
        x = preprocess(images, include_preprocessing, input_shape[-1])
    x = convolution(x, layers.Conv2D, maps[0], 25 * input_shape[-1], "C1")
    x = subsample(x, "S2")
    if original:
        fan_in = 25 * LENET5_C3_TABLE.sum() / 16
        x = convolution(x, PartiallyConnectedConv2D, LENET5_C3_TABLE, fan_in, "C3")
    else:
        x = convolution(x, layers.Conv2D, maps[1], 25 * maps[0], "C3")
    x = subsample(x, "S4")
    x = convolution(x, layers.Conv2D, maps[2], 25 * maps[1], "C5")
    x = global_pooling(x, pooling)
    if num_classes == 0:
        return with_weights(keras.Model(images, x, name=name), weights, lenet5)
    if pooling is None:
        x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(maps[3], activation=activation, name="F6", **weights_of(maps[2]))(
        x
    )
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    if output == "rbf":
        bitmaps = "digits" if num_classes == 10 else "random"
        outputs = RBFOutput(
            num_classes, bitmaps=bitmaps, dtype=output_policy(), name="Out"
        )(x)
    else:
        outputs = layers.Dense(
            num_classes,
            activation=classifier_activation,
            dtype=output_policy(),
            name="Out",
            **weights_of(maps[3]),
        )(x)
    return with_weights(keras.Model(images, outputs, name=name), weights, lenet5)
