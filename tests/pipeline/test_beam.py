"""ExampleGen on Apache Beam, in an environment made as the extra `beam` says.

The environment is made in the tests' folder, in minutes: `make test-beam` keeps
one, and names its Python in DLKERAS_BEAM_PYTHON.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlkeras.pipeline import ExampleGenConfig
from dlkeras.pipeline.components.example_gen import example_gen
from dlkeras.pipeline.store.errors import PipelineError
from dlkeras.pipeline.store.publishing import Draft

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def beam_python(tmp_path_factory) -> Path:
    """The Python of an environment with dlkeras[pipeline,beam]."""
    if given := os.environ.get("DLKERAS_BEAM_PYTHON"):
        return Path(given)
    folder = tmp_path_factory.mktemp("environment") / "beam"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "--quiet", "install"]
    subprocess.run([*install, f"{ROOT}[pipeline,beam]"], check=True)
    return python


@pytest.fixture
def photos(tmp_path) -> Path:
    """60 images of noise in two classes, a file that is none, and a table of all."""
    random = np.random.default_rng(0)
    lines = ["path,label,group"]
    for number in range(60):
        label = ("cat", "dog")[number % 2]
        folder = tmp_path / "photos" / label
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 255, (7, 9, 3), dtype="uint8")
        name = f"{number}.{('png', 'jpg', 'bmp')[number % 3]}"
        Image.fromarray(pixels).save(folder / name)
        lines.append(f"{label}/{name},{label},person {number % 20}")
    (tmp_path / "photos" / "cat" / "bad.png").write_bytes(b"?")
    lines.append("cat/bad.png,cat,person 1")
    (tmp_path / "photos" / "table.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "photos"


def ingest(output: Path, **config) -> Draft:
    output.mkdir(parents=True)
    draft = Draft(output)
    example_gen(
        ExampleGenConfig(examples_per_shard=8, on_error="quarantine", **config),
        draft,
        output.parent / "data",
    )
    return draft


def files(draft: Draft) -> dict[str, bytes]:
    return {
        file.relative_to(draft.path).as_posix(): file.read_bytes()
        for file in draft.path.rglob("*")
        if file.is_file()
    }


def as_numpy(photos: Path) -> Path:
    images = np.random.default_rng(1).integers(0, 255, (50, 6, 5), dtype="uint8")
    np.savez(photos / "set.npz", x=images, y=np.arange(50) % 3)
    return photos / "set.npz"


@pytest.mark.parametrize("source", ["folder", "table", "npz", "TFDS"])
def test_beam_with_two_workers_writes_the_same_bytes(
    source, beam_python, photos, tmp_path
):
    if source == "folder":
        config = {"image_folder": photos}
    elif source == "table":
        config = {"manifest": photos / "table.csv", "file_format": "array_record"}
    elif source == "npz":
        config = {"npz": as_numpy(photos)}
    else:
        first = ingest(tmp_path / "first", image_folder=photos)
        config = {"builder_dir": first.path / first.properties["builder"]}
    here = ingest(tmp_path / "here", **config)
    there = ingest(tmp_path / "there", beam_python=beam_python, **config)
    assert sum(here.properties["splits"].values()) == (50 if source == "npz" else 60)
    lost = 1 if source in ("folder", "table") else 0
    assert here.properties["quarantined"] == lost
    assert here.digest == there.digest
    assert here.properties == there.properties
    assert files(here) == files(there)


def test_options_reach_beams_runner(beam_python, photos, tmp_path):
    with pytest.raises(PipelineError, match="NoSuchRunner"):
        ingest(
            tmp_path / "out",
            image_folder=photos,
            beam_python=beam_python,
            beam_options="--runner=NoSuchRunner",
        )
