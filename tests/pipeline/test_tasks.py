"""Several labels an image, or a number: tables, splits, losses, measures, answers."""

import asyncio
import io
import json
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

from dlkeras.augmentation import Policy
from dlkeras.datasets.splitting import hash_split
from dlkeras.pipeline import (
    EvaluatorConfig,
    ExampleGenConfig,
    PipelineConfig,
    TrainerConfig,
    TransferConfig,
    TransformConfig,
    TunerConfig,
    run,
)
from dlkeras.pipeline.components.blessing import bless
from dlkeras.pipeline.components.example_gen import example_gen
from dlkeras.pipeline.components.example_validator import find_anomalies
from dlkeras.pipeline.components.schema_gen import infer_schema
from dlkeras.pipeline.examples.drift import NUMBER_QUANTILES, kolmogorov_smirnov
from dlkeras.pipeline.examples.reading import read_encoded, read_split
from dlkeras.pipeline.examples.schema import ImageSchema, load_schema, to_toml
from dlkeras.pipeline.examples.sources.manifest import ManifestSource
from dlkeras.pipeline.examples.sources.relabelled import Relabelled
from dlkeras.pipeline.examples.sources.source import Problem
from dlkeras.pipeline.serving.tasks.multilabel import Multilabel, multilabel_metrics
from dlkeras.pipeline.serving.tasks.regression import Regression, regression_metrics
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import Draft
from dlkeras.pipeline.training.early_checks import check

SIDE = 24
SETTINGS = EvaluatorConfig(bootstrap_samples=100)
SHAPES = {
    "disk": lambda draw: draw.ellipse((1, 1, 9, 9), fill=255),
    "square": lambda draw: draw.rectangle((14, 2, 22, 10), fill=255),
    "bar": lambda draw: draw.line((2, 18, 22, 18), fill=255, width=3),
}


