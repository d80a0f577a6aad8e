"""Figures of activation functions, their derivatives, and layers' outputs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from matplotlib.figure import Figure

from dlkeras.model_graph import backend
from dlkeras.visualization.figure import (
    drawing,
    legend_below,
    new_figure,
    say,
    shortened,
)
from dlkeras.visualization.inputs import holds_several, mapping, numbers, received
from dlkeras.visualization.look.colours import BLUE, GREY, ORANGE, SKY
from dlkeras.visualization.look.sizes import readable


@drawing()
def activation_functions(
    activations: Sequence[str | Callable] = ("sigmoid", "tanh", "relu", "leaky_relu"),
    *,
    span: float = 5.0,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw activation functions and their derivatives over the induced local field.

    Where a derivative is below 0.1 the background is shaded: there the function
    saturates, and little of the error passes through on its way back.

    Args:
        activations: names of Keras activations, or functions of a tensor, element by
            element; or a single one.
        span: the field is drawn from -span to span.
        title: text above the figure.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure, one pair of axes for each function.

    Raises:
        ValueError: there is no activation, it or the language is unknown, or it is
            not element by element, such as softmax.

    Example:
    >>> figure = activation_functions(["tanh"])
    >>> slope = figure.axes[0].lines[1].get_ydata()
    >>> float(slope.max())  # at v = 0
    1.0

    Reference:
        Haykin, *Neural Networks*, 2nd ed., section 4.2, and Géron, *Hands-on machine
        learning*, figure 11-1.
    """
    if isinstance(activations, str) or callable(activations):
        activations = [activations]
    activations = list(activations) if holds_several(activations) else []
    span = float(numbers(span, "span", "a number above 0", axes=0))
    if not activations or not 0 < span < np.inf:
        raise ValueError(
            "activations must name at least one, and span be above 0. Received: "
            f"{len(activations)} activations, span={span}"
        )
    functions = [_function(activation) for activation in activations]
    names = [
        activation
        if isinstance(activation, str)
        else getattr(function, "__name__", getattr(function, "name", ""))
        for activation, function in zip(activations, functions, strict=True)
    ]
    # An even number of intervals: the middle, where ReLU bends, is a point.
    field = np.linspace(-span, span, 401).astype("float32")
    for name, function in zip(names, functions, strict=True):
        whole, part = (_values(function, x) for x in (field, field[:201]))
        if whole.shape != field.shape or not np.allclose(
            whole[:201], part, rtol=1e-4, atol=1e-6, equal_nan=True
        ):
            raise ValueError(
                "activations must work element by element, to be drawn as curves. "
                f"Received: {name!r}, whose values depend on each other"
            )
    columns = {2: 2, 4: 2}.get(len(names), min(len(names), 3))  # wide as a slide
    rows = -(-len(names) // columns)
    default = say(
        language,
        "Activation functions and their derivatives",
        "Funções de ativação e suas derivadas",
    )
    figure, axes = new_figure(
        3.1 * columns,
        2.7 * rows + 0.5,
        title or default,
        figsize=figsize,
        ax=ax,
        nrows=rows,
        ncols=columns,
        squeeze=False,
        sharex=True,
    )
    for index, axis in enumerate(axes.flat):
        if index >= len(names):
            axis.remove()
            continue
        function = functions[index]
        value = _values(function, field)
        slope = backend.gradient(lambda v, f=function: ops.sum(f(v)), field)
        axis.fill_between(
            field, 0, 1, where=np.abs(slope) < 0.1, color=SKY, alpha=0.2, linewidth=0,
            transform=axis.get_xaxis_transform(),
            label=say(language, "saturated", "saturada"),
        )  # fmt: skip
        axis.plot(field, value, color=BLUE, label=r"$\varphi(v)$")
        axis.plot(field, slope, color=ORANGE, linestyle="--", label=r"$\varphi'(v)$")
        axis.axhline(0, color=GREY, linewidth=0.6)
        axis.set_title(shortened(names[index], 30), fontsize=10)
        axis.grid(alpha=0.3)
        if index % columns == 0:
            axis.set_ylabel(r"$\varphi(v)$, $\varphi'(v)$")
        if index // columns == rows - 1:
            axis.set_xlabel(
                say(language, "induced local field $v$", "campo local induzido $v$")
            )
    legend_below(figure, axes[0, 0], order=[1, 2, 0], fontsize=10)
    return figure


def _function(activation: Any) -> Callable:
    try:
        return keras.activations.get(activation)
    except (ValueError, TypeError) as error:
        raise type(error)(
            "activations must be names of Keras activations or functions of a tensor. "
            f"Received: {received(activation)}"
        ) from error


def _values(function: Callable, field: np.ndarray) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(function(ops.convert_to_tensor(field))))


