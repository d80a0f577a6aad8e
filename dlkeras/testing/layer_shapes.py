"""Checks of shapes, sizes and dtypes: symbolic, eager, dynamic, empty and mixed."""

import inspect
from typing import Any

import keras
import numpy as np

from dlkeras.testing.findings import brief, expect
from dlkeras.testing.subject import (
    LayerSubject,
    copy_state,
    default_policy,
    difference,
    flat_arrays,
    has_own_policies,
    overrides,
)


def flat_shapes(shapes: Any) -> list:
    """Return shapes of any structure as a flat list of tuples."""
    if isinstance(shapes, dict):
        return [flat for shape in shapes.values() for flat in flat_shapes(shape)]
    if all(size is None or isinstance(size, int | np.integer) for size in shapes):
        return [tuple(shapes)]
    return [flat for shape in shapes for flat in flat_shapes(shape)]


def covers(said: list, shapes: list) -> bool:
    """Whether the shapes are those said, where an unknown size may be any."""
    return len(said) == len(shapes) and all(
        len(a) == len(b) and all(x is None or x == y for x, y in zip(a, b, strict=True))
        for a, b in zip(said, shapes, strict=True)
    )


def computed_shapes(subject: LayerSubject, layer: Any, input_shape: Any) -> list:
    """Return what `compute_output_shape` says as a flat list of tuples.

    Where the layer leaves it to Keras, a call without numbers says it.
    """
    if not overrides(layer, "compute_output_shape"):
        symbols = subject.map_shapes(
            lambda s: keras.KerasTensor(s, subject.input_dtype), input_shape
        )
        said = keras.tree.flatten(subject.call(layer, symbols))
        return [tuple(tensor.shape) for tensor in said]
    if not isinstance(input_shape, dict):
        return flat_shapes(layer.compute_output_shape(input_shape))
    names = inspect.signature(layer.compute_output_shape).parameters
    given = {f"{k}_shape": input_shape[k] for k in subject.input_shape}
    if set(given) <= set(names):
        return flat_shapes(layer.compute_output_shape(**given))
    # a layer may look at the first shape only
    return flat_shapes(layer.compute_output_shape(next(iter(given.values()))))


def _check_unknown_batch(subject: LayerSubject, layer: Any, shapes: list) -> None:
    if not subject.dynamic_batch:
        return
    unknown = subject.map_shapes(lambda shape: (None, *shape[1:]))
    try:
        computed = computed_shapes(subject, layer, unknown)
    except Exception as error:
        raise AssertionError(
            f"compute_output_shape() fails where the batch is unknown: {brief(error)}"
        ) from error
    expect(
        covers(computed, shapes),
        f"compute_output_shape() says {computed} where the batch is unknown, the call "
        f"gives {shapes}",
    )


def dtypes_of(tensors: Any) -> list:
    """Return the dtypes of tensors of any structure."""
    return [
        keras.backend.standardize_dtype(tensor.dtype)
        for tensor in keras.tree.flatten(tensors)
    ]


def check_shapes(subject: LayerSubject) -> None:
    """Symbolic call, real call and `compute_output_shape` agree."""
    layer = subject.built()
    real = subject.call(layer, subject.arrays(), training=False)
    shapes = [tuple(tensor.shape) for tensor in keras.tree.flatten(real)]
    computed = computed_shapes(subject, layer, subject.input_shape)
    expect(
        covers(computed, shapes),
        f"compute_output_shape() says {computed}, the call gives {shapes}",
    )
    symbolic = keras.tree.flatten(subject.call(layer, subject.symbols()))
    said = [tuple(tensor.shape) for tensor in symbolic]
    expect(
        covers(said, shapes),
        f"the symbolic call says {said}, the real call gives {shapes}",
    )
    _check_unknown_batch(subject, layer, shapes)
    expect(
        dtypes_of(symbolic) == dtypes_of(real),
        f"the symbolic call says dtypes {dtypes_of(symbolic)}, the real call gives "
        f"{dtypes_of(real)}",
    )


