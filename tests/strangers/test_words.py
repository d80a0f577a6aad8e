"""What a script's author is told of a configuration that cannot be."""

import subprocess
import sys
from pathlib import Path

import pytest

from dlkeras.pipeline import ExampleGenConfig, PipelineConfig
from tests.conftest import ROOT


def test_every_path_may_be_a_text():
    config = PipelineConfig.model_validate(
        {"mlruns": "runs", "example_gen": {"image_folder": "photos/"}}
    )
    assert config.mlruns == Path("runs")
    assert config.example_gen == ExampleGenConfig(image_folder=Path("photos"))
    assert PipelineConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ("image_folder=5", "image_folder: expected a path. Received: 5"),
        ("npz='a', manifest='b'", "at most one source must be given"),
    ],
)
def test_a_wrong_configuration_of_a_script_ends_in_one_line(fields, line, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from dlkeras.pipeline import ExampleGenConfig\n"
        f"CONFIG = ExampleGenConfig({fields})\n"
    )
    done = subprocess.run(
        [sys.executable, script], env={"PYTHONPATH": str(ROOT)}, text=True,
        capture_output=True,
    )  # fmt: skip
    assert done.returncode == 1
    (said,) = done.stderr.splitlines()
    assert said.startswith(f"error: ExampleGenConfig: {line}")
