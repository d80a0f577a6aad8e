"""The adaptive filters' recursion over time as one XLA loop, spoken in JAX."""

import functools
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dlkeras.private_names import private

BLOCK = 1
BLOCK_DTYPES = {}
ONE_KERNEL = True
# Steps in one turn of a loop: a GPU pays more for a turn than for a step.
GPU_UNROLL = 8
EXPORTERS = ("jax._src.export.", "jax.experimental.jax2tf.", "keras.src.export.")


def elements_at_once():
    """2,048 on a CPU: XLA spreads more over threads; measured, not documented."""
    return 2048 if jax.default_backend() == "cpu" else None


def scan(step, state, signal, stride, taps, rows, materialise, unroll=None):
    """Run `step` over time; the frame is a slice of the signal inside the loop."""
    steps = jax.tree.leaves(rows)[0].shape[0]
    starts = np.arange(steps, dtype="int32") * stride
    if materialise:
        frames = signal[starts[:, None] + np.arange(taps)]  # (steps, taps, filters)
        return lax.scan(lambda s, t: step(s, *t), state, (frames, rows))

    def body(carry, at):
        start, row = at
        return step(carry, lax.dynamic_slice_in_dim(signal, start, taps), row)

    if unroll is None:
        unroll = 1 if jax.default_backend() == "cpu" else GPU_UNROLL
    return lax.scan(body, state, (jnp.asarray(starts), rows), unroll=unroll)


def lms_kernel(loop, arrays, stride, signs) -> Any:
    """The plain recursion as one kernel of an NVIDIA GPU; elsewhere `loop(*arrays)`."""
    state, signal, rows, _ = arrays
    small = _power_of_two(state["weights"].shape[0]) <= MOST_TAPS
    real = jnp.issubdtype(rows["desired"].dtype, jnp.floating)
    fits = small and 0 < signal.size < 2**31
    if not (fits and real and rows["desired"].size and _has_triton()):
        return loop(*arrays)

    def kernel(state, signal, rows, shared):
        step = {**rows, **shared}["step"]
        weights, output = pallas_lms(
            state["weights"], signal, rows["desired"], step, stride=stride, signs=signs
        )
        return {"weights": weights}, {"output": output}

    return lax.platform_dependent(*arrays, cuda=kernel, default=loop)


# Measured on an H100: weights of a thread block, filters in it, and how many
# filters fill the GPU with wide thread blocks.
BLOCK_WEIGHTS, NARROW_BLOCK, WIDE_BLOCK, MANY = 8192, 8, 32, 4096
MOST_TAPS = BLOCK_WEIGHTS // NARROW_BLOCK


def _power_of_two(number):
    return 1 << (number - 1).bit_length()


@functools.cache
def _has_triton():
    """Whether Pallas writes kernels for the default device in Triton's language.

    JAX 0.11 says that a version to come will not.
    """
    device = jax.devices()[0]
    if device.platform != "gpu":
        return False
    capability = getattr(device, "compute_capability", None) or "0"
    triton = private("jax.experimental.pallas.triton")
    return float(capability) >= 8.0 and hasattr(triton, "CompilerParams")


