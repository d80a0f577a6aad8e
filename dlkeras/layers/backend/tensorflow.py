"""Kernels of convolution and normalisation that Keras leaves out, in TensorFlow."""

from typing import Any

import tensorflow as tf

from dlkeras.private_names import private

# TensorFlow has no public name for the question whether kernels are deterministic.
_is_deterministic = private(
    "tensorflow.python.framework.config.is_op_determinism_enabled"
) or (lambda: True)

_HALF_OR_SINGLE = (tf.float32, tf.bfloat16, tf.float16)


def fused_batch_normalization(x, axis, gamma, beta, statistics, epsilon) -> Any:
    """Batch normalisation of images by `FusedBatchNormV3`; None where it has none."""
    if x.shape.rank != 4 or axis not in (-1, 3) or x.dtype not in _HALF_OR_SINGLE:
        return None
    # At inference the gain is that a graph folds the kernel into the convolution before
    # it. Without a graph Keras's operations are as fast, and agree to the last bit.
    # Nor with deterministic kernels: XLA then gets a convolution that is folded with
    # the kernel and the activation, and knows that form for ReLU alone.
    if statistics is not None and (tf.executing_eagerly() or _is_deterministic()):
        return None
    channels = x.shape[-1]
    mean, variance = statistics or ((), ())
    # Its vectors are float32, also where a layer's whole policy is of half precision.
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=tf.ones(channels) if gamma is None else _in_single(gamma),
        offset=tf.zeros(channels) if beta is None else _in_single(beta),
        mean=_in_single(mean),
        variance=_in_single(variance),
        epsilon=epsilon,
        is_training=statistics is None,
    )
    if statistics is None:
        # The kernel's variance is a sample's, n / (n - 1) times the batch's own.
        n = tf.cast(tf.size(x, tf.int64) // channels, tf.float32)
        variance *= tf.maximum(n - 1, 1) / n
    return y, mean, variance


def _in_single(vector) -> Any:
    return tf.cast(tf.convert_to_tensor(vector), tf.float32)


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
    """A 1x1 convolution whose gradients are the faster kernels; None on a GPU."""
    # oneDNN's gradient by a half-precision kernel takes three to seven times as long
    # as the product; by a float32 kernel up to twice as long. A GPU has good kernels.
    if x.dtype not in _HALF_OR_SINGLE or tf.config.list_logical_devices("GPU"):
        return None
    if tuple(strides) != (1, 1):
        if x.dtype == tf.float32:
            return None
        x = _visited(x, strides)
    matrix = tf.reshape(kernel, kernel.shape[2:])
    if x.dtype != tf.float32:
        return tf.tensordot(x, matrix, 1)
    return _product(x, matrix)


@tf.custom_gradient
def _product(x, matrix) -> Any:
    """`x @ matrix` for every pixel."""

    def gradient(upstream):
        into, out = matrix.shape
        # A product with the transposed matrix is slow where that has more rows.
        by_x = (
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(x),
                filter=matrix[None, None],
                out_backprop=upstream,
                strides=[1, 1, 1, 1],
                padding="VALID",
            )
            if out > into
            else tf.tensordot(upstream, matrix, [[3], [1]])
        )
        rows, slopes = tf.reshape(x, [-1, into]), tf.reshape(upstream, [-1, out])
        return by_x, tf.matmul(rows, slopes, transpose_a=True)

    return tf.tensordot(x, matrix, 1), gradient


def visited_pixels(x, strides) -> Any:
    """The pixels a 1x1 convolution with strides visits; None where it is no gain."""
    if x.dtype not in _HALF_OR_SINGLE or tf.config.list_logical_devices("GPU"):
        return None
    return _visited(x, strides)


def _visited(x, strides):
    # Windows of one pixel: a slice with strides is ten times slower, both ways.
    return tf.nn.avg_pool2d(x, 1, strides, "VALID")
