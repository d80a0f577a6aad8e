"""The plain LMS recursion in loops of the processor, compiled by numba if it is there.

For a backend that has no loop of its own: eager PyTorch, which takes a hundred times as
long. Not for gradients, inside a graph or on a GPU: there the backend's blocks run.
"""

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import keras
import numpy as np

from dlkeras.layers.backend import computes_on_host, from_host, on_host
from dlkeras.layers.lms_rule import LMSRule

# keras.ops as it is: the return types a checker infers for it are too wide
ops: Any = keras.ops

# Measured (`benchmarks/lms.py`): weights that stay in the near caches, and products of
# a call from which on threads are worth their start.
NEAR, LARGE = 2**15, 2**26
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
    rule = problem.rule
    fits = isinstance(rule, LMSRule) and rule.is_plain(problem)
    fits = fits and rule.algorithm in ("lms", "nlms")
    fits = fits and problem.input_type == "signal" and "float" in problem.dtype
    if not (fits and installed()):
        return compiled

    def call(arrays):
        if 0 not in arrays["desired"].shape and computes_on_host(arrays.values()):
            return _filtered(arrays, problem)
        return compiled(arrays)

    return call


def _filtered(arrays, problem):
    signal, desired = (on_host(arrays[name]) for name in ("signal", "desired"))
    shape, taps = desired.shape, problem.taps
    batch, time = shape[:2]
    filters = desired.size // time
    if problem.stateful:  # in the data type of the weights that are carried
        weights = np.array(on_host(arrays["state_weights"]))
        before = on_host(arrays["state_delay"])
    else:
        initial = np.asarray(on_host(arrays["initial_weights"]), problem.dtype)
        initial = initial.reshape(-1, taps)[:, ::-1].T  # oldest first
        weights = np.ascontiguousarray(np.tile(initial, batch))
        before = np.zeros((taps - 1, filters), problem.dtype)
    number, inner = weights.dtype.type, weights.dtype.name
    step, epsilon = number(on_host(arrays["step_size"])), number(problem.rule.epsilon)
    options = step, problem.rule.algorithm == "nlms", epsilon
    signal, desired = (_by_time(array, weights.dtype) for array in (signal, desired))
    outputs = np.empty((2, time, filters), weights.dtype)
    diverged = np.empty(filters, np.bool_)
    one, many, ran_away = _loops()
    lead = min(taps - 1, time)  # samples whose regressors reach before the call

    def run(group):
        if group == slice(0, filters):
            wanted, samples, found = np.ascontiguousarray(desired), signal, outputs
            first, own = before, weights
        else:
            wanted, samples, first, own = (
                np.ascontiguousarray(array[:, group])
                for array in (desired, signal, before, weights)
            )
            found = np.empty((2, *wanted.shape), weights.dtype)
        samples = np.ascontiguousarray(samples)
        beginning = np.concatenate([first, samples[:lead]], dtype=weights.dtype)
        parts = [(beginning, wanted[:lead], *found[:, :lead])]
        if time > lead:
            parts.append((samples, wanted[lead:], *found[:, lead:]))
        for part in parts:
            if filters == 1:
                one(*(array.reshape(-1) for array in (own, *part)), *options)
            else:
                many(own, *part, *options)
        ran_away(wanted, found[1], own, diverged[group])
        if found is not outputs:
            outputs[:, :, group] = found
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
    for name, array in zip(("output", "error"), outputs, strict=True):
        if batch > 1:
            array = array.reshape(time, batch, -1).swapaxes(0, 1)
        array = from_host(np.ascontiguousarray(array).reshape(shape))
        if problem.output_dtype != inner:
            array = ops.cast(array, problem.output_dtype)
        result[name] = array
    if problem.stateful:
        delay = np.concatenate([before, signal], dtype=before.dtype)[time:]
        result["state"] = {
            "weights": from_host(weights),
            "delay": from_host(delay),
            "desired": arrays["state_desired"],
        }
    return result


def _by_time(array, dtype):
    """`(batch, time)` or `(batch, time, channels)` to `(time, filters)`."""
    array = np.asarray(array, dtype)
    if array.ndim == 2:
        return array.T
    if array.shape[0] == 1:
        return array[0]
    return array.swapaxes(0, 1).reshape(array.shape[1], -1)


def _processors():
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def _loops() -> Any:
    """Loops of one filter, of many side by side, and over who diverged; compiled once.

    `window` begins `taps - 1` samples before `desired`. What it is to diverge is said
    in `recursions._diverged`.
    """
    from numba import njit

    compiled = njit(nogil=True, fastmath=FAST_MATH, error_model="numpy")

    @compiled
    def one(weights, window, desired, output, error, step, normalised, epsilon):
        taps = weights.shape[0]
        gain = step
        for n in range(desired.shape[0]):
            total = step - step  # a zero of its type
            for k in range(taps):
                total += weights[k] * window[n + k]
            wrong = desired[n] - total
            output[n], error[n] = total, wrong
            if normalised:
                power = epsilon
                for k in range(taps):
                    power += window[n + k] * window[n + k]
                gain = step / power
            push = gain * wrong
            for k in range(taps):
                weights[k] += push * window[n + k]

    @compiled
    def many(weights, window, desired, output, error, step, normalised, epsilon):
        taps, width = weights.shape
        push, power = np.empty(width, window.dtype), np.empty(width, window.dtype)
        for n in range(desired.shape[0]):
            for c in range(width):
                output[n, c] = 0
            for k in range(taps):
                for c in range(width):
                    output[n, c] += weights[k, c] * window[n + k, c]
            for c in range(width):
                wrong = desired[n, c] - output[n, c]
                error[n, c] = wrong
                push[c] = step * wrong
            if normalised:
                for c in range(width):
                    power[c] = epsilon
                for k in range(taps):
                    for c in range(width):
                        power[c] += window[n + k, c] * window[n + k, c]
                for c in range(width):
                    push[c] /= power[c]
            for k in range(taps):
                for c in range(width):
                    weights[k, c] += push[c] * window[n + k, c]

    @compiled
    def ran_away(desired, error, weights, diverged):
        taps, width = weights.shape
        time = desired.shape[0]
        part = time // 8
        first, last, wanted = np.zeros(width), np.zeros(width), np.zeros(width)
        for n in range(part):
            for c in range(width):
                first[c] += np.float64(error[n, c]) ** 2
                last[c] += np.float64(error[time - part + n, c]) ** 2
        for n in range(time if (last > 100.0 * first).any() else 0):
            for c in range(width):
                wanted[c] += np.float64(desired[n, c]) ** 2
        for c in range(width):
            broken = False
            for k in range(taps):
                broken |= not np.isfinite(weights[k, c])
            grown = last[c] > 100.0 * max(first[c], wanted[c] * part / time)
            diverged[c] = grown or broken or not np.isfinite(last[c])

    return one, many, ran_away
