"""The adaptive filters' recursion over time as one XLA loop, spoken in JAX."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata

BLOCK = 1
BLOCK_DTYPES = {}
ONE_KERNEL = True
# Bytes of an array that a compiled call takes in sooner than `device_put` does.
COPIED_BY_CALLS = 2**17


def elements_at_once():
    """2,048 on a CPU: XLA spreads more over threads; measured, not documented."""
    return 2048 if jax.default_backend() == "cpu" else None


def scan(step, state, signal, stride, taps, rows, materialise, unroll=1):
    """Run `step` over time; the frame is a slice of the signal inside the loop."""
    steps = jax.tree.leaves(rows)[0].shape[0]
    starts = np.arange(steps, dtype="int32") * stride
    if materialise:
        frames = signal[starts[:, None] + np.arange(taps)]  # (steps, taps, filters)
        return lax.scan(lambda s, t: step(s, *t), state, (frames, rows))

    def body(carry, at):
        start, row = at
        return step(carry, lax.dynamic_slice_in_dim(signal, start, taps), row)

    return lax.scan(body, state, (jnp.asarray(starts), rows), unroll=unroll)


def one_kernel(function, *arrays):
    """`function(*arrays)`, on a CPU as one kernel: no dispatch for each operation.

    XLA's CPU runtime calls every operation of a large loop by itself, which takes
    longer than the arithmetic of a sample. A call marked as small becomes one function,
    as XLA does by itself with loops that touch less than a kilobyte. Without products
    of matrices and without sums over more than `elements_at_once()`, which it hands to
    libraries and refuses inside such a call.
    """
    empty = any(array.size == 0 for array in jax.tree.leaves(arrays))
    if empty or jax.default_backend() != "cpu":  # XLA aborts on empty arrays there
        return function(*arrays)

    @jax.custom_batching.custom_vmap
    def run(*arrays):
        marks = {"inlineable": "false", "xla_cpu_small_call": "true"}
        return set_xla_metadata(jax.jit(function)(*arrays), **marks)

    @run.def_vmap
    def _batched(size, is_batched, *arrays):
        axes = jax.tree.map(lambda batched: 0 if batched else None, is_batched)
        outputs = jax.vmap(function, in_axes=tuple(axes), axis_size=size)(*arrays)
        return outputs, jax.tree.map(lambda _: True, outputs)

    return run(*arrays)


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


@functools.cache
def fused(function, options):
    """`function(arrays, options, materialise)` as one differentiable XLA call."""
    return jax.jit(lambda arrays: _differentiable(function, arrays, options))


def value_of(tensor) -> Any:
    """The tensor's value as a NumPy array; None while it is traced and has none."""
    return None if isinstance(tensor, jax.core.Tracer) else np.asarray(tensor)


def is_on_host(tensor):
    """Whether it has a value, and in the processor's memory."""
    if isinstance(tensor, np.ndarray):
        return True
    if isinstance(tensor, jax.core.Tracer) or not tensor.is_fully_addressable:
        return False
    return len(devices := tensor.devices()) == 1 and devices.pop().platform == "cpu"


def on_host(tensor) -> Any:
    """The value of a tensor that `is_on_host`, not copied."""
    return np.asarray(tensor)


def sent(array):
    """A large NumPy array as JAX's: a compiled call would take longer to copy it."""
    if isinstance(array, np.ndarray) and array.nbytes > COPIED_BY_CALLS:
        return jax.device_put(array, may_alias=False)
    return array


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


def pointwise_convolution(x, kernel, strides) -> Any:
    """None: the backend's own convolution trains as fast."""
    del x, kernel, strides
    return None
