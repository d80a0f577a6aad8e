"""The figure of a confusion matrix."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from dlkeras.visualization.figure import in_language, new_figure, say


def confusion_matrix(
    matrix: Any,
    labels: Sequence[str],
    *,
    title: str | None = None,
    language: str = "en",
) -> Figure:
    """Draw how often each class was taken for each other.

    Args:
        matrix: `(classes, classes)` counts; rows are the true classes.
        labels: names of the classes.
        title: text above the figure; by default how many examples are mistaken.
        language: `"en"` or `"pt"`.

    Returns:
        The figure; counts are written into the cells where 30 classes or fewer are
        shown, and the colour is logarithmic, so that a single mistake can be seen.

    Raises:
        ValueError: the matrix is not square, or not of one row for each label, or the
            language unknown.

    Example:
    >>> figure = confusion_matrix([[5, 1], [0, 6]], ["cat", "dog"])
    >>> figure.axes[0].get_xlabel()
    'predicted class'
    """
    counts = np.asarray(matrix)
    size = len(labels)
    if counts.shape != (size, size):
        raise ValueError(
            f"matrix must be of shape ({size}, {size}), one row for each label. "
            f"Received: {counts.shape}"
        )
    side = min(max(4.2, 0.48 * size + 1.2), 14)
    wrong, total = int(counts.sum() - np.trace(counts)), int(counts.sum())
    title = title or say(
        language,
        f"{wrong} of {total} examples taken for another class",
        f"{wrong} de {total} exemplos atribuídos a outra classe",
    )
    figure, axis = new_figure(
        side + 0.6,
        side,
        title,
    )
    shown = np.where(counts > 0, counts, np.nan)
    top = max(int(counts.max()), 2)
    drawn = axis.imshow(shown, cmap="Blues", norm=LogNorm(0.7, top))
    ticks = range(size)
    axis.set_xticks(ticks, labels, rotation=90 if max(map(len, labels)) > 3 else 0)
    axis.set_yticks(ticks, labels)
    axis.set_xlabel(say(language, "predicted class", "classe prevista"))
    axis.set_ylabel(say(language, "true class", "classe verdadeira"))
    if size <= 30:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                dark = np.log(count / 0.7) > 0.6 * np.log(top / 0.7)
                axis.text(
                    column,
                    row,
                    str(int(count)),
                    ha="center",
                    va="center",
                    fontsize=9,
                    color="white" if dark else "black",
                )
    bar = figure.colorbar(
        drawn, ax=axis, label=say(language, "examples", "exemplos"), shrink=0.8
    )
    bar.minorticks_off()
    marks = [n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if n <= top]
    bar.set_ticks(marks, labels=[str(n) for n in marks])
    return in_language(figure, language)
