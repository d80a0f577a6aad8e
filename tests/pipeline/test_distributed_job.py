"""The main job on two workers: two real processes share every batch, one keeps all.

With TensorFlow's engine and with JAX's, which `--trainer.distribution` chooses.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dlkeras.pipeline.artifacts import Examples, Model
from dlkeras.pipeline.file_sharding import files_of_others
from dlkeras.pipeline.store import Store
from tests.conftest import ROOT, SCRIPT

pytestmark = pytest.mark.slow

# 1,168 examples in batches of 32: two workers can halve the last one, of 16, too.
FLAGS = ["--no-tuner", "--trainer.epochs", "3", "--until", "Trainer"]
DEADLINE = 400
# What one process trains by, and what two do.
ENGINES = {"multi_worker": "none", "data_parallel": "data_parallel"}


def start(mlruns, engine, workers=(), index=0, more=()):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    flags = ("--trainer.distribution", engine, *more)
    if workers:
        environment["TF_CONFIG"] = json.dumps(
            {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        )
    return subprocess.Popen(
        [sys.executable, SCRIPT, "--mlruns", mlruns, *FLAGS, *flags],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def addresses():
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    found = [f"127.0.0.1:{probe.getsockname()[1]}" for probe in probes]
    for probe in probes:
        probe.close()
    return found


def two_workers(mlruns, engine):
    workers = addresses()
    return [start(mlruns, engine, workers, index) for index in (0, 1)]


def finish(*processes):
    try:
        ended = [process.communicate(timeout=DEADLINE) for process in processes]
    finally:
        for process in processes:
            process.kill()
    codes = [process.returncode for process in processes]
    assert codes == [0] * len(codes), [errors[-2000:] for _, errors in ended]
    return [output for output, _ in ended]


def model(mlruns, machines):
    (found,) = [
        artifact
        for artifact in Store(mlruns / "store").artifacts(Model)
        if artifact.record.config["machines"] == machines
    ]
    return found


@pytest.fixture(scope="module", params=list(ENGINES))
def trained(request, tmp_path_factory):
    """One process, and then two with the same global batch, in one folder."""
    if request.param == "data_parallel":
        pytest.importorskip("jax")
    mlruns = tmp_path_factory.mktemp("distributed") / "mlruns"
    finish(start(mlruns, ENGINES[request.param]))
    return mlruns, finish(*two_workers(mlruns, request.param)), request.param


def test_two_workers_have_the_curves_and_weights_of_one_process(trained):
    """The batches are the same; their gradients are added up in another order.

    float32 has 7 digits, and 111 steps of Adam, which divides by the size of small
    gradients, let a difference in the last one grow.
    """
    alone, together = (model(trained[0], machines) for machines in (1, 2))
    for ours, theirs in zip(together.history, alone.history, strict=True):
        for name in ("loss", "val_loss", "accuracy", "val_accuracy"):
            assert ours[name] == pytest.approx(theirs[name], rel=2e-3, abs=2e-3), name
    import keras

    networks = [
        keras.saving.load_model(m.path / "network.keras") for m in (alone, together)
    ]
    for one, two in zip(*(n.get_weights() for n in networks), strict=True):
        assert np.allclose(one, two, atol=5e-3)


def test_the_chief_alone_keeps_the_model_and_the_run(trained):
    from mlflow import MlflowClient

    mlruns, (chief, worker), _ = trained
    assert "Trainer done in" in chief
    assert "This run:" in chief
    assert "worker 1 has done its part; the chief goes on" in worker
    assert "This run:" not in worker
    client = MlflowClient(f"sqlite:///{mlruns / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("lenet5_digits").experiment_id
    assert len(client.search_runs([experiment])) == 2  # alone, and the two together
    assert len(list((mlruns / "store" / "Model").iterdir())) == 2
    assert not list((mlruns / "store" / "incomplete").iterdir())


def test_a_killed_worker_stops_the_chief_and_a_restart_of_both_goes_on_exactly(
    trained, tmp_path
):
    mlruns, engine = tmp_path / "mlruns", trained[2]
    shutil.copytree(trained[0], mlruns)
    expected = model(mlruns, 2).record.digest
    shutil.rmtree(mlruns / "store" / "Model")
    chief, worker = two_workers(mlruns, engine)
    deadline = time.monotonic() + DEADLINE
    while not list(mlruns.glob("store/work/Model-*/epoch-0001.ckpt")):
        assert chief.poll() is None, chief.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(worker.pid, signal.SIGKILL)
    died = time.monotonic()
    worker.communicate()
    _, errors = chief.communicate(timeout=DEADLINE)
    assert time.monotonic() - died < 30
    assert chief.returncode == 1
    lines = errors.splitlines()
    assert len(lines) == 1, errors
    assert "one has ended. Start all of them again" in lines[0]
    printed = finish(*two_workers(mlruns, engine))
    assert "resuming after epoch" in printed[0]
    assert model(mlruns, 2).record.digest == expected


BY_FILE = ["--example-gen.examples-per-shard", "150", "--trainer.sharding", "file"]


@pytest.fixture(scope="module", params=list(ENGINES))
def trained_by_file(request, tmp_path_factory):
    """Two workers, the second in a folder that lacks the first one's shard files."""
    if request.param == "data_parallel":
        pytest.importorskip("jax")
    folder = tmp_path_factory.mktemp("by file")
    mlruns = folder / "mlruns"
    prepare = start(mlruns, "none", more=[*BY_FILE, "--until", "Transform"])
    finish(prepare)
    (examples,) = Store(mlruns / "store").artifacts(Examples)
    lacking = files_of_others(examples, 2, 1)
    assert 0 < len(lacking) < len(examples.shard_files("train"))
    other = folder / "other"
    for kind in ("Examples", "incomplete"):
        (other / "store" / kind).mkdir(parents=True)
    for name in KINDS:
        (mlruns / "store" / name).mkdir(exist_ok=True)
        (other / "store" / name).symlink_to(mlruns / "store" / name)
    copy = other / "store" / "Examples" / examples.path.name
    shutil.copytree(examples.path, copy)
    for name in lacking:
        (copy / name).unlink()
    workers = addresses()
    printed = finish(
        start(mlruns, request.param, workers, 0, BY_FILE),
        start(other, request.param, workers, 1, BY_FILE),
    )
    return mlruns, printed, request.param, copy


