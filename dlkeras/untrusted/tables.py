"""Tables of strangers: their size is known before they are read.

CSV in the forms that Excel and pandas write, Parquet, Excel's workbooks, JSON lines.
"""

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from dlkeras.untrusted.gate import (
    Budget,
    UntrustedFileError,
    file_size,
    open_regular,
)
from dlkeras.untrusted.parquet_pages import check_pages
from dlkeras.untrusted.row_tables import rows_of_json, rows_of_workbook

if TYPE_CHECKING:
    import pandas as pd

MAX_FILE_BYTES = 2**29
# A cell takes some 60 bytes beside its text.
MAX_CELLS = 20_000_000
MAX_COLUMNS = 1000
# The header of a CSV and its first row, in characters.
MAX_HEAD = 2**22
# What is decoded of a Parquet file.
MAX_TABLE_BYTES = 2**30
MAX_FOOTER_BYTES = 2**25
ROWS = 2**16
CHUNK = 2**20
DELIMITERS = ",;\t|"
# What gzip makes of a table is not smaller than that.
MAX_RATIO = 100
SLACK = 2**26


class NumberedTable(NamedTuple):
    """A table, and where its rows stand in the file.

    Attributes:
        table: the rows.
        numbers: for each row the line of the file, from 1, or the row of the sheet.
        left_out: columns of lists and structures, which are not read.
    """

    table: "pd.DataFrame"
    numbers: list[int]
    left_out: tuple[str, ...] = ()


def read_table(path: str | Path) -> "pd.DataFrame":
    """Read a table, as `read_numbered_table` does; the rows alone.

    Args:
        path: the file.

    Raises:
        UntrustedFileError, OSError: as there.
    """
    return read_numbered_table(path).table


