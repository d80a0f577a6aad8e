"""What a run says of its artifacts: to the user, and to MLflow."""

import sys
from typing import Any

from dlkeras.pipeline.artifacts.types import (
    Evaluation,
    Examples,
    Hyperparameters,
    Model,
    Statistics,
)
from dlkeras.pipeline.components.example_gen import QUARANTINE, left_out
from dlkeras.pipeline.components.statistics_gen import PAGE
from dlkeras.pipeline.configuration.training import TrainerConfig
from dlkeras.pipeline.engine.execution import Execution
from dlkeras.pipeline.engine.progress import Progress
from dlkeras.pipeline.machines.cluster import place


def tell_what_is_left_out(examples: Examples, tracker: Any, progress: Progress) -> None:
    """Say which files of the source are no examples, and which could not be read."""
    for line in left_out(examples):
        progress.say(line)
    if examples.properties["quarantined"]:
        tracker.log_json(QUARANTINE, examples.read_json(QUARANTINE))


def tell_statistics(statistics: Statistics, tracker: Any, progress: Progress) -> None:
    """Log the page and the figures of the statistics, and say how fast they were."""
    tracker.log_figures(statistics)
    page = statistics.path / PAGE
    tracker.log_file(page)
    p = statistics.properties
    progress.say(
        f"statistics of {p['examples']:,} examples, at {p['images_per_second']:,.0f} "
        f"images/s: {page}"
    )


def tell_machines(config: TrainerConfig, model: Model, progress: Progress) -> None:
    """Say where a model in the store is of other batches than this run would train."""
    machines = model.properties["machines"]
    here = len(place(config.distribution).workers)
    if config.sharding == "file" and machines != here:
        progress.say(
            f"the model is of {machines} machines, each of which read its own files; "
            f"--force Trainer trains one of {here}"
        )


def log_evaluation(tracker: Any, evaluation: Evaluation, step: int) -> None:
    """Log what was measured on the test split, overall and by class."""
    metrics = evaluation.metrics
    named = {
        "test/accuracy": metrics["accuracy"],
        "test/commonest_class_share": metrics["commonest_class"]["share"],
        "test/balanced_accuracy": metrics["balanced_accuracy"],
        "test/macro_f1": metrics["macro_f1"],
        f"test/top_{metrics['top_k']}_accuracy": metrics["top_k_accuracy"],
        "test/loss": metrics["loss"],
        "test/ece": metrics["ece"],
        "test/accuracy_low": metrics["accuracy_interval"][0],
        "test/accuracy_high": metrics["accuracy_interval"][1],
        "test/ece_after_temperature": metrics["temperature_scaling"]["ece"],
        "test/latency_p95_ms": metrics["cost"]["latency_ms"]["p95"],
    }
    for name, accuracies in metrics.get("robustness", {}).items():
        if name != "images":
            named[f"robustness/{name}"] = sum(accuracies) / len(accuracies)
    tracker.log_metrics(named, step)
    # A table: as metrics, each number would be a chart of a single point.
    classes = metrics["classes"]
    columns = {
        name: [values[name] for values in classes.values()]
        for name in ("precision", "recall", "f1", "support")
    }
    tracker.log_table("per_class.json", {"class": list(classes), **columns})
    tracker.log_figures(evaluation, step)


def record_lineage(execution: Execution, tracker: Any) -> None:
    """Keep the graph of the artifacts in the store, and with the run in MLflow."""
    execution.record()
    if not isinstance(sys.exception(), OSError):  # a full disk takes no more
        tracker.log_json("lineage.json", execution.lineage())


def compare_link(execution: Execution, tracker: Any) -> str:
    """The page that compares the trials, or that of all runs where there are none."""
    searched = execution.artifact(Hyperparameters)
    link = tracker.trials_link(searched.record.key) if searched else None
    return link or tracker.experiment_link
