"""Slices: a metric for parts of the test split, by a column of the statistics."""

from collections.abc import Collection
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkeras.judging.uncertainty import proportion_interval

if TYPE_CHECKING:
    import pandas as pd

QUANTILES = 4
MOST_VALUES = 20
UNKNOWN = "unknown"
OTHER = "other"
DIGITS = range(4, 18)  # 17 tell any two numbers apart


def check_columns(wanted: Collection[str], known: Collection[str]) -> None:
    """Refuse to slice by columns that do not exist.

    Raises:
        ValueError: names the first such column, and the columns there are.
    """
    for name in wanted:
        if name not in known:
            raise ValueError(
                "--evaluator.slices: expected columns of the statistics or of the "
                f"manifest, of {', '.join(known)}; received {name!r}"
            )


def slice_names(column: Any) -> tuple[np.ndarray, list[str]]:
    """Give every example, a row of a pandas column, the name of its slice.

    A column of numbers is cut into quarters, from the lowest to the highest quarter; of
    any other, each of the most frequent values is a slice. What is blank is unknown.

    Args:
        column: of any type.

    Returns:
        `(rows,)` names, and the different ones in their order: numbers by their value,
        then the others by name, "other" and "unknown" last.

    Example:
    >>> import pandas as pd
    >>> names, ordered = slice_names(pd.Series([1.0, 2.0, 3.0, 14.0, 15.0, None]))
    >>> ordered
    ['1 to 2', '2 to 3', '3 to 14', '14 to 15', 'unknown']
    """
    import pandas as pd

    numeric = pd.api.types.is_numeric_dtype(column)
    if numeric and not pd.api.types.is_bool_dtype(column):
        names, ordered = _quarters(column.to_numpy("float64", na_value=np.nan))
    else:
        text = column.astype("string").str.strip().replace("", pd.NA).fillna(UNKNOWN)
        frequent = text[text != UNKNOWN].value_counts().index[:MOST_VALUES]
        text = text.where(text.isin([*frequent, UNKNOWN]), OTHER)
        names, ordered = text.to_numpy(object), sorted(frequent)
    here = set(names.tolist())
    last = [name for name in (OTHER, UNKNOWN) if name not in ordered]
    return names, [name for name in (*ordered, *last) if name in here]


def _quarters(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Name the quarters of numbers, or the numbers themselves where they are few."""
    known = np.isfinite(values)
    names = np.full(len(values), UNKNOWN, dtype=object)
    different = np.unique(values[known])
    if len(different) <= QUANTILES:
        ordered = [str(int(v)) if v == int(v) else str(v) for v in different]
        which = np.searchsorted(different, values[known])
    else:
        edges = np.unique(np.quantile(values[known], np.linspace(0, 1, QUANTILES + 1)))
        which = np.searchsorted(edges, values[known], "right") - 1
        which = np.clip(which, 0, len(edges) - 2)
        for digits in DIGITS:  # so many that the edges differ
            written = [f"{edge:.{digits}g}" for edge in edges]
            if len(set(written)) == len(written):
                break
        ordered = [f"{low} to {high}" for low, high in pairwise(written)]
    names[known] = np.array(ordered, dtype=object)[which]
    return names, ordered


def accuracy_by_slice(
    table: "pd.DataFrame",
    columns: tuple[str, ...],
    right: np.ndarray,
    confidence: float,
) -> dict[str, dict[str, Any]]:
    """Measure the accuracy of every slice.

    Args:
        table: a row for each example, in the order of `right`.
        columns: names of the columns to slice by.
        right: `(examples,)`, whether the prediction is right.
        confidence: of the intervals.

    Returns:
        For each column and slice: examples, accuracy and its interval.

    Raises:
        ValueError: there is no such column.
    """
    check_columns(columns, list(table))
    sliced: dict[str, dict[str, Any]] = {}
    for name in columns:
        names, ordered = slice_names(table[name])
        sliced[name] = {
            part: {
                "examples": int(chosen.sum()),
                "accuracy": float(right[chosen].mean()),
                "interval": proportion_interval(right[chosen], confidence),
            }
            for part in ordered
            for chosen in [names == part]
        }
    return sliced
