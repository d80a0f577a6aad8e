"""Fixtures that several test files use: a finished main job, prepared examples."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.warm_process import run_python

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "pipelines" / "lenet5_digits.py"


@dataclass
class Job:
    """A pipeline script that ran in a process of its own."""

    mlruns: Path
    exit_code: int
    stdout: str
    stderr: str

    @property
    def run_id(self) -> str:
        return re.search(r"/runs/([0-9a-f]{32})", self.stdout).group(1)


def user_environment() -> dict[str, str]:
    """What a user's shell has: nothing of the tests' own settings."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ("MLFLOW_TRACKING_URI", "TF_CPP_MIN_LOG_LEVEL")
    }


def run_script(
    mlruns: Path, *flags: str, cwd: Path = ROOT, script: Path = SCRIPT
) -> Job:
    """Run a pipeline script as a user does, in a process that is warm already."""
    done = run_python(
        script, "--mlruns", mlruns, *flags, cwd=cwd, env=user_environment(), timeout=800
    )
    return Job(mlruns, done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def script_runner() -> Callable[..., Job]:
    """The function that runs a pipeline script."""
    return run_script


@pytest.fixture(scope="session")
def main_job(tmp_path_factory) -> Job:
    """The main job with its defaults, in a folder with a space in its name.

    `MAIN_JOB` may name the folder of one that has run already, with its output in
    `stdout` and `stderr` beside `ml runs`: tests work on a copy of it.
    """
    mlruns = tmp_path_factory.mktemp("main job") / "ml runs"
    if prepared := os.environ.get("MAIN_JOB"):
        from dlkeras.pipeline.tracking.database.connection import connect

        shutil.copytree(Path(prepared) / "ml runs", mlruns)
        connect(None, mlruns)  # which finds MLflow's files in the copy
        said = [(Path(prepared) / name).read_text() for name in ("stdout", "stderr")]
        return Job(mlruns, 0, *said)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--mlruns", str(mlruns)],
        cwd=ROOT,
        env=user_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=800,
    )
    return Job(mlruns, done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory):
    """A job of seconds: digits, two epochs, no search."""
    from dlkeras.pipeline import PipelineConfig, TrainerConfig, TunerConfig

    return PipelineConfig(
        name="tiny",
        mlruns=tmp_path_factory.mktemp("tiny") / "mlruns",
        tuner=TunerConfig(enabled=False),
        trainer=TrainerConfig(epochs=2),
    )


@pytest.fixture(scope="session")
def prepared(tiny_config):
    """The artifacts of the tiny job up to the transform, by type."""
    from dlkeras.pipeline import run

    return run(tiny_config, until="Transform").artifacts


@pytest.fixture
def silent():
    """Progress that shows nothing."""
    from rich.console import Console

    from dlkeras.pipeline.engine.progress import Progress

    return Progress(Console(quiet=True))
