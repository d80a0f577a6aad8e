"""Gradients computed a second time, by the backend's own tape, grad or autograd."""

import keras
import numpy as np


def true_gradients(model, x, y, scale=1.0):
    """The gradient of every trainable variable at the model's present weights.

    The non-trainable state (moving averages, seeds) is left as it was.
    """
    to_numpy = keras.ops.convert_to_numpy
    state = [to_numpy(v) for v in model.non_trainable_variables]
    training = {"training": True} if model._call_has_training_arg else {}
    name = keras.backend.backend()

    def loss_of(y_pred, losses):
        loss = keras.ops.sum(model.loss(y, y_pred))
        return (loss + sum(losses)) * scale

    variables = model.trainable_variables
    if name == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = loss_of(model(x, **training), model.losses)
        found = tape.gradient(loss, [v.value for v in variables])
        found = [
            np.zeros(v.shape) if g is None else to_numpy(tf.convert_to_tensor(g))
            for g, v in zip(found, variables, strict=True)
        ]
    elif name == "jax":
        import jax

        def function(trainable):
            y_pred, _, losses = model.stateless_call(
                trainable,
                [v.value for v in model.non_trainable_variables],
                x,
                return_losses=True,
                **training,
            )
            return loss_of(y_pred, losses)

        found = [to_numpy(g) for g in jax.grad(function)([v.value for v in variables])]
    else:
        import torch

        with torch.enable_grad():
            loss = loss_of(model(x, **training), model.losses)
            found = torch.autograd.grad(
                loss, [v.value for v in variables], allow_unused=True
            )
        found = [
            np.zeros(v.shape) if g is None else to_numpy(g)
            for g, v in zip(found, variables, strict=True)
        ]
    for variable, value in zip(model.non_trainable_variables, state, strict=True):
        variable.assign(value)
    return [g.astype(np.float64) / scale for g in found]


def norms(arrays):
    """Euclidean norms in float64."""
    return [np.linalg.norm(np.asarray(a, np.float64)) for a in arrays]


class Reference(keras.callbacks.Callback):
    """Computes what the monitor should have measured, before and after each step.

    It needs the batches in their order: `fit(..., shuffle=False)`.
    """

    def __init__(self, x, y, batch_size, scale_of=lambda: 1.0):
        super().__init__()
        self.x, self.y, self.batch_size = x, y, batch_size
        self.scale_of = scale_of
        self.gradients, self.weights, self.updates = [], [], []

    def on_train_batch_begin(self, batch, logs=None):
        model = self.model  # on JAX this brings the state back to the model
        rows = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
        if keras.backend.backend() == "jax":
            model._jax_state_synced = True
        scale = self.scale_of()
        x, y = self.x[rows], keras.ops.convert_to_tensor(self.y[rows])
        self.gradients.append(true_gradients(model, x, y, scale))
        self.before = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
        self.weights.append(norms(self.before))

    def on_train_batch_end(self, batch, logs=None):
        after = [keras.ops.convert_to_numpy(v) for v in self.model.trainable_variables]
        moved = [
            a.astype(np.float64) - b for a, b in zip(after, self.before, strict=True)
        ]
        self.updates.append(norms(moved))
