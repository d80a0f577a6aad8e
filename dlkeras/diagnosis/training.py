"""All rules together on one training: before its first step, on its way, at its end."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dlkeras.diagnosis.checks import answers_of, found, looked_at, mixes_examples
from dlkeras.diagnosis.facts import Facts
from dlkeras.diagnosis.finding import TrainingFinding
from dlkeras.diagnosis.finding import found as measured
from dlkeras.diagnosis.measured import diagnose
from dlkeras.diagnosis.report import FIRST_OUTCOME, TIER, Diagnosis, judge
from dlkeras.diagnosis.rules.optimisation import added_to, penalty_of

# What initial weights did, if units are flat and much is left to learn.
FLAT = "wide_initial_weights"
OF_A_GAME = ("loss_not_decreasing", "learning_rate_too_large", "one_answer")
# So many times the largest learning rate that anybody uses.
ABSURD = 100.0


def judge_training(
    model: Any,
    data: tuple,
    *,
    probe: Any = None,
    held: tuple = ([], None),
    logs: Sequence[Mapping[str, float]] = (),
    rates: Sequence[float] = (),
    gradients: Any = None,
    activations: Any = None,
    first_penalty: float = 0.0,
    early: Sequence[TrainingFinding] = (),
    rules: Collection[Callable[[Any], Any]] = (),
) -> Diagnosis:
    """Judge a training by all that is known of it now.

    Args:
        model: compiled, with today's weights.
        data: what `checks.of_batches` made of some training batches.
        probe: inputs in the structure that the model takes; its answers are looked at.
        held: inputs and labels of the validation data.
        logs: of each epoch.
        rates: the learning rate at each epoch's end.
        gradients: a `GradientNormMonitor`; None where nothing was measured.
        activations: an `ActivationMonitor`, or None.
        first_penalty: what regularizers added to the loss before training.
        early: findings of initial weights.
        rules: of your own, as in `diagnose`.
    """
    inputs, labels, weighted, by_batch = data
    history = None if gradients is None else gradients.history
    first = history is not None and len(history) and history.steps[0] == 1
    answers = None if probe is None else answers_of(model, probe)
    facts = Facts(
        model,
        inputs,
        labels,
        weighted,
        by_batch,
        *held,
        answers=answers,
        mixed=mixes_examples(model, probe, answers),
        logs=[dict(row) for row in logs],
        rates=list(rates),
        first_loss=float(history.loss[0]) if history is not None and first else np.nan,
        update_ratio=_usual_update(history),
        penalty=penalty_of(model),
        first_penalty=first_penalty,
        added=0.0 if answers is None else added_to(model),
    )
    monitors = [m for m in (gradients, activations) if m is not None]
    findings = [*found(facts), *diagnose(*monitors, rules=rules)]
    last = facts.curve()[-1] if logs else 0.0
    if history is None and not np.isfinite(last):
        findings.append(measured("non_finite", "", last, 0.0, f"epoch {len(logs)}"))
    known = {finding.name for finding in findings}
    stuck = "saturation" in known and not facts.learned_well
    findings += [
        replace(f, severity="warning") if f.name == FLAT and stuck else f
        for f in early
        if f.name not in known
    ]
    if facts.adversarial:  # the loss is as good as the judge is bad
        findings = [f for f in findings if f.name not in OF_A_GAME]
    checked = looked_at(facts)
    if history is not None and len(history):
        checked += (f"gradients of {len(history)} steps",)
    if activations is not None and activations.reason is None:
        checked += (f"outputs of {len(activations.history.layers)} layers",)
    reason = None if gradients is None else gradients.reason
    unseen = () if reason is None else (reason,)
    if not inputs:  # several steps in one call, or no monitor at work
        unseen += ("the data, which did not pass by: `check_training(model, x, y)`",)
    return judge(
        findings,
        learned=facts.learned,
        learned_well=facts.learned_well,
        checked=checked,
        unseen=unseen,
    )


def hopeless(diagnosis: Diagnosis, lost: bool = False) -> list[TrainingFinding]:
    """What no further epoch can mend.

    Args:
        diagnosis: what is known.
        lost: whether the loss is no number any more: then it is the first cause.
    """
    return [
        finding
        for index, finding in enumerate(diagnosis.told)
        if (lost and index == 0)
        or (
            finding.severity == "error"
            and TIER.get(finding.name, FIRST_OUTCOME) < FIRST_OUTCOME
        )
        or (
            finding.name == "learning_rate_above_usual"
            and finding.value > ABSURD * finding.bound
        )
    ]


def _usual_update(history: Any) -> float:
    """The median over steps of the largest update of a kernel over its weight."""
    if history is None or not len(history):
        return np.nan
    kernels = history.ranks >= 2
    if not kernels.any():
        return np.nan
    ratios = history.update_ratio[:, kernels]
    ratios = ratios[np.isfinite(ratios).any(1)]
    return float(np.median(np.nanmax(ratios, 1))) if len(ratios) else np.nan
