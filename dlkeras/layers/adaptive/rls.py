"""RLSFilter, the adaptive filter of recursive least squares."""

import dataclasses
from typing import Any

import keras

from dlkeras.layers.adaptive.adaptive_filter import AdaptiveFilter

# keras.ops as it is: the return types a checker infers for it are too wide
ops: Any = keras.ops


@dataclasses.dataclass(frozen=True)
class RLSRule:
    """One step: k = P x / (lambda + x.P x), w += k e, P = (P - k x.P) / lambda."""

    forgetting: float
    regularization: float

    order = 1

    weights_show_non_finite = True

    def expectation(self, bounds):
        """What a filter that diverged should have respected, in words."""
        del bounds
        return "a forgetting factor nearer to 1 or more regularization"

    def is_plain(self, problem):
        """No: a step has products of matrices."""
        del problem
        return False

    def state_specs(self, problem, filters):
        """Shape and data type of what is carried, in the order of `initial_state`."""
        return {
            "weights": ((problem.size, filters), problem.dtype),
            "inverse": ((filters, problem.size, problem.size), problem.dtype),
        }

    def initial_state(self, weights, arrays):
        """Weights, and the inverse correlation matrix I / regularization."""
        del arrays
        size, filters = ops.shape(weights)
        inverse = ops.eye(size, dtype="float32") / self.regularization
        inverse = ops.cast(inverse, weights.dtype)
        return {
            "weights": weights,
            "inverse": ops.broadcast_to(inverse, (filters, size, size)),
        }

    def run(self, state, signal, desired, active, arrays, problem, materialise):
        """The recursion over a whole call; gives the last state and the outputs."""
        del arrays
        conjugate = ops.conj if "complex" in problem.dtype else _same

        def step(state, frame, row):
            weights, inverse = state["weights"], state["inverse"]
            output = ops.sum(conjugate(weights) * frame, axis=0)
            error = row["desired"] - output
            regressor = ops.transpose(frame)[..., None]  # (filters, size, 1)
            spread = inverse @ regressor
            adjoint = ops.transpose(conjugate(spread), (0, 2, 1))
            power = ops.sum(conjugate(regressor) * spread, axis=1, keepdims=True)
            gain = spread / (self.forgetting + power)
            # x^H P is the adjoint of P x, as long as P is kept Hermitian: it would
            # drift within thousands of samples, and the filter diverge.
            updated = (inverse - gain @ adjoint) / self.forgetting
            updated = 0.5 * (updated + ops.transpose(conjugate(updated), (0, 2, 1)))
            moved = weights + ops.transpose(gain[..., 0]) * conjugate(error)
            out = {"output": output}
            if problem.trajectory:
                out["weights"] = weights
            going = row["active"]
            return {
                "weights": ops.where(going, moved, weights),
                "inverse": ops.where(going[:, None, None], updated, inverse),
            }, out

        if active is None:
            active = ops.ones(ops.shape(desired), dtype="bool")
        rows = {"desired": desired, "active": active}
        return problem.scan(step, state, signal, rows, materialise)


def _same(array):
    return array


@keras.saving.register_keras_serializable(package="dlkeras")
class RLSFilter(AdaptiveFilter):
    """Adaptive filter of recursive least squares: least squared error so far.

    The weights minimise the sum of lambda^(n-i) |e(i)|^2 over the past at every
    sample, at a cost of taps^2 per sample. The inverse correlation matrix is made
    Hermitian again at every step, without which rounding makes it diverge. Everything
    else is as in `LMSFilter`.

    Args:
        taps: Length of the filter, at least 1.
        forgetting: lambda, in (0, 1]; the filter remembers 1 / (1 - lambda) samples.
        regularization: delta of P(0) = I / delta, positive.
        **kwargs: `input_type`, `complex_valued`, `initial_weights`, `stateful`,
            `return_weights` and `on_divergence` as in `LMSFilter`, and arguments of
            `keras.layers.Layer`.

    Input shape:
        As `LMSFilter`.

    Output shape:
        As `LMSFilter`.

    Returns:
        `(output, error)`, or `(output, error, weights)` with `return_weights`.

    Raises:
        ValueError: If an argument or a shape is not as described.
        TypeError: If a signal holds integers, or complex numbers in a real filter.
        FloatingPointError: If a filter diverges.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> from dlkeras.layers import RLSFilter
    >>> x = np.random.default_rng(0).normal(size=(1, 50)).astype("float32")
    >>> d = 0.5 * x
    >>> d[:, 1:] -= 0.25 * x[:, :-1]  # the unknown system: 0.5, -0.25
    >>> output, error, weights = RLSFilter(2, 1.0, return_weights=True)(x, d)
    >>> keras.ops.convert_to_numpy(weights[0, -1]).round(3).tolist()
    [0.5, -0.25]

    Reference:
        - Haykin, Adaptive Filter Theory, 5th ed., chapter 10, table 10.1.
    """

    def __init__(self, taps, forgetting=0.99, *, regularization=1e-3, **kwargs):
        super().__init__(taps, **kwargs)
        self._expect(0 < forgetting <= 1, "forgetting in (0, 1]", forgetting=forgetting)
        self._expect(
            0 < regularization < float("inf"),
            "regularization to be positive",
            regularization=regularization,
        )
        self.forgetting = float(forgetting)
        self.regularization = float(regularization)

    def rule(self):
        """The recursion of least squares that the arguments describe."""
        return RLSRule(self.forgetting, self.regularization)

    def received(self):
        """The arguments in words, for a message."""
        return f"forgetting={self.forgetting}, regularization={self.regularization}"

    def get_config(self):
        """The arguments that make this layer anew."""
        return {
            **super().get_config(),
            "forgetting": self.forgetting,
            "regularization": self.regularization,
        }
