"""Reads a Keras model as a chain of neurons: Dense layers and their activations."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import layers, ops

# The activation layers without weights.
_ACTIVATION_LAYERS = (
    layers.Activation,
    layers.ReLU,
    layers.LeakyReLU,
    layers.ELU,
    layers.Softmax,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Neurons:
    """One layer of neurons: its weights in float64 and its activation functions.

    Attributes:
        layer: the Dense layer; None for activations in front of the first one.
        kernel: w_ji, `(inputs, units)`.
        bias: `(units,)`, zeros without a bias.
        activations: the functions that make phi, in the order they are applied.
    """

    layer: Any
    kernel: np.ndarray
    bias: np.ndarray
    activations: tuple[Callable, ...]


def dense_stack(
    model: keras.Model, x: np.ndarray, *, trained: bool = False
) -> list[Neurons]:
    """The model's layers of neurons from input to output.

    Args:
        model: a Sequential or Functional model.
        x: inputs, to build an unbuilt model and to check the width.
        trained: also refuse what would make training differ from the plain cost.

    Raises:
        ValueError: naming the layer that is not a part of a stack of Dense layers.
    """
    if x.ndim != 2 or not len(x):
        raise ValueError(
            "`x` must have the shape (examples, inputs), with at least one example. "
            f"Received: x of shape {x.shape}"
        )
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"`model` must be a Sequential or Functional model. Received: {model!r}"
        )
    if not model.built and isinstance(model, keras.Sequential):
        model.build((None, x.shape[1]))
    chain: list[tuple[Any, list[Callable]]] = []
    seen: set[int] = set()
    for layer in _chain(model):
        if id(layer) in seen:
            raise _refusal(layer, "is in it twice, and shared weights")
        seen.add(id(layer))
        if isinstance(layer, layers.InputLayer):
            continue
        if type(layer) is layers.Dense:
            _check_dense(layer, trained)
            chain.append((layer, [layer.activation]))
        elif type(layer) in _ACTIVATION_LAYERS:
            if not chain:
                chain.append((None, []))
            is_wrapper = type(layer) is layers.Activation
            chain[-1][1].append(layer.activation if is_wrapper else layer)
        else:
            raise _refusal(layer, "and other layers")
    if not any(layer is not None for layer, _ in chain):
        raise ValueError(
            "`model` must have at least one Dense layer. "
            f"Received: model {model.name!r} without one"
        )
    stack = [_neurons(layer, functions) for layer, functions in chain]
    first = next(neurons for neurons in stack if neurons.layer is not None)
    if x.shape[1] != len(first.kernel):
        raise ValueError(
            f"`x` must have {len(first.kernel)} inputs, as layer {first.layer.name!r} "
            f"has. Received: x of shape {x.shape}"
        )
    return stack


def to_float64(variable: Any) -> np.ndarray:
    """A Keras variable's values as a float64 array."""
    return np.asarray(ops.convert_to_numpy(variable), "float64")


def _neurons(layer: Any, functions: list[Callable]) -> Neurons:
    if layer is None:
        return Neurons(None, np.empty((0, 0)), np.empty(0), tuple(functions))
    kernel = to_float64(layer.kernel)
    bias = np.zeros(kernel.shape[1])
    if layer.use_bias:
        bias = to_float64(layer.bias)
    return Neurons(layer, kernel, bias, tuple(functions))


def _refusal(layer: Any, what: str) -> ValueError:
    return ValueError(
        "The delta rule here is for a stack of Dense layers with Activation layers; "
        f"{what} are not. Received: layer {layer.name!r} "
        f"({type(layer).__name__})"
    )


def _check_dense(layer: Any, trained: bool) -> None:
    phi = layer.activation
    if isinstance(phi, layers.Layer) and type(phi) not in _ACTIVATION_LAYERS:
        raise _refusal(layer, f"{type(phi).__name__} layers as an activation")
    if getattr(layer, "lora_enabled", False) or getattr(
        layer, "quantization_mode", None
    ):
        raise _refusal(layer, "quantized or low-rank kernels")
    if not trained:
        return
    for name in (
        "kernel_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "kernel_constraint",
        "bias_constraint",
    ):
        if getattr(layer, name, None) is not None:
            raise ValueError(
                "`DeltaRule` minimises E_av alone, without regularizers and "
                f"constraints. Received: layer {layer.name!r} with a {name}"
            )


def _chain(model: Any) -> Iterator[Any]:
    """The layers of a model in the order data passes them; nested models unrolled."""
    if isinstance(model, keras.Sequential):
        for layer in model.layers:
            yield from _chain(layer) if isinstance(layer, keras.Model) else (layer,)
        return
    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    if not inputs or not outputs:
        raise _refusal(model, "models without a graph of layers")
    if len(inputs) != 1 or len(outputs) != 1:
        raise _refusal(model, f"{len(inputs)} inputs and {len(outputs)} outputs")
    # From the output back to the input, along the graph that Keras recorded.
    backwards, tensor = [], outputs[0]
    while tensor is not inputs[0]:
        history = tensor._keras_history
        layer = history.operation
        if not isinstance(layer, layers.Layer):
            raise _refusal(layer, "operations")
        arrows = layer._inbound_nodes[history.node_index].input_tensors
        if len(arrows) != 1:
            raise _refusal(layer, "branches")
        backwards.append(layer)
        tensor = arrows[0]
    for layer in reversed(backwards):
        yield from _chain(layer) if isinstance(layer, keras.Model) else (layer,)
