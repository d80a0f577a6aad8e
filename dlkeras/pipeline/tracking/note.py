"""The Markdown note on a run's page: what happened, in about ten lines."""

from collections.abc import Sequence

from dlkeras.pipeline.configuration.config import PipelineConfig
from dlkeras.pipeline.engine.result import Step
from dlkeras.pipeline.serving.tasks.registry import task_of
from dlkeras.pipeline.training.monitoring import DIAGNOSIS


def run_note(
    config: PipelineConfig,
    steps: Sequence[Step],
    version: int | None,
    compare_link: str,
) -> str:
    """Tell a run in Markdown.

    Args:
        config: the job.
        steps: what was executed.
        version: the registered model's version, where one was pushed.
        compare_link: the page that compares the trials.

    Returns:
        The note: one line for each part of the run.
    """
    artifacts = {step.artifact.record.type: step.artifact for step in steps}
    reused = sum(step.cached for step in steps)
    lines = [f"**{config.name}**, seed {config.seed}"]
    if examples := artifacts.get("Examples"):
        counts = ", ".join(
            f"{n:,} {s}" for s, n in examples.properties["splits"].items()
        )
        labels, task = examples.properties["labels"], examples.properties.get("task")
        what = f"{len(labels)} classes"
        what += ", several an image" if task == "multilabel" else ""
        what = f"the number {labels[0]}" if task == "regression" else what
        source = examples.properties["source"]
        anomalies = artifacts.get("Anomalies")
        found = anomalies.properties["anomalies"] or "no" if anomalies else "unknown"
        lines.append(f"- **Data**: {source}; {what}; {counts}; {found} anomalies")
    if statistics := artifacts.get("Statistics"):
        speed = statistics.properties["images_per_second"]
        near = statistics.properties["near_duplicates"]
        lines.append(
            f"- **Statistics**: {near:,} pairs of near-duplicates; {speed:,.0f} "
            "images/s; `statistics.html` among the artifacts"
        )
    if transform := artifacts.get("Transform"):
        height, width, channels = transform.properties["input_shape"]
        lines.append(
            f"- **Transform**: {height}x{width}x{channels}; "
            f"augmentation: {config.transform.in_words()}"
        )
    if found := artifacts.get("Hyperparameters"):
        p = found.properties
        values = ", ".join(
            f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}"
            for k, v in p["values"].items()
        )
        lines.append(
            f"- **Tuner**: {values}, the best of {p['completed']} completed trials of "
            f"{p['trials']} ([compare them]({compare_link}))"
        )
        for trial, why in p.get("failed", {}).items():
            lines.append(f"- **Trial {int(trial) + 1}** failed: {why}")
    if model := artifacts.get("Model"):
        p = model.properties
        metric = p.get("metric", "accuracy")
        lines.append(
            f"- **Training**: {p['architecture']}, {p['parameters']:,} parameters, "
            f"{p['epochs']} epochs; the best is {p['best_epoch']}: validation loss "
            f"{p['val_loss']:.4f}, {metric.replace('_', ' ')} "
            f"{p[f'val_{metric}']:.4f}"
        )
        if "findings" in p:
            found = "; ".join(p["findings"]) or "nothing wrong was seen"
            lines.append(f"- **Monitors**: {found}")
        if "verdict" in p:
            lines.append(
                f"- **Diagnosis**: {p['verdict']} `{DIAGNOSIS}` among the artifacts"
            )
    if evaluation := artifacts.get("Evaluation"):
        p = evaluation.properties
        lines.append(f"- **Test**: {task_of(p.get('task', '')).note(p)}")
    if blessing := artifacts.get("Blessing"):
        word = "yes" if blessing.properties["blessed"] else "no"
        lines.append(f"- **Blessed**: {word}; {blessing.properties['reason']}")
    if version is not None:
        name = config.model_name
        pushed = artifacts["PushedModel"].path
        lines.append(
            f"- **Pushed**: `models:/{name}/{version}`, alias `{config.pusher.alias}`, "
            f"and `{pushed.relative_to(config.mlruns)}` in the folder of the runs"
        )
    seconds = sum(step.seconds for step in steps)
    lines.append(f"- **Time**: {seconds:.0f} s; {reused} of {len(steps)} steps reused")
    return "\n".join(lines)
