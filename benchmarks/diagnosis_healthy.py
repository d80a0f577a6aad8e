"""Healthy trainings of many kinds: none of them may hear a warning.

Each returns what `fit` needs: a compiled model, the data and the options.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from diagnosis_tasks import (
    blobs,
    cancer,
    dense,
    diabetes,
    digits,
    moons,
    plane,
    rare,
    several,
    stripes,
)
from keras import layers, ops
from sklearn import datasets

Training = tuple[Any, Any, Any, dict]
SPARSE = "sparse_categorical_crossentropy"


def of_recipe(make: Callable, **changes: Any) -> Callable[[int], Training]:
    """A recipe as it is, or with something else that is as good."""
    from dataclasses import replace

    def training(seed: int) -> Training:
        recipe = replace(make(seed), **changes)
        options = {"batch_size": recipe.batch, "epochs": recipe.epochs, **recipe.fit}
        return recipe.model(), recipe.x, recipe.y, options

    return training


def network(parts: list, x: Any, y: Any, optimizer: Any, loss: Any, **fit: Any):
    model = keras.Sequential([keras.Input(x.shape[1:]), *parts])
    model.compile(optimizer, loss, metrics=["accuracy"] if loss == SPARSE else [])
    return model, x, y, {"epochs": 12, "batch_size": 32, **fit}


def iris(seed: int) -> Training:
    x, y = datasets.load_iris(return_X_y=True)
    parts = [layers.Dense(10, "relu"), layers.Dense(10, "relu")]
    parts.append(layers.Dense(3, "softmax"))
    adam = keras.optimizers.Adam(0.01)
    return network(parts, x.astype("float32"), y, adam, SPARSE, epochs=40)


def normalised(seed: int) -> Training:
    r = stripes(seed)
    parts: list = []
    for filters in (8, 16):
        parts += [layers.Conv2D(filters, 3, padding="same", use_bias=False)]
        parts += [layers.BatchNormalization(), layers.ReLU()]
    parts += [layers.GlobalAveragePooling2D(), layers.Dense(8, "softmax")]
    return network(parts, r.x, r.y, keras.optimizers.Adam(0.02), SPARSE, epochs=15)


def pixels_rescaled(seed: int) -> Training:
    r = digits(seed)
    parts = [layers.Rescaling(1 / 255), layers.Dense(32, "relu")]
    parts.append(layers.Dense(10, "softmax"))
    x = np.round(r.x * 255)
    return network(parts, x, r.y, keras.optimizers.Adam(0.01), SPARSE)


def pixels_learned_anyway(seed: int) -> Training:
    """Adam gets along with digits of 0 to 16."""
    r = digits(seed)
    parts = [layers.Dense(64, "relu"), layers.Dense(10, "softmax")]
    return network(parts, 16 * r.x, r.y, keras.optimizers.Adam(3e-3), SPARSE)


def sequences(seed: int):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 20, (400, 12))
    return x, (x[:, :6].sum(1) > x[:, 6:].sum(1)).astype(int)


def gru(seed: int) -> Training:
    x, y = sequences(seed)
    parts = [layers.Embedding(20, 8), layers.GRU(16), layers.Dense(1, "sigmoid")]
    return network(parts, x, y, keras.optimizers.Adam(0.02), "binary_crossentropy")


def lstm(seed: int) -> Training:
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.normal(size=(300, 10, 2)), 1).astype("float32") / 3
    parts = [layers.LSTM(16), layers.Dense(1)]
    return network(parts, x, x[:, -1, :1], keras.optimizers.Adam(0.01), "mse")


def attention(seed: int) -> Training:
    tokens, y = sequences(seed)
    inputs = keras.Input((12,), dtype="int32")
    x = layers.Embedding(20, 16)(inputs) + layers.Embedding(12, 16)(ops.arange(12))
    x = x + layers.MultiHeadAttention(2, 8)(x, x)
    x = layers.LayerNormalization()(x)
    x = x + layers.Dense(16)(layers.Dense(32, "gelu")(x))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(3e-3), loss, metrics=["accuracy"])
    return model, tokens, y, {"epochs": 12}


def autoencoder(seed: int) -> Training:
    x = digits(seed).x
    parts = [layers.Dense(32, "relu"), layers.Dense(8, "relu")]
    parts += [layers.Dense(32, "relu"), layers.Dense(64, "sigmoid")]
    return network(parts, x, x, keras.optimizers.Adam(0.01), "mse", epochs=20)


def linear_autoencoder(seed: int) -> Training:
    """Principal components: linear on purpose."""
    x = digits(seed).x
    x = x - x.mean(0)
    parts = [layers.Dense(8), layers.Dense(64)]
    return network(parts, x, x, keras.optimizers.Adam(0.01), "mse", epochs=15)


def binary_autoencoder(seed: int) -> Training:
    x = digits(seed).x
    parts = [layers.Dense(24, "relu"), layers.Dense(64, "sigmoid")]
    return network(parts, x, x, keras.optimizers.Adam(0.01), "binary_crossentropy")


def linear_regression(seed: int) -> Training:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(256, 4)).astype("float32")
    sgd = keras.optimizers.SGD(0.05)
    return network([layers.Dense(1)], x, x @ rng.normal(size=(4, 1)), sgd, "mse")


def noisy_regression(seed: int) -> Training:
    """Half of the spread is noise that nobody can learn."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(400, 4)).astype("float32")
    y = x[:, :1] + rng.normal(size=(400, 1))
    parts = [layers.Dense(16, "tanh"), layers.Dense(1)]
    return network(parts, x, y, keras.optimizers.Adam(3e-3), "mse", epochs=20)


