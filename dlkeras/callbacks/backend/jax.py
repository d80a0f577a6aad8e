"""The measurements of a train step in JAX."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.extend.core
import jax.numpy as jnp

from dlkeras.callbacks.backend import optimizer_state as state
from dlkeras.callbacks.backend.layout import Layout

APPLY = "stateless_apply"


def direct(model: Any, step: Callable, otherwise: Callable) -> Callable:
    """The fastest way to call a measured step: Keras's own."""
    del model, step
    return otherwise


def logs_of(outputs: Any) -> Any:
    """The logs in what the train function returned."""
    return outputs[0]


def has_value(tensor: Any) -> bool:
    """Whether it is a tensor with numbers, not one of a graph that is being made."""
    return isinstance(tensor, jax.Array) and not isinstance(tensor, jax.core.Tracer)


def alone(model: Any) -> bool:
    """Whether a call of the train function is one step."""
    return model.steps_per_execution == 1


def scope() -> Any:
    """What is being traced: a branch and an inner `jit` have their own trace."""
    return getattr(jax.extend.core, "get_opaque_trace_state", lambda: None)()


def traced(function: Any) -> bool:
    """Whether a train function is bound to its variables: never here."""
    del function
    return False


def wait(outputs: Any) -> None:
    """Return when the step is done."""
    jax.block_until_ready(outputs)


# On a processor XLA computes what is summed first, writes it down, and sums it then. A
# sum of a few slices it computes in one pass, as it does any other arithmetic; of more
# the program would only grow, and larger arrays belong to networks with slower steps.
_SLICES, _LARGEST_FOLDED = 10, 2**17

# What of a variable's gradient, old and new value has a norm.
_NORM_OF: dict[str, Callable[[Any, Any, Any], Any]] = {
    "gradient_norm": lambda gradient, old, new: gradient,
    "weight_norm": lambda gradient, old, new: old,
    "update_norm": lambda gradient, old, new: new - old,
}


def _stacked(arrays: list[Any], layout: Layout) -> list[Any]:
    return [jnp.stack([arrays[i] for i in group]) for group in layout.groups]


def _folded(entries: Callable[..., Any], stacks: Sequence[Any]) -> Any:
    """A part of the sum of each row's entries: `(rows, n, columns)` to sum up.

    Args:
        entries: what is to be summed of slices of the stacks.
        stacks: of one shape, `(rows, *shape of a variable)`.
    """
    rows, columns = len(stacks[0]), stacks[0].shape[-1] if stacks[0].ndim > 1 else 1
    stacks = [stack.reshape(rows, -1, columns) for stack in stacks]
    n, slices = stacks[0].shape[1], 1
    if n * columns <= _LARGEST_FOLDED and jax.default_backend() == "cpu":
        slices = max(k for k in range(1, _SLICES + 1) if n % k == 0)
    size = n // slices
    return sum(
        entries(*[stack[:, k * size : (k + 1) * size] for stack in stacks])
        for k in range(slices)
    )


def _totals(parts: list[Any]) -> list[Any]:
    """The sum of each row of each part, in stages: a long float32 sum loses digits.

    Parts of one shape are summed together, by a few kernels instead of one for each
    variable. The last axis comes last: until then a processor adds vectors.
    """
    alike: dict[tuple, list[int]] = {}
    for index, part in enumerate(parts):
        alike.setdefault(part.shape[1:], []).append(index)
    totals: dict[int, Any] = {}
    for indices in alike.values():
        together = jnp.concatenate([parts[i] for i in indices])
        sums, start = jnp.sum(jnp.sum(together, 1), 1), 0
        for i in indices:
            totals[i] = sums[start : start + len(parts[i])]
            start += len(parts[i])
    return [totals[i] for i in range(len(parts))]


def _as_float(stack: Any) -> Any:
    return stack.astype(jnp.promote_types(stack.dtype, jnp.float32))


def _scaled_norms(stack: Any) -> Any:
    """Norms of arrays scaled by their largest entry: squares leave float32's range."""
    stack = _as_float(stack)
    largest = jnp.max(jnp.abs(stack.reshape(stack.shape[0], -1)), 1)
    usable = (largest > 0) & jnp.isfinite(largest)  # else the norm is 0 or not finite
    divisor = jnp.where(usable, largest, 1)
    scaled = stack / divisor.reshape(-1, *[1] * (stack.ndim - 1))
    (total,) = _totals([_folded(jnp.square, [scaled])])
    return divisor * jnp.sqrt(total)


