"""The figure of a classifier's calibration."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlkeras.visualization.figure import (
    BLUE,
    GREY,
    ORANGE,
    in_language,
    new_figure,
    say,
)


def reliability_diagram(
    confidence: Any, accuracy: Any, count: Any, ece: float, *, language: str = "en"
) -> Figure:
    """Draw accuracy against confidence, bin by bin.

    Args:
        confidence: mean confidence of the predictions in each bin, 0 to 1.
        accuracy: share of them that are right.
        count: number of them; empty bins are left out.
        ece: the expected calibration error, for the title.
        language: `"en"` or `"pt"`.

    Returns:
        The figure: the diagram, and below it how many predictions each bin has.

    Example:
    >>> len(reliability_diagram([0.6, 0.9], [0.5, 1.0], [4, 20], 0.1).axes)
    2

    Reference:
        Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks",
        ICML 2017, figure 1.
    """
    count = np.asarray(count)
    edges = np.linspace(0, 1, len(count) + 1)
    centres, width = (edges[:-1] + edges[1:]) / 2, edges[1] - edges[0]
    filled = count > 0
    figure, (upper, lower) = new_figure(
        4.6,
        5.2,
        say(
            language,
            f"Calibration: expected calibration error {ece:.3f}",
            f"Calibração: erro esperado de calibração {ece:.3f}",
        ),
        nrows=2,
        sharex=True,
        height_ratios=[3, 1],
    )
    perfect = say(language, "perfect calibration", "calibração perfeita")
    upper.plot([0, 1], [0, 1], color=GREY, linestyle=":", label=perfect)
    upper.plot(
        np.asarray(confidence)[filled],
        np.asarray(accuracy)[filled],
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
    return in_language(figure, language)
