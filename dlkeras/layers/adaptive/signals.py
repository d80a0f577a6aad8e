"""What an adaptive filter is given: lists, arrays of any rank, and what is refused."""

import functools
from typing import Any

import keras
import numpy as np


def as_signals(inputs, desired):
    """Lists as arrays; a signal without a batch axis as a batch of one.

    Returns:
        The input, the desired response, and whether the batch axis was added.
    """
    inputs, desired = (
        _of_list(array) if isinstance(array, (list, tuple)) else as_array(array)
        for array in (inputs, desired)
    )
    alone = hasattr(desired, "shape") and len(desired.shape) == 1
    if alone and hasattr(inputs, "shape"):
        inputs, desired = inputs[None], desired[None]
    return inputs, desired, alone


def _of_list(values):
    try:
        array = np.asarray(values)
        return array if array.dtype.kind == "c" else array.astype("float64")
    except (TypeError, ValueError):
        raise ValueError(
            "An adaptive filter expects lists of numbers whose rows have one length. "
            f"Received: {str(values)[:60]}"
        ) from None


def as_array(value: Any) -> Any:
    """Arrays of other libraries and tables as NumPy arrays; all else as it is."""
    if isinstance(value, keras.Variable):
        return value.value
    native = keras.ops.is_tensor(value) or isinstance(value, keras.KerasTensor)
    return value if native or not hasattr(value, "__array__") else np.asarray(value)


def as_tensor(value: Any) -> Any:
    """Arrays as tensors; all else as it is."""
    value = as_array(value)
    if not isinstance(value, np.ndarray):
        return value
    if not value.dtype.isnative:  # of files, as .astype(">f4")
        value = value.astype(value.dtype.newbyteorder("="))
    return keras.ops.convert_to_tensor(value)


def check_dtype(layer, **signals):
    """Refuse integers, and complex numbers in a real filter."""
    for name, tensor in signals.items():
        if _fits(tensor.dtype, layer.complex_valued):
            continue
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        kind = "complex or floating-point" if layer.complex_valued else "real floats"
        wanted = f"{name} to be {kind}"
        if dtype.startswith(("int", "uint")):
            largest = np.iinfo(dtype).max + 1
            wanted += f' ({name} = {name}.astype("float32") / {largest} scales them)'
        layer.expect(False, wanted, TypeError, dtype=dtype)


def check_adapt(layer, adapt, shape):
    """Refuse booleans that are not one for each sample."""
    given: tuple[int | None, ...] = tuple(getattr(adapt, "shape", ()))
    shape = tuple(shape)
    if len(given) == 2 and len(shape) == 3:
        given = (*given, 1)
    fits = len(given) <= len(shape) and all(
        size in (1, None, wanted) or wanted is None
        for size, wanted in zip(given[::-1], shape[::-1], strict=False)
    )
    wanted = f"adapt to be a boolean, or booleans of shape {shape[:2]}"
    layer.expect(fits, wanted, adapt_shape=given)


@functools.cache
def _fits(dtype, complex_valued):
    dtype = keras.backend.standardize_dtype(dtype)
    return "float" in dtype or (complex_valued and "complex" in dtype)


def check_shapes(layer, shape, wanted):
    """Refuse shapes of an input and a desired response that do not fit."""
    form = {
        "signal": "inputs of shape (batch, time) or (batch, time, channels)",
        "multi_input": "inputs of shape (batch, time, channels)",
        "regressors": f"inputs of shape (batch, time, {layer.taps})",
    }[layer.input_type]
    ranks = (2, 3) if layer.input_type == "signal" else (3,)
    layer.expect(len(shape) in ranks, form, inputs_shape=shape)
    if len(shape) == 3:
        layer.expect(bool(shape[2]), form + " with a known size", inputs_shape=shape)
    if layer.input_type == "regressors":
        layer.expect(shape[2] == layer.taps, form, inputs_shape=shape)
    expected = shape if layer.input_type == "signal" else shape[:2]
    agree = len(wanted) == len(expected) and all(
        a is None or b is None or a == b for a, b in zip(wanted, expected, strict=True)
    )
    layer.expect(
        agree,
        f"the desired response to have the shape {expected}",
        inputs_shape=shape,
        desired_shape=wanted,
    )
    if layer.stateful:
        layer.expect(
            shape[0] is not None,
            "a fixed batch size when stateful=True",
            inputs_shape=shape,
        )
    elif layer.input_type != "regressors" and shape[1] is not None:
        layer.expect(
            layer.taps <= shape[1],
            "a signal at least as long as the filter, or stateful=True",
            taps=layer.taps,
            time=shape[1],
        )
    return shape, wanted
