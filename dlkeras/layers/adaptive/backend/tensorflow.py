"""The adaptive filters' recursion over time as one XLA loop, spoken in TensorFlow."""

import functools
import math
from typing import Any

import numpy as np
import tensorflow as tf

from dlkeras.private_names import private

# TensorFlow has no public name for the question whether a tape is on.
_may_record = private("tensorflow.python.eager.record.could_possibly_record") or (
    lambda: True
)

_ALIGNED = 64  # bytes

BLOCK = 1
BLOCK_DTYPES = {}
ONE_KERNEL = False


def elements_at_once():
    """2,048 on a CPU: XLA spreads more over threads; measured, not documented."""
    return None if _has_gpu() else 2048


def scan(step, state, signal, stride, taps, rows, materialise, unroll=None):
    """Run `step` over time; the frame is a slice of the signal inside the loop."""
    del unroll  # `while_loop` cannot
    first = tf.nest.flatten(rows)[0]
    steps = first.shape[0] if first.shape[0] is not None else tf.shape(first)[0]
    if materialise:
        index = tf.range(steps)[:, None] * stride + tf.range(taps)
        arrays = tf.nest.map_structure(_unstacked, (tf.gather(signal, index), rows))

        def read(n):
            return tf.nest.map_structure(lambda array: array.read(n), arrays)

        at = read
    else:
        inner = signal.shape[1:]
        sizes = tf.unstack(tf.shape(signal))[1:]

        def cut(n):
            start = [n * stride] + [0] * inner.rank
            frame = tf.slice(signal, start, [taps, *sizes])
            frame.set_shape([taps, *inner])
            return frame, tf.nest.map_structure(lambda array: array[n], rows)

        at = cut

    # One step outside the loop tells the shapes; XLA drops it.
    outputs = tf.nest.map_structure(
        lambda out: tf.TensorArray(out.dtype, steps, element_shape=out.shape),
        step(state, *at(tf.constant(0)))[1],
    )

    def body(n, state, outputs):
        state, out = step(state, *at(n))
        outputs = tf.nest.map_structure(lambda a, o: a.write(n, o), outputs, out)
        return n + 1, state, outputs

    _, state, outputs = tf.while_loop(
        lambda n, *_: n < steps,
        body,
        (tf.constant(0), state, outputs),
        maximum_iterations=steps,
    )
    return state, tf.nest.map_structure(lambda array: array.stack(), outputs)


def lms_kernel(loop, arrays, stride, signs):
    """`loop(*arrays)`: there is no kernel for a GPU."""
    del stride, signs
    return loop(*arrays)


def one_kernel(function, *arrays):
    """`function(*arrays)`: XLA makes of it what it can."""
    return function(*arrays)


def _unstacked(array):
    shape = array.shape[1:]
    return tf.TensorArray(
        array.dtype, tf.shape(array)[0], element_shape=shape, clear_after_read=False
    ).unstack(array)


# On CPU Keras leaves XLA off for TensorFlow, so the recursion brings its own compiled
# function. A gradient cannot cross its boundary: the backward pass recomputes inside
# a second one.
def _compiled(function, options):
    @tf.function(jit_compile=True, autograph=False)
    def forward(arrays):
        return function(arrays, options, False)

    @tf.function(jit_compile=True, autograph=False)
    def backward(arrays, cotangents):
        # A carried state is a constant: no gradient is asked for it, and XLA gets that
        # of the desired response wrong when it has to make both.
        sources = {
            name: array
            for name, array in arrays.items()
            if _is_smooth(array) and not name.startswith("state_")
        }
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(sources.values()))
            outputs = tf.nest.flatten(function(arrays, options, True))
        smooth = [n for n, output in enumerate(outputs) if _is_smooth(output)]
        return tape.gradient(  # pyright: ignore[reportCallIssue]
            [outputs[n] for n in smooth],
            sources,
            output_gradients=[cotangents[n] for n in smooth],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )

    return forward, backward


