"""Statistics against NumPy on the raw arrays; anomalies name the offenders."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from dlkeras.pipeline import SchemaGenConfig, run
from dlkeras.pipeline.artifacts.types import ImageSchema
from dlkeras.pipeline.components.example_validator import find_anomalies
from dlkeras.pipeline.components.schema_gen import load_schema
from dlkeras.pipeline.components.statistics_gen import COLUMNS, leaked
from dlkeras.pipeline.store.errors import AnomaliesError, InputError

SCHEMA = ImageSchema(
    labels=("cat", "dog"), channels=3, min_height=8, max_height=8, min_width=8,
    max_width=8, min_examples_per_class=1,
)  # fmt: skip


def table(**changes) -> pd.DataFrame:
    rows = [
        {"id": f"{split}-{label}", "split": split, "label": label, "height": 8,
         "width": 8, "channels": 3, "dtype": "uint8", "sha256": f"{split}-{label}"}
        for split in ("train", "validation", "test")
        for label in ("cat", "dog")
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    for column, (index, value) in changes.items():
        frame.loc[index, column] = value
    return frame


def test_pixel_statistics_equal_numpys_on_the_raw_digits(prepared):
    statistics = prepared["Statistics"]
    pixels = np.round(load_digits().images * 255 / 16)
    train = statistics.table[statistics.table.split == "train"]
    rows = [int(name.split("/")[1]) for name in train.id]
    summary = statistics.summary["splits"]["train"]
    assert summary["pixel_mean"] == pytest.approx(pixels[rows].mean())
    assert summary["pixel_std"] == pytest.approx(pixels[rows].std())
    histogram, _ = np.histogram(pixels[rows], 32, (0, 256))
    assert summary["pixel_histogram"] == histogram.tolist()
    assert summary["height"] == summary["width"] == [8, 8]
    assert summary["channels"] == [1]
    assert summary["dtypes"] == ["uint8"]


def test_the_digits_have_neither_leaks_nor_anomalies(prepared):
    assert prepared["Statistics"].summary["leaked"] == []
    assert prepared["Anomalies"].anomalies == []


def test_copies_across_splits_are_found(prepared):
    frame = table(sha256=(5, "train-cat"))
    assert leaked(frame) == [{"train": ["train-cat"], "test": ["test-dog"]}]


def test_a_clean_table_has_no_anomalies():
    assert find_anomalies(table(), SCHEMA) == []


@pytest.mark.parametrize(
    ("change", "rule", "value"),
    [
        ({"label": (5, "cow")}, "label", ["cow"]),
        ({"channels": (5, 1)}, "channels", [1]),
        ({"dtype": (5, "float32")}, "dtype", ["float32"]),
        ({"height": (5, 9)}, "height", [9, 9]),
        ({"width": (5, 7)}, "width", [7, 7]),
        ({"sha256": (5, "train-cat")}, "share of validation and test that", 0.25),
    ],
)
def test_each_rule_names_the_example_that_breaks_it(change, rule, value):
    found = [a for a in find_anomalies(table(**change), SCHEMA) if rule in a["rule"]]
    assert found[0]["value"] == value
    assert found[0]["count"] == 1
    assert found[0]["examples"] == ["test-dog"]


def test_a_class_without_examples_in_a_split_is_an_anomaly():
    frame = table().drop(index=5)
    (anomaly,) = find_anomalies(frame, SCHEMA)
    assert anomaly["rule"] == "examples of class 'dog' in test"
    assert (anomaly["bound"], anomaly["value"]) == (1, 0)


def test_an_image_in_two_classes_is_named_with_both_of_its_paths():
    frame = table(sha256=(1, "train-cat"))
    (found,) = [
        a for a in find_anomalies(frame, SCHEMA) if a["key"] == "max_contradictions"
    ]
    assert found["severity"] == "stop"
    assert found["examples"] == ["train-cat (cat) = train-dog (dog)"]


def test_one_colour_file_among_grey_ones_is_named_alone():
    """A set with one colour image has three channels throughout."""
    grey = SCHEMA.model_copy(update={"channels": 1})
    frame = table().assign(file_channels=1)
    frame.loc[4, "file_channels"] = 3
    (found,) = find_anomalies(frame, grey)
    assert (found["rule"], found["value"], found["count"]) == ("channels", [3], 1)
    assert found["examples"] == ["test-cat"]
    # Grey files among coloured ones are no anomaly, a set without colours is.
    assert find_anomalies(frame, SCHEMA) == []
    (found,) = find_anomalies(table().assign(file_channels=1, channels=1), SCHEMA)
    assert found["count"] == 6


def test_classes_that_are_one_by_their_names_are_named():
    schema = SCHEMA.model_copy(update={"labels": ("cat", "dog", "Cat", "cat|dog")})
    found = [a for a in find_anomalies(table(), schema) if a["key"] == "labels"]
    assert [a["severity"] for a in found] == ["warn", "warn"]
    assert [a["value"] for a in found] == [["cat", "Cat"], ["cat", "dog"]]


def test_a_label_outside_a_curated_schema_stops_the_run(
    tiny_config, prepared, tmp_path, silent
):
    schema = prepared["Schema"].schema.model_dump(mode="json")
    schema["labels"] = schema["labels"][:9]
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(schema))
    config = tiny_config.model_copy(update={"schema_gen": SchemaGenConfig(path=file)})
    with pytest.raises(AnomaliesError) as caught:
        run(config, progress=silent)
    assert "label: expected" in str(caught.value)
    assert "found ['9'] in 180 examples: digits/00" in str(caught.value)
    assert caught.value.exit_code == 2
    with pytest.raises(AnomaliesError):  # and again from the cache
        run(config, progress=silent)


@pytest.mark.parametrize(
    ("text", "part"),
    [('{"labels": ["a"]}', "labels"), ("{", "JSON"), (None, "No such file")],
)
def test_a_bad_schema_file_is_named(tmp_path, text, part):
    file = tmp_path / "schema.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError) as caught:
        load_schema(file)
    assert str(file) in str(caught.value)
    assert part in str(caught.value)


def test_the_table_has_the_columns_that_examples_can_be_sliced_by(prepared):
    assert list(prepared["Statistics"].table) == list(COLUMNS)


def many_small_classes(folder, images):
    """150 classes of so many images."""
    from PIL import Image

    from dlkeras.pipeline import ExampleGenConfig, PipelineConfig

    random = np.random.default_rng(0)
    for label in range(150):
        place = folder / "photos" / f"n{label:03d}"
        place.mkdir(parents=True)
        for index in range(images):
            pixels = random.integers(0, 255, (8, 8), "uint8")
            Image.fromarray(pixels).save(place / f"{index}.png")
    config = ExampleGenConfig(
        image_folder=folder / "photos",
        rare_classes="stop" if images > 2 else "train_only",
    )
    return PipelineConfig(name="m", mlruns=folder / "mlruns", example_gen=config)


@pytest.mark.job
def test_each_of_many_classes_of_three_images_is_in_each_split(tmp_path, capsys):
    config = many_small_classes(tmp_path, 3)
    artifacts = run(config, until="ExampleValidator").artifacts
    table = artifacts["Statistics"].table
    assert table.groupby(["label", "split"]).size().eq(1).all()
    assert len(table) == 450
    assert "warning" not in capsys.readouterr().out


@pytest.mark.job
def test_many_classes_that_are_trained_on_alone_warn_in_one_line(tmp_path, capsys):
    config = many_small_classes(tmp_path, 2)
    for index in range(9):  # one that is large enough
        shutil.move(
            tmp_path / "photos" / f"n{index + 1:03d}" / "0.png",
            tmp_path / "photos" / "n000" / f"more {index}.png",
        )
    run(config, until="ExampleValidator")
    (line,) = [x for x in capsys.readouterr().out.splitlines() if "left out of a" in x]
    assert line.startswith("warning: classes that the hash of the images has left out")
    for part in ("test: [", "in all)", "--example-gen.test-fraction"):
        assert part in line


def test_a_class_may_be_absent_only_from_a_split_that_a_hash_has_drawn(prepared):
    summary, schema = prepared["Statistics"].summary, prepared["Schema"].schema
    every = ["train", "validation", "test"]
    rows = prepared["Statistics"].table
    rows = rows[(rows.split != "test") | (rows.label != "7")]
    strict = schema.model_copy(update={"min_examples_per_class": 2})
    for rules, drawn, severity in (
        (schema, every, "warn"),
        (schema, [], "stop"),
        (strict, every, "stop"),  # who asks for two means it
    ):
        (found,) = find_anomalies(rows, rules, 20, summary | {"drawn_splits": drawn})
        assert found["key"] == "min_examples_per_class"
        assert found["severity"] == severity
