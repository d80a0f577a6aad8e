"""Iterative descent: steepest descent, Newton, Gauss-Newton and conjugate gradients."""

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from dlkeras.optimization.line_search import (
    LineSearch,
    exact_line_search,
    wolfe_line_search,
)
from dlkeras.optimization.regime import (
    Regime,
    check_step_size,
    convergence_rate,
    measured_factors,
    regime_of,
    regimes,
)
from dlkeras.optimization.surface import QuadraticSurface, Surface, as_array


@dataclasses.dataclass(frozen=True, eq=False)
class Descent:
    """What a descent did: its trajectory and how it behaved.

    Attributes:
        method: the name of the function that ran.
        weights: w(0), w(1), ..., `(iterations + 1, m)`.
        cost: E at each of them.
        gradient_norm: the length of the gradient at each of them.
        step_sizes: eta of each iteration.
        converged: whether the gradient fell below the tolerance.
        divergent: whether the step is above its bound, the cost ended above its start,
            or the run was stopped because it left the finite numbers.
        regimes: the regime predicted along each principal axis; None unless the
            surface is quadratic and the step of a steepest descent constant.
        rate: the predicted long-run factor of the distance to the minimum; None, too.
        measured_regimes: the regimes that the trajectory shows; None where the start
            lies on the bottom of an axis.
    """

    method: str
    weights: np.ndarray
    cost: np.ndarray
    gradient_norm: np.ndarray
    step_sizes: np.ndarray
    converged: bool
    divergent: bool
    regimes: tuple[Regime, ...] | None = None
    rate: float | None = None
    measured_regimes: tuple[Regime | None, ...] | None = None

    @property
    def iterations(self) -> int:
        """How many corrections were applied."""
        return len(self.step_sizes)

    @property
    def final_weights(self) -> np.ndarray:
        """The last weights of the trajectory."""
        return self.weights[-1]

    @property
    def mean_square_error(self) -> np.ndarray:
        """J = 2 E at each point: the mean-square error of a `QuadraticSurface`."""
        return 2 * self.cost

    @property
    def confirmed(self) -> bool | None:
        """Whether every regime that could be seen is the predicted one."""
        if self.regimes is None or self.measured_regimes is None:
            return None
        pairs = zip(self.regimes, self.measured_regimes, strict=True)
        return all(seen in (None, said) for said, seen in pairs)

    @property
    def measured_rate(self) -> float | None:
        """The mean factor of the gradient's length over the run's second half."""
        half = self.iterations // 2
        if not self.iterations or not self.gradient_norm[half]:
            return None
        ratio = self.gradient_norm[-1] / self.gradient_norm[half]
        return float(ratio ** (1 / (self.iterations - half)))


def steepest_descent(
    surface: Surface,
    step_size: float | LineSearch,
    start: Any = None,
    *,
    steps: int = 100,
    tolerance: float = 1e-10,
) -> Descent:
    """Walk against the gradient: w(n+1) = w(n) - eta g(n).

    On a `QuadraticSurface` with a constant step the behaviour is known beforehand: see
    `regimes`. The result carries that prediction and what the run showed.

    Args:
        surface: a cost with `cost(w)` and `gradient(w)`.
        step_size: eta, or a line search: `exact_line_search`, `armijo_line_search`,
            `wolfe_line_search` or a function of (surface, w, direction).
        start: w(0); the origin by default.
        steps: the largest number of iterations.
        tolerance: stop when the gradient is this small relative to the first one (on
            a quadratic: to the larger of it and p), or no longer than its rounding.

    Returns:
        A `Descent`. A divergent run ends before its numbers overflow.

    Raises:
        ValueError: if the step size is zero, negative or not finite, or the start does
            not fit the surface or is not finite.

    Warns:
        UserWarning: if the step size is at or above 2 / lambda_max of a quadratic.

    Example:
    >>> from dlkeras.optimization import QuadraticSurface, steepest_descent
    >>> surface = QuadraticSurface([[1, 0.5], [0.5, 1]], [0.5, 0.25], sigma_d2=1)
    >>> run = steepest_descent(surface, 0.8, steps=3)
    >>> run.mean_square_error.round(6).tolist()
    [1.0, 0.78, 0.7584, 0.752928]
    >>> [str(regime) for regime in run.regimes], run.confirmed
    (['over-damped', 'under-damped'], True)

    Reference:
        - Haykin, *Neural Networks*, 2nd ed., eq. (3.10) to (3.13).
    """
    name, limits = "steepest_descent", (steps, tolerance)
    if callable(step_size) or not isinstance(surface, QuadraticSurface):
        return _walk(name, surface, start, lambda w, g: -g, step_size, *limits)
    step_size = check_step_size(step_size)
    said = regimes(surface, step_size)
    if {Regime.DIVERGENT, Regime.UNDAMPED} & set(said):
        warnings.warn(
            "Steepest descent converges for step sizes below 2 / lambda_max = "
            f"{surface.max_step_size:.6g}. Received: step_size={step_size:.6g}",
            stacklevel=2,
        )
    run = _walk(name, surface, start, lambda w, g: -g, step_size, *limits)
    seen = tuple(
        None if factor is None else regime_of(factor)
        for factor in measured_factors(surface, run.weights)
    )
    return dataclasses.replace(
        run,
        regimes=said,
        rate=convergence_rate(surface, step_size),
        measured_regimes=seen,
        divergent=run.divergent or Regime.DIVERGENT in said,
    )


