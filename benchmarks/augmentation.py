"""Images augmented in a second: our pipeline, Keras's layers, and Pillow's in workers.

    python benchmarks/augmentation.py [--size 32 224] [--write docs/augmentation.md]

All ways augment the same images by the same set: shift, rotation, zoom, a horizontal
flip, brightness and contrast. At 32x32 every way may keep decoded images in memory; at
224x224 every way decodes and resizes each time, antialiased but for OpenCV. The ways
take turns, each alone, so that a change of the machine's load meets all of them; the
median of the rounds counts.
"""

import argparse
import contextlib
import functools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pillow_images import SET, PillowImages

# Workers import this file: what takes seconds to import is imported by functions.
BATCH = 64
ROUNDS = 3
WORKERS = 2
# "Light" as Hernández-García and König (2018) have it: mirrored, and moved by up to a
# tenth; in whole pixels, as He et al. (2015) crop.
TURNED = {"shift": 0.08, "rotation": 12.0, "zoom": 0.12}
SMALL = 64  # sides up to this are kept in memory


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


def in_numpy() -> dict[str, type]:
    """The classes that augment image by image; Albumentations where it is installed."""
    kinds: dict[str, type] = {"Pillow": PillowImages}
    with contextlib.suppress(ImportError):
        from albumentations_images import AlbumentationsImages

        kinds["Albumentations"] = AlbumentationsImages
    return kinds


