"""What a run says of its artifacts: to the user, and to MLflow."""

from typing import Any

from dlkeras.pipeline.artifacts import Evaluation, Examples
from dlkeras.pipeline.example_gen import QUARANTINE, left_out
from dlkeras.pipeline.progress import Progress


def tell_what_is_left_out(examples: Examples, tracker: Any, progress: Progress) -> None:
    """Say which files of the source are no examples, and which could not be read."""
    for line in left_out(examples):
        progress.say(line)
    if examples.properties["quarantined"]:
        tracker.log_json(QUARANTINE, examples.read_json(QUARANTINE))


def log_evaluation(tracker: Any, evaluation: Evaluation, step: int) -> None:
    """Log what was measured on the test split, overall and by class."""
    metrics = evaluation.metrics
    named = {
        "test/accuracy": metrics["accuracy"],
        f"test/top_{metrics['top_k']}_accuracy": metrics["top_k_accuracy"],
        "test/loss": metrics["loss"],
        "test/ece": metrics["ece"],
    }
    tracker.log_metrics(named, step)
    # A table: as metrics, each number would be a chart of a single point.
    classes = metrics["classes"]
    columns = {
        name: [values[name] for values in classes.values()]
        for name in ("precision", "recall", "f1", "support")
    }
    tracker.log_table("per_class.json", {"class": list(classes), **columns})
    tracker.log_figures(evaluation, step)
