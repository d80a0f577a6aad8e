"""The forms in which images come to a served model, brought to files or pixels."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

# The name of the input in the signature.
NAME = "image"


def asked_images(given: Any, channels: int) -> list[Any] | np.ndarray:
    """Find the images in what a caller has sent.

    Args:
        given: pixels, `(images, height, width, channels)`, or `(images, pixels)` of
            square images; image files, as a list or an array of bytes or of base64
            text; `{"image": either}`; or a pandas DataFrame whose column `image`, or
            whose only column, has a file or pixels in each row. A DataFrame of numbers
            alone has an image in each row.
        channels: of an image.

    Returns:
        A list of image files (bytes or base64 text), or an array of pixels.

    Raises:
        ValueError: it is none of these.

    Example:
    >>> asked_images({"image": ["aGk="]}, 1)
    ['aGk=']
    >>> asked_images(np.zeros((2, 64)), 1).shape
    (2, 8, 8, 1)
    """
    if hasattr(given, "columns"):
        given = _column(given)
    elif isinstance(given, Mapping):
        if list(given) != [NAME]:
            raise ValueError(expectation(f"named inputs {sorted(map(str, given))[:5]}"))
        given = given[NAME]
    if isinstance(given, bytes | str):
        given = [given]
    if isinstance(given, list) and not given:
        raise ValueError(expectation("an empty list"))
    # An array of texts would make all of them as long as the longest.
    if isinstance(given, list) and all(isinstance(v, bytes | str) for v in given):
        return given
    values = np.asarray(given)
    in_rows = values.shape in ((values.size,), (values.size, 1))
    of_files = values.dtype.kind in "SUO" and values.size and in_rows
    if of_files and isinstance(values.flat[0], str | bytes):
        return values.ravel().tolist()
    if values.dtype.kind == "O" and values.ndim == 1 and len(values):
        values = np.stack([np.asarray(value) for value in values])
    return _square(values, channels) if values.ndim == 2 else values


def _column(table: Any) -> Any:
    """What is in a table: its column of images, or the numbers of its rows."""
    columns = list(table.columns)
    if NAME in columns or len(columns) == 1:
        return table[NAME if NAME in columns else columns[0]].tolist()
    numbers = table.to_numpy()
    if numbers.dtype.kind not in "iuf":
        raise ValueError(expectation(f"a table with the columns {columns[:5]}"))
    return numbers


def _square(values: np.ndarray, channels: int) -> np.ndarray:
    """Rows of pixels, as tables of images have them."""
    side = math.isqrt(values.shape[1] // channels)
    if not side or side * side * channels != values.shape[1]:
        raise ValueError(
            f"expected rows of pixels of square images of {channels} channels; "
            f"received rows of {values.shape[1]} numbers"
        )
    return values.reshape(-1, side, side, channels)


def expectation(received: str) -> str:
    """What is said of anything else."""
    return (
        "expected pixels (images, height, width, channels) or a list of image files in "
        f"base64, as they are, as {{{NAME!r}: ...}} or as a column; received {received}"
    )
