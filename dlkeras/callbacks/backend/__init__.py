"""The measurements that must speak TensorFlow, JAX or PyTorch, behind one face.

Each backend's file offers the same names:

- `APPLY`: the method through which a train step hands its gradients to the optimizer.
- `measuring(apply, optimizer, keep, quantities)`: `apply` that also measures: it calls
  `keep(variables, order, vector)` once the weights are updated, or `keep(error)` if
  the measuring failed; what `apply` does is left as it is.
- `direct(model, step, otherwise)`: the fastest way to call a measured train step;
  `otherwise` is the train function that Keras made of it.
- `has_value(tensor)`: whether it is a tensor with numbers.
- `scope()`: what is being traced just now; from a branch, or a function compiled within
  the step, which are others, no tensor can leave.
- `logs_of(outputs)`: the logs in what a train function returned.
- `traced(function)`: whether a train function is bound to the variables that were
  trainable when it ran first.
- `wait(outputs)`: returns when the step that made `outputs` is done.
- `alone(model)`: whether a call of the train function is one step of one replica.

The vector has a row of one number a variable (in the order `order`) for each of the
`quantities`, which are some of `QUANTITIES` in their order, the gradient norm
among them; then whether the optimizer updates in this step, then the loss scale.
"""

import keras

if keras.backend.backend() == "jax":
    from dlkeras.callbacks.backend.jax import APPLY as APPLY
    from dlkeras.callbacks.backend.jax import alone as alone
    from dlkeras.callbacks.backend.jax import direct as direct
    from dlkeras.callbacks.backend.jax import has_value as has_value
    from dlkeras.callbacks.backend.jax import logs_of as logs_of
    from dlkeras.callbacks.backend.jax import measuring as measuring
    from dlkeras.callbacks.backend.jax import scope as scope
    from dlkeras.callbacks.backend.jax import traced as traced
    from dlkeras.callbacks.backend.jax import wait as wait
elif keras.backend.backend() == "tensorflow":
    from dlkeras.callbacks.backend.tensorflow import APPLY as APPLY
    from dlkeras.callbacks.backend.tensorflow import alone as alone
    from dlkeras.callbacks.backend.tensorflow import has_value as has_value
    from dlkeras.callbacks.backend.tensorflow import logs_of as logs_of
    from dlkeras.callbacks.backend.tensorflow import measuring as measuring
    from dlkeras.callbacks.backend.tensorflow import scope as scope
    from dlkeras.callbacks.backend.tensorflow import traced as traced
    from dlkeras.callbacks.backend.tensorflow import wait as wait
    from dlkeras.callbacks.backend.tensorflow_call import direct as direct
elif keras.backend.backend() == "torch":
    from dlkeras.callbacks.backend.torch import APPLY as APPLY
    from dlkeras.callbacks.backend.torch import alone as alone
    from dlkeras.callbacks.backend.torch import direct as direct
    from dlkeras.callbacks.backend.torch import has_value as has_value
    from dlkeras.callbacks.backend.torch import logs_of as logs_of
    from dlkeras.callbacks.backend.torch import measuring as measuring
    from dlkeras.callbacks.backend.torch import scope as scope
    from dlkeras.callbacks.backend.torch import traced as traced
    from dlkeras.callbacks.backend.torch import wait as wait
else:
    raise ImportError(
        "dlkeras.callbacks needs the backend tensorflow, jax or torch. "
        f"Received: KERAS_BACKEND={keras.backend.backend()}"
    )
