"""Figures of a training's epochs, drawn by a process of their own."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from dlkeras.visualization.training.beside import DrawingProcess, draw_epoch, folder_of

LAYERS, STEPS = ("C1", "C3", "Out"), 40


@pytest.fixture
def measured():
    """What monitors of 40 steps in four epochs have."""
    random = np.random.default_rng(0)
    shares = {
        name: random.uniform(0, 1, (4, 2))
        for name in ("mean", "std", "dead_share", "saturated_share")
    }
    return {
        "layers": np.array(LAYERS),
        "steps": np.arange(STEPS),
        "epochs": np.arange(STEPS) // 10,
        "gradient_norm": random.lognormal(size=(STEPS, len(LAYERS))),
        "update_ratio": random.lognormal(-7, size=(STEPS, len(LAYERS))),
        "probed_layers": np.array(["C1", "C3"]),
        "probed_epochs": np.arange(1, 5),
        **shares,
    }


def content(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_they_are_the_same_bytes_as_those_drawn_here(measured, tmp_path):
    drawing = DrawingProcess(tmp_path / "there")
    started = time.perf_counter()
    for epoch, before in ((1, 0), (2, 1), (4, 2)):
        drawing.ask(epoch, before, measured)
    assert time.perf_counter() - started < 1  # nobody waited for a picture
    for epoch, before in ((1, 0), (2, 1), (4, 2)):
        there = drawing.wait(epoch)
        assert there == folder_of(tmp_path / "there", epoch)
        here = draw_epoch(tmp_path / "here", epoch, before, measured)
        assert content(there) == content(here)
        assert sorted(content(here)) == [
            "activations.png",
            "gradient_flow.png",
            "gradient_map.png",
            "update_ratios.png",
        ]
    drawing.close()


def test_a_process_that_was_killed_is_drawn_for(measured, tmp_path):
    drawing = DrawingProcess(tmp_path)
    drawing.ask(1, 0, measured)
    os.kill(drawing._process.pid, signal.SIGKILL)
    drawing.ask(2, 1, measured)
    assert len(content(drawing.wait(1))) == len(content(drawing.wait(2))) == 4
    assert not [p for p in tmp_path.iterdir() if p.suffix == ".npz"]
    drawing.close()


STARTED = """
import os, sys, numpy as np
from pathlib import Path
from dlkeras.visualization.training.beside import DrawingProcess
assert not {"matplotlib", "keras"} & set(sys.modules)
drawing = DrawingProcess(Path(sys.argv[1]))
none = {"layers": np.array([], "U"), "steps": np.array([]), "epochs": np.array([])}
none |= {"probed_layers": np.array([], "U"), "probed_epochs": np.array([], int)}
drawing.ask(1, 0, none)
print(drawing._process.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def test_it_ends_with_the_process_that_started_it(tmp_path):
    started = subprocess.run(
        [sys.executable, "-c", STARTED, tmp_path], capture_output=True, text=True
    )
    assert started.returncode == -signal.SIGKILL, started.stderr
    pid, deadline = int(started.stdout), time.monotonic() + 60
    while os.path.exists(f"/proc/{pid}"):
        with open(f"/proc/{pid}/stat") as file:
            if file.read().rpartition(")")[2].split()[0] == "Z":
                break  # ended, and nobody here to wait for it
        assert time.monotonic() < deadline
        time.sleep(0.05)
