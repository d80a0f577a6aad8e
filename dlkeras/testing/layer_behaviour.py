"""Checks of what a layer does over time: compiling, repeating, keeping no state."""

from typing import Any

import keras
import numpy as np

from dlkeras.testing.findings import brief, expect
from dlkeras.testing.subject import LayerSubject, difference, flat_arrays, to_array


def check_jit_compile(subject: LayerSubject) -> bool | None:
    """Compiled by XLA the layer computes what it computes eagerly."""
    if keras.backend.backend() == "torch":
        return False  # torch.compile needs a C++ compiler on the machine
    layer = subject.built()
    inputs = subject.arrays()
    expected = subject.outputs(layer, inputs)
    model: Any = subject.model(layer)
    model.compile(jit_compile=True)
    try:
        got = keras.tree.flatten(model.predict(inputs, verbose=0))
    except Exception as error:
        raise AssertionError(
            f"the layer cannot be compiled with jit_compile=True: {brief(error)}"
        ) from error
    gap = difference(expected, [np.asarray(array) for array in got])
    expect(
        gap < 1e-4,
        f"compiled, the layer computes other outputs (relative difference {gap:.2g})",
    )
    return None


def check_determinism(subject: LayerSubject) -> None:
    """One seed gives one result: weights, and outputs in training."""
    inputs = subject.arrays()
    runs = []
    for _ in range(2):
        keras.utils.set_random_seed(1234)
        layer = subject.make()
        outputs = subject.outputs(layer, inputs, training=True)
        runs.append((outputs, [to_array(weight) for weight in layer.weights]))
    expect(
        difference(runs[0][1], runs[1][1]) == 0,
        "under one seed the weights differ from run to run",
    )
    expect(
        difference(runs[0][0], runs[1][0]) < 1e-6,
        "under one seed the outputs in training differ from run to run",
    )


def check_state(subject: LayerSubject) -> None:
    """Using a layer leaves nothing behind."""
    layer = subject.built()
    inputs = subject.arrays()
    expected = subject.outputs(layer, inputs)
    before = [(v.path, to_array(v).copy()) for v in layer.variables]
    repeated = subject.outputs(layer, inputs)
    expect(
        difference(expected, repeated) < 1e-6,
        "with training=False two calls on one input give different outputs",
    )
    subject.outputs(layer, subject.arrays(seed=5))
    for (name, value), variable in zip(before, layer.variables, strict=True):
        expect(
            np.array_equal(value, to_array(variable)),
            f"with training=False the call changes `{name}`",
        )
    subject.model(layer)
    kept = [
        name
        for name, value in vars(layer).items()
        if any(
            isinstance(leaf, keras.KerasTensor) for leaf in keras.tree.flatten(value)
        )
    ]
    expect(
        not kept, f"after a symbolic call the layer still holds its tensors in {kept}"
    )
    try:
        after = subject.outputs(layer, inputs)
    except Exception as error:
        raise AssertionError(
            f"after a symbolic call the layer cannot be used: {brief(error)}"
        ) from error
    expect(
        difference(expected, after) < 1e-6,
        "after other calls one input gives another output: the layer keeps a state",
    )


class _Spy(keras.layers.Layer):
    """Notes the mask that reaches it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.seen: list = []

    def call(self, inputs: Any, mask: Any = None) -> Any:
        self.seen.append(None if mask is None else tuple(mask.shape))
        return inputs


def check_masking(subject: LayerSubject) -> bool | None:
    """A mask is passed on in the output's shape, or taken away."""
    if isinstance(subject.input_shape, list | dict):
        return False
    if len(subject.input_shape) < 3 or "float" not in subject.input_dtype:
        return False
    layer = subject.built()
    inputs = subject.arrays()
    inputs[:, -1] = 0.0
    spy = _Spy()
    outputs = layer(keras.layers.Masking(dtype=layer.dtype_policy)(inputs))
    first = keras.tree.flatten(outputs)[0]
    spy(first)
    seen = spy.seen[0]
    default = type(layer).compute_mask is keras.layers.Layer.compute_mask
    if not layer.supports_masking:
        expect(
            seen is None, "the layer does not declare supports_masking but lets it by"
        )
        return None
    if seen is None:
        expect(
            not default, "supports_masking is declared, but the mask does not come out"
        )
        return None
    shape = tuple(first.shape)
    expect(
        seen == shape[: len(seen)],
        f"supports_masking is declared, but the mask that comes out has shape {seen} "
        f"beside an output of shape {shape}",
    )
    return None


def check_rank(subject: LayerSubject) -> None:
    """An input of the wrong rank is refused by an error that names the layer."""
    axes = {
        "one axis too many": lambda s: (*s, 2),
        "one axis too few": lambda s: s[:-1],
    }
    for text, change in axes.items():
        layer = subject.built()
        wrong = subject.map_shapes(change)
        _expect_refusal(subject, layer, subject.arrays(wrong), f"an input with {text}")


def check_dtype(subject: LayerSubject) -> None:
    """An input of the wrong kind is refused by an error that names the layer."""
    wrong = "int32" if "float" in subject.input_dtype else "float32"
    layer = subject.built()
    arrays = keras.tree.map_structure(
        lambda array: np.ones(array.shape, wrong), subject.arrays()
    )
    _expect_refusal(subject, layer, arrays, f"an input of dtype {wrong}")


def _expect_refusal(subject: LayerSubject, layer: Any, inputs: Any, what: str) -> None:
    try:
        outputs = flat_arrays(subject.call(layer, inputs))
    except Exception as error:
        text = str(error)
        names = (layer.name, type(layer).__name__)
        expect(
            any(name in text for name in names),
            f"the error for {what} does not name the layer: {brief(error)}",
        )
        return
    shapes = [array.shape for array in outputs]
    raise AssertionError(f"{what} is not refused but gives outputs of shapes {shapes}")
