"""Blocks of a long network's diagram: layers that are drawn as one box."""

import itertools
import re
from typing import Any

import keras

from dlkeras.visualization.diagram.glyphs import PASSES_ON, Glyph, work
from dlkeras.visualization.figure import TIMES, say, shortened

# Equal blocks in a row become one; of the same sizes, of the same height and width, or
# all that is of one height and width.
COARSENESS = ("size", "resolution", "stage")
# A longer block, as the whole of a U-Net inside its shortcuts, is cut by resolution.
_LONGEST = 40
# Boxes that are repeated together, as the two of a transformer's block.
_LONGEST_PERIOD = 4
Edges = list[tuple[int, int]]


class Block(Glyph):
    """Several layers: how many there are, and how many such blocks follow."""

    def __init__(self, inside: list[Glyph], language: str) -> None:
        self.inside, self.language, self.count = inside, language, 1
        self.layer, self.shape = inside[-1].layer, inside[-1].shape
        self.names = [_name([n for g in inside for n in (g.names[0], g.names[-1])])]
        self.x = self.y = 0.0
        self.row = 0
        self.width, self.height = 1.22, 0.86
        self.kinds = {self.kind()}

    def kind(self) -> str:
        """The most telling of the layers inside, for the colour."""
        known = {kind for glyph in self.inside for kind in glyph.kinds}
        order = ("convolution", "dense", "pooling", "other")
        return next((kind for kind in order if kind in known), "other")

    def words(self) -> str:
        """How many layers it has, and how often it is repeated."""
        number = len(self.inside)
        if number == 1:
            return f"{work(self.layer, self.language)}\n{TIMES} {self.count}"
        text = say(self.language, f"{number} layers", f"{number} camadas")
        return f"{text} {TIMES} {self.count}" if self.count > 1 else text


def _name(names: list[str]) -> str:
    """The words that all layers' names begin with, or the first and the last name.

    >>> _name(["block_1_add", "block_2_relu", "block_2_add"])
    'block_1 … 2'
    """
    words = [re.findall(r"[^_/]+[_/]?", name) for name in names]
    shared = 0
    while all(len(w) > shared + 1 and w[shared] == words[0][shared] for w in words):
        shared += 1
    if shared:
        begins = "".join(words[0][:shared])
        first, last = (words[i][shared].rstrip("_/") for i in (0, -1))
        numbered = first.isdecimal() and last.isdecimal() and first != last
        return f"{begins}{first} … {last}" if numbered else begins.rstrip("_/")
    return f"{shortened(names[0], 15)} … {shortened(names[-1], 16)}"


def folded(
    glyphs: list[Glyph], edges: Edges, language: str, coarseness: str
) -> tuple[list[Glyph], Edges]:
    """Boxes of several layers where there were more boxes than a slide has room for.

    Args:
        glyphs: a box for each layer.
        edges: from which box to which; later ones read earlier ones.
        language: `"en"` or `"pt"`.
        coarseness: one of `COARSENESS`.

    Returns:
        The boxes and the arrows between them.
    """
    groups = _cut(glyphs, edges)
    if coarseness == "stage":
        alike = itertools.groupby(groups, lambda g: _resolution(glyphs[g[-1]]))
        groups = [[i for part in parts for i in part] for _, parts in alike]
    boxes = [
        glyphs[group[0]]
        if len(group) == 1
        else Block([glyphs[i] for i in group], language)
        for group in groups
    ]
    place = {i: number for number, group in enumerate(groups) for i in group}
    between = {(place[a], place[b]) for a, b in edges if place[a] != place[b]}
    return _merged(boxes, between, coarseness, language)


