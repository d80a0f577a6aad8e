"""The networks in the plainest Keras: what `dlkeras` is measured against."""

import keras
from keras import layers


class LocalResponse(layers.Layer):
    """TensorFlow's kernel of AlexNet's normalisation."""

    def call(self, x):
        import tensorflow as tf

        return tf.nn.local_response_normalization(x, 2, 2.0, 1e-4, 0.75)


def lenet5():
    return keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            layers.Conv2D(6, 5, activation="tanh"),
            layers.AveragePooling2D(2),
            layers.Activation("tanh"),
            layers.Conv2D(16, 5, activation="tanh"),
            layers.AveragePooling2D(2),
            layers.Activation("tanh"),
            layers.Conv2D(120, 5, activation="tanh"),
            layers.Flatten(),
            layers.Dense(84, "tanh"),
            layers.Dense(10, "softmax"),
        ]
    )


def alexnet():
    return keras.Sequential(
        [
            keras.Input((224, 224, 3)),
            layers.Conv2D(96, 11, 4, "same", activation="relu"),
            LocalResponse(),
            layers.MaxPooling2D(3, 2),
            layers.Conv2D(256, 5, padding="same", activation="relu"),
            LocalResponse(),
            layers.MaxPooling2D(3, 2),
            layers.Conv2D(384, 3, padding="same", activation="relu"),
            layers.Conv2D(384, 3, padding="same", activation="relu"),
            layers.Conv2D(256, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(3, 2),
            layers.Flatten(),
            layers.Dense(4096, "relu"),
            layers.Dropout(0.5),
            layers.Dense(4096, "relu"),
            layers.Dropout(0.5),
            layers.Dense(1000, "softmax"),
        ]
    )


def googlenet(normalized):
    from dlkeras.architectures.googlenet import INCEPTIONS

    def convolution(x, filters, size, strides=1):
        if not normalized:
            return layers.Conv2D(filters, size, strides, "same", activation="relu")(x)
        x = layers.Conv2D(filters, size, strides, "same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    def local(x):
        return x if normalized else LocalResponse()(x)

    def pool(x):
        return layers.MaxPooling2D(3, 2, "same")(x)

    images = keras.Input((224, 224, 3))
    x = local(pool(convolution(images, 64, 7, 2)))
    x = pool(local(convolution(convolution(x, 64, 1), 192, 3)))
    for name, (a, b_in, b, c_in, c, d) in INCEPTIONS.items():
        if name in ("4a", "5a"):
            x = pool(x)
        views = [
            convolution(x, a, 1),
            convolution(convolution(x, b_in, 1), b, 3),
            convolution(convolution(x, c_in, 1), c, 5),
            convolution(layers.MaxPooling2D(3, 1, "same")(x), d, 1),
        ]
        x = layers.Concatenate()(views)
    x = layers.Dropout(0.4)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(images, layers.Dense(1000, "softmax")(x))


def resnet20():
    images = keras.Input((32, 32, 3))

    def convolution(x, filters, strides=1):
        x = layers.Conv2D(filters, 3, strides, "same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    x = layers.ReLU()(convolution(images, 16))
    for filters in (16, 32, 64):
        for block in range(3):
            strides = 2 if filters > 16 and block == 0 else 1
            y = layers.ReLU()(convolution(x, filters, strides))
            y = convolution(y, filters)
            if strides == 2:  # the shortcut A: subsampled, padded with zeros
                x = layers.AveragePooling2D(1, 2)(x)
                x = layers.Concatenate()([x, layers.Rescaling(0.0)(x)])
            x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(10, "softmax")(x))
