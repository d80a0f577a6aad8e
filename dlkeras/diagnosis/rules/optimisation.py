"""Rules on the optimisation: learning rate, loss beside a guess, penalty."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from dlkeras.diagnosis.facts import Facts
from dlkeras.diagnosis.finding import TrainingFinding, cause
from dlkeras.diagnosis.rules.labels import behind_neighbours, neighbours_know

RATES = "Bengio, Practical recommendations for gradient-based training, 2012, 3.1"
DIVERGES = "Haykin, Adaptive filter theory: steepest descent diverges beyond 2/lambda"
GUESS = "a constant answer has the loss of the labels' own spread"
CAPACITY = "Goodfellow, Bengio and Courville, Deep learning, 5.2"
OUTPUT_UNITS = "Goodfellow, Bengio and Courville, Deep learning, 6.2.2"
PENALTY = "Goodfellow, Bengio and Courville, Deep learning, 7.1"
# What people use, with room: from, to, and what to begin with.
USUAL = {
    "SGD": (1e-4, 1.0, 0.01),
    "Adadelta": (0.01, 10.0, 1.0),
    "Adagrad": (1e-3, 1.0, 0.01),
    "Ftrl": (1e-3, 1.0, 0.01),
    "Lion": (1e-6, 3e-3, 1e-4),
}
ADAPTIVE = (1e-5, 0.03, 1e-3)
WORSE, STILL, FALLING = 0.05, 0.03, 0.15
PENALTY_SHARE, MUCH, FEW_UNITS = 0.5, 10.0, 2
FEW_EPOCHS, TINY, STRAIGHT = 4, 0.01, 0.8


def learning_rate(facts: Facts) -> Iterator[TrainingFinding]:
    """A learning rate beside what its optimizer is used with."""
    optimizer, rate = facts.model.optimizer, facts.learning_rate
    inner: Any = getattr(optimizer, "inner_optimizer", optimizer)
    # Warm-up begins with nearly nothing: what counts is how far it goes.
    rate = max(facts.rates) if facts.rates else _largest_planned(inner, rate)
    kind = type(inner).__name__
    if not np.isfinite(rate) or not type(optimizer).__module__.startswith("keras."):
        return
    low, high, usual = USUAL.get(kind, ADAPTIVE)
    severity = "note" if facts.learned else "warning"
    fix = f"keras.optimizers.{kind}({usual:g})"
    if rate > MUCH * high:
        severity = "note" if facts.nothing_left else "warning"
    seen = f"{kind} with {rate:.3g}, usual {low:g} to {high:g}"
    if rate == 0 or rate < low:
        yield cause(
            "learning_rate_below_usual",
            "the learning rate is so small that weights hardly move", seen,
            severity=severity, fix=fix, source=RATES, value=rate, bound=low,
            sure="likely",
        )  # fmt: skip
    elif rate > high:
        yield cause(
            "learning_rate_above_usual",
            "the learning rate is larger than this optimizer is used with", seen,
            severity=severity, fix=fix, source=RATES, value=rate, bound=high,
            sure="likely",
        )  # fmt: skip


def _largest_planned(optimizer: Any, rate: float) -> float:
    """The largest rate of a schedule, at some of its steps; `rate` without one."""
    planned = optimizer.get_config().get("learning_rate")
    if not isinstance(planned, dict):
        return rate
    schedule: Any = keras.optimizers.schedules.deserialize(planned)
    to_numpy: Any = keras.ops.convert_to_numpy
    steps = [0, *np.logspace(0, 6, 25).astype(int).tolist()]
    return max(float(to_numpy(schedule(step))) for step in steps)


def schedule_at_zero(facts: Facts) -> Iterator[TrainingFinding]:
    """A schedule that has ended long before the training."""
    rates = np.array(facts.rates, float)
    if len(rates) < 4 or not np.isfinite(rates).all() or rates.max() <= 0:
        return
    # Warm-up and restarts begin with nothing, too: it has ended where none follows.
    over = np.flatnonzero(rates >= 1e-3 * rates.max())[-1] + 1
    if over < len(rates) / 2 and not facts.learned:
        yield cause(
            "schedule_at_zero",
            "the learning rate has fallen to nothing before half of the training",
            f"{rates.max():.3g} falls to {rates[over]:.3g} in epoch {over + 1} "
            f"of {len(rates)}", severity="warning", source=RATES, sure="likely",
            fix="decay_steps = epochs * steps_per_epoch in the schedule",
        )  # fmt: skip


def penalty(facts: Facts) -> Iterator[TrainingFinding]:
    """A regularizer that is most of the loss."""
    curve = facts.curve()
    if not len(curve) or not np.isfinite(curve[-1]) or curve[-1] <= 0:
        return
    now, before = facts.penalty / curve[-1], facts.first_penalty / curve[0]
    share = max(now, before)
    if share > PENALTY_SHARE:
        severity = "note" if facts.learned_well else "error"
        seen = f"{facts.penalty:.3g} of a loss of {curve[-1]:.3g}"
        if before > now:  # it has won: the weights are gone
            seen = f"{facts.first_penalty:.3g} at the start, a loss of {curve[0]:.3g}"
        yield cause(
            "penalty_too_large",
            "the regularizer is most of the loss: weights are pulled to 0",
            seen, severity=severity,
            fix="kernel_regularizer=keras.regularizers.L2(1e-4)", source=PENALTY,
            value=share, bound=PENALTY_SHARE, sure="likely",
        )  # fmt: skip


def loss_beside_a_guess(facts: Facts) -> Iterator[TrainingFinding]:
    """A last loss that a constant answer would beat, or only reach."""
    curve = facts.curve()
    if not len(curve):
        return
    guess = facts.guess
    gone = (guess + facts.extra - curve[-1]) / guess if guess > 1e-12 else np.nan
    below = np.isfinite(curve[-1]) and curve[-1] < -1e-6 and not facts.weighted
    if below and facts.cross_entropy:
        yield cause(
            "negative_cross_entropy", "a cross-entropy below 0 cannot be",
            f"loss {curve[-1]:.4g}", severity="error", source=GUESS,
            fix="give labels of 0 to 1 to this loss", value=curve[-1], bound=0,
        )  # fmt: skip
    elif gone < -WORSE:
        yield cause(
            "worse_than_guessing",
            "the loss is worse than that of the best constant answer",
            f"loss {curve[-1]:.4g}, guessing {guess + facts.extra:.4g}",
            severity="warning", source=GUESS, value=curve[-1], bound=guess,
            fix=_better_than_a_guess(facts), sure="likely",
        )  # fmt: skip


def _better_than_a_guess(facts: Facts) -> str:
    """What to change first where the loss is worse than a guess's."""
    curve, labels = facts.curve(), facts.labels
    if len(curve) < FEW_EPOCHS and curve[-1] <= curve[0]:
        return f"model.fit(..., epochs={10 * len(curve)}): it has hardly begun"
    if labels is not None and labels.kind == "numbers" and labels.rows.std() < TINY:
        return "y = (y - y.mean()) / y.std()"
    return "keras.optimizers.Adam(1e-3), and inputs scaled to a spread of 1"


