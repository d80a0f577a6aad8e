"""How far to go along a descent direction: exact, Armijo and strong Wolfe."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dlkeras.optimization.surface import QuadraticSurface, Surface

LineSearch = Callable[[Any, np.ndarray, np.ndarray], float]


def _slope(surface: Surface, w: np.ndarray, direction: np.ndarray) -> float:
    slope = float(surface.gradient(w) @ direction)
    if not slope < 0:
        raise ValueError(
            "A line search needs a direction of descent, g's < 0. "
            f"Received: direction={direction.tolist()} with g's={slope:.6g}"
        )
    return slope


def exact_line_search(surface: QuadraticSurface, w: Any, direction: Any) -> float:
    """The step that minimises a quadratic along a direction, -g's / s'H s.

    Args:
        surface: a quadratic cost.
        w: where to start, `(m,)`.
        direction: s, a direction of descent, `(m,)`.

    Returns:
        The step size eta, so that the gradient at w + eta s is orthogonal to s.

    Raises:
        TypeError: if the surface is not quadratic.
        ValueError: if the direction does not descend.

    Example:
    >>> import numpy as np
    >>> from dlkeras.optimization import QuadraticSurface, exact_line_search
    >>> surface = QuadraticSurface.bowl((5, 3))
    >>> exact_line_search(surface, np.zeros(2), -surface.gradient([0, 0]))
    1.0
    """
    if not isinstance(surface, QuadraticSurface):
        raise TypeError(
            "`exact_line_search` needs a QuadraticSurface; use `wolfe_line_search`. "
            f"Received: surface={surface!r}"
        )
    w, s = np.asarray(w, "float64"), np.asarray(direction, "float64")
    return -_slope(surface, w, s) / float(s @ surface.hessian() @ s)


def armijo_line_search(
    surface: Surface,
    w: Any,
    direction: Any,
    *,
    start: float = 1.0,
    shrink: float = 0.5,
    c1: float = 1e-4,
) -> float:
    """Backtracking until the cost falls enough: Armijo's condition.

    Halves the step until `E(w + eta s) <= E(w) + c1 eta g's`.

    Args:
        surface: a cost with a gradient.
        w: where to start, `(m,)`.
        direction: s, a direction of descent, `(m,)`.
        start: the first step tried.
        shrink: the factor between one try and the next.
        c1: the share of the linear prediction that must be reached.

    Returns:
        The step size eta.

    Raises:
        ValueError: if the direction does not descend.
        ArithmeticError: if no step down to 1e-14 of the first is enough.

    Reference:
        - Nocedal and Wright, *Numerical Optimization*, 2nd ed., algorithm 3.1.
    """
    w, s = np.asarray(w, "float64"), np.asarray(direction, "float64")
    slope, cost, eta = _slope(surface, w, s), surface.cost(w), float(start)
    # At the bottom the cost's own rounding is larger than the fall asked for.
    rounding = 4 * np.finfo("float64").eps * abs(cost)
    while not surface.cost(w + eta * s) <= cost + c1 * eta * slope + rounding:
        eta *= shrink
        if eta < start * 1e-14:
            raise ArithmeticError(
                f"No step along the direction lowers the cost {cost:.6g} enough; does "
                f"the gradient belong to the cost? Received: w={w.tolist()}"
            )
    return eta


def wolfe_line_search(
    surface: Surface,
    w: Any,
    direction: Any,
    *,
    start: float = 1.0,
    c1: float = 1e-4,
    c2: float = 0.1,
    tries: int = 60,
) -> float:
    """A step that satisfies the strong Wolfe conditions.

    Enough fall, `E(w + eta s) <= E(w) + c1 eta g's`, and a slope that has flattened,
    `|g(w + eta s)'s| <= c2 |g's|`. The default c2 suits conjugate gradients.

    Args:
        surface: a cost with a gradient.
        w: where to start, `(m,)`.
        direction: s, a direction of descent, `(m,)`.
        start: the first step tried.
        c1: the share of the linear prediction that must be reached.
        c2: the share of the first slope that may remain; between c1 and 1.
        tries: how many steps may be tried.

    Returns:
        The step size eta.

    Raises:
        ValueError: if the direction does not descend or not 0 < c1 < c2 < 1.
        ArithmeticError: if no such step is found, as on a cost without a lower bound.

    Reference:
        - Nocedal and Wright, *Numerical Optimization*, 2nd ed., eq. (3.7); the search
          brackets and bisects.
    """
    if not 0 < c1 < c2 < 1:
        raise ValueError(
            f"Wolfe's constants must keep 0 < c1 < c2 < 1. Received: c1={c1}, c2={c2}"
        )
    w, s = np.asarray(w, "float64"), np.asarray(direction, "float64")
    slope, cost, eta = _slope(surface, w, s), surface.cost(w), float(start)
    rounding = 4 * np.finfo("float64").eps * abs(cost)
    low, high = 0.0, np.inf
    for _ in range(tries):
        if not surface.cost(w + eta * s) <= cost + c1 * eta * slope + rounding:
            high = eta  # too far: the cost is back up (or not a number)
        else:
            here = float(surface.gradient(w + eta * s) @ s)
            if abs(here) <= c2 * -slope:
                return eta
            if here > 0:
                high = eta  # past the bottom of the line
            else:
                low = eta  # still falling steeply
        eta = (low + high) / 2 if np.isfinite(high) else 2 * eta
    raise ArithmeticError(
        f"No step with the strong Wolfe conditions in {tries} tries from "
        f"w={w.tolist()}: the cost has no lower bound along the direction, or the "
        f"gradient is not its own. Received: c1={c1}, c2={c2}"
    )
