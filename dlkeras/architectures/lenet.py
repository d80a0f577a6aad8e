"""LeNet-5, as Table 13-1 of the course has it."""

import keras
from keras import layers


def lenet5(
    input_shape: tuple[int, int, int] = (32, 32, 1),
    num_classes: int = 10,
    activation: str = "tanh",
    classifier_activation: str | None = "softmax",
    name: str = "lenet5",
) -> keras.Model:
    """Build LeNet-5 with average pooling and a fully connected C3.

    The layers carry the paper's names. Two convolutions of 5x5 with tanh (C1: 6 maps,
    C3: 16), each followed by 2x2 average pooling with tanh (S2, S4); C5 is a 5x5
    convolution whose 120 maps are 1x1 at the input of the paper; F6 has 84 units.

    The table gives the output layer as RBF units; it is built as a dense softmax here.
    The paper's S2 and S4 have a trainable coefficient and bias for each map, and its C3
    sees only some of S2's maps; the table has neither, and so has this network. It has
    61,706 parameters and 416,520 multiply-adds at the default input.

    Args:
        input_shape: height, width and channels of the images, at least 32 by 32.
        num_classes: number of outputs.
        activation: activation of C1 to F6.
        classifier_activation: activation of the output; None gives logits.
        name: name of the model.

    Returns:
        A Functional model: `(batch, height, width, channels)` images to
        `(batch, num_classes)`.

    Raises:
        ValueError: the input is smaller than 32 by 32, so that C5 has no pixel left,
            or `num_classes` is less than 1.

    Example:
    >>> model = lenet5()
    >>> model.count_params()
    61706
    >>> model.get_layer("C3").output.shape
    (None, 10, 10, 16)

    Reference:
        Table 13-1 of the course; LeCun, Bottou, Bengio and Haffner, "Gradient-based
        learning applied to document recognition", Proc. IEEE 86 (11), 1998,
        section II.B.
    """
    height, width, _ = input_shape
    if height < 32 or width < 32:
        raise ValueError(
            "lenet5 needs images of at least 32x32 pixels: C5 has no pixel left "
            f"otherwise. Received: input_shape={input_shape}"
        )
    if num_classes < 1:
        raise ValueError(
            f"num_classes must be at least 1. Received: num_classes={num_classes}"
        )
    images = layers.Input(input_shape, name="In")
    x = layers.Conv2D(6, 5, activation=activation, name="C1")(images)
    x = layers.AveragePooling2D(2, name="S2")(x)
    x = layers.Activation(activation, name="S2_activation")(x)
    x = layers.Conv2D(16, 5, activation=activation, name="C3")(x)
    x = layers.AveragePooling2D(2, name="S4")(x)
    x = layers.Activation(activation, name="S4_activation")(x)
    x = layers.Conv2D(120, 5, activation=activation, name="C5")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(84, activation=activation, name="F6")(x)
    outputs = layers.Dense(num_classes, activation=classifier_activation, name="Out")(x)
    return keras.Model(images, outputs, name=name)
