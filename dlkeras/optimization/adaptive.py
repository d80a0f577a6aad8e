"""Theory of the LMS filter: what your step size will do, before you run it."""

import dataclasses

import numpy as np

from dlkeras.optimization import stability


@dataclasses.dataclass(frozen=True)
class LMSTheory:
    """What the theory says of a filter with correlations R and p and step size mu.

    The weights move as w += mu e x, those of complex signals as w += mu e* x.
    Quantities of the LMS filter are exact for Gaussian regressors (complex: circular
    ones) that are independent from step to step. Those of a delay line share all but
    one sample: near `max_step_size` a filter of a signal is worse than this theory, and
    may run away; below `safe_step_size` it is near it. The steepest descent of
    `mean_curve` and `steepest_descent_curve` is exact for any.

    Attributes:
        eigenvalues: Of R, ascending: `(taps,)`.
        eigenvectors: Of R, one a column.
        wiener_solution: w* = R^-1 p, the weights of least mean squared error.
        minimum_error: Jmin, the mean squared error of w*.
        safe_step_size: 2 / (3 tr R), Feuer and Weinstein's bound: the one to keep to.
        max_step_size: Bound below which the mean squared error of LMS converges with
            independent regressors.
        max_step_size_mean: Bound below which the mean weights converge, 2 / lambda_max.
        time_constants: Samples in which each mode of the mean weights falls to 1/e,
            -1 / ln |1 - mu lambda|.
        gamma: The sum of mu lambda / (2 (1 - mu lambda)); of complex signals, of
            mu lambda / (2 - mu lambda).
        misadjustment: Excess over minimum error, gamma / (1 - gamma); infinite where
            the filter is not stable in the mean square.
        excess_error: Misadjustment times Jmin.
        safe: Whether mu is below `safe_step_size`.
        stable: Whether mu is below `max_step_size`, for independent regressors.
        stable_in_the_mean: Whether mu is below `max_step_size_mean`.
    """

    correlation: np.ndarray
    cross_correlation: np.ndarray
    step_size: float
    desired_power: float
    eigenvalues: np.ndarray
    eigenvectors: np.ndarray
    wiener_solution: np.ndarray
    minimum_error: float
    safe_step_size: float
    max_step_size: float
    max_step_size_mean: float
    time_constants: np.ndarray
    gamma: float
    misadjustment: float
    excess_error: float

    @property
    def safe(self) -> bool:
        """Whether the step is below Feuer and Weinstein's bound."""
        return self.step_size < self.safe_step_size

    @property
    def stable(self) -> bool:
        """Whether the mean squared error converges with independent regressors."""
        return self.step_size < self.max_step_size

    @property
    def stable_in_the_mean(self) -> bool:
        """Whether the mean weights converge."""
        return self.step_size < self.max_step_size_mean

    def _modes(self, initial_weights):
        """The weights' distance to w* along each eigenvector."""
        start = np.zeros(len(self.eigenvalues))
        if initial_weights is not None:
            start = np.asarray(initial_weights, dtype=self.wiener_solution.dtype)
        return self.eigenvectors.conj().T @ (start - self.wiener_solution)

    def mean_curve(self, steps, initial_weights=None):
        """Mean weights before each of `steps` samples: `(steps, taps)`."""
        decay = 1.0 - self.step_size * self.eigenvalues
        modes = decay ** np.arange(steps)[:, None] * self._modes(initial_weights)
        return self.wiener_solution + modes @ self.eigenvectors.T

    def steepest_descent_curve(self, steps, initial_weights=None):
        """J of the method of steepest descent, which sees the true gradient."""
        decay = (1.0 - self.step_size * self.eigenvalues) ** 2
        modes = np.abs(self._modes(initial_weights)) ** 2
        power = decay ** np.arange(steps)[:, None] * modes
        return self.minimum_error + power @ self.eigenvalues

    def learning_curve(self, steps, initial_weights=None):
        """Mean squared error that LMS is predicted to have: `(steps,)`.

        With Gaussian regressors the mean squared modes follow
        v(n+1) = ((1 - mu lambda)^2 + mu^2 lambda^2) v + mu^2 lambda (lambda.v + Jmin);
        circular complex ones have no second mu^2 lambda^2 v.
        """
        mu, eigenvalues = self.step_size, self.eigenvalues
        modes = np.abs(self._modes(initial_weights)) ** 2
        keep = (1.0 - mu * eigenvalues) ** 2
        if not np.iscomplexobj(self.eigenvectors):
            keep = keep + (mu * eigenvalues) ** 2
        curve = np.empty(steps)
        for n in range(steps):
            curve[n] = self.minimum_error + eigenvalues @ modes
            modes = keep * modes + mu**2 * eigenvalues * curve[n]
        return curve


