"""Figures of a data set: classes, pixels, brightness, sizes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from dlkeras.visualization.figure import (
    BLUE,
    DASHES,
    GREEN,
    GREY,
    HATCHES,
    ORANGE,
    in_language,
    new_figure,
    say,
)

COLOURS = (BLUE, ORANGE, GREEN, GREY)
MARKERS = "o^sD"
MAX_BARS = 40
MAX_POINTS = 3000


def class_balance(
    counts: Mapping[str, Mapping[str, int]], *, language: str = "en"
) -> Figure:
    """Draw how many examples each class has in each split.

    Args:
        counts: for each split the number of examples of each class; of more than 40
            classes the largest 20 and the smallest 20 are drawn.
        language: `"en"` or `"pt"`.

    Returns:
        The figure: a group of bars for each class.

    Example:
    >>> figure = class_balance({"train": {"cat": 3, "dog": 5}, "test": {"cat": 1}})
    >>> len(figure.axes)
    1
    """
    totals: dict[str, int] = {}
    for split in counts.values():
        for label, number in split.items():
            totals[label] = totals.get(label, 0) + number
    labels = list(totals)
    title = say(language, "Examples of each class", "Exemplos de cada classe")
    if len(labels) > MAX_BARS:
        ranked = sorted(labels, key=lambda label: -totals[label])
        labels = ranked[: MAX_BARS // 2] + ranked[-MAX_BARS // 2 :]
        title = say(
            language,
            f"The 20 largest and the 20 smallest of {len(totals):,} classes",
            f"As 20 maiores e as 20 menores de {len(totals):,} classes",
        )
    figure, axis = new_figure(max(4.0, 0.45 * len(labels) + 1.5), 3.2, title)
    width = 0.8 / len(counts)
    for number, (split, classes) in enumerate(counts.items()):
        places = np.arange(len(labels)) + (number - (len(counts) - 1) / 2) * width
        heights = [classes.get(label, 0) for label in labels]
        axis.bar(
            places, heights, width, color=COLOURS[number % 4], label=split,
            hatch=HATCHES[number % 4], edgecolor="white", linewidth=0,
        )  # fmt: skip
    long = max(len(label) for label in labels) > 4 and len(labels) > 6
    axis.set_xticks(
        range(len(labels)), labels, rotation=45 if long else 0,
        ha="right" if long else "center", fontsize=8,
    )  # fmt: skip
    axis.set_xlabel(say(language, "class", "classe"))
    axis.set_ylabel(say(language, "examples", "exemplos"))
    highest = max(max(classes.values(), default=0) for classes in counts.values())
    axis.set_ylim(0, 1.22 * highest + 1)
    axis.legend(fontsize=8, ncols=len(counts), loc="upper right", frameon=False)
    return in_language(figure, language)


def pixel_distribution(
    histograms: Mapping[str, Sequence[Sequence[int]]], *, language: str = "en"
) -> Figure:
    """Draw how often each pixel value occurs, by split and channel.

    Args:
        histograms: for each split, a histogram of the values 0 to 255 for each of 1 or
            3 channels, in bins of equal width.
        language: `"en"` or `"pt"`.

    Returns:
        The figure: one axis for each channel, one line for each split.

    Example:
    >>> len(pixel_distribution({"train": [[1, 2], [3, 4], [5, 6]]}).axes)
    3
    """
    channels = len(next(iter(histograms.values())))
    colours = say(language, "red green blue", "vermelho verde azul").split()
    names = colours if channels == 3 else [say(language, "grey", "cinza")] * channels
    title = say(language, "Pixel values", "Valores dos pixels")
    figure, axes = new_figure(
        3.6 * channels + 0.6, 2.9, title, ncols=channels, squeeze=False, sharey=True,
    )  # fmt: skip
    for channel, axis in enumerate(axes[0]):
        for number, (split, rows) in enumerate(histograms.items()):
            counts = np.asarray(rows[channel], dtype="float64")
            share = counts / max(counts.sum(), 1)
            edges = np.linspace(0, 256, len(share) + 1)
            axis.stairs(
                share, edges, color=COLOURS[number % 4], label=split,
                linestyle=DASHES[number % 4],
            )  # fmt: skip
        axis.set_yscale("log")
        axis.set_xlabel(f"{names[channel]}, {say(language, '0 to 255', '0 a 255')}")
    axes[0][0].set_ylabel(say(language, "share of the pixels", "fração dos pixels"))
    axes[0][-1].legend(fontsize=8, frameon=False)
    return in_language(figure, language)


def brightness_and_contrast(
    images: Mapping[str, Any], *, language: str = "en"
) -> Figure:
    """Draw each image's mean against its standard deviation.

    Args:
        images: for each split `(images, 2)`: mean and standard deviation of the pixels,
            0 to 255; of more than 3,000 every so many is drawn.
        language: `"en"` or `"pt"`.

    Returns:
        The figure.

    Example:
    >>> len(brightness_and_contrast({"train": np.array([[100.0, 20.0]])}).axes)
    1
    """
    title = say(
        language,
        "Brightness and contrast of the images",
        "Brilho e contraste das imagens",
    )
    figure, axis = new_figure(4.4, 3.4, title)
    _scatter(axis, images)
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
    return in_language(figure, language)


def image_sizes(images: Mapping[str, Any], *, language: str = "en") -> Figure:
    """Draw each image's width and height, on logarithmic axes.

    Args:
        images: for each split `(images, 2)`: width and height in pixels; of more than
            3,000 every so many is drawn.
        language: `"en"` or `"pt"`.

    Returns:
        The figure.

    Example:
    >>> len(image_sizes({"train": np.array([[640, 480]])}).axes)
    1
    """
    title = say(language, "Sizes of the images", "Tamanhos das imagens")
    figure, axis = new_figure(4.4, 3.4, title)
    _scatter(axis, images)
    for set_scale, each, side in (
        (axis.set_xscale, axis.xaxis, 0),
        (axis.set_yscale, axis.yaxis, 1),
    ):
        pixels = np.concatenate([np.asarray(rows)[:, side] for rows in images.values()])
        set_scale("log", base=2)
        if pixels.max() < 8 * pixels.min():  # powers of 2 alone would be too few ticks
            each.set_major_locator(MaxNLocator(6, integer=True))
            each.set_minor_locator(NullLocator())
        each.set_major_formatter("{x:.0f}")
    axis.set_xlabel(say(language, "width in pixels", "largura em pixels"))
    axis.set_ylabel(say(language, "height in pixels", "altura em pixels"))
    return in_language(figure, language)


def _scatter(axis: Any, images: Mapping[str, Any]) -> None:
    for number, (split, values) in enumerate(images.items()):
        points = np.asarray(values)
        points = points[:: max(1, len(points) // MAX_POINTS)]
        axis.scatter(
            points[:, 0], points[:, 1], s=9, alpha=0.6, linewidths=0,
            color=COLOURS[number % 4], marker=MARKERS[number % 4], label=split,
        )  # fmt: skip
    # Outside, since the points may be anywhere.
    axis.figure.legend(
        loc="outside lower center", ncols=len(images), fontsize=8, frameon=False,
        markerscale=2,
    )  # fmt: skip
