"""The report of an adaptive filter that ran away, with the bound that was broken."""

import warnings
from typing import Any

import keras
import numpy as np

from dlkeras.layers.adaptive.backend import on_flag

# keras.ops as it is: the return types a checker infers for it are too wide
ops: Any = keras.ops


def regressors(problem, signal, column):
    """The regressors that one filter saw, from its signal: `(time, size)`, finite."""
    if problem.input_type == "regressors":
        frames = signal[column]
    else:
        if problem.input_type == "multi_input":
            own = signal[column]  # (time, inputs)
        else:
            channels = problem.channels or 1
            own = signal.reshape(*signal.shape[:2], channels)
            own = own[column // channels, :, column % channels, None]
        own = np.pad(own, ((problem.taps - 1, 0), (0, 0)))
        frames = np.lib.stride_tricks.sliding_window_view(own, problem.taps, axis=0)
        frames = frames.reshape(frames.shape[0], -1)
    return frames[np.isfinite(frames).all(axis=1)]


def bounds(problem, signal, column):
    """Safe, mean-square and mean bound of the step size for what one filter saw."""
    from dlkeras.optimization import stability  # only where something has gone wrong

    frames = regressors(problem, signal, column).astype(problem.dtype, copy=False)
    if not len(frames):
        return float("inf"), float("inf"), float("inf")
    wide = "complex128" if "complex" in problem.dtype else "float64"
    frames = frames[-max(20_000_000 // frames.shape[1], 1) :].astype(wide)
    eigenvalues = np.linalg.eigvalsh(frames.T.conj() @ frames / len(frames))
    eigenvalues = np.maximum(eigenvalues, 0.0)
    complex_valued = "complex" in problem.dtype
    return (
        stability.safe_bound(eigenvalues),
        stability.mean_square_bound(eigenvalues, complex_valued),
        stability.mean_bound(eigenvalues),
    )


def bounds_of_strongest(problem, signal):
    """The bounds of the filter whose signal has the most power."""
    power = np.nan_to_num(np.abs(signal), posinf=0.0) ** 2
    if problem.input_type == "signal":
        power = power.mean(axis=1).reshape(-1)
    else:
        power = power.mean(axis=(1, 2))
    return bounds(problem, signal, int(power.argmax()))


def in_words(safe, mean_square, mean):
    """The bounds of the step size as a message says them, the safe one first."""
    return (
        f"below {safe:.4g}, the safe bound 2 / (3 tr R) for this signal (a delay line "
        f"may run away from there on; regressors that are independent of each other "
        f"from {mean_square:.4g}, the mean weights from {mean:.4g})"
    )


def tell(layer, problem, diverged, signal):
    """Raise or warn that filters diverged: which ones, and what they should respect."""
    which = np.flatnonzero(diverged)
    expectation = problem.rule.expectation(
        lambda: bounds(problem, np.asarray(signal), int(which[0]))
    )
    shown = ", ".join(map(str, which[:5])) + (", ..." if len(which) > 5 else "")
    message = (
        f"{type(layer).__name__} {layer.name!r} diverged in {len(which)} of "
        f"{len(diverged)} filters (number {shown}; filters count channels within batch "
        f"rows): expected {expectation}. Received: {layer.received()}"
    )
    if layer.on_divergence == "raise":
        raise FloatingPointError(message)
    warnings.warn(message, RuntimeWarning, stacklevel=2)


def report(layer, problem, result, signal):
    """Tell of filters that diverged, now or when a compiled graph runs."""
    if layer.on_divergence == "ignore":
        return

    def words():
        power = ops.max(ops.mean(ops.square(ops.abs(signal)), axis=1))
        return [
            f"{type(layer).__name__} {layer.name!r} diverged. "
            f"Received: {layer.received()}. The safe step_size of plain LMS for these "
            "signals, 2 / (3 tr R), is below:",
            2.0 / (3.0 * problem.size * power),
        ]

    on_flag(
        result["any_diverged"],
        (result["diverged"], signal),
        lambda diverged, signal: tell(layer, problem, diverged, signal),
        words,
    )
