"""The kernels that must speak TensorFlow, JAX or PyTorch, behind one face.

Each backend's file offers the same names:

- `BLOCK`: samples the exact block form takes at a time; 1 where one fused loop over
  the samples is faster.
- `BLOCK_DTYPES`: the data type of a block's arithmetic, by that of the filter, where
  it is another.
- `ONE_KERNEL`: whether `one_kernel` saves the cost of dispatching an operation, so that
  a loop may consist of many small ones.
- `elements_at_once()`: weights in one operation of the loop beyond which it pays to
  split, None where it never does.
- `scan(step, state, signal, stride, taps, rows, materialise, unroll=None)`: the
  recursion over time, some steps in one turn of the loop where the backend can; None
  leaves their number to it.
  `step(state, frame, row)` sees `taps` rows of `signal`, read as a slice that moves on
  by `stride` rows a step, and one row of each array in `rows`.
- `one_kernel(function, *arrays)`: `function(*arrays)` without the cost of dispatching
  each of its operations, where the backend can do that.
- `lms_kernel(loop, arrays, stride, signs)`: `loop(*arrays)`, the plain LMS recursion on
  `state, signal, rows, shared`, in one kernel of a GPU where the backend has one.
- `fused(function, options)(arrays)`: `function(arrays, options, materialise)` as one
  compiled, differentiable call.
- `value_of(tensor)`: its value as a NumPy array (bfloat16 as float32); None where it
  has none, because it is traced, exported or transformed.
- `is_on_host(tensor)`: whether it has a value, and in the processor's memory.
- `is_slow_to_read(value)`: whether it is a variable that takes an operation to read.
- `computes_on_host(arrays)`: whether loops of the processor, beside the backend, pay
  for these arrays: all with their values there, and none with a gradient to come.
- `empty(shape, dtype)`: a NumPy array that `from_host` need not copy.
- `from_host(array)`: a NumPy array that nobody else has as a tensor, not copied where
  the backend can do without.
- `where(condition, a, b)`: as `keras.ops.where`, which on TensorFlow makes complex64 of
  complex128.
- `cumulative_max(array)`: the largest value so far along the first axis.
- `on_flag(flag, arrays, action, words)`: calls `action(*arrays)` on the host where
  `flag` is true, now or when the compiled graph runs; a TensorFlow graph raises an
  error of `words()` instead.
"""

from typing import Any

import keras
import numpy as np

_kernels: Any
if keras.backend.backend() == "jax":
    from dlkeras.layers.adaptive.backend import jax as _kernels
elif keras.backend.backend() == "tensorflow":
    from dlkeras.layers.adaptive.backend import tensorflow as _kernels
elif keras.backend.backend() == "torch":
    from dlkeras.layers.adaptive.backend import torch as _kernels
else:
    raise ImportError(
        "dlkeras.layers needs the backend tensorflow, jax or torch. "
        f"Received: KERAS_BACKEND={keras.backend.backend()}"
    )

BLOCK: int = _kernels.BLOCK
BLOCK_DTYPES: dict[str, str] = _kernels.BLOCK_DTYPES
ONE_KERNEL: bool = _kernels.ONE_KERNEL
computes_on_host = _kernels.computes_on_host
cumulative_max = _kernels.cumulative_max
elements_at_once = _kernels.elements_at_once
empty = _kernels.empty
from_host = _kernels.from_host
fused = _kernels.fused
is_on_host = _kernels.is_on_host
is_slow_to_read = _kernels.is_slow_to_read
lms_kernel = _kernels.lms_kernel
on_flag = _kernels.on_flag
one_kernel = _kernels.one_kernel
scan = _kernels.scan
where = _kernels.where


def maximum(a, b):
    """The larger one; Keras makes float32 of two float64 on PyTorch."""
    return where(a > b, a, b)


def value_of(tensor) -> Any:
    """The tensor's value as a NumPy array; None where it has none."""
    values = tensor if isinstance(tensor, np.ndarray) else _kernels.value_of(tensor)
    if values is not None and values.dtype.kind not in "biufc":  # bfloat16
        return values.astype("float32")
    return values
