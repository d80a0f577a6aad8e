"""LMSRule, the recursion of the LMS family: plain, in blocks and for many filters."""

import dataclasses
from typing import Any

import keras

from dlkeras.layers.adaptive import divergence
from dlkeras.layers.adaptive.backend import (
    BLOCK,
    BLOCK_DTYPES,
    elements_at_once,
    lms_kernel,
    maximum,
    scan,
    where,
)
from dlkeras.layers.adaptive.backend.lms_loops import Loops
from dlkeras.layers.adaptive.recursions import Problem, energy
from dlkeras.layers.adaptive.rule import Rule, conjugate, real_dtype

# keras.ops as it is: the return types a checker infers for it are too wide
ops: Any = keras.ops

ALGORITHMS = (
    "lms",
    "nlms",
    "sign_error",
    "sign_data",
    "sign_sign",
    "variable_step",
    "set_membership",
)
NORMALISED = ("nlms", "set_membership")


LOSSES = ("squared", "fourth", "log_cosh", "correntropy", "huber")
# The normalised filters' regularisation as a share of the input's largest power.
RELATIVE = 1e-3


@dataclasses.dataclass(frozen=True)
class LMSRule(Rule):
    """One step of the LMS family: w(n+1) = (1 - mu leak) w(n) + mu g(e) h(x) + ..."""

    algorithm: str
    leakage: float
    momentum: float
    epsilon: float | None
    step_decay: float
    step_gain: float
    step_range: tuple[float, float]
    loss: str = "squared"
    loss_scale: float = 1.0
    error_bound: float = 0.0

    @property
    def weights_show_non_finite(self):
        """Whether a sample that is not finite leaves weights that are not."""
        return self.algorithm not in _SIGN_ERROR  # an infinite error has a sign

    def expectation(self, bounds):
        """What a filter that diverged should have respected, in words."""
        if self.algorithm in NORMALISED:
            return "step_size below 2, the bound of the normalised filter"
        if self.algorithm == "lms" and not (self.momentum or self.leakage):
            return "step_size " + divergence.in_words(*bounds())
        return "a smaller step; for plain LMS " + divergence.in_words(*bounds())

    @property
    def tracks_power(self):
        """Whether the regularisation is a share of the input's power."""
        return self.algorithm in NORMALISED and self.epsilon is None

    def share(self, problem):
        """The regularisation beside the largest power in the delay line."""
        return RELATIVE / problem.size if self.tracks_power else 0.0

    def state_specs(self, problem, filters):
        """Shape and data type of what is carried, in the order of `initial_state`."""
        dtype = self._wide(problem) if self._is_in_blocks(problem) else problem.dtype
        weights = ((problem.size, filters), dtype)
        return {"weights": weights, **self.extra_state(problem, filters)}

    def extra_state(self, problem, filters):
        """The last move and the step, where the variant needs them."""
        extra: dict[str, Any] = {}
        if self.momentum:
            extra["move"] = ((problem.size, filters), problem.dtype)
        if self.algorithm == "variable_step":
            extra["step"] = ((filters,), real_dtype(problem.dtype))
        return extra

    def initial_state(self, weights, arrays, problem):
        """Weights and, where the variant needs them, the last move and the step."""
        state = super().initial_state(weights, arrays, problem)
        if "step" in state:
            first = ops.cast(arrays["step_size"], state["step"].dtype)
            state["step"] = self._in_range(state["step"] + first)
        return state

    def runs_on_host(self, problem):
        """Plain and normalised LMS of real signals."""
        fits = self.is_plain(problem) and self.algorithm in ("lms", "nlms")
        return fits and problem.input_type == "signal" and "float" in problem.dtype

    def is_plain(self, problem):
        """Whether a step is one product and one sum, and only the output is asked."""
        extras = self.leakage or self.momentum or problem.trajectory
        extras = extras or self.loss != "squared"
        follows = self.algorithm in ("variable_step", "set_membership")
        return not (extras or follows)

    def _is_in_blocks(self, problem):
        """Whether the exact block form is used."""
        linear = self.algorithm not in _SIGN_ERROR
        return BLOCK > 1 and linear and self.is_plain(problem)

    @staticmethod
    def _wide(problem):
        """The data type of a block's arithmetic.

        With `stateful` it is wider than the signal's, so that rounding does not show
        where blocks end: chunks give what one call gives, to the last bit.
        """
        return (problem.stateful and BLOCK_DTYPES.get(problem.dtype)) or problem.dtype

    def run(self, state, signal, desired, active, arrays, problem, materialise):
        """The recursion over a whole call; gives the last state and the outputs.

        Where `active` is None, every sample of every filter is.
        """
        gain = arrays["step_size"]
        if self.algorithm in NORMALISED:
            power = energy(signal, problem)
            if self.tracks_power:
                power = power + self.share(problem) * arrays["power"]
                audible = power > 0
                gain = gain / where(audible, power, ops.ones_like(power))
                gain = where(audible, gain, ops.zeros_like(gain))
            else:
                gain = gain / (self.epsilon + power)
        if active is not None:
            gain = where(active, gain, ops.zeros_like(gain))
        gain = ops.cast(gain, problem.dtype)
        rows = {"desired": desired}
        shared = {"step": gain}  # what is the same for all samples
        if len(gain.shape) == 2:
            rows, shared = {**rows, **shared}, {}
        plain = self.is_plain(problem)
        if self._is_in_blocks(problem):
            return self._run_blocks(state, signal, {**rows, **shared}, problem)
        filters, share = ops.shape(signal)[1], elements_at_once()
        known = isinstance(filters, int) and filters > 0
        if share and plain and known and not materialise:
            loops = Loops(
                problem,
                self.algorithm in _SIGN_ERROR,
                self.algorithm in _SIGN_DATA,
                share,
            )
            weights, outputs = loops.run(state["weights"], signal, rows, shared)
            return {"weights": weights}, outputs
        if not plain:
            if self.leakage:
                arrays = {**arrays, "leak": arrays["step_size"] * self.leakage}
            arrays = {**arrays, "gain": gain}
            return super().run(
                state, signal, desired, active, arrays, problem, materialise
            )

        def loop(state, signal, rows, shared):
            def step(state, frame, row):
                return self.step(state, frame, {**shared, **row}, problem)

            return problem.scan(step, state, signal, rows, materialise)

        if known and not materialise:
            signs = self.algorithm in _SIGN_ERROR, self.algorithm in _SIGN_DATA
            given = state, signal, rows, shared
            return lms_kernel(loop, given, problem.stride, signs)
        return loop(state, signal, rows, shared)

    def rows(self, arrays, problem):
        """The step of every sample and what leaks away, for the general recursion."""
        time, filters = ops.shape(arrays["raw"])
        names = {"step": arrays["gain"], "leak": arrays.get("leak")}
        return {
            name: ops.cast(ops.broadcast_to(value, (time, filters)), problem.dtype)
            for name, value in names.items()
            if value is not None
        }

    def step(self, state, frame, row, problem: Problem):
        """One sample of all filters: frame `(taps, filters)`, row `(filters,)`."""
        weights = state["weights"]
        output = ops.sum(conjugate(weights) * frame, axis=0)
        error = row["desired"] - output
        state, gain = dict(state), row["step"]
        if self.algorithm == "variable_step":
            # Kwong and Johnston: mu(n+1) = alpha mu(n) + gamma e(n)^2, kept in range
            step = state["step"]
            power = ops.real(error * conjugate(error))
            follow = self.step_decay * step + self.step_gain * power
            state["step"] = self._in_range(follow)
            gain = ops.cast(step, problem.dtype)
        elif self.algorithm == "set_membership":
            # Gollamudi et al.: onto the nearest weights whose error is at the bound
            size = ops.abs(error)
            outside = size > self.error_bound
            size = where(outside, size, ops.ones_like(size))
            share = where(outside, 1 - self.error_bound / size, ops.zeros_like(size))
            gain = gain * ops.cast(share, problem.dtype)
        along = ops.sign(frame) if self.algorithm in _SIGN_DATA else frame
        move = gain * self.push(error) * along
        if self.leakage:
            leak = row["leak"]
            if self.algorithm == "variable_step":
                leak = self.leakage * gain
            move = move - leak * weights
        if self.momentum:
            move = move + self.momentum * state["move"]
            state["move"] = move
        state["weights"] = weights + move
        return state, {"output": output}

    def _in_range(self, step):
        # Keras's clip rounds its bounds to float32 on PyTorch.
        smallest, largest = (ops.zeros_like(step) + b for b in self.step_range)
        return -maximum(-maximum(step, smallest), -largest)

    def push(self, error):
        """What of the error moves the weights: the derivative of the loss."""
        if self.algorithm in _SIGN_ERROR:
            return ops.sign(error)
        if self.loss == "squared":
            return conjugate(error)
        power, scale = ops.real(error * conjugate(error)), self.loss_scale
        if self.loss == "fourth":
            weight = power
        elif self.loss == "correntropy":
            weight = ops.exp(power / (-2.0 * scale**2))
        else:  # tanh(|e| / s) s and clip(|e|, s), beside |e|
            small = power < 1e-8 * scale**2
            size = ops.sqrt(where(small, ops.ones_like(power), power))
            if self.loss == "log_cosh":
                # tanh, which XLA has in float32's precision alone on a processor
                twice = -2.0 * size / scale
                bend = -ops.expm1(twice) / (1.0 + ops.exp(twice))
                weight = scale * bend / size
            else:
                weight = where(size > scale, scale / size, ops.ones_like(size))
            weight = where(small, ops.ones_like(power), weight)
        return ops.cast(weight, error.dtype) * conjugate(error)

    def _run_blocks(self, state, signal, rows, problem):
        """The same recursion, exactly, `BLOCK` samples at a time.

        Within a block e_k = d_k - w.x_k - sum_{j<k} mu_j (x_k.x_j) e_j: a unit lower
        triangular system. Steps of size 0 fill up the last block.
        """
        wide = self._wide(problem)
        state, rows = (
            {name: ops.cast(array, wide) for name, array in arrays.items()}
            for arrays in (state, rows)
        )
        signal = ops.cast(signal, wide)
        time, filters = rows["desired"].shape
        rows["step"] = ops.broadcast_to(rows["step"], (time, filters))
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
        index = ops.arange(BLOCK)[:, None] * stride + ops.arange(size)[None, :]
        below = ops.cast(ops.tril(ops.ones((BLOCK, BLOCK)), -1), wide)
        unit = ops.cast(ops.eye(BLOCK), wide)

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
        return state, {"output": ops.cast(output, problem.dtype)}


_SIGN_ERROR = ("sign_error", "sign_sign")
_SIGN_DATA = ("sign_data", "sign_sign")
