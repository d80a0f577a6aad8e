"""The rules of `diagnose` for what GradientNormMonitor measures."""

from collections.abc import Callable, Iterator

import numpy as np

from dlkeras.diagnosis.finding import TrainingFinding, found
from dlkeras.diagnosis.histories.gradient_history import GradientHistory

# The first so many samples are judged: later a training that has converged may have
# gradients as small as it likes.
WINDOW = 24
VANISHING_RATIO, VANISHING_RMS, EXPLODING_RATIO = 1e-3, 1e-7, 1e3
BACKWARD_RATIO, OUTPUT_RATIO = 100.0, 10.0
SMALL_UPDATE, LARGE_UPDATE, HUGE_UPDATE = 1e-5, 1e-2, 0.1
LOSS_GROWTH, LOSS_FALL, OVERFITTING_GROWTH, PATIENCE = 2.0, 0.99, 1.1, 3
WEIGHT_GROWTH, WORSE_ANSWERS = 1.5, 0.02
# A loss scale of 2^15, Keras's first one, is below 1 after so many halvings.
HALVINGS = 16
NO_KERNELS = ("bias", "alpha", "beta", "gamma")


def kernels(history: GradientHistory) -> list[int]:
    """Columns of what multiplies: a bias of attention heads has two axes, too."""
    return [
        column
        for column, (rank, (_, name)) in enumerate(
            zip(history.ranks, history.variables, strict=True)
        )
        if rank >= 2 and not name.endswith(NO_KERNELS)
    ]


def hidden_kernels(history: GradientHistory) -> list[int]:
    """Columns of the kernels in order of depth, without the output layer's."""
    columns = kernels(history)
    if not columns:
        return []
    last = history.variables[columns[-1]][0]
    return [i for i in columns if history.variables[i][0] != last]


