"""The adaptive filters' recursion over time, spoken in eager PyTorch."""

import functools
from typing import Any

import numpy as np
import torch

from dlkeras.private_names import private

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


# PyTorch has no public name for the question whether `torch.func` wraps a tensor.
_is_transformed = private("torch._C._functorch.is_functorch_wrapped_tensor") or (
    lambda tensor: False
)


def _is_traced(tensor):
    """Whether it is compiled, exported or transformed, and so has no value."""
    if torch.compiler.is_compiling() or _is_transformed(tensor):
        return True
    return tensor.device.type == "meta"


def value_of(tensor) -> Any:
    """The tensor's value as a NumPy array; None where it has none."""
    if isinstance(tensor, np.ndarray):  # what loops of the processor found
        return tensor
    if _is_traced(tensor):
        return None
    tensor = tensor.detach().cpu()
    return tensor.float().numpy() if tensor.dtype is torch.bfloat16 else tensor.numpy()


def is_slow_to_read(value):
    """False: a variable's value is at hand."""
    del value
    return False


def is_on_host(tensor):
    """Whether it has a value, and in the processor's memory."""
    if isinstance(tensor, np.ndarray):
        return not torch.compiler.is_compiling()
    return tensor.device.type == "cpu" and not _is_traced(tensor)


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


def empty(shape, dtype):
    """A NumPy array for `from_host`, which need not copy it."""
    return np.empty(shape, dtype)


def from_host(array):
    """A NumPy array that nobody else has, as a tensor."""
    return torch.from_numpy(array)


def where(condition, a, b):
    """`a` where the condition holds, else `b`."""
    return torch.where(condition, a, b)


def cumulative_max(array):
    """The largest value so far along the first axis."""
    return torch.cummax(array, 0).values


def on_flag(flag, arrays, action, words):
    """Call `action` where the flag is true."""
    del words
    if value_of(flag):
        action(*(value_of(array) for array in arrays))
