"""Figures of models whose answer is no single class."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_CLASSES = 60


def scores_by_class(classes: Mapping[str, Mapping[str, Any]]) -> "Figure":
    """Draw F1 and average precision of each class, the lowest average precision first.

    Args:
        classes: `f1` and `average_precision` by class; None is not drawn.

    Example:
    >>> scores = {"cat": {"f1": 0.5, "average_precision": 0.7}}
    >>> len(scores_by_class(scores).axes[0].patches)
    2
    """
    from dlkeras.visualization.figure import new_figure
    from dlkeras.visualization.look.colours import BLUE, ORANGE

    ordered = sorted(classes, key=lambda n: classes[n]["average_precision"] or 0.0)
    shown = ordered[:MAX_CLASSES]
    title = "Scores by label"
    if len(shown) < len(ordered):
        title += f", the {len(shown)} lowest of {len(ordered)}"
    figure, axes = new_figure(6.0, 1.2 + 0.35 * len(shown), title)
    places = np.arange(len(shown))[::-1]
    for shift, name, colour in (
        (0.2, "average_precision", BLUE),
        (-0.2, "f1", ORANGE),
    ):
        values = [classes[label][name] or 0.0 for label in shown]
        said = "F1" if name == "f1" else "average precision"
        axes.barh(places + shift, values, 0.38, color=colour, label=said)
    axes.set_yticks(places, shown)
    axes.set_xlim(0, 1)
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    return figure


def answers_against_numbers(
    truth: np.ndarray, answers: np.ndarray, name: str, metrics: Mapping[str, Any]
) -> "Figure":
    """Draw what was answered against what is so, and how the errors are spread.

    Args:
        truth: `(examples,)`.
        answers: `(examples,)`.
        name: of the number.
        metrics: `mean_absolute_error` and `trivial_mean_absolute_error`.

    Example:
    >>> metrics = {"mean_absolute_error": 1.0, "trivial_mean_absolute_error": 2.0}
    >>> x = np.arange(5.0)
    >>> len(answers_against_numbers(x, x + 1, "radius", metrics).axes)
    2
    """
    from dlkeras.visualization.figure import new_figure
    from dlkeras.visualization.look.colours import BLUE, GREY

    title = (
        f"{name}: mean absolute error {metrics['mean_absolute_error']:.4g} (always the "
        f"median: {metrics['trivial_mean_absolute_error']:.4g})"
    )
    figure, (left, right) = new_figure(8.0, 4.0, title, ncols=2)
    low = float(min(truth.min(), answers.min()))
    high = float(max(truth.max(), answers.max()))
    left.plot([low, high], [low, high], color=GREY, linestyle=":")
    left.scatter(truth, answers, s=12, color=BLUE, alpha=0.6)
    left.set_xlabel(name)
    left.set_ylabel("answer")
    right.hist(answers - truth, bins=min(40, max(5, len(truth) // 5)), color=BLUE)
    right.axvline(0, color=GREY, linestyle=":")
    right.set_xlabel("answer minus label")
    right.set_ylabel("examples")
    return figure
