"""Metrics against scikit-learn and arithmetic by hand; the rules of the blessing."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from dlkeras.pipeline import (
    EvaluatorConfig,
    ExampleGenConfig,
    PipelineConfig,
    TrainerConfig,
    TunerConfig,
    run,
)
from dlkeras.pipeline.components.blessing import bless
from dlkeras.pipeline.serving.tasks.classification_metrics import (
    classification_metrics,
    predictions_table,
    reliability,
)
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import Draft

LABELS = ("a", "b", "c", "d")


@pytest.fixture
def predictions():
    random = np.random.default_rng(0)
    truth = random.integers(0, 4, 200)
    logits = random.normal(size=(200, 4)) + 2 * np.eye(4)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return truth, probabilities


def test_metrics_equal_scikit_learns(predictions):
    truth, probabilities = predictions
    ours = classification_metrics(truth, probabilities, LABELS, top_k=2)
    predicted = probabilities.argmax(axis=1)
    assert ours["accuracy"] == sk.accuracy_score(truth, predicted)
    assert ours["top_k_accuracy"] == sk.top_k_accuracy_score(truth, probabilities, k=2)
    report = sk.classification_report(
        truth, predicted, target_names=LABELS, output_dict=True
    )
    for label in LABELS:
        assert ours["classes"][label]["f1"] == report[label]["f1-score"]
        assert ours["classes"][label]["support"] == report[label]["support"]
    assert ours["balanced_accuracy"] == pytest.approx(
        sk.balanced_accuracy_score(truth, predicted)
    )
    assert ours["macro_f1"] == pytest.approx(
        sk.f1_score(truth, predicted, average="macro")
    )
    assert np.trace(ours["confusion_matrix"]) == (truth == predicted).sum()


def test_what_is_not_defined_is_null_and_not_zero():
    """Two of a, one of b taken for a, none of c: by hand, and by scikit-learn."""
    truth, probabilities = np.array([0, 0, 1]), np.array([[0.8, 0.1, 0.1]] * 3)
    ours = classification_metrics(truth, probabilities, ("a", "b", "c"), 1, 4)
    assert ours["classes"] == {
        "a": {"precision": 2 / 3, "recall": 1.0, "f1": 0.8, "support": 2},
        "b": {"precision": None, "recall": 0.0, "f1": 0.0, "support": 1},
        "c": {"precision": None, "recall": None, "f1": None, "support": 0},
    }
    assert ours["balanced_accuracy"] == 0.5
    nan_f1 = sk.f1_score(
        truth, [0, 0, 0], labels=[0, 1, 2], average="macro", zero_division=np.nan
    )
    assert ours["macro_f1"] == pytest.approx(nan_f1)
    assert ours["commonest_class"] == {"label": "a", "share": 2 / 3}
    assert ours["calibration"]["accuracy"] == [None, None, None, 2 / 3]
    assert json.loads(json.dumps(ours, allow_nan=False)) == ours


def test_a_thousand_classes_are_measured_without_a_warning():
    """Warnings are errors here; most of the classes have no test example."""
    random = np.random.default_rng(0)
    labels = tuple(f"n{i:04d}" for i in range(1000))
    truth = random.integers(0, 1000, 300)
    probabilities = random.dirichlet(np.ones(1000), 300).astype("float32")
    metrics = classification_metrics(truth, probabilities, labels)
    recalls = [part["recall"] for part in metrics["classes"].values()]
    assert sum(recall is not None for recall in recalls) == len(np.unique(truth))
    assert metrics["balanced_accuracy"] < 0.02
    table = predictions_table(
        [f"{i}" for i in range(300)], truth, probabilities, labels
    )
    assert list(table)[:5] == ["id", "label", "prediction", "confidence", "p(n0000)"]
    assert np.array_equal(table["p(n0999)"], probabilities[:, 999])
    assert table.label.tolist() == [labels[i] for i in truth]


def test_a_model_of_one_answer_is_refused_though_it_reaches_the_least_accuracy(
    tmp_path,
):
    truth = np.array([0] * 97 + [1] * 3)
    metrics = classification_metrics(truth, np.array([[0.9, 0.1]] * 100), ("a", "b"))
    commonest = {"commonest_class": metrics["commonest_class"]}
    judged = evaluation(metrics["accuracy"], **commonest)
    draft = Draft(tmp_path)
    bless(EvaluatorConfig(min_accuracy=0.96), draft, judged, None)
    assert draft.properties["blessed"] is False
    expected = "no more than the 0.9700 of always answering 'a'"
    assert expected in draft.properties["reason"]
    bless(EvaluatorConfig(refuse_trivial=False), draft, judged, None)
    assert draft.properties["blessed"] is True
    bless(EvaluatorConfig(), draft, evaluation(0.98, **commonest), None)
    assert draft.properties["blessed"] is True


def test_the_calibration_error_is_that_computed_by_hand():
    # Two bins of one half: 0.3 and 0.5 below (right: one of two), 0.9 above (right).
    confidence, right = np.array([0.3, 0.5, 0.9]), np.array([True, False, True])
    bins = reliability(confidence, right, 2)
    assert bins["count"] == [2, 1]
    assert bins["confidence"] == pytest.approx([0.4, 0.9])
    assert bins["accuracy"] == [0.5, 1.0]
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4]])
    metrics = classification_metrics(np.array([0, 1]), probabilities, ("a", "b"), 1, 10)
    # |1 - 0.9| and |0 - 0.6|, each with half of the examples
    assert metrics["ece"] == pytest.approx((0.1 + 0.6) / 2)


def test_perfectly_calibrated_predictions_have_no_error():
    random = np.random.default_rng(0)
    confidence = random.uniform(0.5, 1, 200_000)
    truth = (random.random(200_000) > confidence).astype(int)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    assert classification_metrics(truth, probabilities, ("a", "b"), 1)["ece"] < 0.01


def evaluation(accuracy, number=100, wrong_from=0, **metrics):
    """An evaluation of 100 examples, the wrong ones one after the other."""
    wrong = round((1 - accuracy) * number)
    predictions = np.array(["a"] * number)
    predictions[wrong_from : wrong_from + wrong] = "b"
    table = pd.DataFrame(
        {"id": np.arange(number).astype(str), "label": "a", "prediction": predictions}
    )
    half = {"label": "a", "share": 0.5}
    return SimpleNamespace(
        metrics={"accuracy": accuracy, "commonest_class": half} | metrics,
        properties={},
        predictions=table,
        path=Path("evaluation"),
    )


@pytest.mark.parametrize(
    ("accuracy", "baseline", "blessed", "part"),
    [
        (0.97, None, True, "no other blessed model"),
        (0.95, None, False, "0.9500 is below 0.96"),
        (0.97, 0.98, True, "at most 0.01 better"),
        (0.97, 0.99, False, "has 0.9900, more than 0.01 better"),
        (0.99, 0.97, True, "reaches 0.96"),
        (0.95, 0.90, False, "is below"),
    ],
)
def test_a_model_is_blessed_by_both_rules(tmp_path, accuracy, baseline, blessed, part):
    draft = Draft(tmp_path)
    evaluations = [
        None if value is None else evaluation(value) for value in (accuracy, baseline)
    ]
    bless(EvaluatorConfig(min_accuracy=0.96), draft, *evaluations)
    assert draft.properties["blessed"] is blessed
    assert part in draft.properties["reason"]
    assert "\n" not in draft.properties["reason"]
    rules = json.loads((tmp_path / "rules.json").read_text())
    assert all(rule["passed"] for rule in rules) is blessed


RULES = {
    "slice": (
        {"min_slice_accuracy": 0.9},
        {"slices": {"mean": {"0 to 9": {"accuracy": 0.8, "examples": 5}}}},
        "0.8000 where mean is 0 to 9, below 0.9",
    ),
    "latency": (
        {"max_latency_ms": 5.0},
        {"cost": {"latency_ms": {"p95": 7.5}}},
        "latency 7.5 ms is above 5 ms",
    ),
    "first": ({"first_model": "refuse"}, {}, "a first model is not blessed"),
}


@pytest.mark.parametrize("rule", RULES)
def test_slices_latency_and_the_policy_of_the_first_model_can_refuse(tmp_path, rule):
    limits, metrics, part = RULES[rule]
    draft = Draft(tmp_path)
    bless(EvaluatorConfig(**limits), draft, evaluation(1.0, **metrics), None)
    assert draft.properties["blessed"] is False
    assert part in draft.properties["reason"]
    bless(EvaluatorConfig(), draft, evaluation(1.0, **metrics), None)
    assert draft.properties["blessed"] is True


def test_a_model_that_is_significantly_worse_is_refused_within_the_allowed_drop(
    tmp_path,
):
    # 8 wrong where the other was right and none the other way: p = 2 / 2**8 = 0.0078
    config = EvaluatorConfig(min_accuracy=0.0, max_accuracy_drop=0.1)
    draft = Draft(tmp_path)
    bless(config, draft, evaluation(0.92), evaluation(1.0))
    assert draft.properties["blessed"] is False
    assert (
        "wrong where it was right 8 (p 0.0078, below 0.05)"
        in (draft.properties["reason"])
    )
    # 8 wrong of other examples than the other's 7: no difference that can be told
    bless(config, draft, evaluation(0.92), evaluation(0.93, wrong_from=50))
    assert draft.properties["blessed"] is True


def test_evaluations_of_other_examples_are_not_compared(tmp_path):
    other = evaluation(0.9)
    other.predictions["id"] = other.predictions["id"] + "x"
    for theirs in (other, evaluation(0.9, number=99)):
        with pytest.raises(InputError, match="the same test examples"):
            bless(EvaluatorConfig(), Draft(tmp_path), evaluation(0.9), theirs)


@pytest.mark.job
def test_a_model_that_is_not_blessed_is_not_pushed(script_runner, tmp_path):
    job = script_runner(
        tmp_path, "--no-tuner", "--trainer.epochs", "1", "--no-trainer.monitor",
        "--trainer.learning-rate", "1e-5",
    )  # fmt: skip
    assert job.exit_code == 3, job.stderr
    lines = [line for line in job.stdout.splitlines() if "Not blessed" in line]
    assert len(lines) == 1
    assert "is below 0.96" in lines[0]
    assert not (tmp_path / "store" / "PushedModel").exists()
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert client.search_registered_models() == []
    run_ = client.get_run(job.run_id)
    assert run_.data.tags["dlkeras.blessed"] == "False"
    assert run_.info.status == "FINISHED"


@pytest.mark.job
def test_a_worse_model_is_compared_with_the_last_blessed_one(tiny_config, silent):
    lenient = {
        "evaluator": EvaluatorConfig(min_accuracy=0.0, robustness_images=0),
        "trainer": TrainerConfig(epochs=2, monitor=False),
    }
    better = tiny_config.model_copy(update=lenient | {"name": "compared"})
    worse = better.model_copy(
        update={"trainer": TrainerConfig(epochs=1, learning_rate=1e-4, monitor=False)}
    )
    first = run(better, progress=silent)
    assert first.blessed
    assert first.model_version == 1
    second = run(worse, progress=silent)
    assert second.blessed is False
    assert second.model_version is None
    assert second.exit_code == 3
    assert "the last blessed model has" in second.reason
    # The first, run again, is not compared with itself: all of it is reused.
    third = run(better, progress=silent)
    assert third.blessed
    assert all(step.cached for step in third.steps)
    assert third.model_version == 1


@pytest.mark.job
def test_test_examples_are_sliced_by_columns_of_the_manifest(tmp_path, silent):
    """The counts are those of the table, counted here by pandas."""
    from PIL import Image

    random = np.random.default_rng(0)
    rows = []
    for index in range(60):
        name = f"{index:02d}.png"
        pixels = random.integers(0, 255, (32, 32), dtype="uint8")
        Image.fromarray(pixels).save(tmp_path / name)
        split = ("train", "train", "validation", "test")[index // 2 % 4]
        exposure = index / 10 if index != 6 else None
        rows.append((name, "ab"[index % 2], split, "xyz"[index % 3], exposure, index))
    columns = ["path", "label", "split", "camera", "exposure", "id"]
    table = pd.DataFrame(rows, columns=columns)
    table.to_csv(tmp_path / "table.csv", index=False)
    config = PipelineConfig(
        name="sliced",
        mlruns=tmp_path / "mlruns",
        example_gen=ExampleGenConfig(manifest=tmp_path / "table.csv"),
        tuner=TunerConfig(enabled=False),
        trainer=TrainerConfig(epochs=1, monitor=False),
        evaluator=EvaluatorConfig(
            slices=("camera", "exposure", "mean"), robustness_images=0
        ),
    )
    result = run(config, until="Evaluator", progress=silent)
    sliced = result.artifacts["Evaluation"].metrics["slices"]
    tested = table[table.split == "test"]
    counts = {name: part["examples"] for name, part in sliced["camera"].items()}
    assert counts == tested.camera.value_counts().to_dict()
    *quarters, unknown = sliced["exposure"].items()
    assert len(quarters) == 4
    assert sum(part["examples"] for _, part in quarters) == len(tested) - 1
    lowest = [float(name.split(" to ")[0]) for name, _ in quarters]
    assert lowest == sorted(lowest)
    assert lowest[0] == tested.exposure.min()
    assert (unknown[0], unknown[1]["examples"]) == ("unknown", 1)
    before = result.artifacts["Examples"].record.digest
    table.assign(camera="w").to_csv(tmp_path / "table.csv", index=False)
    other = run(config, until="ExampleGen", progress=silent)
    assert other.artifacts["Examples"].record.digest != before
