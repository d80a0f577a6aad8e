"""Rule, one step of an adaptive filter, and what every recursion has in common.

Inside, a filter is a column: frames and weights are `(taps, filters)` with the oldest
sample first, rows of the desired response `(filters,)`.
"""

import dataclasses
from typing import Any

import keras

from dlkeras.layers.adaptive.backend import where

# keras.ops as it is: the return types a checker infers for it are too wide
ops: Any = keras.ops


# Power that is silence to a rule that divides by it: the quotient, or a share of the
# power, would leave the range of the data type.
SILENCE = {"float32": 1e-30, "float64": 1e-280}


@dataclasses.dataclass(frozen=True)
class Rule:
    """One step of a recursion: a frozen dataclass of its own numbers.

    A rule of your own overrides `step`, and `extra_state` where it carries more than
    the weights: vectors are `(length, filters)`, matrices `(filters, rows, columns)`.
    """

    @property
    def order(self) -> int:
        """How many regressors a step sees."""
        return 1

    @property
    def weights_show_non_finite(self) -> bool:
        """Whether a sample that is not finite leaves weights that are not."""
        return True

    @property
    def tracks_power(self) -> bool:
        """Whether a step reads `row["power"]`, the input's largest power so far."""
        return False

    @property
    def has_own_error(self) -> bool:
        """Whether a step gives the error, as it is not desired response less output."""
        return False

    def expectation(self, bounds):
        """What a filter that diverged should have respected, in words."""
        del bounds
        return "a smaller step"

    def runs_on_host(self, problem) -> bool:
        """Whether `backend.host_loops` knows the recursion."""
        del problem
        return False

    def is_plain(self, problem) -> bool:
        """Whether a step is one product and one sum, and only the output is asked."""
        del problem
        return False

    def extra_state(self, problem, filters) -> dict[str, Any]:
        """Shape and data type of what is carried beside the weights, by name."""
        del problem, filters
        return {}

    def state_specs(self, problem, filters):
        """Shape and data type of what is carried, in the order of `initial_state`."""
        weights = ((problem.size, filters), problem.dtype)
        return {"weights": weights, **self.extra_state(problem, filters)}

    def initial_state(self, weights, arrays, problem):
        """What a filter starts from: the weights, and zeros beside them."""
        del arrays
        extra = self.extra_state(problem, ops.shape(weights)[1])
        zeros = {
            name: ops.zeros(shape, dtype) for name, (shape, dtype) in extra.items()
        }
        return {"weights": weights, **zeros}

    def rows(self, arrays, problem):
        """More arrays; a step sees one row of each: `(time, filters)`, by name."""
        del arrays, problem
        return {}

    def step(self, state, frame, row, problem):
        """One sample of all filters: the next state, and `{"output": ...}`.

        The output is that of the weights before they move. Where a sample is not to
        count, the recursion keeps the old state by itself.
        """
        raise NotImplementedError

    def run(self, state, signal, desired, active, arrays, problem, materialise):
        """The recursion over a whole call; gives the last state and the outputs."""
        rows = {"desired": desired, **self.rows(arrays, problem)}
        if "power" in arrays:
            rows["power"] = arrays["power"]
        if active is not None:
            rows["active"] = active

        def step(state, frame, row):
            moved, out = self.step(state, frame, row, problem)
            if problem.trajectory:
                out["weights"] = state["weights"]
            if active is not None:
                going = row["active"]
                moved = {
                    name: where(
                        going[:, None, None] if len(new.shape) == 3 else going,
                        new,
                        state[name],
                    )
                    for name, new in moved.items()
                }
            return moved, out

        return problem.scan(step, state, signal, rows, materialise)


def conjugate(array):
    """The complex conjugate; a real array as it is."""
    if "complex" in keras.backend.standardize_dtype(array.dtype):
        return ops.conj(array)
    return array


def real_dtype(dtype: str) -> str:
    """The data type of the real part."""
    return {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)
