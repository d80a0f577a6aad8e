"""Kernels of pooling and normalisation that Keras leaves out, in JAX.

Both are rules for derivatives, forwards and backwards, so that `jax.jvp`, `jax.grad`
and derivatives of derivatives go through them.
"""

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from keras import ops

# Pixels of a window up to which all its positions are looked at one by one.
LARGEST_WINDOW = 25


def fused_batch_normalization(x, axis, gamma, beta, statistics, epsilon) -> Any:
    """Batch normalisation that reads its input once for mean and variance.

    Keras's operations read it twice, one after the other, and a third time for the
    gradient. None at inference, where a compiler needs no help, and on a processor,
    for which XLA makes a pass of each sum.
    """
    if statistics is not None or jax.default_backend() != "gpu":
        return None
    return normalised(x, axis, gamma, beta, epsilon)


def normalised(x, axis, gamma, beta, epsilon) -> Any:
    """The normalised input, its mean and its variance, on any device.

    None for integers, for no values, and for sizes that an exported program leaves
    open.
    """
    if not _has_floats(x):
        return None
    axis %= x.ndim
    kind = jnp.promote_types(x.dtype, jnp.float32)
    count = x.shape[axis]
    gamma = jnp.ones(count, kind) if gamma is None else _as_array(gamma, kind)
    beta = jnp.zeros(count, kind) if beta is None else _as_array(beta, kind)
    return _normalised(x, gamma, beta, axis, float(epsilon))


def _has_floats(x):
    """Whether it is an array or a tracer, not a symbol of Keras's, with known sizes."""
    return (
        isinstance(x, jax.Array)
        and jnp.issubdtype(x.dtype, jnp.floating)
        and all(isinstance(n, int) and n for n in x.shape)
    )


def _as_array(variable, kind):
    return ops.convert_to_tensor(variable).astype(kind)


def _along(vector, axis, rank):
    return jnp.expand_dims(vector, [i for i in range(rank) if i != axis])


@functools.partial(jax.custom_jvp, nondiff_argnums=(3, 4))
def _normalised(x, gamma, beta, axis, epsilon):
    """The normalised input, and its mean and variance."""
    rank, others = x.ndim, [i for i in range(x.ndim) if i != axis]
    wide = x.astype(gamma.dtype)
    # One of the values: squares about it keep their digits wherever the mean lies.
    pivot = wide[tuple(slice(None) if i == axis else slice(1) for i in range(rank))]
    shifted = wide - pivot
    offset = jnp.mean(shifted, others)
    variance = jnp.maximum(jnp.mean(jnp.square(shifted), others) - offset**2, 0)
    mean = offset + pivot.reshape(-1)
    scale = gamma * lax.rsqrt(variance + epsilon)
    y = wide * _along(scale, axis, rank) + _along(beta - mean * scale, axis, rank)
    return y, mean, variance


@_normalised.defjvp
def _tangent_of_normalised(axis, epsilon, primals, tangents):
    x, gamma, beta = primals
    dx, dgamma, dbeta = tangents
    y, mean, variance = _normalised(x, gamma, beta, axis, epsilon)
    rank, others = x.ndim, [i for i in range(x.ndim) if i != axis]
    inverse = lax.rsqrt(variance + epsilon)
    scale = gamma * inverse
    dx = dx.astype(y.dtype)
    unit = (x.astype(y.dtype) - _along(mean, axis, rank)) * _along(inverse, axis, rank)
    dmean, slope = jnp.mean(dx, others), jnp.mean(unit * dx, others)
    # Vectors first: backwards that leaves two sums over the images, of one pass.
    dy = (
        dx * _along(scale, axis, rank)
        + unit * _along(dgamma - scale * slope, axis, rank)
        + _along(dbeta - scale * dmean, axis, rank)
    )
    return (y, mean, variance), (dy, dmean, 2 * slope / inverse)


def max_pool(x, window, strides, padding) -> Any:
    """Maxima of windows over all axes, whose gradient is no scatter; None if too large.

    XLA gives a maximum's gradient back by a scatter: one window after the other on a
    processor, with atomic additions on a GPU. Here each window keeps the number of its
    largest value, the first of equals, and each pixel adds up what the windows around
    it give.
    """
    size = functools.reduce(lambda a, b: a * b, window)
    if size > LARGEST_WINDOW or not _has_floats(x):
        return None
    pads = tuple(lax.padtype_to_pads(x.shape, window, strides, padding.upper()))
    return _max_pool(x, tuple(window), tuple(strides), pads)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3))
def _max_pool(x, window, strides, pads):
    return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, pads)


@_max_pool.defjvp
def _tangent_of_max_pool(window, strides, pads, primals, tangents):
    (x,), (dx,) = primals, tangents
    views = _views(x, -jnp.inf, window, strides, pads)
    best = next(views)
    number = jnp.zeros(best.shape, jnp.uint8)
    for index, view in enumerate(views, start=1):
        number = jnp.where(view > best, jnp.uint8(index), number)
        best = lax.max(best, view)
    # What a backward pass needs of the windows is one byte each, not their pixels.
    number = lax.optimization_barrier(number)
    tangent = sum(
        jnp.where(number == index, view, 0)
        for index, view in enumerate(_views(dx, 0, window, strides, pads))
    )
    return best, tangent


def _views(x, filling, window, strides, pads):
    """The windows' pixels, one place in the window after the other."""
    x = lax.pad(x, jnp.asarray(filling, x.dtype), [(*pad, 0) for pad in pads])
    counts = [
        (n - size) // step + 1
        for n, size, step in zip(x.shape, window, strides, strict=True)
    ]
    for start in itertools.product(*map(range, window)):
        ends = [
            first + (count - 1) * step + 1
            for first, count, step in zip(start, counts, strides, strict=True)
        ]
        yield lax.slice(x, start, ends, strides)
