"""What GradientNormMonitor costs a training step, beside what people use instead.

Run with `KERAS_BACKEND=tensorflow|jax|torch python benchmarks/monitor.py`. A monitor is
measured within one `fit`: blocks of steps with it and without it take turns, in an
order that changes from round to round; the number is the median over rounds of its
block's time over the plain block's, and, added to it, what it does between epochs as a
share of its steps' time. "plain, again" is plain training measured as if it were one of
the ways: what it is away from 1 is noise. "plain, directly" is a plain step called as
the monitor calls a measured one, which on TensorFlow is faster than Keras's way: what a
monitor costs beyond that is the measuring itself. The other ways take turns with plain
training a `fit` each, as their work lies in callbacks or in another optimizer; after
them plain training comes once more, for the same reason.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from typing import Any

import keras
import numpy as np
from keras import layers

from dlkeras.callbacks import GradientNormMonitor, backend

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


class CalledDirectly(keras.callbacks.Callback):
    """Calls steps as the monitor does, and measures nothing."""

    def on_train_begin(self, logs=None):
        model: Any = self._model
        model.train_function = backend.direct(
            model, model.train_step, model.train_function
        )


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


class Turns(keras.callbacks.Callback):
    """Lets several train functions take turns within one `fit`, a block each.

    Args:
        monitors: the callback of each way, None for a plain one.
        block: steps in a block.
    """

    def __init__(self, monitors, block):
        super().__init__()
        self.monitors, self.block = monitors, block
        self.seconds = {way: [] for way in monitors}
        self.between = dict.fromkeys(monitors, 0.0)
        self.rng = random.Random(0)

    def each(self, method, *arguments):
        for way, monitor in self.monitors.items():
            if monitor is not None:
                start = time.perf_counter()
                getattr(monitor, method)(*arguments)
                self.between[way] += time.perf_counter() - start

    def on_train_begin(self, logs=None):
        model: Any = self._model
        self.plain, self.functions = model.train_function, {}
        for way, monitor in self.monitors.items():
            if monitor is not None:
                monitor.set_model(model)
                monitor.set_params(self.params)
                monitor.on_train_begin()
            self.functions[way] = model.train_function
            model.train_function = self.plain
        model.train_function = self.turn

    def on_epoch_begin(self, epoch, logs=None):
        self.each("on_epoch_begin", epoch)
        self.left = []

    def turn(self, *arguments):
        if not self.left:
            self.left = list(self.monitors)
            self.rng.shuffle(self.left)
            self.steps = 0
        if not self.steps:
            self.start = time.perf_counter()
        way = self.left[-1]
        outputs = self.functions[way](*arguments)
        self.steps += 1
        if self.steps == self.block:
            backend.wait(outputs)
            self.seconds[way].append(time.perf_counter() - self.start)
            self.left.pop()
            self.steps = 0
        return outputs

    def on_epoch_end(self, epoch, logs=None):
        self.each("on_epoch_end", epoch, logs)

    def on_train_end(self, logs=None):
        self._model.train_function = self.plain


def monitors_cost(name, make, shape, batch, block, rounds):
    """The cost of each monitor, and how often "auto" measures."""
    alone = ["gradient_norm"]
    monitors = {
        "plain": None,
        "plain, again": None,
        "plain, directly": CalledDirectly(),
        "norms alone, 1": GradientNormMonitor(1, on_finding=None, quantities=alone),
        "monitor, 1": GradientNormMonitor(1, on_finding=None),
        "monitor, auto": GradientNormMonitor("auto", on_finding=None),
    }
    per_epoch = 5
    steps = per_epoch * len(monitors) * block
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch * steps, *shape)).astype("float32")
    y = rng.integers(0, 10, len(x))
    turns, model = Turns(monitors, block), compiled(make)

    def fit(epochs, callback=turns, number=None):
        options = {"batch_size": batch, "epochs": epochs, "verbose": 0}
        model.fit(x[:number], y[:number], callbacks=[callback], **options)

    auto = monitors["monitor, auto"]
    while auto.history.sampled_every == 1:  # alone: it times its first steps
        fit(1, auto, 60 * batch)
    fit(1)  # compiles
    for way in monitors:
        turns.seconds[way].clear()
        turns.between[way] = 0.0
    before = {
        way: len(m.history) for way, m in monitors.items() if hasattr(m, "history")
    }
    fit(-(-rounds // per_epoch))
    for way, samples in before.items():  # one that measures nothing costs nothing
        steps = len(turns.seconds[way]) * block
        history = monitors[way].history
        found, least = len(history) - samples, steps // history.sampled_every
        if found < least:
            raise RuntimeError(
                f"{way!r} must measure {least} of {steps} steps. Received: {found}"
            )
    plain = turns.seconds["plain"]
    ratios = {}
    for way, seconds in turns.seconds.items():
        pairs = [t / p for t, p in zip(seconds, plain, strict=True)]
        between = turns.between[way] / sum(seconds)
        ratios[way] = round(statistics.median(pairs) + between, 3)
    del ratios["plain"]
    return {
        "backend": BACKEND,
        "network": name,
        "plain_ms_a_step": round(1e3 * statistics.median(plain) / block, 3),
        "auto_every": auto.history.sampled_every,
        **ratios,
    }


def others_cost(name, make, shape, batch, block, rounds):
    """What people use instead, a `fit` each."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch * block * 3, *shape)).astype("float32")
    y = rng.integers(0, 10, len(x))
    model = compiled(make)
    histograms = keras.callbacks.TensorBoard(tempfile.mkdtemp(), histogram_freq=1)
    found = {
        "plain": (model, []),
        "second tape": (model, [SecondTape(x[:batch], y[:batch])]),
        "TensorBoard histograms": (model, [histograms]),
        "eager hooks": (compiled(make, HookedSGD, run_eagerly=True), []),
        "plain, a fit each": (model, []),
    }
    seconds = {way: [] for way in found}

    def fit(way):
        model, callbacks = found[way]
        model.fit(x, y, batch_size=batch, verbose=0, callbacks=list(callbacks))

    for way in found:
        fit(way)  # compiles
    for number in range(rounds):
        turn = list(found)
        for way in turn if number % 2 else reversed(turn):
            start = time.perf_counter()
            fit(way)
            seconds[way].append(time.perf_counter() - start)
    plain = seconds.pop("plain")
    return {
        way: round(
            statistics.median(t / p for t, p in zip(times, plain, strict=True)), 3
        )
        for way, times in seconds.items()
    }


# How to make it, its inputs, the batch, the steps in a block.
NETWORKS = {
    "mlp": (mlp, (100,), 128, 100),
    "lenet5": (lenet5, (32, 32, 1), 64, 40),
    "resnet20": (resnet20, (32, 32, 3), 32, 5),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only-monitor", action="store_true")
    parser.add_argument(
        "--longer", type=int, default=1, help="times the steps in a block: 10 on a GPU"
    )
    arguments = parser.parse_args()
    for name in arguments.networks:
        make, shape, batch, block = NETWORKS[name]
        network = make, shape, batch, block * arguments.longer
        found = monitors_cost(name, *network, arguments.rounds)
        if BACKEND == "tensorflow" and not arguments.only_monitor:
            found |= others_cost(name, *network, arguments.rounds)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
