"""MLflow and the registry on real database servers, by MLFLOW_TRACKING_URI alone.

PostgreSQL, and MariaDB, which MLflow speaks to as to MySQL.
"""

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
from tests.ports import free_port

DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
INITDB = shutil.which("initdb") or (str(DEBIAN[-1]) if DEBIAN else None)
MARIADB = shutil.which("mariadbd", path=f"{os.environ.get('PATH')}:/usr/sbin")


def as_owner(folder, users):
    """A database server refuses to be root: its own user is taken, or nobody."""
    if os.geteuid():
        return []
    import pwd

    for user in (*users, "nobody"):
        with contextlib.suppress(KeyError):
            shutil.chown(folder, pwd.getpwnam(user).pw_uid)
            return ["runuser", "-u", user, "--"]
    pytest.skip("no user but root to run a database server")


def postgresql(folder, port):
    """Make a database cluster; the command that serves it, and its address."""
    if INITDB is None or find_spec("psycopg") is None:
        pytest.skip("PostgreSQL or psycopg is not installed")
    binaries, user = Path(INITDB).parent, as_owner(folder, ["postgres"])
    data = f"{folder}/data"
    subprocess.run(
        [*user, binaries / "initdb", "--no-sync", "-A", "trust", "-U", "dlkeras",
         "-E", "UTF8", "--locale", "C", "-D", data],
        check=True, capture_output=True, cwd="/",
    )  # fmt: skip
    command = [
        *user, binaries / "postgres", "-D", data, "-p", str(port), "-k", folder,
        "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
    ]  # fmt: skip
    return command, f"postgresql://dlkeras@127.0.0.1:{port}"


def mysql(folder, port):
    """The same with MariaDB."""
    if MARIADB is None or find_spec("pymysql") is None:
        pytest.skip("MariaDB or PyMySQL is not installed")
    user = as_owner(folder, ["mysql"])
    data = f"--datadir={folder}/data"
    subprocess.run(
        [*user, "mariadb-install-db", "--no-defaults", data, "--skip-test-db",
         "--auth-root-authentication-method=normal"],
        check=True, capture_output=True, cwd="/",
    )  # fmt: skip
    command = [
        *user, MARIADB, "--no-defaults", data, f"--port={port}",
        "--bind-address=127.0.0.1", f"--socket={folder}/socket",
        f"--pid-file={folder}/pid", "--innodb-flush-log-at-trx-commit=0",
    ]  # fmt: skip
    return command, f"mysql+pymysql://root@127.0.0.1:{port}"


@pytest.fixture(scope="module", params=[postgresql, mysql])
def server(request):
    """The address of a server that the test started, on a port of its own."""
    port = free_port()
    # Not below pytest's folder, which no other user may enter.
    with tempfile.TemporaryDirectory(prefix="database-") as folder:
        command, address = request.param(folder, port)
        with open(Path(folder, "log"), "w+") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
            try:
                deadline = time.monotonic() + 60
                while True:
                    with contextlib.suppress(OSError):
                        socket.create_connection(("127.0.0.1", port), timeout=1).close()
                        break
                    assert process.poll() is None, Path(log.name).read_text()
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
                yield address
            finally:
                process.terminate()
                process.wait(timeout=60)


def database(server, name):
    """A new, empty database."""
    from sqlalchemy import create_engine, text

    first = "postgres" if server.startswith("postgresql") else "mysql"
    engine = create_engine(f"{server}/{first}", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
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
def test_four_main_jobs_at_once_keep_runs_models_and_metrics_there(server, tmp_path):
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


@pytest.mark.slow
def test_the_card_of_a_model_of_1000_classes_is_described_there(server):
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    from dlkeras.pipeline.tracking.descriptions import described

    client = MlflowClient(database(server, "descriptions"))
    card = "# 1,000 classes\n\n" + "| a class | 0.9 | 0.8 | 0.85 | 12 |\n" * 1000
    client.create_registered_model("whole")
    with pytest.raises(MlflowException):
        client.update_registered_model("whole", description=card)
    client.create_registered_model("cut", description=described(card))
    assert client.get_registered_model("cut").description == described(card)
    version = client.create_model_version("cut", "x", description=described(card))
    assert version.description == described(card)
