"""KernelLMSFilter, LMS in the feature space of a Gaussian kernel, with a budget."""

import dataclasses
from typing import Any

import keras
import numpy as np

from dlkeras.layers.adaptive.adaptive_filter import AdaptiveFilter
from dlkeras.layers.adaptive.backend import value_of, where
from dlkeras.layers.adaptive.rule import Rule

# keras.ops as it is: the return types a checker infers for it are too wide
ops: Any = keras.ops


@dataclasses.dataclass(frozen=True)
class KernelLMSRule(Rule):
    """One step: the nearest centre's coefficient, or a new centre's, gets mu e."""

    step_size: float
    kernel_size: float
    quantization: float
    budget: int

    @property
    def weights_show_non_finite(self):
        """No: what is learned is not in the linear weights."""
        return False

    def expectation(self, bounds):
        """What a filter that diverged should have respected, in words."""
        del bounds
        return "step_size below 2, the bound of a kernel whose largest value is 1"

    def extra_state(self, problem, filters):
        """The codebook: centres, their coefficients, and how many there are."""
        return {
            "centers": ((filters, self.budget, problem.taps), problem.dtype),
            "coefficients": ((self.budget, filters), problem.dtype),
            "used": ((filters,), problem.dtype),
        }

    def step(self, state, frame, row, problem):
        """One sample of all filters."""
        centers, used = state["centers"], state["used"]
        regressor = ops.transpose(frame)[:, None]  # (filters, 1, taps)
        apart = ops.sum((centers - regressor) ** 2, axis=-1)  # (filters, budget)
        number = np.arange(self.budget).astype(problem.dtype)
        filled = ops.convert_to_tensor(number)[None] < used[:, None]
        kernel = ops.exp(apart * (-0.5 / self.kernel_size**2))
        kernel = where(filled, kernel, ops.zeros_like(kernel))
        coefficients = ops.transpose(state["coefficients"])
        output = ops.sum(coefficients * kernel, axis=-1)
        error = row["desired"] - output

        apart = where(filled, apart, ops.zeros_like(apart) + float("inf"))
        nearest = ops.argmin(apart, axis=-1)
        far = ops.logical_not(
            ops.any(apart <= self.quantization**2, axis=-1),
        )
        grows = ops.logical_and(far, used < self.budget)
        slot = where(grows, used, ops.cast(nearest, used.dtype))
        chosen = ops.convert_to_tensor(number)[None] == slot[:, None]
        moved = coefficients + where(
            chosen, self.step_size * error[:, None], ops.zeros_like(coefficients)
        )
        fresh = ops.logical_and(chosen, grows[:, None])[..., None]
        return {
            "weights": state["weights"],
            "centers": where(fresh, regressor, centers),
            "coefficients": ops.transpose(moved),
            "used": where(grows, used + 1.0, used),
        }, {"output": output}


@keras.saving.register_keras_serializable(package="dlkeras")
class KernelLMSFilter(AdaptiveFilter):
    """Adaptive filter that is not linear: LMS in a Gaussian kernel's feature space.

    y(n) = sum_j a_j exp(-|c_j - x(n)|^2 / (2 h^2)) over a codebook of regressors c_j.
    A regressor that is further than `quantization` from all centres becomes a new one,
    with the coefficient mu e(n); any other adds mu e(n) to the nearest centre's
    (quantized kernel LMS). With `quantization=0` every sample is a centre: kernel LMS.

    One thing is not the paper's: a codebook that is full takes no new centre, and the
    nearest learns instead. So time and memory are bounded, taps times `budget` a
    sample, whatever comes.

    Args:
        taps: Length of the regressor, at least 1.
        step_size: mu, positive; stable below 2.
        kernel_size: h, positive: from about which distance regressors are strangers.
        quantization: Radius of a centre, at least 0.
        budget: Centres at most.
        **kwargs: `stateful` and `on_divergence` as in `LMSFilter`, and arguments of
            `keras.layers.Layer`.

    Call arguments:
        inputs: The signal.
        desired: The desired response.
        adapt: As in `LMSFilter`.

    Input shape:
        `(batch, time)`, `(batch, time, channels)` or, with `input_type="regressors"`,
        `(batch, time, taps)`.

    Output shape:
        As `LMSFilter`.

    Returns:
        `(output, error)`.

    Raises:
        ValueError: If an argument or a shape is not as described.
        FloatingPointError: If a filter diverges.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> from dlkeras.layers import KernelLMSFilter
    >>> x = np.random.default_rng(0).uniform(-1, 1, size=1000)
    >>> d = np.sin(3 * x)
    >>> layer = KernelLMSFilter(1, 0.5, kernel_size=0.3, quantization=0.05)
    >>> _, error = layer(x, d)
    >>> error = keras.ops.convert_to_numpy(error)[-100:]
    >>> bool(np.mean(error**2) < 0.001 * np.mean(d**2))
    True

    Reference:
        - Liu, Pokharel and Principe (2008), The kernel least-mean-square algorithm.
        - Chen, Zhao, Zhu and Principe (2012), Quantized kernel least mean square
          algorithm, IEEE Transactions on Neural Networks and Learning Systems 23.
    """

    def __init__(
        self,
        taps,
        step_size=0.5,
        *,
        kernel_size=1.0,
        quantization=0.1,
        budget=100,
        **kwargs,
    ):
        super().__init__(taps, **kwargs)
        fits = self.input_type != "multi_input" and not self.complex_valued
        self.expect(
            fits and not self.return_weights,
            "real signals, no input_type='multi_input' and no return_weights",
            input_type=self.input_type,
            complex_valued=self.complex_valued,
            return_weights=self.return_weights,
        )
        self.expect(
            0 < step_size < float("inf"),
            "step_size to be positive and finite",
            step_size=step_size,
        )
        self.expect(
            0 < kernel_size < float("inf"),
            "kernel_size to be positive and finite",
            kernel_size=kernel_size,
        )
        self.expect(quantization >= 0, "quantization >= 0", quantization=quantization)
        self.expect(self.is_count(budget), "budget of at least 1", budget=budget)
        self.step_size, self.kernel_size = float(step_size), float(kernel_size)
        self.quantization, self.budget = float(quantization), int(budget)
        if step_size >= 2:
            self._warn_step("below 2, the bound of a kernel whose largest value is 1")

    def rule(self):
        """The quantized recursion that the arguments describe."""
        return KernelLMSRule(
            self.step_size, self.kernel_size, self.quantization, self.budget
        )

    @property
    def codebook(self):
        """Of `stateful`: each filter's centres and their coefficients, NumPy arrays.

        A list of pairs, `(centers, taps)` (the newest sample first) and `(centers,)`.
        """
        self.expect(
            self.stateful and self.built,
            "stateful=True and a first call before its codebook is read",
            stateful=self.stateful,
        )
        centers, coefficients, used = (
            value_of(self._state[name].value)
            for name in ("centers", "coefficients", "used")
        )
        if self.input_type == "signal":
            centers = centers[..., ::-1]
        counts = used.astype(int)
        return [
            (centers[n, :count], coefficients[:count, n])
            for n, count in enumerate(counts)
        ]

    def received(self):
        """The arguments in words, for a message."""
        return f"step_size={self.step_size}, kernel_size={self.kernel_size}"

    def get_config(self):
        """The arguments that make this layer again."""
        return {
            **super().get_config(),
            "step_size": self.step_size,
            "kernel_size": self.kernel_size,
            "quantization": self.quantization,
            "budget": self.budget,
        }
