"""What LeNet-5's C3 costs as one product, and as products of existing connections.

    KERAS_BACKEND=jax python benchmarks/connections.py

`PartiallyConnectedConv2D` has weights for existing connections only, and lays them into
an ordinary convolution's kernel. The other rows multiply for existing connections only,
1,500 times a pixel instead of 2,400: a grouped convolution for each fan-in, one
convolution for each input map, and products with gathered patches. Compiled forward
calls (eager on PyTorch), interleaved, medians.
"""

import argparse
import statistics
import time

import keras
import numpy as np
from keras import ops

from dlkeras.layers import LENET5_C3_TABLE, PartiallyConnectedConv2D

TABLE = LENET5_C3_TABLE
FAN_IN = TABLE.sum(axis=0)
# the output maps, in the order in which the fan-ins come
ORDER = np.concatenate([np.flatnonzero(n == FAN_IN) for n in np.unique(FAN_IN)])
BACK = np.argsort(ORDER)


def by_fan_in(kernel):
    """A grouped convolution of gathered inputs for each number of inputs."""
    groups = []
    for count in np.unique(FAN_IN):
        maps = np.flatnonzero(count == FAN_IN)
        inputs = np.stack([np.flatnonzero(TABLE[:, column]) for column in maps])
        weights = np.stack(
            [kernel[:, :, r, c] for r, c in zip(inputs, maps, strict=True)]
        )
        groups.append((inputs.ravel(), np.moveaxis(weights, 0, -1)))

    def call(images):
        parts = [ops.conv(ops.take(images, i, axis=-1), k) for i, k in groups]
        return ops.take(ops.concatenate(parts, axis=-1), BACK, axis=-1)

    return call


def by_input(kernel):
    """A convolution of each input map with the kernels of the maps that read it."""
    reads = [np.flatnonzero(row) for row in TABLE]
    kernels = [kernel[:, :, n : n + 1, maps] for n, maps in enumerate(reads)]
    column = np.concatenate(reads)
    places = [np.flatnonzero(column == n) for n in range(TABLE.shape[1])]

    def call(images):
        parts = [ops.conv(images[..., n : n + 1], k) for n, k in enumerate(kernels)]
        every = ops.concatenate(parts, axis=-1)  # one map for each connection
        return ops.stack(
            [ops.sum(ops.take(every, p, axis=-1), axis=-1) for p in places], axis=-1
        )

    return call


def by_patches(kernel):
    """Products of the patches that each output map reads with its own weights."""
    height, width, inputs, _ = kernel.shape
    index = np.arange(height * width * inputs).reshape(-1, inputs)
    reads = [np.flatnonzero(TABLE[:, n]) for n in range(TABLE.shape[1])]
    columns = [index[:, maps].ravel() for maps in reads]
    weights = [kernel[:, :, maps, n].reshape(-1, 1) for n, maps in enumerate(reads)]

    def call(images):
        patches = ops.image.extract_patches(images, (height, width), 1)
        return ops.concatenate(
            [
                ops.matmul(ops.take(patches, c, axis=-1), w)
                for c, w in zip(columns, weights, strict=True)
            ],
            axis=-1,
        )

    return call


def compiled(call):
    """The call as the backend runs it in a model."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(call)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(call)
    return call


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    print(f"C3, forward, {keras.backend.backend()}: milliseconds a batch")
    for batch, size in ((1, 14), (32, 14), (256, 14), (8, 64)):
        images = np.random.default_rng(0).normal(size=(batch, size, size, 6))
        images = ops.convert_to_tensor(images.astype("float32"))
        layer = PartiallyConnectedConv2D(TABLE, 5, use_bias=False)
        layer.build(images.shape)
        kernel = ops.convert_to_numpy(layer.full_kernel())
        calls = {"one product": layer, "fan-in": by_fan_in(kernel)}
        calls |= {"input map": by_input(kernel), "patches": by_patches(kernel)}
        calls = {name: compiled(call) for name, call in calls.items()}
        expected = ops.convert_to_numpy(layer(images))
        times = {name: [] for name in calls}
        for call in calls.values():
            assert np.abs(ops.convert_to_numpy(call(images)) - expected).max() < 1e-4
        for _ in range(arguments.rounds):
            for name, call in calls.items():
                start = time.perf_counter()
                ops.convert_to_numpy(call(images))
                times[name].append(time.perf_counter() - start)
        middle = {name: statistics.median(taken) for name, taken in times.items()}
        shown = ", ".join(
            f"{name} {1e3 * taken:.3f} (x{taken / middle['one product']:.1f})"
            for name, taken in middle.items()
        )
        print(f"batch {batch:3d}, {size} x {size}: {shown}", flush=True)


if __name__ == "__main__":
    main()