@drawing()
def activation_distributions(
    outputs: Mapping[str, Any],
    *,
    bins: int = 60,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    r"""Draw how the outputs of each layer are distributed, from input to output.

    Args:
        outputs: for each layer's name its outputs, of any shape, from the input side.
        bins: bars of a histogram.
        title: text above the figure.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure: a row for each layer on one scale, the first on top, each with its
        own mean and standard deviation; the densities are each scaled to their
        maximum.

    Raises:
        ValueError: there is no layer, a layer has no finite output, or the language
            is unknown.

    Example:
    >>> outputs = {"hidden_1": np.linspace(-1, 1, 50), "hidden_2": np.zeros(50)}
    >>> figure = activation_distributions(outputs)
    >>> figure.axes[0].texts[0].get_text()
    'mean 0.00\nstd 0.59'

    Reference:
        Glorot and Bengio, "Understanding the difficulty of training deep feedforward
        neural networks", AISTATS 2010, figure 6.
    """
    arrays = {}
    expected = "a dictionary: for each layer's name its outputs"
    gaps = {}
    for name, values in mapping(outputs, "outputs", expected).items():
        flat = (
            numbers(values, f"outputs[{name!r}]", "numbers").astype("float64").ravel()
        )
        arrays[name] = flat[np.isfinite(flat)]
        gaps[name] = 1 - len(arrays[name]) / max(flat.size, 1)
    if not isinstance(bins, int) or bins < 1:
        raise ValueError(f"bins must be a number from 1. Received: bins={bins!r}")
    empty = [name for name, values in arrays.items() if not len(values)]
    if not arrays or empty:
        raise ValueError(
            "outputs must have at least one layer, each with finite numbers. Received: "
            + (f"none finite of {empty}" if empty else "no layer")
        )
    low = min(float(values.min()) for values in arrays.values())
    high = max(float(values.max()) for values in arrays.values())
    if high == low:
        room = max(0.5, abs(low) / 1000)  # 1e300 - 0.5 is 1e300
        low, high = low - room, high + room
    edges = np.linspace(low, high, bins + 1)
    default = say(
        language,
        "Outputs of each layer, from input to output",
        "Saídas de cada camada, da entrada à saída",
    )
    height = max(0.62 * len(arrays) + 1.2, 2.4)
    size = readable(6.4, height, 8, 11)
    figure, axes = new_figure(
        6.4,
        height,
        title or default,
        figsize=figsize,
        ax=ax,
        nrows=len(arrays),
        sharex=True,
        squeeze=False,
    )
    deviation = say(language, "std", "desvio")
    mean = say(language, "mean", "média")
    for axis, (name, values) in zip(axes[:, 0], arrays.items(), strict=True):
        counts, _ = np.histogram(values, edges)
        axis.stairs(counts / counts.max(), edges, fill=True, color=BLUE, alpha=0.75)
        axis.axvline(float(values.mean()), color=ORANGE, linewidth=1.2)
        axis.text(
            1.01,
            0.5,
            f"{mean} {_short(values.mean(), values.std())}\n"
            f"{deviation} {_short(values.std(), values.std())}" + _gap(gaps[name]),
            transform=axis.transAxes,
            ha="left",
            va="center",
            fontsize=size,
        )
        axis.set_yticks([])
        axis.set_ylabel(
            shortened(name, 24), rotation=0, ha="right", va="center",
            fontsize=max(size, 9),
        )  # fmt: skip
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
    words = say(language, "output of a unit", "saída de um neurônio")
    axes[-1, 0].set_xlabel(words, fontsize=max(size, 10))
    axes[-1, 0].tick_params("x", labelsize=max(size, 10))
    return figure


def _short(value: float, spread: float) -> str:
    """Two decimals, or two digits of what would vanish in them: not "0.00"."""
    if abs(value) >= 1e6:
        return f"{value:.2e}"
    if value == 0 or max(abs(value), spread) >= 0.0495:
        return f"{value:z.2f}"
    return f"{value:.1e}" if abs(value) > 1e-3 * spread else "0"


def _gap(share: float) -> str:
    """How much of a layer is not finite: a single value is not 0%."""
    if not share:
        return ""
    return "\n<1% NaN/inf" if share < 0.005 else f"\n{share:.0%} NaN/inf"
