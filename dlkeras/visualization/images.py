"""Figures of images: grids, tables, and what augmentation makes of them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from dlkeras.visualization.figure import (
    drawing,
    new_figure,
    say,
    shortened,
    wrapped,
)
from dlkeras.visualization.inputs import (
    holds_several,
    length,
    names,
    pictures,
    received,
)
from dlkeras.visualization.look.colours import PURPLE
from dlkeras.visualization.look.sizes import legible, panel

_GREY = colormaps["gray"].with_extremes(bad=PURPLE)
# Times the originals' range: what lies further beyond it is of another scale.
NOISE = 1
_MOST_LINES = 5  # of a caption
_STRIP = 10  # times as long as wide


@drawing("title", "columns")
def image_grid(
    images: Any,
    captions: Sequence[Any] | None = None,
    *,
    columns: int | None = None,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw images side by side.

    All are drawn on one scale. Black and white are 0 and 1, 0 and 255 or -1 and 1 where
    the values say so (the brightest has at least half of the white); else the lowest
    and highest value of all images. NaN and infinity are purple.

    Args:
        images: `(number, height, width, channels)`, channels 1, 3 or 4, `(number,
            height, width)`, or a sequence of images of any sizes.
        captions: a text below each image.
        columns: images in a row; default: as square as it gets.
        title: text above the grid.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure.

    Raises:
        ValueError: there is no image, or not one caption for each.
        TypeError: what is given are no images.

    Example:
    >>> figure = image_grid(np.zeros((6, 8, 8, 1)), columns=3)
    >>> len(figure.axes)
    6
    """
    drawn = pictures(images)
    if captions is not None:
        captions = names(captions, len(drawn), "captions", "images")
    if columns is not None and (not isinstance(columns, int) or columns < 1):
        raise ValueError(f"columns must be a number from 1. Received: {columns!r}")
    columns = columns or math.ceil(math.sqrt(len(drawn)))
    rows = math.ceil(len(drawn) / columns)
    side = panel(columns)
    width = max(side * columns + 0.2, 3.4 if title else 0)
    letters = min(legible(width, 8), 12)
    captions = captions and [_caption(text, side, letters) for text in captions]
    lines = max((c.count("\n") + 1 for c in captions or []), default=0)
    figure, axes = new_figure(
        width,
        (side - 0.05 + 0.19 * lines * letters / 8) * rows + (0.4 if title else 0.1),
        title,
        figsize=figsize,
        ax=ax,
        nrows=rows,
        ncols=columns,
        squeeze=False,
    )
    scale = common_range(drawn)
    for index, axis in enumerate(axes.flat):
        if index >= len(drawn):
            axis.remove()
            continue
        show_image(axis, drawn[index], scale)
        if captions is not None:
            axis.set_xlabel(captions[index], fontsize=letters)
            # The layout leaves room for the caption below its own box: stand there.
            axis.set_anchor("S")
    note(figure, gaps(drawn, language))
    return figure


