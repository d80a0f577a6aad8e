"""The look that all figures share: colours, sizes, languages, and no window system."""

import functools
import inspect
import io
import re
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
from matplotlib import figure as mpl
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.ticker import Formatter

from dlkeras.visualization.look import saved_beside
from dlkeras.visualization.look.colours import is_dark, lighten
from dlkeras.visualization.look.fonts import AnyLetters
from dlkeras.visualization.look.sizes import legible, readable
from dlkeras.visualization.look.windows import open_window

P = ParamSpec("P")
R = TypeVar("R")

LANGUAGES = ("en", "pt")
TIMES = "\N{MULTIPLICATION SIGN}"
# 0.5, 61,706 and 1,234.5, but neither v1.5 nor 127.0.0.1.
_NUMBER = re.compile(
    r"(?<![\w.,])(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+)(?!\d|[.,]\d)"
)
# Pandoc's rule (`tex_math_dollars`): no space inside the dollars, no digit after them;
# "$10 to $20" is money. What has a space inside must have a mark of TeX, too.
_MATH = re.compile(
    r"((?<!\\)\$(?!\s)(?:[^$\s]+|[^$]*[\\_^{}=][^$]*?)(?<![\s\\])\$(?!\d))"
)


class Figure(AnyLetters):
    """A matplotlib figure, made without pyplot, that shows itself.

    It is a picture as the last line of a notebook's cell, and `show()` opens it from a
    script. `savefig` writes PNG, SVG or PDF by the file's name. pyplot does not know of
    it: `plt.show()` leaves it out, and nothing of it stays in memory.
    """

    def show(self, warn: bool = True) -> None:
        """Show the figure in the notebook, or in a window until it is closed.

        Args:
            warn: whether to warn where no window can be opened, as on a server.
        """
        ipython: Any = sys.modules.get("IPython")
        if getattr(ipython and ipython.get_ipython(), "kernel", None) is not None:
            ipython.display.display(self)
            return
        open_window(self, warn)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()

    def _repr_svg_(self) -> str | None:
        buffer = io.StringIO()
        self.savefig(buffer, format="svg")
        drawn = buffer.getvalue()
        # Sharp on a projector, unless it is slow to show.
        return drawn if len(drawn) <= saved_beside.LARGEST_SVG else None


def save_figure(figure: mpl.Figure, png: Path) -> None:
    """Write a figure as PNG, and as SVG beside it where it is a drawing.

    Several images, as of a gallery, are the same pixels in an SVG, only larger; a
    drawing of more than 1 MB is slow to show. The same figure gives the same bytes.

    Example:
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> save_figure(new_figure(4, 3)[0], folder / "curves.png")
    >>> sorted(file.name for file in folder.iterdir())
    ['curves.png', 'curves.svg']
    """
    if not saved_beside.save(figure, png):
        saved_beside.write_figure(figure, png)


def new_figure(
    width: float,
    height: float,
    title: str | None = None,
    *,
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
    **subplots: Any,
) -> tuple[Any, Any]:
    """Make a figure that needs no display, or a place in the caller's own.

    Args:
        width: width in inches.
        height: height in inches.
        title: text above all axes.
        figsize: width and height that the caller wants instead.
        ax: the caller's Axes to draw into: one, which is divided where there are
            several parts, or as many as there are parts; those get no title.
        **subplots: handed to `Figure.subplots` (`nrows`, `ncols`, `squeeze`, ...).

    Returns:
        The figure (or a part of the caller's) and its axes.

    Raises:
        ValueError: `figsize` is no size, or `ax` has not as many Axes.
        TypeError: `ax` has other things than Axes.
    """
    if ax is not None:
        return _inside(ax, title, subplots)
    size = (width, height) if figsize is None else figsize
    if np.shape(size) != (2,) or not all(
        isinstance(side, int | float | np.number) and 0 < side < np.inf for side in size
    ):
        raise ValueError(
            f"figsize must be width and height in inches. Received: figsize={size!r}"
        )
    figure = Figure(figsize=size, dpi=120, layout="compressed")  # stays if drawn twice
    if title:
        size = readable(float(size[0]), float(size[1]), 12, 16)
        figure.suptitle(str(title), fontsize=size)
    return figure, figure.subplots(**subplots)


