"""The rules of `diagnose` for what ActivationMonitor measures."""

from collections.abc import Callable, Iterator

import numpy as np

from dlkeras.diagnosis.finding import TrainingFinding, found
from dlkeras.diagnosis.histories.activation_history import ActivationHistory

DEAD_SHARE = SATURATED_SHARE = 0.5
# More than so many dead units are an error whatever they were at the start, so many
# more than at the start were killed; of fewer units or samples a share is chance.
NEARLY_ALL, KILLED_SHARE = 0.9, 0.25
FEW_UNITS, FEW_ANSWERS, ENOUGH = 16, 32, 32
STD_RATIO = 10.0
SATURATED_LOSS = 0.9


def _when(history: ActivationHistory, row: int) -> str:
    epoch = history.epochs[row]
    return f"epoch {epoch}" if epoch else "the initial weights"


def dead_relu(history: ActivationHistory) -> Iterator[TrainingFinding]:
    """Layers with most units at 0 on the whole probe, now.

    Where inputs are much the same for all samples (the gates of squeeze-and-excitation)
    about half of the units are 0 from the start, and of few units most by chance: no
    error unless nearly all of them are, or the training has killed them.
    """
    for column, layer in enumerate(history.layer_names):
        share = history.dead_share[:, column]
        if not len(share) or not share[-1] > DEAD_SHARE:
            continue
        if history.layers[layer].frozen:
            continue  # no training has killed them, and no learning rate wakes them
        below = np.flatnonzero(~(share > DEAD_SHARE))
        since = _when(history, below[-1] + 1 if len(below) else 0)
        # Of initial weights: training may wake them.
        warn = not history.epochs[-1]
        if share[-1] < NEARLY_ALL:
            born = 0.0 if history.epochs[0] else share[0]
            killed = share[-1] - born >= KILLED_SHARE or share[-1] > 1 - KILLED_SHARE
            warn |= not killed or _few(history, column)
        severity = "note" if warn else "error"
        yield found("dead_relu", layer, share[-1], DEAD_SHARE, since, severity)


def _few(history: ActivationHistory, column: int) -> bool:
    """Whether units or samples are too few for a share to be more than chance."""
    if not history.units.size:
        return False
    units, answers = history.units[-1, column], history.answers[-1, column]
    return bool(units < FEW_UNITS or answers < FEW_ANSWERS)


def saturation(history: ActivationHistory) -> Iterator[TrainingFinding]:
    """Layers whose outputs lie mostly where the activation is flat.

    A network that has learned is sure of itself: saturation that comes with training is
    an error only while the loss does not fall.
    """
    stuck = _stuck(history)
    for column, layer in enumerate(history.layer_names):
        high = np.flatnonzero(history.saturated_share[:, column] > SATURATED_SHARE)
        softmax = history.layers[layer].activation == "softmax"
        frozen = history.layers[layer].frozen
        if len(high) and layer not in history.outputs and not softmax and not frozen:
            value = history.saturated_share[high[0], column]
            since = _when(history, high[0])
            learned = bool(history.epochs[high[0]] > 0) and not stuck
            severity = "note" if learned else "error"
            yield found("saturation", layer, value, SATURATED_SHARE, since, severity)


def _stuck(history: ActivationHistory) -> bool:
    losses = history.loss[np.isfinite(history.loss)]
    return bool(len(losses) > 1 and losses[-1] > SATURATED_LOSS * losses[0] > 0)


def one_answer(history: ActivationHistory) -> Iterator[TrainingFinding]:
    """One class for every example of the probe, twice, while the loss does not fall."""
    later = np.flatnonzero(history.epochs > 0)[-2:]
    if len(later) < 2 or not history.same_answer_share.size or not _stuck(history):
        return
    for column, layer in enumerate(history.layer_names):
        softmax = history.layers[layer].activation == "softmax"
        known = history.units[-1, column] > 1 and history.answers[-1, column] >= ENOUGH
        if layer in history.outputs and softmax and known:
            share = history.same_answer_share[later, column]
            if (share == 1).all():
                since = _when(history, later[0])
                yield found("one_answer", layer, 1.0, 1.0, since, "warning")


def non_finite_output(history: ActivationHistory) -> Iterator[TrainingFinding]:
    """The first layer, in the order of the calls, that puts out NaN or infinity."""
    for row, shares in enumerate(history.non_finite_share):
        bad = np.flatnonzero(shares > 0)
        if len(bad):
            layer = history.layer_names[bad[0]]
            yield found("non_finite", layer, shares[bad[0]], 0.0, _when(history, row))
            return


def poor_initialization(history: ActivationHistory) -> Iterator[TrainingFinding]:
    """The spread of the initial outputs, over the depth of the hidden layers."""
    if not len(history.epochs) or history.epochs[0]:
        return
    std = {
        layer: history.std[0, column]
        for column, layer in enumerate(history.layer_names)
        if history.layers[layer].initializer not in ("", "Zeros")
        and layer not in history.outputs
        and not history.layers[layer].frozen  # someone trained it and chose its weights
    }
    std = {layer: value for layer, value in std.items() if np.isfinite(value)}
    if len(std) < 2 or min(std.values()) == max(std.values()):
        return
    least, most = min(std, key=std.__getitem__), max(std, key=std.__getitem__)
    ratio = std[most] / std[least] if std[least] else np.inf
    if ratio > STD_RATIO:
        worse = most if list(std).index(most) > list(std).index(least) else least
        yield found(
            "poor_initialization",
            worse,
            ratio,
            STD_RATIO,
            "the initial weights",
            "note",
        )


ACTIVATION_RULES: tuple[Callable, ...] = (
    dead_relu,
    saturation,
    one_answer,
    non_finite_output,
    poor_initialization,
)
