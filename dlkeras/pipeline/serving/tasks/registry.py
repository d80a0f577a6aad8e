"""The tasks by name, and the file that says which one a pushed model has."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dlkeras.pipeline.serving.tasks.classification import Classification
from dlkeras.pipeline.serving.tasks.multilabel import Multilabel
from dlkeras.pipeline.serving.tasks.regression import Regression
from dlkeras.pipeline.serving.tasks.task import Task
from dlkeras.pipeline.store.errors import InputError
from dlkeras.untrusted.gate import UntrustedFileError, read_regular

# Beside a pushed model whose answers are no probabilities of one class.
TASK_FILE = "task.json"
MAX_BYTES = 2**16
TASKS: dict[str, Callable[[], Task]] = {
    "classification": Classification,
    "multilabel": Multilabel,
    "regression": Regression,
}


def task_of(name: str) -> Task:
    """The task of a name; older artifacts name none: classification."""
    return TASKS.get(name, Classification)()


def answer_scale(properties: Mapping[str, Any]) -> float:
    """How large answers are, of the properties of examples: 1 for probabilities."""
    target = properties.get("target", {"mean": 0.0, "std": 0.0})
    return max(1.0, abs(target["mean"]) + target["std"])


def read_task(folder: Path) -> dict[str, Any]:
    """Read the task beside a pushed model's file.

    Returns:
        `task`, and of several labels `threshold`.

    Raises:
        InputError: the file says something else.
    """
    file = folder / TASK_FILE
    if not file.is_file():
        return {"task": "classification"}
    expected = f"MODEL: expected a task in {file}"
    try:
        found = json.loads(read_regular(file, MAX_BYTES))
    except UntrustedFileError as error:
        raise InputError(f"{expected}; {error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{expected}; it is not JSON") from error
    known = isinstance(found, dict) and found.get("task") in list(TASKS)
    if not known or not isinstance(found.get("threshold", 0.5), float):
        raise InputError(f"{expected}; it holds something else")
    return found
