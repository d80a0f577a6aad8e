"""What TrainingDoctor costs: two fits in one process take turns, an epoch each.

Run with `KERAS_BACKEND=tensorflow|jax|torch python benchmarks/diagnosis_cost.py`. One
fit has the doctor at its default interval, one has not, and one more plain fit is
measured as if it had: what that one is away from 1 is noise. Printed are the medians of
an epoch's ratio to the plain epoch of the same turn, after the first two turns, then
the ratios of the sums, in which an epoch counts that is longer than the others, and the
seconds that the doctor adds once: its compilation in the first two epochs, and the
verdict. Beside the clock stands the processors' time of the process, which other work
on the machine changes less.
"""

import argparse
import threading
import time
from typing import Any

import keras
import numpy as np

from dlkeras.architectures import lenet5
from dlkeras.callbacks import TrainingDoctor


class Begins(keras.callbacks.Callback):
    """Waits for its turn before an epoch."""

    def __init__(self, turn: threading.Semaphore) -> None:
        super().__init__()
        self.turn, self.began, self.worked = turn, 0.0, 0.0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.turn.acquire()
        self.began, self.worked = time.perf_counter(), time.process_time()

    def on_train_end(self, logs: dict | None = None) -> None:
        self.began = time.perf_counter()


class Ends(keras.callbacks.Callback):
    """Notes how long the epoch took, with all callbacks, and hands the turn on."""

    def __init__(self, begins: Begins, following: threading.Semaphore) -> None:
        super().__init__()
        self.begins, self.following = begins, following
        self.seconds: list[float] = []
        self.work: list[float] = []
        self.verdict = 0.0

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.seconds.append(time.perf_counter() - self.begins.began)
        self.work.append(time.process_time() - self.begins.worked)
        self.following.release()

    def on_train_end(self, logs: dict | None = None) -> None:
        self.verdict = time.perf_counter() - self.begins.began


def network(name: str) -> tuple[Any, Any, Any]:
    """A compiled network, and images and labels for it."""
    rng = np.random.default_rng(0)
    if name == "LeNet-5":
        model, x = lenet5(), rng.normal(size=(6400, 32, 32, 1)).astype("float32")
    else:
        parts = [keras.layers.Dense(256, "relu") for _ in range(3)]
        parts.append(keras.layers.Dense(10, "softmax"))
        model = keras.Sequential([keras.Input((64,)), *parts])
        x = rng.normal(size=(32_000, 64)).astype("float32")
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, x, rng.integers(0, 10, len(x))


def ratios(ours: np.ndarray, plain: np.ndarray) -> str:
    """The usual ratio of an epoch to that of the same turn, and the ratio of the sums.

    The first two turns, which compile, are left out.
    """
    each, whole = np.median(ours[2:] / plain[2:]), ours[2:].sum() / plain[2:].sum()
    return f"{each:.3f} (sums {whole:.3f})"


def measure(name: str, epochs: int) -> None:
    """Let three fits take turns, and print what the doctor costs."""
    turns = [threading.Semaphore(int(index == 0)) for index in range(3)]
    kinds, ends, threads = ("plain", "doctor", "control"), [], []
    for index, kind in enumerate(kinds):
        keras.utils.set_random_seed(0)
        model, x, y = network(name)
        begin = Begins(turns[index])
        end = Ends(begin, turns[(index + 1) % 3])
        watching = [TrainingDoctor(on_finding=None)] if kind == "doctor" else []
        options = {"batch_size": 64, "epochs": epochs, "verbose": 0}
        options["callbacks"] = [begin, *watching, end]
        ends.append(end)
        threads.append(
            threading.Thread(target=model.fit, args=(x, y), kwargs=options, name=kind)
        )
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{keras.backend.backend()}, {name}, {epochs} epochs of each:")
    for kind in ("seconds", "work"):
        plain, doctor, control = (np.array(getattr(end, kind)) for end in ends)
        word = "of the clock" if kind == "seconds" else "of the processors"
        print(
            f"    seconds {word}: an epoch {np.median(plain[2:]):.3f}; doctor "
            f"{ratios(doctor, plain)}, control {ratios(control, plain)}; once "
            f"{(doctor[:2] - plain[:2]).sum():.2f} for the first two epochs",
            flush=True,
        )
    print(f"    the verdict took {ends[1].verdict:.2f} s", flush=True)


def main() -> None:
    """Measure both networks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30, help="of each fit")
    parser.add_argument("--only", default="", help="networks with this in their name")
    options = parser.parse_args()
    for name in ("LeNet-5", "three dense layers"):
        if options.only in name:
            measure(name, options.epochs)


if __name__ == "__main__":
    main()
