"""Memory and time of ExampleGen on a source of some gigabytes that is generated.

    python benchmarks/ingest_memory.py [GIGABYTES]

It writes photographs of noise, 1024x1024 PNG, 3 MB each, into a temporary folder, and
ingests them. Memory must stay below 1 GiB, and the time of an image must not grow.
"""

import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from dlkeras.pipeline.components.example_gen import example_gen
from dlkeras.pipeline.configuration.config import ExampleGenConfig
from dlkeras.pipeline.examples.sources import image_folder
from dlkeras.pipeline.store.publishing import Draft

SIDE = 1024
PARTS = 10


def write_photographs(folder: Path, gigabytes: float) -> int:
    """Noise does not compress: the files are as large as their pixels."""
    random = np.random.default_rng(0)
    written, number = 0, 0
    while written < gigabytes * 2**30:
        place = folder / ("cat", "dog")[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (SIDE, SIDE, 3), dtype="uint8")
        Image.fromarray(pixels).save(place, compress_level=0)
        written += place.stat().st_size
        number += 1
    return number


def megabytes(what: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{what}:\s+(\d+)", status)[1]) / 1024


def main(gigabytes: float) -> None:
    import dlkeras.pipeline.tensorflow_import  # noqa: F401

    root = Path(tempfile.mkdtemp())
    try:
        number = write_photographs(root / "photos", gigabytes)
        config = ExampleGenConfig(image_folder=root / "photos", examples_per_shard=64)
        times: list[float] = []
        original = image_folder.ImageFolderSource.examples

        def timed(self, *args):
            for example in original(self, *args):
                times.append(time.perf_counter())
                yield example

        image_folder.ImageFolderSource.examples = timed
        (root / "out").mkdir()
        Path("/proc/self/clear_refs").write_text("5")
        before = megabytes("VmRSS")
        example_gen(config, Draft(root / "out"), root)
        peak = megabytes("VmHWM")
    finally:
        shutil.rmtree(root)
    steps = np.diff(times)
    parts = [1000 * part.mean() for part in np.array_split(steps, PARTS)]
    print(f"{number} images, {gigabytes:g} GB")
    print(f"memory: {before:.0f} MiB before, {peak:.0f} MiB at most")
    print("ms an image, by tenth:", " ".join(f"{part:.1f}" for part in parts))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0)
