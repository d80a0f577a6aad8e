"""Figures of what the monitors measured: gradients, updates, activations by layer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from dlkeras.visualization.figure import (
    drawing,
    legend_below,
    new_figure,
    say,
    shortened,
)
from dlkeras.visualization.inputs import names, numbers
from dlkeras.visualization.look.colours import BLUE, GREEN, GREY, HATCHES, ORANGE
from dlkeras.visualization.look.scales import logarithmic, plain_steps
from dlkeras.visualization.look.sizes import readable
from dlkeras.visualization.training.layer_tables import (
    LEAST,
    bands_of,
    norms_of,
    positive,
    table_of,
)

# Layers that can be told apart on one axis; more are drawn, and every n-th is named.
_MOST_NAMES = 30
_LONGEST_NAME = 32


def _mark(axis: Any, table: np.ndarray, language: str) -> None:
    """Crosses below the layers that are always 0, and above those with NaN."""
    none = np.flatnonzero((np.abs(table) <= LEAST).all(0))
    broken = np.flatnonzero((~np.isfinite(table)).any(0))
    for places, height, colour, label in (
        (none, 0.03, GREY, say(language, "always 0", "sempre 0")),
        (broken, 0.97, ORANGE, say(language, "NaN or infinity", "NaN ou infinito")),
    ):
        if len(places):
            axis.plot(
                places, np.full(len(places), height), "x", color=colour,
                transform=axis.get_xaxis_transform(), label=label,
            )  # fmt: skip


def _draw_bands(axis: Any, x: np.ndarray, bands: Any, language: str) -> None:
    low, middle, high = bands
    words = say(language, "minimum to maximum", "mínimo a máximo")
    axis.fill_between(x, low, high, color=BLUE, alpha=0.2, label=words)
    words = say(language, "median", "mediana")
    axis.plot(x, middle, color=BLUE, marker="o", markersize=3, label=words)
    logarithmic(axis)


def _name_layers(
    axis: Any, layers: Sequence[str], language: str, horizontal: bool = True
) -> None:
    label = say(language, "layer, from input to output", "camada, da entrada à saída")
    every = -(-len(layers) // _MOST_NAMES)
    ticks = list(range(0, len(layers), every))
    known = names(layers, len(layers), "layers", "layers")
    shown = [shortened(known[i], _LONGEST_NAME) for i in ticks]
    width, height = axis.figure.bbox.size / axis.figure.figure.dpi
    size = readable(width, height, 8, 11)
    if horizontal:
        axis.set_xticks(ticks, shown, rotation=90, fontsize=size)
        axis.set_xlabel(label)
        axis.set_xlim(-0.5, len(layers) - 0.5)
    else:
        axis.set_yticks(ticks, shown, fontsize=size)
        axis.set_ylabel(label)


def _size(layers: Sequence[str], height: float) -> tuple[float, float]:
    """Wider for many layers, higher for long names, which stand upright below."""
    longest = max((len(str(layer)) for layer in layers), default=0)
    more = 0.07 * max(min(longest, _LONGEST_NAME) - 8, 0)
    width = min(max(4.5, 0.3 * len(layers) + 2), 9)
    return width, max(height, 0.4 * width) + more


@drawing("title")
def gradient_flow(
    gradient_norm: Any,
    layers: Sequence[str],
    *,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw each layer's gradient norm over depth: median, and minimum to maximum.

    Args:
        gradient_norm: `(samples, layers)`; samples are steps.
        layers: names of the layers from input to output.
        title: text above the figure.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure, of logarithmic scale. A layer whose gradient is always 0 is marked
        at the bottom with a cross, one with NaN or infinity at the top.

    Raises:
        ValueError: the table is empty, has a norm below 0, or is not of one column for
            each layer.

    Example:
    >>> gradient_flow([[1.0, 0.1], [2.0, 0.2]], ["first", "last"]).axes[0].get_yscale()
    'log'

    Reference:
        Glorot and Bengio, "Understanding the difficulty of training deep feedforward
        neural networks", AISTATS 2010, figure 7.
    """
    table = norms_of("gradient_norm", gradient_norm, layers)
    low, middle, high = bands_of(positive(table))
    title = title or say(language, "Gradient flow", "Fluxo dos gradientes")
    figure, axis = new_figure(*_size(layers, 4.2), title, figsize=figsize, ax=ax)
    x = np.arange(len(layers))
    _draw_bands(axis, x, (low, middle, high), language)
    _mark(axis, table, language)
    _name_layers(axis, layers, language)
    axis.set_ylabel(say(language, "gradient norm", "norma do gradiente"))
    axis.grid(alpha=0.3)
    legend_below(figure, axis)
    return figure


