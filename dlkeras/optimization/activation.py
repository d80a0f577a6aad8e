"""Activation functions with their derivatives, by hand where the lecture has them."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

Array = np.ndarray


@dataclasses.dataclass(frozen=True)
class Activation:
    """An element-wise activation phi with its derivatives, each written in v and y.

    Attributes:
        phi: the function y = phi(v).
        slope: phi'(v), given v and y = phi(v).
        curvature: phi''(v), given v and y.
    """

    phi: Callable[[Array], Array]
    slope: Callable[[Array, Array], Array]
    curvature: Callable[[Array, Array], Array]


def _logistic(v: Array) -> Array:
    # exp only of what is not positive: no overflow at either end
    small = np.exp(-np.abs(v))
    return np.where(v >= 0, 1 / (1 + small), small / (1 + small))


ACTIVATIONS = {
    "linear": Activation(
        phi=lambda v: v,
        slope=lambda v, y: np.ones_like(v),
        curvature=lambda v, y: np.zeros_like(v),
    ),
    "sigmoid": Activation(
        phi=_logistic,
        slope=lambda v, y: y * (1 - y),
        curvature=lambda v, y: y * (1 - y) * (1 - 2 * y),
    ),
    "tanh": Activation(
        phi=np.tanh,
        slope=lambda v, y: (1 - y) * (1 + y),
        curvature=lambda v, y: -2 * y * (1 - y) * (1 + y),
    ),
    "relu": Activation(
        phi=lambda v: np.maximum(v, 0),
        slope=lambda v, y: (v > 0).astype(v.dtype),
        curvature=lambda v, y: np.zeros_like(v),
    ),
}


def known(function: Callable) -> Activation | None:
    """The hand-written activation that equals a Keras function, or None."""
    for name, activation in ACTIVATIONS.items():
        if function is getattr(keras.activations, name):
            return activation
    return None


def forward(function: Callable, v: Array) -> Array:
    """Evaluate y = phi(v), by hand where we can and by the backend where we cannot."""
    activation = known(function)
    if activation is not None:
        return activation.phi(v)
    y = function(ops.convert_to_tensor(v, _dtype(function)))
    return np.asarray(ops.convert_to_numpy(y), "float64")


def backward(function: Callable, v: Array, y: Array, upstream: Array) -> Array:
    """What reaches v of the signal that arrives at y: phi'(v) times it.

    For a function that mixes its inputs, such as softmax, it is the transposed Jacobian
    times the signal.
    """
    activation = known(function)
    if activation is not None:
        return activation.slope(v, y) * upstream
    if function is keras.activations.softmax:
        return y * (upstream - np.sum(y * upstream, axis=-1, keepdims=True))
    return _gradient(function, v, upstream)


def _dtype(function: Callable) -> str:
    return getattr(function, "compute_dtype", "float32")


class _Reveal(keras.optimizers.Optimizer):
    """An optimizer that leaves each variable's gradient in the variable."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any):
        self.assign(variable, gradient)


class _Field(keras.layers.Layer):
    """Holds v as its weight and answers with the sum of the signal times phi(v)."""

    def __init__(self, function: Callable, v: Array, upstream: Array):
        super().__init__(dtype=_dtype(function))
        # In a tuple, so that an activation layer is not tracked as a part of this one.
        self.function = (function,)
        self.v = self.add_weight(shape=v.shape, initializer="zeros", name="v")
        self.v.assign(v)
        self.upstream = self.add_weight(
            shape=upstream.shape, initializer="zeros", trainable=False, name="upstream"
        )
        self.upstream.assign(upstream)

    def call(self, unused):
        return ops.sum(self.upstream * self.function[0](self.v))


def _gradient(function: Callable, v: Array, upstream: Array) -> Array:
    """Differentiate any Keras activation on any backend through Keras's own step.

    Keras has no backend-free gradient function, but every model's training step takes
    one: the loss is the sum of upstream times phi(v), and the optimizer hands its
    gradient out.
    """
    field = _Field(function, v, upstream)
    model = keras.Sequential([field])
    model.compile(
        _Reveal(1.0), loss=lambda _, y: y, run_eagerly=True, auto_scale_loss=False
    )
    # The data are a formality: under a half-precision policy they would be rounded.
    model.train_on_batch(np.zeros((1, 1)), np.zeros((1, 1)))
    return np.asarray(ops.convert_to_numpy(field.v), "float64")
