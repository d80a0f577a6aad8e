"""The figure of a confusion matrix."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from dlkeras.visualization.figure import drawing, new_figure, say, shortened
from dlkeras.visualization.inputs import holds_several, length, names, numbers
from dlkeras.visualization.look.colours import BLUE
from dlkeras.visualization.look.sizes import legible, readable

_WRITTEN = 30  # classes whose cells have room for a number
_NAMED = 40  # names that stand apart on one side
_NAMED_BESIDE = 25  # and beside a list
_PAIRS = 20
_BLUES = colormaps["Blues"].with_extremes(bad="white")


@drawing()
def confusion_matrix(
    matrix: Any,
    labels: Sequence[Any] | None = None,
    *,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw how often each class was taken for each other.

    Args:
        matrix: `(classes, classes)` counts, or rates; rows are the true classes. NaN
            (a rate of a class without examples) is left empty.
        labels: names of the classes; by default their indices.
        title: text above the figure; by default how many examples are mistaken.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure. Numbers are written into the cells where 30 classes or fewer are
        shown. The colour of counts is logarithmic, so that a single mistake can be
        seen. Beside more than 40 classes, of whose names every so many is written, the
        20 most frequent mistakes are listed.

    Raises:
        ValueError: the matrix is not square, not of one row for each label, or has
            negative or infinite numbers; or the language is unknown.
        TypeError: it holds no numbers.

    Example:
    >>> figure = confusion_matrix([[5, 1], [0, 6]], ["cat", "dog"])
    >>> figure.axes[0].get_xlabel()
    'predicted class'
    """
    counts = numbers(matrix, "matrix", "(classes, classes) counts or rates", axes=2)
    if counts.dtype == np.float16:  # whose sums end at 65,504
        counts = counts.astype("float32")
    size = length(labels) if holds_several(labels) else None
    size = len(counts) if size is None else size
    if counts.shape != (size, size) or not size:
        raise ValueError(
            f"matrix must be of shape ({size}, {size}), one row for each label. "
            f"Received: {counts.shape}"
        )
    if (counts < 0).any() or np.isinf(counts).any():
        raise ValueError(
            "matrix must have counts or rates from 0 on. Received: from "
            f"{counts.min()} to {counts.max()}"
        )
    labels = [
        shortened(label, 24)
        for label in names(range(size) if labels is None else labels, size, "labels",
                           "classes")
    ]  # fmt: skip
    known = counts[~np.isnan(counts)]
    if (known > 2**53).any():  # no more a count, and wider than its cell
        raise ValueError(
            f"matrix must have counts or rates. Received: up to {known.max():.3g}"
        )
    # Ones on the diagonal, and floats: a perfect classifier's rates, not n examples.
    shares = counts.dtype.kind == "f" and np.allclose(np.nansum(counts, 1), 1)
    whole = known.size == counts.size and not (known % 1).any() and not shares
    longest = max(map(len, labels))
    listed = size > _NAMED and (ax is None or np.size(ax) > 1)
    # Cells of 0.48 inches, and smaller ones of more than 7 classes.
    side = 5.6 if listed else max(4.2, min(0.48 * size + 1.2, 0.24 * size + 2.9))
    side += max(0, 0.07 * (longest - 8))
    sizes = side + (3.4 if listed else 0.6), side
    points = readable(*sizes, 9, 12)
    figure, axes = new_figure(
        *sizes,
        title or _title(counts, whole, language),
        figsize=figsize,
        ax=ax,
        ncols=2 if listed else 1,
        **({"width_ratios": [side, 2.9]} if listed else {}),
    )
    axis = axes[0] if listed else axes
    if listed and ax is None:  # beside a list the square moves a little to the left
        figure.get_layout_engine().set(w_pad=0.1)
    top = float(known.max(initial=0))
    norm = LogNorm(0.7, max(top, 2)) if whole else Normalize(0, max(top, 1))
    shown = np.where(counts > 0, counts, np.nan)
    drawn = axis.imshow(shown, cmap=_BLUES, norm=norm)
    step = -(-size // (_NAMED_BESIDE if listed else _NAMED))
    ticks, upright = range(0, size, step), 90 if longest > 3 or size > 20 else 0
    axis.set_xticks(ticks, labels[::step], rotation=upright, fontsize=points)
    axis.set_yticks(ticks, labels[::step], fontsize=points)
    words = legible(sizes[0], 10)
    axis.set_xlabel(say(language, "predicted class", "classe prevista"), fontsize=words)
    axis.set_ylabel(say(language, "true class", "classe verdadeira"), fontsize=words)
    room = 0.85 * 72 * (side - 1.8 - 0.09 * longest) / size / 0.62
    if size <= _WRITTEN:
        for (row, column), count in np.ndenumerate(counts):
            if count:  # NaN, too
                _write(axis, row, column, count, norm, whole, room)
    label = ("examples", "exemplos") if whole else ("rate", "taxa")
    bar = figure.colorbar(drawn, ax=axis, label=say(language, *label), shrink=0.8)
    bar.minorticks_off()
    bar.ax.tick_params(labelsize=words)
    bar.ax.yaxis.label.set_fontsize(words)
    if whole:
        marks = [d * 10**n for n in range(18) for d in (1, 2, 5)]
        marks = [mark for mark in marks if mark <= max(top, 2)]
        marks = marks if len(marks) <= 10 else marks[::3]
        bar.set_ticks(marks, labels=[f"{n:,}" for n in marks])
    if listed:
        _list_pairs(axes[1], counts, labels, whole, language, points)
    return figure


def _title(counts: np.ndarray, whole: bool, language: str) -> str:
    if not whole:
        return say(
            language,
            "How often each class is taken for each other",
            "Com que frequência cada classe é tomada por outra",
        )
    wrong, total = int(counts.sum() - np.trace(counts)), int(counts.sum())
    return say(
        language,
        f"{wrong} of {total} examples taken for another class",
        f"{wrong} de {total} exemplos atribuídos a outra classe",
    )


def _number(count: float, whole: bool) -> str:
    if np.isnan(count):
        return "-"
    return str(int(count)) if whole else f"{count:.2f}" if count >= 0.005 else "<0.01"


def _write(
    axis: Any, row: int, column: int, count: float, norm: Any, whole: bool, room: float
) -> None:
    """A number, as large as a cell of so many points has room."""
    text = _number(count, whole)
    dark = not np.isnan(count) and norm(count) > 0.6
    axis.text(
        column, row, text, ha="center", va="center",
        fontsize=min(11, room / max(len(text), 2)), color="white" if dark else "black",
    )  # fmt: skip


def _list_pairs(
    axis: Any,
    counts: np.ndarray,
    labels: Sequence[str],
    whole: bool,
    language: str,
    points: float,
) -> None:
    """The most frequent mistakes, as bars."""
    wrong = np.where(np.eye(len(counts), dtype=bool) | np.isnan(counts), 0, counts)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_PAIRS]
    pairs = [divmod(int(i), len(counts)) for i in order if wrong.flat[i] > 0]
    values = [wrong[pair] for pair in pairs]
    axis.barh(range(len(pairs)), values, color=BLUE, height=0.7)
    axis.set_yticks(
        range(len(pairs)),
        [f"{shortened(labels[a], 16)} → {shortened(labels[b], 16)}" for a, b in pairs],
        fontsize=points,
    )
    for place, value in enumerate(values):
        axis.text(
            value, place, f" {_number(value, whole)}", va="center", fontsize=points
        )
    axis.set_ylim(max(len(pairs), 1) - 0.4, -0.6)
    axis.set_xlim(0, 1.25 * max(values, default=1))
    axis.set_xticks([])
    axis.spines[["top", "right", "bottom"]].set_visible(False)
    axis.set_title(
        say(language, "most frequent mistakes", "erros mais frequentes"),
        fontsize=max(points, 10),
    )
