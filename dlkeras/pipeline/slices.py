"""Slices: a metric for parts of the test split, by a column of the statistics."""

from typing import TYPE_CHECKING, Any

import numpy as np

from dlkeras.pipeline.errors import InputError
from dlkeras.pipeline.uncertainty import proportion_interval

if TYPE_CHECKING:
    import pandas as pd

QUANTILES = 4
MOST_VALUES = 20


def slice_names(column: Any) -> np.ndarray:
    """Give every example, a row of a pandas column, the name of its slice.

    A column of numbers is cut into quarters, from the lowest to the highest quarter; of
    any other, each of the most frequent values is a slice.

    Example:
    >>> import pandas as pd
    >>> sorted(set(slice_names(pd.Series([1.0, 2.0, 3.0, 4.0, 5.0])).tolist()))
    ['1 to 2', '2 to 3', '3 to 4', '4 to 5']
    """
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(column) or column.nunique() <= QUANTILES:
        named = column.astype(str)
        frequent = named.value_counts().index[:MOST_VALUES]
        return named.where(named.isin(frequent), "other").to_numpy()
    values = column.to_numpy("float64")
    edges = np.unique(np.quantile(values, np.linspace(0, 1, QUANTILES + 1)))
    which = np.clip(np.searchsorted(edges, values, "right") - 1, 0, len(edges) - 2)
    names = [f"{edges[i]:.4g} to {edges[i + 1]:.4g}" for i in range(len(edges) - 1)]
    return np.array(names)[which]


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
        InputError: there is no such column.
    """
    sliced: dict[str, dict[str, Any]] = {}
    for name in columns:
        if name not in table:
            raise InputError(
                f"--evaluator.slices: expected columns of the statistics or of the "
                f"examples' metadata, of "
                f"{', '.join(table.columns)}; received {name!r}"
            )
        names = slice_names(table[name])
        sliced[name] = {
            part: {
                "examples": int(chosen.sum()),
                "accuracy": float(right[chosen].mean()),
                "interval": proportion_interval(right[chosen], confidence),
            }
            for part in sorted(set(names.tolist()))
            for chosen in [names == part]
        }
    return sliced
