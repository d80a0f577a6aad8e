"""What components ask of a task when a model is judged and served."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dlkeras.pipeline.artifacts.types import Evaluation
from dlkeras.pipeline.configuration.config import EvaluatorConfig
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import Draft
from dlkeras.untrusted.gate import UntrustedFileError, read_regular

# Of two equal decimal fractions one may be the lower by its rounding.
ROUNDING = 1e-12
# Beside a pushed model whose answers are no probabilities of one class.
TASK_FILE = "task.json"
MAX_BYTES = 2**16
TASKS = ("classification", "multilabel", "regression")

# Labels of the test examples, and what the network answers.
Answered = tuple[np.ndarray, np.ndarray]
# A rule of the blessing: name, bound, value, whether it is kept, and words.
Add = Callable[[str, Any, Any, bool, str], None]
# Gives the images of the test split at these positions.
Pictures = Callable[[set[int]], Mapping[int, np.ndarray]]


class Task(Protocol):
    """How models of one task are judged, shown, blessed and asked.

    Attributes:
        name: the task.
        score_name: what the blessing compares, the name of a metric.
        output: name of the output of a SavedModel.
        not_there: what of a classifier's judgement there is not, in a line.
    """

    name: str
    score_name: str
    output: str
    not_there: str

    def metrics(
        self,
        config: EvaluatorConfig,
        test: Answered,
        validation: Callable[[], Answered],
        labels: tuple[str, ...],
    ) -> dict[str, Any]:
        """Measure a model, and how sure the measures are."""
        ...

    def scores(self, config: EvaluatorConfig, test: Answered) -> np.ndarray:
        """A number for each example, whose mean a corruption of the images changes."""
        ...

    def slices(self, config: EvaluatorConfig, test: Answered, table: Any) -> Any:
        """The score of parts of the examples, by column and slice."""
        ...

    def predictions(
        self, ids: list[str], test: Answered, labels: tuple[str, ...], threshold: float
    ) -> Any:
        """A row for each example: id, label, prediction, and more."""
        ...

    def draw(
        self,
        config: EvaluatorConfig,
        output: Draft,
        metrics: Mapping[str, Any],
        test: Answered,
        labels: tuple[str, ...],
        pictures: Pictures,
    ) -> None:
        """Draw figures and galleries."""
        ...

    def properties(
        self, metrics: Mapping[str, Any], config: EvaluatorConfig, test: Answered
    ) -> dict[str, Any]:
        """What is told of an evaluation at once."""
        ...

    def least(
        self, config: EvaluatorConfig, metrics: Mapping[str, Any], add: Add
    ) -> None:
        """The rules of the blessing that a model must keep by itself."""
        ...

    def compare(
        self,
        config: EvaluatorConfig,
        evaluation: Evaluation,
        baseline: Evaluation,
        add: Add,
    ) -> None:
        """The rules for a model beside the last blessed one."""
        ...

    def result(self, p: Mapping[str, Any]) -> str:
        """A line for the terminal, of an evaluation's properties."""
        ...

    def note(self, p: Mapping[str, Any]) -> str:
        """A line for the run's page, of an evaluation's properties."""
        ...

    def charts(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        """The metrics that MLflow shows."""
        ...

    def use(self, labels: tuple[str, ...], labels_file: str, threshold: Any) -> str:
        """What a model card says of the output."""
        ...

    def limits(self, size: str) -> str:
        """What a model card says of the use."""
        ...

    def measured(self, metrics: Mapping[str, Any]) -> str:
        """What a model card says of the test."""
        ...

    def by_class(self, metrics: Mapping[str, Any]) -> dict[str, list]:
        """A table with a row for each class; empty where there are none."""
        ...

    def answer(
        self, values: np.ndarray, labels: list[str] | None, threshold: float
    ) -> dict[str, Any]:
        """What is answered for an image."""
        ...

    def answer_in_words(self, answer: Mapping[str, Any]) -> str:
        """The same in a line."""
        ...


def task_of(name: str) -> Task:
    """The task of a name."""
    if name == "regression":
        from dlkeras.pipeline.serving.tasks.regression import Regression

        return Regression()
    if name == "multilabel":
        from dlkeras.pipeline.serving.tasks.multilabel import Multilabel

        return Multilabel()
    from dlkeras.pipeline.serving.tasks.classification import Classification

    return Classification()


def answer_scale(properties: Mapping[str, Any]) -> float:
    """How large answers are, of the properties of examples: 1 for probabilities."""
    target = properties.get("target", {"mean": 0.0, "std": 0.0})
    return max(1.0, abs(target["mean"]) + target["std"])


def read_task(folder: Path) -> dict[str, Any]:
    """Read the task that stands beside a pushed model's file.

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
    known = isinstance(found, dict) and found.get("task") in TASKS
    if not known or not isinstance(found.get("threshold", 0.5), float):
        raise InputError(f"{expected}; it holds something else")
    return found
