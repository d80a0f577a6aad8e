"""The Markdown note on a run's page: what happened, in about ten lines."""

from collections.abc import Sequence

from dlkeras.pipeline.configuration.config import PipelineConfig
from dlkeras.pipeline.engine.result import Step
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
        classes = len(examples.properties["labels"])
        source = examples.properties["source"]
        anomalies = artifacts.get("Anomalies")
        found = anomalies.properties["anomalies"] or "no" if anomalies else "unknown"
        lines.append(
            f"- **Data**: {source}; {classes} classes; {counts}; {found} anomalies"
        )
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
        lines.append(
            f"- **Training**: {p['architecture']}, {p['parameters']:,} parameters, "
            f"{p['epochs']} epochs; the best is {p['best_epoch']}: validation loss "
            f"{p['val_loss']:.4f}, accuracy {p['val_accuracy']:.4f}"
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
        lines.append(
            f"- **Test**: accuracy {p['accuracy']:.4f}, {p['misclassified']} of "
            f"{p['examples']} wrong (always {p['commonest_class']['label']!r} would "
            f"reach {p['commonest_class']['share']:.4f}), balanced accuracy "
            f"{p['balanced_accuracy']:.4f}, macro F1 {p['macro_f1']:.4f}, calibration "
            f"error {p['ece']:.4f}"
        )
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