def lms_theory(R, p, step_size, desired_power=None):
    """The Wiener solution, bounds, time constants and learning curve of LMS.

    Args:
        R: Correlation matrix of the regressor, E[x x^T]: `(taps, taps)`, symmetric
            and positive definite. Of complex signals E[x x^H], Hermitian.
        p: Cross-correlation of regressor and desired response, E[d x]: `(taps,)`. Of
            complex signals E[x d*], for a filter y = w^H x.
        step_size: mu of w += mu e x; Widrow's mu is half of it.
        desired_power: E[|d|^2]. By default 1, or where the Wiener filter explains more
            than that, what it explains: the minimum error is then 0.

    Returns:
        An `LMSTheory`.

    Raises:
        ValueError: If an argument is not as described, or if `desired_power` asks for
            a minimum error below zero.

    Example:
    >>> from dlkeras.optimization import lms_theory
    >>> theory = lms_theory([[1, 0.5], [0.5, 1]], [0.5, 0.25], step_size=0.8)
    >>> theory.wiener_solution.round(6).tolist(), round(theory.minimum_error, 6)
    ([0.5, 0.0], 0.75)
    >>> theory.steepest_descent_curve(4).round(6).tolist()
    [1.0, 0.78, 0.7584, 0.752928]
    >>> round(theory.max_step_size_mean, 4), theory.stable
    (1.3333, False)

    Reference:
        - Haykin, Adaptive Filter Theory, chapters 2 (Wiener), 4 (steepest descent)
          and 6 (LMS).
        - Horowitz and Senne (1981); Feuer and Weinstein (1985), Convergence analysis
          of LMS filters with uncorrelated Gaussian data.
    """
    complex_valued = np.iscomplexobj(R) or np.iscomplexobj(p)
    dtype = "complex128" if complex_valued else "float64"
    correlation, cross = np.array(R, dtype=dtype), np.array(p, dtype=dtype)
    taps = len(cross) if cross.ndim == 1 else 0
    if not taps or correlation.shape != (taps, taps):
        raise ValueError(
            "lms_theory expects R of shape (taps, taps) and p of shape (taps,). "
            f"Received: R.shape={correlation.shape}, p.shape={cross.shape}"
        )
    finite = np.isfinite(correlation).all() and np.isfinite(cross).all()
    if not finite or not np.allclose(correlation, correlation.conj().T):
        raise ValueError(
            "lms_theory expects a symmetric R (of complex numbers a Hermitian one) and "
            f"finite numbers. Received: R={correlation.tolist()}, p={cross.tolist()}"
        )
    if np.ndim(step_size) or np.iscomplexobj(step_size):
        raise ValueError(
            "lms_theory expects step_size to be one real number. "
            f"Received: step_size={step_size}"
        )
    if not 0 < step_size < float("inf"):
        raise ValueError(
            "lms_theory expects step_size to be positive and finite. "
            f"Received: step_size={step_size}"
        )
    eigenvalues, eigenvectors = np.linalg.eigh(correlation)
    if eigenvalues[0] <= taps * np.finfo("float64").eps * eigenvalues[-1]:
        raise ValueError(
            "lms_theory expects a positive definite R. "
            f"Received: R with the eigenvalues {eigenvalues.tolist()}"
        )
    wiener = np.linalg.solve(correlation, cross)
    explained = float(np.vdot(cross, wiener).real)
    if desired_power is None:
        desired_power = max(1.0, explained)
    minimum = float(desired_power) - explained
    if not minimum >= -1e-12 * abs(desired_power):
        raise ValueError(
            "lms_theory expects desired_power of at least p.w*, the power that the "
            f"Wiener filter explains: {explained:.6g}. "
            f"Received: desired_power={desired_power}"
        )
    minimum = max(minimum, 0.0)
    gamma = stability.gamma(eigenvalues, step_size, complex_valued)
    misadjustment = gamma / (1.0 - gamma) if gamma < 1 else float("inf")
    with np.errstate(divide="ignore"):
        rate = -np.log(np.abs(1.0 - step_size * eigenvalues))
        constants = np.where(rate > 0, 1.0 / rate, np.inf)
    return LMSTheory(
        correlation=correlation,
        cross_correlation=cross,
        step_size=float(step_size),
        desired_power=float(desired_power),
        eigenvalues=eigenvalues,
        eigenvectors=eigenvectors,
        wiener_solution=wiener,
        minimum_error=minimum,
        safe_step_size=stability.safe_bound(eigenvalues),
        max_step_size=stability.mean_square_bound(eigenvalues, complex_valued),
        max_step_size_mean=stability.mean_bound(eigenvalues),
        time_constants=constants,
        gamma=gamma,
        misadjustment=misadjustment,
        excess_error=misadjustment * minimum if minimum else 0.0,
    )
