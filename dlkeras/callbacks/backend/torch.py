"""The measurements of a train step in PyTorch."""

from collections.abc import Callable
from typing import Any

import keras
import torch

from dlkeras.callbacks.backend import optimizer_state as state
from dlkeras.callbacks.backend.layout import Layout

APPLY = "apply"
no_gradients = torch.no_grad


def logs_of(outputs: Any) -> Any:
    """The logs in what the train function returned."""
    return outputs


def wait(outputs: Any) -> None:
    """Return when the step is done."""
    del outputs
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _value(variable: Any) -> Any:
    value = variable.value if isinstance(variable, keras.Variable) else variable
    return value.detach()


def _stacked(tensors: list[Any], layout: Layout) -> list[Any]:
    """Copies: the optimizer changes the weights in place."""
    return [
        torch.stack([tensors[i] for i in group])
        if len(group) > 1
        else tensors[group[0]].clone().unsqueeze(0)
        for group in layout.groups
    ]


def _norms(stack: Any) -> Any:
    """Norms in float64: the square of a float32 below 1e-22 is 0 in float32."""
    return torch.linalg.vector_norm(stack.flatten(1), dim=1, dtype=torch.float64)


def _count(condition: Any) -> Any:
    return condition.flatten(1).sum(1, dtype=torch.float64)


def measuring(
    apply: Callable, optimizer: Any, keep: Callable[..., None]
) -> Callable[..., Any]:
    """`apply` that also measures gradients, weights and updates."""

    def prepare(grads: Any, variables: Any) -> tuple:
        if variables is None:
            variables = optimizer._trainable_variables
        variables = list(variables)
        values = [_value(v) for v in variables]
        device = values[0].device
        dense = [
            torch.zeros_like(v) if g is None else g.to_dense() if g.is_sparse else g
            for g, v in zip(grads, values, strict=True)
        ]
        layout = Layout([v.shape for v in values], [str(v.dtype) for v in values])
        scale = state.loss_scale(optimizer, _value)
        scale = torch.as_tensor(scale, dtype=torch.float64, device=device).clone()
        waiting = state.accumulators(optimizer, variables)
        updates = 1.0
        if waiting is not None:
            steps = state.accumulation_steps(optimizer)
            dense = [
                (g / scale.to(g.dtype) + _value(a).to(g.dtype)) / steps
                for g, a in zip(dense, waiting, strict=True)
            ]
            done = _value(state.inner(optimizer)._iterations)
            updates = (done + 1) % steps == 0
        updates = torch.as_tensor(updates, dtype=torch.float64, device=device)
        divisor = scale if waiting is None else torch.ones_like(scale)
        # The optimizer may change gradients in place, so they are measured first.
        gradients = [torch.stack([dense[i] for i in group]) for group in layout.groups]
        before = _stacked(values, layout)
        parts = [_norms(g) / divisor for g in gradients]
        parts += [_norms(w) for w in before]
        counts = [_count(g == 0) for g in gradients]
        counts += [_count(~torch.isfinite(g)) for g in gradients]
        return variables, layout, before, parts, counts, torch.stack([updates, scale])

    def finish(prepared: tuple) -> None:
        variables, layout, before, parts, counts, tail = prepared
        after = _stacked([_value(v) for v in variables], layout)
        torch._foreach_sub_(after, before)
        moved = [_norms(update) for update in after]
        keep(variables, layout.order, torch.cat([*parts, *moved, *counts, tail]))

    def measured(grads: Any, trainable_variables: Any = None) -> Any:
        grads = list(grads)
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
        prepared, failure = None, None
        with torch.no_grad():
            try:
                prepared = prepare(grads, trainable_variables)
            except Exception as error:  # measuring must never stop a training
                failure = error
        result = apply(grads, trainable_variables)
        if prepared is not None:
            with torch.no_grad():
                try:
                    finish(prepared)
                except Exception as error:
                    failure = error
        if failure is not None:
            keep(failure)
        return result

    return measured
