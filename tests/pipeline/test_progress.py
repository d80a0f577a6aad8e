"""What a run shows: whole paths in any width, nothing where nothing is wanted."""

import io
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from rich.console import Console

from dlkeras.pipeline.engine.progress import Progress
from tests.conftest import SCRIPT


def step(path: str) -> SimpleNamespace:
    return SimpleNamespace(
        component="ExampleValidator",
        seconds=1.25,
        cached=True,
        artifact=SimpleNamespace(path=Path(path)),
    )


def test_a_table_shows_whole_names_and_paths_on_a_narrow_console():
    path = "/a/folder with a [long] name/" + "x" * 120 + "/store/Examples/0123"
    shown = io.StringIO()
    Progress(Console(file=shown, width=40)).table([step(path)])
    header, row = (line for line in shown.getvalue().splitlines() if line.strip())
    assert header.split() == ["Component", "Time", "Artifact"]
    assert row.split(maxsplit=4) == ["ExampleValidator", "1.2", "s", "cached", path]


def test_a_quiet_console_shows_no_table():
    shown = io.StringIO()
    Progress(Console(file=shown, quiet=True)).table([step("path")])
    assert shown.getvalue() == ""


def test_names_in_brackets_are_no_markup():
    shown = io.StringIO()
    progress = Progress(Console(file=shown, width=200))
    progress.say("[bold]x[/bold]")
    progress.end("Trainer", True, 0.0, Path("[red]/y"))
    assert shown.getvalue() == "[bold]x[/bold]\nTrainer reused [red]/y\n"


def test_keras_shows_a_bar_on_a_terminal_and_lines_in_a_log():
    assert Progress(Console(force_terminal=True)).keras_verbose == 1
    assert Progress(Console(file=io.StringIO())).keras_verbose == 2


def test_a_second_job_whose_networks_are_known_to_be_right_shows_no_line_of_c(tmp_path):
    """Nobody has imported TensorFlow in silence before its first component does."""
    environment = {n: v for n, v in os.environ.items() if not n.startswith("TF_CPP")}
    jobs = ["Transform"], ["Tuner", "--tuner.max-trials", "1", "--tuner.epochs", "1"]
    for job in jobs:
        done = subprocess.run(
            [sys.executable, SCRIPT, "--mlruns", tmp_path, "--until", *job],
            env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert "Transform reused" in done.stdout
    assert "Tuner done" in done.stdout
    assert done.stderr == ""
