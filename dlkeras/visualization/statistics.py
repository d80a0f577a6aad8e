"""Figures of a data set: classes, pixels, brightness, sizes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from dlkeras.visualization.figure import (
    drawing,
    legend_below,
    new_figure,
    plain,
    say,
    shortened,
)
from dlkeras.visualization.inputs import mapping, numbers, received
from dlkeras.visualization.look.colours import CYCLE, DASHES, HATCHES
from dlkeras.visualization.look.scales import logarithmic

MARKERS = "o^sD"
MAX_BARS = 40
MAX_COLUMNS = 16  # more classes are rows: columns of so many are wider than a page
MAX_POINTS = 3000


@drawing()
def class_balance(
    counts: Mapping[str, Mapping[str, int]],
    *,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw how many examples each class has in each split.

    Args:
        counts: for each split the number of examples of each class; of more than 40
            classes the largest 20 and the smallest 20 are drawn.
        title: text above the figure; by default what it shows.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure: a group of bars for each class; in rows from 17 classes on.

    Raises:
        ValueError: there is no split, or a count is below 0.
        TypeError: what is given are no dictionaries of counts.

    Example:
    >>> figure = class_balance({"train": {"cat": 3, "dog": 5}, "test": {"cat": 1}})
    >>> len(figure.axes)
    1
    """
    counts = {
        plain(split): _counts(classes, f"counts[{split!r}]")
        for split, classes in mapping(counts, "counts", "a dictionary by split").items()
    }
    totals: dict[str, int] = {}
    for split in counts.values():
        for label, number in split.items():
            totals[label] = totals.get(label, 0) + number
    labels = list(totals)
    if not labels:
        raise ValueError(f"counts must have a class. Received: splits {list(counts)}")
    default = say(language, "Examples of each class", "Exemplos de cada classe")
    if len(labels) > MAX_BARS:
        ranked = sorted(labels, key=lambda label: -totals[label])
        labels = ranked[: MAX_BARS // 2] + ranked[-MAX_BARS // 2 :]
        default = say(
            language,
            f"The 20 largest and the 20 smallest of {len(totals):,} classes",
            f"As 20 maiores e as 20 menores de {len(totals):,} classes",
        )
    many = len(labels) > MAX_COLUMNS
    size = (5.5, 0.2 * len(labels) + 1.4) if many else (0.45 * len(labels) + 1.5, 3.2)
    figure, axis = new_figure(
        max(4.0, size[0]), size[1], title or default, figsize=figsize, ax=ax
    )
    draw: Any = axis.barh if many else axis.bar
    width = 0.8 / len(counts)
    for number, (split, classes) in enumerate(counts.items()):
        places = np.arange(len(labels)) + (number - (len(counts) - 1) / 2) * width
        heights = [classes.get(label, 0) for label in labels]
        draw(
            places, heights, width, color=CYCLE[number % len(CYCLE)], label=split,
            hatch=HATCHES[number % 4], edgecolor="white", linewidth=0,
        )  # fmt: skip
    names = [shortened(label, 24) for label in labels]
    words = say(language, "class", "classe"), say(language, "examples", "exemplos")
    highest = max(max(classes.values(), default=0) for classes in counts.values())
    beside = len("".join(counts)) + 5 * len(counts) < 50
    if many:
        axis.set_yticks(range(len(labels)), names, fontsize=8)
        axis.set_ylim(len(labels) - 0.4, -0.6)  # the first one on top
        axis.set_xlim(0, 1.02 * highest + 1)
        axis.set_ylabel(words[0])
        axis.set_xlabel(words[1])
    else:
        long = max(map(len, labels)) > 4 and len(labels) > 6
        axis.set_xticks(
            range(len(labels)), names,
            rotation=45 if long else 0, ha="right" if long else "center", fontsize=8,
        )  # fmt: skip
        axis.set_xlabel(words[0])
        axis.set_ylabel(words[1])
        axis.set_ylim(0, 1.22 * highest + 1)
    if many or not beside:
        legend_below(figure, axis)
    else:
        axis.legend(fontsize=8, ncols=len(counts), loc="upper right", frameon=False)
    return figure


def _counts(classes: Any, name: str) -> dict[str, int]:
    """The number of examples of each class."""
    if not isinstance(classes, Mapping):
        raise TypeError(
            f"{name} must be a dictionary: for each class its number of examples. "
            f"Received: {received(classes)}"
        )
    found = numbers(list(classes.values()), name, "numbers of examples", axes=1)
    if found.size and not ((found >= 0) & np.isfinite(found)).all():
        raise ValueError(f"{name} must be from 0 on. Received: {found.min()}")
    return {plain(label): number for label, number in classes.items()}


@drawing()
def pixel_distribution(
    histograms: Mapping[str, Sequence[Sequence[int]]],
    *,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw how often each pixel value occurs, by split and channel.

    Args:
        histograms: for each split, a histogram of the values 0 to 255 for each of 1 to
            4 channels, in bins of equal width.
        title: text above the figure; by default what it shows.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure: one axis for each channel, one line for each split.

    Raises:
        ValueError: there is no split, or not as many channels in each.
        TypeError: what is given is no dictionary of numbers.

    Example:
    >>> len(pixel_distribution({"train": [[1, 2], [3, 4], [5, 6]]}).axes)
    3
    """
    expected = "a dictionary: for each split a histogram for each of 1 to 4 channels"
    rows_of = {
        plain(split): np.atleast_2d(numbers(rows, f"histograms[{split!r}]", expected))
        for split, rows in mapping(histograms, "histograms", expected).items()
    }
    shapes = {split: rows.shape for split, rows in rows_of.items()}
    if any(not ((rows >= 0) & (rows < np.inf)).all() for rows in rows_of.values()):
        raise ValueError("histograms must hold counts from 0 on. Received: others")
    if (
        any(not np.ndim(rows) for rows in histograms.values())
        or any(len(s) != 2 or 0 in s for s in shapes.values())
        or (len({s[0] for s in shapes.values()}) != 1 or min(shapes.values())[0] > 4)
    ):
        raise ValueError(f"histograms must be {expected}. Received: {shapes}")
    channels = next(iter(shapes.values()))[0]
    colours = say(language, "red green blue", "vermelho verde azul").split()
    channel = say(language, "channel", "canal")
    names = {3: colours, 1: [say(language, "grey", "cinza")]}.get(
        channels, [f"{channel} {number}" for number in range(1, channels + 1)]
    )
    default = say(language, "Pixel values", "Valores dos pixels")
    columns, rows = {4: (2, 2)}.get(channels, (channels, 1))
    figure, axes = new_figure(
        (4.2, 6.6, 9.0)[columns - 1], 3.3 * rows, title or default, figsize=figsize,
        ax=ax, nrows=rows, ncols=columns, squeeze=False, sharey=True,
    )  # fmt: skip
    for channel, axis in enumerate(np.ravel(axes)):
        for number, (split, rows) in enumerate(rows_of.items()):
            counts = rows[channel].astype("float64")
            share = counts / (counts.sum() or 1)
            edges = np.linspace(0, 256, len(share) + 1)
            axis.stairs(
                share, edges, color=CYCLE[number % len(CYCLE)], label=split,
                linestyle=DASHES[number % 4],
            )  # fmt: skip
        if any(rows[channel].any() for rows in rows_of.values()):
            logarithmic(axis)
        axis.set_xlabel(f"{names[channel]}, {say(language, '0 to 255', '0 a 255')}")
    for axis in axes[:, 0]:
        axis.set_ylabel(say(language, "share of the pixels", "fração dos pixels"))
    legend_below(figure, np.ravel(axes)[0])
    return figure


@drawing()
def brightness_and_contrast(
    images: Mapping[str, Any],
    *,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw each image's mean against its standard deviation.

    Args:
        images: for each split `(images, 2)`: mean and standard deviation of the pixels,
            0 to 255; of more than 3,000 every so many is drawn.
        title: text above the figure; by default what it shows.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure.

    Raises:
        ValueError: there is no split, or not two numbers for each image.
        TypeError: what is given is no dictionary of numbers.

    Example:
    >>> len(brightness_and_contrast({"train": np.array([[100.0, 20.0]])}).axes)
    1
    """
    default = say(
        language,
        "Brightness and contrast of the images",
        "Brilho e contraste das imagens",
    )
    points = _pairs(images, "mean and standard deviation")
    figure, axis = new_figure(4.4, 3.4, title or default, figsize=figsize, ax=ax)
    _scatter(figure, axis, points)
    axis.set_xlabel(
        say(
            language,
            "brightness: mean of the pixels, 0 to 255",
            "brilho: média dos pixels, 0 a 255",
        )
    )
    axis.set_ylabel(
        say(language, "contrast: standard deviation", "contraste: desvio padrão")
    )
    return figure


@drawing()
def image_sizes(
    images: Mapping[str, Any],
    *,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw each image's width and height, on logarithmic axes.

    Args:
        images: for each split `(images, 2)`: width and height in pixels; of more than
            3,000 every so many is drawn.
        title: text above the figure; by default what it shows.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure.

    Raises:
        ValueError: there is no split, or not two numbers for each image.
        TypeError: what is given is no dictionary of numbers.

    Example:
    >>> len(image_sizes({"train": np.array([[640, 480]])}).axes)
    1
    """
    default = say(language, "Sizes of the images", "Tamanhos das imagens")
    points = _pairs(images, "width and height")
    if any((rows < 1).any() for rows in points.values()):
        raise ValueError(
            "images must have widths and heights of a pixel or more. Received: "
            f"{min(rows.min() for rows in points.values() if rows.size)}"
        )
    figure, axis = new_figure(4.4, 3.4, title or default, figsize=figsize, ax=ax)
    _scatter(figure, axis, points)
    for set_scale, each, side in (
        (axis.set_xscale, axis.xaxis, 0),
        (axis.set_yscale, axis.yaxis, 1),
    ):
        pixels = np.concatenate([rows[:, side] for rows in points.values()])
        set_scale("log", base=2)
        if (
            pixels.size and pixels.max() < 8 * pixels.min()
        ):  # powers of 2 alone would be too few ticks
            each.set_major_locator(MaxNLocator(6, integer=True))
            each.set_minor_locator(NullLocator())
        each.set_major_formatter("{x:.0f}")
    axis.set_xlabel(say(language, "width in pixels", "largura em pixels"))
    axis.set_ylabel(say(language, "height in pixels", "altura em pixels"))
    return figure


def _pairs(images: Any, what: str) -> dict[str, np.ndarray]:
    """For each split `(images, 2)`."""
    expected = f"a dictionary: for each split (images, 2), {what}"
    found = {
        plain(split): numbers(rows, f"images[{split!r}]", expected, axes=2)
        for split, rows in mapping(images, "images", expected).items()
    }
    shown = {}
    for split, rows in found.items():
        if rows.shape[1] != 2:
            raise ValueError(
                f"images must be {expected}. Received: {split!r} of shape {rows.shape}"
            )
        known = np.isfinite(rows.astype(float)).all(1)
        gaps = f" ({(~known).sum()} NaN)" if not known.all() else ""
        shown[split + gaps] = rows[known]
    return shown


def _scatter(figure: Any, axis: Any, images: Mapping[str, np.ndarray]) -> None:
    most = max(map(len, images.values()))
    large = 9 if most > 50 else 30  # a few are seen from afar, too
    for number, (split, points) in enumerate(images.items()):
        points = points[:: max(1, len(points) // MAX_POINTS)]
        axis.scatter(
            points[:, 0], points[:, 1], s=large, alpha=0.6, linewidths=0,
            color=CYCLE[number % len(CYCLE)], marker=MARKERS[number % 4], label=split,
        )  # fmt: skip
    legend_below(figure, axis, markerscale=2)  # the points may be anywhere
