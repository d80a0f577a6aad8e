"""The figure of a training run: its loss and its metrics, epoch by epoch."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlkeras.visualization.figure import drawing, new_figure, say
from dlkeras.visualization.inputs import detached, numbers, received
from dlkeras.visualization.look.colours import BLUE, GREY, ORANGE
from dlkeras.visualization.look.scales import logarithmic, whole_numbers
from dlkeras.visualization.look.sizes import legible
from dlkeras.visualization.training.loss_label import loss_label as label_of

_COLUMNS = 3  # panels in a row


@drawing()
def learning_curves(
    history: Any,
    *,
    loss_label: str | None = None,
    validation_freq: int | Sequence[int] | None = None,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw loss and metrics over the epochs, training beside validation.

    Args:
        history: what `fit` returned, or its `history`; for each epoch its metrics; or
            a pandas frame of them, such as one of `CSVLogger`. Every metric is drawn
            beside its `val_` one.
        loss_label: what the loss measures, with its unit; by default what the model of
            `fit`'s History was compiled with, else "loss".
        validation_freq: as in `fit`, where validation has fewer values than there are
            epochs and they do not tell.
        title: text above the figure; by default "Learning curves".
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        A figure with one pair of axes for each metric; the epoch of the lowest
        validation loss is marked, and with a cross each one of NaN or infinity. The
        loss is drawn on a logarithmic scale where it is positive.

    Raises:
        ValueError: the history is empty, its metrics are not of one length, or the
            language unknown.
        TypeError: it is no history, or holds other things than numbers.

    Example:
    >>> epoch = {"loss": 1.0, "val_loss": 1.2}
    >>> len(learning_curves([epoch, epoch]).axes)
    1
    >>> keras_history = {"loss": [1.0, 0.5], "accuracy": [0.6, 0.8]}
    >>> len(learning_curves(keras_history, language="pt").axes)
    2
    """
    metrics = _metrics(history)
    count = max(len(values) for values in metrics.values())
    curves = {n: _curve(n, v, count, validation_freq) for n, v in metrics.items()}
    shown = list(dict.fromkeys(name.removeprefix("val_") for name in curves))
    shown.sort(key=lambda name: {"loss": 0, "accuracy": 1}.get(name, 2))
    compiled = getattr(getattr(history, "model", None), "loss", None)
    labels = {
        "loss": loss_label or label_of(compiled, language),
        "accuracy": say(language, "accuracy", "acurácia"),
        "learning_rate": say(language, "learning rate", "taxa de aprendizagem"),
    }
    columns = min(len(shown), _COLUMNS)
    rows = -(-len(shown) // columns)
    figure, axes = new_figure(
        min(4.5, 9 / columns) * columns,  # letters of 10 points: read on a phone
        min(3.1, 9 / columns) * rows + 0.3,
        title or say(language, "Learning curves", "Curvas de aprendizagem"),
        figsize=figsize,
        ax=ax,
        nrows=rows,
        ncols=columns,
        squeeze=False,
    )
    training = say(language, "training", "treinamento")
    validation = say(language, "validation", "validação")
    for axis in axes.flat[len(shown) :]:
        axis.remove()
    for axis, name in zip(axes.flat, shown, strict=False):
        if name in curves:
            _draw(axis, curves[name], color=BLUE, label=training)
        if f"val_{name}" in curves:
            _draw(
                axis, curves[f"val_{name}"], color=ORANGE, linestyle="--",
                label=validation,
            )  # fmt: skip
        _mark_broken(axis, [curves.get(name), curves.get(f"val_{name}")], language)
        if "val_loss" in curves:
            _mark_best(axis, curves["val_loss"], language)
        drawn = np.concatenate([line.get_ydata() for line in axis.lines[:2]])
        positive = np.isfinite(drawn).any() and np.nanmin(drawn) > 0
        if name == "loss" and positive:
            logarithmic(axis)
        axis.set_xlabel(say(language, "epoch", "época"))
        axis.set_ylabel(labels.get(name, name))
        whole_numbers(axis, 1, count)
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    return figure


def _metrics(history: Any) -> dict[str, Any]:
    """For each metric its values, of whatever a history may be."""
    history = getattr(history, "history", history)  # what `fit` returns
    if hasattr(history, "to_dict") and hasattr(history, "columns"):  # a frame
        history = history.to_dict("list")
    if isinstance(history, Sequence) and not isinstance(history, str):
        if not all(isinstance(epoch, Mapping) for epoch in history):
            raise TypeError(
                "history must have a dictionary of metrics for each epoch. Received: "
                f"{received(next(e for e in history if not isinstance(e, Mapping)))}"
            )
        known = dict.fromkeys(name for epoch in history for name in epoch)
        history = {n: [epoch.get(n, math.nan) for epoch in history] for n in known}
    if not isinstance(history, Mapping):
        raise TypeError(
            "history must be fit's History, a dictionary of metrics, a frame, or a "
            f"dictionary for each epoch. Received: {received(history)}"
        )
    metrics = {n: v for n, v in history.items() if n not in ("epoch", "Unnamed: 0")}
    if not metrics or any(np.shape(detached(v))[:1] == (0,) for v in metrics.values()):
        raise ValueError(
            "history must have at least one epoch, of each metric a value. "
            f"Received: {dict(history)}"
        )
    return {
        str(name): numbers(values, f"history[{name!r}]", "a number an epoch", axes=1)
        for name, values in metrics.items()
    }


def _curve(name: str, values: Any, epochs: int, validation_freq: Any) -> tuple:
    """At which epochs a metric was measured, and what was."""
    count, every = len(values), validation_freq
    if count == epochs:
        return np.arange(1, epochs + 1), values.astype(float)
    if every is None:
        fits = [k for k in range(2, epochs + 1) if epochs // k == count]
        every = fits[0] if len(fits) == 1 else None
    places = every if np.iterable(every) else range(every or 1, epochs + 1, every or 1)
    places = np.array([place for place in places if place <= epochs])
    if len(places) != count or not name.startswith("val_"):
        raise ValueError(
            f"history[{name!r}] must have a value for each of {epochs} epochs, or "
            "validation_freq= must say at which it was measured. Received: "
            f"{count} values, validation_freq={validation_freq!r}"
        )
    return places, values.astype(float)


def _draw(axis: Any, curve: tuple, **look: Any) -> None:
    """A line; a point that has no neighbours would have none to be seen by."""
    places, values = curve
    known = np.isfinite(values)
    lonely = not (known[1:] & known[:-1]).any()
    marker = "o" if lonely or len(places) < places[-1] else None
    axis.plot(places, np.where(known, values, np.nan), marker=marker, **look)


def _mark_broken(axis: Any, curves: Sequence[tuple | None], language: str) -> None:
    known = [curve for curve in curves if curve is not None]
    # Epochs at which nothing was measured are NaN in a frame, and not a fault.
    broken = sorted(
        {
            int(place)
            for places, values in known
            for place, value in zip(places, values, strict=True)
            if np.isinf(value) or (np.isnan(value) and values is known[0][1])
        }
    )
    if broken:
        axis.plot(
            broken, np.full(len(broken), 0.97), "x", color=ORANGE,
            transform=axis.get_xaxis_transform(),
            label=say(language, "NaN or infinity", "NaN ou infinito"),
        )  # fmt: skip


def _mark_best(axis: Any, curve: tuple, language: str) -> None:
    places, values = curve
    if not np.isfinite(values).any():
        return
    best = int(places[np.nanargmin(np.where(np.isfinite(values), values, np.nan))])
    axis.axvline(best, color=GREY, linewidth=0.8, linestyle=":")
    axis.annotate(
        f"{say(language, 'best epoch', 'melhor época')} {best}",
        (best, 1.01),  # above the frame, where no curve runs through it
        xycoords=("data", "axes fraction"),
        ha="center",
        va="bottom",
        fontsize=min(legible(axis.figure.bbox.width / axis.figure.figure.dpi, 8), 10),
        color=GREY,
    )
