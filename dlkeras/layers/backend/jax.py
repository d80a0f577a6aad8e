"""The adaptive filters' recursion over time as one XLA loop, spoken in JAX."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

BLOCK = 1


def elements_at_once():
    """2,048 on a CPU: XLA spreads more over threads; measured, not documented."""
    return 2048 if jax.default_backend() == "cpu" else None


def scan(step, state, signal, stride, taps, rows, materialise):
    """Run `step` over time; the frame is a slice of the signal inside the loop."""
    steps = jax.tree.leaves(rows)[0].shape[0]
    starts = np.arange(steps, dtype="int32") * stride
    if materialise:
        frames = signal[starts[:, None] + np.arange(taps)]  # (steps, taps, filters)
        return lax.scan(lambda s, t: step(s, *t), state, (frames, rows))

    def body(carry, at):
        start, row = at
        return step(carry, lax.dynamic_slice_in_dim(signal, start, taps), row)

    return lax.scan(body, state, (jnp.asarray(starts), rows))


# The gradient of a moving slice is as long as the signal at every step. So the
# backward pass runs the recursion again on frames laid out side by side.
@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 2))
def _differentiable(function, arrays, options):
    return function(arrays, options, False)


def _forward(function, arrays, options):
    return _differentiable(function, arrays, options), arrays


def _backward(function, options, arrays, cotangents):
    _, pull_back = jax.vjp(lambda a: function(a, options, True), arrays)
    return pull_back(cotangents)


_differentiable.defvjp(_forward, _backward)
fused = functools.partial(jax.jit, static_argnums=(0, 2))(_differentiable)


def value_of(tensor) -> Any:
    """The tensor's value as a NumPy array; None while it is traced and has none."""
    return None if isinstance(tensor, jax.core.Tracer) else np.asarray(tensor)


def on_flag(flag, arrays, action, words):
    """Call `action` where the flag is true; from a compiled graph as a callback."""
    del words

    def arrived(flag, *arrays):
        if flag:
            action(*(np.asarray(array) for array in arrays))

    if isinstance(flag, jax.core.Tracer):
        jax.debug.callback(arrived, flag, *arrays)
    else:
        arrived(flag, *arrays)


def fused_batch_normalization(x, axis, gamma, beta, statistics, epsilon) -> Any:
    """None: Keras's own operations are used."""
    del x, axis, gamma, beta, statistics, epsilon
