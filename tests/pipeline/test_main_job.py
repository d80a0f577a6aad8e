"""The main job, whole: its artifacts, its MLflow entities, and the cached rerun."""

import contextlib
import hashlib
import json
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient

from dlkeras.pipeline import PipelineConfig, tracking
from dlkeras.pipeline import run as run_pipeline
from dlkeras.pipeline.artifacts.types import (
    ARTIFACT_TYPES,
    Evaluation,
    Model,
    PushedModel,
)
from dlkeras.pipeline.store.publishing import Store


@pytest.fixture(scope="module")
def client(main_job) -> MlflowClient:
    return MlflowClient(f"sqlite:///{main_job.mlruns / 'mlflow.db'}")


@pytest.fixture(scope="module")
def run(main_job, client):
    return client.get_run(main_job.run_id)


@pytest.fixture(scope="module")
def store(main_job) -> Store:
    return Store(main_job.mlruns / "store")


def only(store, artifact_type):
    artifacts = store.artifacts(artifact_type)
    assert len(artifacts) == 1
    return artifacts[0]


def test_it_ends_well_and_says_what_it_did(main_job):
    assert main_job.exit_code == 0, main_job.stderr
    for name in ("ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator",
                 "Transform", "Tuner", "Trainer", "Evaluator", "InfraValidator",
                 "Pusher"):  # fmt: skip
        assert f"{name} done in" in main_job.stdout
    assert "Blessed" in main_job.stdout
    assert main_job.stdout.count("http://127.0.0.1:5000/#/") == 2


def test_without_a_terminal_it_writes_no_control_characters(main_job):
    output = main_job.stdout + main_job.stderr
    assert not [c for c in output if ord(c) < 32 and c != "\n"]


def test_tensorflow_and_mlflow_do_not_chatter(main_job):
    assert main_job.stderr == ""
    for word in ("oneDNN", "cudart", "alembic", "WARNING", "INFO"):
        assert word not in main_job.stdout


def test_every_type_of_artifact_is_published_with_true_digests(store):
    for artifact_type in ARTIFACT_TYPES.values():
        artifact = only(store, artifact_type)
        found = store.find(artifact_type, artifact.record.key, verify=True)
        assert found.record == artifact.record
        for name, published in artifact.record.files.items():
            data = (artifact.path / name).read_bytes()
            assert hashlib.sha256(data).hexdigest() == published.sha256
            assert len(data) == published.size


def test_nothing_is_left_behind(store):
    assert not list((store.root / "incomplete").iterdir())
    assert not list((store.root / "work").iterdir())


def test_accuracy_is_at_least_97_percent_and_recomputed_from_the_predictions(store):
    import pandas as pd

    evaluation = only(store, Evaluation)
    table = pd.read_parquet(evaluation.path / "predictions.parquet")
    accuracy = (table.label == table.prediction).mean()
    assert accuracy >= 0.97
    assert evaluation.metrics["accuracy"] == pytest.approx(accuracy)
    probabilities = table.filter(regex=r"^p\(").to_numpy()
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (probabilities.argmax(axis=1).astype(str) == table.prediction).all()


def test_the_trained_network_is_lenet5_of_table_13_1(store):
    assert only(store, Model).properties["parameters"] == 61706


def test_the_pushed_model_takes_raw_digits_of_scikit_learn(store):
    """The truth comes from scikit-learn's arrays, past all of the pipeline."""
    import keras
    from sklearn.datasets import load_digits

    pushed = only(store, PushedModel)
    model = keras.saving.load_model(pushed.path / "model.keras")
    digits = load_digits()
    raw = np.round(digits.images * 255 / 16).astype("uint8")[..., None]
    accuracy = (model.predict(raw, verbose=0).argmax(axis=1) == digits.target).mean()
    assert accuracy >= 0.97


