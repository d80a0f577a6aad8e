"""CSV in the forms that Excel, pandas and competitions write."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dlkeras.untrusted.gate import UntrustedFileError
from dlkeras.untrusted.tables.numbered import (
    NumberedTable,
    check_cells,
    check_columns,
)

if TYPE_CHECKING:
    import pandas as pd

# The header of a CSV and its first row, in characters.
MAX_HEAD = 2**22
CHUNK = 2**20
DELIMITERS = ",;\t|"


def read_csv(path: Path, content: io.BytesIO) -> NumberedTable:
    """Read a CSV table whose cells have been counted; every cell is text."""
    import pandas as pd

    encoding = _encoding(content)
    head = _head(path, content, encoding)
    check_columns(path, head.width)
    raw = content.getbuffer()
    separators = sum(
        bytes(raw[start : start + CHUNK]).count(head.delimiter.encode())
        for start in range(0, len(raw), CHUNK)
    )
    lines = 1 + sum(
        line_ends(bytes(raw[start : start + CHUNK]), bytes(raw[start - 1 : start]))
        for start in range(0, len(raw), CHUNK)
    )
    raw.release()
    # A row that is too short is filled up.
    check_cells(path, max(separators, head.width * lines))
    content.seek(0)
    names: dict[str, Any] = {}
    extra = [f"Unnamed: {n}" for n in range(len(head.cells), head.width)]
    if extra:
        names = {"header": 0, "names": [*head.cells, *extra]}
    table = pd.read_csv(
        content,
        dtype="string",
        keep_default_na=False,
        compression=None,
        encoding=encoding,
        sep=head.delimiter,
        skiprows=head.before,
        skip_blank_lines=False,
        index_col=False,
        **names,
    )
    numbers = _numbers(table, head.before + 2, lines)
    blank = table.apply(lambda column: column.fillna("").str.strip() == "")
    unnamed = [name for name in table if str(name).startswith("Unnamed: ")]
    if extra and not blank[extra].all(axis=None):
        row = int((~blank[extra]).any(axis=1).to_numpy().argmax())
        raise UntrustedFileError(
            f"{path}: line {numbers[row]} has more cells than the header, which has "
            f"{len(head.cells)}"
        )
    kept = ~blank.all(axis=1).to_numpy(dtype=bool) if len(table.columns) else []
    table = table.drop(columns=[name for name in unnamed if blank[name].all()])
    numbers = [number for number, keep in zip(numbers, kept, strict=True) if keep]
    if len(numbers) < len(table):
        table = table[kept].reset_index(drop=True)
    return NumberedTable(table, numbers)


def _numbers(table: "pd.DataFrame", first: int, lines: int) -> list[int]:
    """The lines where rows begin; a cell in quotes may have ends of lines in it."""
    if len(table) + first > lines:
        return list(range(first, first + len(table)))
    counts = (table[name].fillna("").str.count("\n") for name in table)
    within: Any = sum(counts)
    before = within.cumsum().shift(fill_value=0) if len(table) else within
    return [first + row + int(n) for row, n in enumerate(before)]


def _encoding(content: io.BytesIO) -> str:
    """UTF-8 where it can be, else what Windows writes."""
    start = content.read(400)
    content.seek(0)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if start[1:200:2].count(0) > 50 or (start[1::2] and not any(start[1:40:2])):
        return "utf-16-le"
    text = io.TextIOWrapper(content, "utf-8-sig")
    try:
        while text.read(CHUNK):
            pass
        return "utf-8-sig"
    except UnicodeDecodeError:
        return "cp1252"
    finally:
        text.detach()
        content.seek(0)


class _Head(NamedTuple):
    """What the first lines of a CSV say."""

    before: int  # lines before the header
    cells: list[str]  # of the header
    width: int  # columns of the header or of the first row
    delimiter: str


def _width(path: Path, content: io.BytesIO) -> int:
    """How many columns pandas makes: of the header, and of the first row."""
    return _head(path, content, "utf-8-sig", ",").width


def _head(
    path: Path, content: io.BytesIO, encoding: str, delimiter: str | None = None
) -> _Head:
    """Read the header of a CSV and its first row."""
    content.seek(0)
    text = io.TextIOWrapper(content, encoding, errors="replace", newline="")

    def lines() -> Iterator[str]:
        left = MAX_HEAD
        while line := text.readline(left):
            left -= len(line)
            if left <= 0:
                raise UntrustedFileError(
                    f"{path}: expected a header and a first row of less than "
                    f"{MAX_HEAD:,} characters"
                )
            yield line

    before = width = 0
    header: list[str] | None = None
    if delimiter is None:
        first = ""
        for line in lines():
            if line.strip()[:4].lower() == "sep=" and len(line.strip()) == 5:  # Excel's
                delimiter, before = line.strip()[4], before + 1
            elif line.strip():
                first = line
                break
        if delimiter is None:
            delimiter = max(
                DELIMITERS,
                key=lambda d: len(next(csv.reader([first], delimiter=d), [])),
            )
        text.seek(0)
    for record in csv.reader(lines(), delimiter=delimiter):
        is_row = bool("".join(record).strip() or len(record) > 1)
        if header is None and (not is_row or "".join(record).lower() == "sep="):
            before += not is_row
            continue
        width = max(width, len(record))
        if header is not None and is_row:
            break
        header = header if header is not None else record
    text.detach()
    return _Head(before, header or [], width, delimiter)


def line_ends(chunk: bytes, after: bytes = b"") -> int:
    """Number of ends of lines in a piece of a text, behind another piece."""
    ends = chunk.count(b"\n") + chunk.count(b"\r") - chunk.count(b"\r\n")
    return ends - (after + chunk[:1] == b"\r\n")
