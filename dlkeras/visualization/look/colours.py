"""The palette of all figures, and its lighter form for dark paper."""

from collections.abc import Iterable
from typing import Any

from matplotlib.collections import Collection
from matplotlib.colors import to_rgb, to_rgba_array
from matplotlib.contour import ContourSet
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

# Okabe and Ito's palette: told apart by people with any colour vision, and in print.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
AMBER, SKY, PURPLE = "#E69F00", "#56B4E9", "#CC79A7"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, GREY)
# What tells lines apart where colours do not.
DASHES = ("-", "--", "-.", ":")
HATCHES = ("", "///", "...", "xxx")

_ON_DARK: dict[Any, Any] = {
    to_rgb(colour): to_rgb(lighter)
    for colour, lighter in (
        (BLUE, "#4C9FDB"),
        (ORANGE, "#F5833F"),
        (GREEN, "#35C79C"),
        (GREY, "#B0B0B0"),
        (SKY, "#A5DAF8"),
    )
}
# Of an artist's opacity, where it is less than 1: on black it darkens the colour.
_MORE = 1.4


def is_dark(colour: Any) -> bool:
    """Whether paper of this colour is nearer to black than to white.

    Example:
    >>> is_dark("black"), is_dark("#f8f8f8")
    (True, False)
    """
    red, green, blue = to_rgb(colour)
    return 0.299 * red + 0.587 * green + 0.114 * blue < 0.4


def lighten(axes: Iterable[Any], legends: Iterable[Legend]) -> None:
    """Draw the palette in its lighter form, on axes that are dark.

    Axes that show an image or a surface keep their colours: those are its marks.

    Args:
        axes: matplotlib Axes, with everything drawn.
        legends: the legends beside them.
    """
    dark = [axis for axis in axes if _is_dark_paper(axis)]
    for part in [*dark, *(legends if dark else ())]:
        for artist in part.findobj() or ():
            _lighten(artist)


def _is_dark_paper(axis: Any) -> bool:
    covered = axis.images or any(isinstance(c, ContourSet) for c in axis.collections)
    return not covered and axis.name != "3d" and is_dark(axis.get_facecolor())


def _lighten(artist: Any) -> None:
    if isinstance(artist, Line2D):
        names: tuple[str, ...] = ("color", "markerfacecolor", "markeredgecolor")
    elif isinstance(artist, Text):
        names = ("color",)
    elif isinstance(artist, Collection | Patch) and _has_one_colour(artist):
        names = ("facecolor", "edgecolor")
    else:
        return
    changed = False
    for name in names:
        before = to_rgba_array(getattr(artist, f"get_{name}")())
        after = [
            (*_ON_DARK.get(tuple(rgba[:3].tolist()), rgba[:3]), rgba[3])
            for rgba in before
        ]
        if before.tolist() != [list(map(float, rgba)) for rgba in after]:
            changed = True
            single = len(after) == 1 and not isinstance(artist, Collection)
            getattr(artist, f"set_{name}")(after[0] if single else after)
    opacity = artist.get_alpha()
    if changed and isinstance(opacity, float) and opacity < 1:
        artist.set_alpha(min(1.0, _MORE * opacity))


def _has_one_colour(artist: Any) -> bool:
    """Whether its colours are not those of a colour map."""
    return not isinstance(artist, Collection) or artist.get_array() is None
