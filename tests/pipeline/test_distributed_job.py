"""The main job on two workers: two real processes share every batch, one keeps all.

With TensorFlow's engine and with JAX's, which `--trainer.distribution` chooses.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dlkeras.pipeline.artifacts.types import Examples, Model
from dlkeras.pipeline.batches.file_sharding import files_of_others
from dlkeras.pipeline.store.publishing import Store
from tests.conftest import ROOT, SCRIPT
from tests.ports import addresses

pytestmark = pytest.mark.slow

# 1,168 examples in batches of 32: two workers can halve the last one, of 16, too.
FLAGS = ["--no-tuner", "--trainer.epochs", "3", "--until", "Trainer"]
DEADLINE = 400
# What one process trains by, and what two do.
ENGINES = {"multi_worker": "none", "data_parallel": "data_parallel"}


def start(mlruns, engine, workers=(), index=0, more=()):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)  # JAX sets it, which Keras imports
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


def two_workers(mlruns, engine, more=()):
    workers = addresses()
    return [start(mlruns, engine, workers, index, more) for index in (0, 1)]


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
        if artifact.properties["machines"] == machines
    ]
    return found


@pytest.fixture(scope="module", params=list(ENGINES))
def trained(request, tmp_path_factory):
    """One process, and two with the same global batch, each in a folder of its own.

    In one folder the second would reuse the first one's model: how many machines
    trained it is no part of its key.
    """
    if request.param == "data_parallel":
        pytest.importorskip("jax")
    folder = tmp_path_factory.mktemp("distributed")
    alone, mlruns = folder / "alone", folder / "mlruns"
    finish(start(alone, ENGINES[request.param]))
    printed = finish(*two_workers(mlruns, request.param))
    return mlruns, printed, request.param, alone


def test_two_workers_have_the_curves_and_weights_of_one_process(trained):
    """The batches are the same; their gradients are added up in another order.

    float32 has 7 digits, and 111 steps of Adam, which divides by the size of small
    gradients, let a difference in the last one grow.
    """
    alone, together = model(trained[3], 1), model(trained[0], 2)
    for ours, theirs in zip(together.history, alone.history, strict=True):
        for name in ("loss", "val_loss", "accuracy", "val_accuracy"):
            assert ours[name] == pytest.approx(theirs[name], rel=2e-3, abs=2e-3), name
    import keras

    networks = [
        keras.saving.load_model(m.path / "network.keras") for m in (alone, together)
    ]
    for one, two in zip(*(n.get_weights() for n in networks), strict=True):
        assert np.allclose(one, two, atol=5e-3)


def test_two_workers_keep_the_best_epochs_of_the_average_of_the_weights(tmp_path):
    """Each worker swaps its average in and out; the chief alone writes what is kept."""
    more = ["--trainer.keep-best", "2", "--trainer.ema-momentum", "0.9"]
    finish(start(tmp_path / "alone", "none", more=more))
    finish(*two_workers(tmp_path / "mlruns", "multi_worker", more))
    alone, together = model(tmp_path / "alone", 1), model(tmp_path / "mlruns", 2)
    assert together.properties["best_epochs"] == alone.properties["best_epochs"]
    import keras

    names = sorted(file.name for file in (alone.path / Model.BEST).iterdir())
    assert len(names) == 2
    assert sorted(f.name for f in (together.path / Model.BEST).iterdir()) == names
    for name in (*(f"{Model.BEST}/{name}" for name in names), Model.NETWORK):
        networks = [keras.saving.load_model(m.path / name) for m in (alone, together)]
        for one, two in zip(*(n.get_weights() for n in networks), strict=True):
            assert np.allclose(one, two, atol=5e-3), name


def test_the_chief_alone_keeps_the_model_and_the_run(trained):
    from mlflow import MlflowClient

    mlruns, (chief, worker), *_ = trained
    assert "Trainer done in" in chief
    assert "This run:" in chief
    assert "worker 1 has done its part; the chief goes on" in worker
    assert "This run:" not in worker
    client = MlflowClient(f"sqlite:///{mlruns / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("lenet5_digits").experiment_id
    (run,) = client.search_runs([experiment])
    assert run.data.tags["machines"] == "2"
    assert len(list((mlruns / "store" / "Model").iterdir())) == 1
    assert not list((mlruns / "store" / "incomplete").iterdir())


def ends_as_never_interrupted(before, mlruns, engine, victim, more=()):
    """Kill one of two after their first epoch, in a copy; start both again."""
    shutil.copytree(before, mlruns)
    expected = model(mlruns, 2).record.digest
    shutil.rmtree(mlruns / "store" / "Model")
    processes = two_workers(mlruns, engine, more)
    left, dead = processes[1 - victim], processes[victim]
    try:
        deadline = time.monotonic() + DEADLINE
        while not list(mlruns.glob("store/work/Model-*/epoch-0001.ckpt")):
            assert left.poll() is None, left.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        dead.send_signal(signal.SIGKILL)
        died = time.monotonic()
        dead.communicate()
        _, errors = left.communicate(timeout=DEADLINE)
        assert time.monotonic() - died < 30
    finally:
        left.kill()
        dead.kill()
    assert left.returncode == 1
    lines = errors.splitlines()
    assert len(lines) == 1, errors
    assert "one has ended. Start all of them again" in lines[0]
    printed = finish(*two_workers(mlruns, engine, more))
    assert "resuming after epoch" in printed[0]
    assert model(mlruns, 2).record.digest == expected


def test_a_killed_worker_stops_the_chief_and_a_restart_of_both_goes_on_exactly(
    trained, tmp_path
):
    ends_as_never_interrupted(trained[0], tmp_path / "mlruns", trained[2], victim=1)


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


def test_by_file_a_command_of_one_machine_says_whose_model_it_takes(trained_by_file):
    mlruns, _, engine, _ = trained_by_file
    (said,) = finish(start(mlruns, engine, more=BY_FILE))
    assert "Trainer reused" in said
    assert "2 machines trained the model" in said


def test_by_file_two_workers_have_the_curves_and_weights_of_one_process(
    trained_by_file,
):
    """One process takes both parts of every step, by `fit` alone, without weights.

    The batches are the same; their gradients are added up in another order, so the
    weights differ as above. The training loss of an epoch is the mean of its steps'
    means, where one process weights steps by their 31 or 32 examples; that and float32
    leave the curves less than 2e-3 apart. Batches of three machines, which are others,
    are further away than either.
    """
    mlruns, _, engine, _ = trained_by_file
    alone, others = (union(mlruns, engine, machines) for machines in (2, 3))
    trained = model(mlruns, 2)
    names = ("loss", "val_loss", "accuracy", "val_accuracy")
    ours = np.array([[epoch[name] for epoch in trained.history] for name in names])
    theirs, wrong = (
        np.array([job["history"][name] for name in names]) for job in (alone, others)
    )
    assert np.allclose(ours, theirs, rtol=2e-3, atol=2e-3), np.abs(ours - theirs).max()
    assert not np.allclose(ours, wrong, rtol=2e-3, atol=2e-3)
    import keras

    weights = keras.saving.load_model(trained.path / "network.keras").get_weights()
    apart = [distance(weights, job["weights"]) for job in (alone, others)]
    assert apart[0] < 5e-3 < apart[1], apart


def distance(some, others):
    """The largest difference of two weights."""
    pairs = zip(some, others, strict=True)
    return max(float(np.abs(a - np.asarray(b)).max()) for a, b in pairs)


def union(mlruns, engine, machines):
    """What one process makes of the parts of several machines, put together."""
    backend = "jax" if engine == "data_parallel" else "tensorflow"
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("union_training.py"),
         mlruns / "store", "3", str(machines)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": backend,
                          "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True, text=True, timeout=DEADLINE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("victim", ["chief", "worker"])
def test_by_file_the_other_stops_and_a_restart_of_both_goes_on_exactly(
    trained_by_file, tmp_path, victim
):
    ends_as_never_interrupted(
        trained_by_file[0],
        tmp_path / "mlruns",
        trained_by_file[2],
        victim=["chief", "worker"].index(victim),
        more=BY_FILE,
    )


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
