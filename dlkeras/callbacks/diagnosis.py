"""diagnose: from measurements to findings, each with its layer, its bound, a remedy."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkeras.callbacks.finding import Finding, found
from dlkeras.callbacks.history import GradientHistory

if TYPE_CHECKING:
    from dlkeras.callbacks.activation import ActivationHistory

# The first so many samples are judged: later a training that has converged may have
# gradients as small as it likes.
WINDOW = 24
# Of a long training so many samples say what is usual.
SPREAD = 512
VANISHING_RATIO, VANISHING_RMS, EXPLODING_RATIO = 1e-3, 1e-7, 1e3
DEAD_SHARE = SATURATED_SHARE = 0.5
SMALL_UPDATE, LARGE_UPDATE = 1e-5, 1e-2
STD_RATIO = 10.0
SATURATED_LOSS = 0.9
LOSS_GROWTH, LOSS_FALL, OVERFITTING_GROWTH, PATIENCE = 2.0, 0.99, 1.1, 3


def diagnose(*measurements: Any) -> list[Finding]:
    """Say what is wrong with a training, from what the monitors have measured.

    RMS is a kernel's gradient norm over the root of its size, the median of the first
    24 samples; the output layer is left out.

    - `vanishing_gradient`: RMS of the first quarter of the layers below 1e-3 of that of
      the last, or one below 1e-7 and below 1e-3 of the network's largest [1].
    - `exploding_gradient`: the same ratio above 1e3, also in the first sample alone,
      or a global norm above 1e3 times its start [2].
    - `non_finite`: a NaN or infinity in an output, a gradient, a weight or the loss.
    - `dead_relu`: more than half of a layer's units are 0 for the whole probe; a
      warning as long as only the initial weights have been seen [3].
    - `saturation`: more than half of a hidden layer's outputs beyond 0.97 in size
      (tanh) or outside 0.03 to 0.97 (sigmoid); a warning where it comes with training
      and the loss falls, as a network that has learned is sure of itself [1].
    - `update_ratio_small`: update over weight below 1e-5 in every kernel, where 1e-3 is
      usual; `update_ratio_large`: above 1e-2 in one (warning) [4].
    - `poor_initialization`: the standard deviations of the initial outputs differ by
      more than 10 over depth (warning) [1].
    - `learning_rate_too_large`: an epoch's loss above twice the first loss; steepest
      descent diverges beyond 2 / lambda_max [5].
    - `loss_not_decreasing`: 3 epochs later it is not 1 % lower (warning).
    - `overfitting`: validation loss 10 % above its minimum for all epochs from 3 after
      it, while the training loss falls (warning) [6].
    - `frozen_layer_moves`: weights of a layer with `trainable=False` changed.
    - `no_gradient`: a kernel's gradient is exactly 0 in every sample.

    Args:
        *measurements: `GradientNormMonitor`, `ActivationMonitor`, or their `history`.

    Returns:
        The findings, errors first. An empty list: nothing was found.

    Raises:
        TypeError: for anything else.

    Example:
    >>> from dlkeras.callbacks import GradientNormMonitor, diagnose
    >>> diagnose(GradientNormMonitor())
    []

    Reference:
        - [1] Glorot and Bengio, AISTATS 2010: figures 2 to 4 and 7, equation 10.
        - [2] Pascanu, Mikolov and Bengio, ICML 2013.
        - [3] The lecture, after Geron: "half of your network's neurons are dead".
        - [4] Karpathy, CS231n, "Neural networks 3": ratio of weights to updates.
        - [5] Haykin, "Adaptive filter theory": stability of steepest descent.
        - [6] Prechelt, "Early stopping, but when?", 1998.
    """
    findings: list[Finding] = []
    for source in measurements:
        history: Any = getattr(source, "history", source)
        if isinstance(history, GradientHistory):
            rules: Sequence[Callable] = GRADIENT_RULES
        elif hasattr(history, "dead_share"):
            rules = ACTIVATION_RULES
        else:
            raise TypeError(
                "`diagnose` takes GradientNormMonitor, ActivationMonitor or their "
                f"`history`. Received: {source!r}"
            )
        for rule in rules:
            findings += rule(history)
    return sorted(findings, key=lambda finding: finding.severity)


def diagnose_new(history: GradientHistory, judged: int) -> list[Finding]:
    """As `diagnose`, at a cost that does not grow with the length of the training.

    Args:
        history: all that was measured.
        judged: the number of samples that an earlier diagnosis has seen. The rules
            that look for a single bad sample see the others; those that look at what
            is usual see up to 512 samples of the whole training.

    Returns:
        The findings, errors first.
    """
    number = len(history)
    first = np.arange(min(WINDOW, number))
    new = np.arange(min(judged, number), number)
    spread = np.linspace(0, number - 1, min(number, SPREAD)).astype(int)
    latest = history.samples(np.union1d(first, new))
    usual = history.samples(np.union1d(first, spread))
    findings: list[Finding] = []
    for rule in GRADIENT_RULES:
        findings += rule(latest if rule in SINGLE_SAMPLE_RULES else usual)
    return sorted(findings, key=lambda finding: finding.severity)


def hidden_kernels(history: GradientHistory) -> list[int]:
    """Columns of the kernels in order of depth, without the output layer's."""
    kernels = [i for i, rank in enumerate(history.ranks) if rank >= 2]
    if not kernels:
        return []
    last = history.variables[kernels[-1]][0]
    return [i for i in kernels if history.variables[i][0] != last]


