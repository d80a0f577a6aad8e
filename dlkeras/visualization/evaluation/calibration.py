"""The figure of a classifier's calibration."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlkeras.visualization.figure import drawing, new_figure, say
from dlkeras.visualization.inputs import numbers
from dlkeras.visualization.look.colours import BLUE, GREY, ORANGE


@drawing()
def reliability_diagram(
    confidence: Any,
    accuracy: Any,
    count: Any,
    ece: float,
    *,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw accuracy against confidence, bin by bin.

    Args:
        confidence: mean confidence of the predictions in each bin, 0 to 1.
        accuracy: share of them that are right.
        count: number of them; empty bins are left out.
        ece: the expected calibration error, for the title.
        title: text above the figure; by default with the calibration error.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure: the diagram, and below it how many predictions each bin has.

    Raises:
        ValueError: the arrays are not of one value for each bin, no bin has a
            prediction, or a share is not of 0 to 1.
        TypeError: they hold no numbers.

    Example:
    >>> len(reliability_diagram([0.6, 0.9], [0.5, 1.0], [4, 20], 0.1).axes)
    2

    Reference:
        Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks",
        ICML 2017, figure 1.
    """
    one_each = "one number for each bin"
    count = numbers(count, "count", one_each, axes=1)
    filled = count > 0
    shares = {"confidence": confidence, "accuracy": accuracy}
    for name, values in shares.items():
        shares[name] = numbers(values, name, one_each, axes=1)
        within = shares[name].shape == count.shape and filled.any()
        known = shares[name][filled] if within else np.array([np.nan])
        if not ((known >= 0) & (known <= 1 + 1e-6)).all():  # as float32 may round
            raise ValueError(
                f"{name} must be of 0 to 1 for each of {len(count)} bins, and at least "
                f"one bin must have predictions. Received: "
                f"{shares[name].tolist()[:10]}, count={count.tolist()[:10]}"
            )
    ece = float(numbers(ece, "ece", "one number", axes=0))
    edges = np.linspace(0, 1, len(count) + 1)
    centres, width = (edges[:-1] + edges[1:]) / 2, edges[1] - edges[0]
    figure, (upper, lower) = new_figure(
        4.6,
        5.2,
        title
        or say(
            language,
            f"Calibration: expected calibration error {ece:.3f}",
            f"Calibração: erro esperado de calibração {ece:.3f}",
        ),
        figsize=figsize,
        ax=ax,
        nrows=2,
        sharex=True,
        height_ratios=[3, 1],
    )
    perfect = say(language, "perfect calibration", "calibração perfeita")
    upper.plot([0, 1], [0, 1], color=GREY, linestyle=":", label=perfect)
    upper.plot(
        shares["confidence"][filled],
        shares["accuracy"][filled],
        color=ORANGE,
        marker="o",
        label=say(language, "model", "modelo"),
    )
    upper.set_ylabel(say(language, "accuracy in the bin", "acurácia na faixa"))
    upper.set_ylim(-0.02, 1.02)
    upper.legend(frameon=False, loc="lower right")
    upper.grid(alpha=0.3)
    lower.bar(centres[filled], count[filled], width=0.9 * width, color=BLUE)
    lower.set_yscale("log")
    lower.set_xlim(0, 1)
    lower.set_xlabel(
        say(
            language,
            "confidence (probability of the predicted class)",
            "confiança (probabilidade da classe prevista)",
        )
    )
    lower.set_ylabel(say(language, "examples", "exemplos"))
    return figure
