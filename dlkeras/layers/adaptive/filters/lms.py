"""LMSFilter, the adaptive linear filter of Widrow and Hoff, and its variants."""

import warnings

import keras
import numpy as np

from dlkeras.layers.adaptive import divergence
from dlkeras.layers.adaptive.adaptive_filter import AdaptiveFilter
from dlkeras.layers.adaptive.filters.lms_rule import ALGORITHMS, LOSSES, LMSRule


@keras.saving.register_keras_serializable(package="dlkeras")
class LMSFilter(AdaptiveFilter):
    """Adaptive linear filter: w(n+1) = w(n) + mu e(n) x(n).

    The filtering process gives the output y(n) = w(n).x(n) and the error
    e(n) = d(n) - y(n); the adaptive process lets the weights follow the error, from an
    arbitrary start and without end. The weights are no trainable weights of a model:
    they adapt inside the call, at inference as in training, unless `adapt` is false.

    Every batch row, and every channel of a `"signal"`, is a filter of its own. The
    whole recursion is one compiled loop on TensorFlow and JAX and an exact block form
    on PyTorch; gradients flow through time to the step size, the signal and the
    desired response. Inside a half-precision model the filter stays float32.

    A sample that is not finite freezes its own filter for as long as it is in the
    delay line; the outputs of that time are NaN. A filter that runs away is reported,
    with the safe step size 2 / (3 tr R); but where a call has no way to the host (a
    model under TensorFlow's `jit_compile=True`, `torch.compile`, an exported program,
    `vmap`), nothing is.

    Args:
        taps: Length of the filter, at least 1.
        step_size: mu, positive. Widrow's mu is half of it. For `"nlms"` below 2.
        algorithm: `"lms"`; `"nlms"`, the step divided by `epsilon` plus the power in
            the delay line; `"sign_error"`, `"sign_data"`, `"sign_sign"`, the signs of
            error, data or both; `"variable_step"`, mu(n+1) = `step_decay` mu(n) +
            `step_gain` e(n)^2 within `step_range`; `"set_membership"`, the normalised
            step times `1 - error_bound / |e(n)|`, and none where the error is within
            the bound (the paper's step size is 1).
        leakage: gamma of the leaky filter, w(n+1) = (1 - mu gamma) w(n) + ...
        momentum: alpha of the term alpha (w(n) - w(n-1)), in [0, 1).
        epsilon: What `"nlms"` adds to the power in the delay line, positive: it bounds
            the step on quiet signals. By default a thousandth of the input's largest
            power so far, which does the same at any amplitude.
        step_decay: alpha of the variable step, in (0, 1).
        step_gain: gamma of the variable step, positive.
        step_range: Smallest and largest variable step.
        loss: What of the error is made small: `"squared"`; `"fourth"` (least mean
            fourth, for noise with short tails); or, against outliers, `"log_cosh"`,
            `"huber"` and `"correntropy"`, whose weight falls to 0 beyond `loss_scale`.
        loss_scale: From where on a robust loss takes an error for an outlier.
        error_bound: The error that `"set_membership"` puts up with, positive; for noise
            of variance s^2 the square root of 5 s^2 is usual.
        trainable_step_size: Whether `step_size` is a trainable weight.
        input_type: `"signal"`: the layer keeps the delay line. `"multi_input"`: all
            channels feed one filter with one output. `"regressors"`: the input holds
            each sample's regressor.
        complex_valued: Whether signals are complex: y = w^H x, w += mu x e*.
        initial_weights: Initialiser of the weights that each call starts from (with
            `stateful`, that the first call starts from).
        stateful: Whether weights and delay line are carried from call to call, until
            `reset_state()`: ten chunks then give what one call gives.
        return_weights: Whether to return the weights before every sample too.
        on_divergence: `"raise"` (`FloatingPointError`), `"warn"` or `"ignore"`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: The signal, or the pair `[signal, desired]`.
        desired: The desired response.
        adapt: Whether the weights follow the error: a boolean, or booleans of shape
            `(batch, time)`. `training=False` in the call of this layer means
            `adapt=False`; the mode of `fit` or `predict` changes nothing.

    Input shape:
        `(batch, time)`, `(batch, time, channels)` or, with `"regressors"`,
        `(batch, time, taps)`. The desired response has the shape of a signal,
        `(batch, time)` for `"multi_input"` and `"regressors"`.

    Output shape:
        Output and error as the desired response; weights `(batch, time, taps)` or
        `(batch, time, channels, taps)`, the newest sample's weight first.

    Returns:
        `(output, error)`, or `(output, error, weights)` with `return_weights`.

    Raises:
        ValueError: If an argument or a shape is not as described.
        TypeError: If a signal holds integers, or complex numbers in a real filter.
        FloatingPointError: If a filter diverges.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> from dlkeras.layers import LMSFilter
    >>> x = np.random.default_rng(0).normal(size=(1, 500)).astype("float32")
    >>> d = 0.5 * x
    >>> d[:, 1:] -= 0.25 * x[:, :-1]  # the unknown system: 0.5, -0.25
    >>> output, error, weights = LMSFilter(2, 0.1, return_weights=True)(x, d)
    >>> keras.ops.convert_to_numpy(weights[0, -1]).round(3).tolist()
    [0.5, -0.25]

    Reference:
        - Widrow and Hoff (1960), Adaptive switching circuits.
        - Haykin, Adaptive Filter Theory, 5th ed., chapters 6 and 7 (LMS, NLMS, eq.
          6.5, 7.12), Widrow and Stearns, Adaptive Signal Processing, chapter 6.
        - Kwong and Johnston (1992), A variable step size LMS algorithm, eq. 6.
        - Walach and Widrow (1984), The least mean fourth (LMF) adaptive algorithm.
        - Gollamudi, Nagaraj, Kapoor and Huang (1998), Set-membership filtering and a
          set-membership normalized LMS algorithm with an adaptive step size.
        - Singh and Principe (2009), Using correntropy as a cost function in linear
          adaptive filters; Petrus (1999), Robust Huber adaptive filter.
    """

    def __init__(
        self,
        taps,
        step_size=0.01,
        *,
        algorithm="lms",
        leakage=0.0,
        momentum=0.0,
        epsilon=None,
        step_decay=0.97,
        step_gain=4.8e-4,
        step_range=(0.0, float("inf")),
        loss="squared",
        loss_scale=1.0,
        error_bound=0.0,
        trainable_step_size=False,
        **kwargs,
    ):
        super().__init__(taps, **kwargs)
        self.expect(
            algorithm in ALGORITHMS,
            f"algorithm to be one of {ALGORITHMS}",
            algorithm=algorithm,
        )
        self.expect(
            np.ndim(step_size) == 0
            and not isinstance(step_size, str)
            and 0 < step_size < float("inf"),
            "step_size to be positive and finite, one number",
            step_size=step_size,
        )
        self.expect(
            not (self.complex_valued and algorithm.startswith("sign")),
            "a sign algorithm to run on real signals",
            algorithm=algorithm,
            complex_valued=self.complex_valued,
        )
        self.expect(0 <= leakage < float("inf"), "leakage >= 0", leakage=leakage)
        self.expect(0 <= momentum < 1, "momentum in [0, 1)", momentum=momentum)
        self.expect(0 < step_decay < 1, "step_decay in (0, 1)", step_decay=step_decay)
        self.expect(0 < step_gain < float("inf"), "step_gain > 0", step_gain=step_gain)
        self.expect(
            len(step_range) == 2 and 0 <= step_range[0] < step_range[1],
            "step_range to be (smallest, largest) with 0 <= smallest < largest",
            step_range=step_range,
        )
        self.expect(loss in LOSSES, f"loss to be one of {LOSSES}", loss=loss)
        self.expect(
            loss == "squared" or algorithm not in ("sign_error", "sign_sign"),
            "a loss of its own, or an algorithm that takes the error's sign, not both",
            loss=loss,
            algorithm=algorithm,
        )
        self.expect(0 < loss_scale < float("inf"), "loss_scale > 0", scale=loss_scale)
        self.expect(
            (algorithm == "set_membership") == (error_bound > 0) and error_bound >= 0,
            "error_bound > 0 for 'set_membership', and for it alone",
            algorithm=algorithm,
            error_bound=error_bound,
        )
        self.error_bound = float(error_bound)
        self.loss, self.loss_scale = loss, float(loss_scale)
        self.step_size = float(step_size)
        self.algorithm = algorithm
        self.leakage = float(leakage)
        self.momentum = float(momentum)
        self.epsilon = self._positive_or_none(epsilon=epsilon)
        self.step_decay = float(step_decay)
        self.step_gain = float(step_gain)
        self.step_range = (float(step_range[0]), float(step_range[1]))
        self.trainable_step_size = bool(trainable_step_size)
        if 0.9 <= leakage <= 1:
            warnings.warn(
                f"LMSFilter {self.name!r}: leakage={leakage} looks like MATLAB's "
                "LeakageFactor, the share of the weights that is kept; here leakage is "
                "gamma of (1 - mu gamma) w, and its counterpart would be leakage="
                f"{(1 - leakage) / step_size:.4g}",
                RuntimeWarning,
                stacklevel=2,
            )
        if algorithm == "nlms" and step_size >= 2:
            self._warn_step("below 2, the bound of the normalised filter")

    def build(self, inputs_shape, desired_shape=None):
        """Make the step size, if it is to be trained, and what all filters need."""
        if self.trainable_step_size:
            self.step_size_weight = self.add_weight(
                name="step_size",
                shape=(),
                dtype=self.inner_dtype.replace("complex64", "float32").replace(
                    "complex128", "float64"
                ),
                initializer=keras.initializers.Constant(self.step_size),
                constraint="non_neg",
                autocast=False,
            )
        super().build(inputs_shape, desired_shape)

    def rule(self):
        """The variant of the LMS recursion that the arguments describe."""
        return LMSRule(
            self.algorithm,
            self.leakage,
            self.momentum,
            self.epsilon,
            self.step_decay,
            self.step_gain,
            self.step_range,
            self.loss,
            self.loss_scale,
            self.error_bound,
        )

    def parameters(self):
        """The step size."""
        if self.trainable_step_size:
            return {"step_size": self.step_size_weight.value}
        return {"step_size": self.step_size}

    def check_parameters(self, signal):
        """Warn once if the step size is above the bound of the first call's signal."""
        extras = self.momentum or self.leakage or self.loss != "squared"
        if self.algorithm != "lms" or extras:
            return
        if signal.shape[1] < 4 * self._problem.size or not signal.shape[0]:
            return  # too short to tell a bound from
        limits = divergence.bounds_of_strongest(self._problem, signal)
        if self.step_size >= limits[1]:
            self._warn_step(divergence.in_words(*limits))

    def received(self):
        """The step size in words, for a message."""
        return f"algorithm={self.algorithm!r}, step_size={self.step_size}"

    def get_config(self):
        """The arguments that make this layer again."""
        return {
            **super().get_config(),
            "step_size": self.step_size,
            "algorithm": self.algorithm,
            "leakage": self.leakage,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "step_decay": self.step_decay,
            "step_gain": self.step_gain,
            "step_range": self.step_range,
            "loss": self.loss,
            "loss_scale": self.loss_scale,
            "error_bound": self.error_bound,
            "trainable_step_size": self.trainable_step_size,
        }
