"""Networks that are known to be sick or healthy, with the name of the sickness."""

import keras
import numpy as np
from keras import layers

from dlkeras.callbacks import ActivationMonitor, GradientNormMonitor, diagnose

NORMAL = keras.initializers.RandomNormal(stddev=1.0)


def plain(depth, activation, initializer, width=100, leaky=False):
    hidden = []
    for _ in range(depth):
        hidden.append(
            layers.Dense(
                width,
                None if leaky else activation,
                kernel_initializer=keras.initializers.get(initializer).clone(),
            )
        )
        if leaky:
            hidden.append(layers.LeakyReLU(negative_slope=0.01))
    return keras.Sequential([keras.Input((32,)), *hidden, layers.Dense(10)])


def deep(depth, width, skip):
    """ReLU layers with Keras's default initializer, with or without skips."""
    inputs = keras.Input((32,))
    x = layers.Dense(width, "relu")(inputs)
    for _ in range((depth - 2) // 2):
        y = layers.Dense(width, "relu")(x)
        y = layers.Dense(width, use_bias=not skip)(y)
        if skip:
            y = layers.BatchNormalization()(y)
        x = layers.ReLU()(layers.Add()([x, y]) if skip else y)
    return keras.Model(inputs, layers.Dense(10)(x))


# Each: the network, the optimizer, and the names of which at least one must be found;
# healthy networks have none, and no error is to be found.
CASES = {
    "sigmoid with N(0, 1)": (
        lambda: plain(20, "sigmoid", NORMAL),
        lambda: keras.optimizers.SGD(0.1),
        {"saturation"},
    ),
    "sigmoid with Glorot": (
        lambda: plain(20, "sigmoid", "glorot_uniform"),
        lambda: keras.optimizers.SGD(0.1),
        {"vanishing_gradient"},
    ),
    "tanh with N(0, 1)": (
        lambda: plain(20, "tanh", NORMAL),
        lambda: keras.optimizers.SGD(0.1),
        {"saturation", "exploding_gradient"},
    ),
    "ReLU with N(0, 1)": (
        lambda: plain(20, "relu", NORMAL),
        lambda: keras.optimizers.SGD(0.01),
        {"non_finite"},
    ),
    "ReLU at a rate that kills": (
        lambda: plain(5, "relu", "he_normal"),
        lambda: keras.optimizers.Adam(1.0),
        {"dead_relu"},
    ),
    "a rate of 1e-6": (
        lambda: plain(20, "relu", "he_normal"),
        lambda: keras.optimizers.SGD(1e-6),
        {"update_ratio_small"},
    ),
    "plain, 56 layers": (
        lambda: deep(56, 64, skip=False),
        lambda: keras.optimizers.SGD(0.01),
        {"vanishing_gradient"},
    ),
    "tanh with Xavier": (
        lambda: plain(20, "tanh", "glorot_normal"),
        lambda: keras.optimizers.SGD(0.02),
        set(),
    ),
    "ReLU with He": (
        lambda: plain(20, "relu", "he_normal"),
        lambda: keras.optimizers.SGD(0.01),
        set(),
    ),
    "residual, 56 layers": (
        lambda: deep(56, 64, skip=True),
        lambda: keras.optimizers.SGD(0.01),
        set(),
    ),
}
# The same rate as above: diverges, but its units cannot die.
LEAKY = (
    lambda: plain(5, None, "he_normal", leaky=True),
    lambda: keras.optimizers.Adam(1.0),
    {"learning_rate_too_large"},
)


def clusters(seed):
    """Ten clouds of points, as images or sensors give them: standardised."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 10, 512)
    x = rng.normal(size=(10, 32))[y] + rng.normal(size=(512, 32))
    return ((x - x.mean(0)) / x.std(0)).astype("float32"), y


def findings_of(case, seed, epochs=3):
    """Train and diagnose."""
    make, optimizer, _ = case
    keras.utils.set_random_seed(seed)
    model, (x, y) = make(), clusters(seed)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer(), loss)
    gradients = GradientNormMonitor(frequency=1, on_finding=None)
    activations = ActivationMonitor(x[:256], on_finding=None)
    model.fit(
        x, y, batch_size=64, epochs=epochs, verbose=0,
        callbacks=[gradients, activations],
    )  # fmt: skip
    assert gradients.reason is None and activations.reason is None
    return diagnose(gradients, activations)


def errors(findings):
    return {finding.name for finding in findings if finding.severity == "error"}