def softplus_counts(seed: int) -> Training:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(400, 4)).astype("float32")
    y = rng.poisson(np.exp(0.5 * x[:, :1] + 1))
    parts = [layers.Dense(16, "relu"), layers.Dense(1, "exponential")]
    return network(parts, x, y, keras.optimizers.Adam(0.01), "poisson")


def transfer(seed: int) -> Training:
    r = digits(seed)
    base = keras.Sequential([keras.Input((64,)), layers.Dense(128, "relu")])
    base.trainable = False
    parts = [base, layers.Dropout(0.2), layers.Dense(10, "softmax")]
    return network(parts, r.x, r.y, keras.optimizers.Adam(0.01), SPARSE, epochs=20)


def bfloat16(seed: int) -> Training:
    r = digits(seed)
    parts = [layers.Dense(64, "relu", dtype="mixed_bfloat16")]
    parts.append(layers.Dense(10, "softmax", dtype="float32"))
    return network(parts, r.x, r.y, keras.optimizers.Adam(0.01), SPARSE)


def tiny(seed: int) -> Training:
    """XOR, 1,000 epochs of four examples."""
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
    parts = [layers.Dense(16, "tanh"), layers.Dense(1, "sigmoid")]
    adam, y = keras.optimizers.Adam(0.05), x[:, :1] != x[:, 1:]
    loss = "binary_crossentropy"
    return network(parts, x, y.astype("float32"), adam, loss, epochs=150)


def long_schedule(seed: int) -> Training:
    r = digits(seed)
    rate = keras.optimizers.schedules.CosineDecay(0.05, 40 * 19)
    sgd = keras.optimizers.SGD(rate, momentum=0.9)
    parts = [layers.Dense(32, "relu"), layers.Dense(10, "softmax")]
    held = {"validation_split": 0.2}
    return network(parts, r.x, r.y, sgd, SPARSE, epochs=40, **held)


class TwoModels(keras.Model):
    """A generator and a critic that train each other by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = keras.Sequential([layers.Dense(16, "relu"), layers.Dense(2)])
        self.critic = keras.Sequential([layers.Dense(16, "relu"), layers.Dense(1)])

    def call(self, x: Any) -> Any:
        return self.critic(self.generator(x))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **more):
        fake, real = self.generator(x), ops.cast(y, "float32")
        critic = ops.softplus(self.critic(fake)) + ops.softplus(-self.critic(real))
        return ops.mean(critic) + ops.mean(ops.square(ops.mean(fake, 0) - 1))


def two_models(seed: int) -> Training:
    rng = np.random.default_rng(seed)
    model = TwoModels()
    model.compile(keras.optimizers.Adam(3e-3))
    x, y = (rng.normal(size=(300, 2)).astype("float32") for _ in range(2))
    return model, x, 1 + y, {"epochs": 10}


class Own(keras.Model):
    """A subclassed model."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = layers.Dense(32), layers.Dense(10)

    def call(self, x: Any) -> Any:
        return ops.softmax(self.last(ops.relu(self.first(x))))


def subclassed(seed: int) -> Training:
    r, model = digits(seed), Own()
    model.compile(keras.optimizers.Adam(0.01), SPARSE, metrics=["accuracy"])
    return model, r.x, r.y, {"epochs": 12}


def two_answers(seed: int) -> Training:
    r = blobs(seed)
    inputs = keras.Input((8,))
    x = layers.Dense(32, "relu")(inputs)
    outputs = [layers.Dense(3, "softmax")(x), layers.Dense(1)(x)]
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.01), [SPARSE, "mse"])
    return model, r.x, [r.y, r.x[:, :1]], {"epochs": 15}


