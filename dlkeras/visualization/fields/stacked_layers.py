"""Layers as sheets of neurons above the image, and what one neuron sees of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import keras
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from dlkeras.model_graph import Box, ReceptiveFields
from dlkeras.stages import find_ends
from dlkeras.visualization.fields.receptive_fields import field_of, place_in
from dlkeras.visualization.fields.sheets import Sheets, draw, extent, stacked
from dlkeras.visualization.figure import (
    TIMES,
    drawing,
    ink,
    new_figure,
    say,
    shortened,
)
from dlkeras.visualization.images import common_range
from dlkeras.visualization.inputs import picture
from dlkeras.visualization.look.colours import CYCLE
from dlkeras.visualization.look.sizes import readable

# The sheets' largest width and height, and the width of the words, in inches.
_WIDTH, _HEIGHT, _WORDS = 3.9, 5.6, 2.4


@dataclass(frozen=True)
class _Step:
    """One neuron of a layer, and what it sees of the layer below."""

    name: str
    place: tuple[int, int]
    box: Box
    stride: float  # 0.5 where the layer is twice as large
    frame: Box  # what all neurons of the layer see


@drawing()
def stacked_layers(
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
    r"""Draw layers as sheets above the image, and the rectangle that one neuron sees.

    A neuron of the last layer sees a small rectangle of the layer below, the neuron in
    the middle of that rectangle sees one further down, and so on to the image. A layer
    of several maps is several sheets, and what a neuron sees goes through all of them.

    Args:
        model: a built model of one image, channels last.
        layers: names of layers or stages whose output is maps, the one next to the
            image first. You may leave layers out: what lies between counts.
        image: `(height, width, channels)` of the model's input size, as the model takes
            it; each sheet then shows what it holds of it. By default sheets are plain.
        position: row and column in the last layer; by default the middle.
        title: text above the figure.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure. A dotted frame is the padding around a sheet that the layer above
        looks into; the dashed rectangle is all that the last neuron sees of the image.
        Of more than 5 maps 5 are drawn. A layer of a quarter of the rows is drawn half
        as wide, so that it is still seen.

    Raises:
        ValueError: there is no such layer or position, a layer sees nothing of the one
            before it, the image is not of the model's size, or the language is unknown.

    Example:
    >>> from dlkeras.architectures import lenet5
    >>> figure = stacked_layers(lenet5(), ["C1", "S2"])
    >>> figure.axes[0].texts[-1].get_text()
    'S2\n14 × 14, 6 maps\neach sees 2 × 2, stride 2'

    Reference:
        Géron, *Hands-On Machine Learning with Scikit-Learn and TensorFlow*, 2017,
        figures 13-2 and 13-6.
    """
    names = [layers] if isinstance(layers, str) else list(layers)
    if not names:
        raise ValueError("layers must name at least one layer. Received: none")
    fields = ReceptiveFields(model)
    ends = [find_ends(fields.graph, name, "layer")[0] for name in names]
    for name, end in zip(names, ends, strict=True):  # refuses what sees no image
        field_of(fields, end, name, place_in(end, name, None))
    start = next(x for x in fields.graph.inputs if len(x.shape) == 4)
    tensors = [start, *ends]
    steps = _traced(fields, tensors, names, place_in(ends[-1], names[-1], position))
    whole = field_of(fields, ends[-1], names[-1], steps[-1].place)
    stack = stacked(
        [tuple(x.shape[1:]) for x in tensors],
        _values(fields, tensors, image),
    )
    default = say(
        language,
        "What one neuron sees, layer by layer",
        "O que um neurônio vê, camada por camada",
    )
    around = [stack[0].corners(whole, stack[0].count - 1)]
    for step, sheets in zip(steps, stack, strict=False):
        around += [sheets.corners(box) for box in (_frame(step, sheets), step.box)]
    low, high = extent(stack, around)
    wide, tall = high - low
    inch = min(_WIDTH / wide, _HEIGHT / tall)
    size = (inch * wide + _WORDS, inch * tall + 0.6)
    figure, axis = new_figure(*size, title or default, figsize=figsize, ax=ax)
    axis.set_axis_off()
    axis.set_aspect("equal")
    edge = 0.05 / inch
    axis.set_xlim(low[0] - edge, high[0] + _WORDS / inch)
    axis.set_ylim(low[1] - edge, high[1] + edge)
    for sheets in stack:
        draw(axis, sheets)
    for index, (step, (below, above)) in enumerate(
        zip(steps, pairwise(stack), strict=True)
    ):
        _trace(axis, step, below, above, CYCLE[index % len(CYCLE)])
    if len(steps) > 1:
        axis.add_patch(
            Polygon(stack[0].corners(whole, stack[0].count - 1), fill=False, lw=2,
                    ls="--", edgecolor=CYCLE[(len(steps) - 1) % len(CYCLE)], zorder=6)
        )  # fmt: skip
    letters = readable(*size, 10, 12) if ax is None and figsize is None else 9
    for sheets, words, colour in _words(stack, steps, whole, language):
        middle = (sheets.bottom + sheets.top) / 2
        axis.text(high[0] + 3 * edge, middle, words, color=colour, fontsize=letters,
                  va="center")  # fmt: skip
    return figure


def _traced(
    fields: ReceptiveFields, tensors: list[Any], names: list[str], place: Any
) -> list[_Step]:
    """Follow a neuron of the last layer down to the image; the image's step first."""
    steps: list[_Step] = []
    layers = list(zip(pairwise(tensors), names, strict=True))
    for (below, tensor), name in reversed(layers):
        sizes = tuple(tensor.shape[1:3])
        box = field_of(fields, tensor, name, place, below)
        first = field_of(fields, tensor, name, (0, 0), below)
        last = field_of(fields, tensor, name, tuple(n - 1 for n in sizes), below)
        moved = last.top - first.top, last.left - first.left
        strides = [
            _stride(way, n, before)
            for way, n, before in zip(moved, sizes, below.shape[1:3], strict=True)
            if n > 1
        ]
        frame = Box(
            first.top, first.left, last.top + last.height - first.top,
            last.left + last.width - first.left,
        )  # fmt: skip
        steps.insert(0, _Step(name, place, box, max(strides, default=1), frame))
        middle = (box.top + box.height // 2, box.left + box.width // 2)
        place = tuple(
            min(max(i, 0), n - 1) for i, n in zip(middle, below.shape[1:3], strict=True)
        )
    return steps


def _stride(moved: int, count: int, before: int) -> float:
    """How far a neuron's field is from its neighbour's, of so many neurons."""
    if moved % (count - 1) == 0:
        return moved // (count - 1)
    return before / count  # upsampled: some move, others do not


def _values(
    fields: ReceptiveFields, tensors: list[Any], image: Any
) -> list[np.ndarray | None]:
    """What the layers make of an image, each from 0 to 1 in its own range."""
    if image is None:
        return [None] * len(tensors)
    start, shown = tensors[0], picture(image)
    if shown.shape != tuple(start.shape[1:]) or len(fields.graph.inputs) != 1:
        raise ValueError(
            f"image must be of the model's size, {tuple(start.shape[1:])}, and the "
            f"model's only input. Received: an image of {shown.shape}"
        )
    value = keras.ops.cast(shown[None], start.dtype)
    outputs = fields.graph.run([(start, value)], tensors[1:])
    arrays: list[Any] = [keras.ops.convert_to_numpy(x) for x in outputs]
    found: list[np.ndarray | None] = [_scaled(shown, *common_range([shown]))]
    for array in (batch[0] for batch in arrays):
        finite = array[np.isfinite(array)]
        ends = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
        found.append(_scaled(array, *ends))
    return found


def _scaled(array: np.ndarray, low: float, high: float) -> np.ndarray:
    wide = np.asarray(array, "float64")
    return np.clip((wide - low) / max(float(high) - float(low), 1e-12), 0, 1)


def _trace(axis: Any, step: _Step, below: Sheets, above: Sheets, colour: str) -> None:
    """A neuron, the rectangle that it sees, and the lines between them."""
    frame = _frame(step, below)
    if frame != below.whole:
        axis.add_patch(
            Polygon(below.corners(frame), fill=False, edgecolor=ink(), lw=0.9, ls=":",
                    zorder=2)
        )  # fmt: skip
    ends = [below.corners(step.box, sheet) for sheet in range(below.count)]
    for sheet, corners in enumerate(ends):
        axis.add_patch(Polygon(corners, color=colour, alpha=0.3, lw=0, zorder=4))
        axis.add_patch(
            Polygon(corners, fill=False, edgecolor=colour, zorder=4,
                    lw=1.8 if sheet == below.count - 1 else 1.0)
        )  # fmt: skip
    for lowest, highest in zip(ends[0], ends[-1], strict=True):
        axis.plot(*np.stack([lowest, highest], 1), color=colour, lw=1, zorder=4)
    neuron = Box(*step.place, 1, 1)
    corners = above.corners(neuron)
    middle = corners.mean(0)
    for corner in ends[-1]:
        axis.plot(*np.stack([middle, corner], 1), color=colour, lw=1, zorder=5)
    axis.add_patch(Polygon(corners, color=colour, zorder=5))
    axis.plot(*middle, "o", color=colour, ms=3.5, zorder=5)


def _frame(step: _Step, below: Sheets) -> Box:
    """The sheet below with the padding that a layer looks into."""
    top, left = min(step.frame.top, 0), min(step.frame.left, 0)
    bottom = max(step.frame.top + step.frame.height, below.rows)
    right = max(step.frame.left + step.frame.width, below.columns)
    return Box(top, left, bottom - top, right - left)


def _words(
    stack: list[Sheets], steps: list[_Step], whole: Box, language: str
) -> list[tuple[Sheets, str, str]]:
    """The words beside each layer, and their colour."""
    image, maps = say(language, "image", "imagem"), say(language, "maps", "mapas")
    sees, stride = (
        say(language, "each sees", "cada um vê"),
        say(language, "stride", "passo"),
    )
    channels = say(language, "channels", "canais")
    one = say(language, "map", "mapa"), say(language, "channel", "canal")
    found = []
    for index, sheets in enumerate(stack):
        size = f"{sheets.rows} {TIMES} {sheets.columns}"
        if index == 0:
            kind = channels if sheets.maps > 1 else one[1]
            lines = [image, f"{size}, {sheets.maps} {kind}"]
            if len(steps) > 1:
                seen = f"{whole.height} {TIMES} {whole.width}"
                name = shortened(steps[-1].name, 12)
                view = say(language, f"{name} sees {seen}", f"{name} vê {seen}")
                lines.append(f"- - {view}")
            found.append((sheets, "\n".join(lines), ink()))
            continue
        step = steps[index - 1]
        kind = maps if sheets.maps > 1 else one[0]
        seen = f"{step.box.height} {TIMES} {step.box.width}"
        lines = [shortened(step.name, 22), f"{size}, {sheets.maps} {kind}"]
        far = f", {stride} {step.stride:.3g}" if step.stride else ""  # or all see all
        lines.append(f"{sees} {seen}{far}")
        found.append((sheets, "\n".join(lines), CYCLE[(index - 1) % len(CYCLE)]))
    return found
