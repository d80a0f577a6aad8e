"""Seconds a step of the networks, ours and their peers', in one run.

    python benchmarks/architectures.py                      # every row
    python benchmarks/architectures.py "resnet50 train 16"  # one row, some minutes
    python benchmarks/architectures.py lenet5 --write docs/architectures/speed.md
    KERAS_BACKEND=jax python benchmarks/architectures.py --gpu

A row is a network, a batch and training (forward, backward, SGD with momentum) or
inference; arguments are the beginnings of rows' names. Each of a row's ways to compute
has a process of its own, and they take turns, a few steps each, for many rounds. The
table has the median seconds a step by the clock (the least to the most) and of all
threads together (which a busy machine disturbs less), the ratio of medians to a peer
and the ratio that is asked for, GFLOP/s (2 a multiply-add, 3 times that for training)
beside the machine's measured matrix product, and the most memory that the process
gained after its libraries were imported. Peers are `keras.applications`, the plainest
writing in Keras (`plain_keras.py`), and PyTorch with channels_last (`torch_peers.py`).
The peers have no weight decay, so ours have none either.

Rows are kept in `build/architectures.json` until they are measured again, so that the
page of `--write` has the rows of several runs.

With --gpu the rows are all networks' in bfloat16, ours and Keras's on the backend of
KERAS_BACKEND against PyTorch with channels_last, as it is and by `torch.compile`; the
memory is the GPU's. Those that end in "parts" are our network with Keras's own pooling
and normalisation in it, with one of ours, and with both, beside compiled PyTorch.
--batch 2 runs rows at another batch, to see on any machine that they run.
"""

import argparse
import importlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import plain_keras

from dlkeras.architectures import alexnet, googlenet, lenet5, resnet20, resnet50

BACKEND = keras.backend.backend()
RESULTS = Path(__file__).parent.parent / "build" / "architectures.json"
OURS, OURS_HALF = "ours", "ours bf16"
KERAS, TORCH, TORCH_HALF = "keras", "pytorch", "pytorch bf16"
KERAS_HALF, COMPILED = "keras bf16", "pytorch compiled bf16"
APPLICATIONS, APPLICATIONS_HALF = "applications", "applications bf16"
# Our network, of whose kernels only these are in use.
PARTS = {
    "keras's pooling and normalisation bf16": (),
    "pooling here bf16": ("pooling",),
    "pooling and normalisation here bf16": ("pooling", "batch_normalization"),
}
KERNELS = {"pooling": "max_pool", "batch_normalization": "fused_batch_normalization"}


class Row(NamedTuple):
    """What is measured, and the ratios that are asked for: (way, peer, at most)."""

    network: str
    batch: int
    training: bool
    ways: tuple[str, ...]
    asked: tuple[tuple[str, str, float], ...]
    suffix: str = ""

    @property
    def name(self):
        kind = "train" if self.training else "infer"
        return f"{self.network} {kind} {self.batch}{self.suffix}"


def resnet50_rows(batch):
    asked = ((OURS, APPLICATIONS, 0.70), (OURS, TORCH, 0.85))
    half = ((OURS_HALF, TORCH_HALF, 1.0),)
    return (
        Row("resnet50", batch, True, (APPLICATIONS, TORCH, OURS), asked),
        Row("resnet50", batch, True, (TORCH_HALF, OURS_HALF), half, " bf16"),
    )


