"""The receptive field: which pixels of the image one pixel of a layer sees."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from dlkeras.model_graph import Box as Box
from dlkeras.model_graph import ReceptiveFields
from dlkeras.stages import find_ends
from dlkeras.visualization.figure import TIMES, drawing, new_figure, say, shortened
from dlkeras.visualization.images import show_image
from dlkeras.visualization.inputs import numbers, picture, received
from dlkeras.visualization.look.colours import CYCLE, DASHES


def receptive_field_box(
    model: keras.Model, layer: str, position: tuple[int, int] | None = None
) -> Box:
    """Return which pixels of the image one pixel of a layer sees.

    Args:
        model: a built model of images, channels last: Functional, Sequential, nested
            or subclassed. Where it takes images of any size, they are 256 pixels wide.
        layer: name of a layer or stage whose output is maps; `"base/conv1"` inside a
            nested model.
        position: row and column in the layer's maps; by default the middle.

    Returns:
        The smallest rectangle that holds all that the pixel sees. Behind convolutions,
        poolings, padding and what works on each pixel alone it is computed, padding
        included; behind anything else it is measured by the gradient with respect to a
        random image, and ends with the image.

    Raises:
        ValueError: there is no such layer or position, or the layer sees no image.

    Example:
    >>> from dlkeras.architectures import lenet5
    >>> receptive_field_box(lenet5(), "C3", (0, 0))
    Box(top=0, left=0, height=14, width=14)
    >>> receptive_field_box(lenet5(), "C5").height  # the whole input
    32

    Reference:
        Araujo, Norris and Sim, "Computing receptive fields of convolutional neural
        networks", Distill 2019.
    """
    return _box(ReceptiveFields(model), layer, position)


def _box(fields: ReceptiveFields, layer: str, position: Any) -> Box:
    output = find_ends(fields.graph, layer, "layer")[0]
    return field_of(fields, output, layer, place_in(output, layer, position))


def place_in(output: Any, layer: str, position: Any) -> tuple[int, int]:
    """A row and a column of a layer's maps; by default the middle.

    Raises:
        ValueError: the output is no maps, or has no such pixel.
    """
    if len(output.shape) != 4:
        raise ValueError(
            "layer must name one whose output is maps, (batch, rows, columns, maps). "
            f"Received: layer={layer!r} with output {tuple(output.shape)}"
        )
    sizes = output.shape[1:3]
    if position is None:
        return sizes[0] // 2, sizes[1] // 2
    place = numbers(position, "position", "a row and a column", axes=1).tolist()
    if len(place) != 2 or any(i % 1 for i in place):
        raise ValueError(
            "position must be a row and a column. Received: "
            f"position={received(position)}"
        )
    if any(not 0 <= i < n for i, n in zip(place, sizes, strict=True)):
        raise ValueError(
            f"position must lie in the layer's maps of {tuple(sizes)} pixels. "
            f"Received: position={position}"
        )
    return int(place[0]), int(place[1])


def field_of(
    fields: ReceptiveFields, output: Any, layer: str, place: Any, seen: Any = None
) -> Box:
    """What one pixel of a layer's maps sees of the image, or of other maps.

    Raises:
        ValueError: it sees nothing of them.
    """
    box = fields.box(output, place, seen)
    if box is None and seen is None:
        raise ValueError(
            f"Layer {layer!r} sees no image of model {fields.graph.model.name!r}: its "
            "maps are made from something else, its weights are all zero, or its "
            "channels stand first."
        )
    if box is None:
        raise ValueError(
            "layers must stand one behind the other, the one next to the image first. "
            f"Received: {layer!r}, which sees nothing of the one before it"
        )
    return box


@drawing()
def receptive_field(
    model: keras.Model,
    layers: str | Sequence[str],
    image: Any = None,
    position: tuple[int, int] | None = None,
    *,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw over an image what one neuron of a layer sees of it.

    Args:
        model: a built model of one image, channels last, of known size.
        layers: name of a layer or stage whose output is maps; of several, the boxes
            show how the view grows with depth.
        image: `(height, width, channels)` of the model's input size, channels 1 or 3;
            by default a grey one.
        position: row and column in the layer's maps, of one layer only; by default the
            middle of each layer's.
        title: text above the figure.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure; the image's frame is black, and what a box has outside of it is
        padding.

    Raises:
        ValueError: as `receptive_field_box`, the image is not of the model's size, or
            the language is unknown.

    Example:
    >>> from dlkeras.architectures import lenet5
    >>> figure = receptive_field(lenet5(), ["C1", "S2", "C3", "S4"])
    >>> [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    ['C1: 5 × 5 pixels', 'S2: 6 × 6 pixels', 'C3: 14 × 14 pixels', ...]
    """
    names = [layers] if isinstance(layers, str) else list(layers)
    if not names:
        raise ValueError("layers must name at least one layer. Received: none")
    if position is not None and len(names) != 1:
        raise ValueError(
            f"position needs one layer. Received: position={position}, layers={names}"
        )
    fields = ReceptiveFields(model)
    boxes = [_box(fields, name, position) for name in names]
    images = (x for x in fields.graph.inputs if len(x.shape) == 4)
    size = tuple(next(images).shape[1:3])
    shown = np.full((*size, 1), 0.5) if image is None else picture(image)
    if shown.shape[:2] != size:
        raise ValueError(
            f"image must be of the model's size, {size}. "
            f"Received: an image of {shown.shape[:2]}"
        )
    default = say(
        language,
        "What one neuron of a layer sees",
        "O que um neurônio de uma camada vê",
    )
    figure, (axis, side) = new_figure(
        6.4, 4.2, title or default, figsize=figsize, ax=ax, ncols=2,
        width_ratios=[5, 2],
    )  # fmt: skip
    if image is None:
        axis.imshow(shown[..., 0], cmap="gray", vmin=-1, vmax=1)
    else:
        show_image(axis, shown)
    frame = Rectangle((-0.5, -0.5), size[1], size[0], fill=False, linewidth=1.5)
    axis.add_patch(frame)
    for index, (name, box) in enumerate(zip(names, boxes, strict=True)):
        axis.add_patch(
            Rectangle(
                (box.left - 0.5, box.top - 0.5),
                box.width,
                box.height,
                fill=False,
                linewidth=2.5,
                path_effects=[withStroke(linewidth=4.5, foreground="white")],
                edgecolor=CYCLE[index % len(CYCLE)],
                linestyle=DASHES[index // len(CYCLE) % len(DASHES)],
                label=_label(name, box),
            )
        )
    margin = 0.03 * max(size)
    tops = [-0.5, *(box.top - 0.5 for box in boxes)]
    lefts = [-0.5, *(box.left - 0.5 for box in boxes)]
    bottoms = [size[0] - 0.5, *(box.top + box.height - 0.5 for box in boxes)]
    rights = [size[1] - 0.5, *(box.left + box.width - 0.5 for box in boxes)]
    axis.set_xlim(min(lefts) - margin, max(rights) + margin)
    axis.set_ylim(max(bottoms) + margin, min(tops) - margin)
    shown = [abs(b - a) for a, b in (axis.get_xlim(), axis.get_ylim())]
    for scale, side_of in ((axis.xaxis, shown[0]), (axis.yaxis, shown[1])):
        most = max(round(6 * side_of / max(shown)), 1)  # few on the side of a strip
        scale.set_major_locator(MaxNLocator(most, integer=True, min_n_ticks=1))
    axis.set_xlabel(say(language, "column (pixels)", "coluna (pixels)"))
    axis.set_ylabel(say(language, "row (pixels)", "linha (pixels)"))
    side.axis("off")
    side.legend(*axis.get_legend_handles_labels(), loc="upper left", frameon=False)
    return figure


def _label(name: str, box: Box) -> str:
    """A long name stands on a line of its own: the image keeps its room."""
    seen = f"{box.height} {TIMES} {box.width} pixels"
    if len(name) <= 10:
        return f"{name}: {seen}"
    return f"{shortened(name, 26)}:\n{seen}"
