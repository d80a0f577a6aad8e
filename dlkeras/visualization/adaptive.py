"""The figure of an adaptive filter's learning curve beside its theory."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlkeras.optimization import LMSTheory
from dlkeras.visualization.figure import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    in_language,
    new_figure,
    say,
)


def lms_learning_curve(
    errors: Any,
    theory: LMSTheory | None = None,
    *,
    initial_weights: Any = None,
    title: str | None = None,
    language: str = "en",
) -> Figure:
    """Draw the mean squared error of an adaptive filter, sample by sample.

    Args:
        errors: the filter's errors e(n), `(runs, samples)` or `(samples,)`; the
            ensemble average of their squares is drawn.
        theory: what `lms_theory` predicts, drawn beside.
        initial_weights: the filter's first weights, `(taps,)`; zeros by default.
        title: text above the figure.
        language: `"en"` or `"pt"`.

    Returns:
        The figure, of logarithmic scale. Where the filter is stable the last level,
        Jmin plus the excess error, is marked.

    Raises:
        ValueError: the errors are not of one or two axes, or the language is unknown.

    Example:
    >>> from dlkeras.optimization import lms_theory
    >>> theory = lms_theory([[1.0]], [0.9], step_size=0.1)
    >>> figure = lms_learning_curve(np.ones((5, 100)), theory)
    >>> [line.get_label() for line in figure.axes[0].lines][1:]
    ['theory', 'steepest descent', '$J_{min}$', '$J_{min}$ + excess error']

    Reference:
        Haykin, *Adaptive Filter Theory*, the chapter on the LMS algorithm.
    """
    table = np.atleast_2d(np.asarray(errors, float))
    if table.ndim != 2 or not table.size:
        raise ValueError(
            "errors must be of shape (runs, samples) or (samples,), at least one. "
            f"Received: {np.asarray(errors).shape}"
        )
    runs, steps = table.shape
    default = say(
        language, "Learning curve of LMS", "Curva de aprendizagem do algoritmo LMS"
    )
    figure, axis = new_figure(6.4, 4, title or default)
    measured = say(language, f"measured, {runs} runs", f"medida, {runs} execuções")
    if runs == 1:
        measured = say(language, "measured, 1 run", "medida, 1 execução")
    n = np.arange(steps)
    axis.plot(n, (table**2).mean(0), color=BLUE, alpha=0.6, lw=1, label=measured)
    if theory is not None:
        curve = theory.learning_curve(steps, initial_weights)
        axis.plot(n, curve, color=ORANGE, lw=2, label=say(language, "theory", "teoria"))
        descent = theory.steepest_descent_curve(steps, initial_weights)
        name = say(language, "steepest descent", "descida mais íngreme")
        axis.plot(n, descent, color=GREEN, linestyle="-.", label=name)
        levels = [(theory.minimum_error, "$J_{min}$", ":")]
        if np.isfinite(theory.excess_error) and theory.excess_error > 0:
            excess = say(language, "excess error", "erro em excesso")
            level = theory.minimum_error + theory.excess_error
            levels.append((level, f"$J_{{min}}$ + {excess}", "--"))
        for level, label, dashes in levels:
            if level > 0:
                axis.axhline(level, color=GREY, lw=1, linestyle=dashes, label=label)
    axis.set_yscale("log")
    axis.set_xlabel(say(language, "sample n", "amostra n"))
    axis.set_ylabel(
        say(language, r"mean squared error $J(n)$", r"erro quadrático médio $J(n)$")
    )
    axis.grid(alpha=0.3)
    axis.legend(fontsize=9)
    return in_language(figure, language)
