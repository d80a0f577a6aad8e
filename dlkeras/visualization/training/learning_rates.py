"""The figure of a learning-rate range test: loss over rate, and the suggested rate."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlkeras.visualization.figure import drawing, legend_below, new_figure, say
from dlkeras.visualization.inputs import numbers
from dlkeras.visualization.look.colours import BLUE, GREY, ORANGE
from dlkeras.visualization.look.scales import plain_steps


@drawing("title")
def learning_rate_range(
    rates: Any,
    losses: Sequence[float],
    smoothed: Sequence[float] | None = None,
    suggested: float | None = None,
    *,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw the loss over a learning rate that grows at each training step.

    Args:
        rates: the rates, `(steps,)`, each greater than the one before, as
            `LearningRateFinder.rates`.
        losses: the loss of each step's batch, `(steps,)`.
        smoothed: their running mean, `(steps,)`; by default it is not drawn.
        suggested: the rate to mark; by default none is.
        title: text above the figure; by default what it shows.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure; rates are on a logarithmic scale, the losses as dots, their running
        mean as a line. Losses far above the first are beyond the upper edge.

    Raises:
        ValueError: there is no rate, the lengths differ, a rate is not above 0 or not
            above the one before.
        TypeError: what is given are no numbers.

    Example:
    >>> figure = learning_rate_range([1e-3, 1e-2, 1e-1], [2.0, 1.0, 9.0])
    >>> figure.axes[0].get_xscale()
    'log'

    Reference:
        Smith, "Cyclical learning rates for training neural networks", WACV 2017,
        section 3.3.
    """
    x = numbers(rates, "rates", "(steps,)")
    y = numbers(losses, "losses", "(steps,)")
    line = None if smoothed is None else numbers(smoothed, "smoothed", "(steps,)")
    lengths = {v.shape for v in (x, y, line) if v is not None}
    if x.ndim != 1 or not x.size or len(lengths) != 1:
        raise ValueError(
            "rates, losses and smoothed must be of one length, at least 1. Received: "
            f"shapes {sorted(lengths)}"
        )
    if not (x > 0).all() or not (np.diff(x) > 0).all():
        raise ValueError(
            "rates must be above 0, each greater than the one before. Received: "
            f"{x.tolist()[:5]}"
        )
    default = say(
        language, "Loss as the learning rate grows", "Perda conforme a taxa cresce"
    )
    figure, axes = new_figure(6.4, 4.0, title or default, figsize=figsize, ax=ax)
    batch = say(language, "a batch", "um lote")
    axes.plot(x, y, ".", color=BLUE, alpha=0.35 if line is not None else 1, label=batch)
    if line is not None:
        mean = say(language, "running mean", "média móvel")
        axes.plot(x, line, color=BLUE, label=mean)
    if suggested is not None:
        found = say(language, "suggested", "sugerida")
        axes.axvline(
            suggested, color=ORANGE, linestyle="--", label=f"{found}: {suggested:.2g}"
        )
    axes.set_xscale("log")
    plain_steps(axes.xaxis)
    shown = (y if line is None else line)[np.isfinite(y if line is None else line)]
    if len(shown) and shown[0] > shown.min():  # the rise beyond hides the fall
        room = shown[0] - shown.min()
        top = min(float(shown.max()), float(shown[0] + 1.5 * room))
        axes.set_ylim(float(shown.min() - 0.2 * room), top + 0.1 * room)
    axes.set_xlabel(say(language, "learning rate", "taxa de aprendizagem"))
    axes.set_ylabel(say(language, "loss", "perda"))
    axes.grid(alpha=0.3, color=GREY)
    legend_below(figure, axes, fontsize=9)
    return figure
