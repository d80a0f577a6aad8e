"""Figures of activation functions with their derivatives, and of what layers answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from matplotlib.figure import Figure

from dlkeras.model_graph import backend
from dlkeras.visualization.figure import (
    BLUE,
    GREY,
    ORANGE,
    SKY,
    in_language,
    new_figure,
    say,
)


def activation_functions(
    activations: Sequence[str | Callable] = ("sigmoid", "tanh", "relu", "leaky_relu"),
    *,
    span: float = 5.0,
    title: str | None = None,
    language: str = "en",
) -> Figure:
    """Draw activation functions and their derivatives over the induced local field.

    Where a derivative is below 0.1 the background is shaded: there the function
    saturates, and little of the error passes through on its way back.

    Args:
        activations: names of Keras activations, or functions of a tensor, element by
            element.
        span: the field is drawn from -span to span.
        title: text above the figure.
        language: `"en"` or `"pt"`.

    Returns:
        The figure, one pair of axes for each function.

    Raises:
        ValueError: an activation or the language is unknown.

    Example:
    >>> figure = activation_functions(["tanh"])
    >>> slope = figure.axes[0].lines[1].get_ydata()
    >>> float(slope.max())  # at v = 0
    1.0

    Reference:
        Haykin, *Neural Networks*, 2nd ed., section 4.2, and Géron, *Hands-on machine
        learning*, figure 11-1.
    """
    functions = [keras.activations.get(activation) for activation in activations]
    names = [
        activation if isinstance(activation, str) else function.__name__
        for activation, function in zip(activations, functions, strict=True)
    ]
    # An even number of intervals: the middle, where ReLU bends, is a point.
    field = np.linspace(-span, span, 401).astype("float32")
    columns = min(len(names), 4)
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
        value = ops.convert_to_numpy(function(ops.convert_to_tensor(field)))
        slope = backend.gradient(lambda v, f=function: ops.sum(f(v)), field)
        axis.fill_between(
            field, 0, 1, where=np.abs(slope) < 0.1, color=SKY, alpha=0.2, linewidth=0,
            transform=axis.get_xaxis_transform(),
            label=say(language, "saturated", "saturada"),
        )  # fmt: skip
        axis.plot(field, value, color=BLUE, label=r"$\varphi(v)$")
        axis.plot(field, slope, color=ORANGE, linestyle="--", label=r"$\varphi'(v)$")
        axis.axhline(0, color=GREY, linewidth=0.6)
        axis.set_title(names[index], fontsize=10)
        axis.grid(alpha=0.3)
        if index % columns == 0:
            axis.set_ylabel(r"$\varphi(v)$, $\varphi'(v)$")
        if index // columns == rows - 1:
            axis.set_xlabel(
                say(language, "induced local field $v$", "campo local induzido $v$")
            )
    handles, labels = axes[0, 0].get_legend_handles_labels()
    order = [1, 2, 0]
    figure.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="outside lower center",
        ncols=3,
        frameon=False,
    )
    return in_language(figure, language)


def activation_distributions(
    outputs: Mapping[str, Any],
    *,
    bins: int = 60,
    title: str | None = None,
    language: str = "en",
) -> Figure:
    r"""Draw how the outputs of each layer are distributed, from input to output.

    Args:
        outputs: for each layer's name its outputs, of any shape, from the input side.
        bins: bars of a histogram.
        title: text above the figure.
        language: `"en"` or `"pt"`.

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
    for name, values in outputs.items():
        flat = np.asarray(ops.convert_to_numpy(values), "float64").ravel()
        arrays[name] = flat[np.isfinite(flat)]
    empty = [name for name, values in arrays.items() if not len(values)]
    if not arrays or empty:
        raise ValueError(
            "outputs must have at least one layer, each with finite numbers. Received: "
            + (f"none finite of {empty}" if empty else "no layer")
        )
    low = min(float(values.min()) for values in arrays.values())
    high = max(float(values.max()) for values in arrays.values())
    if high == low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, bins + 1)
    default = say(
        language,
        "Outputs of each layer, from input to output",
        "Saídas de cada camada, da entrada à saída",
    )
    figure, axes = new_figure(
        6.4,
        max(0.62 * len(arrays) + 1.2, 2.4),
        title or default,
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
            f"{mean} {values.mean():z.2f}\n{deviation} {values.std():.2f}",
            transform=axis.transAxes,
            ha="left",
            va="center",
            fontsize=8,
        )
        axis.set_yticks([])
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
    axes[-1, 0].set_xlabel(say(language, "output of a unit", "saída de um neurônio"))
    return in_language(figure, language)
