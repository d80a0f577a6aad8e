"""Networks that the bounds of `diagnose` were not chosen on, most of them healthy.

Many were accused falsely once: attention (the bias of its keys has no gradient),
dropout in a frozen part, the first steps of float16, a regression that has converged,
gates of four units, a loss of either sign.
"""

import keras
import numpy as np
from keras import layers, ops
from sick_networks import clusters

from dlkeras.callbacks import ActivationMonitor, GradientNormMonitor, diagnose


def watched(model, x, y, optimizer, loss=None, batch_size=32, epochs=3):
    """Train; all that was found while training and at its end."""
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    gradients = GradientNormMonitor(frequency=1, on_finding=None)
    activations = ActivationMonitor(x[:256], on_finding=None)
    model.fit(
        x, y, batch_size=batch_size, epochs=epochs, verbose=0,
        callbacks=[gradients, activations],
    )  # fmt: skip
    assert gradients.reason is None and activations.reason is None
    found = diagnose(gradients, activations)
    return [*found, *gradients.findings, *activations.findings]


def mlp(*hidden, inputs=32, outputs=10):
    return keras.Sequential([keras.Input((inputs,)), *hidden, layers.Dense(outputs)])


def dense(count, activation, units=64, **options):
    return [layers.Dense(units, activation, **options) for _ in range(count)]


