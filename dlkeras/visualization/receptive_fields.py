"""The receptive field: which pixels of the image one pixel of a layer sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from dlkeras.layers import BottleneckBlock, InceptionModule, ResidualBlock
from dlkeras.stages import find_layer
from dlkeras.visualization.figure import (
    CYCLE,
    DASHES,
    TIMES,
    drawing,
    new_figure,
    say,
)
from dlkeras.visualization.images import show_image
from dlkeras.visualization.inputs import numbers, picture, received


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels; it leaves the image where the layers pad.

    Attributes:
        top: First row, negative above the image.
        left: First column, negative to the left of it.
        height: Number of rows.
        width: Number of columns.
    """

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class _View:
    """What the pixels of one axis see: pixel i sees `size` from `first + i step`."""

    first: int = 0
    step: int = 1
    size: int = 1

    def through(self, kernel: int, stride: int, before: int) -> "_View":
        """What the next layer's pixels see, whose input is padded by `before`."""
        return _View(
            self.first - before * self.step,
            self.step * stride,
            self.size + (kernel - 1) * self.step,
        )

    def joined(self, other: "_View") -> "_View":
        """What a pixel sees that reads one pixel of each of two inputs."""
        first = min(self.first, other.first)
        last = max(self.first + self.size, other.first + other.size)
        return _View(first, self.step, last - first)


def receptive_field_box(
    model: keras.Model, layer: str, position: tuple[int, int] | None = None
) -> Box:
    """Return which pixels of the image one pixel of a layer sees.

    Args:
        model: a Functional model of one image, channels last, of known size.
        layer: name of a layer or stage whose output is maps.
        position: row and column in the layer's maps; by default the middle.

    Returns:
        The smallest rectangle that holds all that the pixel sees, padding included.

    Raises:
        ValueError: there is no such layer or position, or a layer on the way changes
            the image's size in a way that is not known here.

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
    found = find_layer(model, layer, "layer")
    output = keras.tree.flatten(found.output)[0]
    if len(output.shape) != 4:
        raise ValueError(
            "layer must name one whose output is maps, (batch, rows, columns, maps). "
            f"Received: layer={layer!r} with output {tuple(output.shape)}"
        )
    sizes = output.shape[1:3]
    if position is not None:
        place = numbers(position, "position", "a row and a column", axes=1).tolist()
        if len(place) != 2 or any(i % 1 for i in place):
            raise ValueError(
                "position must be a row and a column. Received: "
                f"position={received(position)}"
            )
    else:
        place = tuple((size or 1) // 2 for size in sizes)
    if any(not 0 <= i < (n or i + 1) for i, n in zip(place, sizes, strict=True)):
        raise ValueError(
            f"position must lie in the layer's maps of {tuple(sizes)} pixels. "
            f"Received: position={position}"
        )
    rows, columns = _views(model)[id(output)]
    return Box(
        top=rows.first + place[0] * rows.step,
        left=columns.first + place[1] * columns.step,
        height=rows.size,
        width=columns.size,
    )


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
        model: a Functional model of one image, channels last, of known size.
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
    size = tuple(model.inputs[0].shape[1:3])
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
    boxes = [receptive_field_box(model, name, position) for name in names]
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
                label=f"{name}: {box.height} {TIMES} {box.width} pixels",
            )
        )
    margin = 0.03 * max(size)
    tops = [-0.5, *(box.top - 0.5 for box in boxes)]
    lefts = [-0.5, *(box.left - 0.5 for box in boxes)]
    bottoms = [size[0] - 0.5, *(box.top + box.height - 0.5 for box in boxes)]
    rights = [size[1] - 0.5, *(box.left + box.width - 0.5 for box in boxes)]
    axis.set_xlim(min(lefts) - margin, max(rights) + margin)
    axis.set_ylim(max(bottoms) + margin, min(tops) - margin)
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axis.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axis.set_xlabel(say(language, "column (pixels)", "coluna (pixels)"))
    axis.set_ylabel(say(language, "row (pixels)", "linha (pixels)"))
    side.axis("off")
    side.legend(*axis.get_legend_handles_labels(), loc="upper left", frameon=False)
    return figure


def _views(model: Any) -> dict[int, tuple[_View, _View]]:
    """What the pixels of every tensor of maps see, along the rows and the columns."""
    views: dict[int, Any] = {id(x): (_View(), _View()) for x in model.inputs}
    for layer in model.layers:
        inputs = keras.tree.flatten(layer.input)
        outputs = keras.tree.flatten(layer.output)
        if any(len(x.shape) != 4 or id(x) not in views for x in inputs):
            continue
        if len(outputs[0].shape) != 4 or id(outputs[0]) in views:
            continue
        joined = views[id(inputs[0])]
        for x in inputs[1:]:
            pair = zip(joined, views[id(x)], strict=True)
            joined = tuple(a.joined(b) for a, b in pair)
        views[id(outputs[0])] = tuple(
            _passed(layer, view, axis, inputs[0].shape[axis + 1], outputs[0])
            for axis, view in enumerate(joined)
        )
    return views


def _passed(layer: Any, view: _View, axis: int, size: Any, output: Any) -> _View:
    """What the layer's pixels see along one axis, where its input's see `view`."""
    if isinstance(layer, ResidualBlock | BottleneckBlock):
        branch, pixels = view, size
        for convolution in layer.convolutions:
            kernel = convolution.kernel_size[axis]
            stride = convolution.strides[axis]
            explicit = layer.padding == "symmetric" and kernel > 1 and stride > 1
            before = kernel // 2 if explicit else _same(kernel, stride, pixels)
            branch = branch.through(kernel, stride, before)
            pixels = None if pixels is None else -(-pixels // stride)
        return branch.joined(view.through(1, layer.strides, 0))
    if isinstance(layer, InceptionModule):
        widest = max(3, layer.kernel_size_5x5)
        return view.through(widest, 1, _same(widest, 1, size))
    if isinstance(layer, keras.layers.ZeroPadding2D):
        return view.through(1, 1, layer.padding[axis][0])
    if isinstance(layer, keras.layers.Cropping2D):
        return view.through(1, 1, -layer.cropping[axis][0])
    window = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    strides = getattr(layer, "strides", None)
    if isinstance(window, tuple) and isinstance(strides, tuple) and len(window) == 2:
        dilation = getattr(layer, "dilation_rate", (1, 1))[axis]
        kernel = (window[axis] - 1) * dilation + 1
        padding = getattr(layer, "padding", "valid")
        before = _same(kernel, strides[axis], size) if padding == "same" else 0
        return view.through(kernel, strides[axis], before)
    if output.shape[axis + 1] != size:
        raise ValueError(
            "The receptive field is known behind convolutions, poolings, padding, the "
            "blocks of dlkeras.layers and layers that keep the image's size. "
            f"Received: layer {layer.name!r} of {type(layer).__name__}, which turns "
            f"{size} pixels into {output.shape[axis + 1]}"
        )
    return view


def _same(kernel: int, stride: int, size: int | None) -> int:
    """Pixels that SAME padding adds before an axis."""
    if size is None:
        return (kernel - 1) // 2
    return max((-(-size // stride) - 1) * stride + kernel - size, 0) // 2
