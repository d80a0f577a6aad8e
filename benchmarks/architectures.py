"""Seconds a step of the networks, ours and their peers', in one run.

    python benchmarks/architectures.py                   # every row
    python benchmarks/architectures.py resnet50 --quick  # some rows, few rounds
    KERAS_BACKEND=jax python benchmarks/architectures.py --gpu

A row is a network, a batch and training (forward, backward, SGD with momentum) or
inference. Its ways to compute take turns in one process, a few steps each, for many
rounds; the table has the median seconds a step, the ratio of medians to a peer and
the ratio that is asked for, GFLOP/s (2 a multiply-add, 3 times that for training)
beside the machine's measured matrix product, and the peak memory of a process of its
own, less what the libraries take when imported. Peers are `keras.applications`, the
plainest writing in Keras (`plain_keras.py`), and PyTorch with channels_last
(`torch_peers.py`). The peers have no weight decay, so ours have none either.

With --gpu the rows are ResNet-50's in bfloat16, ours on the backend of KERAS_BACKEND
against PyTorch compiled by `torch.compile`.
"""

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import plain_keras
import torch_peers

from dlkeras.architectures import alexnet, googlenet, lenet5, resnet20, resnet50

BACKEND = keras.backend.backend()
OURS, OURS_HALF = "ours", "ours bf16"
KERAS, TORCH, TORCH_HALF = "keras", "pytorch", "pytorch bf16"
APPLICATIONS = "applications"


class Row(NamedTuple):
    """What is measured, and the ratios that are asked for: (way, peer, at most)."""

    network: str
    batch: int
    training: bool
    ways: tuple[str, ...]
    asked: tuple[tuple[str, str, float], ...]

    @property
    def name(self):
        return f"{self.network} {'train' if self.training else 'infer'} {self.batch}"


def resnet50_rows(batch):
    ways = (APPLICATIONS, TORCH, TORCH_HALF, OURS, OURS_HALF)
    asked = ((OURS, APPLICATIONS, 0.70), (OURS, TORCH, 0.85))
    return Row("resnet50", batch, True, ways, (*asked, (OURS_HALF, TORCH_HALF, 1.0)))


ROWS = [
    resnet50_rows(16),
    resnet50_rows(32),
    Row(
        *("resnet50", 32, False, (APPLICATIONS, TORCH, OURS)),
        ((OURS, APPLICATIONS, 0.92), (OURS, TORCH, 0.70)),
    ),
    Row(
        *("resnet20", 64, True, (KERAS, TORCH, OURS, OURS_HALF)),
        ((OURS, KERAS, 0.72), (OURS_HALF, KERAS, 0.72)),
    ),
    Row("resnet20", 64, False, (KERAS, TORCH, OURS), ((OURS, KERAS, 0.85),)),
    Row("googlenet_bn", 16, True, (KERAS, OURS), ((OURS, KERAS, 0.85),)),
    Row("googlenet", 16, True, (KERAS, OURS), ((OURS, KERAS, 1.0),)),
    Row("alexnet", 16, True, (KERAS, OURS), ((OURS, KERAS, 1.0),)),
    Row("lenet5", 128, True, (KERAS, TORCH, OURS), ((OURS, TORCH, 1.0),)),
]
GPU_ROWS = [
    Row(
        *("resnet50", 256, training, ("pytorch compiled bf16", TORCH_HALF, OURS_HALF)),
        ((OURS_HALF, "pytorch compiled bf16", 1.0),),
    )
    for training in (True, False)
]

# network: (image, classes, multiply-adds of the paper's table, ours)
NETWORKS: dict[str, tuple[tuple[int, int, int], int, int, Callable]] = {
    "lenet5": ((32, 32, 1), 10, 416_520, lenet5),
    "alexnet": (
        (224, 224, 3),
        1000,
        1_139_124_224,
        lambda: alexnet(version="table", weight_decay=0.0),
    ),
    "googlenet": ((224, 224, 3), 1000, 1_582_671_872, googlenet),
    "googlenet_bn": (
        (224, 224, 3),
        1000,
        1_582_671_872,
        lambda: googlenet(normalization="batch"),
    ),
    "resnet20": ((32, 32, 3), 10, 40_551_040, lambda: resnet20(weight_decay=0.0)),
    "resnet50": (
        (224, 224, 3),
        1000,
        3_857_973_248,
        lambda: resnet50(weight_decay=0.0),
    ),
}
PLAIN = {
    "lenet5": plain_keras.lenet5,
    "alexnet": plain_keras.alexnet,
    "googlenet": lambda: plain_keras.googlenet(False),
    "googlenet_bn": lambda: plain_keras.googlenet(True),
    "resnet20": plain_keras.resnet20,
}


