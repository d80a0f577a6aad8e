"""The measurements of a train step in TensorFlow."""

import contextlib
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from dlkeras.callbacks.backend import optimizer_state as state
from dlkeras.callbacks.backend.layout import Layout

APPLY = "apply"
no_gradients = contextlib.nullcontext


def logs_of(outputs: Any) -> Any:
    """The logs in what the train function returned."""
    return outputs


def wait(outputs: Any) -> None:
    """Return when the step is done."""
    for value in tf.nest.flatten(outputs):
        if hasattr(value, "numpy"):
            value.numpy()


def _value(variable: Any) -> Any:
    return variable.value if isinstance(variable, keras.Variable) else variable


def _dense(gradient: Any, value: Any) -> Any:
    if gradient is None:
        return tf.zeros_like(value)
    return tf.convert_to_tensor(gradient)


def _stacked(tensors: list[Any], layout: Layout) -> list[Any]:
    return [
        tf.stack([tensors[i] for i in group])
        if len(group) > 1
        else tf.expand_dims(tensors[group[0]], 0)
        for group in layout.groups
    ]


def _rows(stack: Any) -> Any:
    return tf.reshape(stack, [stack.shape[0], -1])


def _norms(rows: Any) -> Any:
    """Norms in float64: the square of a float32 below 1e-22 is 0 in float32."""
    rows = tf.cast(rows, tf.float64)
    if rows.shape[0] == 1:  # one fused kernel instead of a reduction of one row
        return tf.reshape(tf.sqrt(2 * tf.nn.l2_loss(rows)), [1])
    return tf.sqrt(tf.reduce_sum(tf.square(rows), 1))


def _count(condition: Any) -> Any:
    return tf.cast(tf.reduce_sum(tf.cast(condition, tf.float32), 1), tf.float64)


def measuring(
    apply: Callable, optimizer: Any, keep: Callable[..., None]
) -> Callable[..., Any]:
    """`apply` that also measures gradients, weights and updates."""

    def prepare(grads: Any, variables: Any) -> tuple:
        if variables is None:
            variables = optimizer._trainable_variables
        variables = list(variables)
        values = [tf.convert_to_tensor(_value(v)) for v in variables]
        dense = [_dense(g, v) for g, v in zip(grads, values, strict=True)]
        replicas = tf.distribute.get_replica_context()
        if replicas is not None and replicas.num_replicas_in_sync > 1:
            dense = replicas.all_reduce(tf.distribute.ReduceOp.SUM, dense)
        layout = Layout([v.shape for v in values], [v.dtype.name for v in values])
        scale = tf.cast(
            tf.convert_to_tensor(state.loss_scale(optimizer, _value)), tf.float64
        )
        waiting = state.accumulators(optimizer, variables)
        updates = tf.constant(1.0, tf.float64)
        if waiting is not None:
            steps = state.accumulation_steps(optimizer)
            dense = [
                (g / tf.cast(scale, g.dtype) + tf.cast(_value(a), g.dtype)) / steps
                for g, a in zip(dense, waiting, strict=True)
            ]
            done = tf.convert_to_tensor(_value(state.inner(optimizer)._iterations))
            updates = tf.cast(tf.equal((done + 1) % steps, 0), tf.float64)
        divisor = scale if waiting is None else tf.constant(1.0, tf.float64)
        return (
            variables,
            layout,
            _stacked(dense, layout),
            _stacked(values, layout),
            divisor,
            updates,
            scale,
        )

    def finish(prepared: tuple) -> None:
        variables, layout, gradients, before, divisor, updates, scale = prepared
        after = _stacked([tf.convert_to_tensor(_value(v)) for v in variables], layout)
        gradients = [_rows(g) for g in gradients]
        parts = (
            [_norms(g) / divisor for g in gradients]
            + [_norms(_rows(w)) for w in before]
            + [_norms(_rows(new - old)) for new, old in zip(after, before, strict=True)]
            + [_count(tf.equal(g, 0)) for g in gradients]
            + [_count(~tf.math.is_finite(g)) for g in gradients]
        )
        vector = tf.concat([*parts, [updates, scale]], 0)
        keep(variables, layout.order, vector)

    def measured(grads: Any, trainable_variables: Any = None) -> Any:
        grads = list(grads)
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
        prepared, failure = None, None
        try:
            prepared = prepare(grads, trainable_variables)
        except Exception as error:  # measuring must never stop a training
            failure = error
        result = apply(grads, trainable_variables)
        if prepared is not None:
            try:
                finish(prepared)
            except Exception as error:
                failure = error
        if failure is not None:
            keep(failure)
        return result

    return measured
