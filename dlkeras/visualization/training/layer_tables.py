"""Tables of what the monitors measured of each layer at each step, as they come."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dlkeras.visualization.inputs import holds_several, length, names, numbers

LEAST = float(np.finfo("float32").tiny)  # as matplotlib computes colours
_MOST = float(np.finfo("float32").max)


def table_of(name: str, values: Any, layers: Sequence[Any]) -> np.ndarray:
    """`(samples, layers)`, or an error that says what is wrong with it."""
    count = (length(layers) if holds_several(layers) else None) or 0
    names(layers, count, "layers", "layers")
    expected = f"of shape (samples, {count})"
    table = numbers(values, f"`{name}`", expected).astype(float)
    huge = np.abs(table) > _MOST
    table[huge] = np.sign(table[huge]) * np.inf  # as it is in float32
    if table.ndim != 2 or not len(table) or not table.size or (table.shape[1] != count):
        raise ValueError(
            f"`{name}` must be {expected}, at least one sample and one column for each "
            f"layer. Received: {table.shape}"
        )
    return table


def norms_of(name: str, values: Any, layers: Sequence[Any]) -> np.ndarray:
    """A table of norms or shares: none is below 0."""
    table = table_of(name, values, layers)
    if (table < 0).any():
        raise ValueError(
            f"`{name}` must be from 0 on. Received: {float(np.nanmin(table)):.3g}"
        )
    return table


def positive(table: np.ndarray) -> np.ndarray:
    """What a logarithmic axis can show; the rest is left out."""
    return np.where(np.isfinite(table) & (table > LEAST), table, np.nan)


def bands_of(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Minimum, median and maximum of each column, NaN where it has no value."""
    empty = np.isnan(table).all(0)
    filled = np.where(empty, 1.0, table)
    rows = (np.nanmin(filled, 0), np.nanmedian(filled, 0), np.nanmax(filled, 0))
    low, middle, high = (np.where(empty, np.nan, row) for row in rows)
    return low, middle, high
