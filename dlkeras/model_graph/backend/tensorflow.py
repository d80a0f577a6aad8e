"""Gradients by arrays in TensorFlow."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


def gradient(function: Callable[[Any], Any], x: Any) -> np.ndarray:
    """The derivative by `x` of a scalar function."""
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    # Where y does not depend on x, the derivative is 0, not nothing.
    return tape.gradient(
        y, x, unconnected_gradients=tf.UnconnectedGradients.ZERO
    ).numpy()
