"""Two real processes train as one does, each on its own shard files."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dlkeras.pipeline.machines import distribution, multi_worker_fit
from dlkeras.pipeline.store.errors import InputError
from tests.conftest import ROOT
from tests.ports import addresses

pytestmark = pytest.mark.job

SCRIPT = Path(__file__).with_name("worker_training.py")
EPOCHS = 4


def start(*arguments, **more):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)  # JAX sets it, which Keras imports
    return subprocess.Popen(
        [sys.executable, "-X", "faulthandler", SCRIPT, *map(str, arguments)],
        env=environment | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answers(*processes):
    """What the processes printed; what each was at if one of them does not end."""
    deadline = time.monotonic() + 300
    # All pipes are read at once: a full one would stop its process, and so the others.
    with ThreadPoolExecutor(len(processes)) as pool:
        read = [pool.submit(process.communicate) for process in processes]
        while any(process.poll() is None for process in processes):
            failed = any(process.poll() for process in processes)
            if failed or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGABRT)  # faulthandler shows its stack
    ended = [reading.result() for reading in read]
    codes = [process.returncode for process in processes]
    assert codes == [0] * len(codes), (codes, [errors[-4000:] for _, errors in ended])
    return [json.loads(output.splitlines()[-1]) for output, _ in ended]


def two_workers(folder, **environment):
    workers = addresses()
    return [
        start(
            "multi_worker",
            folder,
            EPOCHS,
            TF_CONFIG=json.dumps(
                {
                    "cluster": {"worker": workers},
                    "task": {"type": "worker", "index": index},
                }
            ),
            **environment,
        )
        for index in (0, 1)
    ]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    (answer,) = answers(start("alone", tmp_path_factory.mktemp("alone"), EPOCHS))
    return answer


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    return answers(*two_workers(folder)), folder


def test_two_workers_have_the_loss_curve_of_one_process(alone, together):
    """Sums of gradients in another order: float32 differs in its last digits."""
    for worker in together[0]:
        assert np.allclose(worker["losses"], alone["losses"], rtol=1e-5)
        for ours, theirs in zip(worker["weights"], alone["weights"], strict=True):
            assert np.allclose(ours, theirs, atol=1e-5)
    assert together[0][0]["digest"] == together[0][1]["digest"]


def test_every_example_is_seen_once_an_epoch_and_by_one_worker(together):
    one, two = ([i for i in worker["seen"]] for worker in together[0])
    # What stands ready for a step that does not come belongs to no epoch.
    one, two = one[: 24 * EPOCHS], two[: 24 * EPOCHS]
    assert sorted(one) == sorted(list(range(24)) * EPOCHS)
    assert sorted(two) == sorted(list(range(24, 48)) * EPOCHS)


def test_the_chief_alone_writes_checkpoints(together):
    names = sorted(file.name for file in together[1].iterdir())
    assert names == ["epoch-0003.ckpt", "epoch-0004.ckpt"]


def test_a_dead_worker_is_told_in_one_line(tmp_path):
    chief, worker = two_workers(tmp_path, SECONDS_PER_EPOCH="8")
    try:
        deadline = time.monotonic() + 300
        while not list(tmp_path.glob("epoch-*.ckpt")):
            assert chief.poll() is None, chief.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        worker.kill()
        died = time.monotonic()
        _, errors = chief.communicate(timeout=120)
        assert time.monotonic() - died < 30
    finally:
        chief.kill()
        worker.communicate()
    assert chief.returncode == 1
    assert len(errors.splitlines()) == 1, errors
    assert errors.startswith(
        "error: expected an answer of the other workers 127.0.0.1:"
    )


WATCHED = """
import sys, time
from dlkeras.pipeline.machines import worker_watch
with worker_watch.watch(sys.argv[1:], lambda address: print(address, flush=True)):
    print("watching", flush=True)
    time.sleep(600)
"""
LISTENING = """
import socket, sys, time
server = socket.create_server(("127.0.0.1", 0))
print("127.0.0.1:%d" % server.getsockname()[1], flush=True)
time.sleep(600)
"""


def test_a_stopped_process_is_there_and_a_killed_one_has_ended():
    run = [sys.executable, "-c"]
    options = {"stdout": subprocess.PIPE, "text": True}
    options["env"] = os.environ | {"PYTHONPATH": str(ROOT)}
    others = [subprocess.Popen([*run, LISTENING], **options) for _ in range(2)]
    listening = [other.stdout.readline().strip() for other in others]
    (nobody,) = addresses(1)  # that has never been there is not known to have ended
    watch = subprocess.Popen([*run, WATCHED, nobody, *listening], **options)
    try:
        assert watch.stdout.readline() == "watching\n"
        others[0].send_signal(signal.SIGSTOP)
        time.sleep(10)  # ten looks
        others[1].kill()
        assert watch.stdout.readline() == listening[1] + "\n"
    finally:
        for process in (*others, watch):
            process.kill()
            process.communicate()


def test_the_mending_turns_itself_off_where_keras_is_mended(monkeypatch):
    from keras.src.backend.tensorflow import trainer

    if not multi_worker_fit.needs_mending():
        pytest.skip("this Keras is mended")

    def mended(values, strategy, reduction):
        return values

    monkeypatch.setattr(trainer, "reduce_per_replica", mended)
    assert not multi_worker_fit.needs_mending()
    assert multi_worker_fit.patch_keras_20585() is False
    assert trainer.reduce_per_replica is mended


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
    ],
)
def test_a_tf_config_that_is_no_cluster_is_named(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match="TF_CONFIG: expected"):
        distribution.cluster()