def _inside(ax: Any, title: str | None, subplots: dict[str, Any]) -> tuple[Any, Any]:
    """The caller's Axes, as `Figure.subplots` would give them."""
    shape = subplots.get("nrows", 1), subplots.get("ncols", 1)
    squeeze = subplots.get("squeeze", True)
    given = np.atleast_1d(np.asarray(ax, object)).ravel()
    if not all(isinstance(one, Axes) for one in given):
        kinds = sorted({type(one).__name__ for one in given})
        raise TypeError(f"ax must be matplotlib Axes. Received: {kinds}")
    projection = subplots.get("subplot_kw", {}).get("projection", given[0].name)
    if len(given) == np.prod(shape) and given[0].name == projection:
        if len(given) == 1 and title:
            given[0].set_title(str(title))
        axes = given.reshape(shape)
        axes = axes[0, 0] if squeeze and axes.size == 1 else axes
        if squeeze and isinstance(axes, np.ndarray) and 1 in shape:
            axes = axes.ravel()
        return given[0].get_figure(), axes
    place = given[0].get_subplotspec()
    if len(given) != 1 or place is None:
        raise ValueError(
            f"ax must be one of a figure's subplots, or {np.prod(shape)} Axes. "
            f"Received: {len(given)} Axes"
        )
    given[0].set_axis_off()
    figure = given[0].get_figure().add_subfigure(place)
    if title:
        figure.suptitle(str(title))
    return figure, figure.subplots(**subplots)


def drawing(*once_positional: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Give a function what all figures share: titles that fit, numbers, languages.

    Args:
        *once_positional: keywords that were taken by position once, in their order.
            They still are, with a FutureWarning.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        parameters = inspect.signature(function).parameters.values()
        places = sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters)

        @functools.wraps(function)
        def draw(*args: Any, **options: Any) -> Any:
            late = dict(zip(once_positional, args[places:], strict=False))
            if late:
                words = ", ".join(f"{name}=" for name in late)
                warnings.warn(
                    f"{function.__name__} takes {words} by name: by position it will "
                    "be an error in version 1",
                    FutureWarning,
                    stacklevel=2,
                )
                args, options = args[:places], late | options
            say(options.get("language", "en"), "", "")
            drawn: Any = function(*args, **options)  # type: ignore[call-arg]
            ax = options.get("ax")
            mine = ax is None or isinstance(drawn, mpl.SubFigure)
            _finish(
                [drawn] if mine else list(np.atleast_1d(np.asarray(ax, object)).flat),
                options.get("language", "en"),
            )
            if ax is None and isinstance(drawn, Figure):
                _fit_title(drawn, options.get("figsize") is None)
            return drawn.get_figure(root=True)

        return draw  # type: ignore[return-value]

    return decorate


def _finish(parts: Sequence[Any], language: str) -> None:
    """Write what is drawn: dollars of money as they are, numbers as the language."""
    texts = [text for part in parts for text in part.findobj(Text)]
    for text in texts:
        text.set_text(plain(text.get_text()))
    several = [[p] if isinstance(p, Axes) else p.axes for p in parts]
    axes = [axis for some in several for axis in some]
    if is_dark(paper()):
        lighten(axes, [x for p in parts for x in getattr(p, "legends", ())])
    if language != "en":
        _translate(texts, axes)