def check_batch(subject: LayerSubject) -> bool | None:
    """Any number of examples works, and each is treated on its own."""
    if not subject.dynamic_batch:
        return False
    layer = subject.built()
    inputs = subject.arrays()
    together = subject.outputs(layer, inputs)
    first = _rows(inputs, slice(0, 1))
    try:
        alone = subject.predictions(subject.model(layer), first)
    except Exception as error:
        raise AssertionError(
            f"the layer fails on a batch of another size: {brief(error)}"
        ) from error
    gap = difference([array[:1] for array in together], alone)
    expect(
        gap < 1e-4 or subject.draws_in_use(layer),
        "an example gives another output alone than in its batch (relative "
        f"difference {gap:.2g})",
    )
    return None


def _rows(inputs: Any, rows: slice) -> Any:
    return keras.tree.map_structure(lambda array: array[rows], inputs)


def check_empty_batch(subject: LayerSubject) -> bool | None:
    """No example in, no example out; parts of Keras's that cannot do it stand aside."""
    if not subject.dynamic_batch:
        return False
    layer = subject.built()
    expected = [a.shape[1:] for a in subject.outputs(layer, subject.arrays())]
    unable = [part for part in layer._flatten_layers() if _fails_on_nothing(part)]
    if layer in unable:
        return False
    for part in unable:
        object.__setattr__(part, "call", _answer_of_nothing(part))
    try:
        empty = subject.outputs(layer, _rows(subject.arrays(), slice(0, 0)))
    except Exception as error:
        raise AssertionError(
            f"the layer fails on an empty batch: {brief(error)}"
        ) from error
    shapes = [array.shape for array in empty]
    expect(
        shapes == [(0, *shape) for shape in expected],
        f"an empty batch gives outputs of shapes {shapes}",
    )
    return None


def _fails_on_nothing(part: Any) -> bool:
    """Whether a layer with Keras's own call answers one example, and not none.

    oneDNN's convolution of no images has the shape of its input, and its sum of
    nothing and a bias fails.
    """
    own = str(type(part).call.__module__).startswith("keras.src.layers.")
    shape = (part.get_build_config() or {}).get("input_shape") if own else None
    if not shape or not all(isinstance(size, int) for size in shape[1:]):
        return False
    answers = []
    for examples in (1, 0):
        given = (examples, *shape[1:])
        try:
            found = part(np.zeros(given, part.compute_dtype))
            answers.append(found.shape == tuple(part.compute_output_shape(given)))
        except Exception as error:  # one example has to work, or nothing is known
            answers.append(error)
    return answers[0] is True and answers[1] is not True


