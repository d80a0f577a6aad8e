"""Gradients through Keras alone, on any backend, and finite differences beside them."""

from typing import Any

import keras
import numpy as np
from keras import ops

from dlkeras.testing.findings import brief, expect
from dlkeras.testing.subject import (
    LayerSubject,
    default_policy,
    has_own_policies,
    restore,
    to_array,
    values_of,
)


class GradientRecorder(keras.optimizers.Optimizer):
    """An optimizer that keeps each gradient and leaves the weights as they are.

    An ordinary training step then is a backend's own automatic differentiation,
    without a line for any one backend.
    """

    def build(self, variables: list) -> None:
        """Make a place for the gradient of each weight."""
        if self.built:
            return
        super().build(variables)
        self.recorded = [
            self.add_variable_from_reference(variable, name="gradient")
            for variable in variables
        ]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Keep the gradient."""
        del learning_rate
        zeros = ops.zeros(variable.shape, variable.dtype)
        gradient = zeros + gradient  # dense: an Embedding's is not
        self.assign(self.recorded[self._get_variable_index(variable)], gradient)


class _Probe(keras.Model):
    """Adds trainable zeros to the inputs and reduces the outputs to one number."""

    def __init__(self, subject: LayerSubject, layer: Any, inputs: Any, factors: list):
        super().__init__(dtype=layer.dtype_policy)
        self.subject, self.layer, self.factors = subject, layer, factors
        self.state = values_of(layer.non_trainable_variables)  # a carried one, too
        self.offsets = [
            self.add_weight(shape=array.shape, initializer="zeros", name=f"input_{i}")
            if np.issubdtype(array.dtype, np.floating)
            else None
            for i, array in enumerate(keras.tree.flatten(inputs))
        ]

    def call(self, inputs: Any) -> Any:
        shifted = [
            x if offset is None else x + offset
            for x, offset in zip(keras.tree.flatten(inputs), self.offsets, strict=True)
        ]
        shifted = keras.tree.pack_sequence_as(inputs, shifted)
        outputs = self.subject.call(self.layer, shifted, training=False)
        flat = [
            output
            for output in keras.tree.flatten(outputs)
            if keras.backend.is_float_dtype(
                keras.backend.standardize_dtype(output.dtype)
            )
        ]
        total: Any = 0.0
        for output, factor in zip(flat, self.factors, strict=True):
            total = total + ops.sum(output * ops.cast(factor, output.dtype))
        self.add_loss(total)
        return total


def check_gradients(subject: LayerSubject) -> bool | None:
    """A gradient reaches every weight and equals the finite difference."""
    # Keras keeps float64 on TensorFlow alone; elsewhere steps must be wider.
    precision = keras.backend.result_type("float64", "float32")
    with default_policy(precision):
        layer = subject.built(dtype=precision)
        if layer.compute_dtype == precision and not (
            has_own_policies(layer) or _is_single_inside(subject, layer, precision)
        ):
            return _check_gradients(subject, layer, precision)
    return _check_gradients(subject, subject.make(dtype="float32"), "float32")


def _is_single_inside(subject: LayerSubject, layer: Any, precision: str) -> bool:
    """Whether it computes in float32 whatever it is told, as a resizing of images."""
    if precision == "float32" or "float" not in subject.input_dtype:
        return False
    outputs = subject.outputs(layer, subject.arrays(dtype=precision))
    wide = [array for array in outputs if array.dtype == np.float64]
    return all(np.array_equal(array, array.astype("float32")) for array in wide)


def _check_gradients(subject: LayerSubject, layer: Any, precision: str) -> bool | None:
    step, tolerance = (1e-2, 4e-2) if precision == "float32" else (1e-5, 1e-4)
    dtype = precision if "float" in subject.input_dtype else None
    inputs = subject.arrays(dtype=dtype)
    outputs = [a for a in subject.outputs(layer, inputs) if a.dtype.kind == "f"]
    if not outputs:
        return False
    rng = np.random.default_rng(7)
    # Away from structural zeros, such as a scale that starts at 0.
    for weight in layer.trainable_weights:
        noise = 0.1 * rng.normal(size=tuple(weight.shape))
        weight.assign(to_array(weight) + noise.astype(precision))
    factors = [rng.normal(size=output.shape) for output in outputs]
    probe = _Probe(subject, layer, inputs, factors)
    if not probe.trainable_variables:
        return False
    gradients = _gradients(probe, inputs)
    trainable = {id(weight) for weight in layer.trainable_weights}
    for variable, gradient in gradients:
        if id(variable) not in trainable:
            continue
        expect(
            np.any(gradient != 0), f"no gradient reaches the weight `{variable.path}`"
        )
        expect(
            np.isfinite(gradient).all(),
            f"the gradient of `{variable.path}` is not finite",
        )
    for variable, gradient in gradients:
        direction = rng.normal(size=gradient.shape)
        got = float((gradient.astype("float64") * direction).sum())
        size = float(np.sqrt((gradient.astype("float64") ** 2).sum()))
        name = "an input" if id(variable) not in trainable else f"`{variable.path}`"
        first = None
        # A wide step may cross a kink (ReLU, max): a right gradient fits a shorter one.
        for shorter in (1.0, 0.2, 0.04):
            expected = _slope(
                probe, inputs, variable, direction, step * shorter, precision
            )
            first = expected if first is None else first
            limit = tolerance * (size + abs(expected)) + 1e-3 * tolerance
            if abs(got - expected) <= limit:
                break
        else:
            raise AssertionError(
                f"the gradient of {name} is {got:.6g} along a direction where the "
                f"finite difference is {first:.6g}"
            )
    return None


def _gradients(probe: _Probe, inputs: Any) -> list[tuple[Any, np.ndarray]]:
    recorder = GradientRecorder(learning_rate=1.0)
    eager = keras.backend.backend() == "tensorflow"
    options: dict[str, Any] = {"run_eagerly": eager, "jit_compile": False}
    probe.compile(optimizer=recorder, loss=None, **options)
    try:
        restore(probe.state)
        probe.train_on_batch(inputs)
    except Exception as error:
        raise AssertionError(f"no gradient can be computed: {brief(error)}") from error
    return [
        (variable, to_array(gradient))
        for variable, gradient in zip(
            probe.trainable_variables, recorder.recorded, strict=True
        )
    ]


def _slope(
    probe: _Probe, inputs: Any, variable: Any, direction: Any, step: float, dtype: str
) -> float:
    """Return the central difference of the probe's loss along a direction."""
    value = to_array(variable).astype("float64")
    ends = []
    for sign in (1, -1):
        variable.assign((value + sign * step * direction).astype(dtype))
        flat = [
            x if offset is None else x + to_array(offset)
            for x, offset in zip(keras.tree.flatten(inputs), probe.offsets, strict=True)
        ]
        shifted = keras.tree.pack_sequence_as(inputs, flat)
        restore(probe.state)
        outputs = probe.subject.outputs(probe.layer, shifted)
        floats = [a.astype("float64") for a in outputs if a.dtype.kind == "f"]
        total = sum(
            float((output * factor).sum())
            for output, factor in zip(floats, probe.factors, strict=True)
        )
        ends.append(total + sum(float(to_array(loss)) for loss in probe.layer.losses))
    variable.assign(value.astype(dtype))
    return (ends[0] - ends[1]) / (2 * step)