def _fit_title(figure: Figure, grows: bool) -> None:
    """Break a title that is wider than its figure into lines."""
    titles = [text for text in figure.texts if text.get_text() == figure.get_suptitle()]
    for title in titles:
        before = title.get_text()
        room = figure.get_figwidth() * figure.dpi - 0.2 * figure.dpi
        width = title.get_window_extent().width
        if width > room and not _MATH.search(before):
            longest = max(map(len, before.splitlines()))
            title.set_text(wrapped(before, max(int(longest * room / width), 8)))
            width = title.get_window_extent().width
        if width > room:
            title.set_fontsize(float(title.get_fontsize()) * room / width)
        if grows:
            more = title.get_text().count("\n") - before.count("\n")
            figure.set_figheight(figure.get_figheight() + 0.2 * more)


def wrapped(text: Any, characters: int) -> str:
    """Break a text into lines of so many characters; its own lines stay."""
    return "\n".join(
        textwrap.fill(line, characters, break_on_hyphens=False)
        for line in str(text).splitlines()
    )


def shortened(text: Any, characters: int) -> str:
    """A text of so many characters, with an ellipsis in its middle."""
    text = str(text)
    if len(text) <= characters:
        return text
    end = (characters - 1) // 2
    return f"{text[: characters - 1 - end]}…{text[-end:]}"


def plain(text: Any) -> str:
    r"""Escape the dollars that are not around mathematics, which matplotlib would read.

    Example:
    >>> plain(r"$10 to $20, $w_1$")
    '\\$10 to \\$20, $w_1$'
    """
    parts = _MATH.split(str(text))  # every second one is mathematics
    parts[::2] = [re.sub(r"(?<!\\)\$", r"\\$", part) for part in parts[::2]]
    return "".join(parts)


def ink() -> str:
    """The colour of lines and texts on the figure itself, also of a dark style."""
    return rcParams["text.color"]


def paper() -> str:
    """The colour behind them."""
    return rcParams["figure.facecolor"]


def legend_below(figure: Any, axis: Any, order: Any = None, **options: Any) -> None:
    """Put the legend of an axis below the figure, in as many columns as fit."""
    handles, labels = axis.get_legend_handles_labels()
    if order is not None:
        handles, labels = [handles[i] for i in order], [labels[i] for i in order]
    inches = figure.bbox.width / figure.figure.dpi
    size = options.setdefault("fontsize", min(legible(inches, 8), 10))
    if not isinstance(figure, Figure | mpl.SubFigure):
        axis.legend(handles, labels, **options)
        return
    # A letter is about 0.6 of its size wide, a handle with its space 4 letters.
    width = figure.bbox.width / figure.dpi * 72 / (0.6 * size)
    labels = [shortened(label, max(int(width) - 6, 10)) for label in labels]
    letters = max((len(re.sub(r"[${}\\]", "", x)) for x in labels), default=1)
    columns = int((width - 1) // (letters + 5))
    figure.legend(
        handles, labels, loc="outside lower center", frameon=False,
        ncols=min(max(columns, 1), max(len(labels), 1)), **options,
    )  # fmt: skip


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


def in_language(figure: mpl.Figure, language: str) -> mpl.Figure:
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
    if say(language, "en", "pt") == "pt":
        _translate(figure.findobj(Text), figure.axes)
    return figure


def _translate(texts: Iterable[Any], axes: Iterable[Any]) -> None:
    scales = [
        scale
        for axis in axes
        for name in ("xaxis", "yaxis", "zaxis")
        if (scale := getattr(axis, name, None)) is not None
    ]
    if any(isinstance(s.get_major_formatter(), _Portuguese) for s in scales):
        return  # a second time would turn them back
    for scale in scales:
        scale.set_major_formatter(_Portuguese(scale.get_major_formatter()))
        scale.set_minor_formatter(_Portuguese(scale.get_minor_formatter()))
    for text in texts:
        text.set_text(_portuguese(text.get_text()))


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
    parts = _MATH.split(str(text))  # a label may be given as a number
    for index, part in enumerate(parts):
        comma = "{,}" if index % 2 else ","
        parts[index] = _NUMBER.sub(
            lambda found, comma=comma: (
                found[0].replace(",", ";").replace(".", comma).replace(";", ".")
            ),
            part,
        )
    return "".join(parts)
