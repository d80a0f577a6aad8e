"""Figures of a training run."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlkeras.visualization.figure import (
    BLUE,
    GREY,
    ORANGE,
    in_language,
    new_figure,
    say,
)


def learning_curves(
    history: Sequence[Mapping[str, float]] | Mapping[str, Sequence[float]],
    *,
    loss_label: str | None = None,
    title: str | None = None,
    language: str = "en",
) -> Figure:
    """Draw loss and accuracy over the epochs, training beside validation.

    Args:
        history: for each epoch its metrics, or for each metric its epochs as
            `History.history` of Keras has them: `loss`, and `val_loss`, `accuracy`
            and `val_accuracy` where they were measured.
        loss_label: what the loss measures, with its unit; by default cross-entropy.
        title: text above the figure; by default "Learning curves".
        language: `"en"` or `"pt"`.

    Returns:
        A figure with one pair of axes for each metric; the epoch of the lowest
        validation loss is marked.

    Raises:
        ValueError: the history is empty, or the language unknown.

    Example:
    >>> epoch = {"loss": 1.0, "val_loss": 1.2}
    >>> len(learning_curves([epoch, epoch]).axes)
    1
    >>> keras_history = {"loss": [1.0, 0.5], "accuracy": [0.6, 0.8]}
    >>> len(learning_curves(keras_history, language="pt").axes)
    2
    """
    if isinstance(history, Mapping):
        rows = zip(*history.values(), strict=True)
        history = [dict(zip(history, row, strict=True)) for row in rows]
    if not history:
        raise ValueError(f"history must have at least one epoch. Received: {history}")
    cross_entropy = say(
        language, "cross-entropy loss (nats)", "perda de entropia cruzada (nats)"
    )
    shown = {
        "loss": loss_label or cross_entropy,
        "accuracy": say(language, "accuracy", "acurácia"),
    }
    shown = {name: label for name, label in shown.items() if name in history[0]}
    epochs = range(1, len(history) + 1)
    figure, axes = new_figure(
        4.5 * len(shown),
        3.4,
        title or say(language, "Learning curves", "Curvas de aprendizagem"),
        ncols=len(shown),
        squeeze=False,
    )
    names = {
        "training": say(language, "training", "treinamento"),
        "validation": say(language, "validation", "validação"),
        "best": say(language, "best epoch", "melhor época"),
    }
    for axis, (name, label) in zip(axes[0], shown.items(), strict=True):
        drawn = [e[name] for e in history]
        axis.plot(epochs, drawn, color=BLUE, label=names["training"])
        if f"val_{name}" in history[0]:
            values = [epoch[f"val_{name}"] for epoch in history]
            axis.plot(
                epochs, values, color=ORANGE, linestyle="--", label=names["validation"]
            )
        if "val_loss" in history[0]:
            best = min(epochs, key=lambda epoch: history[epoch - 1]["val_loss"])
            axis.axvline(best, color=GREY, linewidth=0.8, linestyle=":")
            axis.annotate(
                f"{names['best']} {best}",
                (best, 1.01),  # above the frame, where no curve runs through it
                xycoords=("data", "axes fraction"),
                ha="center",
                va="bottom",
                fontsize=8,
                color=GREY,
            )
        if name == "loss":
            axis.set_yscale("log")
        axis.set_xlabel(say(language, "epoch", "época"))
        axis.set_ylabel(label)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    return in_language(figure, language)
