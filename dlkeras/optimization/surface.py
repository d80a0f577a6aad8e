"""Cost surfaces over a neuron's weights: the quadratic bowl and its principal axes."""

import dataclasses
import functools
import math
from typing import Any, Protocol

import keras
import numpy as np


class Surface(Protocol):
    """What a descent walks on: a differentiable cost E(w) and its gradient."""

    def cost(self, w: Any) -> Any:
        """E(w)."""
        ...

    def gradient(self, w: Any) -> np.ndarray:
        """The gradient vector of E at w (eq. 3.9)."""
        ...


def as_array(name: str, value: Any, ndim: int | None = None) -> np.ndarray:
    """A finite real float64 copy of an array or of any backend's tensor."""
    array = np.array(keras.ops.convert_to_numpy(value))
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"`{name}` must hold real numbers. Received: {name} of dtype {array.dtype}"
        )
    array = array.astype("float64")
    if ndim is not None and array.ndim != ndim:
        raise ValueError(
            f"`{name}` must have {ndim} axes. Received: {name} of shape {array.shape}"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"`{name}` must be finite. Received: {name}={array}")
    return array


def as_weights(value: Any, size: int, name: str = "w") -> np.ndarray:
    """Weight vectors on the last axis, refused unless that axis has `size`."""
    w = np.asarray(keras.ops.convert_to_numpy(value), "float64")
    if w.ndim == 0 or w.shape[-1] != size:
        raise ValueError(
            f"`{name}` must end in an axis of {size} weights. "
            f"Received: {name} of shape {w.shape}"
        )
    return w


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