def newton(
    surface: Any,
    start: Any = None,
    *,
    step_size: float | LineSearch = 1.0,
    steps: int = 50,
    tolerance: float = 1e-10,
) -> Descent:
    """Newton's method: w(n+1) = w(n) - H(n)^-1 g(n).

    It goes to the minimum of the quadratic approximation at w(n); on a quadratic
    surface that is the minimum itself, in one step.

    Args:
        surface: a cost with `cost(w)`, `gradient(w)` and `hessian(w)`.
        start: w(0); the origin by default.
        step_size: a factor on the step, or a line search that damps it.
        steps: the largest number of iterations.
        tolerance: as in `steepest_descent`.

    Returns:
        A `Descent`.

    Raises:
        ValueError: if the Hessian is not positive definite somewhere on the way, where
            the step would not descend, or for a bad start or step size.

    Example:
    >>> from dlkeras.optimization import QuadraticSurface, newton
    >>> run = newton(QuadraticSurface.bowl((5, 3)), [-40, 7])
    >>> run.iterations, run.final_weights.round(6).tolist()
    (1, [5.0, 3.0])

    Reference:
        - Haykin, *Neural Networks*, 2nd ed., section 3.3, Newton's method.
    """
    _require(surface, "cost", "gradient", "hessian")

    def direction(w: np.ndarray, g: np.ndarray) -> np.ndarray:
        hessian = np.asarray(surface.hessian(w), "float64")
        smallest = np.linalg.eigvalsh(hessian)[0]
        if not smallest > 0:
            raise ValueError(
                "`newton` needs a positive definite Hessian wherever it steps; "
                "start nearer to the minimum, or use `gauss_newton`. Received: "
                f"smallest eigenvalue {smallest:.6g} at w={w.tolist()}"
            )
        return -np.linalg.solve(hessian, g)

    return _walk("newton", surface, start, direction, step_size, steps, tolerance)


def gauss_newton(
    surface: Any,
    start: Any = None,
    *,
    delta: float = 0.0,
    step_size: float | LineSearch = 1.0,
    steps: int = 50,
    tolerance: float = 1e-10,
) -> Descent:
    """The Gauss-Newton method: w(n+1) = w(n) - (J'J + delta I)^-1 J'e(n).

    For a cost that is half a sum of squared errors it needs only the errors' first
    derivatives, the Jacobian J.

    Args:
        surface: a cost with `errors(w)` and `jacobian(w)` beside `cost(w)` and
            `gradient(w)`: a `NeuronSurface`, a `QuadraticSurface`, or `LeastSquares`
            around two functions of your own.
        start: w(0); the origin by default.
        delta: a small positive constant where J'J may be singular.
        step_size: a factor on the step, or a line search that damps it.
        steps: the largest number of iterations.
        tolerance: as in `steepest_descent`.

    Returns:
        A `Descent`.

    Raises:
        ValueError: if J'J + delta I is singular somewhere on the way, or for a bad
            start, step size or delta.

    Example:
    >>> from dlkeras.optimization import QuadraticSurface, gauss_newton
    >>> surface = QuadraticSurface.from_data([[1, 0], [0, 1], [1, 1]], [5, 3, 8])
    >>> gauss_newton(surface).final_weights.round(6).tolist()
    [5.0, 3.0]

    Reference:
        - Haykin, *Neural Networks*, 2nd ed., section 3.3, the Gauss-Newton method.
    """
    _require(surface, "cost", "gradient", "errors", "jacobian")
    delta = float(as_array("delta", delta, ndim=0))
    if delta < 0:
        raise ValueError(f"`delta` must not be negative. Received: delta={delta}")

    def direction(w: np.ndarray, g: np.ndarray) -> np.ndarray:
        J = np.atleast_2d(np.asarray(surface.jacobian(w), "float64"))
        if not delta and np.linalg.matrix_rank(J) < len(w):
            raise ValueError(
                "`gauss_newton` needs a Jacobian with as many independent columns as "
                "weights, or a `delta` above zero. Received: rank "
                f"{np.linalg.matrix_rank(J)} for {len(w)} weights at w={w.tolist()}"
            )
        # Solved as least squares: forming J'J would square its condition number.
        rows = np.vstack([J, delta**0.5 * np.eye(len(w))])
        e = np.append(np.asarray(surface.errors(w), "float64"), np.zeros(len(w)))
        return -np.linalg.lstsq(rows, e, rcond=None)[0]

    return _walk("gauss_newton", surface, start, direction, step_size, steps, tolerance)


