"""The adaptive filters' recursion over time as one XLA loop, spoken in TensorFlow."""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

# TensorFlow has no public name for the questions whether a tape is on, and whether
# kernels are deterministic.
from tensorflow.python.eager import record
from tensorflow.python.framework import config as determinism

BLOCK = 1
BLOCK_DTYPES = {}
ONE_KERNEL = False


def elements_at_once():
    """2,048 on a CPU: XLA spreads more over threads; measured, not documented."""
    return None if tf.config.list_logical_devices("GPU") else 2048


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

        tensors = {name: tf.convert_to_tensor(a) for name, a in arrays.items()}
        if tf.executing_eagerly() and not record.could_possibly_record():
            return forward(tensors)  # no tape asks for a gradient
        flat = run(*tensors.values())
        return tf.nest.pack_sequence_as(structure[0], flat)

    return call


def value_of(tensor) -> Any:
    """The tensor's value as a NumPy array; None inside a graph, where it has none."""
    if isinstance(tensor, np.ndarray):
        return tensor
    return tensor.numpy() if hasattr(tensor, "numpy") else None


def is_on_host(tensor):
    """Whether it has a value, and in the processor's memory."""
    if isinstance(tensor, np.ndarray):
        return True
    return hasattr(tensor, "numpy") and "CPU" in tensor.device


def on_host(tensor) -> Any:
    """The value of a tensor that `is_on_host`."""
    return tensor if isinstance(tensor, np.ndarray) else tensor.numpy()


def computes_on_host(arrays):
    """False: loops of XLA are as fast, but for short signals."""
    del arrays
    return False


def from_host(array):
    """A NumPy array that nobody else has, as a tensor."""
    return tf.convert_to_tensor(array)


def sent(array):
    """The array as it is: TensorFlow's calls take it as fast as anything."""
    return array


def on_flag(flag, arrays, action, words):
    """Call `action` where the flag is true; in a graph raise an error of `words()`."""
    if value_of(flag) is None:
        # XLA drops the assertion; a plain graph raises InvalidArgumentError.
        tf.debugging.Assert(tf.logical_not(flag), words())
    elif flag:
        action(*(value_of(array) for array in arrays))


# Pixels of an image up to which float32's 1x1 kernels are trained as products: 28 x 28.
SMALL_IMAGE = 784
_HALF_OR_SINGLE = (tf.float32, tf.bfloat16, tf.float16)


def fused_batch_normalization(x, axis, gamma, beta, statistics, epsilon) -> Any:
    """Batch normalisation of images by `FusedBatchNormV3`; None where it has none."""
    if x.shape.rank != 4 or axis not in (-1, 3) or x.dtype not in _HALF_OR_SINGLE:
        return None
    # At inference the gain is that a graph folds the kernel into the convolution before
    # it. Without a graph Keras's operations are as fast, and agree to the last bit.
    # Nor with deterministic kernels: XLA then gets a convolution that is folded with
    # the kernel and the activation, and knows that form for ReLU alone.
    if statistics is not None and (
        tf.executing_eagerly() or determinism.is_op_determinism_enabled()
    ):
        return None
    channels = x.shape[-1]
    mean, variance = statistics or ((), ())
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=tf.ones(channels) if gamma is None else tf.convert_to_tensor(gamma),
        offset=tf.zeros(channels) if beta is None else tf.convert_to_tensor(beta),
        mean=tf.convert_to_tensor(mean, tf.float32),
        variance=tf.convert_to_tensor(variance, tf.float32),
        epsilon=epsilon,
        is_training=statistics is None,
    )
    if statistics is None:
        # The kernel's variance is a sample's, n / (n - 1) times the batch's own.
        n = tf.cast(tf.size(x, tf.int64) // channels, tf.float32)
        variance *= tf.maximum(n - 1, 1) / n
    return y, mean, variance


def local_response(a, band, k, beta, power) -> Any:
    """`a * power(k + a ** 2 @ band)`, with a gradient of half as many passes.

    `power` raises to -beta and `band` is symmetric, so that with E for the energy the
    gradient is g E ** -beta - 2 beta a ((g a E ** -beta / E) @ band). Gradients of the
    gradient are left to TensorFlow.
    """

    def forward(a):
        energy = k + tf.square(a) @ band
        scale = power(energy)
        return a * scale, scale, energy

    @tf.custom_gradient
    def normalised(a):
        output, scale, energy = forward(a)

        @tf.custom_gradient
        def gradient(a, upstream):
            scaled = upstream * scale
            spread = (scaled * a / energy) @ band
            found = scaled - (2.0 * beta) * (a * spread)
            return found, lambda h: gradient_of_gradient(a, upstream, h)

        return output, lambda upstream: gradient(a, upstream)

    def gradient_of_gradient(a, upstream, h):
        with tf.GradientTape() as outer:
            outer.watch([a, upstream])
            with tf.GradientTape() as inner:
                inner.watch(a)
                output = forward(a)[0]
            found = inner.gradient(output, a, upstream)
        return outer.gradient(found, [a, upstream], h)

    return normalised(tf.convert_to_tensor(a))


def pointwise_convolution(x, kernel, strides) -> Any:
    """A 1x1 convolution as a matrix product; None where the convolution is faster."""
    # oneDNN's gradient by a half-precision kernel takes three to seven times as long
    # as the product. In float32 the product is as fast on large images and gains a
    # tenth on small ones. A GPU has good kernels.
    if x.dtype not in _HALF_OR_SINGLE or tf.config.list_logical_devices("GPU"):
        return None
    if x.dtype == tf.float32:
        pixels = x.shape[1:3].num_elements()
        if tuple(strides) != (1, 1) or pixels is None or pixels > SMALL_IMAGE:
            return None
    elif tuple(strides) != (1, 1):
        x = _visited(x, strides)
    return tf.tensordot(x, tf.reshape(kernel, kernel.shape[2:]), 1)


def visited_pixels(x, strides) -> Any:
    """The pixels a 1x1 convolution with strides visits; None where it is no gain."""
    if x.dtype not in _HALF_OR_SINGLE or tf.config.list_logical_devices("GPU"):
        return None
    return _visited(x, strides)


def _visited(x, strides):
    # Windows of one pixel: a slice with strides is ten times slower, both ways.
    return tf.nn.avg_pool2d(x, 1, strides, "VALID")
