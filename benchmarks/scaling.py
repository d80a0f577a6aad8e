"""What bounds a training step of ResNet-50 from 1 to 1,024 devices: a small model.

    python benchmarks/scaling.py --check    # against 1 and 2 processes on this machine
    python benchmarks/scaling.py            # the plan

A step takes the longest of what goes on beside each other, computing, decoding and
reading, and then the sum of the gradients over all devices, a ring of 2 (N - 1) / N of
their bytes. It is not assumed to hide behind the backward pass: real steps are faster.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PARAMETERS = 25_557_032  # He et al. 2015, 1,000 classes
SIDE, BATCH, STEPS = 64, 8, 6


@dataclass(frozen=True)
class Machine:
    """What a device, its machine and the storage can do; bytes and seconds.

    Attributes:
        images: images a second that one device computes, forward and backward.
        devices: number of devices in a machine.
        inside: bytes a second of a ring between the devices of a machine.
        between: bytes a second of a ring between machines, a device's share.
        latency: seconds of one hop.
        cores: cores that decode for one device.
        decoded: images a second that one core decodes and augments.
        image: bytes of a stored image.
        storage: bytes a second that the storage gives to all machines together.
    """

    images: float
    devices: int
    inside: float
    between: float
    latency: float
    cores: int
    decoded: float
    image: float
    storage: float


@dataclass(frozen=True)
class Step:
    """The parts of a training step, in seconds."""

    compute: float
    decode: float
    read: float
    sum: float

    @property
    def seconds(self) -> float:
        return max(self.compute, self.decode, self.read) + self.sum

    @property
    def bound(self) -> str:
        parts = {"compute": self.compute, "decode": self.decode, "storage": self.read}
        longest = max(parts, key=lambda name: parts[name])
        return "network" if self.sum > parts[longest] else longest


def ring(devices: int, size: float, bandwidth: float, latency: float) -> float:
    """Seconds in which a ring adds up `size` bytes of every device."""
    return 2 * (devices - 1) * (size / devices / bandwidth + latency)


def step(machine: Machine, devices: int, batch: int, size: float) -> Step:
    """A step of `devices` with `batch` images each and gradients of `size` bytes."""
    local = min(devices, machine.devices)
    machines = -(-devices // machine.devices)
    total = ring(local, size, machine.inside, machine.latency)
    # Each device of a machine adds up its own part with its peers in the others.
    total += ring(machines, size / local, machine.between, machine.latency)
    return Step(
        compute=batch / machine.images,
        decode=batch / (machine.cores * machine.decoded),
        read=devices * batch * machine.image / machine.storage,
        sum=total,
    )


def plan(options: argparse.Namespace) -> None:
    names = Machine.__dataclass_fields__
    machine = Machine(**{name: getattr(options, name) for name in names})
    size = PARAMETERS * options.gradient_bytes
    print(
        "| devices | compute ms | decode ms | storage ms | sum ms | step ms | ", end=""
    )
    print("images/s | efficiency | storage GB/s | bound by |")
    print("|" + "---:|" * 9 + "---|")
    for power in range(11):
        n = 2**power
        s = step(machine, n, options.batch, size)
        rate = n * options.batch / s.seconds
        alone = options.batch / step(machine, 1, options.batch, size).seconds
        cells = [
            f"{n:,}",
            *(f"{1000 * x:.1f}" for x in (s.compute, s.decode, s.read, s.sum)),
            f"{1000 * s.seconds:.1f}",
            f"{rate:,.0f}",
            f"{rate / n / alone:.0%}",
            f"{rate * machine.image / 1e9:.2f}",
            s.bound,
        ]
        print("| " + " | ".join(cells) + " |")


def worker(workers: int) -> None:
    """Time steps of ResNet-50, and sums of its gradients; print them as JSON."""
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    import numpy as np

    from dlkeras.pipeline.machines import distribution
    from dlkeras.pipeline.tensorflow_import import keras, tf

    kind = "multi_worker" if workers > 1 else "none"
    engine = distribution.strategy(kind)
    from dlkeras.architectures import create

    keras.utils.set_random_seed(0)
    with distribution.scope(kind):
        model = create("resnet50", input_shape=(SIDE, SIDE, 3), num_classes=1000)
        model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
    batch = np.zeros((BATCH, SIDE, SIDE, 3), "float32"), np.zeros(BATCH, "int64")
    data = tf.data.Dataset.from_tensors(batch).repeat(STEPS)
    moments: list[float] = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda step, logs: moments.append(time.perf_counter())
    )
    model.fit(
        distribution.distributed(kind, data),
        steps_per_epoch=STEPS,
        callbacks=[watch],
        shuffle=False,
        verbose=0,
    )
    steps = np.diff(moments)[1:]
    sums: list[float] = []
    if workers > 1:
        values = [tf.ones(v.shape, tf.float32) for v in model.trainable_variables]

        @tf.function
        def total():
            def on_device():
                context = tf.distribute.get_replica_context()
                added = context.all_reduce("SUM", values)
                return tf.add_n([tf.reshape(v, [-1])[0] for v in added])

            return engine.run(on_device)

        for _ in range(STEPS):
            started = time.perf_counter()
            float(total())
            sums.append(time.perf_counter() - started)
        sums = sums[2:]
    print(json.dumps({"steps": steps.tolist(), "sums": sums}))


def check() -> None:
    """Compare the model with what one and two processes take, a core for each."""

    def run(workers: int, copies: int) -> list[dict]:
        probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(copies)]
        addresses = [f"127.0.0.1:{probe.getsockname()[1]}" for probe in probes]
        for probe in probes:
            probe.close()
        running = []
        for index in range(copies):
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            task = {"type": "worker", "index": index}
            if workers > 1:
                environment["TF_CONFIG"] = json.dumps(
                    {"cluster": {"worker": addresses}, "task": task}
                )
            pinned = ["taskset", "-c", str(index)]
            command = [*pinned, sys.executable, __file__, "--worker", str(workers)]
            running.append(
                subprocess.Popen(
                    command, env=environment, stdout=subprocess.PIPE, text=True
                )
            )
        return [
            json.loads(process.communicate()[0].splitlines()[-1]) for process in running
        ]

    median = statistics.median
    alone = median(run(1, 1)[0]["steps"])
    # Two that know nothing of each other share the machine's memory, and no gradient.
    beside = median([t for process in run(1, 2) for t in process["steps"]])
    both = run(2, 2)
    together = median(both[0]["steps"])
    total = median(both[0]["sums"])
    print(f"1 process, batch {BATCH}: {alone:.3f} s a step")
    print(f"2 processes that share nothing, each batch {BATCH}: {beside:.3f} s a step")
    print(f"sum of {PARAMETERS * 4 / 1e6:.0f} MB over 2 processes: {total:.3f} s")
    print(f"2 processes, batch {2 * BATCH}: {together:.3f} s a step")
    expected = beside + total
    print(f"the model: {expected:.3f} s, {expected / together - 1:+.0%}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, default=256, help="images a device")
    parser.add_argument("--gradient-bytes", type=int, default=2)
    parser.add_argument("--images", type=float, default=2500)
    parser.add_argument("--devices", type=int, default=8)
    parser.add_argument("--inside", type=float, default=200e9)
    parser.add_argument("--between", type=float, default=20e9)
    parser.add_argument("--latency", type=float, default=10e-6)
    parser.add_argument("--cores", type=int, default=12)
    parser.add_argument("--decoded", type=float, default=300)
    parser.add_argument("--image", type=float, default=110e3)
    parser.add_argument("--storage", type=float, default=100e9)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker)
    elif options.check:
        check()
    else:
        plan(options)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