def read_numbered_table(path: str | Path) -> NumberedTable:
    """Read a table: the content says which kind it is.

    CSV may be separated by commas, semicolons, tabs or bars, and be written in UTF-8,
    UTF-16 or Windows's code page 1252; an empty line is no row, and neither is what
    Excel's last commas make a column. CSV and JSON lines may be packed by gzip.

    Args:
        path: the file.

    Returns:
        The table; every cell of a CSV is text. Lists and structures are left out.

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
                return _parquet(path, file)
            if head == b"PK\3\4":
                return _from_rows(path, rows_of_workbook(path, file, MAX_CELLS))
            if head == b"\xd0\xcf\x11\xe0":
                raise UntrustedFileError(f"{path}: an old Excel file; save it as .xlsx")
            content = _unpacked(path, file)
            if content.getvalue()[:64].lstrip(b"\xef\xbb\xbf \r\n\t")[:1] in (
                b"{",
                b"[",
            ):
                rows, lists = rows_of_json(path, content, MAX_CELLS)
                return _from_rows(path, rows)._replace(left_out=lists)
            return _csv(path, content)
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
        lines += _line_ends(chunk, after)
        after = chunk[-1:]
        _check_cells(path, commas + lines)
        if content.tell() > most:
            raise UntrustedFileError(f"{path}: it unpacks to more than a table")
    content.seek(0)
    return content


def _line_ends(chunk: bytes, after: bytes = b"") -> int:
    ends = chunk.count(b"\n") + chunk.count(b"\r") - chunk.count(b"\r\n")
    return ends - (after + chunk[:1] == b"\r\n")


def _csv(path: Path, content: io.BytesIO) -> NumberedTable:
    import pandas as pd

    encoding = _encoding(content)
    head = _head(path, content, encoding)
    _check_columns(path, head.width)
    raw = content.getbuffer()
    separators = sum(
        bytes(raw[start : start + CHUNK]).count(head.delimiter.encode())
        for start in range(0, len(raw), CHUNK)
    )
    lines = 1 + sum(
        _line_ends(bytes(raw[start : start + CHUNK]), bytes(raw[start - 1 : start]))
        for start in range(0, len(raw), CHUNK)
    )
    raw.release()
    # A row that is too short is filled up.
    _check_cells(path, max(separators, head.width * lines))
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


def _from_rows(path: Path, rows: Any) -> NumberedTable:
    """A table of numbered rows of texts, the first of which is the header."""
    import pandas as pd

    rows = iter(rows)
    _, header = next(rows, (0, []))
    _check_columns(path, len(header))
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
            _check_cells(path, len(numbers) * len(header))
    names = [name or f"Unnamed: {place}" for place, name in enumerate(header)]
    return NumberedTable(pd.DataFrame(cells, columns=names, dtype="string"), numbers)


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


def _parquet(path: Path, source: IO[bytes]) -> NumberedTable:
    """Read a Parquet table, one column after the other.

    What the footer says of each column is spent before it is read, and what each of its
    pages says, since a footer may lie; then what came out of it before the next.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    source.seek(max(file_size(source) - 8, 0))
    footer, ending = int.from_bytes(source.read(4), "little"), source.read(4)
    if ending != b"PAR1":
        raise ValueError("it is cut short, or no Parquet file")
    if footer > MAX_FOOTER_BYTES:
        raise UntrustedFileError(f"{path}: its footer is too large for a table")
    source.seek(0)
    found = pq.ParquetFile(source, arrow_extensions_enabled=False)
    schema, about = found.schema_arrow, found.metadata
    _check_columns(path, len(schema))
    _check_cells(path, about.num_rows * len(schema))
    kept = [field.name for field in schema if _is_plain(field.type)]
    _check_claims(path, about, set(kept))
    check_pages(path, source, about, Budget(MAX_TABLE_BYTES, path))
    # A text is stored once, however often it is in a column: it stays so until it
    # is known how much there is of it.
    texts = [field.name for field in schema if _is_text(field.type)]
    source.seek(0)
    found = pq.ParquetFile(
        source, read_dictionary=texts, arrow_extensions_enabled=False
    )
    budget, columns = Budget(MAX_TABLE_BYTES, path), []
    for name in kept:
        chunks = []
        for batch in found.iter_batches(ROWS, columns=[name], use_threads=False):
            (column,) = batch.columns  # one that is there twice is refused
            chunks.append(_decoded(column, budget))
        kind = None if chunks else pa.null()
        columns.append(pa.chunked_array(chunks, kind))
    table = pa.table(columns, names=kept)
    if len(kept) == len(schema):
        table = table.replace_schema_metadata(schema.metadata)
    rest = tuple(field.name for field in schema if field.name not in kept)
    return NumberedTable(
        table.to_pandas(), list(range(1, about.num_rows + 1)), left_out=rest
    )


def _check_claims(path: Path, about: Any, kept: set[str]) -> None:
    """Refuse a table whose footer names more bytes than may be read."""
    groups, chunks = Budget(MAX_TABLE_BYTES, path), Budget(MAX_TABLE_BYTES, path)
    for number in range(about.num_row_groups):
        group = about.row_group(number)
        groups.spend(group.total_byte_size)
        for column in map(group.column, range(group.num_columns)):
            if column.path_in_schema in kept:
                chunks.spend(column.total_uncompressed_size)


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind)


def _is_plain(kind: Any) -> bool:
    """Whether every value takes a few bytes, or is a text."""
    from pyarrow import types

    few = types.is_primitive(kind) or types.is_decimal(kind) or types.is_null(kind)
    return few or _is_text(kind)


def _decoded(column: Any, budget: Budget) -> Any:
    import pyarrow.compute as pc
    from pyarrow import types

    budget.spend(column.nbytes)
    if not types.is_dictionary(column.type):
        return column
    functions: Any = pc
    lengths = functions.binary_length(column.dictionary)
    budget.spend(functions.sum(lengths.take(column.indices)).as_py() or 0)
    return column.dictionary_decode()


def _check_columns(path: Path, number: int) -> None:
    if number > MAX_COLUMNS:
        raise UntrustedFileError(
            f"{path}: expected at most {MAX_COLUMNS:,} columns; it has {number:,}"
        )


def _check_cells(path: Path, number: int) -> None:
    if number > MAX_CELLS:
        raise UntrustedFileError(
            f"{path}: expected a table of at most {MAX_CELLS:,} cells; it has more"
        )
