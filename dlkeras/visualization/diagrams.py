"""The diagram of an architecture: boxes with shapes, inception and residual blocks."""

import itertools
import math
from typing import Any

import keras
from matplotlib.patches import FancyArrowPatch, Patch
from matplotlib.text import Text

from dlkeras.layers import BottleneckBlock, InceptionModule, ResidualBlock
from dlkeras.model_graph import Graph, Scope, read
from dlkeras.visualization.diagram.blocks import COARSENESS, folded
from dlkeras.visualization.diagram.glyphs import (
    COLOURS,
    KINDS,
    PASSES_ON,
    Glyph,
    Inception,
    Narrow,
    Nested,
    Residual,
    shape_of,
)
from dlkeras.visualization.figure import (
    Figure,
    drawing,
    ink,
    new_figure,
    paper,
    say,
    shortened,
)
from dlkeras.visualization.look.colours import GREY
from dlkeras.visualization.look.sizes import LEAST, LETTER, on_slide

# A nested model with more calls than these is one box.
_MANY = 12
_GAP, _ROW_GAP, _MARGIN, _HEAD, _FOOT = 0.26, 0.42, 0.25, 0.5, 0.4
_ABOVE = 0.24
_NOTE = 7.5  # points of what says from where a glyph reads
_WIDESCREEN = 16 / 9
_ARROW: dict[str, Any] = {
    "arrowstyle": "-|>",
    "mutation_scale": 9,
    "lw": 0.9,
    "shrinkA": 0,
    "shrinkB": 0,
}


