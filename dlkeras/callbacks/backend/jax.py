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


def _stacked(arrays: list[Any], layout: Layout) -> list[Any]:
    return [jnp.stack([arrays[i] for i in group]) for group in layout.groups]


def _total(stack: Any) -> Any:
    """The sum of each row, in two stages: a long float32 sum loses digits.

    The last axis comes last: until then a processor adds vectors, not single numbers.
    """
    if stack.ndim > 2:
        stack = jnp.sum(stack, tuple(range(1, stack.ndim - 1)))
    return jnp.sum(stack.reshape(stack.shape[0], -1), 1)


def _as_float(stack: Any) -> Any:
    return stack.astype(jnp.promote_types(stack.dtype, jnp.float32))


def _scaled_norms(stack: Any) -> Any:
    """Norms of arrays scaled by their largest entry: squares leave float32's range."""
    stack = _as_float(stack)
    largest = jnp.max(jnp.abs(stack.reshape(stack.shape[0], -1)), 1)
    usable = (largest > 0) & jnp.isfinite(largest)  # else the norm is 0 or not finite
    divisor = jnp.where(usable, largest, 1)
    scaled = stack / divisor.reshape(-1, *[1] * (stack.ndim - 1))
    return divisor * jnp.sqrt(_total(jnp.square(scaled)))


def _norms(stacks: list[Any]) -> Any:
    """The norms of all variables; the careful way only where one of them needs it."""
    plain = [jnp.sqrt(_total(jnp.square(_as_float(stack)))) for stack in stacks]
    norms = jnp.concatenate(plain)
    return jax.lax.cond(
        jnp.all((norms > 1e-15) & (norms < 1e15)),
        lambda: norms,
        lambda: jnp.concatenate([_scaled_norms(stack) for stack in stacks]),
    )


def _count(condition: Any) -> Any:
    return _total(condition.astype(jnp.float32))


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
        gradients, before = _stacked(grads, layout), _stacked(old, layout)
        moved = [n - o for n, o in zip(_stacked(new, layout), before, strict=True)]
        norms = _norms(gradients)
        zeros = jnp.concatenate([_count(g == 0) for g in gradients])
        non_finite = jax.lax.cond(  # looked for only where there are some
            jnp.all(jnp.isfinite(norms)),
            lambda: jnp.zeros_like(zeros),
            lambda: jnp.concatenate([_count(~jnp.isfinite(g)) for g in gradients]),
        )
        rows = {
            "gradient_norm": norms / divisor,
            "weight_norm": _norms(before),
            "update_norm": _norms(moved),
            "zero_share": zeros,
            "non_finite_share": non_finite,
        }
        # What is not asked for, the compiler leaves out.
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
