"""The figure of an adaptive filter's learning curve beside its theory."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlkeras.optimization import LMSTheory
from dlkeras.visualization.figure import drawing, legend_below, new_figure, say
from dlkeras.visualization.inputs import numbers, received
from dlkeras.visualization.look.colours import BLUE, GREEN, GREY, ORANGE
from dlkeras.visualization.look.scales import logarithmic, whole_numbers


@drawing()
def lms_learning_curve(
    errors: Any,
    theory: LMSTheory | None = None,
    *,
    initial_weights: Any = None,
    decibels: bool = False,
    title: str | None = None,
    language: str = "en",
    figsize: tuple[float, float] | None = None,
    ax: Any = None,
) -> Figure:
    """Draw the mean squared error of an adaptive filter, sample by sample.

    Args:
        errors: the filter's errors e(n), `(runs, samples)` or `(samples,)`, real or
            complex; the ensemble average of `|e(n)|^2` is drawn.
        theory: what `lms_theory` predicts, drawn beside.
        initial_weights: the filter's first weights, `(taps,)`; zeros by default.
        decibels: whether to draw 10 log10 J(n), in dB.
        title: text above the figure.
        language: `"en"` or `"pt"`.
        figsize: width and height in inches.
        ax: matplotlib Axes to draw into.

    Returns:
        The figure. Where the filter is stable the last level,
        Jmin plus the excess error, is marked.

    Raises:
        ValueError: the errors are not of one or two axes, or the language is unknown.
        TypeError: they are no numbers, or the theory is none.

    Example:
    >>> from dlkeras.optimization import lms_theory
    >>> theory = lms_theory([[1.0]], [0.9], step_size=0.1)
    >>> figure = lms_learning_curve(np.ones((5, 100)), theory)
    >>> [line.get_label() for line in figure.axes[0].lines][1:]
    ['theory', 'steepest descent', '$J_{min}$', '$J_{min}$ + excess error']

    Reference:
        Haykin, *Adaptive Filter Theory*, the chapter on the LMS algorithm.
    """
    expected = "of shape (runs, samples) or (samples,), at least one"
    table = np.atleast_2d(numbers(errors, "errors", expected, kinds="biufc"))
    if table.ndim != 2 or not table.size or not np.ndim(errors):
        raise ValueError(f"errors must be {expected}. Received: {table.shape}")
    if theory is not None and not isinstance(theory, LMSTheory):
        raise TypeError(
            f"theory must be what lms_theory returns. Received: {received(theory)}"
        )
    # Of a complex error the power of both parts.
    with np.errstate(over="ignore"):  # said below
        power = np.abs(table.astype(np.result_type(table.dtype, "float64"))) ** 2
    runs, steps = table.shape
    lost = np.isfinite(table).all() and not np.isfinite(power.mean(0)).any()
    if lost and theory is None:  # an empty pair of axes
        raise ValueError(
            "errors must have a sample whose square is finite in every run. Received: "
            f"errors from {np.abs(table).min()} to {np.abs(table).max()}"
        )
    default = say(
        language, "Learning curve of LMS", "Curva de aprendizagem do algoritmo LMS"
    )
    figure, axis = new_figure(6.4, 4, title or default, figsize=figsize, ax=ax)
    measured = say(language, f"measured, {runs} runs", f"medida, {runs} execuções")
    if runs == 1:
        measured = say(language, "measured, 1 run", "medida, 1 execução")
    n = np.arange(steps)
    mean = power.mean(0)
    known = np.isfinite(mean)
    lonely = not (known[1:] & known[:-1]).any()  # points without a line to be seen by
    mark = "o" if lonely else None

    def level(values: Any) -> Any:
        """As it is drawn: of no error there is no level in dB."""
        if not decibels:
            return values
        values = np.asarray(values, "float64")
        positive = np.where(values > 0, values, np.nan)
        return 10 * np.log10(positive)

    axis.plot(n, level(mean), color=BLUE, alpha=0.6, lw=1, marker=mark, label=measured)
    if not np.isfinite(mean).all():
        first = int(np.flatnonzero(~np.isfinite(mean))[0])
        says = say(language, "NaN or infinity from n =", "NaN ou infinito desde n =")
        axis.axvline(
            first, color=GREY, lw=1, linestyle=(0, (1, 3)), label=f"{says} {first}"
        )
    if theory is not None:
        curve = theory.learning_curve(steps, initial_weights)
        name = say(language, "theory", "teoria")
        axis.plot(n, level(curve), color=ORANGE, lw=2, label=name)
        descent = theory.steepest_descent_curve(steps, initial_weights)
        name = say(language, "steepest descent", "descida mais íngreme")
        axis.plot(n, level(descent), color=GREEN, linestyle="-.", label=name)
        levels = [(theory.minimum_error, "$J_{min}$", ":")]
        if np.isfinite(theory.excess_error) and theory.excess_error > 0:
            excess = say(language, "excess error", "erro em excesso")
            height = theory.minimum_error + theory.excess_error
            levels.append((height, f"$J_{{min}}$ + {excess}", "--"))
        for height, label, dashes in levels:
            if height > 0:
                axis.axhline(
                    level(height), color=GREY, lw=1, linestyle=dashes, label=label
                )
    if not decibels and (np.isfinite(mean) & (mean > 0)).any():
        logarithmic(axis)
    axis.set_xlabel(say(language, "sample n", "amostra n"))
    words = say(language, r"mean squared error $J(n)$", r"erro quadrático médio $J(n)$")
    axis.set_ylabel(f"{words} (dB)" if decibels else words)
    axis.grid(alpha=0.3)
    whole_numbers(axis, 0, steps - 1)
    legend_below(figure, axis, fontsize=9)
    return figure