@drawing()
def architecture_diagram(
    model: keras.Model,
    *,
    blocks: bool | None = None,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw a network as boxes in the order of its layers, row below row.

    A box has the layer's name, what it does and the shape of its output. An inception
    module shows its four views, a residual block its branch and its shortcut, with
    squeeze-and-excitation and ResNet-D's average pooling; equal residual blocks in a
    row are drawn once, with their number. Layers without weights
    that only pass values on (activations, dropout, padding) are narrow. Arrows follow
    the order; what reads a layer farther back says which. The rows are broken so that
    the figure fits a wide slide. A network of more layers than a slide has room for is
    drawn in blocks: a box is all that lies inside of a shortcut, or a convolution with
    what follows it, and equal ones are drawn once with their number; of a still longer
    network it is all that has one height and width.

    Args:
        model: a built model: Functional, Sequential, nested or subclassed. A nested
            model of more than 12 calls is one box; a layer called twice is two.
        blocks: whether to draw blocks of layers; by default where a slide is too small.
        title: text above the diagram; by default the model's name and parameters.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches; the texts shrink with the diagram.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure, as large as the diagram; texts are 7 to 9 points at its own size.

    Raises:
        ValueError: the model is not built or cannot be traced, or the language is
            unknown.

    Example:
    >>> from dlkeras.architectures import lenet5
    >>> figure = architecture_diagram(lenet5())
    >>> figure.texts[0].get_text()
    'lenet5: 61,706 parameters'

    Reference:
        Drawn after figure 2 of LeCun et al. (1998), figures 2(b) and 3 of Szegedy et
        al. (2015) and figures 2, 3 and 5 of He et al. (2016).
    """
    glyphs, edges = _glyphs(model, language)
    rows = _broken(glyphs)
    if blocks or (blocks is None and not _is_read(rows)):
        every = glyphs, edges
        for coarseness in COARSENESS:
            glyphs, edges = folded(*every, language, coarseness)
            rows = _broken(glyphs)
            if _is_read(rows):
                break
    width, height = _size(rows)
    # Room for what the first row reads from afar.
    above = any(start + 1 < end < len(rows[0]) for start, end in edges)
    height += _ABOVE if above else 0
    if ax is None:
        figure = Figure(figsize=figsize or (width, height), dpi=120)
        axis = figure.add_axes((0, 0, 1, 1))
    else:
        figure, axis = new_figure(width, height, ax=ax)
    room = axis.get_window_extent()
    scale = min(room.width / width, room.height / height) / figure.dpi
    axis.set_xlim(0, width)
    axis.set_ylim(0, height)
    axis.set_aspect("equal")
    axis.axis("off")
    default = f"{model.name}: {_counted(model, language)}"
    heading = title or default
    if ax is None:
        figure.text(
            0.5, 1 - 0.25 / height, heading, ha="center", va="center", fontsize=12
        )
    else:
        axis.set_title(heading)
    _place(rows, height - (_ABOVE if above else 0))
    for glyph in glyphs:
        glyph.draw(axis)
    distant: dict[int, list[str]] = {}
    for start, end in edges:
        if end == start + 1:
            _connect(axis, rows, glyphs[start], glyphs[end])
        else:
            distant.setdefault(end, []).append(glyphs[start].names[-1])
    notes = {
        end: f"{say(language, 'from', 'de')} {', '.join(sources)}"
        for end, sources in sorted(distant.items())
    }
    for end, letters in _letters(glyphs, notes, width).items():
        first, rest = notes[end].split(" ", 1)
        if len(notes[end]) <= letters:
            note = notes[end]
        elif glyphs[end].row:  # two lines, where there is room
            note = f"{first}\n{shortened(rest, letters)}"
        else:
            note = shortened(notes[end], letters)
        _refer(axis, glyphs[end], note)
    used = [kind for kind in KINDS if any(kind in glyph.kinds for glyph in glyphs)]
    (figure if ax is None else axis).legend(
        handles=[
            Patch(facecolor=COLOURS[kind], edgecolor=GREY, label=say(language, *names))
            for kind, names in KINDS.items()
            if kind in used
        ],
        loc="lower center",
        ncols=len(used),
        frameon=False,
        fontsize=8,
    )
    if abs(scale - 1) > 1e-3:
        texts: Any = (figure if ax is None else axis).findobj(Text)
        for text in texts:
            text.set_fontsize(text.get_fontsize() * scale)
    return figure


def _glyphs(model: Any, language: str) -> tuple[list[Glyph], list[tuple[int, int]]]:
    """The boxes of a model in the order of its calls, and the arrows between them."""
    glyphs: list[Glyph] = []
    made: dict[int, int] = {}  # tensor: the glyph that gives it
    edges: set[tuple[int, int]] = set()
    graph = read(model)
    whole = _whole(graph)
    known: dict[int, int] = {}  # a nested model that is one box: its glyph
    for call in graph.calls:
        sources = {made[id(x)] for x in call.inputs}
        last = len(glyphs) - 1
        scope = whole.get(id(call.scope))
        if scope is not None and id(scope) in known:
            place = known[id(scope)]
            edges.update((source, place) for source in sources - {place})
            glyphs[place].shape = shape_of(call)
        elif scope is None and sources == {last} and _repeats(glyphs[-1], call):
            glyphs[-1].count += 1
            glyphs[-1].names.append(call.name)
        else:
            glyph = _glyph(call, language) if scope is None else Nested(call, language)
            if scope is not None:
                known[id(scope)] = len(glyphs)
                glyph.layer, glyph.names = scope.model, [scope.name]
            glyphs.append(glyph)
            edges.update((source, len(glyphs) - 1) for source in sources)
        for x in call.outputs:
            made[id(x)] = len(glyphs) - 1
    return glyphs, sorted(edges)


def _whole(graph: Graph) -> dict[int, Scope]:
    """Nested models of many calls: what is inside of them, and the outermost one."""
    whole: dict[int, Scope] = {}
    for scope in graph.scopes[1:]:
        inside = [c for c in graph.calls if c.name.startswith(f"{scope.name}/")]
        if scope.parent is not None and id(scope.parent) in whole:
            whole[id(scope)] = whole[id(scope.parent)]
        elif len(inside) > _MANY:
            whole[id(scope)] = scope
    return whole


def _glyph(call: Any, language: str) -> Glyph:
    layer = call.operation
    if isinstance(layer, InceptionModule):
        return Inception(call, language)
    if isinstance(layer, ResidualBlock | BottleneckBlock):
        return Residual(call, language)
    if type(layer).__name__ in PASSES_ON:
        return Narrow(call, language)
    return Glyph(call, language)


def _repeats(glyph: Glyph, call: Any) -> bool:
    """Whether a residual block is like the one before it."""
    layer, before = call.operation, glyph.layer
    return (
        isinstance(glyph, Residual)
        and type(layer) is type(before)
        and shape_of(call) == glyph.shape
        and glyph.steps == Residual(call, glyph.language).steps
        and (layer.projection is None) == (before.projection is None)
        and layer.strides == before.strides
    )


def _counted(model: Any, language: str) -> str:
    """The number of parameters, and how many of them are trained."""
    total = model.count_params()
    trained = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    if trained == total:
        return say(language, f"{total:,} parameters", f"{total:,} parâmetros")
    others = total - trained
    return say(
        language,
        f"{trained:,} trainable parameters, {others:,} others",
        f"{trained:,} parâmetros treináveis, {others:,} outros",
    )


def _rows(glyphs: list[Glyph], width: float) -> list[list[Glyph]]:
    """Break the row of glyphs where it is wider than `width` inches."""
    rows, used = [[]], 0.0
    for glyph in glyphs:
        if rows[-1] and used + glyph.width > width:
            rows.append([])
            used = 0.0
        rows[-1].append(glyph)
        used += glyph.width + _GAP
    return rows


def _size(rows: list[list[Glyph]]) -> tuple[float, float]:
    widths = [sum(g.width + _GAP for g in row) - _GAP for row in rows]
    heights = [max(g.height for g in row) for row in rows]
    # Room for the title and for the legend's entries in one line.
    return (
        max([*widths, 5.6]) + 2 * _MARGIN + _GAP,
        sum(heights) + _ROW_GAP * (len(rows) - 1) + _HEAD + _FOOT,
    )


def _broken(glyphs: list[Glyph]) -> list[list[Glyph]]:
    """The rows that fit a wide slide best."""
    return min((_rows(glyphs, width / 4) for width in range(22, 68)), key=_unfit)


def _is_read(rows: list[list[Glyph]]) -> bool:
    """Whether the last row of a room reads the letters on a slide."""
    made = any(isinstance(g, Residual | Inception) for row in rows for g in row)
    return made or _NOTE * on_slide(*_size(rows)) >= LEAST


def _unfit(rows: list[list[Glyph]]) -> float:
    """How far the rows are from a wide slide, and from each other in length."""
    width, height = _size(rows)
    widths = [sum(g.width + _GAP for g in row) for row in rows]
    return abs(width / height - _WIDESCREEN) + 1 - min(widths) / max(widths)


def _place(rows: list[list[Glyph]], height: float) -> None:
    top = height - _HEAD
    for number, row in enumerate(rows):
        tallest = max(glyph.height for glyph in row)
        left = _MARGIN + _GAP / 2
        for glyph in row:
            glyph.x, glyph.y, glyph.row = left, top - tallest / 2, number
            left += glyph.width + _GAP
        top -= tallest + _ROW_GAP


def _connect(axis: Any, rows: list[list[Glyph]], a: Glyph, b: Glyph) -> None:
    """Draw the arrow from one glyph to the next."""
    right, left = (a.x + a.width, a.y), (b.x, b.y)
    if a.row == b.row:
        axis.add_patch(FancyArrowPatch(right, left, **_ARROW, color=ink()))
        return
    # To the row below: right, down into the gap, back to the left, and in.
    low = a.y - max(g.height for g in rows[a.row]) / 2 - _ROW_GAP / 2
    x, y = right[0] + _GAP / 2, left[0] - _GAP / 2 - 0.05
    axis.plot(
        [right[0], x, x, y, y],
        [right[1], right[1], low, low, left[1]],
        color=ink(),
        lw=0.9,
        solid_joinstyle="round",
    )
    axis.add_patch(FancyArrowPatch((y, left[1]), left, **_ARROW, color=ink()))


def _letters(glyphs: list[Glyph], notes: dict[int, str], width: float) -> dict:
    """How long each note may be, so that it ends before the next one begins."""
    one = LETTER * _NOTE / 72
    middle = {end: glyphs[end].x + glyphs[end].width / 2 for end in notes}
    found = {end: int(2 * min(x, width - x) / one) for end, x in middle.items()}
    for a, b in itertools.pairwise(notes):
        apart = int(2 * (middle[b] - middle[a]) / one) - 2  # letters of both
        both = len(notes[a]), len(notes[b])
        if glyphs[a].row == glyphs[b].row and sum(both) > apart:
            least = min(*both, apart // 2)
            for end, length in zip((a, b), both, strict=True):
                room = least if length == min(both) else apart - least
                found[end] = min(found[end], max(room, 8))
    return found


def _refer(axis: Any, glyph: Glyph, note: str) -> None:
    """Write above a glyph from which distant ones it reads, with an arrow."""
    place = glyph.x + glyph.width / 2
    top = glyph.y + glyph.height / 2
    low = 0.09 if "\n" in note else 0.17  # two lines end below the row above
    axis.add_patch(
        FancyArrowPatch((place, top + low), (place, top), **_ARROW, color=ink())
    )
    axis.text(
        place, top + low + 0.01, note, ha="center", va="bottom", fontsize=_NOTE,
        style="italic", linespacing=1.05,
        bbox={"facecolor": paper(), "edgecolor": "none", "pad": 1},
    )  # fmt: skip
