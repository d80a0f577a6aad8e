"""Owners on another machine: watched while alive, replaced by one process when dead.

The other machine is a real process with another host name (a UTS namespace of Linux).
"""

import os
import signal
import subprocess
import sys
import time

import pytest

from dlkeras.pipeline.store import ownership
from dlkeras.pipeline.store.ownership import (
    heartbeat,
    owned,
    read_owner,
    take_from_dead,
)
from tests.conftest import ROOT, SCRIPT

ELSEWHERE = ["unshare", "--uts", "sh", "-c", 'hostname elsewhere; exec "$@"', "sh"]
HOLD = """
import pathlib, sys, time
from dlkeras.pipeline.store import ownership
ownership.HEARTBEAT_SECONDS = 0.2
with getattr(ownership, sys.argv[1])(pathlib.Path(sys.argv[2]), "a training"):
    print("held", flush=True)
    time.sleep(600)
"""
TAKE = """
import pathlib, sys
from dlkeras.pipeline.store import ownership
ownership.STALE_SECONDS = 2.0
ownership.PATIENCE_SECONDS = 0.2
print(ownership.take_from_dead(pathlib.Path(sys.argv[1])) is not None)
"""


@pytest.fixture(autouse=True)
def namespaces():
    """Skip where this user may not give a process another host name."""
    try:
        done = subprocess.run([*ELSEWHERE, "hostname"], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("unshare is not installed")
    if done.stdout.strip() != "elsewhere":
        pytest.skip("this user may not give a process another host name")


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(ownership, "STALE_SECONDS", 2.0)
    monkeypatch.setattr(ownership, "PATIENCE_SECONDS", 0.2)


def start(code, *arguments, prefix=ELSEWHERE):
    return subprocess.Popen(
        [*prefix, sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def holder(kind, lock):
    process = start(HOLD, kind, lock)
    assert process.stdout.readline() == "held\n"
    assert str(read_owner(lock)) == f"process {process.pid} on elsewhere (a training)"
    return process


def test_an_owner_that_died_elsewhere_is_replaced_when_its_heartbeat_stays_out(
    tmp_path, impatient
):
    lock = tmp_path / "x.lock"
    process = holder("owned", lock)
    process.kill()
    process.wait()
    said, started = [], time.monotonic()
    with owned(lock, "mine", said.append):
        assert time.monotonic() - started > 2.0
        assert read_owner(lock).is_local
    assert said == [
        f"waiting for process {process.pid} on elsewhere (a training)",
        f"taking over from process {process.pid} on elsewhere (a training), "
        "which has died",
    ]
    assert not list(tmp_path.glob("*.owner"))


def test_an_owner_that_lives_elsewhere_is_left_though_no_lock_reaches_here(
    tmp_path, impatient
):
    """Its clock may be years off: the file's time is only looked at for changes."""
    lock = tmp_path / "x.lock"
    process = holder("heartbeat", lock)
    try:
        os.utime(ownership.owner_file(lock), (0, 0))
        started = time.monotonic()
        assert take_from_dead(lock) is None
        assert time.monotonic() - started < 2.0  # a beat was seen
        assert str(process.pid) in str(read_owner(lock))
    finally:
        process.kill()
        process.wait()


def test_of_several_processes_one_takes_over_from_the_dead(tmp_path):
    lock = tmp_path / "x.lock"
    process = holder("heartbeat", lock)
    process.kill()
    process.wait()
    takers = [start(TAKE, lock, prefix=[]) for _ in range(4)]
    answers = [taker.communicate(timeout=120)[0].strip() for taker in takers]
    assert sorted(answers) == ["False", "False", "False", "True"]


def test_an_owner_that_was_replaced_while_it_was_stopped_removes_nobody(
    tmp_path, impatient
):
    lock = tmp_path / "x.lock"
    with heartbeat(lock, "mine"):
        ownership.owner_file(lock).unlink()
        process = holder("heartbeat", lock)
    try:
        assert str(process.pid) in str(read_owner(lock))
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_run_that_died_on_one_machine_goes_on_on_another(script_runner, tmp_path):
    """The same command there: the same run in MLflow, from its last checkpoint."""
    from mlflow import MlflowClient

    mlruns = tmp_path / "mlruns"
    flags = ["--no-tuner", "--trainer.epochs", "6", "--until", "Trainer"]
    process = subprocess.Popen(
        [*ELSEWHERE, sys.executable, SCRIPT, "--mlruns", mlruns, *flags],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 400
    while not list(mlruns.glob("store/work/Model-*/epoch-0001.ckpt")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    client = MlflowClient(f"sqlite:///{mlruns / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("lenet5_digits").experiment_id
    (left,) = client.search_runs([experiment])
    assert left.info.status == "RUNNING"
    assert left.data.tags["dlkeras.host"] == "elsewhere"
    again = script_runner(mlruns, *flags)
    assert again.exit_code == 0, again.stderr
    assert "on elsewhere (run lenet5_digits" in again.stdout
    assert "resuming after epoch" in again.stdout
    (run,) = client.search_runs([experiment])
    assert run.info.run_id == left.info.run_id == again.run_id
    assert run.info.status == "FINISHED"
    points = client.get_metric_history(run.info.run_id, "train/loss")
    assert [point.step for point in points] == [1, 2, 3, 4, 5, 6]


def test_a_run_of_another_job_on_another_machine_stays_running(tmp_path):
    """Until its own command is given; one of the same job there would be looked at."""
    from dlkeras.pipeline import PipelineConfig, tracking

    config = PipelineConfig(name="digits", mlruns=tmp_path)
    with tracking.track(config) as tracker:
        client, experiment = tracking.connect(None, tmp_path), tracker.experiment_id
    tags = {"dlkeras.config": "another", "dlkeras.host": "elsewhere"}
    other = client.create_run(experiment, tags=tags).info.run_id
    with tracking.track(config):
        pass
    assert client.get_run(other).info.status == "RUNNING"
