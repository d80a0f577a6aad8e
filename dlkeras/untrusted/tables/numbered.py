"""What a table is once it is read, and how large it may be."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dlkeras.untrusted.gate import UntrustedFileError

if TYPE_CHECKING:
    import pandas as pd

# A cell takes some 60 bytes beside its text.
MAX_CELLS = 20_000_000
MAX_COLUMNS = 1000


class NumberedTable(NamedTuple):
    """A table, and where its rows are in the file.

    Attributes:
        table: the rows.
        numbers: for each row the line of the file, from 1, or the row of the sheet.
        left_out: columns of lists and structures that are not read.
    """

    table: "pd.DataFrame"
    numbers: list[int]
    left_out: tuple[str, ...] = ()


def check_columns(path: Path, number: int) -> None:
    """Refuse a table of too many columns."""
    if number > MAX_COLUMNS:
        raise UntrustedFileError(
            f"{path}: expected at most {MAX_COLUMNS:,} columns; it has {number:,}"
        )


def check_cells(path: Path, number: int) -> None:
    """Refuse a table of too many cells."""
    if number > MAX_CELLS:
        raise UntrustedFileError(
            f"{path}: expected a table of at most {MAX_CELLS:,} cells; it has more"
        )
