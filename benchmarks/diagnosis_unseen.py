"""Healthy trainings that were written after the rules: none of them chose a bound.

As in `diagnosis_healthy`, each returns a compiled model, the data and the options.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from diagnosis_tasks import blobs, cancer, diabetes, digits, moons, plane, rare, stripes
from keras import layers, ops

Training = tuple[Any, Any, Any, dict]
SPARSE = "sparse_categorical_crossentropy"
Adam = keras.optimizers.Adam


def compiled(inputs: Any, outputs: Any, optimizer: Any, loss: Any, **more: Any) -> Any:
    model = keras.Model(inputs, outputs)
    model.compile(optimizer, loss, **more)
    return model


def small_transformer(seed: int) -> Training:
    """Says the next letter: the one before it and the one of three places ago."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, 8, (256, 13))
    for place in range(3, 13):
        tokens[:, place] = (tokens[:, place - 1] + tokens[:, place - 3]) % 8
    inputs = keras.Input((12,), dtype="int32")
    x = layers.Embedding(8, 32)(inputs) + layers.Embedding(12, 32)(ops.arange(12))
    for _ in range(2):
        normed = layers.LayerNormalization()(x)
        attention = layers.MultiHeadAttention(4, 8, dropout=0.05)
        x = x + attention(normed, normed, use_causal_mask=True)
        normed = layers.LayerNormalization()(x)
        x = x + layers.Dense(32)(layers.Dense(64, "gelu")(normed))
    logits = layers.Dense(8)(layers.LayerNormalization()(x))
    rate = keras.optimizers.schedules.CosineDecay(0.0, 200, 0.05, "c", 5e-3, 20)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = compiled(inputs, logits, keras.optimizers.AdamW(rate), loss)
    return model, tokens[:, :-1], tokens[:, 1:], {"epochs": 25}


def siamese(seed: int) -> Training:
    """Pairs of the same class lie close, others at least 1 apart."""
    r, rng = blobs(seed), np.random.default_rng(seed)
    first, second = rng.integers(0, 300, (2, 400))
    body = keras.Sequential([layers.Dense(16, "relu"), layers.Dense(2)])
    pair = [keras.Input((8,)), keras.Input((8,))]
    gap = body(pair[0]) - body(pair[1])
    distance = ops.sqrt(ops.sum(ops.square(gap), -1, keepdims=True) + 1e-6)

    def contrastive(same: Any, distance: Any) -> Any:
        apart = ops.square(ops.maximum(1 - distance, 0))
        return ops.mean(same * ops.square(distance) + (1 - same) * apart)

    y = (r.y[first] == r.y[second]).astype("float32")[:, None]
    model = compiled(pair, distance, Adam(3e-3), contrastive)
    return model, [r.x[first], r.x[second]], y, {"epochs": 15}


def huge_targets_standardised(seed: int) -> Training:
    r = plane(seed)
    y = 4e6 + 9e5 * r.y
    y = (y - y.mean()) / y.std()
    inputs = keras.Input((8,))
    outputs = layers.Dense(1)(layers.Dense(32, "relu")(inputs))
    model = compiled(inputs, outputs, Adam(3e-3), "mse", metrics=["mae"])
    return model, r.x, y, {"epochs": 30}