@drawing("title")
def gradient_map(
    gradient_norm: Any,
    layers: Sequence[str],
    steps: Sequence[int],
    *,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw the gradient norm of every layer (rows) at every sampled step (columns).

    Args:
        gradient_norm: `(samples, layers)`.
        layers: names of the layers from input to output.
        steps: `(samples,)`, the number of each step.
        title: text above the figure.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure, of logarithmic colours; none where the norm is 0, a cross where it
        is not finite.

    Raises:
        ValueError: the table is empty, has a norm below 0, or does not fit the layers
            or the steps.

    Example:
    >>> figure = gradient_map([[1.0, 0.1], [2.0, 0.2]], ["first", "last"], [1, 2])
    >>> figure.axes[0].get_xlabel()
    'step'
    """
    table = norms_of("gradient_norm", gradient_norm, layers)
    numbers(steps, "`steps`", "a number for each sample", axes=1)
    if len(steps) != len(table):
        raise ValueError(
            f"`steps` must have one number for each of {len(table)} samples. "
            f"Received: {len(steps)}"
        )
    shown = positive(table)
    low, high = 1.0, 10.0
    if not np.isnan(shown).all():
        low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    height = min(max(3.0, 0.22 * len(layers) + 1.5), 7)
    title = title or say(
        language,
        "Gradient norm over depth and time",
        "Norma do gradiente por profundidade e tempo",
    )
    figure, axis = new_figure(7.0, height, title, figsize=figsize, ax=ax)
    drawn = axis.imshow(
        shown.T,
        aspect="auto",
        interpolation="nearest",
        cmap="viridis",
        norm=LogNorm(low, high) if low < high else LogNorm(low / 2, 2 * high),
    )
    ticks = np.unique(np.linspace(0, len(steps) - 1, 8).round().astype(int))
    axis.set_xticks(ticks, [f"{steps[i]:g}" for i in ticks])
    axis.set_xlabel(say(language, "step", "passo"))
    _name_layers(axis, layers, language, horizontal=False)
    bar = figure.colorbar(
        drawn, ax=axis, label=say(language, "gradient norm", "norma do gradiente")
    )
    plain_steps(bar.ax.yaxis)
    broken = np.argwhere(~np.isfinite(table))
    if len(broken):
        words = say(language, "NaN or infinity", "NaN ou infinito")
        axis.plot(*broken.T, "x", color=ORANGE, label=words)
    if (np.isnan(shown) & np.isfinite(table)).any():
        words = say(language, "no colour: 0", "sem cor: 0")
        axis.plot([], [], linestyle="none", label=words)
    if axis.get_legend_handles_labels()[0]:
        legend_below(figure, axis)
    return figure


@drawing("title")
def update_ratios(
    update_ratio: Any,
    layers: Sequence[str],
    *,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw update norm over weight norm of each layer, beside the rule of 1e-3.

    Args:
        update_ratio: `(samples, layers)`; NaN where the weights were 0.
        layers: names of the layers from input to output.
        title: text above the figure.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure: median, and minimum to maximum, on a logarithmic scale. A layer
        whose ratio is always 0 is marked at the bottom with a cross, one with NaN or
        infinity at the top.

    Raises:
        ValueError: the table is empty, has a ratio below 0, or is not of one column for
            each layer.

    Example:
    >>> len(update_ratios([[1e-3, 2e-3]], ["first", "last"]).axes)
    1

    Reference:
        Karpathy, CS231n, "Neural networks 3": the ratio of updates to weights should
        be somewhere around 1e-3.
    """
    table = norms_of("update_ratio", update_ratio, layers)
    low, middle, high = bands_of(positive(table))
    title = title or say(language, "Size of the updates", "Tamanho das atualizações")
    figure, axis = new_figure(*_size(layers, 4.2), title, figsize=figsize, ax=ax)
    x = np.arange(len(layers))
    axis.axhspan(
        1e-5,
        1e-2,
        color=GREEN,
        alpha=0.12,
        label=say(language, "1e-5 to 1e-2", "1e-5 a 1e-2"),
    )
    axis.axhline(
        1e-3,
        color=GREEN,
        linestyle="--",
        linewidth=1,
        label=say(language, "rule: 1e-3", "regra: 1e-3"),
    )
    _draw_bands(axis, x, (low, middle, high), language)
    _mark(axis, table, language)
    _name_layers(axis, layers, language)
    axis.set_ylabel(
        say(
            language,
            "update norm / weight norm",
            "norma da atualização / norma do peso",
        )
    )
    axis.grid(alpha=0.3)
    legend_below(figure, axis)
    return figure


@drawing("title")
def activation_statistics(
    mean: Any,
    std: Any,
    dead_share: Any,
    saturated_share: Any,
    layers: Sequence[str],
    *,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw the outputs of each layer, and its share of dead and saturated units.

    Args:
        mean: `(layers,)`.
        std: `(layers,)`.
        dead_share: `(layers,)`, NaN for layers that cannot die.
        saturated_share: `(layers,)`, NaN for layers that cannot saturate.
        layers: names of the layers from input to output.
        title: text above the figure.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure: above, mean and standard deviation; below, the shares.

    Raises:
        ValueError: an array is not of one value for each layer, a deviation is below 0,
            or a share not of 0 to 1.

    Example:
    >>> layers, nan = ["a", "b"], float("nan")
    >>> len(activation_statistics([0, 0], [1, 1], [0.1, nan], [nan, 0], layers).axes)
    2
    """
    rows = {"mean": mean, "std": std, "dead_share": dead_share}
    rows["saturated_share"] = saturated_share
    one_each = "(layers,), a number for each layer"
    arrays = {
        name: table_of(name, numbers(row, f"`{name}`", one_each, axes=1)[None], layers)[
            0
        ]
        for name, row in rows.items()
    }
    for name, most in (("std", np.inf), ("dead_share", 1), ("saturated_share", 1)):
        values = arrays[name]
        if ((values < 0) | (np.isfinite(values) & (values > most + 1e-6))).any():
            raise ValueError(
                f"`{name}` must be from 0 {'on' if most > 1 else 'to 1'}. Received: "
                f"from {np.nanmin(values):.3g} to {np.nanmax(values):.3g}"
            )
    title = title or say(
        language, "Activations of the probe batch", "Ativações do lote de sondagem"
    )
    figure, (upper, lower) = new_figure(
        *_size(layers, 5.2), title, figsize=figsize, ax=ax, nrows=2, sharex=True,
        height_ratios=[3, 2],
    )  # fmt: skip
    x = np.arange(len(layers))
    low, high = arrays["mean"] - arrays["std"], arrays["mean"] + arrays["std"]
    finite = np.isfinite(low) & np.isfinite(high)
    upper.vlines(x[finite], low[finite], high[finite], color=BLUE, alpha=0.5, lw=3)
    upper.plot(x[finite], arrays["mean"][finite], "o", color=BLUE, markersize=4)
    if not finite.all():
        words = say(language, "NaN or infinity", "NaN ou infinito")
        upper.plot(
            x[~finite], np.full((~finite).sum(), 0.97), "x", color=ORANGE, label=words,
            transform=upper.get_xaxis_transform(),
        )  # fmt: skip
        legend_below(figure, upper)
    upper.set_ylabel(say(language, "mean and std", "média e desvio"))
    upper.grid(alpha=0.3)
    words = {
        "dead_share": say(language, "dead", "mortos"),
        "saturated_share": say(language, "saturated", "saturados"),
    }
    for name, colour, hatch, shift in (
        ("dead_share", GREY, HATCHES[0], -0.2),
        ("saturated_share", ORANGE, HATCHES[1], 0.2),
    ):
        values = arrays[name]
        seen = np.isfinite(values)
        if not seen.any():
            continue
        label = words[name]
        lower.bar(
            x[seen] + shift, values[seen], 0.4, color=colour, label=label,
            hatch=hatch, edgecolor="white", linewidth=0,
        )  # fmt: skip
    lower.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
    lower.set_ylim(0, 1.02)
    lower.set_ylabel(say(language, "share of units", "fração dos neurônios"))
    if lower.patches:  # over the bars where there are many
        lower.legend(fontsize=8, edgecolor="none", framealpha=0.8)
    _name_layers(lower, layers, language)
    return figure