def test_sha256sum_accepts_the_manifest(store):
    pushed = only(store, PushedModel)
    checked = subprocess.run(
        ["sha256sum", "-c", "--strict", "MANIFEST.sha256"],
        cwd=pushed.path,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stderr
    files = [f for f in pushed.path.rglob("*") if f.is_file()]
    beside = {"MANIFEST.sha256", "artifact.json"}
    assert checked.stdout.count(": OK") == len(files) - len(beside)


def test_the_model_card_tells_data_training_and_evaluation(store):
    card = only(store, PushedModel).card
    accuracy = only(store, Evaluation).metrics["accuracy"]
    for part in ("61,706 parameters", "1,168", f"Accuracy {accuracy:.4f}", "digits"):
        assert part in card


def test_mlflow_has_the_parameters_and_tags(run, main_job):
    assert run.info.status == "FINISHED"
    parameters = run.data.params
    # The script says what are the defaults, and the search chose the rest.
    assert set(parameters) == {"name", "learning_rate", "augmentation_strength"}
    assert 5e-4 <= float(parameters["learning_rate"]) <= 4e-3
    tags = run.data.tags
    assert tags["version.keras"].startswith("3.")
    assert tags["precision"] == "float32"
    assert int(tags["hardware.cores"]) >= 1
    assert tags["hardware.gpu"]
    assert tags["dlkeras.blessed"] == "True"


def test_mlflow_has_a_metric_point_for_every_epoch(client, run, store):
    model = only(store, Model)
    epochs = model.properties["epochs"]
    for name in ("train/loss", "validation/loss", "train/accuracy",
                 "validation/accuracy", "train/learning_rate"):  # fmt: skip
        points = client.get_metric_history(run.info.run_id, name)
        assert [point.step for point in points] == list(range(1, epochs + 1))
    losses = client.get_metric_history(run.info.run_id, "validation/loss")
    assert [p.value for p in losses] == [e["val_loss"] for e in model.history]
    assert run.data.metrics["test/accuracy"] >= 0.97


def test_mlflow_samples_the_system_about_every_second(client, run):
    names = [n for n in run.data.metrics if n.startswith("system/")]
    assert "system/cpu_utilization_percentage" in names
    points = client.get_metric_history(run.info.run_id, names[0])
    seconds = (run.info.end_time - run.info.start_time) / 1000
    assert len(points) >= seconds / 4


def test_mlflow_has_the_data_set(run, store):
    (used,) = run.inputs.dataset_inputs
    assert used.dataset.name == "digits"
    examples = only(store, ARTIFACT_TYPES["Examples"])
    assert used.dataset.digest == examples.record.digest[:16]


def test_mlflow_has_the_figures_with_a_step(client, run):
    files = [f.path for f in client.list_artifacts(run.info.run_id, "images")]
    shown = {path.split("/")[-1].split("%")[0].split("+")[0] for path in files}
    wanted = {"learning_curves", "confusion_matrix", "augmented_batch", "filters",
              "feature_maps", "misclassified", "worst_confidence",
              "grad_cam"}  # fmt: skip
    assert wanted <= shown


def test_mlflow_has_the_gradient_norm_of_every_layer_and_epoch(client, run, store):
    model = only(store, Model)
    epochs = model.properties["epochs"]
    for layer in ("C1", "C3", "C5", "F6", "Out"):
        name = f"gradient_norm/{layer}"
        points = client.get_metric_history(run.info.run_id, name)
        assert [point.step for point in points] == list(range(1, epochs + 1))
        assert [p.value for p in points] == [e[name] for e in model.history]
    measured = np.load(model.path / "gradients.npz")
    assert measured["steps"].tolist() == list(range(1, 37 * epochs + 1, 10))
    first = measured["epochs"] == 0
    medians = np.median(measured["gradient_norm"][first], 0)
    layers = measured["layers"].tolist()
    assert medians[layers.index("C3")] == model.history[0]["gradient_norm/C3"]


def test_drawings_have_svg_beside_png_and_galleries_png_alone(client, run, store):
    found = {}
    for file in client.list_artifacts(run.info.run_id, "figures"):
        found.setdefault(Path(file.path).stem, set()).add(Path(file.path).suffix)
    for name in ("learning_curves", "confusion_matrix", "gradient_flow", "calibration"):
        assert found[name] == {".png", ".svg"}, name
    for name in ("augmented_batch", "misclassified", "feature_maps"):
        assert found[name] == {".png"}, name
    published = only(store, Evaluation).path / "figures" / "confusion_matrix.svg"
    root = ElementTree.parse(published).getroot()
    assert root.tag.endswith("svg")
    # What is never the same twice would change the digest of what is published.
    assert "<dc:date>" not in published.read_text()


def test_the_learning_curves_are_of_the_training_not_of_each_layer(store):
    drawn = only(store, Model).path / "figures" / "learning_curves.svg"
    words = re.findall(r"<!-- (.+?) -->", drawn.read_text(encoding="utf-8"))
    assert {"accuracy", "learning rate", "cross-entropy loss (nats)"} <= {*words}
    assert not [word for word in words if "gradient" in word]


def test_mlflow_has_the_monitors_figures_at_several_epochs(client, run, store):
    epochs = only(store, Model).properties["epochs"]
    files = client.list_artifacts(run.info.run_id, "images")
    parts = [re.split("[%+]", Path(file.path).name) for file in files]
    # At step 0, where a chart opens, there is the first epoch's again.
    drawn = sorted({0} | {2**i for i in range(12) if 2**i < epochs} | {epochs})
    for name in ("gradient_flow", "gradient_map", "update_ratios", "activations"):
        pngs = [p for p in parts if p[0] == name and p[-1].endswith(".png")]
        assert sorted(int(part[2]) for part in pngs) == drawn


def test_mlflow_has_a_note_that_tells_the_run(run):
    note = run.data.tags["mlflow.note.content"]
    assert len(note.splitlines()) <= 10
    for word in ("blessed", "Numbers", "Data", "Tuner", "Training", "Diagnosis", "Test",
                 "Pages", "Time"):  # fmt: skip
        assert f"**{word}**" in note
    assert "no anomalies" in note and "models:/lenet5_digits/1" in note
    assert not re.search(r"[.;][.;]", note)


def test_mlflow_has_the_verdict_and_its_page(client, run):
    assert run.data.tags["dlkeras.verdict"].startswith("healthy: looked at the model")
    page = Path(client.download_artifacts(run.info.run_id, "diagnosis.html"))
    assert page.read_text(encoding="utf-8").count("<svg") == 4  # loss and accuracy


def test_mlflow_has_the_trials_as_finished_child_runs(client, run):
    children = client.search_runs(
        [run.info.experiment_id], f"tags.mlflow.parentRunId = '{run.info.run_id}'"
    )
    assert len(children) == 3
    for child in children:
        assert child.info.status == "FINISHED"
        assert {"learning_rate", "augmentation_strength"} <= set(child.data.params)
        points = client.get_metric_history(child.info.run_id, "validation/loss")
        assert [point.step for point in points] == [1, 2]
        assert child.data.metrics["objective/val_loss"] == min(p.value for p in points)


def test_mlflow_has_the_champion_and_its_pyfunc_answers(client, main_job, store):
    version = client.get_model_version_by_alias("lenet5_digits", "champion")
    assert version.version == 1
    assert version.run_id == main_job.run_id
    assert "## Evaluation" in version.description
    mlflow.set_tracking_uri(f"sqlite:///{main_job.mlruns / 'mlflow.db'}")
    try:
        model = mlflow.pyfunc.load_model("models:/lenet5_digits@champion")
        image = np.zeros((2, 8, 8, 1), dtype="uint8")
        answer = np.asarray(model.predict(image))
    finally:
        mlflow.set_tracking_uri(None)
    assert answer.shape == (2, 10)
    assert np.allclose(answer.sum(axis=1), 1, atol=1e-5)


def test_nothing_that_was_logged_is_a_pickle(main_job):
    for file in main_job.mlruns.rglob("*"):
        assert file.suffix not in (".pkl", ".pickle", ".cloudpickle", ".joblib")
        if file.is_file() and file.suffix != ".db":
            assert not file.read_bytes().startswith(b"\x80\x04")


def test_mlflow_has_the_configuration_and_the_lineage(client, run, tmp_path):
    path = client.download_artifacts(run.info.run_id, "config.json", str(tmp_path))
    config = json.loads(Path(path).read_text())
    assert config["example_gen"]["dataset"] == "digits"
    path = client.download_artifacts(run.info.run_id, "lineage.json", str(tmp_path))
    steps = {s["type"]: s for s in json.loads(Path(path).read_text())["steps"]}
    assert set(steps) == set(ARTIFACT_TYPES)
    read = steps["Model"]["inputs"]["examples"]["digest"]
    assert read == steps["Examples"]["digest"]


def test_a_second_run_reuses_every_step(main_job, script_runner, client):
    second = script_runner(main_job.mlruns)
    assert second.exit_code == 0, second.stderr
    table = second.stdout.split("Component", 1)[1].splitlines()[1:12]
    assert all(" cached " in line for line in table)
    assert second.run_id != main_job.run_id
    run = client.get_run(second.run_id)
    assert run.info.status == "FINISHED"
    first = client.get_run(main_job.run_id)
    for name in ("test/accuracy", "validation/loss"):
        assert run.data.metrics[name] == first.data.metrics[name]
    assert len(client.search_model_versions("name = 'lenet5_digits'")) == 1


def test_a_logged_configuration_replays_the_run(
    main_job, script_runner, client, tmp_path
):
    path = client.download_artifacts(main_job.run_id, "config.json", str(tmp_path))
    again = script_runner(main_job.mlruns, "--config", path)
    assert again.exit_code == 0, again.stderr
    assert again.stdout.count("reused") >= 11


def listing(folder: Path) -> dict[Path, tuple[int, int]]:
    files = {file: file.stat() for file in folder.rglob("*")}
    return {file: (found.st_size, found.st_mtime_ns) for file, found in files.items()}


def values_with(text: str, database: Path) -> set[tuple[str, str]]:
    """The tables and columns of a database in which a text stands."""
    with contextlib.closing(sqlite3.connect(database)) as opened:
        tables = opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        columns = [
            (table, column[1])
            for (table,) in tables.fetchall()
            for column in opened.execute(f'PRAGMA table_info("{table}")')
        ]
        return {
            (table, column)
            for table, column in columns
            if opened.execute(
                f'SELECT 1 FROM "{table}" WHERE instr("{column}", ?)', (text,)
            ).fetchone()
        }


def test_a_folder_of_runs_works_where_it_is_moved_to(
    main_job, store, tmp_path, silent, capsys
):
    """Copied, then renamed, so that the old place once exists and once does not."""
    old = main_job.mlruns
    before = listing(old)
    copy, moved = tmp_path / "a copy", tmp_path / "moved"
    shutil.copytree(old, copy)
    tracking.list_runs(None, copy, 1)
    (line,) = capsys.readouterr().err.splitlines()
    assert str(old) in line and str(copy) in line
    copy.rename(moved)
    folder = tracking.pushed_folder(None, moved, "lenet5_digits")
    assert folder == moved / only(store, PushedModel).path.relative_to(old)
    assert str(copy) in capsys.readouterr().err
    run = moved / "artifacts" / "lenet5_digits" / main_job.run_id
    logged = json.loads((run / "artifacts" / "config.json").read_text())
    config = PipelineConfig.model_validate_json(
        json.dumps(logged | {"mlruns": str(moved)})
    )
    result = run_pipeline(config, progress=silent)
    assert [step.component for step in result.steps if not step.cached] == []
    assert result.model_version == 1
    client = MlflowClient(f"sqlite:///{moved / 'mlflow.db'}")
    location = client.get_run(result.run_id).info.artifact_uri
    assert location.startswith(moved.as_uri())
    pictures = moved / "artifacts" / "lenet5_digits" / result.run_id
    assert list(pictures.rglob("learning_curves.png"))
    model = mlflow.pyfunc.load_model("models:/lenet5_digits@champion")
    assert np.shape(model.predict(np.zeros((1, 8, 8, 1), "uint8"))) == (1, 10)
    # No place in the database leads back, and nobody has written there.
    for place in (old, copy):
        assert values_with(str(place), moved / "mlflow.db") == set()
        assert values_with(place.as_uri(), moved / "mlflow.db") == set()
    assert listing(old) == before
    assert not copy.exists()