def shapes(folder, number, seed=0):
    """Images of any of three shapes, and a table that names those in each."""
    random, rows = np.random.default_rng(seed), []
    for index in range(number):
        image = Image.new("L", (SIDE, SIDE), int(random.integers(0, 40)))
        there = [name for name in SHAPES if random.random() < 0.5]
        for name in there:
            SHAPES[name](ImageDraw.Draw(image))
        # No two images are the same.
        image.putpixel((index % SIDE, SIDE - 1 - index // SIDE % 4), 99)
        image.save(folder / f"{seed}-{index}.png")
        rows.append((f"{seed}-{index}.png", "|".join(there)))
    table = pd.DataFrame(rows, columns=["path", "label"])
    table.to_csv(folder / "table.csv", index=False)
    return table


def disks(folder, number):
    """Images of a disk, and a table of its radius in hundredths of a pixel."""
    random, rows = np.random.default_rng(0), []
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2 + 0.5
    for index in range(number):
        radius = random.uniform(2, 10)
        pixels = np.clip(radius - np.hypot(x, y) + 0.5, 0, 1) * 200
        pixels += random.integers(0, 40)
        Image.fromarray(pixels.astype("uint8")).save(folder / f"{index}.png")
        rows.append((f"{index}.png", round(1000 + 100 * radius, 2)))
    table = pd.DataFrame(rows, columns=["path", "radius"])
    table.to_csv(folder / "table.csv", index=False)
    return table


def ingested(folder, output, **config):
    """What ExampleGen makes of the table of a folder."""
    draft = Draft(output / "examples")
    draft.path.mkdir(parents=True)
    settings = ExampleGenConfig(manifest=folder / "table.csv", **config)
    example_gen(settings, draft, output)
    return draft


@pytest.fixture(scope="module")
def shapes_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    shapes(folder, 60)
    return folder


LISTS = [["cat", "dog"], ["dog"], [], ["Cafe\u0301 ", "cat", "cat"]]


@pytest.mark.parametrize("form", ["bars", "semicolons", "parquet", "json", "lists"])
def test_several_labels_are_read_in_every_form(tmp_path, form):
    table = pd.DataFrame({"path": list("abcd"), "label": LISTS})
    file = tmp_path / "table"
    if form == "parquet":
        table.to_parquet(file)
    elif form == "json":
        table.to_json(file, orient="records", lines=True)
    else:
        separator = {"bars": "|", "semicolons": "; "}.get(form)
        if separator:
            table["label"] = table.label.map(separator.join)
        table.to_csv(file, index=False)
    source = ManifestSource(file, task="multilabel")
    assert source.labels == ("Caf\u00e9", "cat", "dog")
    assert source.label_counts == {1: 2, 2: 2, 0: 1, -1: 1}
    with pytest.raises(InputError):  # as lists it is no table of one label
        ManifestSource(file if form in ("parquet", "json") else tmp_path)


def test_a_column_of_0_and_1_for_each_class_is_found_or_named(tmp_path):
    file = tmp_path / "table.csv"
    table = pd.DataFrame(
        {
            "Image": list("abcd"),
            "cat": [1, 0, 0, None],
            "dog": [1, 1, 0, 0],
            "age": [7, 1, 0, 2],
        }
    )
    table.to_csv(file, index=False)
    source = ManifestSource(file, task="multilabel")
    assert source.labels == ("cat", "dog")
    assert list(source.metadata) == ["id", "age"]
    found = [source._file({n: v[3] for n, v in source._rows.items()})]
    assert found == [Problem("row 5 (d)", "expected 0 or 1 in cat")]
    named = ManifestSource(file, {"label": "dog|cat"}, task="multilabel")
    assert named.label_counts == source.label_counts == {0: 1, 1: 2, -1: 1}
    with pytest.raises(InputError, match="it lacks cow"):
        ManifestSource(file, {"label": "dog|cow"}, task="multilabel")


def test_a_label_that_is_no_finite_number_is_named_by_its_row(tmp_path):
    cells = ["1.5", "abc", "nan", "-inf", "", "1e39", "1_0", "-2"]
    for index in range(len(cells)):
        Image.new("L", (4, 4), index).save(tmp_path / f"{index}.png")
    rows = [f"{index}.png,{cell}" for index, cell in enumerate(cells)]
    file = tmp_path / "table.csv"
    file.write_text("\n".join(["path,age", *rows]))
    source = ManifestSource(file, {"label": "age"}, task="regression")
    found = list(source.examples())
    assert sorted(e.label for e in found if not isinstance(e, Problem)) == [-2, 1.5]
    assert sorted((p.id, p.reason) for p in found if isinstance(p, Problem)) == [
        ("row 3 (1.png)", "expected a number in age; received 'abc'"),
        ("row 4 (2.png)", "expected a finite number in age; received 'nan'"),
        ("row 5 (3.png)", "expected a finite number in age; received '-inf'"),
        ("row 6 (4.png)", "expected a number in age; received ''"),
        ("row 7 (5.png)", "expected a finite number in age; received '1e39'"),
        ("row 8 (6.png)", "expected a number in age; received '1_0'"),
    ]


def test_a_parquet_column_with_an_infinite_number_is_read(tmp_path):
    file = tmp_path / "table.parquet"
    pd.DataFrame({"path": ["a", "b"], "label": [1.0, np.inf]}).to_parquet(file)
    (problem,) = [
        p for p in ManifestSource(file, task="regression")._rows["wrong"] if p
    ]
    assert problem == "expected a finite number in label; received 'inf'"


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_what_has_one_class_an_image_is_refused_at_once(tmp_path, task):
    for source in ({"image_folder": tmp_path}, {"npz": tmp_path / "x.npz"}, {}):
        with pytest.raises(InputError, match=f"task {task} needs a table"):
            ExampleGenConfig(task=task, **source)


def test_cutmix_and_rare_classes_are_refused_for_numbers(tmp_path):
    with pytest.raises(InputError, match="rare_classes is for classes"):
        ExampleGenConfig(
            manifest=tmp_path / "t.csv", task="regression", rare_classes="merge"
        )
    (tmp_path / "t.csv").write_text("path,label\na,1\n")
    examples = ExampleGenConfig(manifest=tmp_path / "t.csv", task="regression")
    config = PipelineConfig(example_gen=examples, transform=TransformConfig(cutmix=1.0))
    with pytest.raises(InputError, match=r"--transform.cutmix: expected 0"):
        check(config)


def test_the_hash_of_an_image_decides_its_split_and_every_label_is_in_each(
    shapes_folder, tmp_path
):
    """Chance leaves the label that stands in four images out of a split."""
    table = pd.read_csv(shapes_folder / "table.csv", keep_default_na=False)
    table.loc[table.index[:4], "label"] += "|rare"
    table.to_csv(tmp_path / "table.csv", index=False)
    draft = ingested(tmp_path, tmp_path, task="multilabel", image_root=shapes_folder)
    folder = draft.path / draft.properties["builder"]
    labels = draft.properties["labels"]
    shares = {"train": 0.65, "validation": 0.15, "test": 0.2}
    digests = pd.read_parquet(draft.path / "contents.parquet").set_index("id").sha256
    moved, number = [], 0
    for split in shares:
        found = list(read_encoded(folder, split, "multilabel"))
        there = {label for example in found for label in example.label}
        assert there == set(range(4)), split
        for example in found:
            written = table.set_index("path").label[example.id].strip("|").split("|")
            named = {labels[label] for label in example.label}
            assert named == set(written) - {""}
        number += len(found)
        moved += [e for e in found if hash_split(digests[e.id], shares) != split]
    assert number == 60
    assert 0 < len(moved) <= 3
    batch = next(iter(read_split(folder, "test").batch(3)))
    assert batch["label"].shape == (3, 4)
    assert batch["label"].dtype == "float32"


def test_a_rare_label_goes_and_its_image_stays(tmp_path):
    for name in "abc":
        Image.new("L", (4, 4), ord(name)).save(tmp_path / name, "PNG")
    file = tmp_path / "table.csv"
    file.write_text("path,label\na,cat|dog\nb,cow|cat\nc,cow\n")
    source = ManifestSource(file, task="multilabel")
    assert source.labels == ("cat", "cow", "dog")
    kept = Relabelled(source, {"cat": "cat", "cow": None, "dog": "dog"})
    found = {example.id: example.label for example in kept.examples()}
    assert found == {"a": (0, 1), "b": (0,), "c": ()}
    merged = Relabelled(source, {"cat": "cat", "cow": "other", "dog": "other"})
    found = {example.id: example.label for example in merged.examples()}
    assert found == {"a": (0, 1), "b": (0, 1), "c": (1,)}


def test_a_number_is_kept_and_the_hash_alone_decides_its_split(tmp_path):
    table = disks(tmp_path, 40).set_index("path").radius
    draft = ingested(tmp_path, tmp_path, task="regression", columns={"label": "radius"})
    folder = draft.path / draft.properties["builder"]
    digests = pd.read_parquet(draft.path / "contents.parquet").set_index("id").sha256
    shares = {"train": 0.65, "validation": 0.15, "test": 0.2}
    train = []
    for split in shares:
        for example in read_encoded(folder, split, "regression"):
            assert example.label == np.float32(table[example.id])
            assert split == hash_split(digests[example.id], shares)
            train += [example.label] if split == "train" else []
    target = draft.properties["target"]
    assert target["mean"] == pytest.approx(np.mean(train))
    assert target["std"] == pytest.approx(np.std(train))
    assert draft.properties["labels"] == ["radius"]


def test_numbers_that_are_all_the_same_are_refused(tmp_path):
    disks(tmp_path, 12).assign(radius=3.0).to_csv(tmp_path / "table.csv", index=False)
    with pytest.raises(InputError, match="every image of train has 3"):
        ingested(tmp_path, tmp_path, task="regression", columns={"label": "radius"})


def summary_of(task, table, labels):
    from dlkeras.pipeline.components.statistics_gen import _labels

    shown = {"pixel_histogram": [1, 1], "brightness_histogram": [1, 1]}
    sizes = {"height": [9, 9], "width": [9, 9], "channels": [1], "dtypes": ["uint8"]}
    by_class = table.label.str.split("|").explode() if task == "multilabel" else None
    splits = {}
    for split in ("train", "validation", "test"):
        rows = table[table.split == split]
        classes = {
            label: int((by_class[rows.index] == label).sum())
            if by_class is not None
            else len(rows)
            for label in labels
        }
        splits[split] = {
            **shown, **sizes, "classes": classes, "examples": len(rows),
            **_labels(rows.label, task),
        }  # fmt: skip
    return {
        "task": task, "labels": labels, "splits": splits, "drawn_splits": [],
        "quarantined": 0, "near_leaked": {},
    }  # fmt: skip


def rows_of(labels):
    number = len(labels)
    splits = ["train", "validation", "test"] * (number // 3)
    ids = [f"{n}.png" for n in range(number)]
    return pd.DataFrame(
        {"id": ids, "split": splits, "label": labels, "height": 9, "width": 9,
         "channels": 1, "dtype": "uint8", "sha256": ids, "mean": 9.0}
    )  # fmt: skip


def test_the_schema_of_numbers_has_their_range_and_their_distribution(tmp_path):
    table = rows_of((np.arange(60.0) + 1 / 3).tolist())
    summary = summary_of("regression", table, ["age"])
    schema = infer_schema(SimpleNamespace(summary=summary))
    assert (schema.min_label, schema.max_label) == (1 / 3, 59 + 1 / 3)
    (tmp_path / "schema.toml").write_text(to_toml(schema))
    assert load_schema(tmp_path / "schema.toml") == schema
    assert not find_anomalies(table, schema, summary=summary)
    moved = table.assign(label=table.label + 15)
    found = find_anomalies(
        moved, schema, summary=summary_of("regression", moved, ["age"])
    )
    by_key = {anomaly["key"]: anomaly for anomaly in found}
    assert by_key["max_label"]["count"] == 15
    assert by_key["drift.max_label_distance"]["value"] == pytest.approx(
        15 / 57, abs=0.03
    )
    assert set(by_key) == {"max_label", "drift.max_label_distance"}


def test_the_schema_of_several_labels_knows_each_by_itself():
    table = rows_of(["cat|dog", "cat|dog", "dog|cat", "", "cat", "dog"])
    summary = summary_of("multilabel", table, ["cat", "dog"])
    schema = infer_schema(SimpleNamespace(summary=summary))
    assert schema.labels == ("cat", "dog")
    assert not find_anomalies(table, schema, summary=summary)
    strange = table.assign(label=[*table.label[:5], "cow|dog"])
    found = find_anomalies(strange, schema, summary=summary)
    (anomaly,) = [a for a in found if a["key"] == "labels"]
    assert (anomaly["value"], anomaly["examples"]) == (["cow", "dog"][:1], ["5.png"])
    other = ImageSchema.model_validate({**schema.model_dump(), "task": None})
    (anomaly,) = find_anomalies(table, other, summary=summary)
    assert (anomaly["bound"], anomaly["value"]) == ("classification", "multilabel")


def test_the_distance_of_distributions_is_kolmogorov_and_smirnovs():
    from scipy import stats

    random = np.random.default_rng(0)
    one, other = random.normal(size=20_000), random.normal(0.5, 2, size=20_000)
    quantiles = (np.percentile(x, NUMBER_QUANTILES) for x in (one, other))
    expected = stats.ks_2samp(one, other).statistic
    assert kolmogorov_smirnov(*quantiles) == pytest.approx(expected, abs=0.02)


def test_mixed_labels_are_averaged():
    from dlkeras.pipeline.tensorflow_import import tf

    policy = Policy(TransformConfig(mixup=0.4), 1.0, 2)
    images = tf.reshape(tf.range(4, dtype=tf.float32), [4, 1, 1, 1])
    key, first = tf.constant([0, 0], tf.int64), tf.constant(0, tf.int64)
    labels = tf.stack([tf.range(4.0), 7 - tf.range(4.0)], axis=1)
    mixed, shares = policy.mix(images, labels, key, first)
    mixed = mixed.numpy().reshape(4)  # an image is its own first label here
    assert not np.allclose(mixed, np.arange(4))
    np.testing.assert_allclose(shares, np.stack([mixed, 7 - mixed], 1), rtol=1e-5)
    numbers = Policy(TransformConfig(mixup=0.4), 1.0, 1)
    mixed, means = numbers.mix(images, tf.range(4.0), key, first)
    assert means.shape == (4,)
    np.testing.assert_allclose(means, mixed.numpy().reshape(4), rtol=1e-5)


def test_a_number_is_learned_without_its_unit_and_answered_in_it():
    from dlkeras.pipeline.tensorflow_import import keras
    from dlkeras.pipeline.training.network import compiled_network
    from dlkeras.pipeline.training.objectives import Number

    labels = np.array([900.0, 1000.0, 1100.0, 1400.0], "float32")
    objective = Number(float(labels.mean()), float(labels.std()))
    mean = np.zeros((4, 1), "float32")
    losses = keras.ops.convert_to_numpy(objective.loss(labels, mean))
    assert losses.mean() == pytest.approx(1)  # by the definition of the variance
    errors = keras.ops.convert_to_numpy(objective.metric(labels, mean))
    np.testing.assert_allclose(errors, np.abs(labels - 1100), rtol=1e-5)
    model = compiled_network(
        TrainerConfig(),
        input_shape=(32, 32, 1),
        num_classes=1,
        learning_rate=1e-3,
        steps=10,
        objective=objective,
    )
    images = np.random.default_rng(0).uniform(size=(3, 32, 32, 1)).astype("float32")
    before = keras.ops.convert_to_numpy(model(images))
    after = keras.ops.convert_to_numpy(objective.finished(model)(images))
    np.testing.assert_allclose(after, before * labels.std() + 1100, rtol=1e-5)


def test_the_last_layer_of_several_labels_is_a_sigmoid_for_each():
    from dlkeras.pipeline.tensorflow_import import keras
    from dlkeras.pipeline.training.network import compiled_network
    from dlkeras.pipeline.training.objectives import SeveralLabels, binary_cross_entropy

    for architecture in ("lenet5", "resnet20"):
        model = compiled_network(
            TrainerConfig(architecture=architecture),
            input_shape=(32, 32, 1),
            num_classes=3,
            learning_rate=1e-3,
            steps=10,
            objective=SeveralLabels(),
        )
        assert model.layers[-1].activation is keras.activations.sigmoid
        assert model.output_shape == (None, 3)
    p = np.array([[0.9, 0.2]], "float32")
    loss = binary_cross_entropy(np.array([[1.0, 0.0]], "float32"), p)
    expected = -(np.log(0.9) + np.log(0.8)) / 2
    assert float(loss[0]) == pytest.approx(expected, rel=1e-4)


def test_the_metrics_of_several_labels_are_those_by_hand():
    """Average precision: precision at each hit; AUC: pairs in the right order."""
    truth = np.array([[1, 1], [0, 0], [1, 0], [0, 0]])
    p = np.array([[0.9, 0.2], [0.8, 0.6], [0.4, 0.1], [0.3, 0.7]])
    found = multilabel_metrics(truth, p, ("cat", "dog"))
    cat, dog = found["classes"]["cat"], found["classes"]["dog"]
    assert cat["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert cat["auc"] == pytest.approx(3 / 4)
    assert (cat["precision"], cat["recall"], cat["f1"]) == (0.5, 0.5, 0.5)
    assert dog["average_precision"] == pytest.approx(1 / 3)
    assert dog["auc"] == pytest.approx(1 / 3)
    assert dog["f1"] == 0
    assert found["macro_f1"] == 0.25
    assert found["subset_accuracy"] == 0
    assert found["hamming_loss"] == 5 / 8
    assert found["trivial_macro_f1"] == pytest.approx((4 / 6 + 2 / 5) / 2)
    lower = multilabel_metrics(truth, p, ("cat", "dog"), threshold=0.2)
    assert lower["classes"]["dog"]["recall"] == 1
    none = multilabel_metrics(np.zeros((2, 1)), np.array([[0.1], [0.2]]), ("cat",))
    assert none["macro_auc"] is none["macro_average_precision"] is None


def evaluation(task, metrics, predictions):
    return SimpleNamespace(
        metrics=metrics | {"slices": {}},
        properties={"task": task},
        predictions=predictions,
        path=SimpleNamespace(name="evaluation"),
    )


def of_numbers(truth, given):
    ids = [str(n) for n in range(len(truth))]
    table = Regression().predictions(ids, (truth, given[:, None]), ("age",), 0.5)
    return evaluation("regression", regression_metrics(truth, given), table)


def blessing(tmp_path, *evaluations, **config):
    draft = Draft(tmp_path / str(len(list(tmp_path.iterdir()))))
    draft.path.mkdir()
    bless(EvaluatorConfig(**config), draft, *evaluations)
    return draft.properties["blessed"], draft.properties["reason"]


def test_of_numbers_the_lower_error_is_blessed(tmp_path):
    random = np.random.default_rng(0)
    truth = random.uniform(0, 100, 50)
    noise = random.normal(size=50)
    good, worse = of_numbers(truth, truth + noise), of_numbers(truth, truth + 2 * noise)
    assert blessing(tmp_path, good, None)[0]
    assert blessing(tmp_path, good, worse)[0]
    refused, reason = blessing(tmp_path, worse, good)
    assert not refused
    assert "more than 0.01 of that more" in reason
    refused, reason = blessing(tmp_path, worse, good, max_accuracy_drop=1.0)
    assert not refused  # by Wilcoxon's test
    assert "nearer than it 0, further 50" in reason
    assert not blessing(tmp_path, good, None, max_mean_absolute_error=0.1)[0]
    trivial = of_numbers(truth, np.full(50, np.median(truth)))
    refused, reason = blessing(tmp_path, trivial, None)
    assert not refused
    assert "no less than" in reason


def test_of_several_labels_the_greater_macro_f1_is_blessed(tmp_path):
    truth = np.array([[1, 0], [0, 1], [1, 1], [0, 0]] * 10)

    def judged(p):
        test = truth, p
        ids = [str(n) for n in range(len(truth))]
        found = Multilabel().metrics(SETTINGS, test, lambda: test, ("a", "b"))
        table = Multilabel().predictions(ids, test, ("a", "b"), 0.5)
        return evaluation("multilabel", found, table)

    good, every = judged(0.8 * truth + 0.1), judged(np.full(truth.shape, 0.9))
    assert blessing(tmp_path, good, every, min_macro_f1=1.0)[0]
    assert not blessing(tmp_path, every, None, min_macro_f1=0.7)[0]
    assert not blessing(tmp_path, every, good)[0]
    refused, reason = blessing(tmp_path, every, None)
    assert not refused
    assert "no more than the 0.6667 of always answering every label" in reason


def test_the_answers_of_each_task():
    many, labels = Multilabel(), ["cat", "dog", "cow"]
    answer = many.answer(np.array([0.6, 0.9, 0.2]), labels, 0.5)
    assert answer["labels"] == ["dog", "cat"]
    assert many.answer_in_words(answer) == "dog 0.900, cat 0.600"
    none = many.answer(np.array([0.1, 0.3, 0.2]), labels, 0.5)
    assert many.answer_in_words(none) == "no label (the likeliest: dog 0.300)"
    number = Regression().answer(np.array([12.5]), ["age"], 0.5)
    assert number == {"name": "age", "value": 12.5}
    assert Regression().answer_in_words(number) == "age 12.5"


STARTED = """
import sys
from pathlib import Path
from dlkeras.pipeline import PipelineConfig, run
run(PipelineConfig.model_validate_json(Path(sys.argv[1]).read_text()))
"""


def job(folder, mlruns, task, **config):
    examples = ExampleGenConfig(
        manifest=folder / "table.csv",
        task=task,
        columns={"label": "radius"} if task == "regression" else {},
    )
    changes = {
        "rotation": 0.0,
        "zoom": 0.0,
        "shift": 0.0,
        **config.pop("transform", {}),
    }
    return PipelineConfig(
        name=task,
        mlruns=mlruns,
        example_gen=examples,
        transform=TransformConfig(**changes),
        evaluator=EvaluatorConfig(
            bootstrap_samples=100,
            robustness_images=4,
            latency_repetitions=2,
            threshold=0.4,
            min_macro_f1=0.9,
            max_mean_absolute_error=100.0,
        ),
        **config,
    )


def requested(app, method, path, body=None):
    """The answer of a server's application to one request."""
    content, said = json.dumps(body).encode(), []
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
    ]
    scope = {
        "type": "http", "http_version": "1.1", "method": method, "path": path,
        "raw_path": path.encode(), "query_string": b"", "headers": headers,
        "scheme": "http", "server": ("localhost", 80), "client": ("localhost", 1),
    }  # fmt: skip

    async def receive():
        return {"type": "http.request", "body": content}

    async def send(message):
        said.append(message)

    asyncio.run(app(scope, receive, send))
    assert said[0]["status"] == 200
    return json.loads(b"".join(message.get("body", b"") for message in said))


def asked(model, images, mlruns, capsys):
    """What `predict` and `serve` answer."""
    from dlkeras.cli import main
    from dlkeras.pipeline.tracking import model_server

    capsys.readouterr()  # what the job has said
    assert main(["predict", model, *images, "--mlruns", str(mlruns), "--json"]) == 0
    predicted = json.loads(capsys.readouterr().out)
    served = model_server.load_served_model(None, mlruns, model)
    app = model_server.application(served, 2**20)
    pixels = [np.asarray(Image.open(image))[..., None].tolist() for image in images]
    answer = requested(app, "POST", "/invocations", {"inputs": pixels})
    return predicted, answer, requested(app, "GET", "/labels")


@pytest.mark.job
def test_a_job_of_several_labels_finds_the_shapes_in_an_image(tmp_path, silent, capsys):
    """With weights of the package, a search and mixed images."""
    table = shapes(tmp_path, 300)
    config = job(
        tmp_path,
        tmp_path / "mlruns",
        "multilabel",
        transform={"mixup": 0.2, "shift": 0.03},
        tuner=TunerConfig(max_trials=2, epochs=1),
        trainer=TrainerConfig(
            epochs=12, batch_size=16, transfer=TransferConfig(source="lenet5:digits")
        ),
    )
    result = run(config, progress=silent)
    metrics = result.artifacts["Evaluation"].metrics
    assert result.model_version == 1, result.reason
    assert metrics["macro_f1"] > 0.9
    assert metrics["macro_average_precision"] > 0.95
    card = result.artifacts["PushedModel"].card
    assert "| class | precision | recall | F1 | average precision | AUC |" in card
    images = [str(tmp_path / path) for path in table.path[:12]]
    predicted, served, listed = asked("multilabel", images, config.mlruns, capsys)
    right = [
        set(answer["labels"]) == set(label.split("|")) - {""}
        for answer, label in zip(predicted, table.label, strict=False)
    ]
    assert sum(right) >= 10
    task = {"labels": ["bar", "disk", "square"], "task": "multilabel", "threshold": 0.4}
    assert listed == task
    assert {k: v for k, v in served.items() if k != "predictions"} == task
    for answer, row in zip(predicted, served["predictions"], strict=True):
        given = [answer["probabilities"][label] for label in task["labels"]]
        np.testing.assert_allclose(row, given, atol=1e-5)


@pytest.mark.job
def test_a_job_of_a_number_measures_a_disk(tmp_path, silent, capsys):
    """Killed in its third epoch, it ends with the weights of one that was not."""
    from rich.console import Console

    from dlkeras.pipeline.engine.progress import Progress

    table = disks(tmp_path, 200)
    trained = {
        "tuner": TunerConfig(enabled=False),
        "trainer": TrainerConfig(epochs=10, batch_size=16),
    }
    config = job(tmp_path, tmp_path / "mlruns", "regression", **trained)
    file = tmp_path / "config.json"
    file.write_text(config.model_dump_json())
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", STARTED, str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    for line in process.stdout:
        if line.startswith("Epoch 3/"):
            break
    process.kill()
    process.communicate()
    said = io.StringIO()
    result = run(config, progress=Progress(Console(file=said, width=500)))
    assert re.search(r"resuming after epoch [2-9] ", said.getvalue())
    whole = job(tmp_path, tmp_path / "whole", "regression", **trained)
    whole = run(whole, progress=silent, until="Trainer").artifacts["Model"]
    assert result.artifacts["Model"].record.digest == whole.record.digest
    metrics = result.artifacts["Evaluation"].metrics
    assert result.model_version == 1, result.reason
    assert metrics["r2"] > 0.8
    # The median's mean error of a uniform distribution is a quarter of its width.
    assert metrics["trivial_mean_absolute_error"] == pytest.approx(200, rel=0.25)
    assert "one number, `radius`" in result.artifacts["PushedModel"].card
    images = [str(tmp_path / path) for path in table.path[:5]]
    predicted, served, listed = asked("regression", images, config.mlruns, capsys)
    assert listed == {"labels": ["radius"], "task": "regression"}
    answers = zip(predicted, served["predictions"], table.radius, strict=False)
    for answer, row, radius in answers:
        assert answer["name"] == "radius"
        assert answer["value"] == pytest.approx(radius, abs=300)
        assert row == [pytest.approx(answer["value"], rel=1e-4)]
