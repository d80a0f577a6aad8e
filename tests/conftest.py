"""Fixtures that several test files use: a finished main job, prepared examples."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

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


def run_script(
    mlruns: Path, *flags: str, cwd: Path = ROOT, script: Path = SCRIPT
) -> Job:
    """Run a pipeline script as a user does, without a terminal."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("MLFLOW_TRACKING_URI", "TF_CPP_MIN_LOG_LEVEL")
    }
    done = subprocess.run(
        [sys.executable, str(script), "--mlruns", str(mlruns), *flags],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=800,
    )
    return Job(mlruns, done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def script_runner():
    """The function that runs a pipeline script."""
    return run_script


@pytest.fixture(scope="session")
def main_job(tmp_path_factory) -> Job:
    """The main job with its defaults, in a folder with a space in its name."""
    return run_script(tmp_path_factory.mktemp("main job") / "ml runs")


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

    from dlkeras.pipeline.progress import Progress

    return Progress(Console(quiet=True))
