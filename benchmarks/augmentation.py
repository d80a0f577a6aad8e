"""Images augmented in a second: our pipeline, Keras's layers, and Pillow's in workers.

    python benchmarks/augmentation.py [--size 32 224] [--write docs/augmentation.md]

All ways augment the same images by the same set: shift, rotation, zoom, a horizontal
flip, brightness and contrast. At 32x32 every way may keep decoded images in memory; at
224x224 every way decodes and resizes each time. The ways take turns, so that a change
of the machine's load meets all of them; the median of the rounds counts.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from pillow_images import SET, PillowImages

from dlkeras.pipeline import ExampleGenConfig, TransformConfig, input_pipeline
from dlkeras.pipeline.artifacts import Examples, ImageSchema, Schema, Transform
from dlkeras.pipeline.example_gen import example_gen
from dlkeras.pipeline.example_reading import read_split
from dlkeras.pipeline.image_schema import SCHEMA_FILE, to_toml
from dlkeras.pipeline.store import Store
from dlkeras.pipeline.tensorflow_import import keras, tf
from dlkeras.pipeline.transform import transform

BATCH = 64
ROUNDS = 3
WORKERS = 2
LIGHT = {"shift": 0.08, "rotation": 12.0, "zoom": 0.12}


def photographs(folder: Path, number: int, side: int) -> Path:
    """Smooth noise as JPEG, somewhat larger than what the network takes."""
    random = np.random.default_rng(0)
    for index in range(number):
        place = folder / ("cat", "dog")[index % 2] / f"{index}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        coarse = random.integers(0, 256, (side // 8, side // 8, 3), dtype="uint8")
        image = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
        image.save(place, quality=90)
    return folder


class Bench:
    """The images of one size, and the ways to augment them."""

    def __init__(self, root: Path, side: int):
        self.side, self.root = side, root
        self.number = 4096 if side <= 64 else 512
        source = 40 if side <= 64 else 256
        self.photos = photographs(root / "photos", self.number, source)
        self.store = Store(root / "store")
        config = ExampleGenConfig(
            image_folder=self.photos, validation_fraction=0.02, test_fraction=0.02
        )
        with self._publish(Examples, "examples") as draft:
            example_gen(config, draft, root)
        self.examples = self.store.find(Examples, "examples".ljust(64, "0"))
        self.number = self.examples.splits["train"]
        with self._publish(Schema, "schema") as draft:
            schema = ImageSchema(
                labels=("cat", "dog"), channels=3, min_height=1, max_height=999,
                min_width=1, max_width=999, min_examples_per_class=1,
            )  # fmt: skip
            (draft.path / SCHEMA_FILE).write_text(to_toml(schema))
        self.schema = self.store.find(Schema, "schema".ljust(64, "0"))
        input_pipeline.CACHE_BYTES = 2**30 if side <= 64 else 0

    def _publish(self, kind: type, name: str, config: dict | None = None):
        return self.store.publish(
            kind, key=name.ljust(64, "0"), producer="benchmark", pipeline="benchmark",
            config=config or {}, inputs={}, versions={}, run_id="",
        )  # fmt: skip

    def transform(self, name: str, **augmentation) -> Transform:
        options = {"shift": 0.0, "rotation": 0.0, "zoom": 0.0, **augmentation}
        config = TransformConfig(
            height=self.side, width=self.side, scale=1 / 255, offset=0.0,
            preview_examples=1, augment=bool(augmentation), **options,
        )  # fmt: skip
        dumped = {"transform": config.model_dump(mode="json")}
        with self._publish(Transform, name, dumped) as draft:
            transform(config, draft, self.examples, self.schema)
        return self.store.find(Transform, name.ljust(64, "0"))

    def ours(self, name: str, **augmentation):
        """The pipeline as the trainer reads it, endless."""
        return input_pipeline.training_batches(
            self.examples, self.transform(name, **augmentation), batch_size=BATCH,
            seed=0, augmentation_strength=1.0, first_epoch=0, epochs=10**6,
        )  # fmt: skip

    def plain(self):
        """Decoded and resized images, as a user would write it, endless."""
        dataset = read_split(
            self.examples.path / self.examples.properties["builder"], "train"
        )
        resize = keras.layers.Resizing(self.side, self.side, antialias=True)
        dataset = dataset.map(
            lambda e: (resize(tf.cast(e["image"], tf.float32) / 255), e["label"]),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        if self.side <= 64:
            dataset = dataset.cache()
        return dataset.shuffle(4096).repeat().batch(BATCH)

    @staticmethod
    def layers():
        """Keras's preprocessing layers for the set."""
        fill = {"fill_mode": "constant"}
        return keras.Sequential(
            [
                keras.layers.RandomTranslation(SET["shift"], SET["shift"], **fill),
                keras.layers.RandomRotation(SET["rotation"] / 360, **fill),
                keras.layers.RandomZoom(SET["zoom"], SET["zoom"], **fill),
                keras.layers.RandomFlip("horizontal"),
                keras.layers.RandomBrightness(SET["brightness"], value_range=(0, 1)),
                keras.layers.RandomContrast(SET["contrast"], value_range=(0, 1)),
            ]
        )

    def in_model(self):
        """Keras's layers at the head of the model: in the training step."""
        layers = self.layers()
        step = tf.function(lambda images: layers(images, training=True))
        dataset = self.plain().prefetch(tf.data.AUTOTUNE)
        return ((step(images), labels) for images, labels in dataset)

    def in_map(self):
        """Keras's layers in a parallel map over batches."""
        layers = self.layers()
        dataset = self.plain().map(
            lambda images, labels: (layers(images, training=True), labels),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        return dataset.prefetch(tf.data.AUTOTUNE)

    def in_workers(self):
        """Pillow's operations in PyTorch's data loader, as torchvision has them."""
        import torch

        loader = torch.utils.data.DataLoader(
            PillowImages(sorted(self.photos.glob("*/*.jpg")), self.side),
            batch_size=BATCH, shuffle=True, num_workers=WORKERS,
            persistent_workers=True, multiprocessing_context="spawn",
        )  # fmt: skip

        def forever():
            while True:
                yield from loader

        return forever()


def rate(batches, seconds: float) -> float:
    """Images a second of an endless iterator that has been warmed up."""
    number, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < seconds:
        batch = next(batches)
        number += len(batch[0]) if isinstance(batch, tuple) else len(batch)
    return number / spent


def rates(ways: dict[str, Callable], seconds: float, warm: int) -> dict[str, float]:
    """Measure the ways in turn, each alone: the others are not open meanwhile."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, make in ways.items():
            batches = iter(make())
            for _ in range(warm):
                next(batches)
            found[name].append(rate(batches, seconds))
            del batches
    return {name: statistics.median(values) for name, values in found.items()}


def measure(side: int, seconds: float) -> str:
    """Measure one size; give Markdown."""
    with tempfile.TemporaryDirectory() as root:
        bench = Bench(Path(root), side)
        warm = bench.number // BATCH + 4  # an epoch fills the caches
        ways = {
            "this pipeline": lambda: bench.ours("set", **SET),
            "Keras's layers in the model": bench.in_model,
            "Keras's layers in `.map`": bench.in_map,
            f"Pillow in {WORKERS} workers": bench.in_workers,
        }
        found = rates(ways, seconds, warm)
        ours = found.pop("this pipeline")
        best = max(found.values())
        lines = [
            f"## {side}x{side}\n",
            "| the set | images/s | this pipeline is |\n|---|---|---|",
            f"| this pipeline | {ours:,.0f} | |",
            *(f"| {n} | {r:,.0f} | {ours / r:.2f}x |" for n, r in found.items()),
            f"\nAgainst the best of them: **{ours / best:.2f}x**.\n",
        ]
        # Light policy against decoding and resizing alone; nothing is kept in memory.
        input_pipeline.CACHE_BYTES = 0
        folder = bench.examples.path / bench.examples.properties["builder"]
        decode = tf.io.decode_jpeg

        def read_only():
            return read_split(folder, "train", decode=False).repeat().batch(BATCH)

        def decoded():
            dataset = read_split(folder, "train", decode=False).repeat()
            dataset = dataset.map(
                lambda e: (decode(e["image"], 3), e["label"]),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
            return dataset.batch(BATCH).prefetch(tf.data.AUTOTUNE)

        stages = {
            "read": lambda: ((b["label"], 0) for b in read_only()),
            "decode": decoded,
            "decode + resize": lambda: bench.ours("none"),
            "decode + resize + light policy": lambda: bench.ours("light", **LIGHT),
            "decode + resize + the set": lambda: bench.ours("set", **SET),
        }
        found = rates(stages, seconds, 6)
        lines += ["| stage | images/s | us an image |\n|---|---|---|"]
        lines += [f"| {n} | {r:,.0f} | {1e6 / r:.1f} |" for n, r in found.items()]
        share = found["decode + resize + light policy"] / found["decode + resize"]
        lines += [
            f"\nThe light policy (shift, rotation, zoom) leaves **{share:.0%}**.\n"
        ]
        return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, nargs="+", default=[32, 224])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    parts = [
        "# Augmentation: images a second\n\n"
        f"{os.cpu_count()} cores, TensorFlow {tf.__version__}, Keras "
        f"{keras.__version__}; batches of {BATCH}; the median of {ROUNDS} rounds. "
        "`python benchmarks/augmentation.py` measures it. The set: shift, rotation, "
        "zoom, horizontal flip, brightness, contrast.\n"
    ]
    for side in options.size:
        parts.append(measure(side, options.seconds))
        print(parts[-1], flush=True)
    if options.write:
        options.write.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
