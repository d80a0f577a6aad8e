"""What an optimizer does to gradients before it uses them: loss scale, accumulation."""

from typing import Any

import keras


def inner(optimizer: Any) -> Any:
    """The optimizer that updates the weights, below a `LossScaleOptimizer`."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def loss_scale(optimizer: Any, value_of: Any) -> Any:
    """The factor by which the step's gradients are too large.

    Args:
        optimizer: the outer optimizer of the model.
        value_of: gives the current value of an optimizer's variable.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        if optimizer.built:
            return value_of(optimizer.dynamic_scale)
        return optimizer.initial_scale
    return getattr(optimizer, "loss_scale_factor", None) or 1.0


def accumulation_steps(optimizer: Any) -> int:
    """How many steps share an update."""
    return getattr(inner(optimizer), "gradient_accumulation_steps", None) or 1


def accumulators(optimizer: Any, variables: list[Any]) -> list[Any] | None:
    """The variables in which the earlier gradients of an update wait, if any."""
    if accumulation_steps(optimizer) == 1:
        return None
    holder = inner(optimizer)
    waiting = holder._accumulated_gradients
    return [waiting[holder._get_variable_index(v)] for v in variables]
