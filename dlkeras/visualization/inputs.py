"""What figures are given: arrays of any library, or a line that says what is wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dlkeras.visualization.figure import plain


def received(value: Any) -> str:
    """What was given, in a few words."""
    shape = getattr(value, "shape", None)
    if shape is not None:
        dtype = str(getattr(value, "dtype", "")).removeprefix("torch.")
        return f"{type(value).__name__} of shape {tuple(shape)} {dtype}".strip()
    if isinstance(value, str | int | float | complex | None):
        return repr(value)[:60]
    size = "" if (count := length(value)) is None else f" of {count}"
    return f"{type(value).__name__}{size}"


def holds_several(value: Any) -> bool:
    """Whether you can go through it: no scalar, not even as an array without axes.

    Example:
    >>> holds_several([1]), holds_several(np.array(3))
    (True, False)
    """
    return hasattr(value, "__iter__") and getattr(value, "shape", None) != ()


def numbers(
    value: Any,
    name: str,
    expected: str,
    *,
    axes: int | None = None,
    kinds: str = "biuf",
) -> np.ndarray:
    """An array of numbers from what any library gives.

    Args:
        value: a NumPy array, a tensor, a variable, a frame, a list of numbers.
        name: of the argument, for the error.
        expected: what it must be, for the error.
        axes: how many axes it must have; default: any.
        kinds: of NumPy's dtypes; with `"c"` complex numbers are taken, too.

    Raises:
        TypeError: what is given are no numbers.
        ValueError: they are ragged, or of another number of axes.
    """
    line = f"{name} must be {expected}. Received: {received(value)}"
    if isinstance(value, str | bytes | Mapping | None):
        raise TypeError(line)
    try:
        value = detached(value)
        if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
            value = value.astype(np.result_type(value, "float32")).filled(np.nan)
        found = np.asarray(value)
        if found.dtype.kind in "OV":  # None for missing, bfloat16
            found = found.astype("float64")
        if found.dtype == np.longdouble:  # which images do not have
            found = found.astype("float64")
    except (TypeError, ValueError, RuntimeError) as error:
        kind = ValueError if isinstance(value, Sequence) else TypeError
        raise kind(line) from error
    if found.dtype.kind not in kinds:
        raise TypeError(f"{line}, of {found.dtype}")
    if axes is not None and found.ndim != axes:
        raise ValueError(f"{line}, of shape {found.shape}")
    return found


def detached(value: Any) -> Any:
    """What NumPy reads: of PyTorch no gradient, no GPU, no bfloat16; also in a list."""
    if isinstance(value, list | tuple) and any(hasattr(x, "detach") for x in value):
        return [detached(one) for one in value]
    if not hasattr(value, "detach"):
        return value
    value = value.detach().cpu()
    if hasattr(value, "resolve_conj"):  # of a tensor: a conjugate is a view
        value = value.resolve_conj().resolve_neg()
    return value.float() if "bfloat16" in str(value.dtype) else value


def picture(value: Any, name: str = "image") -> np.ndarray:
    """An image `(height, width, channels)` of 1, 3 or 4 channels.

    `(height, width)` is taken as grey.
    """
    expected = "(height, width) or (height, width, channels), channels 1, 3 or 4"
    found = numbers(value, name, expected)
    if found.ndim == 2:
        found = found[..., None]
    if found.ndim != 3 or found.shape[-1] not in (1, 3, 4) or not found.size:
        first = found.ndim == 3 and found.shape[0] in (1, 3)
        hint = "; numpy.moveaxis(image, 0, -1) puts channels last" if first else ""
        raise ValueError(
            f"{name} must be {expected}. Received: shape {found.shape}{hint}"
        )
    with np.errstate(over="ignore"):  # what float32 does not have is infinity
        return found.astype("float32") if found.dtype.kind == "f" else found


def pictures(value: Any, name: str = "images") -> list[np.ndarray]:
    """Images `(height, width, channels)` from a stack, a sequence, or a single one.

    A stack may be `(images, height, width)`, as MNIST comes.
    """
    expected = "images (number, height, width) or (number, height, width, channels)"
    if isinstance(value, str | bytes | Mapping | None) or not holds_several(value):
        raise TypeError(f"{name} must be {expected}. Received: {received(value)}")
    shape = tuple(getattr(value, "shape", ()))
    if len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, 3, 4)):
        return [picture(value, name)]
    found = list(value)
    if not found:
        raise ValueError(f"{name} must hold at least one image. Received: none")
    return [picture(one, f"{name}[{i}]") for i, one in enumerate(found)]


def names(values: Any, count: int, name: str, of: str) -> list[str]:
    """A name for each of `count` things: any values, or Keras's `class_indices`.

    Raises:
        TypeError: it is not a sequence.
        ValueError: there are more or fewer.
    """
    given = values
    if isinstance(values, Mapping) and values:
        turned = {v: k for k, v in values.items() if isinstance(v, int)}
        by_index = turned if len(turned) == len(values) else values
        keys = [key for key in by_index if isinstance(key, int)]
        values = [by_index[key] for key in sorted(keys)]
    if isinstance(values, str | Mapping) or not (
        holds_several(values)
        and hasattr(values, "__getitem__")
        and length(values) is not None
    ):
        values = [[]]  # refused below
    values = list(values)  # of a frame: its columns, which its length does not say
    if any(np.shape(value) for value in values):
        raise TypeError(
            f"{name} must be a sequence with one for each of {count} {of}. "
            f"Received: {received(given)}"
        )
    if len(values) != count:
        raise ValueError(
            f"{name} must be one for each of {count} {of}. Received: {len(values)}"
        )
    return [plain(value) for value in values]


def length(values: Any) -> int | None:
    """How many; nothing where one cannot say, as of a sparse matrix."""
    try:
        return len(values)
    except TypeError:
        return None


def mapping(value: Any, name: str, expected: str) -> dict[Any, Any]:
    """A dictionary with at least one entry.

    Raises:
        TypeError: it is none.
        ValueError: it is empty.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be {expected}. Received: {received(value)}")
    if not value:
        raise ValueError(f"{name} must be {expected}. Received: an empty one")
    return dict(value)
