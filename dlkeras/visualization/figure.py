"""The look that all figures share: colours, sizes, languages, and no window system."""

from typing import Any

from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart by people with any colour vision, and in print.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
AMBER, SKY, PURPLE = "#E69F00", "#56B4E9", "#CC79A7"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, GREY)
# What tells lines apart where colours do not.
DASHES = ("-", "--", "-.", ":")
HATCHES = ("", "///", "...", "xxx")

LANGUAGES = ("en", "pt")
TIMES = "\N{MULTIPLICATION SIGN}"


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
