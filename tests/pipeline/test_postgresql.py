"""MLflow and the registry on a real PostgreSQL, by MLFLOW_TRACKING_URI alone."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import ROOT, SCRIPT

DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
INITDB = shutil.which("initdb") or (str(DEBIAN[-1]) if DEBIAN else None)

pytestmark = [
    pytest.mark.skipif(INITDB is None, reason="PostgreSQL is not installed"),
    pytest.mark.skipif(find_spec("psycopg") is None, reason="psycopg is not installed"),
]


def as_owner(folder):
    """PostgreSQL refuses to be root: its own user is taken, or nobody."""
    if os.geteuid():
        return []
    import pwd

    for user in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            shutil.chown(folder, pwd.getpwnam(user).pw_uid)
            return ["runuser", "-u", user, "--"]
    pytest.skip("no user but root to run PostgreSQL")


@pytest.fixture(scope="module")
def server():
    """The address of a PostgreSQL that the test started, on a port of its own."""
    binaries = Path(str(INITDB)).parent
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Not below pytest's folder, which no other user may enter.
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        user = as_owner(folder)
        data = f"{folder}/data"
        subprocess.run(
            [*user, binaries / "initdb", "--no-sync", "-A", "trust", "-U", "dlkeras",
             "-E", "UTF8", "--locale", "C", "-D", data],
            check=True, capture_output=True, cwd="/",
        )  # fmt: skip
        process = subprocess.Popen(
            [*user, binaries / "postgres", "-D", data, "-p", str(port), "-k", folder,
             "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"],
            stderr=subprocess.PIPE, text=True, cwd="/",
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 60
            while True:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield f"postgresql://dlkeras@127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=60)


def database(server, name):
    """A new, empty database."""
    import psycopg

    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server}/{name}"


def environment(uri):
    paths = [str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return os.environ | {
        "MLFLOW_TRACKING_URI": uri,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }


def outcome(processes):
    try:
        ended = [process.communicate(timeout=500) for process in processes]
    finally:
        for process in processes:
            process.kill()
    failed = [errors[-2000:] for _, errors in ended]
    assert [process.returncode for process in processes] == [0] * len(ended), failed
    return [output for output, _ in ended]


@pytest.mark.slow
def test_machines_that_meet_on_a_new_database_all_reach_it(server, tmp_path):
    """Each has an `mlruns` of its own, so no file lock keeps them apart."""
    uri = database(server, "meeting")
    code = (
        "import sys, pathlib; from dlkeras.pipeline import tracking; "
        "tracking.connect(None, pathlib.Path(sys.argv[1]))"
    )
    outcome(
        [
            subprocess.Popen(
                [sys.executable, "-c", code, tmp_path / str(machine)],
                env=environment(uri),
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for machine in range(3)
        ]
    )  # fmt: skip


@pytest.mark.slow
def test_four_main_jobs_at_once_keep_runs_models_and_metrics_in_postgresql(
    server, tmp_path
):
    from mlflow import MlflowClient

    uri = database(server, "jobs")
    mlruns = tmp_path / "mlruns"
    flags = [
        "--no-tuner", "--trainer.epochs", "1", "--evaluator.min-accuracy", "0",
        "--evaluator.max-accuracy-drop", "1", "--evaluator.significance", "0",
        "--evaluator.robustness-images", "0", "--evaluator.bootstrap-samples", "100",
    ]  # fmt: skip
    printed = outcome(
        [
            subprocess.Popen(
                [sys.executable, SCRIPT, "--mlruns", mlruns, "--seed", str(seed),
                 *flags],
                env=environment(uri),
                cwd=tmp_path,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for seed in range(4)
        ]
    )  # fmt: skip
    # Made by one of the four, and found by the others.
    assert sum("ExampleGen done in" in output for output in printed) == 1
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("lenet5_digits")
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"] * 4
    assert all("test/accuracy" in run.data.metrics for run in runs)
    assert all(run.data.metrics["train/loss"] > 0 for run in runs)
    versions = client.search_model_versions("name = 'lenet5_digits'")
    assert {int(version.version) for version in versions} == {1, 2, 3, 4}
    champion = client.get_model_version_by_alias("lenet5_digits", "champion")
    assert champion.version in {version.version for version in versions}
    assert not (mlruns / "mlflow.db").exists()
    assert not (tmp_path / "mlartifacts").exists()
    assert experiment.artifact_location == (
        (mlruns / "artifacts" / "lenet5_digits").resolve().as_uri()
    )
