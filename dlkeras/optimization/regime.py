"""How steepest descent will behave along each principal axis, known before it runs."""

import enum
import math
from typing import Any

import numpy as np

from dlkeras.optimization.surface import QuadraticSurface, as_array

# How near 1 - eta lambda must be to 0 or -1 to count as there. A measured factor
# carries the rounding of a trajectory, so equality would never be found.
_AT = 1e-7


class Regime(enum.StrEnum):
    """What the distance to the minimum does along one principal axis.

    With a constant step it is multiplied by 1 - eta lambda at every iteration.
    """

    OVER_DAMPED = "over-damped"  # 0 < eta < 1/lambda: shrinks on one side
    CRITICALLY_DAMPED = "critically damped"  # eta = 1/lambda: zero after one step
    UNDER_DAMPED = "under-damped"  # up to 2/lambda: changes sides, shrinks
    UNDAMPED = "undamped"  # eta = 2/lambda: changes sides forever
    DIVERGENT = "divergent"  # eta > 2/lambda: changes sides and grows

    def in_words(self, language: str = "en") -> str:
        """The regime in the reader's language, "en" or "pt".

        Example:
        >>> Regime.UNDER_DAMPED.in_words("pt")
        'subamortecido'
        """
        return PORTUGUESE[self] if language == "pt" else str(self)


PORTUGUESE = {
    Regime.OVER_DAMPED: "sobreamortecido",
    Regime.CRITICALLY_DAMPED: "amortecimento crítico",
    Regime.UNDER_DAMPED: "subamortecido",
    Regime.UNDAMPED: "não amortecido",
    Regime.DIVERGENT: "divergente",
}


def check_step_size(step_size: Any) -> float:
    """The step size as a float, refused unless it is positive and finite."""
    try:
        value = math.nan if isinstance(step_size, str | bool) else float(step_size)
    except (TypeError, ValueError):
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(
            "`step_size` must be a positive, finite number. "
            f"Received: step_size={step_size!r}"
        )
    return value


def regime_of(factor: float) -> Regime:
    """The regime of a mode that is multiplied by `factor` at every iteration."""
    if abs(factor) <= _AT:
        return Regime.CRITICALLY_DAMPED
    if abs(factor + 1) <= _AT:
        return Regime.UNDAMPED
    if factor < -1:
        return Regime.DIVERGENT
    return Regime.UNDER_DAMPED if factor < 0 else Regime.OVER_DAMPED


def damping_factors(surface: QuadraticSurface, step_size: float) -> np.ndarray:
    """1 - eta lambda for every eigenvalue, in the order of `surface.eigenvalues`."""
    return 1 - check_step_size(step_size) * surface.eigenvalues


def regimes(surface: QuadraticSurface, step_size: float) -> tuple[Regime, ...]:
    """The regime of steepest descent along each principal axis, before it runs.

    In the coordinates of the principal axes the modes decouple, each following
    `nu(n+1) = (1 - eta lambda) nu(n)`: over-damped for 0 < eta < 1/lambda, critically
    damped at 1/lambda, under-damped up to 2/lambda, divergent above.

    Args:
        surface: the quadratic cost.
        step_size: eta, positive.

    Returns:
        One `Regime` (a string) for each of `surface.eigenvalues`.

    Raises:
        ValueError: if the step size is zero, negative or not finite.

    Example:
    >>> from dlkeras.optimization import QuadraticSurface, regimes
    >>> surface = QuadraticSurface([[1, 0.5], [0.5, 1]], [0.5, 0.25])
    >>> [str(regime) for regime in regimes(surface, 0.8)]
    ['over-damped', 'under-damped']
    >>> [str(regime) for regime in regimes(surface, 1.4)]
    ['over-damped', 'divergent']

    Reference:
        - Haykin, *Neural Networks*, 2nd ed., section 3.3, fig. 3.2.
        - Haykin, *Adaptive Filter Theory*, stability of steepest descent.
    """
    return tuple(regime_of(factor) for factor in damping_factors(surface, step_size))


def convergence_rate(surface: QuadraticSurface, step_size: float) -> float:
    """The factor by which the distance to the minimum shrinks in the long run.

    It is the largest |1 - eta lambda|; 1 or more means that the descent does not
    converge. The cost shrinks by its square.
    """
    return float(np.abs(damping_factors(surface, step_size)).max())


def best_step_size(surface: QuadraticSurface) -> float:
    """2 / (lambda_min + lambda_max), the constant step of fastest convergence.

    Its rate is (kappa - 1) / (kappa + 1) for the condition number kappa.
    """
    return float(2 / (surface.eigenvalues[0] + surface.eigenvalues[-1]))


def time_constants(surface: QuadraticSurface, step_size: float) -> np.ndarray:
    """Iterations in which each mode falls to 1/e, -1 / ln |1 - eta lambda|.

    The time constant is 0 for a critically damped mode and infinite for one that does
    not shrink.
    """
    size = np.abs(damping_factors(surface, step_size))
    with np.errstate(divide="ignore"):
        constants = -1 / np.log(np.where(size > _AT, size, 0.0))
    return np.where(size < 1, np.abs(constants), np.inf)


def measured_factors(
    surface: QuadraticSurface, trajectory: Any
) -> tuple[float | None, ...]:
    """The factor of each mode, measured on the trajectory of a constant step.

    Args:
        surface: the quadratic cost.
        trajectory: weights, `(iterations + 1, m)`.

    Returns:
        For each eigenvalue the least-squares factor between successive distances, or
        None where the start lies on the bottom of that axis, so nothing can be seen.
    """
    w = as_array("trajectory", trajectory, ndim=2)
    offset = w - surface.minimizer
    modes = offset @ surface.eigenvectors  # (iterations + 1, m)
    # A projection is rounding once the other modes, or w* itself, dwarf it.
    floor = np.linalg.norm(offset, axis=1) + np.linalg.norm(surface.minimizer)
    visible = np.abs(modes) > 1e-7 * floor[:, None]
    factors = []
    for mode, seen in zip(modes.T, visible.T, strict=True):
        last = len(mode) - 1 if seen.all() else int(np.argmin(seen))
        old, new = mode[:last], mode[1 : last + 1]
        if not last or not len(new):
            factors.append(None)
            continue
        largest = np.abs(old).max()  # squares of a divergent run would overflow
        old, new = old / largest, new / largest
        factors.append(float(old @ new / (old @ old)))
    return tuple(factors)
