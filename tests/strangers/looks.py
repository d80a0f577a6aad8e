"""What one sees at a figure on a slide and on a phone: every fault has its words."""

import itertools
import warnings

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text

from dlkeras.visualization.look.sizes import LEAST, LEAST_ON_PHONE, PHONE, on_slide

# Pages rather than slides: more layers than a slide has lines for.
_LINES = 42
# A box's letters, of which a phone shows five in a row: one looks closer at a drawing.
_LEAST_IN_A_BOX = 4.2


def faults(figure):
    """Texts beyond the border, over each other or too small, legends over curves."""
    for _ in range(2):  # as PNG and as SVG
        figure.draw_without_rendering()
    known = [(text.get_text(), _box(text)) for text in _texts(figure)]
    right, top = figure.bbox.width, figure.bbox.height
    found = [
        f"beyond the border: {text!r}"
        for text, box in known
        if box[0] < -1 or box[1] < -1 or box[2] > right + 1 or box[3] > top + 1
    ]
    for legend in figure.legends:
        box = legend.get_window_extent()
        if box.x0 < 0 or box.x1 > right:
            found.append(f"legend beyond the border by {box.width - right:.0f}")
    for index, (text, box) in enumerate(known):
        for other, place in known[index + 1 :]:
            if _shared(box, place) > 0.15 * min(_area(box), _area(place)):
                found.append(f"over each other: {text!r} and {other!r}")
    with warnings.catch_warnings():  # of letters that no font has: measured, not drawn
        warnings.filterwarnings("ignore", "Glyph")
        for axis in figure.axes:
            found += [f"below the legend: {name}" for name in _covered(axis)]
    return found + _small(figure)


def _texts(figure):
    """The texts that are drawn: no ticks beyond the view, nothing that is hidden."""
    hidden = set()
    for axis in figure.axes:
        scales = [s for n in "xyz" if (s := getattr(axis, f"{n}axis", None))]
        for scale in scales:
            low, high = sorted(scale.get_view_interval())
            room = 1e-9 * max(abs(low), abs(high))
            for tick in (*scale.get_major_ticks(), *scale.get_minor_ticks()):
                seen = low - room <= tick.get_loc() <= high + room
                if not (seen and scale.get_visible() and axis.axison):
                    hidden |= {tick.label1, tick.label2}
    return [
        text
        for text in figure.findobj(Text)
        if text not in hidden and text.get_visible() and text.get_text().strip()
    ]


def _box(text):
    box = text.get_window_extent()
    return box.x0, box.y0, box.x1, box.y1


def _area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def _shared(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)


def _covered(axis):
    """Curves and bands that run below the legend of their axes."""
    legend = axis.get_legend()
    if legend is None:
        return
    box = legend.get_window_extent()
    for line in (*axis.lines, *axis.collections):
        if isinstance(line, PolyCollection):
            paths = [path.vertices for path in line.get_paths()]
        else:
            paths = [line.get_xydata()] if hasattr(line, "get_xydata") else []
        for path in paths:
            points = line.get_transform().transform(np.asarray(path, float))
            points = points[np.isfinite(points).all(1)]
            if len(points) > 1:
                steps = np.linspace(0, 1, 20)[:, None]
                ends = itertools.pairwise(points)
                points = np.concatenate([a + steps * (b - a) for a, b in ends])
            x, y = points.T
            inside = (x > box.x0) & (x < box.x1) & (y > box.y0) & (y < box.y1)
            if inside.any():
                yield line.get_label()


def _small(figure):
    """Texts that the last row does not read, and those that nobody reads on a phone."""
    width, height = figure.get_size_inches()
    if height > 1.4 + 0.24 * _LINES:
        return []
    found = []
    boxes = figure.findobj(FancyBboxPatch)
    least_on_phone = _LEAST_IN_A_BOX if boxes else LEAST_ON_PHONE
    for where, pixels, least in (
        ("a slide", on_slide(width, height), LEAST),
        ("a phone", PHONE / width / 72, least_on_phone),
    ):
        found += [
            f"{text.get_fontsize() * pixels:.1f} pixels on {where}: {text.get_text()!r}"
            for text in _texts(figure)
            if text.get_fontsize() * pixels < least - 0.01
        ]
    return found