ROWS = [
    *resnet50_rows(16),
    *resnet50_rows(32),
    Row(
        *("resnet50", 32, False, (APPLICATIONS, TORCH, OURS)),
        ((OURS, APPLICATIONS, 0.92), (OURS, TORCH, 0.70)),
    ),
    *(
        Row(network, 16, True, (TORCH, OURS), ((OURS, TORCH, 1.0),))
        for network in ("resnet50d", "resnext50", "wide_resnet50", "se_resnet50")
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


def gpu_row(network, batch, training, *peers):
    ways = (*peers, COMPILED, TORCH_HALF, OURS_HALF)
    asked = tuple((OURS_HALF, peer, 1.0) for peer in ways[:-1])
    return Row(network, batch, training, ways, asked, " gpu")


def parts_row(network, *ways):
    asked = tuple((way, COMPILED, 1.0) for way in ways)
    return Row(network, 256, True, (COMPILED, *ways), asked, " gpu parts")


GPU_ROWS = [
    parts_row("googlenet_bn", *PARTS),
    parts_row("resnet50", *[way for way in PARTS if way != "pooling here bf16"]),
    gpu_row("resnet50", 256, True, APPLICATIONS_HALF),
    gpu_row("resnet50", 256, False, APPLICATIONS_HALF),
    gpu_row("resnet20", 1024, True, KERAS_HALF),
    gpu_row("googlenet_bn", 256, True, KERAS_HALF),
    gpu_row("googlenet", 256, True),
    gpu_row("alexnet", 256, True),
    gpu_row("lenet5", 1024, True, KERAS_HALF),
]


def variant(**options):
    """Return the builder of a ResNet-50 with its stride in the 3x3 convolution."""
    return lambda: resnet50(version="v1.5", weight_decay=0.0, **options)


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
    "resnet50d": (
        (224, 224, 3),
        1000,
        4_328_824_832,
        variant(stem="deep", shortcut="D"),
    ),
    "resnext50": (
        (224, 224, 3),
        1000,
        4_230_479_872,
        variant(groups=32, width_per_group=4),
    ),
    "wide_resnet50": (
        (224, 224, 3),
        1000,
        11_398_021_120,
        variant(width_per_group=128),
    ),
    "se_resnet50": ((224, 224, 3), 1000, 4_091_699_200, variant(reduction_ratio=16)),
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
    if BACKEND == "jax":
        return jax_runner(model, images, labels, training)

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


def jax_runner(model, images, labels, training):
    """Return a function of the number of steps, with the batch on the device.

    `fit` brings every batch from NumPy, which the peers do not pay for.
    """
    import jax

    data = jax.device_put((images, labels) if training else (images,))
    batches = itertools.repeat(data)
    kinds = ["trainable_variables", "non_trainable_variables"]
    if training:
        model._symbolic_build(data_batch=data)
        model.make_train_function()
        function = model.train_function
        kinds += ["optimizer_variables", "metrics_variables"]
    else:
        model.make_predict_function()
        function = model.predict_function
    state = model._get_jax_state(**dict.fromkeys(kinds, True))

    def run(steps):
        nonlocal state
        for _ in range(steps):
            result, state = function(state, batches)
        jax.block_until_ready(result)

    return run


def runner(way, row):
    """Return a function that runs a number of steps of a row in one of its ways."""
    shape, classes, _, ours = NETWORKS[row.network]
    rng = np.random.default_rng(0)
    images = rng.normal(size=(row.batch, *shape)).astype("float32")
    labels = rng.integers(0, classes, row.batch).astype("int32")
    half = way.endswith("bf16")
    if way.startswith(TORCH):
        import torch_peers  # the others' memory is measured without PyTorch

        make = getattr(torch_peers, row.network)
        compiled = "compiled" in way
        return torch_peers.runner(make, images, labels, row.training, half, compiled)
    use_kernels(PARTS.get(way, KERNELS))
    make = {
        APPLICATIONS: lambda: keras.applications.ResNet50(weights=None),
        KERAS: PLAIN.get(row.network),
    }.get(way.removesuffix(" bf16"), ours)
    return keras_runner(make, images, labels, row.training, half)


def use_kernels(files):
    """Leave to Keras what our layers in other files than these compute faster."""
    for file in KERNELS.keys() - files:
        module = importlib.import_module(f"dlkeras.layers.{file}")
        setattr(module, KERNELS[file], lambda *arguments: None)


def seconds(run, steps):
    """Return the seconds a step by the clock, and those of all threads together."""
    clock, threads = time.perf_counter(), time.process_time()
    run(steps)
    spent = time.perf_counter() - clock, time.process_time() - threads
    return [value / steps for value in spent]


class Worker:
    """A process that computes one way of a row when it is told to."""

    def __init__(self, way, row, gpu):
        command = [sys.executable, __file__, "--child", way, row.name]
        command += ["--batch", str(row.batch)]
        backend = "torch" if way.startswith(TORCH) else BACKEND
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # until `end`
        self.process = subprocess.Popen(
            command + ["--gpu"] * gpu,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={
                **os.environ,
                "KERAS_BACKEND": backend,
                "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # the ways share a GPU
            },
        )

    def ask(self, what):
        """Return the worker's answer to a line."""
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            self.errors.seek(0)
            raise RuntimeError(f"A worker ended: {self.errors.read()[-2000:]}")
        return json.loads(answer)

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        self.errors.close()


def child(way, row, gpu):
    """Answer each number of steps by seconds a step, and `peak` by megabytes."""
    if way.startswith(TORCH):
        import torch_peers  # noqa: F401  # the library is not the network
    imported = high_water_mark()
    run = runner(way, row)
    for line in sys.stdin:
        if line.strip() == "peak":
            peak = high_water_mark() - imported
            print(gpu_peak(way) if gpu else peak, flush=True)
        else:
            print(json.dumps(seconds(run, int(line))), flush=True)


def measure(row, rounds, budget, gpu):
    """Return each way's median seconds, by the clock and all threads, and its peak.

    And the least and the most milliseconds by the clock.
    """
    workers = {}
    try:
        for way in row.ways:
            workers[way] = Worker(way, row, gpu)
            workers[way].ask(1)  # compiles, and lets the kernels choose
        steps = {way: max(1, int(0.2 / w.ask(1)[0])) for way, w in workers.items()}
        times = {way: [] for way in row.ways}
        started = time.perf_counter()
        for turn in range(rounds):
            if turn >= 3 and time.perf_counter() - started > budget:
                break
            for way, worker in workers.items():
                times[way].append(worker.ask(steps[way]))
        return {
            way: (
                *(statistics.median(column) for column in zip(*values, strict=True)),
                workers[way].ask("peak"),
                [1e3 * bound(values)[0] for bound in (min, max)],
            )
            for way, values in times.items()
        }
    finally:
        for worker in workers.values():
            worker.end()


def high_water_mark():
    """Return the most megabytes that this process has held; Linux says."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = [x for x in status.splitlines() if x.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def gpu_peak(way):
    """Return the most megabytes of the GPU that this process has held."""
    if way.startswith(TORCH):
        import torch

        return torch.cuda.max_memory_allocated() / 2**20  # 0 without a GPU
    import jax

    # A processor, on which one looks whether it all runs, says nothing.
    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0) / 2**20


def device():
    """Return what a GPU is called, with its backend."""
    import jax

    return f"{jax.devices()[0].device_kind}, JAX {jax.__version__}"


def has_gpu():
    import jax

    return jax.default_backend() == "gpu"


def matrix_product(half, gpu):
    """Return GFLOP/s of a product of two square matrices, the best of ten."""
    kind = "bfloat16" if half else "float32"
    size = 8192 if gpu and has_gpu() else 2048
    a = keras.ops.cast(np.random.default_rng(0).normal(size=(size, size)), kind)

    def run(steps):
        for _ in range(steps):
            product = keras.ops.matmul(a, a)
        float(product[0, 0])

    run(1)
    return 2e-9 * size**3 / min(seconds(run, 2)[0] for _ in range(10))


def measured(row, arguments, peaks):
    """Return what the table says of a row."""
    rounds = 3 if arguments.quick else 15
    found = measure(row, rounds, arguments.budget, arguments.gpu)
    work = 2e-9 * NETWORKS[row.network][2] * row.batch * (3 if row.training else 1)
    ways = {
        way: {
            "ms": 1e3 * median,
            "ms of threads": 1e3 * threads,
            "gflops": work / median,
            "of product": work / median / peaks[way.endswith("bf16")],
            "MB": peak,
            "between": between,
        }
        for way, (median, threads, peak, between) in found.items()
    }
    ratios = [
        [
            way,
            peer,
            *(
                a / (b or 1)
                for a, b in zip(found[way][:3], found[peer][:3], strict=True)
            ),
            asked,
        ]
        for way, peer, asked in row.asked
    ]
    return {"ways": ways, "ratios": ratios}


def lines_of(name, found):
    """Return a row's part of the page."""
    yield from (f"## {name}", "")
    yield (
        "| way | ms a step | ms of all threads | GFLOP/s | of the product | peak, MB |"
    )
    yield "|---|---|---|---|---|---|"
    for way, w in found["ways"].items():
        between = " to ".join(f"{ms:,.1f}" for ms in w.get("between", ()))
        yield (
            f"| {way} | {w['ms']:,.1f}{between and f' ({between})'} "
            f"| {w['ms of threads']:,.1f} "
            f"| {w['gflops']:,.0f} | {w['of product']:.0%} | {w['MB']:,.0f} |"
        )
    yield ""
    for way, peer, ratio, threads, memory, asked in found["ratios"]:
        verdict = "reached" if ratio <= asked else "**missed**"
        yield (
            f"- {way} / {peer}: {ratio:.2f}, asked {asked:.2f}: {verdict} "
            f"(of all threads {threads:.2f}, memory {memory:.2f})"
        )
    yield from (f"- matrix product: {found['product']}", "")


def page(results):
    """Return the page of all rows that were measured."""
    yield from ("# Speed and memory", "")
    yield (
        "Ours and their peers, each in a process of its own, taking turns; median "
        "milliseconds a step. Peak memory is what the process gained after importing "
        "its libraries. `python benchmarks/architectures.py` measures it, a row "
        'or more at a time (`"resnet50 train 16"`); on 2 cores, with nothing else '
        "running."
    )
    yield ""
    for name in (row.name for row in ROWS + GPU_ROWS):
        if name in results:
            yield from lines_of(name, results[name])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ", ".join(row.name for row in ROWS)
    parser.add_argument("rows", nargs="*", help=f"beginnings of: {names}")
    parser.add_argument("--quick", action="store_true", help="three rounds a row")
    parser.add_argument("--gpu", action="store_true", help="the rows for a GPU")
    parser.add_argument("--ways", nargs="+", help="some ways alone, such as ours")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds a row")
    parser.add_argument("--batch", type=int, help="instead of the rows' own; not kept")
    parser.add_argument("--write", type=Path, help="page of all rows measured so far")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    rows = GPU_ROWS if arguments.gpu else ROWS
    if arguments.child:
        way, name = arguments.child
        rows = [row._replace(batch=arguments.batch) for row in rows]
        row = next(row for row in rows if row.name == name)
        return child(way, row, arguments.gpu)
    rows = [
        row
        for row in rows
        if not arguments.rows or row.name.startswith(tuple(arguments.rows))
    ]
    if not rows:
        parser.error(f"rows are {names}; received {' '.join(arguments.rows)}")
    peaks = {half: matrix_product(half, arguments.gpu) for half in (False, True)}
    product = f"{peaks[False]:,.0f} GFLOP/s in float32, {peaks[True]:,.0f} in bfloat16"
    print(f"{BACKEND}; matrix product {product}\n")
    if arguments.gpu:
        product += f", on {device()}"
    known = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    for row in rows:
        row = row._replace(batch=arguments.batch or row.batch)
        if arguments.ways:
            row = row._replace(
                ways=tuple(way for way in row.ways if way in arguments.ways),
                asked=tuple(x for x in row.asked if {*x[:2]} <= {*arguments.ways}),
            )
        found = {**measured(row, arguments, peaks), "product": product}
        print("\n".join(lines_of(row.name, found)), flush=True)
        if not (arguments.ways or arguments.quick or arguments.batch):
            known[row.name] = found
            RESULTS.parent.mkdir(exist_ok=True)
            unfinished = RESULTS.with_suffix(".part")
            unfinished.write_text(json.dumps(known, indent=1), "utf-8")
            unfinished.replace(RESULTS)
    if arguments.write:
        from dlkeras.pipeline.store.publishing import write_atomically

        write_atomically(arguments.write, "\n".join(page(known)).encode())
    return None


if __name__ == "__main__":
    main()
