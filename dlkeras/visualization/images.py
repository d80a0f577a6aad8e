"""Figures of images, filters and feature maps."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlkeras.visualization.figure import in_language, new_figure, say


def image_grid(
    images: Any,
    captions: Sequence[str] | None = None,
    title: str | None = None,
    columns: int | None = None,
) -> Figure:
    """Draw images side by side.

    Args:
        images: `(number, height, width, channels)`, channels 1 or 3, or a sequence of
            `(height, width, channels)` of any sizes; any range, each image is scaled
            to its own.
        captions: a text below each image.
        title: text above the grid.
        columns: images in a row; default: as square as it gets.

    Returns:
        The figure.

    Raises:
        ValueError: there is no image, or not one caption for each.

    Example:
    >>> figure = image_grid(np.zeros((6, 8, 8, 1)), columns=3)
    >>> len(figure.axes)
    6
    """
    pictures = [np.asarray(image) for image in images]
    if not pictures:
        raise ValueError("images must hold at least one image. Received: none")
    if captions is not None and len(captions) != len(pictures):
        raise ValueError(
            f"captions must be one for each of {len(pictures)} images. "
            f"Received: {len(captions)}"
        )
    columns = columns or math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    lines = max((c.count("\n") + 1 for c in captions or []), default=0)
    figure, axes = new_figure(
        max(1.15 * columns + 0.2, 3.4 if title else 0),
        (1.1 + 0.19 * lines) * rows + (0.4 if title else 0.1),
        title,
        nrows=rows,
        ncols=columns,
        squeeze=False,
    )
    for index, axis in enumerate(axes.flat):
        if index >= len(pictures):
            axis.remove()
            continue
        show_image(axis, pictures[index])
        if captions is not None:
            axis.set_xlabel(captions[index], fontsize=8)
            # The layout leaves room for the caption below its own box: stand there.
            axis.set_anchor("S")
    return figure


def image_table(
    images: Any,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str | None = None,
) -> Figure:
    """Draw images in a table: a row for each thing, a column for what became of it.

    Args:
        images: `(rows, columns, height, width, channels)`, channels 1 or 3, all in the
            range 0 to 1.
        rows: a text for each row.
        columns: a text for each column.
        title: text above the table.

    Returns:
        The figure.

    Example:
    >>> figure = image_table(np.zeros((2, 3, 8, 8, 1)), ["a", "b"], ["1", "2", "3"])
    >>> len(figure.axes)
    6
    """
    pictures = np.asarray(images)
    figure, axes = new_figure(
        1.15 * len(columns) + 0.5,
        1.15 * len(rows) + (0.7 if title else 0.4),
        title,
        nrows=len(rows),
        ncols=len(columns),
        squeeze=False,
    )
    for row, line in enumerate(axes):
        for column, axis in enumerate(line):
            picture = pictures[row, column]
            colours = picture if picture.shape[-1] == 3 else picture[..., 0]
            axis.imshow(colours, cmap="gray", vmin=0, vmax=1)
            axis.set_xticks([])
            axis.set_yticks([])
            if row == 0:
                axis.set_title(columns[column], fontsize=8)
            if column == 0:
                axis.set_ylabel(rows[row], fontsize=8)
    return figure


def filters(kernel: Any, title: str | None = None, *, language: str = "en") -> Figure:
    """Draw the filters of a convolution: what each neuron's receptive field weighs.

    Args:
        kernel: `(height, width, inputs, filters)`. One input channel is drawn in blue
            (negative) to red (positive); three are drawn as colours; of others the
            mean over the inputs is drawn.
        title: text above the grid; default: what it shows.
        language: `"en"` or `"pt"`.

    Returns:
        The figure, one image for each filter, on one scale.

    Example:
    >>> len(filters(np.zeros((5, 5, 1, 6))).axes)
    7
    """
    weights = np.asarray(kernel)
    count = weights.shape[-1]
    columns = min(count, 8)
    rows = math.ceil(count / columns)
    figure, axes = new_figure(
        1.15 * columns + 1,
        1.25 * rows + 0.5,
        title or say(language, "Filters", "Filtros"),
        nrows=rows,
        ncols=columns,
        squeeze=False,
    )
    if weights.shape[2] == 3:
        low, high = weights.min(), weights.max()
        pictures = np.moveaxis((weights - low) / max(high - low, 1e-12), -1, 0)
        options: dict[str, Any] = {}
    else:
        pictures = np.moveaxis(weights.mean(axis=2), -1, 0)
        limit = max(float(np.abs(pictures).max()), 1e-12)
        options = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    drawn = None
    for index, axis in enumerate(axes.flat):
        if index >= count:
            axis.remove()
            continue
        drawn = axis.imshow(pictures[index], **options)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_xlabel(f"{say(language, 'map', 'mapa')} {index + 1}", fontsize=8)
    if options and drawn is not None:
        remaining = [axis for axis in axes.flat if axis.figure is not None]
        weight = say(language, "weight", "peso")
        figure.colorbar(drawn, ax=remaining, label=weight, shrink=0.8)
    return in_language(figure, language)


def feature_maps(
    image: Any,
    maps: Mapping[str, Any],
    title: str | None = None,
    *,
    language: str = "en",
) -> Figure:
    """Draw an image and what each layer makes of it.

    Args:
        image: `(height, width, channels)`.
        maps: for each layer's name its output, `(height, width, maps)`; the first 16
            maps are drawn.
        title: text above the figure; default: what it shows.
        language: `"en"` or `"pt"`.

    Returns:
        The figure: a row for the image and one for each 8 maps of a layer.

    Example:
    >>> len(feature_maps(np.zeros((32, 32, 1)), {"C1": np.zeros((28, 28, 6))}).axes)
    7
    """
    columns = 8
    name_of_maps = say(language, "maps", "mapas")
    picture = say(language, "image", "imagem")
    rows: list[tuple[str, list[np.ndarray]]] = [(picture, [np.asarray(image)])]
    for name, output in maps.items():
        layer = np.asarray(output)[..., :16]
        for start in range(0, layer.shape[-1], columns):
            part = layer[..., start : start + columns]
            label = f"{name}, {name_of_maps} {start + 1}-{start + part.shape[-1]}"
            rows.append((label, [part[..., i : i + 1] for i in range(part.shape[-1])]))
    figure, axes = new_figure(
        1.15 * columns,
        1.2 * len(rows) + 0.5,
        title or say(language, "Feature maps", "Mapas de características"),
        nrows=len(rows),
        ncols=columns,
        squeeze=False,
    )
    for row, (label, pictures) in zip(axes, rows, strict=True):
        for index, axis in enumerate(row):
            if index >= len(pictures):
                axis.remove()
                continue
            show_image(axis, pictures[index])
            if index == 0:
                axis.set_ylabel(label, fontsize=8)
    return in_language(figure, language)


def show_image(axis: Any, picture: np.ndarray) -> None:
    """Draw one image in its own range, without ticks."""
    low, high = float(picture.min()), float(picture.max())
    scaled = (picture - low) / (high - low) if high > low else picture * 0.0
    if picture.shape[-1] == 3:
        axis.imshow(scaled)
    else:
        axis.imshow(scaled[..., 0], cmap="gray", vmin=0, vmax=1)
    axis.set_xticks([])
    axis.set_yticks([])
