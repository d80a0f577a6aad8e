"""The rules of the blessing: may a model take the place of the champion?"""

from typing import Any

from dlkeras.pipeline.artifacts.types import Blessing, Evaluation
from dlkeras.pipeline.configuration.config import EvaluatorConfig
from dlkeras.pipeline.engine.component import component
from dlkeras.pipeline.serving.tasks.registry import task_of
from dlkeras.pipeline.serving.tasks.task import ROUNDING
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import Draft


@component(name="Evaluator", packages=("scipy",))
def bless(
    config: EvaluatorConfig,
    output: Draft[Blessing],
    evaluation: Evaluation,
    baseline: Evaluation | None,
) -> None:
    """Decide whether a model may be pushed; every rule must be kept.

    Args:
        config: the least accuracy, whether it must be more than a model without eyes
            has, how much worse than the baseline is allowed, the
            level of significance, the floor of a slice, the ceiling of the latency,
            and what becomes of a first model.
        output: gets `blessed` and `reason` as properties, and `rules.json`.
        evaluation: the model's.
        baseline: that of the last blessed model, on the same examples; None for the
            first model.

    Raises:
        InputError: the two were not measured on the same examples.
    """
    task = task_of(evaluation.properties.get("task", ""))
    rules: list[dict[str, Any]] = []
    parts: list[str] = []

    def add(rule: str, bound: Any, value: Any, passed: bool, part: str) -> None:
        rules.append({"rule": rule, "bound": bound, "value": value, "passed": passed})
        parts.append(part)

    task.least(config, evaluation.metrics, add)
    if baseline is None:
        parts.append("no other blessed model to compare with")
        if config.first_model == "refuse":
            add("first model", "refuse", None, False, "a first model is not blessed")
    else:
        _check_same(evaluation, baseline)
        task.compare(config, evaluation, baseline, add)
    if config.min_slice_accuracy is not None:
        for column, slices in evaluation.metrics["slices"].items():
            for name, found in slices.items():
                if "accuracy" not in found:  # of numbers
                    continue
                passed = found["accuracy"] >= config.min_slice_accuracy - ROUNDING
                rule = f"accuracy where {column} is {name}"
                if passed:
                    rules.append({"rule": rule, "passed": True, **found})
                    continue
                add(
                    rule,
                    config.min_slice_accuracy,
                    found["accuracy"],
                    False,
                    f"{found['accuracy']:.4f} where {column} is {name}, below "
                    f"{config.min_slice_accuracy:g}",
                )
    if config.max_latency_ms is not None:
        p95 = evaluation.metrics["cost"]["latency_ms"]["p95"]
        passed = p95 <= config.max_latency_ms
        add(
            "latency of one image, 95th percentile, ms",
            config.max_latency_ms,
            p95,
            passed,
            f"latency {p95:.1f} ms is {'within' if passed else 'above'} "
            f"{config.max_latency_ms:g} ms",
        )
    output.write_json("rules.json", rules)
    output.properties.update(
        blessed=all(rule["passed"] for rule in rules), reason="; ".join(parts)
    )


def _check_same(evaluation: Evaluation, baseline: Evaluation) -> None:
    """Refuse evaluations of other examples: models are compared one by one."""
    ours, theirs = evaluation.predictions, baseline.predictions
    same = (
        len(ours) == len(theirs)
        and (ours.id.to_numpy() == theirs.id.to_numpy()).all()
        and (ours.label.to_numpy() == theirs.label.to_numpy()).all()
    )
    if not same:
        raise InputError(
            "expected two evaluations of the same test examples; "
            f"{evaluation.path.name} has {len(ours)}, {baseline.path.name} has "
            f"{len(theirs)}, and they are not the same: they are not compared"
        )