def pallas_lms(weights, signal, desired, step, *, stride, signs, interpret=False):
    """The plain LMS recursion of real filters in one Pallas kernel.

    A loop of XLA's launches kernels for every sample. Here a thread block has some
    filters, holds their weights in registers, and goes through time by itself.

    Args:
        weights: `(taps, filters)`.
        signal: rows of samples, `(time * stride + taps - stride, filters)`.
        desired: `(time, filters)`.
        step: step sizes, `(time, filters)`, or one that can be broadcast to them.
        stride: rows by which the regressor moves on.
        signs: whether the weights follow the error's sign, and the regressor's.
        interpret: run it without a GPU, for tests.

    Returns:
        The last weights, and the output, `(time, filters)`.
    """
    pl = private("jax.experimental.pallas")
    triton = private("jax.experimental.pallas.triton")
    size, (time, filters) = weights.shape[0], desired.shape
    tall = _power_of_two(size)  # Triton's arrays are powers of two
    room = max(NARROW_BLOCK, BLOCK_WEIGHTS // tall)
    width = min(WIDE_BLOCK if filters >= MANY else NARROW_BLOCK, room)
    left = -filters % width
    varies = step.ndim == 2
    steps = step if varies else jnp.broadcast_to(step, (1, filters))

    def kernel(weights_ref, signal_ref, desired_ref, step_ref, last_ref, output_ref):
        inside = lax.broadcasted_iota("int32", (tall, width), 0) < size

        def sample(n, weights):
            frame = signal_ref[pl.ds(n * stride, tall), :]
            frame = jnp.where(inside, frame, 0.0)
            output = jnp.sum(weights * frame, axis=0)
            output_ref[n, :] = output
            error = desired_ref[n, :] - output
            push = step_ref[n if varies else 0, :] * (
                jnp.sign(error) if signs[0] else error
            )
            return weights + push[None] * (jnp.sign(frame) if signs[1] else frame)

        last_ref[...] = lax.fori_loop(0, time, sample, weights_ref[...])

    def columns(rows):
        return pl.BlockSpec((rows, width), lambda block: (0, block))

    def padded(array, rows):
        return jnp.pad(array, ((0, rows - array.shape[0]), (0, left)))

    rows = max((time - 1) * stride + tall, signal.shape[0])
    last, output = pl.pallas_call(
        kernel,
        grid=((filters + left) // width,),
        in_specs=[columns(tall), columns(rows), columns(time), columns(len(steps))],
        out_specs=[columns(tall), columns(time)],
        out_shape=[
            jax.ShapeDtypeStruct((length, filters + left), desired.dtype)
            for length in (tall, time)
        ],
        compiler_params=triton.CompilerParams(
            num_warps=1 if tall * width <= 1024 else 4, num_stages=2
        ),
        interpret=interpret,
    )(
        padded(weights, tall),
        padded(signal, rows),
        padded(desired, time),
        padded(steps, len(steps)),
    )
    return last[:size, :filters], output[:, :filters]


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
        outputs = jax.jit(function)(*arrays)
        mark = private("jax.experimental.xla_metadata.set_xla_metadata")
        return outputs if mark is None else mark(outputs, **marks)

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
    """`function(arrays, options, materialise)` as one differentiable XLA call.

    A GPU rounds the factors of products of matrices to 10 bits unless told otherwise,
    which a recursion over thousands of samples does not stand.
    """

    def run(arrays):
        with jax.default_matmul_precision("highest"):
            return _differentiable(function, arrays, options)

    return jax.jit(run)


def value_of(tensor) -> Any:
    """The tensor's value as a NumPy array; None while it is traced and has none."""
    return None if isinstance(tensor, jax.core.Tracer) else np.asarray(tensor)


def is_slow_to_read(value):
    """False: a variable's value is at hand."""
    del value
    return False


def is_on_host(tensor):
    """Whether it has a value, and in the processor's memory."""
    if isinstance(tensor, np.ndarray):
        return True
    if isinstance(tensor, jax.core.Tracer) or not tensor.is_fully_addressable:
        return False
    return len(devices := tensor.devices()) == 1 and devices.pop().platform == "cpu"


def computes_on_host(arrays):
    """False: loops of XLA are as fast."""
    del arrays
    return False


def empty(shape, dtype):
    """A NumPy array for `from_host`, which need not copy it."""
    return np.empty(shape, dtype)


def from_host(array):
    """A NumPy array that nobody else has, as a tensor."""
    return jnp.asarray(array)


def where(condition, a, b):
    """`a` where the condition holds, else `b`."""
    return jnp.where(condition, a, b)


def cumulative_max(array):
    """The largest value so far along the first axis."""
    return lax.cummax(array)


def on_flag(flag, arrays, action, words):
    """Call `action` where the flag is true; from a compiled graph as a callback."""
    del words

    def arrived(flag, *arrays):
        if flag:
            action(*(np.asarray(array) for array in arrays))

    if not isinstance(flag, jax.core.Tracer):
        arrived(flag, *arrays)
    elif not _is_exporting():
        jax.debug.callback(arrived, flag, *arrays)


def _is_exporting():
    """Whether this is traced for a program that runs elsewhere, without callbacks.

    JAX has no public name for the question: the modules that called tell.
    """
    frame = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(EXPORTERS):
            return True
        frame = frame.f_back
    return False
