"""The rules of the blessing: may a model take the place of the champion?"""

from typing import Any

import numpy as np

from dlkeras.judging.uncertainty import mcnemar
from dlkeras.pipeline.artifacts.types import Blessing, Evaluation
from dlkeras.pipeline.configuration.config import EvaluatorConfig
from dlkeras.pipeline.engine.component import component
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import Draft

# Of two equal decimal fractions one may be the lower by its rounding.
ROUNDING = 1e-12


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
    accuracy = evaluation.metrics["accuracy"]
    rules: list[dict[str, Any]] = []
    parts: list[str] = []

    def add(rule: str, bound: Any, value: Any, passed: bool, part: str) -> None:
        rules.append({"rule": rule, "bound": bound, "value": value, "passed": passed})
        parts.append(part)

    passed = accuracy >= config.min_accuracy
    word = "reaches" if passed else "is below"
    add(
        "accuracy",
        config.min_accuracy,
        accuracy,
        passed,
        f"accuracy {accuracy:.4f} {word} {config.min_accuracy:g}",
    )
    if config.refuse_trivial:
        commonest = evaluation.metrics["commonest_class"]
        label, share = commonest["label"], commonest["share"]
        passed = accuracy > share + ROUNDING
        word = "more than" if passed else "no more than"
        add(
            "accuracy against always answering the commonest class",
            share,
            accuracy,
            passed,
            f"{word} the {share:.4f} of always answering {label!r}",
        )
    if baseline is None:
        parts.append("no other blessed model to compare with")
        if config.first_model == "refuse":
            add("first model", "refuse", None, False, "a first model is not blessed")
    else:
        _compare(config, evaluation, baseline, add)
    if config.min_slice_accuracy is not None:
        for column, slices in evaluation.metrics["slices"].items():
            for name, found in slices.items():
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


def _compare(
    config: EvaluatorConfig, evaluation: Evaluation, baseline: Evaluation, add: Any
) -> None:
    """Judge a model beside the last blessed one, example by example."""
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
    accuracy, previous = evaluation.metrics["accuracy"], baseline.metrics["accuracy"]
    bound = previous - config.max_accuracy_drop
    passed = accuracy >= bound - ROUNDING
    add(
        "accuracy against the last blessed model",
        bound,
        accuracy,
        passed,
        f"the last blessed model has {previous:.4f}, "
        + ("at most" if passed else "more than")
        + f" {config.max_accuracy_drop:g} better",
    )
    right = np.asarray(ours.label == ours.prediction)
    right_before = np.asarray(theirs.label == theirs.prediction)
    test = mcnemar(right, right_before)
    worse = test["worse"] > test["better"]
    passed = not (worse and test["p_value"] < config.significance)
    add(
        "McNemar's test against the last blessed model",
        config.significance,
        test["p_value"],
        passed,
        f"right where it was wrong {test['better']}, wrong where it was right "
        f"{test['worse']} (p {test['p_value']:.2g}"
        + ("" if passed else f", below {config.significance:g}")
        + ")",
    )
