"""Tables of strangers, CSV and Parquet: their size is known before they are read."""

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from dlkeras.untrusted.gate import (
    Budget,
    UntrustedFileError,
    file_size,
    open_regular,
)
from dlkeras.untrusted.parquet_pages import check_pages

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
# What gzip makes of a table is not smaller than that.
MAX_RATIO = 100
SLACK = 2**26


def read_table(path: str | Path) -> "pd.DataFrame":
    """Read a table: Parquet where the name ends so, else CSV in UTF-8.

    Args:
        path: the file; a CSV may be packed by gzip.

    Returns:
        The table; every cell of a CSV is text. Parquet's lists and structures are left
        out.

    Raises:
        UntrustedFileError: it is not a table, or takes more memory than a table of 20
            million cells.
        OSError: it cannot be read.
    """
    path = Path(path)
    read = _parquet if path.suffix.lower() == ".parquet" else _csv
    try:
        with open_regular(path, MAX_FILE_BYTES) as file:
            return read(path, file)
    except UntrustedFileError:
        raise
    except Exception as error:  # a file from outside may raise anything
        if getattr(error, "errno", None):
            raise
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UntrustedFileError(
            f"expected a table in CSV (UTF-8) or Parquet; {path}: {reason}"
        ) from error


def _csv(path: Path, file: IO[bytes]) -> "pd.DataFrame":
    import pandas as pd

    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    opened: Any = gzip.GzipFile(fileobj=file) if packed else file
    content, commas, lines, after = io.BytesIO(), 0, 1, b""
    most = min(MAX_FILE_BYTES, MAX_RATIO * file_size(file) + SLACK)
    while chunk := opened.read(CHUNK):
        content.write(chunk)
        commas += chunk.count(b",")
        ends = chunk.count(b"\n") + chunk.count(b"\r") - chunk.count(b"\r\n")
        lines += ends - (after + chunk[:1] == b"\r\n")
        after = chunk[-1:]
        _check_cells(path, commas + lines)
        if content.tell() > most:
            raise UntrustedFileError(f"{path}: it unpacks to more than a table")
    width = _width(path, content)
    _check_columns(path, width)
    _check_cells(path, width * lines)  # a row that is too short is filled up
    content.seek(0)
    return pd.read_csv(content, dtype="string", keep_default_na=False, compression=None)


def _width(path: Path, content: io.BytesIO) -> int:
    """How many columns pandas makes: of the header, and of the first row."""
    content.seek(0)
    text = io.TextIOWrapper(content, "utf-8-sig", errors="replace", newline="")

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

    width = found = 0
    for record in csv.reader(lines()):
        width = max(width, len(record))
        found += bool("".join(record).strip() or len(record) > 1)  # no empty line
        if found == 2:
            break
    text.detach()
    return width


def _parquet(path: Path, source: IO[bytes]) -> "pd.DataFrame":
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
    return table.to_pandas()


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
