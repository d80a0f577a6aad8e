"""The pipeline beside what a user does with MLflow: runs, names, loggers, data sets."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from dlkeras.cli import main
from dlkeras.pipeline import PipelineConfig, TunerConfig, run, tracking
from dlkeras.pipeline.store.errors import TrackingError
from dlkeras.pipeline.tracking.note import MAX_LINES, Links, run_note


@pytest.fixture
def users_place(tmp_path, monkeypatch):
    """MLflow as a user has it: a database of their own."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    uri = f"sqlite:///{tmp_path / 'mine.db'}"
    mlflow.set_tracking_uri(uri)
    yield uri
    mlflow.set_tracking_uri(None)
    os.environ.pop("MLFLOW_TRACKING_URI", None)


def ones_own_run(uri):
    """What `with mlflow.start_run():` opens, in an experiment of the user's."""
    return mlflow.start_run(experiment_id=MlflowClient(uri).create_experiment("mine"))


def test_a_run_inside_ones_own_is_its_child(users_place, tiny_config, silent, tmp_path):
    config = tiny_config.model_copy(update={"mlruns": tmp_path / "mlruns"})
    with ones_own_run(users_place) as parent:
        result = run(config, until="ExampleGen", progress=silent)
        mlflow.log_metric("after", 1.0)  # goes on where it was
        assert mlflow.active_run().info.run_id == parent.info.run_id
    assert mlflow.get_tracking_uri() == users_place
    client = MlflowClient(users_place)
    child = client.get_run(result.run_id)
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert child.info.experiment_id == parent.info.experiment_id
    assert child.info.status == "FINISHED"
    assert client.get_run(parent.info.run_id).data.metrics == {"after": 1.0}
    assert not (tmp_path / "mlruns" / "mlflow.db").exists()


def test_a_run_that_fails_inside_ones_own_leaves_ones_own_open(users_place, tmp_path):
    with ones_own_run(users_place) as parent:
        with (
            pytest.raises(ValueError, match="stop"),
            tracking.track(PipelineConfig(name="bad", mlruns=tmp_path)) as tracker,
        ):
            raise ValueError("stop")
        assert mlflow.active_run().info.run_id == parent.info.run_id
    client = MlflowClient(users_place)
    assert client.get_run(tracker.run_id).info.status == "FAILED"
    assert client.get_run(parent.info.run_id).info.status == "FINISHED"


def test_a_run_of_another_database_names_no_parent_there(users_place, tmp_path):
    uri = f"sqlite:///{tmp_path / 'other.db'}"
    config = PipelineConfig(name="inner", mlruns=tmp_path / "m", tracking_uri=uri)
    with ones_own_run(users_place), tracking.track(config) as tracker:
        pass
    tags = MlflowClient(uri).get_run(tracker.run_id).data.tags
    assert "mlflow.parentRunId" not in tags
    assert mlflow.get_tracking_uri() == users_place


def test_mlflow_experiment_name_is_heard(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "/team/digits")
    for _ in range(2):  # made, and found
        with tracking.track(PipelineConfig(name="x", mlruns=tmp_path)) as tracker:
            pass
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment(tracker.experiment_id)
    assert experiment.name == "/team/digits"
    assert client.get_experiment_by_name("x") is None
    place = Path(experiment.artifact_location.removeprefix("file://"))
    assert place == tmp_path / "artifacts" / "_team_digits"
    assert (place / tracker.run_id / "artifacts" / "config.json").is_file()


LOGGERS = """
import logging, mlflow, mlflow.store.tracking.sqlalchemy_store
names = ("mlflow", "alembic", "mlflow.system_metrics")
before = [logging.getLogger(name).level for name in names]
import dlkeras, dlkeras.pipeline, dlkeras.pipeline.graph
from dlkeras.pipeline import PipelineConfig, tracking
tracking.connect
assert before == [logging.getLogger(name).level for name in names], "imported"
import sys, pathlib
with tracking.track(PipelineConfig(mlruns=pathlib.Path(sys.argv[1]))):
    pass
assert before == [logging.getLogger(name).level for name in names], "used"
"""