class Adversaries(keras.Model):
    """A GAN in one step: each network falls on its own loss, the other held still."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = keras.Sequential([layers.Dense(16, "relu"), layers.Dense(2)])
        self.hidden, self.score = layers.Dense(16), layers.Dense(1)

    def call(self, x: Any) -> Any:
        return self.critic(self.generator(x))

    def critic(self, x: Any) -> Any:
        return self.score(ops.leaky_relu(self.hidden(x)))

    def held_critic(self, x: Any) -> Any:
        for layer in (self.hidden, self.score):
            kernel, bias = map(ops.stop_gradient, (layer.kernel, layer.bias))
            x = ops.matmul(x, kernel) + bias
            x = ops.leaky_relu(x) if layer is self.hidden else x
        return x

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **more):
        fake, real = self.generator(x), ops.cast(y, "float32")
        found = ops.softplus(self.critic(ops.stop_gradient(fake)))
        found = ops.mean(found + ops.softplus(-self.critic(real)))
        return found + ops.mean(ops.softplus(-self.held_critic(fake)))


def gan(seed: int) -> Training:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(300, 2)).astype("float32")
    real = rng.normal(2.0, 0.5, (300, 2)).astype("float32")
    model = Adversaries()
    model.compile(Adam(1e-3, beta_1=0.5))
    return model, x, real, {"epochs": 15}


class Sampling(layers.Layer):
    """Draws a code, and adds its divergence from the normal distribution."""

    def __init__(self) -> None:
        super().__init__()
        self.seeds = keras.random.SeedGenerator(1)

    def call(self, pair: Any) -> Any:
        mean, log = pair
        divergence = ops.mean(ops.exp(log) + ops.square(mean) - 1 - log) / 2
        self.add_loss(0.02 * divergence)
        noise = keras.random.normal(ops.shape(mean), seed=self.seeds)
        return mean + ops.exp(log / 2) * noise


def variational_autoencoder(seed: int) -> Training:
    x = digits(seed).x
    inputs = keras.Input((64,))
    hidden = layers.Dense(32, "relu")(inputs)
    code = Sampling()([layers.Dense(4)(hidden), layers.Dense(4)(hidden)])
    outputs = layers.Dense(64, "sigmoid")(layers.Dense(32, "relu")(code))
    model = compiled(inputs, outputs, Adam(5e-3), "binary_crossentropy")
    return model, x, x, {"epochs": 15}


def frozen_backbone(seed: int) -> Training:
    """A convolution that has learned the first four bars; a head for all eight."""
    r = stripes(seed)
    base = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
        ]
    )
    teacher = keras.Sequential([base, layers.Dense(4, "softmax")])
    teacher.compile(Adam(0.01), SPARSE)
    known = r.y < 4
    teacher.fit(r.x[known], r.y[known], epochs=5, verbose=0)
    base.trainable = False
    inputs = keras.Input((8, 8, 1))
    x = layers.Dropout(0.2)(base(inputs, training=False))
    model = compiled(inputs, layers.Dense(8, "softmax")(x), Adam(0.01), SPARSE)
    return model, r.x, r.y, {"epochs": 10, "validation_split": 0.2}


def fine_tuning(seed: int) -> Training:
    """What has learned already, with a small learning rate and nearly nothing to do."""
    r = digits(seed)
    inputs = keras.Input((64,))
    hidden = layers.Dense(48, "relu")(inputs)
    outputs = layers.Dense(10, "softmax")(hidden)
    model = compiled(inputs, outputs, Adam(0.01), SPARSE, metrics=["accuracy"])
    model.fit(r.x, r.y, epochs=8, verbose=0)
    model.compile(Adam(1e-4), SPARSE, metrics=["accuracy"])
    return model, r.x, r.y, {"epochs": 6}


def factorisation(seed: int) -> Training:
    """How users like items: the product of two embeddings, and a mean."""
    rng = np.random.default_rng(seed)
    user, item = rng.integers(0, 30, 600), rng.integers(0, 40, 600)
    tastes, kinds = rng.normal(size=(30, 2)), rng.normal(size=(40, 2))
    stars = np.clip(3 + (tastes[user] * kinds[item]).sum(1), 1, 5)[:, None]
    pair = [keras.Input((1,), dtype="int32"), keras.Input((1,), dtype="int32")]
    vectors = [layers.Flatten()(layers.Embedding(n, 4)(p)) for n, p in
               zip((30, 40), pair, strict=True)]  # fmt: skip
    outputs = layers.Dense(1)(layers.Dot(1)(vectors))
    model = compiled(pair, outputs, Adam(0.03), "mse")
    return model, [user[:, None], item[:, None]], stars, {"epochs": 30}


def ten_rows(seed: int) -> Training:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(10, 3)).astype("float32")
    y = (2 * x[:, :1] - x[:, 1:2]).astype("float32")
    inputs = keras.Input((3,))
    model = compiled(inputs, layers.Dense(1)(inputs), Adam(0.02), "mse")
    return model, x, y, {"epochs": 120}


def float16(seed: int) -> Training:
    """Half precision with a loss scale that is found by trying."""
    r = digits(seed)
    inputs = keras.Input((64,))
    x = layers.Dense(48, "relu", dtype="mixed_float16")(inputs)
    outputs = layers.Dense(10, "softmax", dtype="float32")(x)
    scaled = keras.optimizers.LossScaleOptimizer(Adam(5e-3))
    model = compiled(inputs, outputs, scaled, SPARSE, metrics=["accuracy"])
    return model, r.x, r.y, {"epochs": 12}


def depthwise(seed: int) -> Training:
    r = stripes(seed)
    inputs = x = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
    for _ in range(2):
        x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
        x = layers.SeparableConv2D(16, 3, padding="same", use_bias=False)(x)
    x = layers.Flatten()(layers.ReLU(6.0)(layers.BatchNormalization()(x)))
    model = compiled(inputs, layers.Dense(8, "softmax")(x), Adam(5e-3), SPARSE)
    return model, r.x, r.y, {"epochs": 10}


def signals(seed: int) -> Training:
    """Two frequencies in noise, for convolutions over time."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, 300)
    phase = rng.uniform(0, 6, (300, 1))
    x = np.sin(phase + np.arange(32) * np.where(y, 0.5, 0.9)[:, None])
    x = (x + 0.3 * rng.normal(size=x.shape)).astype("float32")[..., None]
    inputs = keras.Input((32, 1))
    hidden = layers.Conv1D(8, 5, activation="relu")(inputs)
    hidden = layers.Conv1D(8, 5, activation="relu", strides=2)(hidden)
    hidden = layers.GlobalMaxPooling1D()(hidden)
    outputs = layers.Dense(1, "sigmoid")(hidden)
    model = compiled(inputs, outputs, Adam(0.01), "binary_crossentropy")
    return model, x, y, {"epochs": 15}


