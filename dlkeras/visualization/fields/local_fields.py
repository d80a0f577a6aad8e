"""Neurons with small fields on an image, and neurons above that join neighbours."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle
from matplotlib.patheffects import withStroke

from dlkeras.visualization.figure import drawing, ink, new_figure, say, wrapped
from dlkeras.visualization.images import common_range
from dlkeras.visualization.inputs import numbers, picture, received
from dlkeras.visualization.look.colours import CYCLE
from dlkeras.visualization.look.sizes import readable

# Directions of a line that a neuron may react to, half a turn shared among them.
_DIRECTIONS = 8
# Between the image and the neurons, and between these and those above, in its heights.
_APART = 0.42


@drawing()
def local_receptive_fields(
    image: Any,
    centers: Any,
    size: int = 9,
    *,
    groups: Sequence[Sequence[int]] | None = None,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw neurons that each see a small circle of an image, and neurons above them.

    At each place there is a neuron for each of eight directions of a line; drawn is the
    one that answers most to what it sees. A neuron above joins the outputs of some of
    them, so it reacts to the pattern that their lines make together: that is how Hubel
    and Wiesel explained what they found in the visual cortex.

    Args:
        image: `(height, width)` or `(height, width, channels)`.
        centers: row and column of each neuron's circle, `(neurons, 2)`, 1 to 8.
        size: of the circles, in pixels, from 3.
        groups: for each neuron above the numbers, from 1, of the neurons that it joins;
            default: each joins two neighbours.
        title: text above the figure.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure. A neuron that sees no line is empty.

    Raises:
        ValueError: the image, a centre, the size or a group is none.
        TypeError: what is given are no numbers.

    Example:
    >>> cross = np.zeros((32, 32))
    >>> cross[16] = cross[:, 16] = 1
    >>> figure = local_receptive_fields(cross, [(16, 6), (6, 16)])
    >>> len(figure.axes[0].images)  # the cross, two lines, and one pattern of both
    4

    Reference:
        Hubel and Wiesel, "Receptive fields, binocular interaction and functional
        architecture in the cat's visual cortex", J. Physiol. 160, 1962.
    """
    grey = _grey(image)
    places = numbers(centers, "centers", "a row and a column of each neuron", axes=2)
    rows, columns = grey.shape
    inside = places.shape[1] == 2 and np.all(
        (places >= 0) & (places < (rows, columns)) & (places % 1 == 0)
    )
    if not 1 <= len(places) <= 8 or not inside:
        raise ValueError(
            "centers must be rows and columns of 1 to 8 neurons in the image of "
            f"{grey.shape} pixels. Received: {received(centers)}"
        )
    if not isinstance(size, int | np.integer) or not 3 <= size <= max(grey.shape):
        raise ValueError(
            f"size must be a number of pixels from 3 to {max(grey.shape)}. "
            f"Received: size={size!r}"
        )
    joined = _joined(groups, len(places))
    lines = [strongest_line(grey, r, c, size) for r, c in places.astype(int)]
    default = say(language, "Local receptive fields", "Campos receptivos locais")
    across = columns / rows
    radius = min(0.44 / len(places), 0.13)
    above = min(0.44 / max(len(joined), 1), 0.16)
    wide = across + (2 * _APART + radius + above if joined else _APART + radius)
    inches = 3.0 if wide < 2.3 else 6.8 / wide
    shape = (inches * (wide + 0.1), inches * 1.26 + 0.4)
    figure, axis = new_figure(*shape, title or default, figsize=figsize, ax=ax)
    axis.set_axis_off()
    axis.set_aspect("equal")
    letters = readable(*shape, 10, 12) if ax is None and figsize is None else 9
    axis.imshow(grey, cmap="gray", vmin=0, vmax=1, extent=(0, across, 0, 1))
    # White pixels on white paper, and black on black, have an edge, too.
    axis.add_patch(Rectangle((0, 0), across, 1, fill=False, lw=0.8, edgecolor=ink()))
    heights = _spread(len(places))
    ends = [(across + _APART, y) for y in heights]
    for index, (place, line, end) in enumerate(zip(places, lines, ends, strict=True)):
        colour = CYCLE[index % len(CYCLE)]
        x, y = (place[1] + 0.5) / rows, 1 - (place[0] + 0.5) / rows
        halo = [withStroke(linewidth=3.5, foreground="white")]
        axis.add_patch(
            Circle((x, y), size / 2 / rows, fill=False, lw=1.8, ls="--",
                   edgecolor=colour, path_effects=halo, zorder=3)
        )  # fmt: skip
        axis.text(x, y, str(index + 1), color=colour, fontsize=letters + 2,
                  weight="bold", ha="center", va="center", path_effects=halo,
                  zorder=4)  # fmt: skip
        _arrow(axis, (x + size / 2 / rows, y), (end[0] - radius, end[1]), colour)
        _disc(axis, line, end, radius, colour)
    for numbers_of, y in zip(joined, _spread(len(joined)), strict=True):
        end = (across + 2 * _APART + radius, y)
        for k in numbers_of:
            _arrow(axis, (ends[k][0] + radius, ends[k][1]), (end[0] - above, y), ink())
        pattern = _together([(places[k].astype(int), lines[k]) for k in numbers_of])
        _disc(axis, pattern, end, above, ink())
    heads = [
        (across / 2, say(language, "the image", "a imagem")),
        (across + _APART, say(language, "one line each", "uma linha cada um")),
    ]
    if joined:
        heads.append(
            (across + 2 * _APART + radius,
             say(language, "neighbours joined", "vizinhos juntos"))
        )  # fmt: skip
    for x, words in heads:
        axis.text(x, 1.04, wrapped(words, 12) if x > across else words,
                  fontsize=letters, color=ink(), ha="center", va="bottom")  # fmt: skip
    lowest = min(0, *(1 - (row + 0.5 + size / 2) / rows for row, _ in places))
    axis.set(xlim=(-0.03, wide + 0.05), ylim=(lowest - 0.03, 1.22))
    return figure


