"""Figures of a training run."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlkeras.visualization.figure import BLUE, GREY, ORANGE, new_figure


def learning_curves(history: Sequence[dict[str, float]]) -> Figure:
    """Draw loss and accuracy over the epochs, training beside validation.

    Args:
        history: for each epoch its metrics: `loss`, `val_loss`, and `accuracy` and
            `val_accuracy` where they were measured.

    Returns:
        A figure with one pair of axes for each metric; the epoch of the lowest
        validation loss is marked.

    Raises:
        ValueError: the history is empty.

    Example:
    >>> epoch = {"loss": 1.0, "val_loss": 1.2}
    >>> len(learning_curves([epoch, epoch]).axes)
    1
    """
    if not history:
        raise ValueError(f"history must have at least one epoch. Received: {history}")
    shown = {"loss": "cross-entropy loss", "accuracy": "accuracy"}
    shown = {name: label for name, label in shown.items() if name in history[0]}
    epochs = range(1, len(history) + 1)
    figure, axes = new_figure(
        4.5 * len(shown), 3.4, "Learning curves", ncols=len(shown), squeeze=False
    )
    validated = "val_loss" in history[0]
    for axis, (name, label) in zip(axes[0], shown.items(), strict=True):
        axis.plot(epochs, [e[name] for e in history], color=BLUE, label="training")
        if validated:
            values = [epoch[f"val_{name}"] for epoch in history]
            axis.plot(epochs, values, color=ORANGE, linestyle="--", label="validation")
            best = min(epochs, key=lambda epoch: history[epoch - 1]["val_loss"])
            axis.axvline(best, color=GREY, linewidth=0.8, linestyle=":")
            axis.annotate(
                f"best epoch {best}",
                (best, 0.5),
                xycoords=("data", "axes fraction"),
                rotation=90,
                ha="right",
                va="center",
                fontsize=8,
                color=GREY,
            )
        if name == "loss":
            axis.set_yscale("log")
        axis.set_xlabel("epoch")
        axis.set_ylabel(label)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    return figure