def masked_words(seed: int) -> Training:
    """Sentences of several lengths, filled up with 0."""
    rng = np.random.default_rng(seed)
    x = rng.integers(1, 20, (300, 10))
    x[np.arange(10) >= rng.integers(3, 11, (300, 1))] = 0
    y = (x == 7).any(1).astype(int) + (x == 11).any(1)
    inputs = keras.Input((10,), dtype="int32")
    hidden = layers.Embedding(20, 8, mask_zero=True)(inputs)
    hidden = layers.Bidirectional(layers.LSTM(12))(hidden)
    outputs = layers.Dense(3, "softmax")(hidden)
    model = compiled(inputs, outputs, Adam(0.02), SPARSE, metrics=["accuracy"])
    return model, x, y, {"epochs": 10}


def u_net(seed: int) -> Training:
    r = stripes(seed)
    y = (r.x > 0.5).astype("float32")
    inputs = keras.Input((8, 8, 1))
    wide = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    deep = layers.MaxPooling2D()(wide)
    deep = layers.Conv2D(16, 3, padding="same", activation="relu")(deep)
    up = layers.Conv2DTranspose(8, 2, strides=2)(deep)
    both = layers.Concatenate()([wide, up])
    outputs = layers.Conv2D(1, 1, activation="sigmoid")(both)
    model = compiled(inputs, outputs, Adam(0.01), "binary_crossentropy")
    return model, r.x, y, {"epochs": 8}


def many_tags(seed: int) -> Training:
    """40 tags, two or so of each example: most answers are no."""
    rng = np.random.default_rng(seed)
    topics = rng.integers(0, 20, 400)
    x = np.eye(20)[topics] + 0.1 * rng.normal(size=(400, 20))
    table = rng.uniform(size=(20, 40)) < 0.06
    inputs = keras.Input((20,))
    outputs = layers.Dense(40, "sigmoid")(layers.Dense(32, "relu")(inputs))
    model = compiled(inputs, outputs, Adam(0.02), "binary_crossentropy")
    return model, x.astype("float32"), table[topics].astype("float32"), {"epochs": 20}