def strongest_line(
    grey: np.ndarray, row: int, column: int, size: int
) -> np.ndarray | None:
    """The filter, of a line of each direction, that answers most at a place.

    Args:
        grey: `(height, width)`.
        row: of the circle's middle.
        column: of the circle's middle.
        size: of the circle, in pixels.

    Returns:
        `(size, size)`, zero outside of the circle, or None where none answers.

    Example:
    >>> image = np.zeros((16, 16))
    >>> image[:, 8] = 1
    >>> int(strongest_line(image, 8, 8, 5)[2].argmax())  # a vertical line in its middle
    2
    """
    reach = size // 2
    wide = np.pad(grey, reach + 1, mode="edge")
    top, left = row + 1, column + 1
    seen = wide[top : top + size, left : left + size]
    answers = [abs(float((seen * line).sum())) for line in _lines(size)]
    best = int(np.argmax(answers))
    return _lines(size)[best] if answers[best] > 1e-6 else None


def _lines(size: int) -> list[np.ndarray]:
    """A bright line of each direction in a circle, whose weights add up to zero."""
    y, x = np.indices((size, size)) - (size - 1) / 2
    circle = x**2 + y**2 <= (size / 2) ** 2
    found = []
    for turn in np.arange(_DIRECTIONS) * np.pi / _DIRECTIONS:
        away = x * np.sin(turn) + y * np.cos(turn)
        line = np.exp(-((away / max(size / 8, 0.6)) ** 2))
        line = np.where(circle, line - line[circle].mean(), 0)
        found.append(line / np.linalg.norm(line))
    return found


def _grey(image: Any) -> np.ndarray:
    """A picture of 0 to 1."""
    shown = picture(image)
    if not np.isfinite(shown).all():
        raise ValueError(
            "image must have finite values. Received: NaN or infinity in it"
        )
    low, high = common_range([shown])
    wide = np.asarray(shown[..., :3], "float64").mean(-1)
    return np.clip((wide - low) / (high - low), 0, 1)


def _joined(groups: Any, count: int) -> list[list[int]]:
    """The neurons of each group, from 0."""
    if groups is None:
        return [[k, k + 1] for k in range(count - 1)]
    try:
        found = [[int(k) - 1 for k in group] for group in groups]
    except (TypeError, ValueError):
        found = [[-1]]
    if any(not group or not all(0 <= k < count for k in group) for group in found):
        raise ValueError(
            f"groups must be lists of neurons 1 to {count}. Received: groups={groups!r}"
        )
    return found


def _spread(count: int) -> list[float]:
    """Heights of so many discs, from the top."""
    return [1 - (k + 0.5) / count for k in range(count)]


def _together(parts: list[tuple[np.ndarray, np.ndarray | None]]) -> np.ndarray | None:
    """The lines of several places, each where its neuron sees it."""
    drawn = [(place, line) for place, line in parts if line is not None]
    if not drawn:
        return None
    size = drawn[0][1].shape[0]
    corners = np.array([place for place, _ in drawn]) - size // 2
    first, last = corners.min(0), corners.max(0) + size
    side = int((last - first).max())
    begin = ((first + last) - side) // 2
    found = np.zeros((side, side))
    for (row, column), (_, line) in zip(corners - begin, drawn, strict=True):
        part = found[row : row + size, column : column + size]
        np.maximum(part, line, out=part)
    return found


def _disc(
    axis: Any, line: np.ndarray | None, at: tuple[float, float], radius: float,
    colour: str,
) -> None:  # fmt: skip
    """A neuron: a circle that shows what it reacts to."""
    circle = Circle(at, radius, fill=False, lw=1.8, edgecolor=colour, zorder=4)
    axis.add_patch(circle)
    if line is None:
        return
    (x, y), half = at, 0.98 * radius
    image = axis.imshow(
        np.maximum(line, 0), cmap="gray", interpolation="bilinear", zorder=3,
        extent=(x - half, x + half, y - half, y + half), vmin=0, vmax=line.max(),
    )  # fmt: skip
    image.set_clip_path(circle)


def _arrow(axis: Any, start: tuple, end: tuple, colour: str) -> None:
    axis.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=9, color=colour,
                        lw=1, shrinkA=0, shrinkB=0, zorder=2)
    )  # fmt: skip
