"""A table of measurements that grows by rows, and by columns that are found late."""

from collections.abc import Sequence

import numpy as np

from dlkeras.diagnosis.histories.gradient_history import QUANTITIES

# What is known of a row beside its values: step, epoch, loss, loss scale.
FACTS = 4


class Measurements:
    """Rows in arrays with room to spare, so that a row costs the same at any length.

    Attributes:
        length: number of rows.
        width: number of columns.
    """

    def __init__(self) -> None:
        self.length = 0
        self._facts = np.empty((0, FACTS))
        self._values = np.empty((0, len(QUANTITIES), 0))

    @property
    def width(self) -> int:
        """Number of columns."""
        return self._values.shape[2]

    @property
    def facts(self) -> np.ndarray:
        """`(rows, 4)`: step, epoch, loss, loss scale."""
        return self._facts[: self.length]

    @property
    def values(self) -> np.ndarray:
        """`(rows, 5, columns)`; NaN where a column was not known yet."""
        return self._values[: self.length]

    def extend(
        self, facts: np.ndarray, columns: Sequence[int], values: np.ndarray
    ) -> None:
        """Add rows.

        Args:
            facts: `(rows, 4)`: step, epoch, loss, loss scale.
            columns: the columns of `values`; new ones may be among them.
            values: `(rows, 5, len(columns))`.
        """
        width = max([self.width, *(c + 1 for c in columns)])
        end, rows = self.length + len(facts), len(self._facts)
        if end > rows or width > self.width:
            rows = max(64, 2 * rows, end) if end > rows else rows
            self._make_room(rows, width)
        self._facts[self.length : end] = facts
        self._values[self.length : end, :, columns] = values
        self.length = end

    def take(self, facts: np.ndarray, values: np.ndarray) -> None:
        """Replace everything by rows that another table had."""
        self.length = len(facts)
        self._facts = np.array(facts, float).reshape(-1, FACTS)
        self._values = np.array(values, float)

    def widen(self, width: int) -> None:
        """Have at least so many columns."""
        if width > self.width:
            self._make_room(len(self._facts), width)

    def permute(self, order: Sequence[int]) -> None:
        """Put the columns into another order."""
        self._values = np.ascontiguousarray(self._values[:, :, order])

    def _make_room(self, rows: int, width: int) -> None:
        facts, values = self.facts, self.values
        self._facts = np.empty((rows, FACTS))
        self._facts[: self.length] = facts
        self._values = np.full((rows, len(QUANTITIES), width), np.nan)
        self._values[: self.length, :, : values.shape[2]] = values
