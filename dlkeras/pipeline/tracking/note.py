"""The Markdown note on a run's page: the verdict, three numbers, links; ten lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlkeras.pipeline.artifacts.types import Artifact
from dlkeras.pipeline.configuration.config import PipelineConfig
from dlkeras.pipeline.engine.result import Step
from dlkeras.pipeline.serving.tasks.registry import task_of

MAX_LINES = 10
# Of a finding or of what made a trial fail.
_LONGEST = 300
Artifacts = Mapping[str, Artifact]


@dataclass(frozen=True)
class Links:
    """Pages that a note leads to.

    Attributes:
        comparison: the trials, or the runs, side by side.
        model: the registered model's version; None where none was pushed.
        pages: of the run's artifacts, by what they show.
    """

    comparison: str
    model: str | None = None
    pages: Mapping[str, str] | None = None


def run_note(
    config: PipelineConfig,
    steps: Sequence[Step],
    version: int | None,
    links: Links,
) -> str:
    """Tell a run in Markdown.

    Args:
        config: the job.
        steps: what was executed.
        version: the registered model's version, where one was pushed.
        links: the pages that it leads to.

    Returns:
        At most `MAX_LINES` lines: the verdict, the numbers that matter, and a line for
        each part of the run that has something to say.
    """
    artifacts = {step.artifact.record.type: step.artifact for step in steps}
    lines = [
        _verdict(config, artifacts, version, links),
        _numbers(artifacts),
        _data(artifacts),
        _search(artifacts, links),
        _training(artifacts),
        *_watched(artifacts),
        _links(links),
        _time(config, steps),
    ]
    return "\n".join(line for line in lines if line)


def _verdict(
    config: PipelineConfig, artifacts: Artifacts, version: int | None, links: Links
) -> str:
    blessing = artifacts.get("Blessing")
    name = f"**{config.name}**"
    if blessing is None:
        last = (
            list(artifacts.values())[-1].record.producer if artifacts else "its start"
        )
        return f"{name} stopped after {last}: no model was judged."
    why = _sentence(blessing.properties["reason"])
    if not blessing.properties["blessed"]:
        return f"{name} is **not blessed**: {why}"
    if version is None:
        return f"{name} is **blessed**: {why}"
    model = f"`models:/{config.model_name}/{version}`"
    model = f"[{model}]({links.model})" if links.model else model
    return f"{name} is **blessed**, and {model} is the `{config.pusher.alias}`: {why}"


def _numbers(artifacts: Artifacts) -> str:
    """The score, the validation loss, and how large the network is."""
    numbers = []
    if evaluation := artifacts.get("Evaluation"):
        p = evaluation.properties
        score = task_of(p.get("task", "")).score_name
        value = p.get(score)
        said = "not defined" if value is None else f"{value:.4f}"
        numbers.append(f"test {score.replace('_', ' ')} **{said}**")
    if model := artifacts.get("Model"):
        p = model.properties
        numbers.append(f"validation loss **{p['val_loss']:.4f}**")
        numbers.append(f"parameters **{p['parameters']:,}**")
    return f"- **Numbers**: {', '.join(numbers)}" if numbers else ""


def _data(artifacts: Artifacts) -> str:
    examples = artifacts.get("Examples")
    if examples is None:
        return ""
    counts = ", ".join(f"{n:,} {s}" for s, n in examples.properties["splits"].items())
    labels, task = examples.properties["labels"], examples.properties.get("task")
    what = f"{len(labels)} classes"
    what += ", several an image" if task == "multilabel" else ""
    what = f"the number {labels[0]}" if task == "regression" else what
    anomalies = artifacts.get("Anomalies")
    found = anomalies.properties["anomalies"] or "no" if anomalies else "unknown"
    line = f"{examples.properties['source']}; {what}; {counts}; {found} anomalies"
    if statistics := artifacts.get("Statistics"):
        near = statistics.properties["near_duplicates"]
        line += f", {near:,} pairs of near-duplicates"
    return f"- **Data**: {line}"


def _search(artifacts: Artifacts, links: Links) -> str:
    found = artifacts.get("Hyperparameters")
    if found is None:
        return ""
    p = found.properties
    values = ", ".join(
        f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}"
        for k, v in p["values"].items()
    )
    line = (
        f"- **Tuner**: {values}, the best of {p['completed']} completed trials of "
        f"{p['trials']} ([compare them]({links.comparison}))"
    )
    failed = list(p.get("failed", {}).items())
    if failed:
        trial, why = failed[0]
        more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
        line += f"; trial {int(trial) + 1} failed{more}: {_sentence(why)}"
    return line


def _training(artifacts: Artifacts) -> str:
    model = artifacts.get("Model")
    if model is None:
        return ""
    p = model.properties
    metric = p.get("metric", "accuracy")
    return (
        f"- **Training**: {p['architecture']}, the best of {p['epochs']} epochs is "
        f"{p['best_epoch']}: validation {metric.replace('_', ' ')} "
        f"{p[f'val_{metric}']:.4f}"
    )


def _watched(artifacts: Artifacts) -> list[str]:
    """The diagnosis, what the monitors have found, and the test."""
    lines = []
    p = artifacts["Model"].properties if "Model" in artifacts else {}
    if "verdict" in p:
        lines.append(f"- **Diagnosis**: {_sentence(p['verdict'])}")
    if found := p.get("findings"):
        more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
        lines.append(f"- **Monitors**: {_sentence(found[0])}{more}")
    if evaluation := artifacts.get("Evaluation"):
        p = evaluation.properties
        lines.append(f"- **Test**: {task_of(p.get('task', '')).note(p)}")
    return lines


def _links(links: Links) -> str:
    pages = [f"[{name}]({page})" for name, page in (links.pages or {}).items()]
    return f"- **Pages**: {', '.join(pages)}" if pages else ""


def _time(config: PipelineConfig, steps: Sequence[Step]) -> str:
    seconds = sum(step.seconds for step in steps)
    reused = sum(step.cached for step in steps)
    return (
        f"- **Time**: {seconds:.0f} s; {reused} of {len(steps)} steps reused; "
        f"seed {config.seed}"
    )


def _sentence(text: Any) -> str:
    """One line that ends as a sentence does, and once.

    >>> _sentence("it is healthy;"), _sentence("Look at it.")
    ('it is healthy.', 'Look at it.')
    """
    line = " ".join(str(text).split())
    line = line if len(line) <= _LONGEST else line[: _LONGEST - 3].rstrip() + "..."
    return line.rstrip(".;, ") + "."