def directions(seed: int) -> Training:
    """The cosine of two vectors, which is -1 at best."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(300, 6)).astype("float32")
    inputs = keras.Input((6,))
    outputs = layers.UnitNormalization()(layers.Dense(4)(inputs))
    y = x @ rng.normal(size=(6, 4)).astype("float32")
    model = compiled(inputs, outputs, Adam(0.01), "cosine_similarity")
    return model, x, y, {"epochs": 15}


def distillation(seed: int) -> Training:
    """The soft answers of a teacher."""
    r = blobs(seed)
    scores = r.x @ np.random.default_rng(seed).normal(size=(8, 3))
    soft = np.exp(scores / 2)
    soft = (soft / soft.sum(1, keepdims=True)).astype("float32")
    inputs = keras.Input((8,))
    outputs = layers.Dense(3, "softmax")(layers.Dense(16, "relu")(inputs))
    model = compiled(inputs, outputs, Adam(0.01), "kl_divergence")
    return model, r.x, soft, {"epochs": 20}


def likelihood(seed: int) -> Training:
    """A mean and a spread: the negative log-likelihood falls below 0."""
    r = plane(seed)
    inputs = keras.Input((8,))
    outputs = layers.Dense(2)(layers.Dense(32, "tanh")(inputs))

    def normal(y: Any, made: Any) -> Any:
        mean, log = made[:, :1], ops.clip(made[:, 1:], -3, 3)
        return ops.mean(log + ops.square(y - mean) * ops.exp(-2 * log) / 2)

    model = compiled(inputs, outputs, Adam(0.01), normal)
    return model, r.x, 0.1 * r.y, {"epochs": 25}


def echo(seed: int) -> Training:
    """A sequence is read, kept in one vector, and said again."""
    rng = np.random.default_rng(seed)
    x = np.eye(4)[rng.integers(0, 4, (300, 5))].astype("float32")
    inputs = keras.Input((5, 4))
    hidden = layers.RepeatVector(5)(layers.GRU(32)(inputs))
    hidden = layers.GRU(32, return_sequences=True)(hidden)
    outputs = layers.TimeDistributed(layers.Dense(4, "softmax"))(hidden)
    model = compiled(inputs, outputs, Adam(0.02), "categorical_crossentropy")
    return model, x, x, {"epochs": 20}


def focal(seed: int) -> Training:
    r = rare(seed)
    inputs = keras.Input((6,))
    outputs = layers.Dense(1, "sigmoid")(layers.Dense(16, "relu")(inputs))
    loss = keras.losses.BinaryFocalCrossentropy(apply_class_balancing=True, alpha=0.9)
    metrics = [keras.metrics.AUC()]
    model = compiled(inputs, outputs, Adam(0.01), loss, metrics=metrics)
    return model, r.x, r.y, {"epochs": 15}


def wide_and_deep(seed: int) -> Training:
    """Two inputs by name: numbers, and a category."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(400, 4)).astype("float32")
    group = rng.integers(0, 5, (400, 1))
    y = (numbers[:, 0] + (group[:, 0] - 2) > 0).astype(int)
    inputs = {
        "numbers": keras.Input((4,), name="numbers"),
        "group": keras.Input((1,), dtype="int32", name="group"),
    }
    deep = layers.Dense(16, "relu")(inputs["numbers"])
    wide = layers.Flatten()(layers.Embedding(5, 2)(inputs["group"]))
    outputs = layers.Dense(1, "sigmoid")(layers.Concatenate()([deep, wide]))
    loss = "binary_crossentropy"
    model = compiled(inputs, outputs, Adam(0.01), loss, metrics=["accuracy"])
    return model, {"numbers": numbers, "group": group}, y, {"epochs": 15}


