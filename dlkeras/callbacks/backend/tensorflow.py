"""The measurements of a train step in TensorFlow."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from dlkeras.callbacks.backend import optimizer_state as state
from dlkeras.callbacks.backend.layout import Layout

APPLY = "apply"
# A float32 sum of more entries than this may be off by 1e-6.
LARGEST_SUM = 65_536


def logs_of(outputs: Any) -> Any:
    """The logs in what the train function returned."""
    return outputs


def has_value(tensor: Any) -> bool:
    """Whether it is a tensor with numbers, not one of a graph that is being made."""
    return isinstance(tensor, tf.Tensor) and hasattr(tensor, "numpy")


def alone(model: Any) -> bool:
    """Whether a call of the train function is one step of one replica."""
    return (
        model.distribute_strategy.num_replicas_in_sync == 1
        and model.steps_per_execution == 1
    )


def scope() -> Any:
    """The graph that is being made: a branch and an inner function have their own."""
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


def traced(function: Any) -> bool:
    """Whether a train function is a graph by now, and bound to its variables."""
    for cell in getattr(function, "__closure__", None) or ():
        try:
            count = getattr(cell.cell_contents, "experimental_get_tracing_count", None)
        except ValueError:  # an empty cell
            continue
        if count is not None and count() > 0:
            return True
    return False


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
    # Of a layer over a sequence TensorFlow forgets a part of the shape.
    return tf.ensure_shape(tf.convert_to_tensor(gradient), value.shape)


def _grouped(tensors: list[Any], layout: Layout) -> list[Any]:
    """One tensor for each group: `(variables, entries)`, or a single variable."""
    return [
        tf.reshape(tf.stack([tensors[i] for i in group]), [len(group), -1])
        if len(group) > 1
        else tensors[group[0]]
        for group in layout.groups
    ]


def _square_sums(groups: list[Any], layout: Layout, careful: bool = False) -> Any:
    """Sums of squares; those of a float32 below 1e-22 are 0 unless it is careful.

    Large variables are always summed in float64, as every addition rounds.
    """
    rows: list[Any] = []
    halves: dict[Any, list[Any]] = {tf.float32: [], tf.float64: []}
    for tensor, group in zip(groups, layout.groups, strict=True):
        exact = careful or tensor.shape.num_elements() > LARGEST_SUM
        exact = exact or tensor.dtype == tf.float64
        tensor = tf.cast(tensor, tf.float64 if exact else tf.float32)
        if len(group) > 1:
            rows.append(tf.cast(tf.reduce_sum(tf.square(tensor), 1), tf.float64))
        else:
            halves[tensor.dtype].append(tf.nn.l2_loss(tensor))  # one fused kernel
    # Together: in a small network each operation costs as much as a sum.
    for dtype, parts in halves.items():
        if parts:
            doubled = tf.stack(parts) * tf.constant(2, dtype)
            rows.append(tf.cast(doubled, tf.float64))
    return tf.concat(rows, 0)


def _zeros(groups: list[Any], layout: Layout) -> Any:
    """How many entries of each variable are exactly 0, where none is NaN."""
    rows, halves, sizes = [], [], []
    for tensor, group in zip(groups, layout.groups, strict=True):
        # The square of the sign is 1 unless the entry is 0.
        signs = tf.sign(tf.cast(tensor, tf.float32))
        if len(group) > 1:
            rows.append(tensor.shape[1] - tf.reduce_sum(tf.abs(signs), 1))
        else:
            halves.append(tf.nn.l2_loss(signs))
            sizes.append(tensor.shape.num_elements())
    if halves:
        rows.append(tf.constant(sizes, tf.float32) - 2 * tf.stack(halves))
    return tf.cast(tf.concat(rows, 0), tf.float64)


def _counts(conditions: list[Any], layout: Layout) -> Any:
    """How often each variable's entries meet a condition."""
    counts = []
    for condition, group in zip(conditions, layout.groups, strict=True):
        rows = tf.reshape(condition, [len(group), -1])
        counts.append(tf.math.count_nonzero(rows, 1, dtype=tf.int64))
    return tf.cast(tf.concat(counts, 0), tf.float64)


def _norms_alone(gradients: list[Any], layout: Layout, grads: list[Any]) -> tuple:
    """The norms, and the step's gradients: each is free once its norm is known.

    So it is read while it is in the cache, and the optimizer may use its memory again.
    In float64 no square is lost, and the branch that `_rows` has would cost more.
    """
    rows, halves, grads = [], [], list(grads)
    for tensor, group in zip(gradients, layout.groups, strict=True):
        tensor = tf.cast(tensor, tf.float64)
        if len(group) > 1:
            rows.append(tf.reduce_sum(tf.square(tensor), 1))
            continue
        halves.append(tf.nn.l2_loss(tensor))
        if isinstance(grads[group[0]], tf.Tensor):
            with tf.control_dependencies(halves[-1:]):
                grads[group[0]] = tf.identity(grads[group[0]])
    if halves:
        rows.append(2 * tf.stack(halves))
    return tf.sqrt(tf.concat(rows, 0)), grads


