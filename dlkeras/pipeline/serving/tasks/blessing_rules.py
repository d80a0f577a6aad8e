"""Paired tests of a model and the last blessed one, as rules of the blessing."""

import numpy as np

from dlkeras.judging.uncertainty import mcnemar
from dlkeras.pipeline.artifacts.types import Evaluation
from dlkeras.pipeline.configuration.config import EvaluatorConfig
from dlkeras.pipeline.serving.tasks.task import Add


def judge_by_mcnemar(
    config: EvaluatorConfig, evaluation: Evaluation, baseline: Evaluation, add: Add
) -> None:
    """Refuse a model that is wrong where the last one was right, beyond chance."""
    right, right_before = (
        np.asarray(e.predictions.label == e.predictions.prediction)
        for e in (evaluation, baseline)
    )
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


def judge_by_wilcoxon(
    config: EvaluatorConfig, evaluation: Evaluation, baseline: Evaluation, add: Add
) -> None:
    """Refuse a model whose errors are greater than the last one's, beyond chance.

    Reference:
        Wilcoxon, "Individual comparisons by ranking methods", Biometrics 1945.
    """
    from scipy import stats

    errors, before = (
        (e.predictions.prediction - e.predictions.label).abs().to_numpy()
        for e in (evaluation, baseline)
    )
    change = errors - before
    worse, better = int((change > 0).sum()), int((change < 0).sum())
    p = 1.0
    if worse or better:
        p = float(stats.wilcoxon(change, alternative="greater").pvalue)
    passed = p >= config.significance
    add(
        "Wilcoxon's signed-rank test against the last blessed model",
        config.significance,
        p,
        passed,
        f"nearer than it {better}, further {worse} (p {p:.2g}"
        + ("" if passed else f", below {config.significance:g}")
        + ")",
    )
