"""What kind of labels these are, and the loss of the best constant answer."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

# More different whole numbers than this, of one column, are measurements, not classes.
MOST_CLASSES = 1000
CROSS_ENTROPIES = ("categorical", "sparse", "binary")


@dataclass(frozen=True)
class Labels:
    """Labels as `fit` gets them, `(samples, ...)`.

    Attributes:
        values: as they came, as numbers.
        sparse: whether each number is a class, as sparse cross-entropies take it;
            otherwise the last axis has the columns of one answer.
        ignored: the class number that the loss leaves out.
    """

    values: np.ndarray
    sparse: bool = False
    ignored: int | None = None

    @cached_property
    def rows(self) -> np.ndarray:
        """`(answers, columns)`: the positions of a map of labels are answers, too."""
        values = np.asarray(self.values)
        if values.dtype.kind not in "biuf":
            values = np.zeros((len(values), 0))
        width = values.shape[-1] if values.ndim > 1 and not self.sparse else 1
        rows = values.reshape(-1, width).astype(np.float64)
        return rows if self.ignored is None else rows[rows[:, 0] != self.ignored]

    @cached_property
    def whole(self) -> bool:
        """Whether all of them are whole numbers."""
        return bool(self.rows.size and (self.rows == np.round(self.rows)).all())

    @cached_property
    def kind(self) -> str:
        """`"classes"`, `"one_hot"`, `"several"` (0 or 1 each), `"numbers"`, `""`."""
        rows = self.rows
        if not rows.size or not np.isfinite(rows).all():
            return ""
        if rows.shape[1] > 1:
            if not self.whole or rows.min() < 0 or rows.max() > 1:
                shares = rows.min() >= 0 and np.allclose(rows.sum(1), 1, atol=1e-4)
                peaked = shares and np.mean(rows.max(1) > 0.5) > 0.9  # smoothed labels
                return "one_hot" if peaked else "numbers"
            return "one_hot" if (rows.sum(1) == 1).all() else "several"
        few = len(np.unique(rows)) <= min(MOST_CLASSES, max(2, len(rows) // 2))
        return "classes" if self.whole and few and rows.min() >= 0 else "numbers"

    @cached_property
    def shares(self) -> np.ndarray:
        """The share of each class that occurs; of several labels that of each."""
        if self.kind in ("one_hot", "several"):
            return self.rows.mean(0)
        return np.unique(self.rows, return_counts=True)[1] / max(1, len(self.rows))

    @property
    def majority(self) -> float:
        """The accuracy of the one answer that is right most often."""
        if self.kind == "several":
            return float(np.maximum(self.shares, 1 - self.shares).mean())
        return float(self.shares.max()) if self.shares.size else np.nan

    def guessing(self, loss: str) -> float:
        """The loss of the best constant answer; NaN where it is not known."""
        rows = self.rows
        if not rows.size or not np.isfinite(rows).all():
            return np.nan
        if loss in ("categorical", "sparse"):
            if loss == "sparse" and self.kind == "numbers":
                return np.nan  # hardly seen twice: their shares are not known
            shares = rows.mean(0) if loss == "categorical" else self.shares
            if not 0.99 < shares.sum() < 1.01:
                return np.nan
            return float(-np.sum(shares[shares > 0] * np.log(shares[shares > 0])))
        if loss == "binary":
            mean = rows.mean(0)
            if rows.min() < 0 or rows.max() > 1:
                return np.nan
            mean = np.clip(mean, 1e-7, 1 - 1e-7)
            each = -(mean * np.log(mean) + (1 - mean) * np.log(1 - mean))
            return float(each.mean())
        if loss == "mean_squared_error":
            return float(rows.var(0).mean())
        if loss == "mean_absolute_error":
            return float(np.abs(rows - np.median(rows, 0)).mean())
        return np.nan

    def floor(self, loss: str) -> float:
        """The loss of the right answers: of soft targets a cross-entropy is not 0."""
        rows = self.rows
        if loss not in ("binary", "categorical") or not rows.size:
            return 0.0
        if not np.isfinite(rows).all() or rows.min() < 0 or rows.max() > 1:
            return 0.0
        inside = np.clip(rows, 1e-12, 1)
        least = -rows * np.log(inside)
        if loss == "categorical":
            return float(least.sum(1).mean())
        other = np.clip(1 - rows, 1e-12, 1)
        return float((least - (1 - rows) * np.log(other)).mean())
