"""LMSFilter, the adaptive linear filter of Widrow and Hoff, and its variants."""

import dataclasses

import keras
from keras import ops

from dlkeras.layers import divergence
from dlkeras.layers.adaptive_filter import AdaptiveFilter
from dlkeras.layers.backend import BLOCK, elements_at_once, scan
from dlkeras.layers.recursions import Problem, windowed

ALGORITHMS = (
    "lms",
    "nlms",
    "sign_error",
    "sign_data",
    "sign_sign",
    "variable_step",
)


@dataclasses.dataclass(frozen=True)
class LMSRule:
    """One step of the LMS family: w(n+1) = (1 - mu leak) w(n) + mu g(e) h(x) + ..."""

    algorithm: str
    leakage: float
    momentum: float
    epsilon: float
    step_decay: float
    step_gain: float
    step_range: tuple[float, float]

    order = 1

    def expectation(self, bounds):
        """What a filter that diverged should have respected, in words."""
        if self.algorithm == "nlms":
            return "step_size below 2, the bound of the normalised filter"
        if self.algorithm == "lms" and not (self.momentum or self.leakage):
            return "step_size " + divergence.in_words(*bounds())
        return "a smaller step; for plain LMS " + divergence.in_words(*bounds())

    def state_specs(self, problem, filters):
        """Shape and data type of what is carried, in the order of `initial_state`."""
        specs = {"weights": ((problem.size, filters), problem.dtype)}
        if self.momentum:
            specs["move"] = specs["weights"]
        if self.algorithm == "variable_step":
            real = {"complex64": "float32", "complex128": "float64"}
            specs["step"] = ((filters,), real.get(problem.dtype, problem.dtype))
        return specs

    def initial_state(self, weights, arrays):
        """Weights and, where the variant needs them, the last move and the step."""
        state = {"weights": weights}
        if self.momentum:
            state["move"] = ops.zeros_like(weights)
        if self.algorithm == "variable_step":
            like = ops.real(weights[0])
            state["step"] = ops.zeros_like(like) + ops.cast(
                arrays["step_size"], like.dtype
            )
        return state

    def run(self, state, signal, desired, active, arrays, problem, materialise):
        """The recursion over a whole call; gives the last state and the outputs."""
        step_size = ops.where(active, arrays["step_size"], 0.0)
        if self.algorithm == "nlms":
            step_size = step_size / (self.epsilon + self._power(signal, problem))
        rows = {"desired": desired, "step": ops.cast(step_size, problem.dtype)}
        plain = not (self.leakage or self.momentum or problem.trajectory)
        if BLOCK > 1 and plain and self.algorithm in ("lms", "nlms", "sign_data"):
            return self._run_blocks(state, signal, rows, problem)
        size, filters = problem.size, ops.shape(signal)[1]
        share = elements_at_once()
        plain = plain and self.algorithm != "variable_step" and not materialise
        known = isinstance(filters, int) and filters > 1
        if share and plain and known and filters * size > share:
            return self._run_shares(state, signal, rows, problem, share)
        if self.leakage or self.momentum or self.algorithm == "variable_step":
            rows["active"] = active
        if self.leakage:
            keep = 1.0 - arrays["step_size"] * self.leakage
            rows["keep"] = ops.cast(ops.where(active, keep, 1.0), problem.dtype)

        def step(state, frame, row):
            return self.step(state, frame, row, problem)

        return scan(
            step, state, signal, problem.stride, problem.size, rows, materialise
        )

    def step(self, state, frame, row, problem: Problem):
        """One sample of all filters: frame `(taps, filters)`, row `(filters,)`."""
        weights = state["weights"]
        conjugate = ops.conj if "complex" in problem.dtype else _same
        output = _inner(conjugate(weights), frame)
        error = row["desired"] - output
        state, out = dict(state), {"output": output}
        if problem.trajectory:
            out["weights"] = weights

        gain = row["step"]
        if self.algorithm == "variable_step":
            # Kwong and Johnston: mu(n+1) = alpha mu(n) + gamma e(n)^2, kept in range
            step = state["step"]
            power = ops.real(error * conjugate(error))
            follow = self.step_decay * step + self.step_gain * power
            follow = ops.clip(follow, *self.step_range)
            state["step"] = ops.where(row["active"], follow, step)
            gain = ops.cast(ops.where(row["active"], step, 0.0), problem.dtype)
        push = ops.sign(error) if self.algorithm in _SIGN_ERROR else conjugate(error)
        along = ops.sign(frame) if self.algorithm in _SIGN_DATA else frame

        move = gain * push * along
        if self.momentum:
            move = self.momentum * state["move"] + move
            state["move"] = ops.where(row["active"], move, state["move"])
            move = ops.where(row["active"], move, ops.zeros_like(move))
        if self.leakage:
            weights = row["keep"] * weights
        state["weights"] = weights + move
        return state, out

    def _run_blocks(self, state, signal, rows, problem):
        """The same recursion, exactly, `BLOCK` samples at a time.

        Within a block e_k = d_k - w.x_k - sum_{j<k} mu_j (x_k.x_j) e_j: a unit lower
        triangular system. Steps of size 0 fill up the last block.
        """
        time, filters = rows["desired"].shape
        blocks = -(-time // BLOCK)
        fill = blocks * BLOCK - time
        rows = {
            name: ops.reshape(
                ops.pad(row, ((0, fill), (0, 0))), (blocks, BLOCK, filters)
            )
            for name, row in rows.items()
        }
        stride, size = problem.stride, problem.size
        signal = ops.pad(signal, ((0, fill * stride), (0, 0)))
        reach = (BLOCK - 1) * stride + size
        conjugate = ops.conj if "complex" in problem.dtype else _same
        index = ops.arange(BLOCK)[:, None] * stride + ops.arange(size)[None, :]
        below = ops.cast(ops.tril(ops.ones((BLOCK, BLOCK)), -1), problem.dtype)
        unit = ops.cast(ops.eye(BLOCK), problem.dtype)

        def step(state, window, row):
            weights = state["weights"]  # (taps, filters)
            frames = ops.take(window, index, axis=0)  # (block, taps, filters)
            frames = ops.transpose(frames, (2, 0, 1))  # (filters, block, taps)
            along = ops.sign(frames) if self.algorithm in _SIGN_DATA else frames
            steps = ops.transpose(row["step"])  # (filters, block)
            wanted = ops.transpose(row["desired"])
            column = ops.transpose(conjugate(weights))[..., None]
            # `@`, as Keras's matmul computes float64 in float32 on PyTorch
            apriori = (frames @ column)[..., 0]  # (filters, block)
            gram = frames @ ops.transpose(conjugate(along), (0, 2, 1))
            system = unit + below * gram * steps[:, None, :]
            error = ops.solve_triangular(
                system, (wanted - apriori)[..., None], lower=True
            )
            push = steps[..., None] * conjugate(error)  # (filters, block, 1)
            moved = ops.sum(push * along, axis=1)  # (filters, taps)
            output = ops.transpose(wanted - error[..., 0])
            return {"weights": weights + ops.transpose(moved)}, {"output": output}

        state, outputs = scan(step, state, signal, BLOCK * stride, reach, rows, False)
        output = ops.reshape(outputs["output"], (blocks * BLOCK, filters))[:time]
        return state, {"output": output}

    def _run_shares(self, state, signal, rows, problem, share):
        """The same recursion on 64 filters at a time, `share` weights an operation.

        XLA spreads larger operations over threads, which costs more than it gains here,
        and 64 filters' weights stay in the nearest cache.
        """
        stride, size = problem.stride, problem.size
        filters = signal.shape[1]
        width = min(filters, 64)
        groups = -(-filters // width)
        cuts = list(range(0, size, max(share // width, 1)))
        parts = [slice(cut, cut + max(share // width, 1)) for cut in cuts]
        conjugate = ops.conj if "complex" in problem.dtype else _same

        def grouped(array):  # (rows, filters) to (groups, rows, width)
            array = ops.pad(array, ((0, 0), (0, groups * width - filters)))
            return ops.moveaxis(ops.reshape(array, (-1, groups, width)), 1, 0)

        def together(array):
            array = ops.moveaxis(array, 0, 1)
            return ops.reshape(array, (-1, groups * width))[:, :filters]

        def step(state, frame, row):
            frames = [frame[part] for part in parts]
            pairs = list(zip(state, frames, strict=True))
            output = sum(ops.sum(conjugate(w) * x, axis=0) for w, x in pairs)
            error = row["desired"] - output
            sign_error = self.algorithm in _SIGN_ERROR
            push = row["step"] * (ops.sign(error) if sign_error else conjugate(error))
            along = ops.sign if self.algorithm in _SIGN_DATA else _same
            return tuple(w + push * along(x) for w, x in pairs), {"output": output}

        def one(group):
            weights = tuple(group["weights"][part] for part in parts)
            rows = {"desired": group["desired"], "step": group["step"]}
            weights, outputs = scan(
                step, weights, group["signal"], stride, size, rows, False
            )
            return ops.concatenate(weights), outputs["output"]

        arrays = {"signal": signal, "weights": state["weights"], **rows}
        arrays = {name: grouped(array) for name, array in arrays.items()}
        if groups == 1:
            only = {name: array[0] for name, array in arrays.items()}
            weights, output = (array[None] for array in one(only))
        else:
            weights, output = ops.map(one, arrays)
        return {"weights": together(weights)}, {"output": together(output)}

    def _power(self, signal, problem):
        """Power in the delay line before each step, real: `(time, filters)`."""
        power = ops.real(signal * ops.conj(signal))
        rows, filters = ops.shape(power)
        shape = (rows // problem.stride, problem.stride, filters)
        power = ops.sum(ops.reshape(power, shape), axis=1)
        return windowed(ops.add, power, problem.memory + 1)


_SIGN_ERROR = ("sign_error", "sign_sign")
_SIGN_DATA = ("sign_data", "sign_sign")


def _inner(weights, frame):
    """Inner product of every column, `(taps, filters)` by `(taps, filters)`.

    A single filter has no second axis to vectorise over, and a sum in order waits for
    every addition: so its taps are summed 16 side by side.
    """
    product = weights * frame
    taps, filters = product.shape
    if filters == 1 and taps % 16 == 0:
        product = ops.sum(ops.reshape(product, (taps // 16, 16)), axis=0)
        for half in (8, 4, 2, 1):
            product = product[:half] + product[half : 2 * half]
        return product
    return ops.sum(product, axis=0)


def _same(array):
    return array


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
    delay line; the outputs of that time are NaN. A filter that runs away is reported
    with the step-size bound that it broke.

    Args:
        taps: Length of the filter, at least 1.
        step_size: mu, positive. Widrow's mu is half of it. For `"nlms"` below 2.
        algorithm: `"lms"`; `"nlms"`, the step divided by `epsilon` plus the power in
            the delay line; `"sign_error"`, `"sign_data"`, `"sign_sign"`, the signs of
            error, data or both; `"variable_step"`, mu(n+1) = `step_decay` mu(n) +
            `step_gain` e(n)^2 within `step_range`.
        leakage: gamma of the leaky filter, w(n+1) = (1 - mu gamma) w(n) + ...
        momentum: alpha of the term alpha (w(n) - w(n-1)), in [0, 1).
        epsilon: Positive; keeps `"nlms"` finite on silence.
        step_decay: alpha of the variable step, in (0, 1).
        step_gain: gamma of the variable step, positive.
        step_range: Smallest and largest variable step.
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
    """

    def __init__(
        self,
        taps,
        step_size=0.01,
        *,
        algorithm="lms",
        leakage=0.0,
        momentum=0.0,
        epsilon=1e-3,
        step_decay=0.97,
        step_gain=4.8e-4,
        step_range=(0.0, float("inf")),
        trainable_step_size=False,
        input_type="signal",
        complex_valued=False,
        initial_weights="zeros",
        stateful=False,
        return_weights=False,
        on_divergence="raise",
        **kwargs,
    ):
        super().__init__(
            taps,
            input_type=input_type,
            complex_valued=complex_valued,
            initial_weights=initial_weights,
            stateful=stateful,
            return_weights=return_weights,
            on_divergence=on_divergence,
            **kwargs,
        )
        self._expect(
            algorithm in ALGORITHMS,
            f"algorithm to be one of {ALGORITHMS}",
            algorithm=algorithm,
        )
        self._expect(
            0 < step_size < float("inf"),
            "step_size to be positive and finite",
            step_size=step_size,
        )
        self._expect(
            not (complex_valued and algorithm.startswith("sign")),
            "a sign algorithm to run on real signals",
            algorithm=algorithm,
            complex_valued=complex_valued,
        )
        self._expect(0 <= leakage < float("inf"), "leakage >= 0", leakage=leakage)
        self._expect(0 <= momentum < 1, "momentum in [0, 1)", momentum=momentum)
        self._expect(
            0 < epsilon < float("inf"),
            "epsilon to be positive, or silence divides by zero",
            epsilon=epsilon,
        )
        self._expect(0 < step_decay < 1, "step_decay in (0, 1)", step_decay=step_decay)
        self._expect(0 < step_gain < float("inf"), "step_gain > 0", step_gain=step_gain)
        self._expect(
            len(step_range) == 2 and 0 <= step_range[0] < step_range[1],
            "step_range to be (smallest, largest) with 0 <= smallest < largest",
            step_range=step_range,
        )
        self.step_size = float(step_size)
        self.algorithm = algorithm
        self.leakage = float(leakage)
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.step_decay = float(step_decay)
        self.step_gain = float(step_gain)
        self.step_range = tuple(float(step) for step in step_range)
        self.trainable_step_size = bool(trainable_step_size)
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
        )

    def parameters(self):
        """The step size."""
        if self.trainable_step_size:
            return {"step_size": self.step_size_weight.value}
        return {"step_size": self.step_size}

    def check_parameters(self, signal):
        """Warn once if the step size is above the bound of the first call's signal."""
        if self.algorithm != "lms" or self.momentum or self.leakage:
            return
        if signal.shape[1] < 4 * self._problem.size or not signal.shape[0]:
            return  # too short to tell a bound from
        limits = divergence.bounds_of_strongest(self._problem, signal)
        if self.step_size >= limits[0]:
            self._warn_step(divergence.in_words(*limits))

    def received(self):
        """The step size in words, for a message."""
        return f"algorithm={self.algorithm!r}, step_size={self.step_size}"

    def get_config(self):
        """The arguments that make this layer anew."""
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
            "trainable_step_size": self.trainable_step_size,
        }
