"""LMSRule, the recursion of the LMS family: plain, in blocks and for many filters."""

import dataclasses
from typing import Any

import keras

from dlkeras.layers.adaptive import divergence
from dlkeras.layers.adaptive.lms_loops import Loops
from dlkeras.layers.adaptive.recursions import Problem, windowed
from dlkeras.layers.backend import (
    BLOCK,
    BLOCK_DTYPES,
    elements_at_once,
    lms_kernel,
    scan,
)

# keras.ops as it is: the return types a checker infers for it are too wide
ops: Any = keras.ops

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

    @property
    def weights_show_non_finite(self):
        """Whether a sample that is not finite leaves weights that are not."""
        return self.algorithm not in _SIGN_ERROR  # an infinite error has a sign

    def expectation(self, bounds):
        """What a filter that diverged should have respected, in words."""
        if self.algorithm == "nlms":
            return "step_size below 2, the bound of the normalised filter"
        if self.algorithm == "lms" and not (self.momentum or self.leakage):
            return "step_size " + divergence.in_words(*bounds())
        return "a smaller step; for plain LMS " + divergence.in_words(*bounds())

    def state_specs(self, problem, filters):
        """Shape and data type of what is carried, in the order of `initial_state`."""
        dtype = self._wide(problem) if self._is_in_blocks(problem) else problem.dtype
        specs: dict[str, Any] = {"weights": ((problem.size, filters), dtype)}
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

    def is_plain(self, problem):
        """Whether a step is one product and one sum, and only the output is asked."""
        extras = self.leakage or self.momentum or problem.trajectory
        return not extras and self.algorithm != "variable_step"

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
        if active is not None:
            gain = ops.where(active, gain, 0.0)
        if self.algorithm == "nlms":
            gain = gain / (self.epsilon + self._power(signal, problem))
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
        if self.leakage or self.momentum or self.algorithm == "variable_step":
            if active is None:
                active = ops.ones(ops.shape(desired), dtype="bool")
            rows["active"] = active
        if self.leakage:
            keep = 1.0 - arrays["step_size"] * self.leakage
            rows["keep"] = ops.cast(ops.where(active, keep, 1.0), problem.dtype)

        def loop(state, signal, rows, shared):
            def step(state, frame, row):
                return self.step(state, frame, {**shared, **row}, problem)

            return problem.scan(step, state, signal, rows, materialise)

        if plain and known and not materialise:
            signs = self.algorithm in _SIGN_ERROR, self.algorithm in _SIGN_DATA
            arrays = state, signal, rows, shared
            return lms_kernel(loop, arrays, problem.stride, signs)
        return loop(state, signal, rows, shared)

    def step(self, state, frame, row, problem: Problem):
        """One sample of all filters: frame `(taps, filters)`, row `(filters,)`."""
        weights = state["weights"]
        conjugate = ops.conj if "complex" in problem.dtype else _same
        output = ops.sum(conjugate(weights) * frame, axis=0)
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
        conjugate = ops.conj if "complex" in problem.dtype else _same
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

    def _power(self, signal, problem) -> Any:
        """Power in the delay line before each step, real: `(time, filters)`."""
        power = ops.real(signal * ops.conj(signal))
        rows, filters = ops.shape(power)
        shape = (rows // problem.stride, problem.stride, filters)
        power = ops.sum(ops.reshape(power, shape), axis=1)
        return windowed(ops.add, power, problem.memory + 1)


_SIGN_ERROR = ("sign_error", "sign_sign")
_SIGN_DATA = ("sign_data", "sign_sign")


def _same(array):
    return array
