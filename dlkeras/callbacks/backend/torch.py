"""The measurements of a train step in PyTorch."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import torch

from dlkeras.callbacks.backend import optimizer_state as state
from dlkeras.private_names import private

APPLY = "apply"


def direct(model: Any, step: Callable, otherwise: Callable) -> Callable:
    """The fastest way to call a measured step: Keras's own."""
    del model, step
    return otherwise


def logs_of(outputs: Any) -> Any:
    """The logs in what the train function returned."""
    return outputs


def has_value(tensor: Any) -> bool:
    """Whether it is a tensor with numbers, not one of a graph that is being made."""
    return isinstance(tensor, torch.Tensor) and not tensor.is_meta


def alone(model: Any) -> bool:
    """Whether a call of the train function is one step."""
    return model.steps_per_execution == 1


def scope() -> Any:
    """What is being traced: nothing here."""


def traced(function: Any) -> bool:
    """Whether a train function is bound to its variables: never here."""
    del function
    return False


def wait(outputs: Any) -> None:
    """Return when the step is done."""
    del outputs
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _value(variable: Any) -> Any:
    value = variable.value if isinstance(variable, keras.Variable) else variable
    return value.detach()


def _norms(tensors: Any, order: float = 2) -> Any:
    """Norms in float64, where the square of a small float32 does not become 0.

    The norm of order 0 counts the entries that are not 0.
    """
    norms = private("torch._foreach_norm") or _one_by_one(torch.linalg.vector_norm)
    return torch.stack(norms(tensors, order, dtype=torch.float64))


def _one_by_one(function: Callable) -> Callable:
    """Stand in for a kernel that takes many tensors at once, a private one."""

    def each(tensors: Any, other: Any, **options: Any) -> list:
        others = other if isinstance(other, list | tuple) else [other] * len(tensors)
        pairs = zip(tensors, others, strict=True)
        return [function(x, y, **options) for x, y in pairs]

    return each


def measuring(
    apply: Callable,
    optimizer: Any,
    keep: Callable[..., None],
    quantities: Sequence[str],
) -> Callable[..., Any]:
    """`apply` that also measures gradients, weights and updates."""
    products = private("torch._foreach_mul") or _one_by_one(torch.mul)
    differences = private("torch._foreach_sub") or _one_by_one(torch.sub)

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
        # The optimizer may change gradients and weights in place: measured first.
        rows = {"gradient_norm": _norms(dense) / divisor}
        if "weight_norm" in quantities:
            rows["weight_norm"] = _norms(values)
        if "zero_share" in quantities:
            sizes = torch.tensor([v.numel() for v in values], device=device)
            rows["zero_share"] = sizes - _norms(dense, 0)
        if "non_finite_share" in quantities:
            # A number times 0 is 0 unless it is infinite or NaN.
            rows["non_finite_share"] = _norms(products(dense, 0), 0)
        moves = "update_norm" in quantities
        before = products(values, 1) if moves else None
        return variables, before, rows, torch.stack([updates, scale])

    def finish(prepared: tuple) -> None:
        variables, before, rows, tail = prepared
        if before is not None:
            moved = differences([_value(v) for v in variables], before)
            rows["update_norm"] = _norms(moved)
        vector = torch.cat([*[rows[name] for name in quantities], tail])
        keep(variables, list(range(len(variables))), vector)

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
