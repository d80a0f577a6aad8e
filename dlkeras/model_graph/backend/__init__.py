"""Gradients by arrays, which must speak TensorFlow, JAX or PyTorch, behind one face.

Each backend's file offers the same name:

- `gradient(function, x)`: the derivative by `x` of `function(x)`, a scalar tensor of a
  tensor, as a NumPy array of the shape of `x`.
"""

import keras

if keras.backend.backend() == "jax":
    from dlkeras.model_graph.backend.jax import gradient as gradient
elif keras.backend.backend() == "tensorflow":
    from dlkeras.model_graph.backend.tensorflow import gradient as gradient
elif keras.backend.backend() == "torch":
    from dlkeras.model_graph.backend.torch import gradient as gradient
else:
    raise ImportError(
        "dlkeras.model_graph needs the backend tensorflow, jax or torch for "
        f"gradients. Received: KERAS_BACKEND={keras.backend.backend()}"
    )