def median_rms(history: GradientHistory, samples: int = WINDOW) -> np.ndarray:
    """Median RMS of every variable's gradient over the first samples."""
    with np.errstate(all="ignore"):
        rms = history.gradient_norm[:samples] / np.sqrt(history.sizes)
    finite = np.where(np.isfinite(rms), rms, np.nan)
    empty = np.isnan(finite).all(0)
    medians = np.nanmedian(np.where(empty, 0, finite), 0)
    return np.where(empty, np.nan, medians)


def _first_step(history: GradientHistory) -> str:
    return f"step {history.steps[0]}"


def first_to_last(rms: np.ndarray) -> float:
    """Median RMS of the first quarter of layers over that of the last quarter."""
    quarter = max(1, len(rms) // 4)
    return float(np.median(rms[:quarter]) / np.median(rms[-quarter:]))


def gradient_over_depth(history: GradientHistory) -> Iterator[Finding]:
    """Vanishing and exploding from the last layers to the first."""
    columns = np.array(hidden_kernels(history), int)
    if not len(history) or len(columns) < 2:
        return
    since, exploding = _first_step(history), 0.0
    for samples in (1, WINDOW):  # after a first, huge step all units may be saturated
        rms = median_rms(history, samples)[columns]
        usable = np.isfinite(rms) & (rms > 0)
        if usable.sum() >= 2:
            exploding = max(exploding, first_to_last(rms[usable]))
    first = history.variables[columns[0]][0]
    if exploding > EXPLODING_RATIO:
        yield found("exploding_gradient", first, exploding, EXPLODING_RATIO, since)
        return
    columns, rms = columns[usable], rms[usable]
    if len(rms) < 2:
        return
    ratio, largest = first_to_last(rms), np.nanmax(median_rms(history))
    if ratio < VANISHING_RATIO:
        first = history.variables[columns[0]][0]
        yield found("vanishing_gradient", first, ratio, VANISHING_RATIO, since)
    elif rms.min() < min(VANISHING_RMS, 1e-3 * largest):
        least = history.variables[columns[int(np.argmin(rms))]][0]
        yield found("vanishing_gradient", least, rms.min(), VANISHING_RMS, since)


def gradient_over_time(history: GradientHistory) -> Iterator[Finding]:
    """A norm that has grown a thousandfold since the start."""
    norm = history.global_norm
    start = norm[:5][np.isfinite(norm[:5])]
    if not len(start) or np.median(start) == 0:
        return
    growth = norm / np.median(start)
    high = np.flatnonzero(np.isfinite(growth) & (growth > EXPLODING_RATIO))
    if len(high):
        step = f"step {history.steps[high[0]]}"
        rows = history.per_layer("gradient_norm")[high[0]]
        layer = history.layer_names[int(np.nanargmax(rows))]
        value = growth[high[0]]
        yield found("exploding_gradient", layer, value, EXPLODING_RATIO, step)


def non_finite_gradient(history: GradientHistory) -> Iterator[Finding]:
    """NaN or infinity in gradients, weights or the loss: the first layer and step."""
    weights = ~np.isfinite(history.weight_norm) & ~np.isnan(history.sizes)
    weights &= ~np.isnan(history.values[:, 3])  # a variable that was not measured yet
    gradients = history.non_finite_share > 0
    if history.dynamic_loss_scale and gradients.any(1).mean() < 0.5:
        gradients = np.zeros_like(gradients)  # such steps are skipped, on purpose
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


def update_ratio(history: GradientHistory) -> Iterator[Finding]:
    """Updates too small for anything to be learned, or so large that it is lost."""
    columns = [i for i, rank in enumerate(history.ranks) if rank >= 2]
    ratios = history.update_ratio[:, columns]
    ratios = np.where(np.isfinite(ratios), ratios, np.nan)
    seen = ~np.isnan(ratios).all(1)
    if not seen.any():
        return
    largest = np.quantile(np.nanmax(ratios[seen], 1), 0.75)
    since = _first_step(history)
    if largest < SMALL_UPDATE:
        yield found("update_ratio_small", "", largest, SMALL_UPDATE, since)
    for column, values in zip(columns, ratios.T, strict=True):
        values = values[~np.isnan(values)]
        if len(values) and np.median(values) > LARGE_UPDATE:
            layer, value = history.variables[column][0], np.median(values)
            yield found(
                "update_ratio_large", layer, value, LARGE_UPDATE, since, warn=True
            )


def no_gradient(history: GradientHistory) -> Iterator[Finding]:
    """A kernel whose gradient is exactly 0 in every sample."""
    if len(history) < 3:
        return
    for column, (layer, _) in enumerate(history.variables):
        share = history.zero_share[:, column]
        if history.ranks[column] >= 2 and (share[~np.isnan(share)] == 1).all():
            yield found("no_gradient", layer, 1.0, 1.0, _first_step(history))


def frozen_layer_moves(history: GradientHistory) -> Iterator[Finding]:
    """Weights that changed although their layer is frozen."""
    first: dict[str, int] = {}
    for epoch, layer in history.frozen_moved:
        first.setdefault(layer, epoch)
    for layer, epoch in first.items():
        yield found("frozen_layer_moves", layer, 1.0, 0.0, f"epoch {epoch + 1}")


def loss_over_epochs(history: GradientHistory) -> Iterator[Finding]:
    """Divergence, no progress, overfitting."""
    loss = np.array([logs.get("loss", np.nan) for logs in history.epoch_logs])
    if not len(loss) or not np.isfinite(loss[0]):
        return
    begin = loss[0]
    if len(history) and history.steps[0] == 1 and np.isfinite(history.loss[0]):
        begin = history.loss[0]
    high = np.flatnonzero(loss > LOSS_GROWTH * begin) if begin > 0 else []
    if len(high):
        value, since = loss[high[0]] / begin, f"epoch {high[0] + 1}"
        yield found("learning_rate_too_large", "", value, LOSS_GROWTH, since)
    if len(loss) > PATIENCE and np.nanmin(loss[1:]) > LOSS_FALL * loss[0] > 0:
        value = np.nanmin(loss[1:]) / loss[0]
        yield found("loss_not_decreasing", "", value, LOSS_FALL, "epoch 1", warn=True)
    held = np.array([logs.get("val_loss", np.nan) for logs in history.epoch_logs])
    if np.isfinite(held).all() and len(held) > PATIENCE:
        best = int(np.argmin(held))
        late = held[best + PATIENCE :]
        falls = loss[-1] < loss[best]
        if falls and len(late) and late.min() > OVERFITTING_GROWTH * held[best] > 0:
            value, since = late.min() / held[best], f"epoch {best + 1}"
            yield found("overfitting", "", value, OVERFITTING_GROWTH, since, warn=True)


def _when(history: "ActivationHistory", row: int) -> str:
    epoch = history.epochs[row]
    return f"epoch {epoch}" if epoch else "the initial weights"


def dead_relu(history: "ActivationHistory") -> Iterator[Finding]:
    """Layers of which most units are 0 on the whole probe, now."""
    for column, layer in enumerate(history.layer_names):
        share = history.dead_share[:, column]
        if len(share) and share[-1] > DEAD_SHARE:
            below = np.flatnonzero(~(share > DEAD_SHARE))
            since = _when(history, below[-1] + 1 if len(below) else 0)
            warn = not history.epochs[-1]  # of initial weights, training may wake them
            yield found("dead_relu", layer, share[-1], DEAD_SHARE, since, warn=warn)


def saturation(history: "ActivationHistory") -> Iterator[Finding]:
    """Layers whose outputs lie mostly where the activation is flat.

    A network that has learned is sure of itself: saturation that comes with training is
    an error only while the loss does not fall.
    """
    losses = history.loss[np.isfinite(history.loss)]
    stuck = bool(len(losses) > 1 and losses[-1] > SATURATED_LOSS * losses[0] > 0)
    for column, layer in enumerate(history.layer_names):
        high = np.flatnonzero(history.saturated_share[:, column] > SATURATED_SHARE)
        softmax = history.layers[layer].activation == "softmax"
        if len(high) and layer not in history.outputs and not softmax:
            value = history.saturated_share[high[0], column]
            since = _when(history, high[0])
            warn = bool(history.epochs[high[0]] > 0) and not stuck
            yield found("saturation", layer, value, SATURATED_SHARE, since, warn=warn)


def non_finite_output(history: "ActivationHistory") -> Iterator[Finding]:
    """The first layer, in the order of the calls, that puts out NaN or infinity."""
    for row, shares in enumerate(history.non_finite_share):
        bad = np.flatnonzero(shares > 0)
        if len(bad):
            layer = history.layer_names[bad[0]]
            yield found("non_finite", layer, shares[bad[0]], 0.0, _when(history, row))
            return


def poor_initialization(history: "ActivationHistory") -> Iterator[Finding]:
    """The spread of the initial outputs, over the depth of the hidden layers."""
    if not len(history.epochs) or history.epochs[0]:
        return
    std = {
        layer: history.std[0, column]
        for column, layer in enumerate(history.layer_names)
        if history.layers[layer].initializer and layer not in history.outputs
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
            warn=True,
        )


GRADIENT_RULES: tuple[Callable, ...] = (
    gradient_over_depth,
    gradient_over_time,
    non_finite_gradient,
    update_ratio,
    no_gradient,
    frozen_layer_moves,
    loss_over_epochs,
)
SINGLE_SAMPLE_RULES = frozenset({gradient_over_time, non_finite_gradient})
ACTIVATION_RULES: tuple[Callable, ...] = (
    dead_relu,
    saturation,
    non_finite_output,
    poor_initialization,
)
