"""What transfer is worth: accuracy by the number of labelled examples."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from dlkeras.visualization.figure import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    in_language,
    new_figure,
    say,
)

_COLOURS = (GREY, BLUE, ORANGE, GREEN, PURPLE)


def accuracy_by_examples(
    results: Mapping[str, Mapping[int, Sequence[float]]],
    title: str | None = None,
    *,
    language: str = "en",
) -> Figure:
    """Draw the accuracy of several ways to train over the examples a class.

    Args:
        results: accuracies, one for each seed, by the number of labelled examples a
            class, by the name of the way.
        title: text above the figure; default: what it shows.
        language: `"en"` or `"pt"`.

    Returns:
        A figure with a line of means for each way, and a dot for each seed.

    Example:
    >>> figure = accuracy_by_examples({"from scratch": {10: [0.5, 0.6], 30: [0.7]}})
    >>> figure.axes[0].get_ylabel()
    'test accuracy'
    """
    title = title or say(
        language, "Accuracy by labelled images", "Acurácia por imagens rotuladas"
    )
    figure, axes = new_figure(6.4, 4.2, title)
    sizes = sorted({size for accuracies in results.values() for size in accuracies})
    ends = {way: np.mean(values[max(values)]) for way, values in results.items()}
    below = sorted(ends, key=lambda way: ends[way])  # labels apart, where dots touch
    for index, (way, accuracies) in enumerate(results.items()):
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
    return in_language(figure, language)