def residual(seed: int) -> Training:
    r = digits(seed)
    inputs = keras.Input((64,))
    x = layers.Dense(32, "relu")(inputs)
    for _ in range(6):
        y = layers.Dense(32, "relu")(x)
        y = layers.Dense(32, kernel_initializer="zeros")(y)
        x = layers.Add()([x, y])
    model = keras.Model(inputs, layers.Dense(10, "softmax")(x))
    model.compile(keras.optimizers.Adam(3e-3), SPARSE, metrics=["accuracy"])
    return model, r.x, r.y, {"epochs": 10}


def smoothed(seed: int) -> Training:
    r = digits(seed)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    parts = [layers.Dense(32, "relu"), layers.Dense(10, "softmax")]
    adam = keras.optimizers.Adam(0.01)
    return network(parts, r.x, np.eye(10)[r.y], adam, loss)


def weighted_classes(seed: int) -> Training:
    r = rare(seed)
    parts = [layers.Dense(16, "relu"), layers.Dense(1, "sigmoid")]
    loss, weights = "binary_crossentropy", {0: 0.5, 1: 25.0}
    return network(
        parts, r.x, r.y, keras.optimizers.Adam(0.01), loss, class_weight=weights
    )


def batches_of_one(seed: int) -> Training:
    r = plane(seed)
    parts = [layers.Dense(16, "tanh"), layers.Dense(1)]
    sgd = keras.optimizers.SGD(0.01)
    return network(parts, r.x[:150], r.y[:150], sgd, "mse", batch_size=1, epochs=6)


def segmentation(seed: int) -> Training:
    r = stripes(seed)
    y = (r.x[..., 0] > 0.5).astype(int)
    parts = [layers.Conv2D(8, 3, padding="same", activation="relu")]
    parts.append(layers.Conv2D(2, 1, activation="softmax"))
    return network(parts, r.x, y, keras.optimizers.Adam(0.02), SPARSE)


def own_loss(seed: int) -> Training:
    r = plane(seed)
    parts = [layers.Dense(32, "relu"), layers.Dense(1)]

    def pinball(y: Any, made: Any) -> Any:
        return ops.mean(ops.maximum(0.9 * (y - made), 0.1 * (made - y)))

    return network(parts, r.x, r.y, keras.optimizers.Adam(0.01), pinball)


def with_dropout(seed: int) -> Training:
    r = digits(seed)
    parts = [layers.Dense(128, "relu"), layers.Dropout(0.5)]
    parts.append(layers.Dense(10, "softmax"))
    options = {"validation_split": 0.2, "epochs": 20}
    return network(parts, r.x, r.y, keras.optimizers.Adam(3e-3), SPARSE, **options)


def hinge(seed: int) -> Training:
    r = cancer(seed)
    parts = [layers.Dense(16, "relu"), layers.Dense(1, "tanh")]
    return network(parts, r.x, 2.0 * r.y - 1, keras.optimizers.Adam(0.01), "hinge")


def scaled_targets(seed: int) -> Training:
    """Prices in thousands, with a rate that fits them."""
    r = plane(seed)
    parts = [layers.Dense(32, "relu"), layers.Dense(1)]
    adam = keras.optimizers.Adam(0.02)
    return network(parts, r.x, 20 + 10 * r.y, adam, "mae", epochs=40)


HEALTHY: dict[str, Callable[[int], Training]] = {
    "dense, digits": of_recipe(digits),
    "dense, moons": of_recipe(moons),
    "dense, breast cancer": of_recipe(cancer),
    "regression, diabetes": of_recipe(diabetes),
    "several labels": of_recipe(several),
    "2 % of one class, learned": of_recipe(rare),
    "convolution": of_recipe(stripes),
    "SGD with momentum": of_recipe(
        digits,
        optimizer=lambda rate: keras.optimizers.SGD(0.1, momentum=0.9),
    ),
    "RMSprop": of_recipe(blobs, optimizer=keras.optimizers.RMSprop),
    "Lion": of_recipe(
        digits, optimizer=lambda rate: keras.optimizers.Lion(1e-3), epochs=15
    ),
    "selu, twelve layers": of_recipe(
        digits, hidden=dense(*[32] * 12, activation="selu"), kernel="lecun_normal"
    ),
    "wide tanh": of_recipe(moons, hidden=dense(64, 64, activation="tanh")),
    **{
        make.__name__.replace("_", " "): make
        for make in (
            iris, normalised, pixels_rescaled, pixels_learned_anyway, gru, lstm,
            attention, autoencoder, linear_autoencoder, binary_autoencoder,
            linear_regression, noisy_regression, softplus_counts, transfer, bfloat16,
            tiny, long_schedule, two_models, subclassed, two_answers, residual,
            smoothed, weighted_classes, batches_of_one, segmentation, own_loss,
            with_dropout, hinge, scaled_targets,
        )
    },
}  # fmt: skip