def keras_runner(make, images, labels, training, half):
    """Return a function of the number of steps, as `fit` and `predict` do them."""
    before = keras.config.dtype_policy()
    if half:
        keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make()
    finally:
        keras.config.set_dtype_policy(before)
    sgd = keras.optimizers.SGD(1e-3, momentum=0.9)
    model.compile(sgd, "sparse_categorical_crossentropy")
    if BACKEND != "tensorflow":
        x = keras.ops.convert_to_tensor(images)
        y = keras.ops.convert_to_tensor(labels)

        def batches(steps):
            for _ in range(steps):
                yield (x, y) if training else (x,)

        if training:
            return lambda n: model.fit(batches(n), steps_per_epoch=n, verbose=0)
        return lambda n: model.predict(batches(n), steps=n, verbose=0)

    import tensorflow as tf

    tensors = (tf.constant(images), tf.constant(labels))
    data = iter(
        tf.data.Dataset.from_tensors(tensors if training else tensors[:1]).repeat()
    )
    if training:
        model.make_train_function()
        function = model.train_function
    else:
        model.make_predict_function()
        function = model.predict_function

    def run(steps):
        for _ in range(steps):
            # `predict` hands over the batches, `fit` the iterator.
            result = function(data if training else [next(data)])
        for tensor in tf.nest.flatten(result):
            tensor.numpy()  # as `fit` and `predict` read them

    return run


def runner(way, row):
    """Return a function that runs a number of steps of a row in one of its ways."""
    shape, classes, _, ours = NETWORKS[row.network]
    rng = np.random.default_rng(0)
    images = rng.normal(size=(row.batch, *shape)).astype("float32")
    labels = rng.integers(0, classes, row.batch).astype("int32")
    half = way.endswith("bf16")
    if way.startswith(TORCH):
        make = getattr(torch_peers, row.network)
        compiled = "compiled" in way
        return torch_peers.runner(make, images, labels, row.training, half, compiled)
    make = {
        APPLICATIONS: lambda: keras.applications.ResNet50(weights=None),
        KERAS: PLAIN.get(row.network),
    }.get(way, ours)
    return keras_runner(make, images, labels, row.training, half)


def seconds(run, steps):
    start = time.perf_counter()
    run(steps)
    return (time.perf_counter() - start) / steps


def measure(row, rounds, budget):
    """Return each way's median seconds a step; all ways take turns."""
    runs = {way: runner(way, row) for way in row.ways}
    for run in runs.values():
        run(1)  # compiles, and lets the kernels choose
    steps = {way: max(1, int(0.2 / seconds(run, 1))) for way, run in runs.items()}
    times = {way: [] for way in row.ways}
    started = time.perf_counter()
    for turn in range(rounds):
        if turn >= 3 and time.perf_counter() - started > budget:
            break
        for way, run in runs.items():
            times[way].append(seconds(run, steps[way]))
    return {way: statistics.median(values) for way, values in times.items()}


def peak_memory(way, row):
    """Return the megabytes that a process of its own gains in three steps."""
    command = [sys.executable, __file__, "--child", way, row.name]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(out.stdout.splitlines()[-1])


def high_water_mark():
    """Return the most megabytes that this process has held; Linux says."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = [x for x in status.splitlines() if x.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def matrix_product(half):
    """Return GFLOP/s of a product of two square matrices, the best of ten."""
    kind = "bfloat16" if half else "float32"
    size = 2048 if not half or BACKEND == "tensorflow" else 8192
    a = keras.ops.cast(np.random.default_rng(0).normal(size=(size, size)), kind)

    def run(steps):
        for _ in range(steps):
            product = keras.ops.matmul(a, a)
        float(product[0, 0])

    run(1)
    return 2e-9 * size**3 / min(seconds(run, 2) for _ in range(10))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", help="networks; default: all")
    parser.add_argument("--quick", action="store_true", help="three rounds a row")
    parser.add_argument("--gpu", action="store_true", help="the rows for a GPU")
    parser.add_argument("--no-memory", action="store_true", help="no peak memory")
    parser.add_argument("--ways", nargs="+", help="some ways alone, such as ours")
    parser.add_argument("--budget", type=float, default=90.0, help="seconds a row")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    rows = GPU_ROWS if arguments.gpu else ROWS
    if arguments.child:
        way, name = arguments.child
        next_row = next(row for row in rows if row.name == name)
        imported = high_water_mark()
        runner(way, next_row)(3)
        print(high_water_mark() - imported)
        return
    peaks = {half: matrix_product(half) for half in (False, True)}
    print(
        f"{BACKEND}; matrix product {peaks[False]:,.0f} GFLOP/s in float32, "
        f"{peaks[True]:,.0f} in bfloat16"
    )
    for row in rows:
        if arguments.rows and not any(row.name.startswith(n) for n in arguments.rows):
            continue
        if arguments.ways:
            row = row._replace(
                ways=tuple(way for way in row.ways if way in arguments.ways),
                asked=tuple(x for x in row.asked if {*x[:2]} <= {*arguments.ways}),
            )
        medians = measure(row, 3 if arguments.quick else 15, arguments.budget)
        gc.collect()
        print(f"\n{row.name}", flush=True)
        work = 2e-9 * NETWORKS[row.network][2] * row.batch * (3 if row.training else 1)
        for way, median in medians.items():
            peak = peaks[way.endswith("bf16")]
            line = f"  {way:22} {1e3 * median:9.1f} ms {work / median:8.0f} GFLOP/s"
            line += f" ({work / median / peak:.0%} of the product)"
            if not arguments.no_memory and not arguments.gpu:
                line += f" {peak_memory(way, row):7.0f} MB"
            print(line, flush=True)
        for way, peer, asked in row.asked:
            ratio = medians[way] / medians[peer]
            verdict = "reached" if ratio <= asked else "MISSED"
            print(f"  {way} / {peer}: {ratio:.2f}, asked {asked:.2f}: {verdict}")


if __name__ == "__main__":
    main()
