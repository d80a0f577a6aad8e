"""What every adaptive filter does with its arrays, around the step of its own rule.

Inside, a filter is a column: signals are `(rows, filters)`, weights `(taps, filters)`
with the oldest sample first, so that a regressor is a plain slice of the signal.
"""

import dataclasses
import functools
import math
from typing import Any

import keras
import numpy as np

from dlkeras.layers.adaptive.backend import (
    ONE_KERNEL,
    cumulative_max,
    elements_at_once,
    maximum,
    one_kernel,
    scan,
    value_of,
    where,
)

# keras.ops as it is: the return types a checker infers for it are too wide
ops: Any = keras.ops


SHORT = 8192  # samples of a call that becomes one kernel


@dataclasses.dataclass(frozen=True)
class Problem:
    """The fixed part of a recursion: what is compiled once and used for every call."""

    rule: Any  # a Rule
    input_type: str  # "signal", "multi_input" or "regressors"
    taps: int
    inputs: int  # signals per filter: 1, or the channels of "multi_input"
    channels: int | None  # of "signal"; None where the channel axis is missing
    dtype: str  # of the arithmetic
    output_dtype: str
    stateful: bool
    trajectory: bool
    clean: bool = False  # every sample is finite, and every filter adapts

    @property
    def stride(self) -> int:
        """Rows by which the regressor moves on from one sample to the next."""
        return self.taps if self.input_type == "regressors" else self.inputs

    @property
    def unroll(self) -> int | None:
        """Steps in one turn of the loop; None leaves it to the backend.

        With several, carried weights would depend, in their last bit, on where a call
        ends.
        """
        return 1 if self.stateful else None

    def scan(self, step, state, signal, rows, materialise):
        """The recursion over time of a rule that sees one regressor at a time."""
        return scan(
            step,
            state,
            signal,
            self.stride,
            self.size,
            rows,
            materialise,
            self.unroll,
        )

    @property
    def size(self) -> int:
        """Weights of one filter."""
        return self.taps * self.inputs

    @property
    def delay(self) -> int:
        """Samples in a regressor beside the newest."""
        return 0 if self.input_type == "regressors" else self.taps - 1

    @property
    def memory(self) -> int:
        """Earlier samples that the first regressors need."""
        return self.delay + self.rule.order - 1


def swapped(array, first, second):
    """The array with two axes exchanged, which every backend can also map."""
    axes = list(range(len(array.shape)))
    axes[first], axes[second] = axes[second], axes[first]
    return ops.transpose(array, axes)


def columns(weights, problem):
    """Weights as users see them, `(..., channels, taps)`, to `(..., taps, filters)`."""
    shape = tuple(ops.shape(weights))
    if problem.input_type == "regressors":  # (batch, taps)
        return ops.transpose(weights)
    weights = ops.flip(weights, axis=-1)
    if problem.input_type == "multi_input":  # (batch, inputs, taps)
        return ops.reshape(ops.transpose(weights, (2, 1, 0)), (problem.size, shape[0]))
    filters = shape[0] * (problem.channels or 1)
    return ops.transpose(ops.reshape(weights, (filters, problem.taps)))


def rows_of_weights(weights, problem):
    """The way back from `columns`, for `(..., taps, filters)` with leading axes."""
    *lead, _, filters = ops.shape(weights)
    weights = swapped(weights, -1, -2)  # (..., filters, size)
    if problem.input_type == "regressors":
        return weights
    if problem.input_type == "multi_input":
        shape = (*lead, filters, problem.taps, problem.inputs)
        return ops.flip(swapped(ops.reshape(weights, shape), -1, -2), axis=-1)
    weights = ops.flip(weights, axis=-1)
    if problem.channels is None:
        return weights
    batch = filters // problem.channels
    return ops.reshape(weights, (*lead, batch, problem.channels, problem.taps))


