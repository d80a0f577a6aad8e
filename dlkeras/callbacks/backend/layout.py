"""What is measured of a variable, and which variables are measured as one array."""

import math
from collections.abc import Sequence
from typing import Any

# Small arrays of one shape are stacked, so that a deep network needs a few kernels
# instead of one for each bias. Large ones are left alone: a copy would cost more.
LARGEST_STACKED = 2_048


class Layout:
    """The groups in which variables are measured.

    Args:
        shapes: the shape of each variable.
        dtypes: the data type of each variable.
    """

    def __init__(self, shapes: Sequence[Any], dtypes: Sequence[str]) -> None:
        by_kind: dict[tuple, list[int]] = {}
        for index, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=True)):
            shape = tuple(shape)
            single = math.prod(shape) > LARGEST_STACKED
            by_kind.setdefault((shape, dtype, index if single else -1), []).append(
                index
            )
        # Those with an array of their own come last, the largest at the end.
        self.groups: list[list[int]] = sorted(
            by_kind.values(),
            key=lambda group: (len(group) == 1, math.prod(shapes[group[0]])),
        )
        # The order in which the measurements come out.
        self.order: list[int] = [index for group in self.groups for index in group]
