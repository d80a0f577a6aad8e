"""The look that all figures share: colours, sizes, languages, and no window system."""

import re
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import Formatter

# Okabe and Ito's palette: told apart by people with any colour vision, and in print.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
AMBER, SKY, PURPLE = "#E69F00", "#56B4E9", "#CC79A7"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, GREY)
# What tells lines apart where colours do not.
DASHES = ("-", "--", "-.", ":")
HATCHES = ("", "///", "...", "xxx")

LANGUAGES = ("en", "pt")
TIMES = "\N{MULTIPLICATION SIGN}"
# 0.5, 61,706 and 1,234.5, but neither v1.5 nor 127.0.0.1.
_NUMBER = re.compile(
    r"(?<![\w.,])(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+)(?!\d|[.,]\d)"
)


def new_figure(
    width: float, height: float, title: str | None = None, **subplots: Any
) -> tuple[Figure, Any]:
    """Make a figure that needs no display.

    Args:
        width: width in inches.
        height: height in inches.
        title: text above all axes.
        **subplots: handed to `Figure.subplots` (`nrows`, `ncols`, `squeeze`, ...).

    Returns:
        The figure and its axes.
    """
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    if title:
        figure.suptitle(title, fontsize=12)
    return figure, figure.subplots(**subplots)


def say(language: str, english: str, portuguese: str) -> str:
    """Return the text in the reader's language.

    Args:
        language: `"en"` or `"pt"`, Brazilian Portuguese in the course's own terms.
        english: the text in English.
        portuguese: the text in Portuguese.

    Raises:
        ValueError: there is no such language.

    Example:
    >>> say("pt", "epoch", "época")
    'época'
    """
    if language not in LANGUAGES:
        raise ValueError(
            f"language must be one of {LANGUAGES}. Received: language={language!r}"
        )
    return english if language == "en" else portuguese


def in_language(figure: Figure, language: str) -> Figure:
    """Write the numbers of a finished figure as the language does.

    In Portuguese 0.5 becomes 0,5 and 61,706 becomes 61.706: on the axes, and in the
    titles, legends and notes that the figure has by then.

    Args:
        figure: a figure, with everything drawn.
        language: `"en"`, which changes nothing, or `"pt"`.

    Returns:
        The same figure.

    Raises:
        ValueError: there is no such language.

    Example:
    >>> figure, axis = new_figure(4, 3, "eta = 0.1, 61,706 parameters")
    >>> in_language(figure, "pt").get_suptitle()
    'eta = 0,1, 61.706 parameters'
    """
    if say(language, "", "decimal commas") == "":
        return figure
    scales = [
        scale
        for axes in figure.axes
        for name in ("xaxis", "yaxis", "zaxis")
        if (scale := getattr(axes, name, None)) is not None
    ]
    if any(isinstance(s.get_major_formatter(), _Portuguese) for s in scales):
        return figure  # a second time would turn them back
    for scale in scales:
        scale.set_major_formatter(_Portuguese(scale.get_major_formatter()))
    for text in figure.findobj(Text):
        if isinstance(text, Text):
            text.set_text(_portuguese(text.get_text()))
    return figure


class _Portuguese(Formatter):
    """What another formatter writes at the ticks of an axis, in Portuguese."""

    def __init__(self, written: Formatter) -> None:
        self.written = written

    def __call__(self, x: float, pos: int | None = None) -> str:
        return _portuguese(self.written(x, pos))

    def format_ticks(self, values: Sequence[float]) -> list[str]:  # type: ignore[override]
        return [_portuguese(text) for text in self.written.format_ticks(list(values))]

    def get_offset(self) -> str:
        return _portuguese(self.written.get_offset())

    def set_locs(self, locs: Any) -> None:
        self.written.set_locs(locs)


def _portuguese(text: object) -> str:
    """Change the marks of the numbers; between dollars is TeX."""
    parts = str(text).split("$")  # a label may be given as a number
    for index, part in enumerate(parts):
        comma = "{,}" if index % 2 else ","
        parts[index] = _NUMBER.sub(
            lambda found, comma=comma: (
                found[0].replace(",", ";").replace(".", comma).replace(";", ".")
            ),
            part,
        )
    return "$".join(parts)
