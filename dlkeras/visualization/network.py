"""A network at a glance: each layer's output, parameters, cost, receptive field."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from dlkeras.visualization.figure import drawing, new_figure, say, shortened
from dlkeras.visualization.inputs import received
from dlkeras.visualization.look.colours import BLUE, GREEN, GREY, ORANGE
from dlkeras.visualization.look.sizes import readable

_ROW = 0.24  # of a row's height, in inches


@drawing("title")
def network_table(
    rows: Sequence[Any],
    *,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw the rows of `summary_table`: four columns of bars, a line for each layer.

    Args:
        rows: what `dlkeras.architectures.summary_table` returns.
        title: text above the figure; default: what it shows.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        A figure of parameters, multiply-adds, memory and receptive field (of images
        only), with the layer and the shape of its output at the left; the totals are
        in the headings.

    Raises:
        ValueError: there is no row.
        TypeError: they are no rows of a table.

    Example:
    >>> from types import SimpleNamespace
    >>> row = SimpleNamespace(
    ...     layer="C1",
    ...     output=(28, 28, 6),
    ...     parameters=156,
    ...     frozen=0,
    ...     multiply_adds=117600,
    ...     memory=18816,
    ...     receptive_field=5,
    ... )
    >>> [axis.get_title().split()[-1] for axis in network_table([row]).axes]
    ['156', 'k', 'kB', 'pixels']
    """
    if not isinstance(rows, Sequence) or not all(hasattr(r, "layer") for r in rows):
        raise TypeError(
            "rows must be what dlkeras.architectures.summary_table returns. "
            f"Received: {received(rows)}"
        )
    if not rows:
        raise ValueError(f"rows must have at least one layer. Received: {rows!r}")
    names = [
        f"{shortened(row.layer, 44)}   "
        + "x".join("?" if n is None else str(n) for n in row.output)
        for row in rows
    ]
    columns = [
        (
            say(language, "parameters", "parâmetros"),
            [row.parameters + row.frozen for row in rows],
            BLUE,
            "",
        ),
        (
            say(language, "multiply-adds", "multiplicações e somas"),
            [row.multiply_adds or 0 for row in rows],
            ORANGE,
            "",
        ),
        (say(language, "memory", "memória"), [row.memory for row in rows], GREEN, "B"),
    ]
    title = title or say(
        language, "The network, layer by layer", "A rede, camada por camada"
    )
    seen = [row.receptive_field or 0 for row in rows]
    count = 4 if any(seen) else 3  # of text and tables no neuron sees pixels
    height = 1.4 + _ROW * len(rows)
    width = max(8.6, min(1.45 * height, 12.6))  # letters read on a phone
    size = readable(width, height, 9.5, 0.81 * 72 * _ROW)
    figure, axes = new_figure(
        width, height, title, figsize=figsize, ax=ax, ncols=count, sharey=True,
        squeeze=False,
    )  # fmt: skip
    for axis, (name, values, colour, unit) in zip(axes[0], columns, strict=False):
        _bars(axis, values, colour, unit, size)
        axis.set_title(f"{name}\n{_short(sum(values), unit)}", fontsize=size + 1)
    for place, row in enumerate(rows):
        if row.multiply_adds is None:  # not known, which is not 0
            axes[0][1].text(0, place, " ?", va="center", fontsize=size)
    if any(row.multiply_adds is None for row in rows):
        axes[0][1].set_title(f"{columns[1][0]}\n?", fontsize=size + 1)
    if any(seen):
        _bars(axes[0][3], seen, GREY, "", size, plain=True)
        head = say(language, "sees\npixels", "vê\npixels")
        axes[0][3].set_title(head, fontsize=size + 1)
    first = axes[0][0]
    first.set_yticks(range(len(rows)), names, fontsize=size)
    first.set_ylim(len(rows) - 0.4, -0.6)  # the images at the top
    return figure


def _bars(
    axis: Any,
    values: list[int],
    colour: str,
    unit: str,
    size: float,
    plain: bool = False,
) -> None:
    axis.barh(range(len(values)), values, color=colour, height=0.72)
    axis.set_xlim(0, 1.6 * max(*values, 1))
    axis.set_xticks([])
    axis.tick_params(left=False)
    axis.spines[["top", "right", "bottom"]].set_visible(False)
    for place, value in enumerate(values):
        if value:
            text = f" {value:,}" if plain else f" {_short(value, unit)}"
            axis.text(value, place, text, va="center", fontsize=size)


def _short(value: float, unit: str = "") -> str:
    """Write a number with three digits and a thousand's letter."""
    for letter in ("", "k", "M", "G"):
        if value < 999.5 or letter == "G":
            number = f"{value:,.0f}" if not letter or value >= 99.95 else f"{value:.3g}"
            return f"{number} {letter}{unit}".strip()
        value /= 1000
    return ""