class Bench:
    """The images of one size, and the ways to augment them."""

    def __init__(self, root: Path, side: int):
        from dlkeras.pipeline import ExampleGenConfig
        from dlkeras.pipeline.artifacts.types import Examples, ImageSchema, Schema
        from dlkeras.pipeline.components.example_gen import example_gen
        from dlkeras.pipeline.examples.schema import SCHEMA_FILE, to_toml
        from dlkeras.pipeline.store.publishing import Store

        self.side = side
        number, source = (2048, 40) if side <= SMALL else (384, 256)
        self.photos = photographs(root / "photos", number, source)
        self.store = Store(root / "store")
        config = ExampleGenConfig(
            image_folder=self.photos, validation_fraction=0.02, test_fraction=0.02
        )
        with self._publish(Examples, "examples") as draft:
            example_gen(config, draft, root)
        self.examples: Any = self.store.find(Examples, "examples".ljust(64, "0"))
        self.folder = self.examples.path / self.examples.properties["builder"]
        with self._publish(Schema, "schema") as draft:
            schema = ImageSchema(
                labels=("cat", "dog"), channels=3, min_height=1, max_height=999,
                min_width=1, max_width=999, min_examples_per_class=1,
            )  # fmt: skip
            (draft.path / SCHEMA_FILE).write_text(to_toml(schema))
        self.schema: Any = self.store.find(Schema, "schema".ljust(64, "0"))

    def _publish(self, kind: type, name: str, config: dict | None = None):
        return self.store.publish(
            kind, key=name.ljust(64, "0"), producer="benchmark", pipeline="benchmark",
            config=config or {}, inputs={}, versions={}, run_id="",
        )  # fmt: skip

    def transform(self, name: str, **augmentation) -> Any:
        """Publish the transform of an augmentation."""
        from dlkeras.pipeline import TransformConfig
        from dlkeras.pipeline.artifacts.types import Transform
        from dlkeras.pipeline.components.transform import transform

        off = {"shift": 0.0, "rotation": 0.0, "zoom": 0.0}
        config = TransformConfig(
            height=self.side, width=self.side, scale=1 / 255, offset=0.0,
            preview_examples=1, augment=bool(augmentation), **{**off, **augmentation},
        )  # fmt: skip
        dumped = {"transform": config.model_dump(mode="json")}
        with self._publish(Transform, name, dumped) as draft:
            transform(config, draft, self.examples, self.schema)
        return self.store.find(Transform, name.ljust(64, "0"))

    def ours(self, name: str, keep: bool, options: Any = None, **augmentation):
        """The pipeline as the trainer reads it, endless."""
        from dlkeras.pipeline.batches import input_pipeline

        input_pipeline.CACHE_BYTES = 2**30 if keep else 0
        dataset = input_pipeline.training_batches(
            self.examples, self.transform(name, **augmentation), batch_size=BATCH,
            seed=0, augmentation_strength=1.0, first_epoch=0, epochs=10**6,
        )  # fmt: skip
        return dataset.with_options(options) if options is not None else dataset

    def plain(self):
        """Decoded and resized images, as a user would write it, endless."""
        from dlkeras.pipeline.examples.reading import read_split
        from dlkeras.pipeline.tensorflow_import import keras, tf

        resize = keras.layers.Resizing(self.side, self.side, antialias=True)
        dataset = read_split(self.folder, "train").map(
            lambda e: (resize(tf.cast(e["image"], tf.float32) / 255), e["label"]),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        if self.side <= SMALL:
            dataset = dataset.cache()
        return dataset.shuffle(4096).repeat().batch(BATCH)

    @staticmethod
    def layers():
        """Keras's preprocessing layers for the set."""
        from dlkeras.pipeline.tensorflow_import import keras

        shift, zoom, fill = SET["shift"], SET["zoom"], {"fill_mode": "constant"}
        return keras.Sequential(
            [
                keras.layers.RandomTranslation(shift, shift, **fill),
                keras.layers.RandomRotation(SET["rotation"] / 360, **fill),
                keras.layers.RandomZoom(zoom, zoom, **fill),
                keras.layers.RandomFlip("horizontal"),
                keras.layers.RandomBrightness(SET["brightness"], value_range=(0, 1)),
                keras.layers.RandomContrast(SET["contrast"], value_range=(0, 1)),
            ]
        )

    def in_model(self):
        """Keras's layers at the head of the model: in the training step."""
        from dlkeras.pipeline.tensorflow_import import tf

        layers = self.layers()
        step = tf.function(lambda images: layers(images, training=True))
        dataset = self.plain().prefetch(tf.data.AUTOTUNE)
        return ((step(images), labels) for images, labels in dataset)

    def in_map(self):
        """Keras's layers in a parallel map over batches."""
        from dlkeras.pipeline.tensorflow_import import tf

        layers = self.layers()
        dataset = self.plain().map(
            lambda images, labels: (layers(images, training=True), labels),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        return dataset.prefetch(tf.data.AUTOTUNE)

    def in_workers(self, kind: type):
        """One of the classes that augment image by image, in PyTorch's data loader."""
        from torch.utils.data import DataLoader

        files = sorted(self.photos.glob("*/*.jpg"))
        loader = DataLoader(
            kind(files, self.side, self.side <= SMALL),
            batch_size=BATCH, shuffle=True, num_workers=WORKERS,
            persistent_workers=True, multiprocessing_context="spawn",
        )  # fmt: skip
        while True:
            yield from loader

    def ways(self) -> dict[str, Callable]:
        """The ways to augment by the set."""
        keep = self.side <= SMALL
        return {
            "this pipeline": lambda: self.ours("set", keep, **SET),
            "Keras's layers in the model": self.in_model,
            "Keras's layers in `.map`": self.in_map,
            **{
                f"{name} in {WORKERS} workers": functools.partial(self.in_workers, kind)
                for name, kind in in_numpy().items()
            },
        }

    def stages(self) -> dict[str, Callable]:
        """What an image goes through, one thing more each time; nothing is kept."""
        from dlkeras.pipeline.examples.decoding import decode_in_graph
        from dlkeras.pipeline.examples.reading import read_split
        from dlkeras.pipeline.tensorflow_import import tf

        def read():
            return read_split(self.folder, "train", decode=False).repeat()

        def decoded():
            return (
                read()
                .map(
                    lambda e: (decode_in_graph(e["image"], 3), e["label"]),
                    num_parallel_calls=tf.data.AUTOTUNE,
                )
                .batch(BATCH)
                .prefetch(tf.data.AUTOTUNE)
            )

        return {
            "read": lambda: read().map(lambda e: (e["label"], 0)).batch(BATCH),
            "decode": decoded,
            "decode + resize": lambda: self.ours("none", False),
            "decode + resize + light policy": lambda: self.ours(
                "light", False, horizontal_flip=True, crop_padding=self.side // 10
            ),
            "decode + resize + shift, rotation, zoom": lambda: self.ours(
                "turned", False, **TURNED
            ),
            "decode + resize + the set": lambda: self.ours("set", False, **SET),
        }

    def options(self) -> dict[str, Callable]:
        """The set by this pipeline, with one of tf.data's options changed."""
        from dlkeras.pipeline.tensorflow_import import tf

        any_order, no_autotune = tf.data.Options(), tf.data.Options()
        any_order.deterministic = False
        no_autotune.autotune.enabled = False
        keep = self.side <= SMALL
        return {
            "as it is": lambda: self.ours("set", keep, **SET),
            "`deterministic=False`": lambda: self.ours("set", keep, any_order, **SET),
            "`autotune.enabled=False`": lambda: self.ours(
                "set", keep, no_autotune, **SET
            ),
            "decoded images kept in memory"
            if not keep
            else "decoded images not kept": lambda: self.ours("set", not keep, **SET),
        }


def rate(batches: Iterator, seconds: float) -> tuple[float, float]:
    """Images a second of a warm iterator, and CPU microseconds of an image."""
    number, started, cpu = 0, time.perf_counter(), time.process_time()
    while (spent := time.perf_counter() - started) < seconds:
        batch = next(batches)
        number += len(batch[0]) if isinstance(batch, list | tuple) else len(batch)
    return number / spent, 1e6 * (time.process_time() - cpu) / number


def settle() -> None:
    """Wait until the buffers of what was read last are full, here and in workers."""
    import psutil

    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    until = time.perf_counter() + 4
    while time.perf_counter() < until:
        before = sum(sum(member.cpu_times()[:2]) for member in family)
        time.sleep(0.15)
        if sum(sum(member.cpu_times()[:2]) for member in family) - before < 0.05:
            return


def rates(ways: dict[str, Callable], seconds: float) -> dict[str, float]:
    """Measure the ways in turn, each alone: what is not read fills a buffer and waits.

    The first images of each turn, which the buffer held, are not counted.
    """
    opened = {}
    for name, make in ways.items():
        opened[name] = iter(make())
        rate(opened[name], seconds)  # fills caches, and lets tf.data find its numbers
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, batches in opened.items():
            settle()
            rate(batches, seconds / 3)
            images, cpu = rate(batches, seconds)
            found[name].append(images)
            if os.environ.get("BENCH_CPU"):
                print(f"  {name}: {images:,.0f} images/s, {cpu:.1f} us of CPU")
    return {name: statistics.median(values) for name, values in found.items()}


def measure(side: int, seconds: float) -> str:
    """Measure one size; give Markdown."""
    with tempfile.TemporaryDirectory() as root:
        bench = Bench(Path(root), side)
        found = rates(bench.ways(), seconds)
        ours = found.pop("this pipeline")
        best = max(found.values())
        lines = [
            f"## {side}x{side}\n",
            "| the set | images/s | this pipeline is |\n|---|---|---|",
            f"| this pipeline | {ours:,.0f} | |",
            *(f"| {n} | {r:,.0f} | {ours / r:.2f}x |" for n, r in found.items()),
            f"\nAgainst the best of them: **{ours / best:.2f}x**.\n",
        ]
        found = rates(bench.stages(), seconds)
        lines += ["| stage | images/s | µs an image |\n|---|---|---|"]
        lines += [f"| {n} | {r:,.0f} | {1e6 / r:.1f} |" for n, r in found.items()]
        share = found["decode + resize + light policy"] / found["decode + resize"]
        lines += [
            "\nThe light policy (half of the images mirrored, all moved by up to a "
            f"tenth in whole pixels) runs at **{share:.0%}** of the rate of decoding "
            "and resizing alone.\n"
        ]
        found = rates(bench.options(), seconds)
        now = found["as it is"]
        lines += ["| options of tf.data, the set | images/s | |\n|---|---|---|"]
        lines += [f"| {n} | {r:,.0f} | {r / now:.2f}x |" for n, r in found.items()]
        return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, nargs="+", default=[32, 224])
    parser.add_argument("--seconds", type=float, default=0.7)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()

    from dlkeras.pipeline.tensorflow_import import keras, tf

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
