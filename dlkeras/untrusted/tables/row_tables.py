"""Tables of strangers that come row by row: Excel's workbooks (.xlsx), JSON lines."""

import io
import json
import posixpath
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

from dlkeras.untrusted.gate import UntrustedFileError
from dlkeras.untrusted.tables.xml_elements import elements
from dlkeras.untrusted.zips import check_packing, open_zip

# Of one part of the workbook, unpacked.
MAX_PART = 2**28
MAX_COLUMNS = 1000
# Excel has no more.
MAX_ROWS = 2**20
# An object of JSON takes some ten times its text.
MAX_JSON_BYTES = 2**26
# An empty one takes a hundred times its text.
MAX_JSON_OBJECTS = 2_000_000
_CELL = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
Row = tuple[int, list[str | None]]


def rows_of_workbook(path: Path, file: IO[bytes], max_cells: int) -> Iterator[Row]:
    """Give the rows of a workbook's first sheet, each with its number.

    Formulas give the value that Excel has stored; a cell that is far to the right of
    the others is refused, for it would make a row of thousands of columns.

    Args:
        path: what to call the file.
        file: the workbook.
        max_cells: the most cells that are read, with those left empty in a row.

    Raises:
        UntrustedFileError: it has more than that, or its parts are too large.
    """
    with open_zip(path, file) as archive:
        texts = _shared_texts(path, archive, max_cells)
        spent = 0
        with _part(path, archive, _first_sheet(path, archive)) as sheet:
            for count, element in enumerate(elements(path, sheet, "row"), 1):
                if count > MAX_ROWS:
                    raise UntrustedFileError(
                        f"{path}: expected at most {MAX_ROWS:,} rows; it has more"
                    )
                cells: dict[int, str] = {}
                number = int(element.get("r", count))
                for place, cell in enumerate(element):
                    column = _column(cell.get("r"), place)
                    if column >= MAX_COLUMNS:
                        raise UntrustedFileError(
                            f"{path}: expected at most {MAX_COLUMNS:,} columns; row "
                            f"{number} has more"
                        )
                    value = _value(cell, texts)
                    if value is not None:
                        cells[column] = value
                width = max(cells, default=-1) + 1
                spent += 1 + max(width, len(element))
                if spent > max_cells:
                    raise _too_large(path, max_cells)
                yield number, [cells.get(column) for column in range(width)]


def _too_large(path: Path, max_cells: int) -> UntrustedFileError:
    return UntrustedFileError(
        f"{path}: expected a table of at most {max_cells:,} cells; it has more"
    )


def _part(path: Path, archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    member = archive.getinfo(name)
    check_packing(path, member)
    if member.file_size > MAX_PART:
        raise UntrustedFileError(f"{path}: {name} is larger than a table's sheet")
    return archive.open(member)


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _first_sheet(path: Path, archive: zipfile.ZipFile) -> str:
    """The name of the part that holds the first sheet."""
    with _part(path, archive, "xl/workbook.xml") as part:
        sheet = next(elements(path, part, "sheet"), ElementTree.Element("sheet"))
    wanted = next((v for k, v in sheet.items() if k.endswith("}id")), "")
    with _part(path, archive, "xl/_rels/workbook.xml.rels") as part:
        for element in elements(path, part, "Relationship"):
            if element.get("Id") == wanted:
                target = element.get("Target", "")
                return posixpath.normpath(posixpath.join("/xl", target)).lstrip("/")
    raise ValueError("its first sheet is missing")


def _shared_texts(path: Path, archive: zipfile.ZipFile, max_cells: int) -> list[str]:
    name = "xl/sharedStrings.xml"
    if name not in archive.namelist():
        return []
    texts = []
    with _part(path, archive, name) as part:
        for element in elements(path, part, "si"):
            texts.append(_text(element))
            if len(texts) > max_cells:
                raise _too_large(path, max_cells)
    return texts


def _text(element: ElementTree.Element) -> str:
    """The text of a cell, of all its runs, without how it is pronounced."""
    runs = [e for e in element if _name(e) in ("t", "r")]
    return "".join(t.text or "" for e in runs for t in e.iter() if _name(t) == "t")


def _column(reference: str | None, place: int) -> int:
    found = _CELL.fullmatch(reference or "")
    if found is None:
        return place
    column = 0
    for letter in found[1]:
        column = 26 * column + ord(letter) - ord("A") + 1
    return column - 1


def _value(cell: ElementTree.Element, texts: list[str]) -> str | None:
    kind = cell.get("t")
    parts = {_name(part): part for part in cell}
    if kind == "inlineStr" and "is" in parts:
        return _text(parts["is"])
    value = parts["v"].text if "v" in parts else None
    return texts[int(value)] if kind == "s" and value is not None else value


def rows_of_json(
    path: Path, content: io.BytesIO, max_cells: int, keep_lists: bool = False
) -> tuple[list[Row], tuple[str, ...]]:
    """Give objects, one a line or in a list, as rows, the header first.

    Args:
        path: what to call the file.
        content: the text.
        max_cells: the most values that are read.
        keep_lists: whether a list stays, as its text.

    Returns:
        The rows, each with its line or place; and the names whose values are lists or
        objects that are left out.

    Raises:
        UntrustedFileError: it has more than that, or is too large.
        ValueError: it is no such file.
    """
    raw = content.getvalue()
    if len(raw) > MAX_JSON_BYTES:
        raise UntrustedFileError(
            f"{path}: expected at most {MAX_JSON_BYTES:,} bytes of JSON; write Parquet"
        )
    if raw.count(b"{") + raw.count(b"[") > MAX_JSON_OBJECTS:
        raise UntrustedFileError(
            f"{path}: expected at most {MAX_JSON_OBJECTS:,} objects and lists of JSON; "
            "write Parquet"
        )
    text = raw.decode("utf-8-sig")
    if text.lstrip()[:1] == "[":
        found = list(enumerate(json.loads(text), 1))
    else:
        lines = enumerate(io.TextIOWrapper(io.BytesIO(raw), "utf-8-sig"), 1)
        found = [(number, json.loads(line)) for number, line in lines if line.strip()]
    cells, names, lists = 0, {}, set()
    for number, row in found:
        if not isinstance(row, dict):
            raise ValueError(f"expected an object a line; line {number} is none")
        cells += len(row)
        names |= dict.fromkeys(row)
        out = dict if keep_lists else dict | list
        lists |= {n for n, value in row.items() if isinstance(value, out)}
        if cells > max_cells or len(names) > MAX_COLUMNS:
            raise UntrustedFileError(
                f"{path}: expected at most {MAX_COLUMNS:,} columns and {max_cells:,} "
                "cells; it has more"
            )
    kept = [name for name in names if name not in lists]

    def cell(value: Any) -> str | None:
        return value if isinstance(value, str | None) else json.dumps(value)

    rows = [(number, [cell(row.get(name)) for name in kept]) for number, row in found]
    return [(0, kept), *rows], tuple(sorted(lists))