def _rows_of(quantities: Sequence[str], stacks: list[tuple]) -> dict[str, Any]:
    """The row of each quantity, and of the gradient norm, without the loss scale.

    Args:
        quantities: some of `QUANTITIES`.
        stacks: of each group of variables the gradients, the old and the new values.
    """
    summed: dict[str, Callable[[Any, Any, Any], Any]] = {
        name: lambda *slices, _entries=entries: jnp.square(_as_float(_entries(*slices)))
        for name, entries in _NORM_OF.items()
        if name in quantities
    }
    if {"zero_share", "non_finite_share"} & {*quantities}:
        summed["zero_share"] = lambda gradient, *_: (gradient == 0).astype(jnp.float32)
    parts = [_folded(entries, group) for entries in summed.values() for group in stacks]
    totals = iter(_totals(parts))
    rows = {name: jnp.concatenate([next(totals) for _ in stacks]) for name in summed}
    norms = [name for name in _NORM_OF if name in summed]
    for name in norms:
        rows[name] = jnp.sqrt(rows[name])
    if "non_finite_share" in quantities:
        rows["non_finite_share"] = jnp.zeros_like(rows["zero_share"])

    def carefully() -> dict[str, Any]:
        again = {
            name: jnp.concatenate([_scaled_norms(_NORM_OF[name](*g)) for g in stacks])
            for name in norms
        }
        if "non_finite_share" in quantities:
            shares = _totals([_folded(_not_finite, group[:1]) for group in stacks])
            again["non_finite_share"] = jnp.concatenate(shares)
        return {**rows, **again}

    # One condition for all: each takes every array along. Squares stay within range.
    found = jnp.stack([rows[name] for name in norms])
    usual = jnp.all((found > 1e-15) & (found < 1e15))
    return jax.lax.cond(usual, lambda: rows, carefully)


def _not_finite(gradient: Any) -> Any:
    return (~jnp.isfinite(gradient)).astype(jnp.float32)


def measuring(
    apply: Callable,
    optimizer: Any,
    keep: Callable[..., None],
    quantities: Sequence[str],
) -> Callable[..., Any]:
    """`stateless_apply` that also measures gradients, weights and updates."""

    def measure(optimizer_variables: Any, grads: Any, old: Any, new: Any) -> None:
        values = {
            id(variable): value
            for variable, value in zip(
                optimizer.variables, optimizer_variables, strict=True
            )
        }

        def value_of(variable: Any) -> Any:
            return values[id(variable)]

        variables = list(optimizer._trainable_variables)
        if not variables:
            keep(variables)
            return
        layout = Layout([v.shape for v in old], [str(v.dtype) for v in old])
        # Outside of the conditions in which the optimizer itself unscales.
        scale = jnp.asarray(state.loss_scale(optimizer, value_of), jnp.float32)
        grads = [
            jnp.zeros_like(v) if g is None else g
            for g, v in zip(grads, old, strict=True)
        ]
        waiting = state.accumulators(optimizer, variables)
        updates, divisor = jnp.ones((), jnp.float32), scale
        if waiting is not None:
            steps = state.accumulation_steps(optimizer)
            grads = [
                (g / scale.astype(g.dtype) + value_of(a).astype(g.dtype)) / steps
                for g, a in zip(grads, waiting, strict=True)
            ]
            done = value_of(state.inner(optimizer)._iterations)
            updates = ((done + 1) % steps == 0).astype(jnp.float32)
            divisor = jnp.ones((), jnp.float32)
        stacks = [_stacked(arrays, layout) for arrays in (grads, old, new)]
        rows = _rows_of(quantities, list(zip(*stacks, strict=True)))
        rows["gradient_norm"] = rows["gradient_norm"] / divisor
        asked = [rows[name] for name in quantities]
        vector = jnp.concatenate([*asked, jnp.stack([updates, scale])])
        keep(variables, layout.order, vector)

    def measured(optimizer_variables: Any, grads: Any, trainable_variables: Any) -> Any:
        result = apply(optimizer_variables, grads, trainable_variables)
        try:
            measure(optimizer_variables, grads, trainable_variables, result[0])
        except Exception as error:  # measuring must never stop a training
            keep(error)
        return result

    return measured
