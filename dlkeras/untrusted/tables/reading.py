"""Tables of strangers: their size is known before they are read.

CSV in the forms that Excel and pandas write, Parquet, Excel's workbooks, JSON lines.
"""

import gzip
import io
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from dlkeras.untrusted.gate import UntrustedFileError, file_size, open_regular
from dlkeras.untrusted.tables.delimited import CHUNK, line_ends, read_csv
from dlkeras.untrusted.tables.numbered import (
    MAX_CELLS,
    NumberedTable,
    check_cells,
    check_columns,
)
from dlkeras.untrusted.tables.parquet import read_parquet
from dlkeras.untrusted.tables.row_tables import rows_of_json, rows_of_workbook

if TYPE_CHECKING:
    import pandas as pd

MAX_FILE_BYTES = 2**29
# What gzip makes of a table is not smaller than that.
MAX_RATIO = 100
SLACK = 2**26


def read_table(path: str | Path) -> "pd.DataFrame":
    """Read a table, as `read_numbered_table` does; the rows alone.

    Args:
        path: the file.

    Raises:
        UntrustedFileError, OSError: as there.
    """
    return read_numbered_table(path).table


def read_numbered_table(path: str | Path, lists: bool = False) -> NumberedTable:
    """Read a table: the content says which kind it is.

    CSV may be separated by commas, semicolons, tabs or bars, and be written in UTF-8,
    UTF-16 or Windows's code page 1252; an empty line is no row, and neither is what
    Excel's last commas make a column. CSV and JSON lines may be packed by gzip.

    Args:
        path: the file.
        lists: read columns of lists of texts, too.

    Returns:
        The table; every cell of a CSV is text, and a list of JSON stays its text.
        Structures are left out.

    Raises:
        UntrustedFileError: it is not a table, or takes more memory than a table of 20
            million cells.
        OSError: it cannot be read.
    """
    path = Path(path)
    try:
        with open_regular(path, MAX_FILE_BYTES) as file:
            head = file.read(4)
            file.seek(0)
            if path.suffix.lower() == ".parquet" or head == b"PAR1":
                return read_parquet(path, file, lists)
            if head == b"PK\3\4":
                return _from_rows(path, rows_of_workbook(path, file, MAX_CELLS))
            if head == b"\xd0\xcf\x11\xe0":
                raise UntrustedFileError(f"{path}: an old Excel file; save it as .xlsx")
            content = _unpacked(path, file)
            if content.getvalue()[:64].lstrip(b"\xef\xbb\xbf \r\n\t")[:1] in (
                b"{",
                b"[",
            ):
                rows, rest = rows_of_json(path, content, MAX_CELLS, lists)
                return _from_rows(path, rows)._replace(left_out=rest)
            return read_csv(path, content)
    except UntrustedFileError:
        raise
    except Exception as error:  # a file from outside may raise anything
        if getattr(error, "errno", None):
            raise
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UntrustedFileError(
            f"expected a table in CSV, Parquet, Excel or JSON lines; {path}: {reason}"
        ) from error


def _unpacked(path: Path, file: IO[bytes]) -> io.BytesIO:
    """The text of a table, unpacked where it is packed; its cells are counted."""
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    opened: Any = gzip.GzipFile(fileobj=file) if packed else file
    content, commas, lines, after = io.BytesIO(), 0, 1, b""
    most = min(MAX_FILE_BYTES, MAX_RATIO * file_size(file) + SLACK)
    while chunk := opened.read(CHUNK):
        content.write(chunk)
        commas += chunk.count(b",")
        lines += line_ends(chunk, after)
        after = chunk[-1:]
        check_cells(path, commas + lines)
        if content.tell() > most:
            raise UntrustedFileError(f"{path}: it unpacks to more than a table")
    content.seek(0)
    return content


def _from_rows(path: Path, rows: Any) -> NumberedTable:
    """A table of numbered rows of texts; the first is the header."""
    import pandas as pd

    rows = iter(rows)
    _, header = next(rows, (0, []))
    check_columns(path, len(header))
    numbers, cells = [], []
    for number, row in rows:
        if any(cell is not None and cell.strip() for cell in row[len(header) :]):
            raise UntrustedFileError(
                f"{path}: row {number} has more cells than the header, which has "
                f"{len(header)}"
            )
        row = [*row, *[None] * (len(header) - len(row))][: len(header)]
        if any(cell is not None and cell.strip() for cell in row):
            numbers.append(number)
            cells.append(row)
            check_cells(path, len(numbers) * len(header))
    names = [name or f"Unnamed: {place}" for place, name in enumerate(header)]
    return NumberedTable(pd.DataFrame(cells, columns=names, dtype="string"), numbers)