def _is_smooth(array):
    return array.dtype.is_floating or array.dtype.is_complex


@functools.cache
def fused(function, options):
    """`function(arrays, options, materialise)` as one differentiable XLA call."""
    forward, backward = _compiled(function, options)

    def call(arrays):
        tensors = {name: tf.convert_to_tensor(a) for name, a in arrays.items()}
        if _is_plain():
            return forward(tensors)
        structure = []

        @tf.custom_gradient
        def run(*tensors):
            named = dict(zip(arrays, tensors, strict=True))
            # stop_gradient keeps an outer tape from recording what happens inside
            still = {name: tf.stop_gradient(array) for name, array in named.items()}
            structure.append(forward(still))

            def pull_back(*cotangents):
                gradients = backward(named, cotangents)
                return [gradients.get(name) for name in named]

            return tf.nest.flatten(structure[0]), pull_back

        flat = run(*tensors.values())
        return tf.nest.pack_sequence_as(structure[0], flat)

    return call


def value_of(tensor) -> Any:
    """The tensor's value as a NumPy array; None inside a graph, where it has none."""
    if isinstance(tensor, np.ndarray):  # what loops of the processor found
        return tensor
    if isinstance(tensor, tf.Variable) and tf.executing_eagerly():
        # `Variable.numpy` takes 32 us, as long as a short signal.
        tensor = tf.raw_ops.ReadVariableOp(resource=tensor.handle, dtype=tensor.dtype)
    return tensor.numpy() if hasattr(tensor, "numpy") else None


def is_on_host(tensor):
    """Whether it has a value, and in the processor's memory."""
    if isinstance(tensor, np.ndarray):
        return True
    return hasattr(tensor, "numpy") and "CPU" in tensor.device


def is_slow_to_read(value):
    """Whether it is a variable, which eager TensorFlow takes an operation to read."""
    return isinstance(value, tf.Variable) and _is_plain()


def _is_plain():
    """Whether nothing is traced, and no tape asks for a gradient."""
    return tf.executing_eagerly() and not _may_record()


@functools.cache
def _has_gpu():
    return bool(tf.config.list_logical_devices("GPU"))


def computes_on_host(arrays):
    """Whether all have values, on the processor, and no gradient is asked for."""
    plain = _is_plain() and not _has_gpu()
    return plain and all(is_on_host(array) for array in arrays)


def empty(shape, dtype):
    """A NumPy array for `from_host`, which need not copy it."""
    # TensorFlow reads memory in steps of 64 bytes, and from there on.
    room = np.empty(math.prod(shape) * dtype.itemsize + _ALIGNED, "uint8")
    start = -room.__array_interface__["data"][0] % _ALIGNED
    return room[start : start - _ALIGNED].view(dtype).reshape(shape)


def from_host(array):
    """A NumPy array that nobody else has, as a tensor."""
    if not array.size:
        return tf.constant(array)
    # `tf.constant` takes as long as the loop over a short signal.
    if array.__array_interface__["data"][0] % _ALIGNED:
        array, unaligned = empty(array.shape, array.dtype), array
        array[...] = unaligned
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def where(condition, a, b):
    """`a` where the condition holds, else `b`."""
    return tf.where(condition, a, b)


def cumulative_max(array):
    """The largest value so far along the first axis."""

    def step(largest, frame, row):
        del frame
        largest = tf.maximum(largest, row["value"])
        return largest, {"value": largest}

    rows = {"value": array}
    return scan(step, array[0], array, 1, 1, rows, True)[1]["value"]


def on_flag(flag, arrays, action, words):
    """Call `action` where the flag is true; in a graph raise an error of `words()`."""
    if value_of(flag) is None:
        # XLA drops the assertion; a plain graph raises InvalidArgumentError.
        tf.debugging.Assert(tf.logical_not(flag), words())
    elif flag:
        action(*(value_of(array) for array in arrays))