def conjugate_gradient(
    surface: Surface,
    start: Any = None,
    *,
    step_size: LineSearch | None = None,
    steps: int = 100,
    tolerance: float = 1e-10,
) -> Descent:
    """Conjugate gradients: s(n) = -g(n) + beta(n) s(n-1), each searched along its line.

    beta is Polak and Ribiere's, `g(n)'(g(n) - g(n-1)) / g(n-1)'g(n-1)`, and 0 where
    that is negative. On a quadratic over m weights it is there after m iterations in
    exact arithmetic; rounding takes more of them where the bowl is a long valley.

    Args:
        surface: a cost with `cost(w)` and `gradient(w)`.
        start: w(0); the origin by default.
        step_size: the line search; by default exact on a quadratic, Wolfe elsewhere.
        steps: the largest number of iterations.
        tolerance: as in `steepest_descent`.

    Returns:
        A `Descent`.

    Raises:
        ValueError: for a bad start, or a number as `step_size`.

    Example:
    >>> from dlkeras.optimization import QuadraticSurface, conjugate_gradient
    >>> surface = QuadraticSurface.bowl((5, 3), R=[[1, 0.5], [0.5, 1]])
    >>> run = conjugate_gradient(surface)
    >>> run.iterations, run.final_weights.round(6).tolist()
    (2, [5.0, 3.0])

    Reference:
        - Haykin, *Neural Networks*, 2nd ed., section 4.18.
    """
    quadratic = isinstance(surface, QuadraticSurface)
    if step_size is None:
        step_size = exact_line_search if quadratic else wolfe_line_search
    if not callable(step_size):
        raise ValueError(
            "`step_size` must be a line search, as the directions are conjugate only "
            f"at the minimum along each line. Received: step_size={step_size!r}"
        )
    previous: list[np.ndarray] = []  # the last gradient and direction

    def direction(w: np.ndarray, g: np.ndarray) -> np.ndarray:
        s = -g
        if previous:
            g0, s0 = previous
            s = s + max(0.0, float(g @ (g - g0)) / float(g0 @ g0)) * s0
            if g @ s >= 0:  # an inexact search may turn the direction uphill: restart
                s = -g
        previous[:] = [g, s]
        return s

    name, limits = "conjugate_gradient", (steps, tolerance)
    return _walk(name, surface, start, direction, step_size, *limits)


def _require(surface: Any, *methods: str) -> None:
    missing = [name for name in methods if not hasattr(surface, name)]
    if missing:
        raise TypeError(
            f"`surface` must have the methods {', '.join(methods)}. "
            f"Received: surface={surface!r} without {', '.join(missing)}"
        )


def _walk(
    method: str,
    surface: Any,
    start: Any,
    direction: Callable[[np.ndarray, np.ndarray], np.ndarray],
    step_size: float | LineSearch,
    steps: int,
    tolerance: float,
) -> Descent:
    """Apply w(n+1) = w(n) + eta s(n) until the gradient vanishes or numbers end."""
    _require(surface, "cost", "gradient")
    if not callable(step_size):
        step_size = check_step_size(step_size)
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f"`steps` must be a positive int. Received: steps={steps!r}")
    if not tolerance >= 0:
        raise ValueError(
            f"`tolerance` must not be negative. Received: tolerance={tolerance!r}"
        )
    if start is None:
        if not hasattr(surface, "size"):
            raise ValueError(
                "`start` must be given for a surface without a `size`. "
                f"Received: surface={surface!r}"
            )
        start = np.zeros(surface.size)
    w = as_array("start", start, ndim=1)
    g = surface.gradient(w)
    weights, costs, norms = [w], [surface.cost(w)], [np.linalg.norm(g)]
    # At the bottom of a quadratic the gradient is the rounding of R w - p.
    quadratic = isinstance(surface, QuadraticSurface)
    scale = max(norms[0], np.linalg.norm(surface.p) if quadratic else 0.0)
    taken: list[float] = []
    finite, least = True, tolerance * scale
    while len(taken) < steps and norms[-1] > least:
        s = direction(w, g)
        with np.errstate(over="ignore", invalid="ignore"):
            eta = step_size(surface, w, s) if callable(step_size) else step_size
            w = w + eta * s
            cost, g = surface.cost(w), surface.gradient(w)
            norm = np.linalg.norm(g)
        finite = bool(np.isfinite(cost) and np.isfinite(norm))
        if not finite:
            break
        taken.append(eta)
        weights.append(w)
        costs.append(cost)
        norms.append(norm)
        if quadratic and tolerance:
            least = max(tolerance * scale, surface.gradient_rounding(w))
    columns = [np.array(c, "float64") for c in (weights, costs, norms, taken)]
    for column in columns:
        column.flags.writeable = False
    return Descent(
        method,
        *columns,
        converged=bool(norms[-1] <= least),
        divergent=bool(not finite or costs[-1] > costs[0] + 1e-9 * abs(costs[0])),
    )
