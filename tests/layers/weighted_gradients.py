"""Gradients of a layer in training, on every backend."""

import inspect

import keras
import numpy as np
from keras import ops


def numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor)).astype("float64")


def gradients(layer, x, weights):
    """Gradients of a weighted sum of the outputs, by the input and the weights."""
    weights = ops.convert_to_tensor(weights)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        variables = [v.value for v in layer.trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = ops.sum(ops.cast(layer(x, training=True), "float32") * weights)
        return tape.gradient(loss, [x, *variables])
    if keras.backend.backend() == "torch":
        import torch

        x = x.clone().requires_grad_()
        variables = [v.value for v in layer.trainable_variables]
        loss = ops.sum(ops.cast(layer(x, training=True), "float32") * weights)
        return torch.autograd.grad(loss, [x, *variables])
    import jax

    held = [v.value for v in layer.non_trainable_variables]
    knows = "training" in inspect.signature(layer.call).parameters
    options = {"training": True} if knows else {}

    def loss(x, variables):
        y, _ = layer.stateless_call(variables, held, x, **options)
        return ops.sum(ops.cast(y, "float32") * weights)

    by_x, by_variables = jax.grad(loss, argnums=(0, 1))(
        x, [v.value for v in layer.trainable_variables]
    )
    return [by_x, *by_variables]