def slow(facts: Facts) -> Iterator[TrainingFinding]:
    """A loss that still falls in a nearly straight line when training ends."""
    curve, rate = facts.curve(), facts.learning_rate
    few = len(curve) < FEW_EPOCHS
    if few or not np.isfinite(curve).all() or facts.learned:
        return
    if facts.weighted and curve.min() < 0:
        return  # weights of both signs, as rewards are: the loss is no distance
    # The first batch's loss may be low by chance: then the first epoch's is the start.
    first = facts.first_loss
    start = max(curve[0], first) if np.isfinite(first) else curve[0]
    fallen = start - curve[-1]
    late = curve[3 * len(curve) // 4 - 1] - curve[-1]
    steady = np.mean(np.diff(curve) <= 0) > 0.8
    # Nearly as steep at the end as in the mean of all epochs, whatever the first batch
    # had.
    part = (len(curve) - 3 * len(curve) // 4) / (len(curve) - 1)
    straight = late > STRAIGHT * part * (curve[0] - curve[-1])
    if fallen > 1e-3 * abs(start) and steady and (late > FALLING * fallen or straight):
        yield cause(
            "too_few_steps",
            "the loss is still falling where training ends: too slow, or too short",
            f"from {start:.4g} to {curve[-1]:.4g}, {100 * late / fallen:.0f} % of it "
            "in the last quarter", severity="warning", source=RATES, sure="likely",
            fix=f"model.fit(..., epochs={10 * len(curve)}), or a learning rate of "
            f"{3 * rate:.2g}", value=late / fallen, bound=FALLING,
        )  # fmt: skip


def unsteady(facts: Facts) -> Iterator[TrainingFinding]:
    """A loss that jumps up and down, or has grown: the steps are too long."""
    curve, rate = facts.curve(), facts.rates[0] if facts.rates else facts.learning_rate
    if len(curve) < 4 or not np.isfinite(curve).all() or facts.learned:
        return
    up = np.mean(np.diff(curve) > 0)
    jumps = np.abs(np.diff(curve)).mean() / (abs(np.median(curve)) + 1e-30)
    thrown = facts.update_ratio > 0.1 or jumps > 0.25
    if up >= 0.25 and jumps > 0.02 and thrown:
        yield cause(
            "unsteady_loss",
            "the loss jumps up and down: the steps are too long",
            f"it rises in {100 * up:.0f} % of the epochs",
            f"updates are {facts.update_ratio:.2g} of the weights", source=DIVERGES,
            severity="warning", sure="likely", value=jumps, bound=0.02,
            fix=f"learning_rate={rate / 10:.2g}",
        )  # fmt: skip


def stuck(facts: Facts) -> Iterator[TrainingFinding]:
    """A loss that stays where a constant answer is: nothing is learned."""
    curve = facts.curve()
    gained = [gain for gain in facts.gains() if np.isfinite(gain)]
    if len(curve) < 4 or not gained or not np.isfinite(curve[-1]):
        return
    if max(gained) < STILL and abs(facts.removed(curve[-1])) <= WORSE:
        yield cause(
            "nothing_learned",
            "after all epochs the model knows no more than a constant answer",
            f"loss {curve[-1]:.4g}, guessing {facts.guess + facts.extra:.4g}",
            f"{len(curve)} epochs", severity="warning", source=GUESS, sure="likely",
            fix="fit 32 examples first: model.fit(x[:32], y[:32], epochs=200)",
        )  # fmt: skip


def too_little(facts: Facts) -> Iterator[TrainingFinding]:
    """A loss that stays, by a network of two units or a loss of the median."""
    curve, labels = facts.curve(), facts.labels
    if len(curve) < 10 or not np.isfinite(curve).all() or facts.learned_well:
        return
    start = facts.first_loss if np.isfinite(facts.first_loss) else curve[0]
    fallen, late = start - curve[-1], curve[3 * len(curve) // 4 - 1] - curve[-1]
    stays = late <= STILL * max(fallen, 0.01 * abs(start))
    if not stays and not behind_neighbours(facts):
        return  # it is on its way
    hidden = [p for p in facts.chain if type(p).__name__ == "Dense"][:-1]
    if hidden and max(layer.units for layer in hidden) <= FEW_UNITS:
        yield cause(
            "too_few_units",
            "the hidden layers have hardly any units, and the loss does not fall on"
            if stays
            else "the hidden layers have hardly any units to learn what there is",
            f"at most {max(layer.units for layer in hidden)} units",
            f"loss {curve[-1]:.4g} for {len(curve) // 4} epochs"
            if stays
            else f"nearest neighbours avoid {100 * neighbours_know(facts):.0f} % of a "
            "guess's errors",
            layer=hidden[0].name, severity="warning", source=CAPACITY, sure="possible",
            fix=f'keras.layers.Dense(32, activation="relu") for {hidden[0].name!r}',
        )  # fmt: skip
    two = labels is not None and labels.kind == "classes" and len(labels.shares) == 2
    if stays and two and facts.loss == "mean_absolute_error" and not facts.learned:
        yield cause(
            "regression_loss_for_classes",
            "always the commonest class is a place where the mean absolute error stays",
            f"loss {curve[-1]:.4g}, 2 classes", severity="warning", source=OUTPUT_UNITS,
            fix='loss="binary_crossentropy"', sure="likely",
        )  # fmt: skip


def penalty_of(model: keras.Model) -> float:
    """What the regularizers add to the loss with today's weights."""
    to_numpy: Any = keras.ops.convert_to_numpy
    return sum(
        float(to_numpy(variable.regularizer(variable)))
        for variable in model.trainable_variables
        if getattr(variable, "regularizer", None) is not None
    )


def added_to(model: keras.Model) -> float:
    """What `add_loss` gave in the last call, which was no step of a compiled training.

    0 where that is not known.
    """
    to_numpy: Any = keras.ops.convert_to_numpy
    try:
        total = sum(float(np.sum(to_numpy(loss))) for loss in model.losses)
    except Exception:  # symbols of a compiled step
        return 0.0
    added = total - penalty_of(model)
    return added if np.isfinite(added) else 0.0


OPTIMISATION_RULES = (
    learning_rate,
    schedule_at_zero,
    penalty,
    loss_beside_a_guess,
    slow,
    unsteady,
    stuck,
    too_little,
)
