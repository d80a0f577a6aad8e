"""Seconds an epoch of a frozen ResNet-50 with a new head, on images and on features.

    KERAS_BACKEND=tensorflow python benchmarks/feature_cache.py --images 64

The same head, optimizer and order: on images every epoch computes the frozen layers
again; on cached features they are computed once. The losses and the heads of the
two must agree. The normalisations have the statistics of some of the images: with those
of a new network the features would be hundreds, and no head could learn from them.
"""

import argparse
import statistics
import tempfile
import time

import keras
import numpy as np

from dlkeras.architectures import resnet50
from dlkeras.transfer import cached_features, freeze, split_frozen
from dlkeras.transfer.freezing import normalizations


def seeing(model, x):
    """Give each normalisation the mean and variance of one batch."""
    parts = [part for layer in model.layers for part in normalizations(layer)]
    momenta = [part.momentum for part in parts]
    for part in parts:
        part.momentum = 0.0
    model(x, training=True)
    for part, momentum in zip(parts, momenta, strict=True):
        part.momentum = momentum
    return model


def epochs(model, x, y, number):
    """Train and return the seconds of each epoch and its loss."""
    model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
    model.fit(x[:16], y[:16], batch_size=16, verbose=0)  # compiles
    times, losses = [], []
    for _ in range(number):
        start = time.perf_counter()
        done = model.fit(x, y, batch_size=16, shuffle=False, verbose=0)
        times.append(time.perf_counter() - start)
        losses += done.history["loss"]
    return statistics.median(times), losses


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--epochs", type=int, default=3)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    shape = (arguments.size, arguments.size, 3)
    x = rng.normal(size=(arguments.images, *shape)).astype("float32")
    y = rng.integers(0, 10, arguments.images)
    found = {}
    for way in ("images", "features"):
        keras.utils.set_random_seed(0)
        model = seeing(resnet50(shape, num_classes=10, weight_decay=0.0), x[:16])
        freeze(model, "stage4")
        if way == "images":
            found[way] = epochs(model, x, y, arguments.epochs)
            heads = [model.layers[-1].get_weights()]
            continue
        frozen, head = split_frozen(model)
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            features = cached_features(frozen, x, folder)
            once = time.perf_counter() - start
            found[way] = epochs(head, features, y, arguments.epochs)
            heads.append(model.layers[-1].get_weights())
    (slow, theirs), (fast, ours) = found["images"], found["features"]
    print(
        f"on images {slow:.3f} s an epoch, on features {fast:.4f} s: {slow / fast:.0f}x"
    )
    print(f"computing the features once: {once:.2f} s")
    gap = max(abs(a / b - 1) for a, b in zip(ours, theirs, strict=True))
    print(f"losses {theirs}; largest relative difference {gap:.1e}")
    gap = max(np.abs(a - b).max() for a, b in zip(*heads, strict=True))
    size = np.abs(heads[0][0]).max()
    print(f"largest difference of the heads' weights {gap:.1e}, of {size:.2f}")


if __name__ == "__main__":
    main()
