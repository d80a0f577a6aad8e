"""AffineProjectionFilter, the normalised filter over several regressors at once."""

import dataclasses
from typing import Any

import keras

from dlkeras.layers.adaptive.adaptive_filter import AdaptiveFilter
from dlkeras.layers.adaptive.backend import scan, where
from dlkeras.layers.adaptive.filters.lms_rule import RELATIVE
from dlkeras.layers.adaptive.rule import SILENCE, Rule, conjugate, real_dtype

# keras.ops as it is: the return types a checker infers for it are too wide
ops: Any = keras.ops


@dataclasses.dataclass(frozen=True)
class AffineProjectionRule(Rule):
    """One step: w += mu X (X^H X + epsilon I)^-1 e over the last `order` regressors."""

    regressors: int
    epsilon: float | None

    @property
    def order(self):
        """How many regressors a step sees."""
        return self.regressors

    @property
    def tracks_power(self):
        """Whether the regularisation is a share of the input's power."""
        return self.epsilon is None

    def expectation(self, bounds):
        """What a filter that diverged should have respected, in words."""
        del bounds
        return "step_size below 2, the bound of the normalised filters"

    def run(self, state, signal, desired, active, arrays, problem, materialise):
        """The recursion over a whole call; gives the last state and the outputs."""
        stride, size, order = problem.stride, problem.size, self.order
        time = ops.shape(desired)[0] - (order - 1)
        filters = ops.shape(desired)[1]
        unit = ops.cast(ops.eye(order), problem.dtype)
        step_size = ops.broadcast_to(arrays["step_size"], (time, filters))
        if active is not None:
            step_size = where(active, step_size, ops.zeros_like(step_size))
        if self.epsilon is None:
            power = arrays["power"]
            share = RELATIVE / size * power
            audible = power > SILENCE[real_dtype(problem.dtype)]
            epsilon = where(audible, share, ops.ones_like(power))
        else:
            epsilon = ops.zeros_like(step_size) + self.epsilon
        rows = {
            "step": ops.cast(step_size, problem.dtype),
            "epsilon": ops.cast(epsilon, problem.dtype),
            **{f"desired_{n}": desired[n : n + time] for n in range(order)},
        }
        usable = arrays.get("usable")
        if usable is not None:
            usable = ops.cast(usable, problem.dtype)
            rows |= {f"usable_{n}": usable[n : n + time] for n in range(order)}

        def step(state, window, row):
            weights = state["weights"]
            frames = ops.stack(  # (order, size, filters), the newest last
                [window[n * stride : n * stride + size] for n in range(order)]
            )
            outputs = ops.sum(conjugate(weights) * frames, axis=1)  # (order, filters)
            wanted = ops.stack([row[f"desired_{n}"] for n in range(order)])
            missed = wanted - outputs
            if usable is not None:  # a regressor that is not known pushes nowhere
                used = ops.stack([row[f"usable_{n}"] for n in range(order)])
                frames, missed = frames * used[:, None], missed * used
            error = ops.transpose(conjugate(missed))[..., None]
            block = ops.transpose(frames, (2, 0, 1))  # (filters, order, size)
            gram = conjugate(block) @ ops.transpose(block, (0, 2, 1))
            gram = gram + row["epsilon"][:, None, None] * unit
            push = _solve(gram, error, order)
            move = ops.transpose(ops.sum(block * push, axis=1))  # (size, filters)
            out = {"output": outputs[-1]}
            if problem.trajectory:
                out["weights"] = weights
            return {"weights": weights + row["step"] * move}, out

        reach = size + (order - 1) * stride
        return scan(
            step, state, signal, stride, reach, rows, materialise, problem.unroll
        )


def _solve(matrix, column, order):
    """Solve small positive definite systems by elimination, all filters at once.

    Without pivots, which such systems do not need; Keras's own solvers do not take
    complex numbers on TensorFlow.
    """
    system = ops.concatenate([matrix, column], axis=-1)  # (filters, order, order + 1)
    for k in range(order):
        row = system[:, k : k + 1] / system[:, k : k + 1, k : k + 1]
        cleared = system - system[:, :, k : k + 1] * row
        parts = (cleared[:, :k], row, cleared[:, k + 1 :])
        system = ops.concatenate(parts, axis=1)
    return system[:, :, order:]


@keras.saving.register_keras_serializable(package="dlkeras")
class AffineProjectionFilter(AdaptiveFilter):
    """Adaptive filter that corrects its last `order` errors at every sample.

    The weights move onto the affine subspace on which the last `order` errors would
    have been zero, `step_size` of the way. With `order=1` it is the normalised LMS
    filter; more is faster on coloured signals. Everything else is as in `LMSFilter`.

    Args:
        taps: Length of the filter, at least 1.
        step_size: mu, positive; stable below 2.
        order: Number of regressors, at least 1.
        epsilon: Positive; regularises the `order x order` system. By default a
            thousandth of the input's largest power so far.
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
    >>> from dlkeras.layers import AffineProjectionFilter
    >>> x = np.random.default_rng(0).normal(size=(1, 200)).astype("float32")
    >>> d = 0.5 * x
    >>> d[:, 1:] -= 0.25 * x[:, :-1]  # the unknown system: 0.5, -0.25
    >>> layer = AffineProjectionFilter(2, 0.5, order=2, return_weights=True)
    >>> output, error, weights = layer(x, d)
    >>> keras.ops.convert_to_numpy(weights[0, -1]).round(3).tolist()
    [0.5, -0.25]

    Reference:
        - Ozeki and Umeda (1984), An adaptive filtering algorithm using an orthogonal
          projection to an affine subspace and its properties.
        - Haykin, Adaptive Filter Theory, 5th ed., section 7.4.
    """

    def __init__(self, taps, step_size=0.5, *, order=2, epsilon=None, **kwargs):
        super().__init__(taps, **kwargs)
        self.expect(
            0 < step_size < float("inf"),
            "step_size to be positive and finite",
            step_size=step_size,
        )
        self.expect(
            self.is_count(order), "order to be an integer of at least 1", order=order
        )
        self.step_size = float(step_size)
        self.order = int(order)
        self.epsilon = self._positive_or_none(epsilon=epsilon)
        if step_size >= 2:
            self._warn_step("below 2, the bound of the normalised filters")

    def rule(self):
        """The projection that the arguments describe."""
        return AffineProjectionRule(self.order, self.epsilon)

    def parameters(self):
        """The step size."""
        return {"step_size": self.step_size}

    def received(self):
        """The arguments in words, for a message."""
        return f"step_size={self.step_size}, order={self.order}"

    def get_config(self):
        """The arguments that make this layer again."""
        return {
            **super().get_config(),
            "step_size": self.step_size,
            "order": self.order,
            "epsilon": self.epsilon,
        }
