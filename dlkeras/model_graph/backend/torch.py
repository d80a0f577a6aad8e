"""Gradients by arrays in PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from keras import ops


def gradient(function: Callable[[Any], Any], x: Any) -> np.ndarray:
    """The derivative by `x` of a scalar function."""
    x = ops.convert_to_tensor(x).detach().requires_grad_()
    with torch.enable_grad():
        y = function(x)
        if not y.requires_grad:  # a constant
            return np.zeros(tuple(x.shape), "float32")
        (slope,) = torch.autograd.grad(y, x, allow_unused=True)
    slope = torch.zeros_like(x) if slope is None else slope
    half = slope.dtype is torch.bfloat16  # which NumPy does not have
    return (slope.float() if half else slope).cpu().numpy()
