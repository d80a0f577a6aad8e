"""MLflow that does not answer, storage that takes nothing, runs left behind."""

import ast
import contextlib
import inspect
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from dlkeras.pipeline import run, tracking
from dlkeras.pipeline.engine.observer import NullObserver, Observer
from dlkeras.pipeline.store.errors import (
    CorruptArtifactError,
    InputError,
    StorageError,
    TrackingError,
)
from dlkeras.pipeline.tracking.queries import logged_images
from dlkeras.pipeline.tracking.tracker import Tracker
from tests.conftest import ROOT, SCRIPT
from tests.ports import free_port


def test_a_server_that_does_not_answer_stops_the_run_before_training(
    script_runner, tmp_path
):
    uri = f"http://127.0.0.1:{free_port()}"
    job = script_runner(tmp_path, "--tracking-uri", uri)
    assert job.exit_code == 1
    (line,) = job.stderr.splitlines()
    assert uri in line
    assert "does not answer" in line
    assert "Nothing was trained" in line
    assert not (tmp_path / "mlflow.db").exists()
    assert not (tmp_path / "store" / "Examples").exists()


def test_a_server_that_is_broken_is_said_to_be(tmp_path):
    class Broken(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(503)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Broken)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    uri = f"http://127.0.0.1:{server.server_port}"
    try:
        with pytest.raises(TrackingError, match=f"{uri}.*503"):
            tracking.connect(uri, tmp_path)
    finally:
        server.shutdown()
        server.server_close()


def test_the_environment_names_the_server_where_no_flag_does(tmp_path, monkeypatch):
    uri = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(TrackingError, match=uri):
        tracking.connect(None, tmp_path)


