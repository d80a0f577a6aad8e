"""What components ask of a task when a model is judged and served."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from dlkeras.pipeline.artifacts.types import Evaluation
from dlkeras.pipeline.configuration.config import EvaluatorConfig
from dlkeras.pipeline.store.publishing import Draft

# Rounding can make one of two equal decimal fractions the lower one.
ROUNDING = 1e-12

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
        threshold: which answers count where a pushed model does not say.
    """

    name: str
    score_name: str
    output: str
    not_there: str
    threshold: float

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
