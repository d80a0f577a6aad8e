"""The same configuration on another machine gives the same digests of the data.

Another machine is another folder, order and time of the files, working directory, home,
hash seed, locale, time zone, number of CPUs and of threads, in a process of its own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

pytestmark = pytest.mark.job

ROOT = Path(__file__).parents[2]
RUN = """
import json, os, sys
cpus = sorted(os.sched_getaffinity(0))[: int(sys.argv[1])]
os.sched_setaffinity(0, cpus)
from pathlib import Path
from dlkeras.pipeline import ExampleGenConfig, PipelineConfig, run

example_gen = ExampleGenConfig(**json.loads(sys.argv[2]) | {
    name: Path(value) for name, value in json.loads(sys.argv[3]).items()
})
config = PipelineConfig(mlruns=Path(sys.argv[4]), example_gen=example_gen)
result = run(config, until="ExampleValidator")
print("DIGESTS " + json.dumps({
    name: artifact.record.digest for name, artifact in result.artifacts.items()
}))
"""


def photographs(folder: Path, backwards: bool) -> None:
    """Digits as JPEG, PNG, grey, coloured and large, written in either order."""
    digits = load_digits()
    numbers = range(119, -1, -1) if backwards else range(120)
    for number in numbers:
        place = folder / "photos" / str(digits.target[number] % 2)
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.round(digits.images[number] * 255 / 16).astype("uint8")
        image = Image.fromarray(pixels).resize((24 + number % 3, 24), 3)
        if number % 4 == 1:
            image = image.convert("RGB")
        image.save(place / f"{number}.{('png', 'jpg')[number % 2]}")
        time = number + (1e9 if backwards else 1.5e9)
        os.utime(place / f"{number}.{('png', 'jpg')[number % 2]}", (time, time))


def digests(folder: Path, cpus: int, paths: dict, values: dict, **environment) -> dict:
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [
            sys.executable, "-c", RUN, str(cpus), json.dumps(values), json.dumps(paths),
            environment.pop("mlruns"),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (line,) = [x for x in done.stdout.splitlines() if x.startswith("DIGESTS ")]
    return json.loads(line.removeprefix("DIGESTS "))


@pytest.mark.parametrize(
    "paths, values",
    [({"image_folder": "photos"}, {"examples_per_shard": 50}), ({}, {})],
    ids=["folder", "TFDS"],
)
def test_another_machine_finds_the_same_digests(paths, values, tmp_path):
    here, there = tmp_path / "here", tmp_path / "over there"
    photographs(here, backwards=False)
    photographs(there, backwards=True)
    one = digests(
        here, 1, paths, values, mlruns="mlruns", PYTHONHASHSEED="1", TZ="UTC",
        LC_ALL="C", OMP_NUM_THREADS="1",
    )  # fmt: skip
    other = digests(
        there, 64, paths, values, mlruns=str(tmp_path / "elsewhere"),
        PYTHONHASHSEED="4711", TZ="Asia/Kathmandu", LC_ALL="C.UTF-8",
        HOME=str(tmp_path), OMP_NUM_THREADS="3", TF_NUM_INTRAOP_THREADS="3",
    )  # fmt: skip
    assert set(one) == {"Examples", "Statistics", "Schema", "Anomalies"}
    assert one == other
