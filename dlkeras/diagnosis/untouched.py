"""Looks at a model and its data without changing the training that follows."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np

from dlkeras.private_names import private

if keras.backend.backend() == "torch":
    import torch

_GLOBAL_SEEDS = "global_seed_generator"


@contextmanager
def untouched(model: Any) -> Iterator[None]:
    """Nothing is recorded for a backward pass; states and seeds are put back.

    That is the model's variables that no optimizer trains (moving averages, seeds), the
    states of recurrent layers, Keras's own seed for layers that have none, and what
    `same_luck` puts back.
    """
    seeds = _global_seeds()
    variables = [
        *model.non_trainable_variables,
        *_recurrent_states(model),
        *([] if seeds is None else [seeds.state]),
    ]
    kept = [(v, np.array(keras.ops.convert_to_numpy(v))) for v in variables]
    with ExitStack() as stack:
        stack.enter_context(same_luck())
        if keras.backend.backend() == "torch":
            stack.enter_context(torch.no_grad())
        try:
            yield
        finally:
            for variable, value in kept:
                variable.assign(value)
            if seeds is None and _global_seeds() is not None:
                _forget_global_seeds()


@contextmanager
def same_luck() -> Iterator[None]:
    """What Python, NumPy and PyTorch draw by chance next stays as it was."""
    python, numpy = random.getstate(), np.random.get_state()
    with ExitStack() as stack:
        if keras.backend.backend() == "torch":
            stack.enter_context(torch.random.fork_rng())
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def _recurrent_states(model: Any) -> list[Any]:
    """What stateful layers carry from batch to batch: Keras lists it nowhere else."""
    layers = [layer for layer in model._flatten_layers() if hasattr(layer, "states")]
    states = keras.tree.flatten([layer.states for layer in layers])
    return [state for state in states if isinstance(state, keras.Variable)]


def _global_seeds() -> Any:
    """Keras's generator for random operations without one; None before the first."""
    get = private("keras.src.backend.common.global_state.get_global_attribute")
    return None if get is None else get(_GLOBAL_SEEDS)


def _forget_global_seeds() -> None:
    """As it was: made, from Python's random state, where it is needed first."""
    name = "keras.src.backend.common.global_state.set_global_attribute"
    if (put := private(name)) is not None:
        put(_GLOBAL_SEEDS, None)
