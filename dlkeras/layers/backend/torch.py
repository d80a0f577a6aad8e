"""The adaptive filters' recursion over time, spoken in eager PyTorch."""

import functools
from typing import Any

import numpy as np
import torch

# Eager PyTorch pays for every call, so the block form takes many samples in one.
BLOCK = 32
ONE_KERNEL = False
BLOCK_DTYPES = {"float32": "float64", "complex64": "complex128"}
if torch.backends.mps.is_available():  # it has no double precision
    BLOCK_DTYPES = {}


def elements_at_once():
    """None: eager operations gain from being large."""
    return None


def scan(step, state, signal, stride, taps, rows, materialise, unroll=None):
    """Run `step` over time; the frame is a view of the signal."""
    del materialise, unroll
    names = list(rows)
    outputs = []
    for n, row in enumerate(zip(*(rows[name] for name in names), strict=True)):
        frame = signal.narrow(0, n * stride, taps)
        state, out = step(state, frame, dict(zip(names, row, strict=True)))
        outputs.append(out)
    return state, {k: torch.stack([out[k] for out in outputs]) for k in outputs[0]}


def lms_kernel(loop, arrays, stride, signs):
    """`loop(*arrays)`: there is no kernel for a GPU."""
    del stride, signs
    return loop(*arrays)


def one_kernel(function, *arrays):
    """`function(*arrays)`: eager operations stay what they are."""
    return function(*arrays)


def fused(function, options):
    """`function(arrays, options, materialise)`; autograd follows eager operations."""
    return functools.partial(_eager, function, options)


def _eager(function, options, arrays):
    # The state is assigned to in place after the call, which a gradient must not see.
    arrays = {
        name: array.clone() if name.startswith("state_") else array
        for name, array in arrays.items()
    }
    return function(arrays, options, False)


def value_of(tensor) -> Any:
    """The tensor's value as a NumPy array; None where it has none."""
    if isinstance(tensor, np.ndarray):
        return tensor
    if tensor.device.type == "meta" or torch.compiler.is_compiling():
        return None
    return tensor.detach().cpu().numpy()


def is_on_host(tensor):
    """Whether it has a value, and in the processor's memory."""
    if isinstance(tensor, np.ndarray):
        return True
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling()


def on_host(tensor) -> Any:
    """The value of a tensor that `is_on_host`, copied where NumPy lacks its type."""
    if isinstance(tensor, np.ndarray):
        return tensor
    tensor = tensor.detach()
    return tensor.float().numpy() if tensor.dtype is torch.bfloat16 else tensor.numpy()


def computes_on_host(arrays):
    """Whether all have values, on the processor, and no gradient is asked for.

    Where there is a GPU, NumPy arrays are computed with on it.
    """
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        return False
    asked = torch.is_grad_enabled()
    return all(
        is_on_host(array) and not (asked and getattr(array, "requires_grad", False))
        for array in arrays
    )


def from_host(array):
    """A NumPy array that nobody else has, as a tensor."""
    return torch.from_numpy(array)


def sent(array):
    """The array as it is: it shares its memory with a tensor."""
    return array


def on_flag(flag, arrays, action, words):
    """Call `action` where the flag is true."""
    del words
    if value_of(flag):
        action(*(value_of(array) for array in arrays))


def fused_batch_normalization(x, axis, gamma, beta, statistics, epsilon) -> Any:
    """None: Keras's own operations are used."""
    del x, axis, gamma, beta, statistics, epsilon


def local_response(a, band, k, beta, power) -> Any:
    """None: the backend's own gradient is used."""
    del a, band, k, beta, power


def pointwise_convolution(x, kernel, strides) -> Any:
    """None: the backend's own convolution trains as fast."""
    del x, kernel, strides
    return None


def visited_pixels(x, strides) -> Any:
    """None: the backend's own convolution picks its pixels as fast."""
    del x, strides
    return None
