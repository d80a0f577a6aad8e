"""A real MLflow server that keeps runs, models and artifacts for its clients.

It proxies the artifacts (`--serve-artifacts`): clients reach them by HTTP alone, and
no folder is shared but the store of the pipeline.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image
from sklearn.datasets import load_digits

from tests.conftest import ROOT, SCRIPT
from tests.ports import free_port

pytestmark = pytest.mark.slow

FLAGS = [
    "--no-tuner", "--trainer.epochs", "2", "--evaluator.min-accuracy", "0",
    "--evaluator.robustness-images", "0", "--evaluator.bootstrap-samples", "100",
]  # fmt: skip


def environment(**more):
    return os.environ | {"PYTHONPATH": str(ROOT)} | more


@contextlib.contextmanager
def mlflow_server(folder, *flags):
    """The address of a server whose database is in a folder."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1",
         "--port", str(port), "--workers", "1", *flags,
         "--backend-store-uri", f"sqlite:///{folder / 'server.db'}"],
        env=environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"), cwd=folder,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    uri, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 300
    try:
        while True:
            try:
                urllib.request.urlopen(f"{uri}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.5)
        yield uri
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=60)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a server, and the folder in which it keeps the artifacts."""
    folder = tmp_path_factory.mktemp("server")
    kept = folder / "kept"
    flags = ("--serve-artifacts", "--artifacts-destination", str(kept))
    with mlflow_server(folder, *flags) as uri:
        yield uri, kept


def job(mlruns, uri, cwd, *more):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--mlruns", mlruns, *FLAGS, *more],
        env=environment(MLFLOW_TRACKING_URI=uri), cwd=cwd,
        capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(scope="module")
def done(server, tmp_path_factory):
    """The main job against the server, twice: the second time all is there."""
    uri, _ = server
    cwd = tmp_path_factory.mktemp("client")
    return job(cwd / "mlruns", uri, cwd), job(cwd / "mlruns", uri, cwd), cwd


def test_figures_note_and_configuration_are_with_the_server(server, done, tmp_path):
    (uri, kept), (printed, _, cwd) = server, done
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("lenet5_digits")
    assert experiment.artifact_location.startswith("mlflow-artifacts:")
    link = f"{uri}/#/experiments/{experiment.experiment_id}/runs/"
    assert link in printed
    second, run = client.search_runs([experiment.experiment_id])
    assert run.info.status == second.info.status == "FINISHED"
    assert "Test accuracy" in printed
    assert "0 of 10 steps reused" in run.data.tags["mlflow.note.content"]
    shown = [file.path for file in client.list_artifacts(run.info.run_id, "images")]
    assert any("learning_curves" in name for name in shown)
    assert any("confusion" in name for name in shown)
    fetched = client.download_artifacts(run.info.run_id, "figures", str(tmp_path))
    (published,) = cwd.glob("mlruns/store/Model/*/figures/learning_curves.png")
    curves = (tmp_path / "figures" / "learning_curves.png").read_bytes()
    assert fetched and curves == published.read_bytes()
    file = client.download_artifacts(run.info.run_id, "config.json", str(tmp_path))
    with open(file) as opened:
        assert json.load(opened)["trainer"]["epochs"] == 2
    # With the server, and nowhere else.
    assert list(kept.rglob("learning_curves.png"))
    assert sorted(path.name for path in cwd.iterdir()) == ["mlruns"]
    assert not (cwd / "mlruns" / "artifacts").exists()
    assert not (cwd / "mlruns" / "mlflow.db").exists()


def test_the_registered_model_answers_where_its_folder_is_not(
    server, done, tmp_path, monkeypatch
):
    """On a machine that has the server's address alone."""
    import mlflow

    (uri, _), (_, again, cwd) = server, done
    assert again.count("reused") == 10
    assert len(MlflowClient(uri).search_model_versions("name = 'lenet5_digits'")) == 1
    digits = load_digits()
    pixels = np.round(digits.images[:20] * 255 / 16).astype("uint8")[..., None]
    image = tmp_path / "digit.png"
    Image.fromarray(pixels[0, ..., 0]).save(image)
    aside = cwd.with_name("away")
    cwd.rename(aside)
    try:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        mlflow.set_tracking_uri(uri)
        model = mlflow.pyfunc.load_model("models:/lenet5_digits@champion")
        answers = np.asarray(model.predict(pixels)).argmax(axis=1)
        assert (answers == digits.target[:20]).mean() >= 0.9
        command = [sys.executable, "-m", "dlkeras.cli", "predict", "lenet5_digits",
                   image, "--json", "--mlruns", tmp_path / "none"]  # fmt: skip
        told = subprocess.run(
            command, env=environment(MLFLOW_TRACKING_URI=uri), cwd=tmp_path,
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert told.returncode == 0, told.stderr
        (answer,) = json.loads(told.stdout)
        assert answer["top"][0]["label"] == str(answers[0])
    finally:
        aside.rename(cwd)


def test_artifacts_of_an_experiment_go_where_it_says(tmp_path):
    """No server: the experiment was made with an artifact location of its own."""
    mlruns, elsewhere = tmp_path / "mlruns", tmp_path / "elsewhere"
    mlruns.mkdir()
    uri = f"sqlite:///{mlruns / 'mlflow.db'}"
    client = MlflowClient(uri)
    client.create_experiment("lenet5_digits", elsewhere.as_uri())
    job(mlruns, uri, tmp_path)
    assert len(client.search_model_versions("name = 'lenet5_digits'")) == 1
    assert list(elsewhere.rglob("learning_curves.png"))
    assert list(elsewhere.rglob("MLmodel"))
    assert not (mlruns / "artifacts").exists()
