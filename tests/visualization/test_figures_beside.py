"""Figures of a training's epochs, drawn by a process of their own."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.ticker import FuncFormatter
from PIL import Image

from dlkeras import visualization as show
from dlkeras.visualization.figure import new_figure, save_figure
from dlkeras.visualization.look import saved_beside
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


def drawn():
    """A drawing, a gallery, and a figure that cannot be handed to a process."""
    pictures = np.linspace(0, 1, 4 * 64).reshape(4, 8, 8, 1)
    curves = show.learning_curves([{"loss": 2.0}, {"loss": 1.0}])
    closed, axes = new_figure(4, 3)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, place: f"{x:.1f} s"))
    grid = show.image_grid(pictures, list("abcd"), title="Bäume")
    return {"curves": curves, "grid": grid, "closed": closed}


@pytest.mark.parametrize("style", [{}, {"savefig.facecolor": "#ddeeff"}])
def test_figures_of_the_helper_are_those_of_one_process_byte_for_byte(tmp_path, style):
    alone, beside = tmp_path / "alone", tmp_path / "beside"
    alone.mkdir(), beside.mkdir()
    with rc_context(style):
        for name, figure in drawn().items():
            save_figure(figure, alone / f"{name}.png")
        with saved_beside.figures_beside():
            saved_beside.begin()
            helper = saved_beside._writers.get()[0]
            for name, figure in drawn().items():
                save_figure(figure, beside / f"{name}.png")
            while helper._tasks:  # all of them by the helper
                time.sleep(0.01)
            assert helper._idle.wait(60)
            assert [png.name for _, png in helper._failed] == ["closed.png"]
            saved_beside.all_saved()
    files = sorted(file.name for file in alone.iterdir())
    assert files == sorted(file.name for file in beside.iterdir())
    for name in files:
        assert (alone / name).read_bytes() == (beside / name).read_bytes()


def test_the_helper_draws_what_is_told_by_its_function_byte_for_byte(tmp_path):
    told = {
        "curves": (show.learning_curves, [{"loss": 2.0}, {"loss": 1.0}]),
        "grid": (
            show.image_grid,
            np.linspace(0, 1, 256).reshape(4, 8, 8, 1),
            list("abcd"),
        ),
    }
    alone, beside = tmp_path / "alone", tmp_path / "beside"
    alone.mkdir(), beside.mkdir()
    for name, call in told.items():
        saved_beside.draw_figure(alone / f"{name}.png", *call)
    with saved_beside.figures_beside():
        saved_beside.begin()
        helper = saved_beside._writers.get()[0]
        for name, call in told.items():
            saved_beside.draw_figure(beside / f"{name}.png", *call)
        while helper._tasks:  # all of them by the helper
            time.sleep(0.01)
        assert helper._idle.wait(60)
        assert not helper._failed
    for name in ("curves.png", "curves.svg", "grid.png"):
        assert (alone / name).read_bytes() == (beside / name).read_bytes()


def test_figures_are_there_though_the_helper_dies(tmp_path):
    with saved_beside.figures_beside():
        saved_beside.begin()
        save_figure(drawn()["grid"], tmp_path / "first.png")
        saved_beside._writers.get()[0]._process.kill()
        for name, figure in drawn().items():
            save_figure(figure, tmp_path / f"{name}.png")
        saved_beside.all_saved()
        names = {"first.png", "grid.png", "curves.png", "curves.svg", "closed.png"}
        assert names <= {file.name for file in tmp_path.iterdir()}
        for file in tmp_path.glob("*.png"):
            Image.open(file).load()


def test_nothing_is_written_any_more_once_its_maker_has_failed(tmp_path):
    """The folder is removed then."""
    with saved_beside.figures_beside():
        with pytest.raises(ZeroDivisionError), saved_beside.saved_at_the_end():
            figures = [drawn()["grid"] for _ in range(4)]
            for number, figure in enumerate(figures):
                save_figure(figure, tmp_path / f"{number}.png")
            raise ZeroDivisionError
        before = {file.name for file in tmp_path.iterdir()}
        assert len(before) < 4
        with saved_beside.saved_at_the_end():
            save_figure(figures[0], tmp_path / "again.png")
    assert {file.name for file in tmp_path.iterdir()} == before | {"again.png"}