def _cut(glyphs: list[Glyph], edges: Edges) -> list[list[int]]:
    """Indices of each block: all that lies between two places with one way through."""
    groups: list[list[int]] = [[]]
    reached, reach = 0, dict.fromkeys(range(len(glyphs)), 0)
    for start, end in edges:
        if not _is_input(glyphs[start]):
            reach[start] = max(reach[start], end)
    for index, glyph in enumerate(glyphs):
        groups[-1].append(index)
        if reached <= index or _is_input(glyph):
            groups.append([])
        reached = max(reached, reach[index])
    short: list[list[int]] = []
    for group in filter(None, groups):
        parts = itertools.groupby(group, lambda i: _resolution(glyphs[i]))
        short += [group] if len(group) <= _LONGEST else [list(x) for _, x in parts]
    joined: list[list[int]] = []
    for group in short:  # a normalisation belongs to the convolution before it
        after = joined and len(group) == 1 and _follows(glyphs[group[0]])
        if after and not _is_input(glyphs[joined[-1][0]]):
            joined[-1] += group
        else:
            joined.append(group)
    return joined


def _is_input(glyph: Glyph) -> bool:
    return isinstance(glyph.layer, keras.layers.InputLayer)


def _follows(glyph: Glyph) -> bool:
    """Whether a layer is a normalisation, an activation or padding."""
    return type(glyph.layer).__name__ in PASSES_ON


def _resolution(glyph: Glyph) -> str:
    """Height and width; of what has none, its kind."""
    sizes = glyph.shape.split(TIMES)
    if _is_input(glyph):
        return glyph.names[0]
    return TIMES.join(sizes[:-1])


def _signature(box: Glyph, coarseness: str) -> Any:
    """What two boxes have in common that are drawn as one."""
    inside = box.inside if isinstance(box, Block) else [box]
    works = [work(glyph.layer, box.language) for glyph in inside]
    if coarseness == "size":
        return [(w, glyph.shape) for w, glyph in zip(works, inside, strict=True)]
    return works, _resolution(box)


def _repeated(boxes: list[Glyph], times: int, language: str) -> Block:
    """One box for several equal ones, or for several equal rows of boxes."""
    first = boxes[: len(boxes) // times]
    inside = [
        g for box in first for g in (box.inside if isinstance(box, Block) else [box])
    ]
    found = Block(inside, language)
    found.count, found.shape = times, boxes[-1].shape
    if len(first) == 1:
        found.names = [box.name for box in boxes]
    else:
        found.names = [_name([name for box in boxes for name in box.names])]
    return found


def _merged(
    boxes: list[Glyph], edges: set[tuple[int, int]], coarseness: str, language: str
) -> tuple[list[Glyph], Edges]:
    """One box for equal ones in a row, with their number."""
    sources = {end: {a for a, b in edges if b == end} for _, end in edges}
    readers = {start: {b for a, b in edges if a == start} for start, _ in edges}
    signatures = [_signature(box, coarseness) for box in boxes]
    # The last box that is reached from each without a fork or another source.
    ends = list(range(len(boxes)))
    for index in reversed(range(len(boxes) - 1)):
        one_way = readers.get(index) == {index + 1} and sources[index + 1] == {index}
        ends[index] = ends[index + 1] if one_way else index
    groups, kept, index = [], [], 0
    while index < len(boxes):
        period, times = 1, 1
        for length in range(1, _LONGEST_PERIOD + 1):
            part, number = signatures[index : index + length], 1
            while (
                index + (number + 1) * length - 1 <= ends[index]
                and signatures[index + number * length :][:length] == part
            ):
                number += 1
            if number > 1 and number * length > period * times:
                period, times = length, number
        if times > 1 and not any(map(_is_input, boxes[index : index + period])):
            group = list(range(index, index + period * times))
            kept.append(_repeated([boxes[i] for i in group], times, language))
        else:
            group = [index]
            kept.append(boxes[index])
        groups.append(group)
        index += len(group)
    place = {i: number for number, group in enumerate(groups) for i in group}
    between = {(place[a], place[b]) for a, b in edges if place[a] != place[b]}
    return kept, sorted(between)
