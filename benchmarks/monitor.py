"""What GradientNormMonitor costs a training step, beside what people use instead.

Run with `KERAS_BACKEND=tensorflow|jax|torch python benchmarks/monitor.py`. In one
process the ways to train take turns, an epoch each, many rounds; the number is the
median over rounds of a way's time in a round over the plain time in the same round,
with all that a callback does at the begin and the end of an epoch and of a training.
"plain, again" is plain training measured as if it were one of the ways: what it is away
from 1 is noise.
"""

import argparse
import json
import statistics
import tempfile
import time
from typing import Any

import keras
import numpy as np
from keras import layers

from dlkeras.callbacks import GradientNormMonitor

BACKEND = keras.backend.backend()


def mlp():
    hidden = [
        layers.Dense(100, "relu", kernel_initializer="he_normal") for _ in range(20)
    ]
    return keras.Sequential([keras.Input((100,)), *hidden, layers.Dense(10)])


def lenet5():
    return keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            layers.Conv2D(6, 5, activation="tanh"),
            layers.AveragePooling2D(2),
            layers.Conv2D(16, 5, activation="tanh"),
            layers.AveragePooling2D(2),
            layers.Conv2D(120, 5, activation="tanh"),
            layers.Flatten(),
            layers.Dense(84, "tanh"),
            layers.Dense(10),
        ]
    )


def resnet20():
    inputs = keras.Input((32, 32, 3))

    def convolution(x, filters, stride=1):
        x = layers.Conv2D(filters, 3, stride, "same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    x = layers.ReLU()(convolution(inputs, 16))
    for filters in (16, 32, 64):
        for block in range(3):
            stride = 2 if filters > 16 and block == 0 else 1
            y = layers.ReLU()(convolution(x, filters, stride))
            y = convolution(y, filters)
            if stride == 2:
                x = layers.MaxPooling2D(1, 2)(x)
                x = layers.Concatenate()([x, x * 0.0])
            x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10)(x))


class SecondTape(keras.callbacks.Callback):
    """The usual way in forums: compute the gradients again in a compiled function."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y)

    def set_model(self, model):
        super().set_model(model)
        import tensorflow as tf

        @tf.function
        def norms():
            with tf.GradientTape() as tape:
                loss = model.loss(self.y, model(self.x, training=True))
            return [tf.norm(g) for g in tape.gradient(loss, model.trainable_weights)]

        self.norms = norms

    def on_train_batch_end(self, batch, logs=None):
        self.norms()


class HookedSGD(keras.optimizers.SGD):
    """Eager hooks: the norm of every gradient, as it passes, read at once."""

    def apply(self, grads, trainable_variables=None):
        norm: Any = keras.ops.norm
        grads = list(grads)
        self.norms = [float(norm(keras.ops.reshape(g, [-1]))) for g in grads]
        return super().apply(grads, trainable_variables)


def compiled(make, optimizer=keras.optimizers.SGD, **options):
    keras.utils.set_random_seed(0)
    model = make()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer(1e-3, momentum=0.9), loss, **options)
    return model


def ways(make, x, y, batch, only_monitor):
    """Each way's model and callbacks, and the monitors."""
    model = compiled(make)
    monitors = {
        "norms alone, 1": GradientNormMonitor(
            1, on_finding=None, quantities=["gradient_norm"]
        ),
        "monitor, 1": GradientNormMonitor(1, on_finding=None),
        "monitor, auto": GradientNormMonitor("auto", on_finding=None),
    }
    found = {"plain": (model, []), "plain, again": (model, [])}
    for way, monitor in monitors.items():
        found[way] = model, [monitor]
    if BACKEND == "tensorflow" and not only_monitor:
        found["second tape"] = model, [SecondTape(x[:batch], y[:batch])]
        histograms = keras.callbacks.TensorBoard(tempfile.mkdtemp(), histogram_freq=1)
        found["TensorBoard histograms"] = model, [histograms]
        found["eager hooks"] = compiled(make, HookedSGD, run_eagerly=True), []
    return found, monitors


def measure(name, make, shape, batch, steps, rounds, only_monitor):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch * steps, *shape)).astype("float32")
    y = rng.integers(0, 10, batch * steps)
    found, monitors = ways(make, x, y, batch, only_monitor)
    seconds = {way: [] for way in found}

    def fit(way):
        model, callbacks = found[way]
        model.fit(x, y, batch_size=batch, verbose=0, callbacks=list(callbacks))

    for way in found:
        fit(way)  # compiles; "auto" settles
    for number in range(rounds):
        turn = list(found)
        for way in turn if number % 2 else reversed(turn):
            start = time.perf_counter()
            fit(way)
            seconds[way].append(time.perf_counter() - start)
    plain = seconds["plain"]
    ratios = {
        way: round(
            statistics.median(t / p for t, p in zip(times, plain, strict=True)), 3
        )
        for way, times in seconds.items()
        if way != "plain"
    }
    return {
        "backend": BACKEND,
        "network": name,
        "plain_ms_a_step": round(1e3 * min(plain) / steps, 3),
        "auto_every": monitors["monitor, auto"].history.sampled_every,
        **ratios,
    }


NETWORKS = {
    "mlp": (mlp, (100,), 128, 300),
    "lenet5": (lenet5, (32, 32, 1), 64, 120),
    "resnet20": (resnet20, (32, 32, 3), 32, 15),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only-monitor", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.networks:
        make, shape, batch, steps = NETWORKS[name]
        found = measure(
            name, make, shape, batch, steps, arguments.rounds, arguments.only_monitor
        )
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