def _rows(parts: list[list[Any]], layout: Layout, quantities: Sequence[str]) -> Any:
    """The rows of measurements, one after the other.

    Args:
        parts: gradients, weights and updates in groups, as far as they are asked for.
        layout: the groups.
        quantities: the rows.
    """
    counted = [name for name in quantities if name.endswith("share")]
    sums = tf.concat([_square_sums(part, layout) for part in parts], 0)
    zeros = _zeros(parts[0], layout) if "zero_share" in counted else sums
    # What is exactly 0 has no square to lose; of weights and updates nobody counts.
    safe = tf.logical_and(tf.greater(sums, 1e-30), tf.less(sums, 1e30))

    def quick(sums: Any, zeros: Any, *tensors: Any) -> Any:
        del tensors
        none = tf.zeros([len(layout.order)], tf.float64)
        counts = {"zero_share": zeros, "non_finite_share": none}
        return tf.concat([tf.sqrt(sums), *[counts[name] for name in counted]], 0)

    def careful(sums: Any, zeros: Any, *tensors: Any) -> Any:
        del sums, zeros
        number = len(layout.groups)
        starts = range(0, len(tensors), number)
        parts = [list(tensors[start : start + number]) for start in starts]
        meets = {
            "zero_share": lambda gradient: tf.equal(gradient, 0),
            "non_finite_share": lambda gradient: ~tf.math.is_finite(gradient),
        }
        return tf.concat(
            [
                *[tf.sqrt(_square_sums(part, layout, careful=True)) for part in parts],
                *[
                    _counts([meets[name](g) for g in parts[0]], layout)
                    for name in counted
                ],
            ],
            0,
        )

    return _branch(
        tf.reduce_all(safe), quick, careful, [sums, zeros, *itertools.chain(*parts)]
    )


def _branch(condition: Any, if_true: Callable, if_false: Callable, inputs: list) -> Any:
    """`tf.cond`: only the branch that is taken costs anything.

    `tf.cond` is spread over the graph around it, where every operation of the other
    branch is passed through, too: a third of what measuring a small network costs.
    """
    if tf.executing_eagerly():
        return (if_true if condition else if_false)(*inputs)
    specs = [tf.TensorSpec(x.shape, x.dtype) for x in inputs]
    branches = [
        tf.function(branch, autograph=False).get_concrete_function(*specs)
        for branch in (if_true, if_false)
    ]
    (output,) = tf.raw_ops.StatelessIf(
        cond=condition,
        input=inputs,
        Tout=[tf.float64],
        then_branch=branches[0],
        else_branch=branches[1],
    )
    output.set_shape(branches[0].structured_outputs.shape)
    return output


def measuring(
    apply: Callable,
    optimizer: Any,
    keep: Callable[..., None],
    quantities: Sequence[str],
) -> Callable[..., Any]:
    """`apply` that also measures gradients, weights and updates."""
    alone = tuple(quantities) == ("gradient_norm",)

    def prepare(grads: Any, variables: Any) -> tuple:
        if variables is None:
            variables = optimizer._trainable_variables
        variables = list(variables)
        if not optimizer.built:  # `apply` would do so: its variables are needed now
            with keras.name_scope(optimizer.name):
                optimizer.build(variables)
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
            rest = tf.math.floormod(done + 1, steps)
            updates = tf.cast(tf.equal(rest, 0), tf.float64)
        divisor = scale if waiting is None else tf.constant(1.0, tf.float64)
        gradients = _grouped(dense, layout)
        if alone:
            norms, passed = _norms_alone(gradients, layout, grads)
            if replicas is None or replicas.num_replicas_in_sync == 1:
                grads = passed
            vector = tf.concat([norms / divisor, [updates, scale]], 0)
            return grads, (variables, layout, vector)
        before = _grouped(values, layout)
        return grads, (variables, layout, gradients, before, divisor, updates, scale)

    def finish(prepared: tuple) -> None:
        if alone:
            variables, layout, vector = prepared
            keep(variables, layout.order, vector)
            return
        variables, layout, gradients, before, divisor, updates, scale = prepared
        parts = [gradients]
        if "weight_norm" in quantities:
            parts.append(before)
        if "update_norm" in quantities:
            values = [tf.convert_to_tensor(_value(v)) for v in variables]
            after = _grouped(values, layout)
            parts.append([new - old for new, old in zip(after, before, strict=True)])
        rows = _rows(parts, layout, quantities)
        count = len(variables)
        vector = tf.concat([rows[:count] / divisor, rows[count:], [updates, scale]], 0)
        keep(variables, layout.order, vector)

    def measured(grads: Any, trainable_variables: Any = None) -> Any:
        grads = list(grads)
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
        prepared, failure = None, None
        try:
            grads, prepared = prepare(grads, trainable_variables)
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
