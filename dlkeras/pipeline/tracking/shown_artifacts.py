"""What MLflow shows of each artifact that a run has made or reused."""

import functools
import re
from typing import Any, TypeVar

from dlkeras.pipeline.artifacts.types import (
    Artifact,
    Blessing,
    Evaluation,
    Examples,
    Hyperparameters,
    Model,
    PushedModel,
    Statistics,
)
from dlkeras.pipeline.components.example_gen import QUARANTINE
from dlkeras.pipeline.components.statistics_gen import PAGE
from dlkeras.pipeline.engine.result import Step
from dlkeras.pipeline.serving.tasks.registry import task_of
from dlkeras.pipeline.training.monitoring import DIAGNOSIS

A = TypeVar("A", bound=Artifact)


# What MLflow does not take in the name of a metric.
_ALLOWED = re.compile(r"[^\w./ -]")


def _input(step: Step, kind: type[A]) -> A | None:
    """The artifact of a type that a component has read, whatever it calls it."""
    found = [a for a in step.inputs.values() if isinstance(a, kind)]
    return found[0] if found else None


@functools.singledispatch
def show(artifact: Artifact, step: Step, tracker: Any) -> None:
    """Show an artifact: its figures, and of a user's own type its numbers, too.

    Args:
        artifact: what was made or reused.
        step: how, and of what.
        tracker: the run in MLflow.
    """
    tracker.log_figures(artifact)
    if type(artifact).__module__ != Artifact.__module__:
        numbers = {
            _ALLOWED.sub("_", f"{step.component}/{name}"): value
            for name, value in artifact.properties.items()
            if isinstance(value, int | float)
        }
        tracker.log_metrics(numbers)


@show.register
def _(examples: Examples, step: Step, tracker: Any) -> None:
    if examples.properties["quarantined"]:
        tracker.log_json(QUARANTINE, examples.read_json(QUARANTINE))


@show.register
def _(statistics: Statistics, step: Step, tracker: Any) -> None:
    tracker.log_figures(statistics)
    tracker.log_file(statistics.path / PAGE)
    if (examples := _input(step, Examples)) is not None:
        tracker.log_dataset(examples, statistics.summary)


@show.register
def _(found: Hyperparameters, step: Step, tracker: Any) -> None:
    tracker.log_chosen(found.values)
    name = found.properties["objective"]
    tracker.log_metrics({f"tuner/best_{name}": found.properties["score"]})


@show.register
def _(model: Model, step: Step, tracker: Any) -> None:
    # A reused model's; a logged one is left.
    tracker.log_epochs(dict(enumerate(model.history)))
    tracker.set_tags(
        {
            "precision": model.properties["dtype_policy"],
            "machines": model.properties["machines"],
        }
    )
    if "verdict" in model.properties:  # a training that was watched
        tracker.set_tags({"dlkeras.verdict": model.properties["verdict"]})
        tracker.log_file(model.path / DIAGNOSIS)
    tracker.log_figures(model, step=model.properties["epochs"])
    for file in sorted((model.path / model.SOURCES).glob("*")):
        tracker.log_file(file)


@show.register
def _(evaluation: Evaluation, step: Step, tracker: Any) -> None:
    """What was measured on the test split, overall and by class."""
    metrics = evaluation.metrics
    task = task_of(evaluation.properties.get("task", ""))
    named = task.charts(metrics)
    named["test/latency_p95_ms"] = metrics["cost"]["latency_ms"]["p95"]
    for name, accuracies in metrics.get("robustness", {}).items():
        if name != "images":
            named[f"robustness/{name}"] = sum(accuracies) / len(accuracies)
    model = _input(step, Model)
    epochs = model.properties["epochs"] if model else 0
    tracker.log_metrics(named, epochs)
    # A table: as metrics, each number would be a chart of a single point.
    if columns := task.by_class(metrics):
        tracker.log_table("per_class.json", columns)
    tracker.log_figures(evaluation, epochs)


@show.register
def _(blessing: Blessing, step: Step, tracker: Any) -> None:
    tracker.set_tags({"dlkeras.blessed": blessing.blessed})


@show.register
def _(pushed: PushedModel, step: Step, tracker: Any) -> None:
    tracker.register(pushed)