@drawing("title")
def image_table(
    images: Any,
    rows: Sequence[Any],
    columns: Sequence[Any],
    *,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw images in a table: a row for each thing, a column for what became of it.

    Args:
        images: `(rows, columns, height, width, channels)`, channels 1, 3 or 4, on one
            scale as in `image_grid`.
        rows: a text for each row.
        columns: a text for each column.
        title: text above the table.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure.

    Raises:
        ValueError: there are not as many images as rows and columns.
        TypeError: what is given are no images.

    Example:
    >>> figure = image_table(np.zeros((2, 3, 8, 8, 1)), ["a", "b"], ["1", "2", "3"])
    >>> len(figure.axes)
    6
    """
    table = _table(images, "images")
    lines = names(rows, len(table), "rows", "rows of images")
    heads = names(columns, len(table[0]), "columns", "columns of images")
    side = panel(len(heads))
    width = side * len(heads) + 0.5
    letters = min(legible(width, 8), 12)
    figure, axes = new_figure(
        width,
        side * len(lines) + (0.7 if title else 0.4),
        title,
        figsize=figsize,
        ax=ax,
        nrows=len(lines),
        ncols=len(heads),
        squeeze=False,
    )
    _fill(figure, axes, table, language)
    for axis, head in zip(axes[0], heads, strict=True):
        axis.set_title(_caption(head, side, letters), fontsize=letters)
    for axis, line in zip(axes[:, 0], lines, strict=True):
        axis.set_ylabel(_caption(line, side, letters), fontsize=letters)
    return figure


@drawing()
def augmentation_grid(
    originals: Any,
    variants: Any,
    *,
    captions: Sequence[Any] | None = None,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw each image beside what data augmentation makes of it.

    Args:
        originals: `(images, height, width, channels)`, channels 1, 3 or 4.
        variants: `(images, variants, height, width, channels)`, for each image what
            the augmentation drew. Black and white are the originals'; what noise puts
            beyond is drawn black or white.
        captions: a text below each column of variants, such as the name of the
            transformation.
        title: text above the figure.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure: a row for each image, the original on the left.

    Raises:
        ValueError: there are not variants for each image, or not a caption for each
            column, or the language is unknown.
        TypeError: what is given are no images.

    Example:
    >>> figure = augmentation_grid(np.zeros((2, 8, 8, 1)), np.zeros((2, 3, 8, 8, 1)))
    >>> len(figure.axes), figure.axes[0].get_title()
    (8, 'original')
    """
    first, rest = pictures(originals, "originals"), _table(variants, "variants")
    if len(first) != len(rest):
        raise ValueError(
            "variants must hold, for each of the originals, the same number of images, "
            f"at least one. Received: {len(first)} originals and variants of "
            f"{[len(row) for row in rest]}"
        )
    columns = len(rest[0])
    if captions is not None:
        captions = names(captions, columns, "captions", "columns of variants")
    side = panel(columns + 1)
    width = side * (columns + 1) + 0.3
    letters = min(legible(width, 9), 12)
    figure, axes = new_figure(
        width,
        side * len(first) + (0.55 if captions is None else 0.8),
        title or say(language, "Data augmentation", "Aumento de dados"),
        figsize=figsize,
        ax=ax,
        nrows=len(first),
        ncols=columns + 1,
        squeeze=False,
    )
    table = [[one, *row] for one, row in zip(first, rest, strict=True)]
    low, high = common_range(first)
    least, most = _range([one for row in rest for one in row])
    near = max(low - least, most - high) <= NOISE * (high - low)
    # Images of 0 to 255 beside others of 0 to 1 would be black, or white.
    own = common_range([one for row in rest for one in row])
    other = not near or own[1] - own[0] < (high - low) / 30  # standardised: of 6
    _fill(figure, axes, table, language, (low, high), own if other else None)
    for axis in axes[:, 0]:
        for spine in axis.spines.values():
            spine.set_linewidth(2)
    axes[0, 0].set_title(say(language, "original", "original"), fontsize=letters)
    for axis, caption in zip(axes[0, 1:], captions or [], strict=False):
        axis.set_title(_caption(caption, side, letters), fontsize=letters)
    return figure


def _caption(text: str, side: float, letters: float) -> str:
    """A text in letters of so many points that stands below an image."""
    across = max(int(19 * side / 1.15 * 8 / letters), 6)
    return wrapped(shortened(text, _MOST_LINES * across), across)


def _table(images: Any, name: str) -> list[list[np.ndarray]]:
    """Rows of images, as many in each."""
    several = holds_several(images) and length(images) is not None
    if not several or isinstance(images, str | dict):
        raise TypeError(f"{name} must be rows of images. Received: {received(images)}")
    if len(getattr(images, "shape", ())) in (1, 2, 3):
        raise ValueError(
            f"{name} must be (rows, columns, height, width, channels). "
            f"Received: {received(images)}"
        )
    rows = [pictures(row, f"{name}[{i}]") for i, row in enumerate(images)]
    if len({len(row) for row in rows}) != 1:
        raise ValueError(
            f"{name} must have rows of the same number of images, at least one. "
            f"Received: rows of {[len(row) for row in rows]}"
        )
    return rows


def _fill(
    figure: Any,
    axes: Any,
    table: list[list[np.ndarray]],
    language: str,
    scale: tuple[float, float] | None = None,
    others: tuple[float, float] | None = None,
) -> None:
    """Draw all on one scale, or those after the first of each row on another."""
    every = [one for row in table for one in row]
    scale = scale or common_range(every)
    notes = gaps(every, language)
    for row, drawn in zip(axes, table, strict=True):
        for index, (axis, one) in enumerate(zip(row, drawn, strict=True)):
            show_image(axis, one, others if others and index else scale)
    if others is not None:
        first, second = (
            " to ".join(f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}" for x in pair)
            for pair in (scale, others)
        )
        notes.append(
            say(
                language,
                f"originals from {first}, variants from {second}",
                f"originais de {first}, variantes de {second}".replace(" to ", " a "),
            )
        )
    note(figure, notes)


def _range(images: Sequence[np.ndarray]) -> tuple[float, float]:
    """The smallest and the largest finite value; 0 and 1 where there is none."""
    finite = [x[np.isfinite(x)] for x in (image[..., :3] for image in images)]
    finite = [x for x in finite if x.size]
    if not finite:
        return 0.0, 1.0
    return float(min(x.min() for x in finite)), float(max(x.max() for x in finite))


def common_range(images: Sequence[np.ndarray]) -> tuple[float, float]:
    """The values that are drawn black and white in all of these images.

    >>> common_range([np.full((2, 2, 1), 255, "uint8")])
    (0.0, 255.0)
    >>> common_range([np.array([[[0.0], [0.2]]])])  # too dark to be of 0 to 1
    (0.0, 0.2)
    """
    low, high = _range(images)
    if low < 0:
        known = (-1.0, 1.0) if max(-low, high) <= 1 else (low, high)
        filled = max(-low, high) >= 0.5
    else:
        white = next((w for w in (1.0, 255.0, 65535.0) if high <= 1.001 * w), high)
        known, filled = (0.0, white), high >= white / 2
    if (filled or low == high) and known[0] < known[1]:
        return known
    return (low, high) if low < high else (low - 1, low + 1)


def show_image(
    axis: Any, image: np.ndarray, scale: tuple[float, float] | None = None
) -> None:
    """Draw one image without ticks, from black to white; by default in its own range.

    Where it is NaN or infinite it is purple.
    """
    low, high = scale or common_range([image])
    if scale is None and np.isfinite(image).any():
        own = image[np.isfinite(image)]
        low, high = (own.min(), own.max()) if own.min() < own.max() else (low, high)
    wide = np.asarray(image, np.result_type(image.dtype, "float32"))
    scaled = np.clip((wide - float(low)) / (float(high) - float(low)), 0, 1)
    if image.shape[-1] == 1:
        axis.imshow(
            np.ma.masked_where(~np.isfinite(wide[..., 0]), scaled[..., 0]),
            cmap=_GREY, vmin=0, vmax=1,
        )  # fmt: skip
    else:
        if image.shape[-1] == 4:  # how opaque: 0 to 255, or 0 to 1
            opaque = 255 if image.dtype.kind in "iu" else 1
            scaled[..., 3] = np.clip(wide[..., 3] / opaque, 0, 1)
        colour = to_rgb(PURPLE) + (1,) * (image.shape[-1] - 3)
        scaled[~np.isfinite(wide).all(-1)] = colour
        axis.imshow(scaled)
    if not 1 / _STRIP <= image.shape[0] / image.shape[1] <= _STRIP:
        axis.set_aspect("auto")  # a strip, whose square pixels would be a line
    axis.set_xticks([])
    axis.set_yticks([])


def gaps(images: Sequence[np.ndarray], language: str) -> list[str]:
    """What purple is, where there is any."""
    broken = sum(not np.isfinite(image).all() for image in images)
    text = say(language, "NaN or infinity", "NaN ou infinito")
    purple = say(language, "purple", "roxo")
    return [f"{purple}: {text} ({broken}/{len(images)})"] if broken else []


def note(figure: Any, notes: list[str]) -> None:
    """Write below the images what a reader must know."""
    if notes and hasattr(figure, "supxlabel"):
        room = max(int(figure.bbox.width / figure.figure.dpi * 72 / (0.6 * 8)), 8)
        figure.supxlabel("\n".join(wrapped(note, room) for note in notes), fontsize=8)