def _answer_of_nothing(part: Any) -> Any:
    """What such a layer would give to an empty batch: no examples of its shape."""

    def call(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        shape = part.compute_output_shape(tuple(inputs.shape))
        return keras.ops.zeros(shape, part.compute_dtype)

    return call


def check_size(subject: LayerSubject, axes: tuple[int, ...]) -> bool | None:
    """A model with unknown sizes computes what one with known sizes computes."""
    if not axes:
        return False
    layer = subject.built()
    try:
        model = subject.model(layer, axes)
    except Exception as error:
        raise AssertionError(
            f"the layer cannot be called with axes {axes} unknown: {brief(error)}"
        ) from error
    for growth in (0, 3):
        shapes = subject.map_shapes(
            lambda shape, growth=growth: tuple(
                size + growth if axis in axes else size
                for axis, size in enumerate(shape)
            )
        )
        inputs = subject.arrays(shapes)
        try:
            static = subject.make()
            subject.call(static, inputs, training=False)
            copy_state(layer, static)
            expected = subject.outputs(static, inputs)
            got = subject.predictions(model, inputs)
        except Exception as error:
            raise AssertionError(
                f"with axes {axes} unknown the layer fails on inputs of shapes "
                f"{shapes}: {brief(error)}"
            ) from error
        gap = difference(expected, got)
        expect(
            gap < 1e-4 or subject.draws_in_use(layer),
            f"with axes {axes} unknown the layer computes other outputs for inputs of "
            f"shapes {shapes} (relative difference {gap:.2g})",
        )
    return None


def check_mixed_precision(subject: LayerSubject) -> bool | None:
    """Weights stay float32; outputs are bfloat16 or float16, and close to float32's."""
    for policy, largest_gap in (("mixed_bfloat16", 0.1), ("mixed_float16", 0.02)):
        reference = subject.built(dtype="float32")
        if subject.draws_in_use(reference):
            return False  # Keras draws in float32 unless it is told
        if "float" not in subject.input_dtype and not reference.weights:
            return False  # it computes with no floats: an encoding of numbers
        with default_policy(policy):
            layer = subject.make(dtype=policy)
            if has_own_policies(layer):
                return False
            _check_policy(subject, policy, largest_gap, layer, reference)
    return None


def _check_policy(
    subject: LayerSubject, policy: str, largest_gap: float, layer: Any, reference: Any
) -> None:
    compute_dtype = policy.removeprefix("mixed_")
    inputs = subject.arrays()
    try:
        subject.call(layer, inputs, training=False)
    except Exception as error:
        raise AssertionError(
            f"the layer fails under {policy}: {brief(error)}"
        ) from error
    narrow = [
        variable.path
        for variable in layer.weights
        if variable.dtype in ("float16", "bfloat16")
    ]
    expect(not narrow, f"under {policy} the weights {narrow} are not float32")
    copy_state(reference, layer)
    outputs = subject.call(layer, inputs, training=False)
    plain = subject.call(reference, inputs, training=False)
    leaking = [
        mixed
        for mixed, full in zip(dtypes_of(outputs), dtypes_of(plain), strict=True)
        if full == "float32" and mixed != compute_dtype
    ]
    expect(
        not leaking,
        f"under {policy} an output is {leaking}: the compute dtype leaks",
    )
    gap = difference(flat_arrays(plain), flat_arrays(outputs))
    expect(
        gap < largest_gap,
        f"under {policy} the outputs differ by {gap:.2g} of their largest value",
    )


def check_data_format(subject: LayerSubject) -> bool | None:
    """channels_first and channels_last give the same, transposed."""
    if "data_format" not in subject.parameters:
        return False
    if isinstance(subject.input_shape, list | dict):
        return False
    base = subject.init.get("data_format") or keras.config.image_data_format()
    other = "channels_first" if base == "channels_last" else "channels_last"
    findings = []
    # The channels are the second axis, or the third behind an axis of time.
    for axis in (1, 2) if len(subject.input_shape) == 5 else (1,):
        move = (-1, axis) if base == "channels_last" else (axis, -1)
        try:
            _compare_formats(subject, base, other, move)
            return None
        except AssertionError as error:
            findings.append(error)
    raise findings[0]


def _compare_formats(
    subject: LayerSubject, base: str, other: str, move: tuple[int, int]
) -> None:
    inputs = subject.arrays()
    layer = subject.built(data_format=base)
    moved = subject.make(data_format=other)
    there = np.moveaxis(inputs, *move)
    try:
        subject.call(moved, there, training=False)
        copy_state(layer, moved)
        got = subject.outputs(moved, there)
    except Exception as error:
        raise AssertionError(
            f"the layer fails with data_format={other!r}: {brief(error)}"
        ) from error
    expected = [
        _transposed(array, inputs.ndim, move)
        for array in subject.outputs(layer, inputs)
    ]
    gap = difference(expected, got)
    expect(
        gap < 1e-4,
        f"data_format={other!r} does not give the transposed output of {base!r} "
        f"(relative difference {gap:.2g})",
    )


def _transposed(output: np.ndarray, axes: int, move: tuple[int, int]) -> np.ndarray:
    """Move the channels of an output that still has an axis for time or space."""
    lost = axes - output.ndim  # time alone, or nothing; else the channels are the last
    if lost > 1 or (lost == 1 and 2 not in move):
        return output
    return np.moveaxis(output, *(n - lost if n > 1 else n for n in move))
