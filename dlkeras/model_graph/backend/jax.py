"""Gradients by arrays in JAX."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def gradient(function: Callable[[Any], Any], x: Any) -> np.ndarray:
    """The derivative by `x` of a scalar function."""
    return np.asarray(jax.grad(function)(jnp.asarray(x)))
