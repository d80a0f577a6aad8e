"""What transfer gains: accuracy by the number of labelled examples."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlkeras.visualization.figure import drawing, new_figure, plain, say
from dlkeras.visualization.inputs import mapping, numbers, received
from dlkeras.visualization.look.colours import BLUE, GREEN, GREY, ORANGE, PURPLE

_COLOURS = (GREY, BLUE, ORANGE, GREEN, PURPLE)


@drawing("title")
def accuracy_by_examples(
    results: Mapping[str, Mapping[int, Sequence[float]]],
    *,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw the accuracy of several ways to train over the number of examples per class.

    Args:
        results: accuracies, one for each seed, by the number of labelled examples a
            class, by the name of the way; a single accuracy stands for itself.
        title: text above the figure; default: what it shows.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        A figure with a line of means for each way, and a dot for each seed.

    Raises:
        ValueError: there is no way or no accuracy, one is not of 0 to 1, or a number of
            examples is not above 0.
        TypeError: what is given are no dictionaries of numbers.

    Example:
    >>> figure = accuracy_by_examples({"from scratch": {10: [0.5, 0.6], 30: [0.7]}})
    >>> figure.axes[0].get_ylabel()
    'test accuracy'
    """
    default = say(
        language, "Accuracy by labelled images", "Acurácia por imagens rotuladas"
    )
    expected = "a dictionary: for each way one of accuracies by number of examples"
    measured = {
        plain(way): _accuracies(found, f"results[{way!r}]")
        for way, found in mapping(results, "results", expected).items()
    }
    figure, axes = new_figure(6.4, 4.2, title or default, figsize=figsize, ax=ax)
    sizes = sorted({size for accuracies in measured.values() for size in accuracies})
    ends = {way: np.mean(values[max(values)]) for way, values in measured.items()}
    below = sorted(ends, key=lambda way: ends[way])  # labels apart, where dots touch
    for index, (way, accuracies) in enumerate(measured.items()):
        colour, marker = _COLOURS[index % len(_COLOURS)], "so^Dv"[index % 5]
        known = sorted(accuracies)
        means = [np.mean(accuracies[size]) for size in known]
        axes.plot(known, means, color=colour, marker=marker, label=way)
        for size in known:
            values = list(accuracies[size])
            axes.plot([size] * len(values), values, ".", color=colour, alpha=0.45)
        axes.annotate(
            f"{means[-1]:.1%}",
            (known[-1], means[-1]),
            xytext=(8, 14 * (below.index(way) - (len(below) - 1) / 2)),
            textcoords="offset points",
            color=colour,
            va="center",
        )
    axes.set_xscale("log")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.margins(x=0.12)
    axes.set_xlabel(
        say(language, "labelled images a class", "imagens rotuladas por classe")
    )
    axes.set_ylabel(say(language, "test accuracy", "acurácia no teste"))
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    return figure


def _accuracies(found: Any, name: str) -> dict[Any, np.ndarray]:
    """Accuracies by the number of examples, each of 0 to 1."""
    one = mapping(found, name, "a dictionary of accuracies by number of examples")
    for size, values in one.items():
        one[size] = np.atleast_1d(numbers(values, f"{name}[{size!r}]", "accuracies"))
        counted = isinstance(size, int | float | np.number) and size > 0
        within = one[size].size and ((one[size] >= 0) & (one[size] <= 1)).all()
        if not counted or not within or one[size].ndim != 1:
            raise ValueError(
                f"{name} must have accuracies of 0 to 1 by numbers of examples above "
                f"0. Received: {received(size)}: {one[size].tolist()[:5]}"
            )
    return one
