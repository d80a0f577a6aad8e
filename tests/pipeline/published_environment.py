"""What a pushed model's own requirements.txt brings, and an answer with that alone."""

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

ASK = """
import json, sys
import mlflow.pyfunc
import numpy as np
model = mlflow.pyfunc.load_model(sys.argv[1])
print(json.dumps(model.predict(np.array(json.load(sys.stdin), "uint8")).tolist()))
"""


def published(mlruns: Path) -> Path:
    """The folder of the registered model, as MLflow keeps it."""
    (description,) = mlruns.rglob("MLmodel")
    return description.parent


def link_packages(model: Path, folder: Path) -> set[str]:
    """Put the packages of a model's list, and what they need, into one folder.

    Returns:
        Their names.
    """
    folder.mkdir()
    waiting = [
        Requirement(line)
        for line in (model / "requirements.txt").read_text().splitlines()
    ]
    known: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted = waiting.pop()
        extras = frozenset(wanted.extras)
        name = canonicalize_name(wanted.name)
        if (name, extras) in known:
            continue
        known.add((name, extras))
        for line in importlib.metadata.requires(name) or []:
            needed = Requirement(line)
            asked = [{"extra": extra} for extra in (*extras, "")]
            if needed.marker is None or any(map(needed.marker.evaluate, asked)):
                waiting.append(needed)
    names = {name for name, _ in known}
    for name in names - {"dlkeras"}:
        for file in importlib.metadata.files(name) or []:
            top = file.parts[0]
            if top != ".." and not (folder / top).exists():
                place = file.locate().parents[len(file.parts) - 2] / ""
                whole = place if len(file.parts) > 1 else Path(file.locate())
                (folder / top).symlink_to(whole)
    (folder / "dlkeras").symlink_to(ROOT / "dlkeras")
    return names


def answer(python: Path, model: Path, question: list) -> list:
    """Load a model with MLflow in a fresh process, and ask it.

    Args:
        python: the interpreter.
        model: a folder in MLflow's format.
        question: raw pixels, a batch.

    Returns:
        The probabilities.
    """
    done = subprocess.run(
        [python, "-I", "-c", ASK, model],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        cwd=model,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def build_environment(model: Path, folder: Path) -> Path:
    """Make a virtual environment of a model's own list; return its interpreter."""
    run = [sys.executable, "-m"]
    wheel = ["pip", "wheel", "--no-deps", "--no-build-isolation", "-w", folder, ROOT]
    subprocess.run([*run, *wheel], check=True, capture_output=True)
    subprocess.run([*run, "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    listed = [model / "requirements.txt", "--find-links", folder]
    subprocess.run([python, "-m", "pip", "install", "-r", *listed], check=True)
    return python
