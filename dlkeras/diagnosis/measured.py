"""diagnose: from measurements to findings, each with its layer, its bound, a remedy."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np

from dlkeras.diagnosis.finding import TrainingFinding
from dlkeras.diagnosis.histories.gradient_history import GradientHistory
from dlkeras.diagnosis.rules.activations import ACTIVATION_RULES
from dlkeras.diagnosis.rules.gradients import (
    GRADIENT_RULES,
    SINGLE_SAMPLE_RULES,
    WINDOW,
)

# Of a long training so many samples say what is usual.
SPREAD = 512


def diagnose(
    *measurements: Any,
    rules: Collection[Callable[[GradientHistory], Iterable[TrainingFinding]]] = (),
) -> list[TrainingFinding]:
    """Say what is wrong with a training, from what the monitors have measured.

    RMS is a kernel's gradient norm over the root of its size (of an embedding: the rows
    that were looked up), the median of the first 24 samples; the output layer is left
    out.

    - `vanishing_gradient`: RMS of the first quarter of the layers below 1e-3 of that of
      the last, or one below 1e-7 and below 1e-3 of the network's largest [1].
    - `exploding_gradient`: the same ratio above 1e3, also in the first sample alone,
      where the first layers' RMS is above 10 times the output layer's; or a global
      norm above 1e3 times its start and above that of the weights [2].
    - `non_finite`: a NaN or infinity in an output, a gradient, a weight or the loss;
      under a dynamic loss scale in most of 16 and more samples, or at a scale below 1.
    - `dead_relu`: more than half of a layer's units are 0 for the whole probe; a
      note as long as only the initial weights have been seen, or if (below 90 %)
      the layer has fewer than 16 units, the probe gives fewer than 32 answers a unit,
      or no more than 75 % are dead and training has killed less than 25 % [3]. Of
      frozen layers neither this nor the next is said.
    - `saturation`: more than half of a hidden layer's outputs beyond 0.97 in size
      (tanh) or outside 0.03 to 0.97 (sigmoid); a note where it comes with training
      and the loss falls, as a network that has learned is sure of itself [1].
    - `update_ratio_small`: update over weight below 1e-5 in every kernel, at the start
      and later, where 1e-3 is usual; `update_ratio_large`: above 1e-2 in one
      (note) [4].
    - `poor_initialization`: the standard deviations of the initial outputs differ by
      more than 10 over depth, or the first gradients of the first and last quarter of
      layers by more than 100 (note) [1].
    - `learning_rate_too_large`: an epoch's loss above twice that of the first epoch
      while updates exceed 1e-2 of a kernel, or above twice that of the first step while
      they exceed 0.1 or the weights' norm has grown by half; steepest descent diverges
      beyond 2 / lambda_max [5].
    - `loss_not_decreasing`: 3 epochs later it is not 1 % lower (warning).
    - `overfitting`: validation loss 10 % above its minimum for all epochs from 3 after
      it, while the training loss falls (warning; a note where the answers are as good
      as they were) [6].
    - `one_answer`: the softmax at the end chooses one class for all of at least 32
      examples after two epochs, and the loss does not fall (warning).
    - `frozen_layer_moves`: weights of a layer with `trainable=False` changed (states
      of seeds may).
    - `no_gradient`: a kernel's gradient is exactly 0 in every sample.

    Args:
        *measurements: `GradientNormMonitor`, `ActivationMonitor`, or their `history`.
        rules: of your own, beside these: functions of a `GradientHistory` that give
            instances of `TrainingFinding`.

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
    findings: list[TrainingFinding] = []
    for source in measurements:
        history: Any = getattr(source, "history", source)
        if isinstance(history, GradientHistory):
            asked: Sequence[Callable] = (*GRADIENT_RULES, *rules)
        elif hasattr(history, "dead_share"):
            asked = ACTIVATION_RULES
        else:
            raise TypeError(
                "`diagnose` takes GradientNormMonitor, ActivationMonitor or their "
                f"`history`. Received: {source!r}"
            )
        for rule in asked:
            findings += rule(history)
    return sorted(findings, key=lambda finding: finding.rank)


def diagnose_new(history: GradientHistory, judged: int) -> list[TrainingFinding]:
    """As `diagnose`, at a cost that does not grow with the length of the training.

    Args:
        history: all that was measured.
        judged: the number of samples that an earlier diagnosis has seen. The rules
            that look for a single bad sample see the others; rules that look at what
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
    findings: list[TrainingFinding] = []
    for rule in GRADIENT_RULES:
        findings += rule(latest if rule in SINGLE_SAMPLE_RULES else usual)
    return sorted(findings, key=lambda finding: finding.rank)
