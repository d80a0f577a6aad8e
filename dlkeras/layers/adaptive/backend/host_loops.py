"""The plain LMS recursion in loops of the processor, compiled by numba if it is there.

For eager PyTorch, which has no loop of its own and takes a hundred times as long, and
eager TensorFlow, whose programs take longer to start than a short signal. Not for
gradients, inside a graph or on a GPU: there the backend's own recursion runs.
"""

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import keras
import numpy as np

from dlkeras.layers.adaptive.backend import (
    computes_on_host,
    empty,
    from_host,
    value_of,
)
from dlkeras.layers.adaptive.recursions import CAME_BACK, GROWN

# keras.ops as it is: the return types a checker infers for it are too wide
ops: Any = keras.ops

# Measured (`benchmarks/lms.py`): weights that stay in the near caches, and products of
# a call from which on threads are worth their start.
NEAR, LARGE = 2**15, 2**24
# From so many taps on, or below so many filters, one after the other is faster; from
# so many taps on side by side, to have the next sample's sum on the way.
LONG, FEW, AHEAD = 192, 8, 8
# Sums in any order fill the vector registers. Infinities and NaN stay what they are: a
# filter that diverges has both.
FAST_MATH = {"reassoc", "contract", "nsz", "arcp"}


def installed() -> bool:
    """Whether numba is there to compile the loops."""
    return find_spec("numba") is not None


def host_filter(problem, compiled: Callable) -> Callable:
    """The call of a filter: loops of the processor where they apply, or `compiled`.

    Args:
        problem: the fixed part of the recursion.
        compiled: the backend's call, `compiled(arrays)`.
    """
    if not (problem.rule.runs_on_host(problem) and installed()):
        return compiled

    def call(arrays):
        if 0 not in arrays["desired"].shape and computes_on_host(arrays.values()):
            return _filtered(arrays, problem)
        return compiled(arrays)

    return call


