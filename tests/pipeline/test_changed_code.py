"""A changed function makes anew exactly what depends on it, in a whole job."""

import json
import os
import shutil

import pytest

from tests.conftest import SCRIPT
from tests.warm_process import ROOT, run_python

pytestmark = [pytest.mark.job, pytest.mark.timeout(900)]

FLAGS = (
    "--no-tuner", "--trainer.epochs", "1", "--no-trainer.monitor",
    "--evaluator.min-accuracy", "0", "--evaluator.max-accuracy-drop", "1",
    "--no-evaluator.refuse-trivial",
    "--evaluator.robustness-images", "0", "--evaluator.bootstrap-samples", "100",
    "--evaluator.latency-repetitions", "2",
)  # fmt: skip
# LeNet-5 by hand: C1 and C3 (all maps connected), C5, and the dense F6 and output.
CONVOLUTIONS = 28 * 28 * 25 * 6 + 10 * 10 * 25 * 6 * 16 + 25 * 16 * 120
DENSE = 120 * 84 + 84 * 10


@pytest.fixture
def package(tmp_path):
    """A copy of the package, which the job imports."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "dlkeras", tmp_path / "copy" / "dlkeras", ignore=ignored)
    return tmp_path / "copy" / "dlkeras"


def test_a_changed_count_is_evaluated_anew_and_nothing_is_trained(package, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(package.parent)}
    mlruns = tmp_path / "mlruns"

    def made():
        done = run_python(SCRIPT, "--mlruns", mlruns, *FLAGS, env=environment)
        assert done.returncode in (0, 3), done.stderr
        lines = done.stdout.splitlines()
        return {line.split()[0] for line in lines if " done in " in line}

    def counted():
        newest = max(
            (mlruns / "store" / "Evaluation").glob("*/metrics.json"),
            key=lambda path: path.stat().st_mtime,
        )
        return json.loads(newest.read_text())["cost"]["multiply_adds"]

    assert {"ExampleGen", "Trainer", "Evaluator"} <= made()
    assert counted() == CONVOLUTIONS + DENSE == 416_520

    costs = package / "architectures" / "costs.py"
    costs.write_text(costs.read_text() + "\n\n# A comment changes nothing.\n")
    assert made() == set()

    text = costs.read_text()
    dense = "isinstance(layer, keras.layers.Dense):\n        return "
    assert dense in text
    costs.write_text(text.replace(dense, dense + "0 * "))
    assert "ExampleGen" not in (again := made())
    assert "Trainer" not in again
    assert "Evaluator" in again
    assert counted() == CONVOLUTIONS

    why = run_python(
        "-m", "dlkeras.cli", "why", "last", "Evaluator", "--mlruns", mlruns,
        env=environment,
    )  # fmt: skip
    (line,) = [line for line in why.stdout.splitlines() if "code of" in line]
    assert "dlkeras.architectures.costs:_of_weights" in line
