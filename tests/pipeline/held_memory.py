"""Trains and evaluates in a process of its own, and prints the memory that each took.

    python tests/pipeline/held_memory.py FOLDER

Photographs come first: their training, of four images, compiles what would else count
as the memory of a split.
"""

import ctypes
import gc
import json
import os
import sys
from pathlib import Path

import numpy as np
import sklearn.metrics  # noqa: F401  (what is imported later would count)
from PIL import Image

from dlkeras.pipeline import (
    EvaluatorConfig,
    ExampleGenConfig,
    PipelineConfig,
    TrainerConfig,
    TransformConfig,
    TunerConfig,
    run,
)
from dlkeras.pipeline.batches import input_pipeline
from dlkeras.visualization import confusion_matrix  # noqa: F401

MIB = 2**20
M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
TEST_PHOTOGRAPHS, WIDTH, HEIGHT = 72, 2000, 1250
# 80 images to train on, 1,960 for validation and as many for the test; 144 KiB each.
IMAGES, SHARE, SIDE = 4000, 0.49, 192
SMALL_CACHE = 16 * MIB


def peak_mib(reset: bool = False) -> float:
    """The most memory that this process has held; from now on, after a reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def photographs(folder: Path) -> ExampleGenConfig:
    random = np.random.default_rng(0)
    for number in range(TEST_PHOTOGRAPHS + 8):
        split = ("train", "val")[number % 2] if number < 8 else "test"
        place = folder / split / ("cat", "dog")[number // 2 % 2]
        place.mkdir(parents=True, exist_ok=True)
        coarse = random.integers(0, 255, (15, 20, 3), dtype="uint8")
        image = Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BOX)
        image.save(place / f"{number}.jpg", quality=50)
    return ExampleGenConfig(image_folder=folder)


def small_images(file: Path) -> ExampleGenConfig:
    """Images of 8 x 8 pixels: only their preprocessing makes them large."""
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (IMAGES, 8, 8, 1), dtype="uint8")
    np.savez(file, x_train=images, y_train=np.arange(IMAGES) % 2)
    return ExampleGenConfig(npz=file, validation_fraction=SHARE, test_fraction=SHARE)


def job(
    folder: Path, source: ExampleGenConfig, shape: tuple, corrupted: int
) -> PipelineConfig:
    """A job whose network has a few weights, so that images take all the memory."""
    import keras

    name = str(shape[0])
    layers = keras.layers
    pool, head = layers.GlobalAveragePooling2D(), layers.Dense(2, activation="softmax")
    shrink = layers.Conv2D(4, 8, strides=8, activation="relu")
    keras.Sequential([keras.Input(shape), shrink, pool, head]).save(
        folder / f"{name}.keras"
    )
    return PipelineConfig(
        name=name,
        mlruns=folder / "mlruns",
        example_gen=source,
        transform=TransformConfig(height=shape[0], width=shape[1], augment=False),
        tuner=TunerConfig(enabled=False),
        trainer=TrainerConfig(
            epochs=1, transfer={"source": str(folder / f"{name}.keras")}
        ),
        evaluator=EvaluatorConfig(latency_repetitions=2, robustness_images=corrupted),
    )


def growth(config: PipelineConfig, component: str) -> float:
    """How much memory a job takes in one component; those before it have run."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what is free would hide what is taken
    before = peak_mib(reset=True)
    run(config, until=component)
    return peak_mib() - before


def main(folder: Path) -> None:
    # Blocks of an image or more go back when they are freed, and hide nothing later;
    # oneDNN's pool of them, which never does, the test switches off.
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 64 * 1024)
    # As many threads on any machine: each holds an image.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    config = job(folder, photographs(folder / "photographs"), (32, 32, 3), 500)
    run(config, until="Trainer")
    found = {"raw": TEST_PHOTOGRAPHS * WIDTH * HEIGHT * 3 / MIB}
    found["photographs"] = growth(config, "Evaluator")

    config = job(folder, small_images(folder / "small.npz"), (SIDE, SIDE, 1), 4)
    splits = run(config, until="Transform").artifacts["Examples"].splits
    size = SIDE * SIDE * 4 / MIB
    found |= {name: splits[name] * size for name in ("train", "validation", "test")}
    usual, input_pipeline.CACHE_BYTES = input_pipeline.CACHE_BYTES, SMALL_CACHE
    found["trainer beyond"] = growth(config, "Trainer")
    run(config, until="Evaluator")  # compiles what would count as memory below
    input_pipeline.CACHE_BYTES = usual
    trainer = config.trainer.model_copy(update={"learning_rate": 1e-3})
    config = config.model_copy(update={"trainer": trainer})  # it trains again
    found["trainer within"] = growth(config, "Trainer")
    input_pipeline.CACHE_BYTES = SMALL_CACHE
    found["evaluator beyond"] = growth(config, "Evaluator")
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
