"""The pipeline scripts for folders, manifests and MNIST, run as a user runs them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from dlkeras.pipeline.artifacts.types import Anomalies, Examples, Transform
from dlkeras.pipeline.store.publishing import Store

pytestmark = pytest.mark.job

ROOT = Path(__file__).parents[2]
SHARED_DATA = ROOT.parent / "shared" / "data"


def only(store: Store, kind: type):
    (artifact,) = store.artifacts(kind)
    return artifact


@pytest.fixture(scope="module")
def digits_table(tmp_path_factory) -> Path:
    """The first 600 of scikit-learn's digits as files and a table of them."""
    folder = tmp_path_factory.mktemp("digits")
    digits = load_digits()
    rows = []
    for index in range(600):
        pixels = np.round(digits.images[index] * 255 / 16).astype("uint8")
        Image.fromarray(pixels).save(folder / f"{index}.png")
        # 20 writers in turn: each in one split alone.
        rows.append((f"{index}.png", digits.target[index], f"writer {index // 30}"))
    (folder / "broken.png").write_bytes(b"?")
    rows.append(("broken.png", 0, "writer 0"))
    table = pd.DataFrame(rows, columns=["path", "label", "group"])
    table.to_csv(folder / "images.csv", index=False)
    return folder / "images.csv"


def test_the_manifest_script_stops_at_a_broken_file_and_names_it(
    digits_table, tmp_path, script_runner
):
    script = ROOT / "pipelines" / "lenet5_manifest.py"
    flags = ["--example-gen.manifest", str(digits_table), "--until", "ExampleGen"]
    job = script_runner(tmp_path, *flags, script=script)
    assert job.exit_code == 2
    assert "broken.png: not an image" in job.stderr


def test_the_manifest_script_trains_and_lists_what_it_left_out(
    digits_table, tmp_path, script_runner
):
    script = ROOT / "pipelines" / "lenet5_manifest.py"
    flags = [
        "--example-gen.manifest", str(digits_table),
        "--example-gen.on-error", "quarantine", "--trainer.epochs", "2",
        "--evaluator.min-accuracy", "0.1",
    ]  # fmt: skip
    job = script_runner(tmp_path, *flags, script=script)
    assert job.exit_code == 0, job.stderr
    assert "quarantined, cannot be read: 1 examples, listed in" in job.stdout
    examples = only(Store(tmp_path / "store"), Examples)
    assert [row["id"] for row in examples.read_json("quarantine.json")] == [
        "broken.png"
    ]
    logged = list(tmp_path.rglob("artifacts/quarantine.json"))
    assert json.loads(logged[0].read_text())[0]["reason"] == "not an image"
    # Every run shows what its augmentation does.
    assert "augmentation_preview" in only(Store(tmp_path / "store"), Transform).figures
    assert list(tmp_path.rglob("artifacts/figures/augmentation_preview.png"))


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="the real photos are not here")
def test_the_folder_script_reads_real_photographs_from_their_archive(
    tmp_path, script_runner
):
    script = ROOT / "pipelines" / "resnet20_image_folder.py"
    archive = SHARED_DATA / "cifar10_small.tar.xz"
    flags = ["--example-gen.image-folder", str(archive), "--until", "Transform"]
    job = script_runner(tmp_path, *flags, script=script)
    assert job.exit_code == 0, job.stderr
    store = Store(tmp_path / "store")
    examples = only(store, Examples)
    assert examples.splits["test"] == 2000
    assert examples.splits["train"] + examples.splits["validation"] == 10_000
    assert len(examples.labels) == 10
    assert only(store, Anomalies).anomalies == []