def regularised(seed: int) -> Training:
    r = digits(seed)
    decay = keras.regularizers.L2(1e-3)
    inputs = keras.Input((64,))
    hidden = layers.Dense(64, "relu", kernel_regularizer=decay)(inputs)
    hidden = layers.Dropout(0.3)(hidden)
    outputs = layers.Dense(10, "softmax", kernel_regularizer=decay)(hidden)
    model = compiled(inputs, outputs, Adam(3e-3), SPARSE, metrics=["accuracy"])
    stop = keras.callbacks.EarlyStopping(patience=8, restore_best_weights=True)
    options = {"epochs": 30, "validation_split": 0.2, "callbacks": [stop]}
    return model, r.x, r.y, options


def denoising(seed: int) -> Training:
    r, rng = stripes(seed), np.random.default_rng(seed)
    clean = (r.x > 0.5).astype("float32")
    inputs = keras.Input((8, 8, 1))
    hidden = layers.Conv2D(8, 3, strides=2, padding="same", activation="elu")(inputs)
    hidden = layers.Conv2DTranspose(8, 3, strides=2, padding="same")(hidden)
    outputs = layers.Conv2D(1, 3, padding="same")(layers.ELU()(hidden))
    model = compiled(inputs, outputs, Adam(5e-3), "mse")
    noisy = (clean + 0.5 * rng.normal(size=clean.shape)).astype("float32")
    return model, noisy, clean, {"epochs": 12}


def one_epoch(seed: int) -> Training:
    """One pass over more data, as large models are trained."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(4000, 8)).astype("float32")
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    inputs = keras.Input((8,))
    hidden = layers.Dense(32, "relu")(layers.Dense(32, "relu")(inputs))
    outputs = layers.Dense(1, "sigmoid")(hidden)
    loss = "binary_crossentropy"
    model = compiled(inputs, outputs, Adam(0.01), loss, metrics=["accuracy"])
    return model, x, y, {"epochs": 1}


def plateau(seed: int) -> Training:
    r = diabetes(seed)
    inputs = keras.Input((10,))
    outputs = layers.Dense(1)(layers.Dense(16, "tanh")(inputs))
    model = compiled(inputs, outputs, keras.optimizers.SGD(0.05), "huber")
    lower = keras.callbacks.ReduceLROnPlateau(monitor="loss", patience=3)
    return model, r.x, r.y, {"epochs": 40, "callbacks": [lower]}


def hinge_margin(seed: int) -> Training:
    """A linear support vector machine."""
    r = cancer(seed)
    inputs = keras.Input(r.x.shape[1:])
    decay = keras.regularizers.L2(1e-3)
    outputs = layers.Dense(1, kernel_regularizer=decay)(inputs)
    sgd = keras.optimizers.SGD(0.02)
    model = compiled(inputs, outputs, sgd, "squared_hinge")
    return model, r.x, 2.0 * r.y[:, None] - 1, {"epochs": 20}


def radial(seed: int) -> Training:
    """Distances to centres that are trained, and a line through them."""
    r = moons(seed)
    inputs = keras.Input((2,))
    centres = layers.Dense(24, activation="silu")(inputs)
    centres = layers.GroupNormalization(4)(centres)
    outputs = layers.Dense(1, "sigmoid")(centres)
    model = compiled(inputs, outputs, keras.optimizers.Nadam(0.02), r.loss)
    return model, r.x, r.y, {"epochs": 25}


UNSEEN: dict[str, Callable[[int], Training]] = {
    make.__name__.replace("_", " "): make
    for make in (
        small_transformer, siamese, huge_targets_standardised, gan,
        variational_autoencoder, frozen_backbone, fine_tuning, factorisation, ten_rows,
        float16, depthwise, signals, masked_words, u_net, many_tags, directions,
        distillation, likelihood, echo, focal, wide_and_deep, regularised, denoising,
        one_epoch, plateau, hinge_margin, radial,
    )
}  # fmt: skip