def test_runs_of_one_folder_do_not_leak_into_the_next(tmp_path):
    for name in ("one", "two"):
        tracking.connect(None, tmp_path / name)
        assert (tmp_path / name / "mlflow.db").is_file()
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_a_run_that_a_dead_process_left_running_is_marked_killed(tiny_config, silent):
    config = tiny_config.model_copy(update={"name": "stale"})
    first = run(config, until="SchemaGen", progress=silent)
    client = MlflowClient(f"sqlite:///{config.mlruns / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("stale").experiment_id
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = client.create_run(
        experiment,
        tags={
            "dlkeras.host": socket.gethostname(),
            "dlkeras.pid": str(dead.pid),
            "dlkeras.process_started": "1.0",
        },
    )
    elsewhere = client.create_run(
        experiment, tags={"dlkeras.host": "another machine", "dlkeras.pid": "1"}
    )
    run(config, until="SchemaGen", progress=silent)
    assert client.get_run(left.info.run_id).info.status == "KILLED"
    assert client.get_run(elsewhere.info.run_id).info.status == "RUNNING"
    assert client.get_run(first.run_id).info.status == "FINISHED"


def test_a_run_that_fails_is_marked_failed_and_says_why(tiny_config, silent, tmp_path):
    from dlkeras.pipeline import SchemaGenConfig

    broken = tmp_path / "broken.json"
    broken.write_text("no schema")
    config = tiny_config.model_copy(
        update={"name": "bad", "schema_gen": SchemaGenConfig(path=broken)}
    )
    with pytest.raises(InputError):
        run(config, progress=silent)
    client = MlflowClient(f"sqlite:///{config.mlruns / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("bad").experiment_id
    (failed,) = client.search_runs([experiment])
    assert failed.info.status == "FAILED"
    assert "broken.json" in failed.data.tags["dlkeras.error"]


def test_a_corrupt_artifact_is_named_and_rebuilt_when_forced(tiny_config, silent):
    config = tiny_config.model_copy(update={"name": "corrupt", "seed": 5})
    result = run(config, until="SchemaGen", progress=silent)
    file = result.artifacts["Statistics"].path / "statistics.json"
    file.write_text(json.dumps({}))
    with pytest.raises(CorruptArtifactError) as caught:
        run(config, until="SchemaGen", progress=silent)
    assert str(file) in str(caught.value)
    assert "--force StatisticsGen" in str(caught.value)
    again = run(config, until="SchemaGen", force=["StatisticsGen"], progress=silent)
    cached = [step.cached for step in again.steps]
    assert cached == [True, False, True]
    assert again.artifacts["Statistics"].summary["splits"]["train"]["examples"] == 1168


def test_an_unknown_component_is_named(tiny_config, silent):
    with pytest.raises(InputError, match=r"expected a component.*Trainr"):
        run(tiny_config, force=["Trainr"], progress=silent)


def test_another_backend_is_refused(tiny_config, silent, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(InputError, match="KERAS_BACKEND=jax"):
        run(tiny_config, progress=silent)


def test_runs_are_listed_behind_a_thousand_trials(tmp_path):
    """A search's children come after its run, and are the newest."""
    client = tracking.connect(None, tmp_path)
    experiment = client.create_experiment("search")
    parent = client.create_run(experiment, tags={"dlkeras.config": "x"}).info.run_id
    now = client.get_run(parent).info.start_time
    names = [f"{number:032x}" for number in range(1100)]
    with (
        contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as database,
        database,
    ):
        database.executemany(
            "INSERT INTO runs (run_uuid, name, user_id, status, start_time, "
            "lifecycle_stage, artifact_uri, experiment_id) "
            "VALUES (?, 't', 'u', 'FINISHED', ?, 'active', 'file:///x', ?)",
            [(name, now + 1, experiment) for name in names],
        )
        database.executemany(
            "INSERT INTO tags VALUES ('mlflow.parentRunId', ?, ?)",
            [(parent, name) for name in names],
        )
    (listed,) = tracking.list_runs(None, tmp_path, 20)
    assert listed["run_id"] == parent


def test_every_search_of_mlflow_reads_all_pages_or_says_how_many():
    """A search gives its first hundred or thousand; what is filtered later is lost."""
    short = []
    for file in (ROOT / "dlkeras" / "pipeline" / "tracking").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                named = {keyword.arg for keyword in node.keywords}
                if node.func.attr.startswith("search_") and "max_results" not in named:
                    short.append((file.name, node.lineno))
    assert short == []


def mounted(options: str, folder) -> bool:
    """Mount a small file system there; False where this user may not."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True
    )
    return done.returncode == 0


@pytest.fixture
def file_system():
    """A function that mounts a tmpfs with options, and skips where it cannot."""
    # Not in pytest's folder, which is not tidied around what a killed test left.
    folder = Path(tempfile.mkdtemp(prefix="file-system-"))

    def mount(options):
        if not mounted(options, folder):
            pytest.skip("this user may not mount a file system")
        return folder

    yield mount
    subprocess.run(["umount", "-l", folder], capture_output=True)
    folder.rmdir()


def test_a_read_only_folder_is_named_in_one_line(script_runner, file_system):
    folder = file_system("ro,size=1m")
    job = script_runner(folder / "mlruns")
    assert job.exit_code == 1
    (line,) = job.stderr.splitlines()
    assert "expected a writable folder" in line
    assert str(folder) in line


def test_a_folder_of_another_user_is_named_in_one_line(tmp_path, monkeypatch):
    def denied(*args, **kwargs):
        raise PermissionError(13, "Permission denied", str(tmp_path / "mlruns"))

    monkeypatch.setattr("pathlib.Path.mkdir", denied)
    from dlkeras.pipeline.store.publishing import Store

    with pytest.raises(StorageError, match=r"writable folder.*Permission denied"):
        Store(tmp_path / "mlruns")


def test_a_disk_that_is_too_small_is_said_before_anything_starts(
    script_runner, file_system
):
    job = script_runner(file_system("size=1m") / "mlruns")
    assert job.exit_code == 1
    (line,) = job.stderr.splitlines()
    assert "expected at least 64 MiB free" in line
    assert "reused" not in job.stdout and "..." not in job.stdout


def test_a_full_disk_is_said_by_tensorflows_error_too(file_system):
    """What InfraValidator writes, TensorFlow writes: its error is no OSError."""
    from dlkeras.pipeline.serving.servable import SAVED_MODEL, write_form
    from dlkeras.pipeline.store.publishing import storage_errors
    from dlkeras.pipeline.tensorflow_import import keras

    folder = file_system("size=64k")
    inputs = keras.Input((8, 8, 1))
    network = keras.Model(inputs, keras.layers.Dense(40_000)(inputs))
    with pytest.raises(StorageError) as caught, storage_errors(folder):
        write_form(SAVED_MODEL, folder, network, network)
    assert not isinstance(caught.value.__cause__, OSError)
    assert "the disk is full" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.job
def test_a_disk_that_fills_while_training_is_said_and_breaks_nothing(
    script_runner, file_system
):
    folder = file_system("size=70m")
    mlruns = folder / "mlruns"
    flags = ["--mlruns", mlruns, "--no-tuner", "--trainer.epochs", "15"]
    process = subprocess.Popen(
        [sys.executable, SCRIPT, *flags], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(mlruns.glob("store/work/Model-*/epoch-0001.ckpt")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError):
        while True:
            file.write(bytes(4096))
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert len(errors.splitlines()) == 1, errors
    assert "full" in errors
    filler.unlink()
    again = script_runner(
        mlruns, "--no-tuner", "--trainer.epochs", "15", "--until", "Trainer"
    )
    assert again.exit_code == 0, again.stderr
    assert again.stdout.count("reused") == 5
    assert "resuming after epoch" in again.stdout


def test_who_listens_has_the_methods_of_an_observer():
    """A misspelt call fails on every machine, not on the chief's alone."""

    def methods(kind):
        return {
            name
            for name in dir(kind)
            if not name.startswith("_") and inspect.isroutine(getattr(kind, name))
        }

    assert methods(NullObserver) == methods(Observer) <= methods(Tracker)


def test_pictures_are_logged_in_their_order(tiny_config, tmp_path):
    from PIL import Image

    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    config = tiny_config.model_copy(update={"name": "pictures"})
    with tracking.track(config) as tracker:
        for epoch in (1, 2, 4, 8):
            tracker.log_images({"a": tmp_path / "a.png"}, epoch)
        (tmp_path / "a.png").unlink()  # it is theirs who drew it
    client = MlflowClient(f"sqlite:///{config.mlruns / 'mlflow.db'}")
    assert client.get_run(tracker.run_id).info.status == "FINISHED"
    assert logged_images(client, tracker.run_id) == {("a", s) for s in (0, 1, 2, 4, 8)}
    files = [f.path for f in client.list_artifacts(tracker.run_id, "images")]
    places = [f.split("+") for f in files if f.endswith(".png")]
    steps = [int(step) for *_, step, _, _, _ in sorted(places, key=lambda p: p[4])]
    assert steps == sorted(steps)


def test_a_picture_that_mlflow_does_not_take_ends_the_run(
    tiny_config, tmp_path, monkeypatch
):
    from PIL import Image

    def refuse(*_, **__):
        raise MlflowException("no pictures today")

    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    monkeypatch.setattr(MlflowClient, "log_image", refuse)
    config = tiny_config.model_copy(update={"name": "no_pictures"})
    with (
        pytest.raises(TrackingError, match="no pictures today"),
        tracking.track(config) as tracker,
    ):
        tracker.log_images({"a": tmp_path / "a.png"}, 2)
    client = MlflowClient(f"sqlite:///{config.mlruns / 'mlflow.db'}")
    assert client.get_run(tracker.run_id).info.status == "FAILED"
