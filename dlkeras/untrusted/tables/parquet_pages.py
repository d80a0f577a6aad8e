"""The pages of a Parquet table: what each says it unpacks to, before any is unpacked.

A footer may lie about its columns. The reader believes the header of each page alone,
and asks for as much memory as that says, up to 2 GiB.
"""

from pathlib import Path
from typing import IO, Any

from dlkeras.untrusted.gate import Budget, UntrustedFileError

# Statistics are in it; PyArrow leaves out those of more than 4 KiB.
_LARGEST_HEADER = 2**16
# Of 1 MiB each, as programs write them, there are a thousand in a table.
_MOST_PAGES = 100_000
# The fields of a header in https://github.com/apache/parquet-format.
_UNPACKED, _PACKED = 2, 3


def check_pages(path: Path, source: IO[bytes], about: Any, budget: Budget) -> None:
    """Spend what the pages of all columns say they unpack to.

    Args:
        path: the table, for the errors' text.
        source: its bytes.
        about: its `pyarrow.parquet.FileMetaData`.
        budget: what may be unpacked.

    Raises:
        UntrustedFileError: they unpack to more, or a header is damaged.
    """
    pages = 0
    for number in range(about.num_row_groups):
        group = about.row_group(number)
        for column in map(group.column, range(group.num_columns)):
            if column.num_values <= 0:  # the reader looks at no page
                continue
            at = column.data_page_offset
            if column.has_dictionary_page and column.dictionary_page_offset:
                at = min(at, column.dictionary_page_offset)
            end = at + column.total_compressed_size
            while at < end:
                source.seek(at)
                header = _Compact(source.read(_LARGEST_HEADER))
                try:
                    fields = header.struct()
                    unpacked, packed = fields[_UNPACKED], fields[_PACKED]
                except (IndexError, KeyError, ValueError) as error:
                    raise UntrustedFileError(f"{path}: a damaged page") from error
                pages += 1
                if packed < 0 or pages > _MOST_PAGES:
                    raise UntrustedFileError(
                        f"{path}: a damaged page, or more than {_MOST_PAGES:,}"
                    )
                budget.spend(unpacked)
                at += header.at + packed


class _Compact:
    """Thrift's compact protocol, as far as the header of a page needs it.

    Args:
        data: the header, and whatever comes behind it.

    Attributes:
        at: where the next byte is.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def struct(self, depth: int = 0) -> dict[int, int]:
        """Read the numbers of a structure by their fields; what is none gives 0."""
        if depth > 4:
            raise ValueError("nested too deep")
        fields: dict[int, int] = {}
        field = 0
        while start := self._byte():
            field = field + (start >> 4) if start >> 4 else self._number()
            fields[field] = self._value(start & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> int:
        if kind in (1, 2):  # true, false: the value is in the kind
            return 2 - kind
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):
            return self._number()
        if kind == 7:
            self.at += 8
        elif kind == 8:
            length = self._unsigned()
            self.at += length
        elif kind == 12:
            self.struct(depth + 1)
        else:
            raise ValueError("lists are in no header of a page")
        return 0

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def _unsigned(self) -> int:
        value = shift = 0
        while (byte := self._byte()) > 127:
            value |= (byte & 127) << shift
            shift += 7
            if shift > 63:
                raise ValueError("a number of more than 64 bits")
        return value | byte << shift

    def _number(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
