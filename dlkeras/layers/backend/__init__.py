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
- `value_of(tensor)`: its value as a NumPy array, None inside a graph.
- `is_on_host(tensor)`: whether it has a value, and in the processor's memory.
- `on_host(tensor)`: its value as a NumPy array; for one that `is_on_host`.
- `computes_on_host(arrays)`: whether loops of the processor, beside the backend, pay
  for these arrays: all with their values there, and none with a gradient to come.
- `from_host(array)`: a NumPy array that nobody else has as a tensor, not copied where
  the backend can do without.
- `sent(array)`: a NumPy array as a tensor, where that is faster than leaving it to a
  compiled call; anything else as it is.
- `on_flag(flag, arrays, action, words)`: calls `action(*arrays)` on the host where
  `flag` is true, now or when the compiled graph runs; a TensorFlow graph raises an
  error of `words()` instead.
- `fused_batch_normalization(x, axis, gamma, beta, statistics, epsilon)`: outputs,
  mean and variance of a batch of images, normalised by its own statistics or by those
  given, in one kernel; None where the backend has no kernel for it.
- `local_response(a, band, k, beta, power)`: `a * power(k + a ** 2 @ band)`, where
  `power` raises to -beta and `band` is symmetric, with a gradient of few passes; None
  where the backend's own gradient is used.
- `pointwise_convolution(x, kernel, strides)`: the 1x1 convolution of channels-last
  images as a matrix product; None where the backend's convolution trains as fast.
- `visited_pixels(x, strides)`: the pixels of channels-last images that a 1x1
  convolution with strides visits; None where the convolution picks them as fast.
"""

import keras

if keras.backend.backend() == "jax":
    from dlkeras.layers.backend.jax import BLOCK as BLOCK
    from dlkeras.layers.backend.jax import BLOCK_DTYPES as BLOCK_DTYPES
    from dlkeras.layers.backend.jax import ONE_KERNEL as ONE_KERNEL
    from dlkeras.layers.backend.jax import computes_on_host as computes_on_host
    from dlkeras.layers.backend.jax import elements_at_once as elements_at_once
    from dlkeras.layers.backend.jax import from_host as from_host
    from dlkeras.layers.backend.jax import fused as fused
    from dlkeras.layers.backend.jax import (
        fused_batch_normalization as fused_batch_normalization,
    )
    from dlkeras.layers.backend.jax import is_on_host as is_on_host
    from dlkeras.layers.backend.jax import lms_kernel as lms_kernel
    from dlkeras.layers.backend.jax import local_response as local_response
    from dlkeras.layers.backend.jax import on_flag as on_flag
    from dlkeras.layers.backend.jax import on_host as on_host
    from dlkeras.layers.backend.jax import one_kernel as one_kernel
    from dlkeras.layers.backend.jax import (
        pointwise_convolution as pointwise_convolution,
    )
    from dlkeras.layers.backend.jax import scan as scan
    from dlkeras.layers.backend.jax import sent as sent
    from dlkeras.layers.backend.jax import value_of as value_of
    from dlkeras.layers.backend.jax import visited_pixels as visited_pixels
elif keras.backend.backend() == "tensorflow":
    from dlkeras.layers.backend.tensorflow import BLOCK as BLOCK
    from dlkeras.layers.backend.tensorflow import BLOCK_DTYPES as BLOCK_DTYPES
    from dlkeras.layers.backend.tensorflow import ONE_KERNEL as ONE_KERNEL
    from dlkeras.layers.backend.tensorflow import computes_on_host as computes_on_host
    from dlkeras.layers.backend.tensorflow import elements_at_once as elements_at_once
    from dlkeras.layers.backend.tensorflow import from_host as from_host
    from dlkeras.layers.backend.tensorflow import fused as fused
    from dlkeras.layers.backend.tensorflow import (
        fused_batch_normalization as fused_batch_normalization,
    )
    from dlkeras.layers.backend.tensorflow import is_on_host as is_on_host
    from dlkeras.layers.backend.tensorflow import lms_kernel as lms_kernel
    from dlkeras.layers.backend.tensorflow import local_response as local_response
    from dlkeras.layers.backend.tensorflow import on_flag as on_flag
    from dlkeras.layers.backend.tensorflow import on_host as on_host
    from dlkeras.layers.backend.tensorflow import one_kernel as one_kernel
    from dlkeras.layers.backend.tensorflow import (
        pointwise_convolution as pointwise_convolution,
    )
    from dlkeras.layers.backend.tensorflow import scan as scan
    from dlkeras.layers.backend.tensorflow import sent as sent
    from dlkeras.layers.backend.tensorflow import value_of as value_of
    from dlkeras.layers.backend.tensorflow import visited_pixels as visited_pixels
elif keras.backend.backend() == "torch":
    from dlkeras.layers.backend.torch import BLOCK as BLOCK
    from dlkeras.layers.backend.torch import BLOCK_DTYPES as BLOCK_DTYPES
    from dlkeras.layers.backend.torch import ONE_KERNEL as ONE_KERNEL
    from dlkeras.layers.backend.torch import computes_on_host as computes_on_host
    from dlkeras.layers.backend.torch import elements_at_once as elements_at_once
    from dlkeras.layers.backend.torch import from_host as from_host
    from dlkeras.layers.backend.torch import fused as fused
    from dlkeras.layers.backend.torch import (
        fused_batch_normalization as fused_batch_normalization,
    )
    from dlkeras.layers.backend.torch import is_on_host as is_on_host
    from dlkeras.layers.backend.torch import lms_kernel as lms_kernel
    from dlkeras.layers.backend.torch import local_response as local_response
    from dlkeras.layers.backend.torch import on_flag as on_flag
    from dlkeras.layers.backend.torch import on_host as on_host
    from dlkeras.layers.backend.torch import one_kernel as one_kernel
    from dlkeras.layers.backend.torch import (
        pointwise_convolution as pointwise_convolution,
    )
    from dlkeras.layers.backend.torch import scan as scan
    from dlkeras.layers.backend.torch import sent as sent
    from dlkeras.layers.backend.torch import value_of as value_of
    from dlkeras.layers.backend.torch import visited_pixels as visited_pixels
else:
    raise ImportError(
        "dlkeras.layers needs the backend tensorflow, jax or torch. "
        f"Received: KERAS_BACKEND={keras.backend.backend()}"
    )
