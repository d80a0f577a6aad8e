"""Checks how a layer behaves: compiled, repeated, and without leftover state."""

import inspect
from typing import Any

import keras
import numpy as np

from dlkeras.testing.findings import brief, expect
from dlkeras.testing.layer_shapes import computed_shapes, covers, flat_shapes
from dlkeras.testing.subject import (
    LayerSubject,
    difference,
    names_of,
    restore,
    to_array,
    values_of,
)


def check_jit_compile(subject: LayerSubject) -> bool | None:
    """Compiled by XLA the layer computes what it computes eagerly."""
    if keras.backend.backend() == "torch":
        return False  # torch.compile needs a C++ compiler on the machine
    layer = subject.built()
    inputs = subject.arrays()
    before = values_of(layer.variables)
    expected = subject.outputs(layer, inputs)
    restore(before)
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
        gap < 1e-4 or subject.draws_in_use(layer),
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


class _Masker(keras.layers.Layer):
    """Masks what is zero along all axes but the first `axes`."""

    def __init__(self, axes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axes = axes

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        del previous_mask
        rest = tuple(range(self.axes, len(inputs.shape)))
        return keras.ops.any(keras.ops.not_equal(inputs, 0.0), axis=rest)


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
    rank = len(subject.input_shape)
    if rank < 3 or "float" not in subject.input_dtype:
        return False
    # A mask tells steps of time apart or, as some layers take it, every position, or
    # every number, as a softmax takes it.
    refused = None
    for axes in dict.fromkeys((2, rank - 1, rank)):
        try:
            _mask(subject, axes)
            return None
        except AssertionError:
            raise
        except Exception as error:
            refused = refused or error
    raise refused or AssertionError


def _mask(subject: LayerSubject, axes: int) -> None:
    layer = subject.built()
    inputs = subject.arrays()
    inputs[:, -1] = 0.0
    spy = _Spy()
    outputs = layer(_Masker(axes, dtype=layer.dtype_policy)(inputs))
    first = keras.tree.flatten(outputs)[0]
    spy(first)
    seen = spy.seen[0]
    default = type(layer).compute_mask is keras.layers.Layer.compute_mask
    _check_masked_steps(subject, layer, axes)
    if not layer.supports_masking:
        expect(
            seen is None, "the layer does not declare supports_masking but lets it by"
        )
        return
    if seen is None:
        expect(
            not default, "supports_masking is declared, but the mask does not come out"
        )
        return
    shape = tuple(first.shape)
    expect(
        seen == shape[: len(seen)],
        f"supports_masking is declared, but the mask that comes out has shape {seen} "
        f"beside an output of shape {shape}",
    )


def _check_masked_steps(subject: LayerSubject, layer: Any, axes: int) -> None:
    """What a mask hides must not reach the outputs of what it shows."""
    asks = "mask" in inspect.signature(layer.call).parameters
    if axes != 2 or not asks or isinstance(layer, keras.Model):
        return
    inputs = subject.arrays()
    mask = np.ones(inputs.shape[:2], bool)
    mask[:, -1] = False
    results = []
    for hidden in (0.0, 1.0):
        inputs[:, -1] = hidden
        first = keras.tree.flatten(layer(inputs, mask=mask, training=False))[0]
        results.append(to_array(first))
    if results[0].shape[:2] == inputs.shape[:2]:  # one output a step
        results = [result[:, :-1] for result in results]
    expect(
        difference(results[:1], results[1:]) < 1e-4,
        "call() takes a `mask`, but what is masked changes its outputs elsewhere",
    )


def check_rank(subject: LayerSubject) -> bool | None:
    """An input of the wrong rank is refused by an error that names the layer.

    Wrong is a rank that the layer does not take: if it is not refused, the outputs
    must be what `compute_output_shape` says of such an input.
    """
    refused = 0
    for text, change in (
        ("one axis too many", lambda s: (*s, 2)),
        ("one axis too few", lambda s: s[:-1]),
    ):
        layer = subject.built()
        wrong = subject.map_shapes(change)
        if () in flat_shapes(wrong):
            continue  # no batch, no input
        what = f"an input with {text}"
        outputs = _unless_refused(layer, subject, subject.arrays(wrong), what)
        if outputs is None:
            refused += 1
            continue
        shapes = [array.shape for array in outputs]
        try:
            said: Any = computed_shapes(subject, layer, wrong)
        except Exception as error:
            said = brief(error)
        expect(
            isinstance(said, list) and covers(said, shapes),
            f"{what} is not refused but gives outputs of shapes {shapes}, where "
            f"compute_output_shape() says {said}",
        )
    return None if refused else False


def check_dtype(subject: LayerSubject) -> bool | None:
    """An input of the wrong kind is refused by an error that names the layer.

    Or it is not wrong: the same numbers give the same outputs in both kinds.
    """
    right = subject.input_dtype
    wrong = "int32" if "float" in right else "float32"
    layer = subject.built()
    numbers = keras.tree.map_structure(
        lambda array: np.arange(array.size).reshape(array.shape) % 3,
        subject.arrays(),
    )
    if right not in ("bool", "string"):
        inputs = keras.tree.map_structure(lambda n: n.astype(wrong), numbers)
        what = f"an input of dtype {wrong}"
        outputs = _unless_refused(layer, subject, inputs, what)
        if outputs is None:
            return None
        if all(array.dtype.kind in "iu" for array in outputs):
            return False  # integers in, integers out: it rounds on purpose
        known = keras.tree.map_structure(lambda n: n.astype(right), numbers)
        gap = difference(subject.outputs(layer, known), outputs)
        expect(
            gap < 1e-3,
            f"{what} is not refused but gives other outputs than the same numbers in "
            f"{right} (relative difference {gap:.2g})",
        )
    return False


def _unless_refused(
    layer: Any, subject: LayerSubject, inputs: Any, what: str
) -> list | None:
    """Return the outputs, or None if an error refuses and names the layer."""
    try:
        return subject.outputs(layer, inputs)
    except Exception as error:
        text = str(error)
        expect(
            any(name in text for name in names_of(layer)),
            f"the error for {what} does not name the layer: {brief(error)}",
        )
        return None
