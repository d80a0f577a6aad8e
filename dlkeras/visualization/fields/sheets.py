"""Sheets of neurons that lie above each other, seen from the front and above."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Polygon

from dlkeras.model_graph import Box
from dlkeras.visualization.figure import ink, paper
from dlkeras.visualization.look.colours import PURPLE

# Of more maps the first are drawn, and the number of all is written beside them.
SHEETS = 5
# How far each row lies to the right of and above the one before it.
LEAN, RISE = 0.42, 0.46
# Neurons on a side whose grid is still seen, and pixels that are still drawn as lines.
_GRID, _DRAWN = 40, 400
_GREY = LinearSegmentedColormap.from_list("grey", ["black", "white"])
_CHANNELS = ("#e03030", "#27a043", "#3d6fe8")  # red, green and blue


@dataclass(frozen=True)
class Sheets:
    """The sheets of one layer: their size, and where they lie on the paper.

    Attributes:
        rows: of each sheet.
        columns: of each sheet.
        maps: of the layer; `SHEETS` of them are drawn.
        values: `(rows, columns, maps)` of 0 to 1, or None for plain sheets.
        side: of a neuron on the paper.
        bottom: height of the lowest sheet's middle.
        apart: from one sheet to the next.
        is_image: whether three of them are red, green and blue.
    """

    rows: int
    columns: int
    maps: int
    values: np.ndarray | None
    side: float
    bottom: float
    apart: float
    is_image: bool

    @property
    def count(self) -> int:
        """How many sheets are drawn."""
        return min(self.maps, SHEETS)

    @property
    def top(self) -> float:
        """Height of the highest sheet's middle."""
        return self.bottom + (self.count - 1) * self.apart

    @property
    def whole(self) -> Box:
        """All neurons of a sheet."""
        return Box(0, 0, self.rows, self.columns)

    def at(self, row: Any, column: Any, sheet: int = 0) -> np.ndarray:
        """Where the upper left corner of a neuron lies on the paper, `(..., 2)`."""
        back = (self.rows / 2 - np.asarray(row)) * self.side
        across = (np.asarray(column) - self.columns / 2) * self.side
        height = self.bottom + sheet * self.apart + RISE * back
        return np.stack(np.broadcast_arrays(across + LEAN * back, height), -1)

    def corners(self, box: Box, sheet: int = 0) -> np.ndarray:
        """The corners of a rectangle of neurons, `(4, 2)`."""
        rows = box.top + np.array([0, 0, box.height, box.height])
        return self.at(rows, box.left + np.array([0, box.width, box.width, 0]), sheet)


def stacked(
    shapes: Sequence[tuple[int, int, int]], values: Sequence[np.ndarray | None]
) -> list[Sheets]:
    """Lay the sheets of an image and of layers above each other.

    A layer of a quarter of the rows is half as wide, so that it is still seen.

    Example:
    >>> image, layer = stacked([(8, 8, 3), (2, 2, 9)], [None, None])
    >>> image.side, layer.side, layer.count
    (1.0, 2.0, 5)
    """
    first = max(shapes[0][:2])
    stack: list[Sheets] = []
    height = 0.0
    for (rows, columns, maps), value in zip(shapes, values, strict=True):
        side = (first / max(rows, columns)) ** 0.5
        half = RISE * rows * side / 2
        apart = 0.6 * half + 0.03 * first
        lowest = height + half
        stack.append(Sheets(rows, columns, maps, value, side, lowest, apart, not stack))
        height = stack[-1].top + half + 0.2 * first
    return stack


def extent(
    stack: Sequence[Sheets], around: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The lower left and the upper right corner of all sheets and what is around."""
    sheets = [s.corners(s.whole, k) for s in stack for k in (0, s.count - 1)]
    corners = np.concatenate([*sheets, *around])
    return corners.min(0), corners.max(0)


def draw(axis: Any, sheets: Sheets) -> None:
    """Draw all sheets of a layer, the lowest first."""
    for sheet in range(sheets.count):
        corners = sheets.corners(sheets.whole, sheet)
        coloured = sheets.is_image and sheets.maps == 3
        edge = _CHANNELS[sheet] if coloured else ink()
        if sheets.values is None:
            tint = edge if coloured else paper()
            axis.add_patch(Polygon(corners, color=paper(), lw=0, zorder=2))
            axis.add_patch(Polygon(corners, color=tint, alpha=0.25, lw=0, zorder=2))
        else:
            _fill(axis, sheets, sheet, edge if coloured else None)
        if max(sheets.rows, sheets.columns) <= _GRID:
            _grid(axis, sheets, sheet)
        axis.add_patch(Polygon(corners, fill=False, edgecolor=edge, lw=1.1, zorder=2))


def _fill(axis: Any, sheets: Sheets, sheet: int, colour: str | None) -> None:
    assert sheets.values is not None
    rows, columns = np.indices((sheets.rows + 1, sheets.columns + 1))
    x, y = np.moveaxis(sheets.at(rows, columns, sheet), -1, 0)
    scale = _GREY
    if colour is not None:
        scale = LinearSegmentedColormap.from_list(colour, ["black", colour, "white"])
    axis.pcolormesh(
        x, y, np.ma.masked_invalid(sheets.values[..., sheet]), vmin=0, vmax=1,
        cmap=scale.with_extremes(bad=PURPLE), zorder=2,
        rasterized=sheets.rows * sheets.columns > _DRAWN,
    )  # fmt: skip


def _grid(axis: Any, sheets: Sheets, sheet: int) -> None:
    across = [
        sheets.at(row, np.array([0, sheets.columns]), sheet)
        for row in range(1, sheets.rows)
    ]
    back = [
        sheets.at(np.array([0, sheets.rows]), column, sheet)
        for column in range(1, sheets.columns)
    ]
    axis.add_collection(
        LineCollection(across + back, colors=ink(), lw=0.4, alpha=0.35, zorder=2)
    )