KINDS = [
    "Statistics", "Schema", "Anomalies", "Transform", "Model", "work", "locks", "runs",
]  # fmt: skip


def test_by_file_a_worker_trains_without_the_other_workers_files(trained_by_file):
    mlruns, (chief, worker), _, copy = trained_by_file
    assert "Trainer done in" in chief
    assert "worker 1 has done its part; the chief goes on" in worker
    (examples,) = Store(mlruns / "store").artifacts(Examples)
    missing = {n for n in examples.shard_files("train") if not (copy / n).exists()}
    assert missing == files_of_others(examples, 2, 1)


def test_by_file_two_workers_have_the_curves_of_one_process_on_the_same_examples(
    trained_by_file,
):
    """One process takes both parts of every step, by `fit` alone, without weights.

    The gradients are added up in another order, as above. The training loss of an epoch
    is the mean of its steps' means, where one process weights steps by their 31 or 32
    examples; that and float32 leave the curves 2e-3 apart.
    """
    mlruns, _, engine, _ = trained_by_file
    backend = "jax" if engine == "data_parallel" else "tensorflow"
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("union_training.py"),
         mlruns / "store", "3", "2"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": backend,
                          "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True, text=True, timeout=DEADLINE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    expected = json.loads(done.stdout.splitlines()[-1])
    trained = model(mlruns, 2)
    for epoch, ours in enumerate(trained.history):
        for name in ("loss", "val_loss", "accuracy", "val_accuracy"):
            theirs = expected["history"][name][epoch]
            assert ours[name] == pytest.approx(theirs, rel=2e-3, abs=2e-3), name


def test_by_file_more_workers_than_shard_files_end_with_the_flag_that_helps(tmp_path):
    processes = [
        start(tmp_path / "mlruns", "multi_worker", workers, index,
              ["--trainer.sharding", "file"])
        for workers in [addresses()]
        for index in (0, 1)
    ]  # fmt: skip
    try:
        ended = [process.communicate(timeout=DEADLINE) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, errors) in zip(processes, ended, strict=True):
        assert process.returncode == 2, errors
        (line,) = errors.splitlines()
        assert "received 1: lower --example-gen.examples-per-shard" in line
