"""Parquet: what the footer and the pages claim is spent before they are read."""

from pathlib import Path
from typing import IO, Any

from dlkeras.untrusted.gate import Budget, UntrustedFileError, file_size
from dlkeras.untrusted.tables.numbered import (
    NumberedTable,
    check_cells,
    check_columns,
)
from dlkeras.untrusted.tables.parquet_pages import check_pages

# What is decoded of a Parquet file.
MAX_TABLE_BYTES = 2**30
MAX_FOOTER_BYTES = 2**25
ROWS = 2**16


def read_parquet(path: Path, source: IO[bytes], lists: bool = False) -> NumberedTable:
    """Read a Parquet table, one column after the other.

    What the footer says of each column is spent before it is read, and what each of its
    pages says, since a footer may lie; then what came out of it before the next. Lists
    of texts are read where `lists` asks for them.
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
    check_columns(path, len(schema))
    check_cells(path, about.num_rows * len(schema))
    listed = [field.name for field in schema if lists and _is_text_list(field.type)]
    kept = [f.name for f in schema if _is_plain(f.type) or f.name in listed]
    leaves = {about.schema.column(number).path for number in range(about.num_columns)}
    inside = {leaf for leaf in leaves if leaf.partition(".")[0] in listed}
    _check_claims(path, about, {*kept, *inside})
    check_pages(path, source, about, Budget(MAX_TABLE_BYTES, path))
    # A text is stored once, however often it is in a column: it stays so until it
    # is known how much there is of it.
    texts = [field.name for field in schema if _is_text(field.type)]
    texts += sorted(inside)
    source.seek(0)
    found = pq.ParquetFile(
        source, read_dictionary=texts, arrow_extensions_enabled=False
    )
    budget, columns = Budget(MAX_TABLE_BYTES, path), []
    for name in kept:
        chunks = []
        for batch in found.iter_batches(ROWS, columns=[name], use_threads=False):
            (column,) = batch.columns  # one that is there twice is refused
            if name in listed:
                check_cells(path, len(column.flatten()))
                _decoded(column.flatten(), budget)
                column = column.cast(pa.list_(pa.string()))
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


def _is_text_list(kind: Any) -> bool:
    from pyarrow import types

    return (types.is_list(kind) or types.is_large_list(kind)) and _is_text(
        kind.value_type
    )


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
