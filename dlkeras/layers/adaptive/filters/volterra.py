"""VolterraFilter, an adaptive filter with a linear and a quadratic kernel."""

import dataclasses
from typing import Any

import keras
import numpy as np

from dlkeras.layers.adaptive.adaptive_filter import AdaptiveFilter
from dlkeras.layers.adaptive.backend import value_of
from dlkeras.layers.adaptive.rule import Rule

# keras.ops as it is: the return types a checker infers for it are too wide
ops: Any = keras.ops


@dataclasses.dataclass(frozen=True)
class VolterraRule(Rule):
    """One step: w(n+1) = w(n) + mu_1 e x; q(n+1) = q(n) + mu_2 e z, z the products."""

    step_size: float
    quadratic_step_size: float

    def expectation(self, bounds):
        """What a filter that diverged should have respected, in words."""
        del bounds
        return (
            "step sizes below 2 / (3 tr R) of the samples and of their products, which "
            "grow with the input's power and with its square"
        )

    def extra_state(self, problem, filters):
        """The quadratic kernel, each pair of samples once."""
        pairs = problem.taps * (problem.taps + 1) // 2
        return {"quadratic": ((pairs, filters), problem.dtype)}

    def step(self, state, frame, row, problem):
        """One sample of all filters."""
        first, second = np.triu_indices(problem.taps)
        products = ops.take(frame, first, axis=0) * ops.take(frame, second, axis=0)
        weights, quadratic = state["weights"], state["quadratic"]
        output = ops.sum(weights * frame, axis=0)
        output = output + ops.sum(quadratic * products, axis=0)
        error = row["desired"] - output
        return {
            "weights": weights + self.step_size * error * frame,
            "quadratic": quadratic + self.quadratic_step_size * error * products,
        }, {"output": output}


@keras.saving.register_keras_serializable(package="dlkeras")
class VolterraFilter(AdaptiveFilter):
    """Adaptive filter of second order: products of two samples have weights, too.

    y(n) = sum_i w_i x(n-i) + sum_{i<=j} q_ij x(n-i) x(n-j). It is linear in its weights
    and follows the error as LMS does, with a step size for each kernel. It models what
    a loudspeaker or an amplifier adds to a sound at high level, which no linear filter
    can remove. There are L (L + 1) / 2 products of L taps, so it costs L^2 a sample.

    Args:
        taps: Length of both kernels, at least 1.
        step_size: mu_1 of the linear kernel, positive.
        quadratic_step_size: mu_2 of the quadratic one, positive; as `step_size` by
            default. The products' power is the square of the signal's.
        **kwargs: `initial_weights` (of the linear kernel), `stateful`, `return_weights`
            (of the linear kernel) and `on_divergence` as in `LMSFilter`, and arguments
            of `keras.layers.Layer`.

    Call arguments:
        inputs: The signal.
        desired: The desired response.
        adapt: As in `LMSFilter`.

    Input shape:
        `(batch, time)` or `(batch, time, channels)`; each a filter of its own.

    Output shape:
        As `LMSFilter`.

    Returns:
        `(output, error)`, or `(output, error, weights)` with `return_weights`.

    Raises:
        ValueError: If an argument or a shape is not as described.
        FloatingPointError: If a filter diverges.

    Example:
    >>> import numpy as np
    >>> from dlkeras.layers import VolterraFilter
    >>> x = np.random.default_rng(0).normal(size=2000)
    >>> d = 0.5 * x + 0.1 * x**2
    >>> d[1:] -= 0.3 * x[1:] * x[:-1]
    >>> layer = VolterraFilter(2, 0.05, stateful=True)
    >>> output, error = layer(x, d)
    >>> (layer.quadratic_weights[0].round(3) + 0.0).tolist()
    [[0.1, -0.3], [0.0, 0.0]]

    Reference:
        - Koh and Powers (1985), Second-order Volterra filtering and its application to
          nonlinear system identification.
        - Mathews (1991), Adaptive polynomial filters, IEEE SP Magazine.
    """

    def __init__(self, taps, step_size=0.01, *, quadratic_step_size=None, **kwargs):
        super().__init__(taps, **kwargs)
        fits = self.input_type == "signal" and not self.complex_valued
        self.expect(
            fits,
            "real signals and input_type='signal'",
            input_type=self.input_type,
            complex_valued=self.complex_valued,
        )
        if quadratic_step_size is None:
            quadratic_step_size = step_size
        self.expect(
            min(step_size, quadratic_step_size) > 0
            and max(step_size, quadratic_step_size) < float("inf"),
            "step_size and quadratic_step_size to be positive and finite",
            step_size=step_size,
            quadratic_step_size=quadratic_step_size,
        )
        self.step_size = float(step_size)
        self.quadratic_step_size = float(quadratic_step_size)

    def rule(self):
        """The two kernels' recursion."""
        return VolterraRule(self.step_size, self.quadratic_step_size)

    @property
    def quadratic_weights(self):
        """Of `stateful`: q, `(batch, taps, taps)` or `(batch, channels, taps, taps)`.

        A NumPy array, upper triangular; row and column 0 are the newest sample's.
        """
        self.expect(
            self.stateful and self.built,
            "stateful=True and a first call before its quadratic weights are read",
            stateful=self.stateful,
        )
        pairs, taps = value_of(self._state["quadratic"].value), self.taps
        first, second = np.triu_indices(taps)
        kernel = np.zeros((pairs.shape[1], taps, taps), pairs.dtype)
        kernel[:, taps - 1 - second, taps - 1 - first] = pairs.T
        channels = self._problem.channels
        return kernel if channels is None else kernel.reshape(-1, channels, taps, taps)

    def received(self):
        """The arguments in words, for a message."""
        return (
            f"step_size={self.step_size}, "
            f"quadratic_step_size={self.quadratic_step_size}"
        )

    def get_config(self):
        """The arguments that make this layer again."""
        return {
            **super().get_config(),
            "step_size": self.step_size,
            "quadratic_step_size": self.quadratic_step_size,
        }
