"""Machines meet before their engine starts, where something is left to train."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from dlkeras.pipeline.engine.execution import Job
from dlkeras.pipeline.graph import standard
from dlkeras.pipeline.machines import meeting
from dlkeras.pipeline.machines.cluster import Cluster
from dlkeras.pipeline.machines.meeting import meet, training_is_left
from dlkeras.pipeline.machines.worker_watch import native_wait
from dlkeras.pipeline.store.errors import InputError, WorkerLostError
from dlkeras.pipeline.store.publishing import Store
from tests.conftest import ROOT, SCRIPT
from tests.ports import addresses


def test_the_store_says_whether_there_is_something_left_to_train(
    tiny_config, prepared, monkeypatch, silent
):
    """Prepared up to the transform; an engine is for a run that comes to train."""
    monkeypatch.delenv("TF_CONFIG", raising=False)
    store = Store(tiny_config.mlruns / "store")

    def left(until=None, force=()):
        job = Job(tiny_config, standard, store, silent, force, until)
        return training_is_left(job)

    assert left() and left("Trainer") and left("Pusher")
    assert not left("Transform") and not left("Tuner")
    assert not left("ExampleGen", force=["ExampleGen"])
    assert left("Trainer", force=["ExampleGen"])


def test_machines_wait_for_each_other_and_go_on_together():
    places = addresses(3)
    met, all_met = [], threading.Event()

    def come(index):
        met.append(meet(Cluster(tuple(places), index), print, lambda: True))
        # Who has met leaves the address to its engine, which listens there.
        with meeting.listening(places[index]):
            all_met.wait(30)

    machines = [threading.Thread(target=come, args=(i,)) for i in range(3)]
    for machine in machines[:2]:
        machine.start()
    time.sleep(1.2)
    assert not met
    machines[2].start()
    deadline = time.monotonic() + 20
    while len(met) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    all_met.set()
    for machine in machines:
        machine.join()
    assert met == [True] * 3


def test_a_machine_that_does_not_come_is_named_and_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(meeting, "FIRST_SAY_SECONDS", 0.1)
    monkeypatch.setattr(meeting, "PATIENCE_SECONDS", 0.8)
    here, other = addresses()
    said = []
    with pytest.raises(WorkerLostError, match=f"expected the machines {other} of TF_"):
        meet(Cluster((here, other), 0), said.append, lambda: True)
    assert said == [f"waiting for {other}, to train together"]


def test_a_machine_that_waits_goes_on_alone_where_nothing_is_left(monkeypatch):
    monkeypatch.setattr(meeting, "FIRST_SAY_SECONDS", 0.1)
    assert not meet(Cluster(tuple(addresses()), 1), print, lambda: False)


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("", 0)) as server:
        here = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(
            InputError, match=f"TF_CONFIG: expected a free port.*{here}"
        ):
            meet(Cluster((here, "127.0.0.1:1"), 0), print, lambda: True)


# A wait that keeps Python's lock, as TensorFlow's engine does.
HELD = """
import ctypes, signal, sys
from dlkeras.pipeline.machines.worker_watch import native_wait
signal.signal(signal.SIGTERM, signal.default_int_handler)
with native_wait(float(sys.argv[1])):
    print("waiting", flush=True)
    while True:
        ctypes.PyDLL(None).sleep(600)
"""


@pytest.mark.parametrize(("seconds", "exit_code"), [("600", -15), ("0.2", 1)])
def test_a_wait_in_native_code_hears_a_signal_and_is_bounded(seconds, exit_code):
    process = subprocess.Popen(
        [sys.executable, "-c", HELD, seconds], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout.readline() == "waiting\n"
    if exit_code == -signal.SIGTERM:
        process.terminate()
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (exit_code, "")


def test_a_signal_is_python_s_again_after_a_native_wait():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with native_wait(600):
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def chief(mlruns, workers):
    place = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": 0}}
    return subprocess.Popen(
        [sys.executable, SCRIPT, "--mlruns", mlruns, "--trainer.distribution",
         "multi_worker"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "",
                          "TF_CONFIG": json.dumps(place)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.job
@pytest.mark.parametrize("other_listens", [False, True])
def test_a_chief_that_waits_hears_that_it_shall_stop(tmp_path, other_listens):
    """In Python, or in the engine, which waits for one that never speaks."""
    workers = addresses()
    with contextlib.ExitStack() as stack:
        if other_listens:
            stack.enter_context(meeting.listening(workers[1]))
        process = chief(tmp_path / "mlruns", workers)
        stack.callback(process.communicate)
        stack.callback(process.kill)
        line = process.stdout.readline()
        if other_listens:
            assert line.startswith("all 2 machines are there; their engine starts")
            while not meeting.answers(workers[0]):  # the engine listens there now
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.1)
        else:
            assert line == f"waiting for {workers[1]}, to train together\n"
        process.send_signal(signal.SIGINT if other_listens else signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == (-signal.SIGINT if other_listens else 130), errors
    said = "" if other_listens else "interrupted before a run began"
    assert errors.strip() == said


ENGINE_ALONE = """
from dlkeras.pipeline.machines import distribution
distribution.ENGINE_SECONDS = 6.0
distribution.start_together(lambda line: print(line, flush=True), lambda: True)
"""


@pytest.mark.job
def test_an_engine_that_waits_for_ever_ends_in_its_time_though_it_keeps_sigterm():
    """TensorFlow's own, for a machine that listens and never speaks."""
    workers = addresses()
    place = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": 0}}
    with meeting.listening(workers[1]):
        process = subprocess.Popen(
            [sys.executable, "-c", ENGINE_ALONE], stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "",
                              "TF_CONFIG": json.dumps(place)},
        )  # fmt: skip
        assert "their engine starts within 6 s" in process.stdout.readline()
        while not meeting.answers(workers[0]) and process.poll() is None:
            time.sleep(0.1)
        process.terminate()
        process.communicate(timeout=100)
    # Early on, before TensorFlow takes it, the signal itself ends the process.
    assert process.returncode in (1, -signal.SIGTERM)


WITH_ENGINE = """
import os, signal
signal.signal(signal.SIGTERM, signal.default_int_handler)
from dlkeras.pipeline.machines import distribution
distribution.strategy("multi_worker")
try:
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()
except KeyboardInterrupt:
    os._exit(7)
"""


@pytest.mark.job
def test_sigterm_is_heard_where_tensorflow_s_engine_has_started():
    """The engine takes the signal for itself, and Python would not hear it any more."""
    (here,) = addresses(1)
    place = {"cluster": {"worker": [here]}, "task": {"type": "worker", "index": 0}}
    done = subprocess.run(
        [sys.executable, "-c", WITH_ENGINE],
        capture_output=True, text=True, timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "",
                          "TF_CONFIG": json.dumps(place)},
    )  # fmt: skip
    assert done.returncode == 7, done.stderr


def test_a_machine_that_waits_is_seen_however_often_it_is_asked():
    """Nobody accepted; a queue of 128 was full after a minute of asking."""
    (place,) = addresses(1)
    with meeting.listening(place):
        assert all(meeting.answers(place) for _ in range(300))
    assert not meeting.answers(place)
    with meeting.listening(place):  # the address is free again at once
        assert meeting.answers(place)
