"""The measurements that must speak TensorFlow, JAX or PyTorch, behind one face.

Each backend's file offers the same names:

- `APPLY`: the method through which a train step hands its gradients to the optimizer.
- `measuring(apply, optimizer, keep)`: `apply` that also measures: it calls
  `keep(variables, order, vector)` once the weights are updated, or `keep(error)` if
  the measuring failed; what `apply` does is left as it is.
- `has_value(tensor)`: whether it is a tensor with numbers.
- `logs_of(outputs)`: the logs in what a train function returned.
- `wait(outputs)`: returns when the step that made `outputs` is done.
- `no_gradients()`: a context in which nothing is recorded for a backward pass.

The vector is 5 rows of one number a variable (`layout.ROWS`, in the order `order`),
then whether the optimizer updates in this step, then the loss scale.
"""

import keras

if keras.backend.backend() == "jax":
    from dlkeras.callbacks.backend.jax import APPLY as APPLY
    from dlkeras.callbacks.backend.jax import has_value as has_value
    from dlkeras.callbacks.backend.jax import logs_of as logs_of
    from dlkeras.callbacks.backend.jax import measuring as measuring
    from dlkeras.callbacks.backend.jax import no_gradients as no_gradients
    from dlkeras.callbacks.backend.jax import wait as wait
elif keras.backend.backend() == "tensorflow":
    from dlkeras.callbacks.backend.tensorflow import APPLY as APPLY
    from dlkeras.callbacks.backend.tensorflow import has_value as has_value
    from dlkeras.callbacks.backend.tensorflow import logs_of as logs_of
    from dlkeras.callbacks.backend.tensorflow import measuring as measuring
    from dlkeras.callbacks.backend.tensorflow import no_gradients as no_gradients
    from dlkeras.callbacks.backend.tensorflow import wait as wait
elif keras.backend.backend() == "torch":
    from dlkeras.callbacks.backend.torch import APPLY as APPLY
    from dlkeras.callbacks.backend.torch import has_value as has_value
    from dlkeras.callbacks.backend.torch import logs_of as logs_of
    from dlkeras.callbacks.backend.torch import measuring as measuring
    from dlkeras.callbacks.backend.torch import no_gradients as no_gradients
    from dlkeras.callbacks.backend.torch import wait as wait
else:
    raise ImportError(
        "dlkeras.callbacks needs the backend tensorflow, jax or torch. "
        f"Received: KERAS_BACKEND={keras.backend.backend()}"
    )