def test_ones_loggers_stay_as_they_are(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LOGGERS, tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Creating initial MLflow database" not in done.stderr


def test_loggers_stay_as_they_are_when_mlflow_does_not_answer(tmp_path):
    level = logging.getLogger("mlflow").level
    with pytest.raises(TrackingError):
        tracking.connect("http://127.0.0.1:9", tmp_path)
    assert logging.getLogger("mlflow").level == level


def test_what_differs_from_the_defaults_is_logged_and_what_the_search_chose(tmp_path):
    config = PipelineConfig(
        name="few", mlruns=tmp_path, tuner=TunerConfig(max_trials=5)
    )
    with tracking.track(config) as tracker:
        tracker.log_chosen({"learning_rate": 0.00123456789, "optimizer": "adamw"})
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert client.get_run(tracker.run_id).data.params == {
        "name": "few",
        "tuner.max_trials": "5",
        "learning_rate": "0.00123457",
        "optimizer": "adamw",
    }
    whole = client.download_artifacts(tracker.run_id, "config.json", str(tmp_path))
    assert PipelineConfig.model_validate_json(Path(whole).read_text()) == config


@pytest.mark.job
def test_mlflow_finds_where_the_data_set_is(tiny_config, silent):
    import tensorflow_datasets as tfds

    result = run(tiny_config, until="StatisticsGen", progress=silent)
    client = MlflowClient(f"sqlite:///{tiny_config.mlruns / 'mlflow.db'}")
    (used,) = client.get_run(result.run_id).inputs.dataset_inputs
    source = mlflow.data.get_source(used)
    folder = Path(source.load())
    examples = result.artifacts["Examples"]
    assert folder.samefile(examples.path)
    builder = tfds.builder_from_directory(folder / examples.properties["builder"])
    assert builder.info.splits["train"].num_examples == 1168


def test_the_score_of_each_task_is_in_the_list_of_runs(tmp_path, capsys):
    client = tracking.connect(None, tmp_path)
    experiment = client.create_experiment("tasks")
    scores = {
        "test/accuracy": ("accuracy 0.9876", {"test/macro_f1": 0.5}),
        "test/macro_f1": ("macro f1 0.7500", {}),
        "test/mean_absolute_error": ("mean absolute error 3.2500", {}),
    }
    values = (0.9876, 0.75, 3.25)
    for (name, (_, more)), value in zip(scores.items(), values, strict=True):
        made = client.create_run(experiment, tags={"dlkeras.config": name})
        for metric, number in {name: value, **more}.items():
            client.log_metric(made.info.run_id, metric, number)
    client.create_run(experiment, tags={"dlkeras.config": "not judged"})
    assert main(["runs", "--mlruns", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "Score" in shown
    for words, _ in scores.values():
        assert words in shown


def test_a_note_is_ten_lines_at_most_whatever_a_run_has():
    """Every part that a note may have, and findings that end as sentences do."""
    from types import SimpleNamespace

    def artifact(kind, **properties):
        record = SimpleNamespace(type=kind, producer=kind)
        return SimpleNamespace(record=record, properties=properties)

    found = [
        artifact("Examples", source="folder", labels=["a", "b"], splits={"train": 9}),
        artifact("Statistics", near_duplicates=0),
        artifact("Anomalies", anomalies=0),
        artifact("Hyperparameters", values={"learning_rate": 0.001}, completed=1,
                 trials=3, failed={"1": "it broke.\nat once;", "2": "again"}),
        artifact("Model", architecture="lenet5", parameters=61706, epochs=40,
                 best_epoch=38, val_loss=0.03, val_accuracy=0.99, verdict="healthy;",
                 findings=["C1 is dead.", "F6 is slow."]),
        artifact("Evaluation", accuracy=0.9944, misclassified=2, examples=359,
                 commonest_class={"label": "1", "share": 0.1}, balanced_accuracy=0.99,
                 macro_f1=0.99, ece=0.01),
        artifact("Blessing", blessed=True, reason="accuracy 0.9944 reaches 0.96"),
    ]  # fmt: skip
    steps = [SimpleNamespace(artifact=a, cached=False, seconds=1.0) for a in found]
    links = Links("/compare", "/model", {"the data": "/data", "all runs": "/all"})
    config = PipelineConfig(name="mine")
    note = run_note(config, steps, 1, links)
    lines = note.splitlines()
    assert len(lines) <= MAX_LINES == 10
    assert lines[0].startswith(
        "**mine** is **blessed**, and [`models:/mine/1`](/model)"
    )
    assert lines[1] == (
        "- **Numbers**: test accuracy **0.9944**, validation loss **0.0300**, "
        "parameters **61,706**"
    )
    for link in ("(/compare)", "(/data)", "(/all)"):
        assert link in note
    for twice in (".;", "..", ";.", ";;"):
        assert twice not in note
    found[-1].properties.update(blessed=False, reason="accuracy 0.5 is below 0.96")
    note = run_note(config, steps, None, links)
    assert "is **not blessed**: accuracy 0.5 is below 0.96." in note
    assert "stopped after Examples" in run_note(config, steps[:1], None, links)
    assert "stopped after its start" in run_note(config, [], None, links)