def _filtered(arrays, problem):
    signal, desired = value_of(arrays["signal"]), value_of(arrays["desired"])
    shape, taps, rule = desired.shape, problem.taps, problem.rule
    batch, time = shape[:2]
    filters = desired.size // time
    if problem.stateful:  # in the data type of the weights that are carried
        weights = np.array(value_of(arrays["state_weights"]))
        before = value_of(arrays["state_delay"])
    else:
        initial = np.asarray(value_of(arrays["initial_weights"]), problem.dtype)
        initial = initial.reshape(-1, taps)[:, ::-1].T  # oldest first
        weights = (
            np.array(initial, order="C") if batch == 1 else np.tile(initial, batch)
        )
        before = np.zeros((taps - 1, filters), weights.dtype)
    dtype = weights.dtype
    # A fixed regularisation, or a share of the largest power so far.
    step, fixed, share = np.array(
        (value_of(arrays["step_size"]), rule.epsilon or 0.0, rule.share(problem)), dtype
    )
    if rule.tracks_power and problem.stateful:
        largest = np.array(value_of(arrays["state_power"]))
    else:
        largest = np.zeros(filters, dtype)
    options = step, fixed, share, largest
    signal, desired = _by_time(signal, dtype), _by_time(desired, dtype)
    output, error = empty((time, filters), dtype), empty((time, filters), dtype)
    diverged = np.empty(filters, np.bool_)
    # Not of `time`: the chunks of a signal go through the same loop.
    alone = taps >= LONG or filters < FEW
    each, many, ran_away = _loops(rule.algorithm == "nlms")
    parts = []
    if not alone:
        lead = min(taps - 1, time)  # samples whose regressors reach before the call
        beginning = np.concatenate([before, signal[:lead]], dtype=dtype)
        parts.append((beginning, desired[:lead], output[:lead], error[:lead]))
        if time > lead:
            rest = (array[lead:] for array in (desired, output, error))
            parts.append((signal, *rest))

    def run(group):
        own, first = np.ascontiguousarray(weights[:, group]), np.uintp(group.start)
        if alone:
            each(own, before, signal, desired, output, error, first, *options)
        for part in parts:
            many(own, *part, first, *options)
        ran_away(desired, error, own, first, diverged)
        weights[:, group] = own

    large = filters * time * taps >= LARGE
    workers = _processors() if large and filters > 1 else 1
    width = max(min(NEAR // taps, -(-filters // workers)), 16)
    groups = [slice(n, min(n + width, filters)) for n in range(0, filters, width)]
    if workers == 1 or len(groups) == 1:
        for group in groups:
            run(group)
    else:
        # Threads of this call alone: those of a pool that is kept end with a fork.
        with ThreadPoolExecutor(min(len(groups), workers)) as pool:
            list(pool.map(run, groups))

    result = {"diverged": diverged, "any_diverged": np.asarray(diverged.any())}
    for name, array in (("output", output), ("error", error)):
        if batch > 1:
            array = array.reshape(time, batch, -1).swapaxes(0, 1)
            array = np.ascontiguousarray(array)
        array = from_host(array.reshape(shape))
        if problem.output_dtype != dtype:
            array = ops.cast(array, problem.output_dtype)
        result[name] = array
    if problem.stateful:
        delay = np.concatenate([before, signal], dtype=before.dtype)[time:]
        result["state"] = {
            "weights": weights,
            "delay": delay,
            "desired": arrays["state_desired"],
        }
        if rule.tracks_power:
            result["state"]["power"] = largest
    return result


def _by_time(array, dtype):
    """`(batch, time)` or `(batch, time, channels)` to `(time, filters)`."""
    array = np.ascontiguousarray(array, dtype)
    if array.shape[0] == 1:
        return array.reshape(array.shape[1], -1)
    array = array.swapaxes(0, 1).reshape(array.shape[1], -1)
    return np.ascontiguousarray(array)


def _processors():
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def _loops(normalised: bool) -> Any:
    """Loops over filters, one by one or side by side, and over who diverged.

    Compiled once, with and without the normalisation. They compute the filters from
    number `first` on, as many as there are `weights`. `window` begins `taps - 1`
    samples before `desired`. What it is to diverge is said in `recursions._diverged`.
    Widths and `first` have no sign, or numba asks at each index whether it counts from
    the end, and nothing becomes a vector's.
    """
    from numba import njit

    compiled = njit(nogil=True, fastmath=FAST_MATH, error_model="numpy")

    @compiled
    def each(weights, before, samples, desired, output, error, first,
             step, fixed, share, largest):  # fmt: skip
        taps, time, lead = weights.shape[0], desired.shape[0], before.shape[0]
        signal = np.empty(lead + time, samples.dtype)
        for c in range(weights.shape[1]):
            column = first + np.uintp(c)
            one, wanted = weights[:, c].copy(), desired[:, column].copy()
            signal[:lead], signal[lead:] = before[:, column], samples[:, column]
            gain = step
            for n in range(time):
                total = step - step  # a zero of its type
                for k in range(taps):
                    total += one[k] * signal[n + k]
                wrong = wanted[n] - total
                output[n, column], error[n, column] = total, wrong
                if normalised:
                    power = step - step
                    for k in range(taps):
                        power += signal[n + k] * signal[n + k]
                    largest[column] = max(largest[column], power)
                    power += fixed + share * largest[column]
                    gain = step / power if power > 0 else step - step
                push = gain * wrong
                for k in range(taps):
                    one[k] += push * signal[n + k]
            weights[:, c] = one

    @compiled
    def many(weights, window, desired, output, error, first,
             step, fixed, share, largest):  # fmt: skip
        taps, width = weights.shape
        width, time = np.uintp(width), desired.shape[0]
        total, push = np.empty(width, window.dtype), np.empty(width, window.dtype)
        power = np.empty(width, window.dtype)
        for n in range(time):
            if n == 0 or taps < AHEAD:
                for c in range(width):
                    total[c] = 0
                for k in range(taps):
                    for c in range(width):
                        total[c] += weights[k, c] * window[n + k, first + c]
            # Two loops: of more than four arrays none becomes a vector's.
            for c in range(width):
                output[n, first + c] = total[c]
                error[n, first + c] = desired[n, first + c] - total[c]
            for c in range(width):
                push[c] = step * error[n, first + c]
            if normalised:
                for c in range(width):
                    power[c] = 0
                for k in range(taps):
                    for c in range(width):
                        sample = window[n + k, first + c]
                        power[c] += sample * sample
                for c in range(width):
                    largest[first + c] = max(largest[first + c], power[c])
                    power[c] += fixed + share * largest[first + c]
                    push[c] = push[c] / power[c] if power[c] > 0 else 0
            if taps < AHEAD or n + 1 == time:
                for k in range(taps):
                    for c in range(width):
                        weights[k, c] += push[c] * window[n + k, first + c]
            else:  # and the next sample's sum, while the weights are at hand
                for c in range(width):
                    total[c] = 0
                for k in range(taps):
                    for c in range(width):
                        new = weights[k, c] + push[c] * window[n + k, first + c]
                        weights[k, c] = new
                        total[c] += new * window[n + k + 1, first + c]

    @compiled
    def power_of(error):
        power = 0.0
        for n in range(error.shape[0]):
            power += np.float64(error[n]) ** 2
        return power

    @compiled
    def ran_away(desired, error, weights, first_filter, diverged):
        taps, width = weights.shape
        width = np.uintp(width)
        time = desired.shape[0]
        part = time // 8
        powers, wanted = np.zeros((8, width)), np.zeros(width)
        for k in range(8):
            start = time - part if k == 7 else k * part
            if desired.shape[1] == 1:  # contiguous: samples, not filters, are a vector
                powers[k, 0] = power_of(error.reshape(time)[start : start + part])
                continue
            for n in range(start, start + part):
                for c in range(width):
                    powers[k, c] += np.float64(error[n, first_filter + c]) ** 2
        for n in range(time if (powers > GROWN * powers[0]).any() else 0):
            for c in range(width):
                wanted[c] += np.float64(desired[n, first_filter + c]) ** 2
        for c in range(width):
            found = False
            for k in range(taps):
                found |= not np.isfinite(weights[k, c])
            reference = max(powers[0, c], wanted[c] * part / time)
            found |= powers[7, c] > GROWN * reference
            for k in range(8):
                found |= powers[k, c] > CAME_BACK * reference
                found |= not np.isfinite(powers[k, c])
            diverged[first_filter + c] = found

    return each, many, ran_away
