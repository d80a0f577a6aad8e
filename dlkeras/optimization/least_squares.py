"""Costs that are half a sum of squared errors, with the errors' Jacobian."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from dlkeras.optimization.activation import ACTIVATIONS, Activation
from dlkeras.optimization.surface import as_array, as_weights


@dataclasses.dataclass(frozen=True)
class LeastSquares:
    """E(w) = 1/2 sum of e_i(w)^2 for an error vector of your own.

    Args:
        errors: function of w `(m,)` that returns the errors `(n,)`.
        jacobian: function of w that returns their derivatives, `(n, m)`.

    Example:
    >>> import numpy as np
    >>> from dlkeras.optimization import LeastSquares, gauss_newton
    >>> rosenbrock = LeastSquares(
    ...     lambda w: np.array([10 * (w[1] - w[0] ** 2), 1 - w[0]]),
    ...     lambda w: np.array([[-20 * w[0], 10.0], [-1.0, 0.0]]),
    ... )
    >>> gauss_newton(rosenbrock, [-1.2, 1]).final_weights.round(6).tolist()
    [1.0, 1.0]

    Reference:
        - Haykin, *Neural Networks*, 2nd ed., section 3.3, the Gauss-Newton method.
    """

    errors: Callable[[np.ndarray], Any]
    jacobian: Callable[[np.ndarray], Any]

    def cost(self, w: Any) -> float:
        """E(w), half the squared length of the error vector."""
        e = np.asarray(self.errors(w), "float64")
        return float(e @ e) / 2

    def gradient(self, w: Any) -> np.ndarray:
        """g(w) = J'(w) e(w)."""
        return np.asarray(self.jacobian(w), "float64").T @ np.asarray(self.errors(w))


@dataclasses.dataclass(frozen=True, eq=False)
class NeuronSurface:
    """The error surface of one neuron y = phi(w'x) over a set of examples.

    The cost is E_av(w), the mean over the examples of E(n) = e(n)^2 / 2 with
    e = d - phi(w'x). With a linear neuron it is the `QuadraticSurface` of the same
    data; a saturating activation bends the bowl into plateaus, where a quadratic
    approximation no longer holds.

    Args:
        x: inputs, `(examples, m)`; m = 2 for a surface that can be drawn.
        d: desired responses, `(examples,)`.
        activation: `"linear"`, `"sigmoid"`, `"tanh"` or `"relu"`.

    Raises:
        ValueError: if the lengths differ or the activation is another one.

    Example:
    >>> from dlkeras.optimization import NeuronSurface, gauss_newton
    >>> x = [[1, 0], [0, 1], [1, 1]]
    >>> surface = NeuronSurface(x, [0.7616, 0.4621, 0.9051], "tanh")
    >>> gauss_newton(surface).final_weights.round(3).tolist()
    [1.0, 0.5]

    Reference:
        - Haykin, *Neural Networks*, 2nd ed., eq. (4.1) to (4.5) for one neuron.
    """

    x: Any
    d: Any
    activation: str = "linear"

    def __post_init__(self):
        x, d = as_array("x", self.x, ndim=2), as_array("d", self.d, ndim=1)
        if len(x) != len(d) or not x.size:
            raise ValueError(
                "`x` and `d` must hold the same number of examples, at least one. "
                f"Received: x of shape {x.shape} and d of shape {d.shape}"
            )
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"`activation` must be one of {sorted(ACTIVATIONS)}. "
                f"Received: activation={self.activation!r}"
            )
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "d", d)

    @property
    def size(self) -> int:
        """The number of weights."""
        return self.x.shape[1]

    @property
    def _phi(self) -> Activation:
        return ACTIVATIONS[self.activation]

    def _fields(self, w: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        v = as_weights(w, self.size) @ self.x.T  # (..., examples)
        y = self._phi.phi(v)
        return v, y, self.d - y

    def cost(self, w: Any) -> Any:
        """E_av(w), for weights of shape `(..., m)`."""
        return np.mean(self._fields(w)[2] ** 2, axis=-1) / 2

    def gradient(self, w: Any) -> np.ndarray:
        """Minus the mean of e(n) phi'(v(n)) x(n), of the shape of `w`."""
        v, y, e = self._fields(w)
        return -(e * self._phi.slope(v, y)) @ self.x / len(self.d)

    def hessian(self, w: Any) -> np.ndarray:
        """The mean of (phi'^2 - e phi'') x x' at one weight vector, `(m, m)`."""
        v, y, e = self._fields(w)
        bend = self._phi.slope(v, y) ** 2 - e * self._phi.curvature(v, y)
        return (self.x.T * bend) @ self.x / len(self.d)

    def errors(self, w: Any) -> np.ndarray:
        """The errors over sqrt(N), so that half their squared norm is E_av."""
        return self._fields(w)[2] / len(self.d) ** 0.5

    def jacobian(self, w: Any) -> np.ndarray:
        """The derivatives of `errors` by the weights, `(examples, m)`."""
        v, y, _ = self._fields(w)
        return -self._phi.slope(v, y)[:, None] * self.x / len(self.d) ** 0.5