def windowed(combine, array, width) -> Any:
    """`combine` of every `width` neighbouring rows, in about log2(width) passes."""
    count = ops.shape(array)[0] - width + 1
    result, offset, reach = None, 0, 1
    while True:
        if width & reach:
            part = array[offset : offset + count]
            result = part if result is None else combine(result, part)
            offset += reach
        reach *= 2
        if reach > width:
            return result
        array = combine(array[: -reach // 2], array[reach // 2 :])


def energy(signal, problem):
    """Power in the delay line before each step, real: `(time, filters)`."""
    power = ops.real(signal * ops.conj(signal))
    rows, filters = ops.shape(power)
    shape = (rows // problem.stride, problem.stride, filters)
    power = ops.sum(ops.reshape(power, shape), axis=1)
    return windowed(ops.add, power, problem.delay + 1)[problem.rule.order - 1 :]


def adapt(arrays, problem, materialise):
    """Filter a whole call: layout, the recursion, and what it came to.

    `arrays` holds `signal`, `desired`, `adapt`, the rule's own parameters, and either
    the `initial_weights` or the `state_...` of the call before.
    """
    samples = ops.size(arrays["signal"])
    short = isinstance(samples, int) and samples <= SHORT
    if short and problem.clean and not materialise and problem.rule.is_plain(problem):
        return one_kernel(lambda arrays: _adapt(arrays, problem, False), arrays)
    return _adapt(arrays, problem, materialise)


def _adapt(arrays, problem, materialise):
    rule, dtype = problem.rule, problem.dtype
    arrays = {name: ops.convert_to_tensor(array) for name, array in arrays.items()}
    signal = ops.cast(arrays["signal"], dtype)
    desired = ops.cast(arrays["desired"], dtype)
    batch, time = ops.shape(signal)[0], ops.shape(signal)[1]
    if isinstance(time, int) and time == 0:
        return _nothing(arrays, problem)
    filters = batch * (problem.channels or 1)

    if problem.input_type == "signal":
        rows = swapped(signal, 0, 1)  # (time, batch) or (time, batch, channels)
    else:
        rows = ops.transpose(signal, (1, 2, 0))  # (time, inputs or taps, batch)
    rows = ops.reshape(rows, (time * problem.stride, filters))
    raw = ops.reshape(swapped(desired, 0, 1), (time, filters))

    if problem.stateful:
        state = {
            name.removeprefix("state_"): array
            for name, array in arrays.items()
            if name.startswith("state_")
        }
        rows = ops.concatenate([state.pop("delay"), rows])
        history = ops.concatenate([state.pop("desired"), raw])
    else:
        weights = arrays["initial_weights"]
        weights = ops.broadcast_to(weights, (batch, *weights.shape))
        state = rule.initial_state(columns(weights, problem), arrays, problem)
        rows = _preceded(rows, problem.memory * problem.stride)
        history = _preceded(raw, rule.order - 1)

    if problem.clean:
        unknown, active, known, wanted = None, None, rows, history
    else:
        # A sample that is not finite freezes its own filter while it is in the delay
        # line; a desired response that is not, while it is the newest.
        earlier = rule.order - 1
        unknown = _unknown(rows, problem, time + earlier, filters)
        usable = ops.logical_not(ops.logical_or(unknown, _isnotfinite(history)))
        unknown = unknown[earlier:]
        active = _allowed(arrays["adapt"], desired, filters)
        active = ops.logical_and(active, usable[earlier:])
        arrays = {**arrays, "usable": usable}  # (time + earlier, filters)
        known, wanted = _finite(rows), _finite(history)
    arrays = {**arrays, "raw": raw}
    if rule.tracks_power:
        power = energy(known, problem)
        if problem.stateful:
            power = maximum(power, state.pop("power"))
        arrays["power"] = cumulative_max(power)
    state, outputs = rule.run(
        state, known, wanted, active, arrays, problem, materialise
    )
    if rule.tracks_power and problem.stateful:
        state["power"] = arrays["power"][-1]
    output = outputs["output"]  # (time, filters)
    if unknown is not None:
        lost = ops.zeros_like(output) + float("nan")
        output = where(unknown, lost, output)
        if "error" in outputs:
            outputs["error"] = where(unknown, lost, outputs["error"])
    # Where the loop gives the error too, it is the one that the weights followed.
    follows = "error" in outputs and (unknown is None or rule.has_own_error)
    error = outputs["error"] if follows else raw - output

    diverged = _diverged(error, raw, unknown, state["weights"])
    result = {"diverged": diverged, "any_diverged": ops.any(diverged)}
    for name, array in (("output", output), ("error", error)):
        array = _unfolded(array, ops.shape(desired))
        result[name] = ops.cast(array, problem.output_dtype)
    if problem.trajectory:
        path = swapped(rows_of_weights(outputs["weights"], problem), 0, 1)
        result["trajectory"] = ops.cast(path, problem.output_dtype)
    if problem.stateful:
        kept = ops.shape(rows)[0] - problem.memory * problem.stride
        state["delay"] = rows[kept:]
        state["desired"] = history[ops.shape(history)[0] - (rule.order - 1) :]
        result["state"] = state
    return result


def _allowed(adapt, desired, filters):
    """Where the caller lets the weights follow the error: `(time, filters)`."""
    allowed = ops.cast(adapt, "bool")
    if len(allowed.shape) == 2 and len(desired.shape) == 3:
        allowed = allowed[..., None]
    allowed = swapped(ops.broadcast_to(allowed, ops.shape(desired)), 0, 1)
    return ops.reshape(allowed, (ops.shape(allowed)[0], filters))


def _nothing(arrays, problem):
    """What a call without samples gives: one frozen step that keeps nothing."""
    problem = dataclasses.replace(problem, clean=False)
    one = {
        **arrays,
        "adapt": ops.zeros((), dtype="bool"),
        **{
            name: ops.pad(arrays[name], [(0, int(axis == 1)) for axis in range(rank)])
            for name in ("signal", "desired")
            for rank in [len(arrays[name].shape)]
        },
    }
    result = adapt(one, problem, False)
    for name in ("output", "error", "trajectory"):
        if name in result:
            result[name] = result[name][:, :0]
    if problem.stateful:
        result["state"] = {name: arrays[f"state_{name}"] for name in result["state"]}
    return result


def _preceded(array, count):
    """`count` rows of silence, then the array."""
    if not count:
        return array
    return ops.pad(array, ((count, 0), (0, 0)))


def _isfinite(array):
    if "complex" in keras.backend.standardize_dtype(array.dtype):
        return ops.logical_and(
            ops.isfinite(ops.real(array)), ops.isfinite(ops.imag(array))
        )
    return ops.isfinite(array)


def _isnotfinite(array):
    return ops.logical_not(_isfinite(array))


def _finite(array):
    return where(_isfinite(array), array, ops.zeros_like(array))


def _unfolded(array, shape):
    """`(time, filters)` to the shape of the desired response."""
    lead = (shape[1], shape[0], *shape[2:])
    return swapped(ops.reshape(array, lead), 0, 1)


def _unknown(rows, problem, count, filters):
    """Where a regressor holds a sample that is not finite: `(count, filters)`."""
    shape = (count + problem.delay, problem.stride, filters)
    bad = ops.any(ops.reshape(_isnotfinite(rows), shape), axis=1)
    return windowed(ops.logical_or, bad, problem.delay + 1)


# Times the power of the desired response and of the first eighth's error: of an error
# that has grown at the end of a call, and of one that came back by itself.
GROWN, CAME_BACK = 100.0, 10_000.0


def _diverged(error, desired, unknown, weights):
    """Which filters ran away: not finite by themselves, or an error that grew.

    The error's power is compared eighth by eighth of the call. The desired response's
    power is the whole call's: in a chunk of ten samples the last may be near zero by
    chance.
    """
    time = ops.shape(error)[0]
    part = time // 8
    broken = ops.logical_not(ops.all(_isfinite(weights), axis=0))
    if unknown is not None:
        missing = ops.logical_not(_isfinite(desired))
        excused = ops.logical_or(unknown, missing)
        error = where(excused, ops.zeros_like(error), error)
        desired = where(missing, ops.zeros_like(desired), desired)
    ends = [(n * part, (n + 1) * part) for n in range(7)] + [(time - part, time)]
    powers = [_power(error[start:end]) for start, end in ends]
    first, last = powers[0], powers[-1]
    largest = functools.reduce(maximum, powers)
    if ONE_KERNEL and unknown is None:  # rarely has an error grown
        wanted = ops.cond(
            ops.any(largest > GROWN * first),
            lambda: _power(desired),
            lambda: ops.zeros_like(last),
        )
    else:
        wanted = _power(desired)
    share = ops.cast(ops.divide(part, ops.maximum(time, 1)), last.dtype)
    reference = maximum(first, wanted * share)
    grown = ops.logical_or(last > GROWN * reference, largest > CAME_BACK * reference)
    lost = ops.logical_not(_isfinite(functools.reduce(ops.add, powers)))
    return ops.logical_or(ops.logical_or(grown, lost), broken)


def _power(array):
    """The squares summed over time.

    Of a short array in a loop. One kernel takes no long sum; and XLA estimates a
    program by one turn of its loops, and runs one that looks cheap at once, without the
    wait for another thread, which takes longer than a short signal.
    """
    shape = ops.shape(array)
    known = all(isinstance(size, int) for size in shape) and 0 not in shape
    on_cpu = ONE_KERNEL and elements_at_once() is not None
    if not (on_cpu and known) or math.prod(shape) > SHORT:
        return ops.sum(_squared(array), axis=0)
    time, filters = shape
    piece = min(max(1, 64 // filters), time)
    whole = time // piece * piece

    def add(n, total):
        part = ops.slice(array, (n * piece, 0), (piece, filters))
        return total + ops.sum(_squared(part), axis=0)

    total = ops.sum(_squared(array[whole:]), axis=0)
    return ops.fori_loop(0, whole // piece, add, total)


def _squared(array):
    return ops.real(array * ops.conj(array))


def inner_dtype(dtype, complex_valued):
    """The data type of the arithmetic: at least float32, complex where asked."""
    wide = "float64" if dtype == "float64" else "float32"
    if complex_valued:
        return {"float32": "complex64", "float64": "complex128"}[wide]
    return wide


def all_finite(arrays):
    """Whether all arrays, all of them on the host, are finite: one reading of each."""
    return all(_is_finite(value_of(array)) for array in arrays)


def _is_finite(values):
    if values.dtype.kind in "fc":  # one product, which a NaN or an infinity outlives
        values = values.ravel()
        return bool(np.isfinite(np.vdot(values, values)))
    return bool(np.isfinite(values).all())
