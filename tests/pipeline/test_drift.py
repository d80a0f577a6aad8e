"""Drift since the last run: real digits, then the same ones darker and fewer zeros."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.spatial import distance
from sklearn.datasets import load_digits

from dlkeras.pipeline import ExampleGenConfig, PipelineConfig, SchemaGenConfig, run
from dlkeras.pipeline.store.errors import AnomaliesError


def digits_folder(folder: Path, factor: float, zeros: int) -> Path:
    """Write scikit-learn's digits 0 and 1 as files, times a factor."""
    digits = load_digits()
    for label, most in ((0, zeros), (1, 10**6)):
        (folder / str(label)).mkdir(parents=True)
        images = digits.images[digits.target == label][:most]
        for index, image in enumerate(images):
            pixels = np.round(image * factor * 255 / 16).astype("uint8")
            Image.fromarray(pixels).save(folder / str(label) / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The digits as they are, and a later delivery of them."""
    root = tmp_path_factory.mktemp("digits")
    first = digits_folder(root / "first", 1.0, 10**6)
    return root, first, digits_folder(root / "second", 0.4, 60)


def drift(found):
    """The anomalies that are distances, by the name of their bound."""
    return {a["key"]: a for a in found.anomalies if "." in a["key"]}


def anomalies(mlruns, folder, silent, **options):
    config = PipelineConfig(
        name=options.pop("name", "drifting"),
        mlruns=mlruns,
        example_gen=ExampleGenConfig(image_folder=folder),
        **options,
    )
    result = run(config, until="ExampleValidator", progress=silent)
    return result.artifacts["Anomalies"], result


def test_a_new_data_set_is_compared_with_the_last_runs(folders, tmp_path, silent):
    _, first, second = folders
    before, result = anomalies(tmp_path, first, silent)
    was = result.artifacts["Statistics"].summary["splits"]["train"]
    assert drift(before) == {} and before.properties["compared_with_run"] is None
    found, later = anomalies(tmp_path, second, silent)
    # The schema is inferred from the same data: of itself it sees no drift.
    rows = drift(found)
    assert set(rows) == {
        "last_run.max_label_distance",
        "last_run.max_pixel_divergence",
        "last_run.max_brightness_divergence",
    }
    assert found.properties["compared_with_run"] == result.run_id
    now = later.artifacts["Statistics"].summary["splits"]["train"]
    for kind, name in (("pixel", "pixel"), ("brightness", "brightness")):
        key = f"{name}_histogram"
        expected = distance.jensenshannon(was[key], now[key], base=2) ** 2
        row = rows[f"last_run.max_{kind}_divergence"]
        assert row["value"] == pytest.approx(expected, abs=1e-4)
        assert row["severity"] == "warn" and row["bound"] == 0.1
    shares = [s["classes"]["1"] / s["examples"] for s in (was, now)]
    row = rows["last_run.max_label_distance"]
    assert row["value"] == pytest.approx(shares[1] - shares[0], abs=1e-4)
    table = later.artifacts["Statistics"].table.set_index("id")
    dark = rows["last_run.max_brightness_divergence"]["examples"]
    assert len(dark) == 20
    # Named are images of one bin, of 8 levels, darker than nearly all of before.
    means = table.loc[dark, "mean"]
    assert means.max() - means.min() < 8
    assert means.max() < was["brightness"]["25%"]

    again, _ = anomalies(tmp_path, second, silent)
    assert again.record.key == found.record.key  # nothing changed: it still warns
    other, _ = anomalies(tmp_path, second, silent, name="another")
    assert drift(other) == {}  # no run of this pipeline before
    back, _ = anomalies(tmp_path, first, silent)
    assert back.properties["compared_with_run"] == later.run_id


def test_data_that_drift_stopped_does_not_become_the_measure(folders, tmp_path, silent):
    _, first, second = folders
    _, result = anomalies(tmp_path / "runs", first, silent)
    written = result.artifacts["Schema"].path / "schema.toml"
    text = written.read_text(encoding="utf-8")
    # Against the last run alone, and stopping.
    text = text.replace('"last_run.max_pixel_divergence", ', "")
    for name in ("label_distance", "pixel_divergence", "brightness_divergence"):
        head, tail = text.split("[drift]")
        text = head + "[drift]" + tail.replace(f"max_{name} = 0.1", f"max_{name} = 1.0")
    schema = SchemaGenConfig(path=tmp_path / "schema.toml")
    schema.path.write_text(text, encoding="utf-8")
    for _ in range(2):
        with pytest.raises(AnomaliesError, match="pixels of train from the last run"):
            anomalies(tmp_path / "runs", second, silent, schema_gen=schema)
    accepted, _ = anomalies(tmp_path / "runs", first, silent, schema_gen=schema)
    assert drift(accepted) == {}