@dataclasses.dataclass(frozen=True, eq=False)
class QuadraticSurface:
    """The mean-square error of a linear neuron as a bowl over its weights.

    For inputs of correlation matrix R, cross-correlation p with the desired response
    and a desired response of mean square sigma_d2, the error e = d - w'x has the mean
    square `J(w) = sigma_d2 - 2 p'w + w'R w`. The cost is the lecture's
    `E(w) = J(w) / 2`, so that its gradient is `g(w) = R w - p` without a factor,
    its Hessian is R, and steepest descent `w - eta g` reads `w + eta (p - R w)`.

    All methods take weights of shape `(..., m)`: one vector or a grid of them.

    Args:
        R: correlation matrix of the inputs, `(m, m)`, symmetric positive definite.
        p: cross-correlation of inputs and desired response, `(m,)`.
        sigma_d2: mean square of the desired response. By default the value that
            makes the minimum error zero.

    Raises:
        ValueError: if the shapes do not fit, a value is not finite, R is not symmetric
            positive definite, or `sigma_d2` is so small that J would be negative.

    Example:
    >>> from dlkeras.optimization import QuadraticSurface
    >>> surface = QuadraticSurface([[1, 0.5], [0.5, 1]], [0.5, 0.25], sigma_d2=1)
    >>> surface.eigenvalues.round(6).tolist()
    [0.5, 1.5]
    >>> surface.minimizer.round(6).tolist(), round(surface.minimum_error, 6)
    ([0.5, 0.0], 0.75)
    >>> round(surface.max_step_size, 4)
    1.3333

    Reference:
        - Haykin, *Neural Networks*, 2nd ed., section 3.3, eq. (3.7) to (3.13).
        - Haykin, *Adaptive Filter Theory*, the chapters on Wiener filters and on
          the method of steepest descent.
    """

    R: Any
    p: Any
    sigma_d2: Any = None

    def __post_init__(self):
        R, p = as_array("R", self.R, ndim=2), as_array("p", self.p, ndim=1)
        if R.shape[0] != R.shape[1] or not R.size:
            raise ValueError(f"`R` must be square. Received: R of shape {R.shape}")
        if p.shape != R.shape[:1]:
            raise ValueError(
                f"`p` must have one entry per row of `R`, {R.shape[0]}. "
                f"Received: p of shape {p.shape}"
            )
        if not np.allclose(R, R.T, rtol=1e-6, atol=1e-9 * np.abs(R).max()):
            raise ValueError(f"`R` must be symmetric. Received: R={R.tolist()}")
        R = (R + R.T) / 2
        smallest, largest = np.linalg.eigvalsh(R)[[0, -1]]
        # Below this the smallest eigenvalue is rounding noise of the largest.
        if smallest <= len(R) * np.finfo("float64").eps * largest:
            raise ValueError(
                "`R` must be positive definite (inputs that are not collinear, and at "
                "least as many examples as weights). Received: R with smallest "
                f"eigenvalue {smallest:.3g} and largest {largest:.3g}"
            )
        explained = float(p @ np.linalg.solve(R, p))
        if self.sigma_d2 is None:
            sigma_d2 = explained
        else:
            sigma_d2 = float(as_array("sigma_d2", self.sigma_d2, ndim=0))
            rounding = 1e-9 + 1e-15 * largest / smallest
            if sigma_d2 < explained * (1 - rounding):
                raise ValueError(
                    "`sigma_d2` must be at least p'R^-1 p = "
                    f"{explained:.6g}, or a mean-square error would be negative. "
                    f"Received: sigma_d2={sigma_d2}"
                )
        # The only way to store the checked copies in a frozen dataclass.
        object.__setattr__(self, "R", _read_only(R))
        object.__setattr__(self, "p", _read_only(p))
        object.__setattr__(self, "sigma_d2", max(sigma_d2, explained))

    @classmethod
    def from_data(cls, x: Any, d: Any) -> "QuadraticSurface":
        """The surface of a linear neuron over a set of examples.

        Args:
            x: inputs, `(examples, m)`; a lecture's neuron has m = 2.
            d: desired responses, `(examples,)`.

        Returns:
            The surface with R = X'X/N, p = X'd/N and sigma_d2 = d'd/N, whose minimum
            is the least-squares solution.

        Raises:
            ValueError: if the lengths differ or the inputs are collinear.
        """
        x, d = as_array("x", x, ndim=2), as_array("d", d, ndim=1)
        if len(x) != len(d) or not len(x):
            raise ValueError(
                "`x` and `d` must hold the same number of examples, at least one. "
                f"Received: x of shape {x.shape} and d of shape {d.shape}"
            )
        n = len(x)
        return cls(x.T @ x / n, x.T @ d / n, d @ d / n)

    @classmethod
    def bowl(
        cls, minimizer: Any = (5.0, 3.0), R: Any = None, minimum_error: float = 0.0
    ) -> "QuadraticSurface":
        """A bowl with a minimum of our choice; by default the lecture's, at (5, 3).

        Args:
            minimizer: the weights w* at the bottom.
            R: the shape of the bowl; a round one (identity) by default.
            minimum_error: J at the bottom.

        Returns:
            The surface with p = R w*.
        """
        w = as_array("minimizer", minimizer, ndim=1)
        R = np.eye(len(w)) if R is None else as_array("R", R, ndim=2)
        if R.shape != (len(w), len(w)):
            raise ValueError(
                f"`R` must be {len(w)} by {len(w)}, as `minimizer` has {len(w)} "
                f"weights. Received: R of shape {R.shape}"
            )
        floor = float(as_array("minimum_error", minimum_error, ndim=0))
        return cls(R, R @ w, float(w @ R @ w) + floor)

    @property
    def size(self) -> int:
        """The number of weights."""
        return len(self.p)

    def mean_square_error(self, w: Any) -> Any:
        """J(w) = sigma_d2 - 2 p'w + w'R w, twice the cost."""
        # Written around the minimum, where the expanded form cancels digits away.
        u = as_weights(w, self.size) - self.minimizer
        return self.minimum_error + np.einsum("...i,ij,...j->...", u, self.R, u)

    def cost(self, w: Any) -> Any:
        """E(w) = J(w) / 2, the lecture's cost function."""
        return self.mean_square_error(w) / 2

    def gradient(self, w: Any) -> np.ndarray:
        """g(w) = R w - p, of the shape of `w` (eq. 3.9 and 3.11)."""
        return as_weights(w, self.size) @ self.R - self.p

    def hessian(self, w: Any = None) -> np.ndarray:
        """The Hessian matrix, which on a quadratic is R everywhere."""
        return self.R

    def errors(self, w: Any) -> np.ndarray:
        """An error vector whose half squared norm is E(w), for `gauss_newton`."""
        u = as_weights(w, self.size) - self.minimizer
        return np.append(-(u @ np.linalg.cholesky(self.R)), self.minimum_error**0.5)

    def jacobian(self, w: Any = None) -> np.ndarray:
        """The derivatives of `errors` by the weights, `(m + 1, m)`."""
        return np.vstack([-np.linalg.cholesky(self.R).T, np.zeros(self.size)])

    def is_optimal(self, w: Any, tolerance: float = 1e-8) -> bool:
        """Whether the necessary condition grad E(w) = 0 holds (eq. 3.7).

        Args:
            w: one weight vector.
            tolerance: how long the gradient may be, relative to the terms R w and p
                whose difference it is.
        """
        w = as_weights(w, self.size)
        terms = np.linalg.norm(self.R @ w) + np.linalg.norm(self.p)
        small = max(tolerance * terms, self.gradient_rounding(w))
        return bool(np.linalg.norm(self.gradient(w)) <= small)

    def gradient_rounding(self, w: Any) -> float:
        """How long the rounding of R w - p alone may make the gradient at `w`.

        Near the bottom of a long valley R w is a small difference of large products: a
        shorter gradient cannot be told from zero.
        """
        eps = float(np.finfo("float64").eps)
        largest = np.abs(as_weights(w, self.size)).max()
        return float(self.size**1.5 * eps * self.eigenvalues[-1] * largest)

    @functools.cached_property
    def minimizer(self) -> np.ndarray:
        """The Wiener solution w* = R^-1 p, where the gradient vanishes."""
        return _read_only(np.linalg.solve(self.R, self.p))

    @property
    def minimum_error(self) -> float:
        """J at the minimum, sigma_d2 - p'R^-1 p; the minimum cost is half of it."""
        return max(0.0, self.sigma_d2 - float(self.p @ self.minimizer))

    @functools.cached_property
    def _axes(self) -> tuple[np.ndarray, np.ndarray]:
        values, vectors = np.linalg.eigh(self.R)
        return _read_only(values), _read_only(vectors)

    @property
    def eigenvalues(self) -> np.ndarray:
        """The eigenvalues of R, ascending: the curvature along each principal axis."""
        return self._axes[0]

    @property
    def eigenvectors(self) -> np.ndarray:
        """The principal axes of the contours: unit vectors, one per column."""
        return self._axes[1]

    @property
    def condition_number(self) -> float:
        """The eigenvalue spread, lambda_max / lambda_min."""
        return float(self.eigenvalues[-1] / self.eigenvalues[0])

    @property
    def max_step_size(self) -> float:
        """2 / lambda_max, which a convergent constant step has to stay below."""
        return float(2 / self.eigenvalues[-1])

    def contour_axes(self, cost: float) -> np.ndarray:
        """The semi-axes of the ellipse E(w) = cost, one vector per column.

        The first column is the long axis, along the smallest eigenvalue.

        Args:
            cost: the level, above the minimum cost.

        Raises:
            ValueError: if the level lies at or below the minimum.
        """
        bottom = self.minimum_error / 2
        if not cost > bottom or not math.isfinite(cost):
            raise ValueError(
                f"`cost` must be above the minimum cost, {bottom:.6g}. "
                f"Received: cost={cost}"
            )
        return self.eigenvectors * np.sqrt(2 * (cost - bottom) / self.eigenvalues)

    def contour(self, cost: float, points: int = 101) -> np.ndarray:
        """Points of the ellipse E(w) = cost of a two-weight surface, `(points, 2)`."""
        if self.size != 2:
            raise ValueError(
                "A contour line needs a surface over two weights. "
                f"Received: a surface over {self.size} weights"
            )
        angle = np.linspace(0, 2 * np.pi, points)
        circle = np.stack([np.cos(angle), np.sin(angle)])
        return self.minimizer + (self.contour_axes(cost) @ circle).T

    def gradient_field(self, w1: Any, w2: Any) -> tuple[np.ndarray, np.ndarray]:
        """The gradient's two components over a grid, as `plt.quiver` takes them.

        Args:
            w1: the first weight's values, `(columns,)`.
            w2: the second weight's values, `(rows,)`.

        Returns:
            dE/dw1 and dE/dw2, each `(rows, columns)`.
        """
        w1, w2 = as_array("w1", w1, ndim=1), as_array("w2", w2, ndim=1)
        field = self.gradient(np.stack(np.meshgrid(w1, w2), -1))
        return field[..., 0], field[..., 1]
