"""The look that all figures share: colours, sizes, and no window system."""

from typing import Any

from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart by people with any colour vision, and in print.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"


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