def median_rms(history: GradientHistory, samples: int = WINDOW) -> np.ndarray:
    """Median RMS of every variable's gradient over the first samples.

    Of an embedding the rows that the batch has looked up count; without their share it
    is left out.
    """
    entries = np.broadcast_to(history.sizes, history.gradient_norm.shape).copy()
    for column, (layer, _) in enumerate(history.variables):
        if layer in history.layers and history.layers[layer].kind == "Embedding":
            entries[:, column] *= 1 - history.zero_share[:, column]
    with np.errstate(all="ignore"):
        rms = history.gradient_norm[:samples] / np.sqrt(entries[:samples])
    if not len(rms):
        return np.full(rms.shape[1], np.nan)
    # As `np.nanmedian`, which takes a column after the other.
    ordered = np.sort(np.where(np.isfinite(rms), rms, np.nan), 0)  # NaN comes last
    count = (~np.isnan(ordered)).sum(0)
    middle = np.stack([np.maximum(count - 1, 0) // 2, count // 2])
    with np.errstate(over="ignore"):
        return np.take_along_axis(ordered, middle, 0).mean(0)


def first_to_last(rms: np.ndarray) -> float:
    """Median RMS of the first quarter of layers over that of the last quarter."""
    quarter = max(1, len(rms) // 4)
    return float(np.median(rms[:quarter]) / np.median(rms[-quarter:]))


def gradient_over_depth(history: GradientHistory) -> Iterator[TrainingFinding]:
    """Vanishing and exploding from the last layers to the first."""
    columns = np.array(hidden_kernels(history), int)
    if not len(history) or len(columns) < 2:
        return
    since, ratios, exploding = f"step {history.steps[0]}", [1.0], 0.0
    outputs = [i for i in kernels(history) if i not in columns]
    for samples in (WINDOW, 1):  # after a first, huge step all units may be saturated
        everywhere = median_rms(history, samples)
        rms = everywhere[columns]
        rms = rms[np.isfinite(rms) & (rms > 0)]
        if len(rms) < 2:
            continue
        ratios.append(first_to_last(rms))
        # The last hidden kernels may be those of a gate, beside the way of the signal.
        grown = np.median(rms[: max(1, len(rms) // 4)])
        if not (grown <= OUTPUT_RATIO * everywhere[outputs]).any():
            exploding = max(exploding, ratios[-1])
    first = history.variables[columns[0]][0]
    if exploding > EXPLODING_RATIO:
        yield found("exploding_gradient", first, exploding, EXPLODING_RATIO, since)
        return
    rms = median_rms(history)[columns]
    usable = np.isfinite(rms) & (rms > 0)
    if usable.sum() < 2:
        return
    columns, rms = columns[usable], rms[usable]
    ratio, largest = first_to_last(rms), np.nanmax(median_rms(history))
    if ratio < VANISHING_RATIO:
        first = history.variables[columns[0]][0]
        yield found("vanishing_gradient", first, ratio, VANISHING_RATIO, since)
    elif rms.min() < min(VANISHING_RMS, 1e-3 * largest):
        least = history.variables[columns[int(np.argmin(rms))]][0]
        yield found("vanishing_gradient", least, rms.min(), VANISHING_RMS, since)
    elif history.steps[0] == 1:
        uneven = max(ratios[-1], 1 / ratios[-1])
        if uneven > BACKWARD_RATIO:
            name = "poor_initialization"
            yield found(name, first, uneven, BACKWARD_RATIO, since, "note")


def gradient_over_time(history: GradientHistory) -> Iterator[TrainingFinding]:
    """A norm that has grown a thousandfold since the start.

    Where hardly an example is wrong any more, a wrong one does that, too: such a
    gradient is not longer than the weights.
    """
    norm = history.global_norm
    start = norm[:5][np.isfinite(norm[:5])]
    if (
        "weight_norm" not in history.quantities
        or not len(start)
        or np.median(start) == 0
    ):
        return
    growth = norm / np.median(start)
    with np.errstate(invalid="ignore", over="ignore"):
        weights = np.sqrt(np.nansum(np.square(history.weight_norm), 1))
        large = (growth > EXPLODING_RATIO) & ~(norm <= weights)
    high = np.flatnonzero(np.isfinite(growth) & large)
    if len(high):
        step = f"step {history.steps[high[0]]}"
        rows = history.per_layer("gradient_norm")[high[0]]
        layer = history.layer_names[int(np.nanargmax(rows))]
        value = growth[high[0]]
        yield found("exploding_gradient", layer, value, EXPLODING_RATIO, step)


def non_finite_gradient(history: GradientHistory) -> Iterator[TrainingFinding]:
    """NaN or infinity in gradients, weights or the loss: the first layer and step."""
    weights: np.ndarray = np.asarray(~np.isfinite(history.weight_norm))
    weights &= "weight_norm" in history.quantities
    weights &= ~np.isnan(history.values[:, 4])  # not those not measured yet
    gradients: np.ndarray = np.asarray(history.non_finite_share > 0)
    if history.dynamic_loss_scale:  # too large a scale: skipped, on purpose
        mostly = len(history) >= HALVINGS and gradients.any(1).mean() >= 0.5
        if not (mostly or (gradients.any(1) & (history.loss_scale < 1)).any()):
            gradients = np.zeros_like(gradients)
    bad = np.flatnonzero((weights | gradients).any(1))
    if len(bad):
        row = bad[0]
        first = np.flatnonzero(weights[row] if weights[row].any() else gradients[row])
        layer = history.variables[first[0]][0]
        share = np.nanmax(history.non_finite_share[row])
        yield found("non_finite", layer, share, 0.0, f"step {history.steps[row]}")
        return
    for epoch, logs in enumerate(history.epoch_logs):
        if not np.isfinite(logs.get("loss", 0.0)):
            yield found("non_finite", "", logs["loss"], 0.0, f"epoch {epoch + 1}")
            return


def _update_ratios(history: GradientHistory) -> np.ndarray:
    """`(samples, kernels)`; NaN where a step was skipped, or there is no weight yet."""
    ratios = history.update_ratio[:, kernels(history)]
    skipped = np.any(history.non_finite_share > 0, axis=1)
    return np.where(np.isfinite(ratios) & ~skipped[:, None], ratios, np.nan)


def update_ratio(history: GradientHistory) -> Iterator[TrainingFinding]:
    """Updates too small for anything to be learned, or so large that it is lost.

    Small from the start: at the end a network that has learned hardly moves.
    """
    ratios = _update_ratios(history)
    seen = ratios[~np.isnan(ratios).all(1)]
    if not len(seen):
        return
    largest = np.nanmax(seen, 1)
    usual = max(np.quantile(rows, 0.75) for rows in (largest, largest[:WINDOW]))
    since = f"step {history.steps[0]}"
    if usual < SMALL_UPDATE:
        yield found("update_ratio_small", "", usual, SMALL_UPDATE, since)
    for column, values in zip(kernels(history), ratios.T, strict=True):
        values = values[~np.isnan(values)]
        if len(values) and np.median(values) > LARGE_UPDATE:
            layer, value = history.variables[column][0], np.median(values)
            yield found("update_ratio_large", layer, value, LARGE_UPDATE, since, "note")


def no_gradient(history: GradientHistory) -> Iterator[TrainingFinding]:
    """A kernel whose gradient is exactly 0 in every sample."""
    if len(history) < 3:
        return
    for column in kernels(history):
        norm, layer = history.gradient_norm[:, column], history.variables[column][0]
        norm = norm[~np.isnan(norm)]
        if len(norm) and (norm == 0).all():
            since = f"step {history.steps[0]}"
            yield found("no_gradient", layer, 1.0, 1.0, since)


def frozen_layer_moves(history: GradientHistory) -> Iterator[TrainingFinding]:
    """Weights that changed although their layer is frozen."""
    first: dict[str, int] = {}
    for epoch, layer in history.frozen_moved:
        first.setdefault(layer, epoch)
    for layer, epoch in first.items():
        yield found("frozen_layer_moves", layer, 1.0, 0.0, f"epoch {epoch + 1}")


def _epoch_losses(history: GradientHistory, name: str = "loss") -> np.ndarray:
    return np.array([logs.get(name, np.nan) for logs in history.epoch_logs], float)


def learning_rate(history: GradientHistory) -> Iterator[TrainingFinding]:
    """A loss that has doubled, and steps large enough to have done it.

    The loss of a first, small batch may be low by chance: that the mean of an epoch is
    twice as high says something only if the weights were thrown about.
    """
    loss = _epoch_losses(history)
    if not len(loss) or not np.isfinite(loss[0]):
        return
    if (loss <= 0).any() or (history.loss <= 0).any():
        return  # a loss of either sign has no ratios
    moved, grown = np.inf, False
    if len(history):
        ratios, weights = _update_ratios(history), history.weight_norm
        moved = np.nanmax(ratios) if np.isfinite(ratios).any() else 0.0
        with np.errstate(invalid="ignore", over="ignore"):
            length = np.sqrt(np.nansum(np.square(weights), axis=1))
        grown = bool(np.any(length > WEIGHT_GROWTH * length[0]))
    begins = [loss[0]] if moved > LARGE_UPDATE or grown else []
    if len(history) and history.steps[0] == 1 and (moved > HUGE_UPDATE or grown):
        begins += [history.loss[0]] if np.isfinite(history.loss[0]) else []
    if begins:
        high = np.flatnonzero(loss > LOSS_GROWTH * min(begins))
        if len(high):
            value, since = loss[high[0]] / min(begins), f"epoch {high[0] + 1}"
            yield found("learning_rate_too_large", "", value, LOSS_GROWTH, since)


def _answers_worse(history: GradientHistory, best: int) -> bool:
    """Whether the answers became worse, not only less modest about their errors."""
    held = [n for n in history.epoch_logs[-1] if n.startswith("val_") and "acc" in n]
    scores = _epoch_losses(history, held[0]) if held else np.zeros(0)
    if not len(scores):
        return True
    # A small validation split goes up and down by some examples.
    return bool(np.median(scores[best + PATIENCE :]) < scores[best] - WORSE_ANSWERS)


def loss_over_epochs(history: GradientHistory) -> Iterator[TrainingFinding]:
    """No progress, overfitting."""
    loss = _epoch_losses(history)
    if not len(loss) or not np.isfinite(loss[0]):
        return
    if len(loss) > PATIENCE and np.nanmin(loss[1:]) > LOSS_FALL * loss[0] > 0:
        value = np.nanmin(loss[1:]) / loss[0]
        name = "loss_not_decreasing"
        yield found(name, "", value, LOSS_FALL, "epoch 1", "warning")
    held = _epoch_losses(history, "val_loss")
    if np.isfinite(held).all() and len(held) > PATIENCE:
        best = int(np.argmin(held))
        late = held[best + PATIENCE :]
        falls = loss[-1] < loss[best]
        if falls and len(late) and late.min() > OVERFITTING_GROWTH * held[best] > 0:
            value, since = late.min() / held[best], f"epoch {best + 1}"
            severity = "warning" if _answers_worse(history, best) else "note"
            yield found("overfitting", "", value, OVERFITTING_GROWTH, since, severity)


GRADIENT_RULES: tuple[Callable, ...] = (
    gradient_over_depth,
    gradient_over_time,
    non_finite_gradient,
    update_ratio,
    no_gradient,
    frozen_layer_moves,
    learning_rate,
    loss_over_epochs,
)
# These look for one bad sample; the others look at what is usual.
SINGLE_SAMPLE_RULES = frozenset({gradient_over_time, non_finite_gradient})
