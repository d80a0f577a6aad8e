"""Figures of a network's filters and feature maps."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlkeras.visualization.figure import (
    drawing,
    new_figure,
    say,
    shortened,
)
from dlkeras.visualization.images import gaps, note, show_image
from dlkeras.visualization.inputs import mapping, numbers, picture
from dlkeras.visualization.look.sizes import legible, panel


@drawing("title")
def filters(
    kernel: Any,
    *,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw the filters of a convolution: what each neuron's receptive field weighs.

    Args:
        kernel: `(height, width, inputs, filters)`, or `(width, inputs, filters)` of a
            Conv1D. One input channel is drawn in blue (negative) to red (positive);
            three are drawn as colours; of others the mean over the inputs is drawn.
        title: text above the grid; default: what it shows.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure, one image for each filter, on one scale.

    Raises:
        ValueError: the kernel is of other axes, or has no or not finite weights.
        TypeError: what is given is no array.

    Example:
    >>> len(filters(np.zeros((5, 5, 1, 6))).axes)
    7
    """
    expected = "a convolution's kernel (height, width, inputs, filters)"
    weights = numbers(kernel, "kernel", expected)
    if weights.ndim == 3:  # of a Conv1D: a filter is a row
        weights = weights[None]
    if weights.ndim != 4 or not weights.size or not np.isfinite(weights).all():
        found = "NaN or infinity in it" if weights.size else "nothing in it"
        raise ValueError(
            f"kernel must be {expected}, of finite weights. Received: shape "
            f"{np.shape(kernel)}{f', {found}' if weights.ndim == 4 else ''}"
        )
    weights = weights.astype(np.result_type(weights.dtype, "float32"))
    count = weights.shape[-1]
    columns = min(count, 8)
    rows = math.ceil(count / columns)
    side = panel(columns)
    width = side * columns + 1
    letters = legible(width, 8)
    figure, axes = new_figure(
        width,
        (side + 0.1) * rows + 0.5,
        title or say(language, "Filters", "Filtros"),
        figsize=figsize,
        ax=ax,
        nrows=rows,
        ncols=columns,
        squeeze=False,
    )
    if weights.shape[2] == 3:
        low, high = weights.min(), weights.max()
        drawn = np.moveaxis((weights - low) / max(high - low, 1e-12), -1, 0)
        options: dict[str, Any] = {}
    else:
        drawn = np.moveaxis(weights.mean(axis=2), -1, 0)
        limit = max(float(np.abs(drawn).max()), 1e-12)
        options = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    image = None
    for index, axis in enumerate(axes.flat):
        if index >= count:
            axis.remove()
            continue
        image = axis.imshow(drawn[index], **options)
        _widen(axis, drawn[index])
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_xlabel(f"{say(language, 'map', 'mapa')} {index + 1}", fontsize=letters)
    if options and image is not None:
        remaining = [axis for axis in axes.flat if axis.figure is not None]
        weight = say(language, "weight", "peso")
        figure.colorbar(image, ax=remaining, label=weight, shrink=0.8)
    return figure


@drawing("title")
def feature_maps(
    image: Any,
    maps: Mapping[str, Any],
    *,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw an image and what each layer makes of it, each map in its own range.

    NaN and infinity are purple.

    Args:
        image: `(height, width, channels)`, or a batch of one.
        maps: for each layer's name its output, `(height, width, maps)`, or a batch of
            one; the first 16 maps are drawn.
        title: text above the figure; default: what it shows.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure: a row for the image and one for each 8 maps of a layer.

    Raises:
        ValueError: the image or an output has other axes.
        TypeError: `maps` is no dictionary, or holds no arrays.

    Example:
    >>> len(feature_maps(np.zeros((32, 32, 1)), {"C1": np.zeros((28, 28, 6))}).axes)
    7
    """
    columns = 8  # at most
    name_of_maps = say(language, "maps", "mapas")
    shown = picture(_one(image), "image")
    rows = [(say(language, "image", "imagem"), [shown])]
    of_layers = "a dictionary: for each layer's name its output"
    for name, output in mapping(maps, "maps", of_layers).items() if maps else ():
        expected = "a layer's maps (height, width, maps) of one image"
        layer = numbers(_one(output), f"maps[{name!r}]", expected, axes=3)[..., :16]
        for start in range(0, layer.shape[-1], columns):
            part = layer[..., start : start + columns]
            label = f"{name_of_maps} {start + 1}-{start + part.shape[-1]}"
            whole = f"{name}, {label}"
            lines = [shortened(name, 14) + ",", label]
            label = whole if len(whole) <= 16 else "\n".join(lines)
            rows.append((label, [part[..., i : i + 1] for i in range(part.shape[-1])]))
    columns = max(len(drawn) for _, drawn in rows)
    side = panel(columns)
    width = max(side * columns, 3.4)
    figure, axes = new_figure(
        width,
        (side + 0.05) * len(rows) + 0.5,
        title or say(language, "Feature maps", "Mapas de características"),
        figsize=figsize,
        ax=ax,
        nrows=len(rows),
        ncols=columns,
        squeeze=False,
    )
    for row, (label, drawn) in zip(axes, rows, strict=True):
        for index, axis in enumerate(row):
            if index >= len(drawn):
                axis.remove()
                continue
            show_image(axis, drawn[index])
            _widen(axis, drawn[index])
            if index == 0:
                axis.set_ylabel(label, fontsize=legible(width, 8))
    note(figure, gaps([image for _, drawn in rows for image in drawn], language))
    return figure


def _widen(axis: Any, image: np.ndarray) -> None:
    """Fill the box with a strip, whose square pixels would be a line."""
    height, width = image.shape[:2]
    if not 0.5 <= height / width <= 2:
        axis.set_aspect("auto")


def _one(batch: Any) -> Any:
    """The only example of a batch."""
    shape = getattr(batch, "shape", ())
    return batch[0] if len(shape) == 4 and shape[0] == 1 else batch