def images(seed, samples=256):
    """8x8 pictures of a bar in one of ten places."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 10, samples)
    x = rng.uniform(0, 0.3, (samples, 8, 8, 1))
    for image, label in zip(x, y, strict=True):
        image[:, label % 8] += 0.7 * (1 if label < 8 else np.arange(8)[:, None] % 2)
    return x.astype("float32"), y


def sequences(seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 50, (256, 20))
    return x, (x[:, :10].sum(1) > x[:, 10:].sum(1)).astype(int)


def convolutional(seed):
    hidden = []
    for filters in (16, 32):
        hidden.append(layers.Conv2D(filters, 3, padding="same", use_bias=False))
        hidden += [layers.BatchNormalization(), layers.ReLU()]
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), *hidden, layers.Flatten(), layers.Dense(10)]
    )
    return watched(model, *images(seed), keras.optimizers.Adam(1e-3))


def transformer(seed):
    inputs = keras.Input((20,), dtype="int32")
    x = layers.Embedding(50, 32)(inputs) + layers.Embedding(20, 32)(ops.arange(20))
    for _ in range(2):
        y = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(4, 8)(y, y)
        y = layers.Dense(64, "gelu")(layers.LayerNormalization()(x))
        x = x + layers.Dense(32)(y)
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.01, global_clipnorm=1.0)
    model = keras.Model(inputs, layers.Dense(2)(x))
    return watched(model, *sequences(seed), optimizer)


def recurrent(seed):
    model = keras.Sequential(
        [layers.Embedding(50, 16), layers.GRU(32), layers.Dense(1, "sigmoid")]
    )
    rmsprop = keras.optimizers.RMSprop(1e-2)
    return watched(model, *sequences(seed), rmsprop, "binary_crossentropy")


def autoencoder(seed):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Flatten(),
            *dense(1, "relu", 64),
            *dense(1, "relu", 16),
            layers.Dense(64, "sigmoid"),
            layers.Reshape((8, 8, 1)),
        ]
    )
    x, _ = images(seed)
    adam = keras.optimizers.Adam(1e-2)
    return watched(model, x, x, adam, "binary_crossentropy", epochs=6)


def unscaled_targets(seed):
    x = np.random.default_rng(seed).normal(size=(512, 8)).astype("float32")
    model, adam = mlp(*dense(2, "relu"), inputs=8, outputs=1), "adam"
    return watched(model, x, 200_000 + 50_000 * x[:, :1], adam, "mse")


def batches_of_one(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(200, 8)).astype("float32")
    y = x @ rng.normal(size=(8, 1)) * 0.5 + 0.5 * rng.normal(size=(200, 1))
    model, sgd = mlp(*dense(1, "tanh"), inputs=8, outputs=1), keras.optimizers.SGD(1e-2)
    return watched(model, x, y, sgd, "mse", batch_size=1)


def converged(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(256, 4)).astype("float32")
    model, sgd = mlp(inputs=4, outputs=1), keras.optimizers.SGD(0.1)
    return watched(model, x, x @ rng.normal(size=(4, 1)), sgd, "mse", epochs=40)


def frozen_part(seed):
    part = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.RandomTranslation(0.1, 0.1),
            layers.Conv2D(16, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Flatten(),
        ]
    )
    part.trainable = False
    model = keras.Sequential([keras.Input((8, 8, 1)), part, layers.Dense(10)])
    return watched(model, *images(seed), keras.optimizers.Adam(1e-2))


def float16(seed):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        out = layers.Dense(1, dtype="float32")
        model = keras.Sequential([keras.Input((32,)), *dense(2, "relu"), out])
    finally:
        keras.config.set_dtype_policy("float32")
    x, y = clusters(seed)
    adam = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-2))
    return watched(model, 20 * x[:128], 10.0 * y[:128, None], adam, "mse", epochs=1)


def gates(seed):
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    for _ in range(2):
        y = layers.Conv2D(16, 3, padding="same", activation="swish")(x)
        gate = layers.Dense(4, "relu")(layers.GlobalAveragePooling2D()(y))
        x = x + y * layers.Reshape((1, 1, 16))(layers.Dense(16, "sigmoid")(gate))
    model = keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))
    return watched(model, *images(seed), keras.optimizers.Adam(3e-3))


def loss_of_either_sign(seed):
    x, y = clusters(seed)
    worth = np.random.default_rng(seed).normal(size=len(y))

    def policy(target, scores):
        chosen = ops.cast(target[:, :1], "int32")
        return -target[:, 1] * ops.take_along_axis(ops.softmax(scores), chosen, 1)[:, 0]

    y = np.stack([y, worth], 1).astype("float32")
    return watched(mlp(*dense(1, "tanh")), x, y, "adam", policy)


def self_normalizing(seed):
    hidden = dense(12, "selu", kernel_initializer="lecun_normal")
    return watched(mlp(*hidden), *clusters(seed), keras.optimizers.SGD(1e-2))


HEALTHY = (
    convolutional,
    transformer,
    recurrent,
    autoencoder,
    unscaled_targets,
    batches_of_one,
    converged,
    frozen_part,
    float16,
    gates,
    loss_of_either_sign,
    self_normalizing,
)


def unscaled_inputs(seed):
    x, y = clusters(seed)
    return watched(mlp(*dense(2, "tanh")), 100 * x, y, keras.optimizers.SGD(1e-2))


def deep_sigmoids(seed):
    return watched(mlp(*dense(12, "sigmoid")), *clusters(seed), "adam")


def cut_graph(seed):
    inputs = keras.Input((32,))
    x = layers.Activation(ops.stop_gradient)(layers.Dense(32, "relu")(inputs))
    model = keras.Model(inputs, layers.Dense(10)(layers.Dense(32, "relu")(x)))
    return watched(model, *clusters(seed), "adam")


def logarithm_of_zero(seed):
    x, _ = clusters(seed)
    model = mlp(*dense(1, "relu"), layers.Dense(1, "relu"), outputs=1)
    model.pop()
    sgd = keras.optimizers.SGD(1e-2)
    return watched(model, x, np.ones((512, 1)), sgd, lambda t, p: -t * ops.log(p))


def beyond_the_edge(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(256, 16)).astype("float32")
    model, sgd = mlp(inputs=16, outputs=1), keras.optimizers.SGD(1.2)
    return watched(model, x, x @ rng.normal(size=(16, 1)), sgd, "mse")


def biases_far_below_zero(seed):
    bias = keras.initializers.Constant(-10.0)
    model = mlp(*dense(1, "relu", bias_initializer=bias))
    return watched(model, *clusters(seed), keras.optimizers.SGD(1e-2))


SICK = {
    unscaled_inputs: "saturation",
    deep_sigmoids: "vanishing_gradient",
    cut_graph: "no_gradient",
    logarithm_of_zero: "non_finite",
    beyond_the_edge: "learning_rate_too_large",
    biases_far_below_zero: "dead_relu",
}
