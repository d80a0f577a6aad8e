"""Hostile workbooks and JSON end in one line, in the memory of a small table."""

import io
import zipfile

import pytest

from dlkeras.untrusted.gate import UntrustedFileError
from dlkeras.untrusted.tables.reading import read_table
from dlkeras.untrusted.tables.xml_elements import elements
from tests.untrusted.own_process import tried

MEBI = 2**20
PARTS = {
    "xl/workbook.xml": '<w xmlns:r="r"><sheet r:id="a"/></w>',
    "xl/_rels/workbook.xml.rels": '<w><Relationship Id="a" Target="sheet.xml"/></w>',
    "xl/sharedStrings.xml": "<w/>",
    "xl/sheet.xml": "<w/>",
}
# The part that is large, how it starts, what it repeats for how many MiB, and what is
# said of it. Most take 0.6 to 2 GiB where all elements, or all of one, are kept.
WORKBOOKS = {
    "cells of one row": ("sheet", "<w><row>", "<c/>", 48, "bytes at most in a row"),
    "cells in cells": ("sheet", "<w><row>", "<c>", 48, "bytes at most in a row"),
    "cells of no row": ("sheet", "<w><cols>", "<c/>", 48, "beside each row"),
    "empty rows": ("sheet", "<w>", "<row/>", 8, "at most 1,048,576 rows"),
    "attributes": ("sheet", "<w><row><c ", 'a{0:06}="" ', 24, "a tag of at most"),
    "names": ("sheet", "<w><row>", "<a{0:06}/>", 4, "some hundred names"),
    "sheets": ("workbook", "<w>", "<a/>", 48, "beside each sheet"),
    "links": ("workbook.xml.rels", "<w>", "<a/>", 48, "beside each Relationship"),
    "runs": ("sharedStrings", "<w><si>", "<r/>", 48, "bytes at most in a si"),
    "lines": ("sharedStrings", "<w><si><t>", "ab\n", 48, "bytes at most in a si"),
    "no texts": ("sharedStrings", "<w>", "<a/>", 48, "beside each si"),
}
JSON = {
    "objects": ("[", "{},", "at most 2,000,000 objects and lists"),
    "lists": ('[{"a":[', "[],", "at most 2,000,000 objects and lists"),
    "lines of objects": ("", "{}\n", "at most 2,000,000 objects and lists"),
}


def workbook(file, part, content):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, usual in PARTS.items():
            large = name.rpartition("/")[2].removesuffix(".xml") == part
            archive.writestr(name, content if large else usual)


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("row_tables")
    files = []
    for name, (part, start, pattern, size, _) in WORKBOOKS.items():
        count = size * MEBI // len(pattern.format(0))
        many = "{" in pattern
        body = "".join(map(pattern.format, range(count))) if many else pattern * count
        files.append(folder / f"{name}.xlsx")
        workbook(files[-1], part, start + body)
    for name, (start, pattern, _) in JSON.items():
        files.append(folder / f"{name}.json")
        files[-1].write_text(start + pattern * 8_000_000)
    imports = "from dlkeras.untrusted.tables.reading import *; import pandas"
    return tried(imports, "read_table(path)", files)


@pytest.mark.parametrize("name", [*WORKBOOKS, *JSON])
def test_what_takes_a_multiple_of_its_size_is_refused_first(answers, name):
    kind, words = ("xlsx", WORKBOOKS) if name in WORKBOOKS else ("json", JSON)
    said, mib, seconds = answers[f"{name}.{kind}"]
    assert said.startswith("UntrustedFileError: ") and words[name][-1] in said
    assert mib < 300 and seconds < 30


def test_each_element_of_the_name_is_given_with_what_is_in_it(tmp_path):
    text = '<a><b n="1"><b n="2">x</b>y</b><c><b/></c>z<b xmlns="of">w<!-- --></b></a>'
    found = list(elements(tmp_path, io.BytesIO(text.encode()), "b"))
    assert [(e.get("n"), e.text, len(e)) for e in found] == [
        ("1", None, 1),
        (None, None, 0),
        (None, "w", 0),
    ]
    with pytest.raises(UntrustedFileError, match="without a DTD"):
        list(elements(tmp_path, io.BytesIO(b"<!DOCTYPE a []><a/>"), "b"))


def test_a_line_of_json_ends_where_json_says(tmp_path):
    """RFC 8259: U+2028 and U+0085 may stand in a text as they are."""
    content = '{"path": "a\u2028b"}\r\n{"path": "c\x85d"}\r{"path": "e"}'
    (tmp_path / "table.json").write_text(content, newline="")
    found = read_table(tmp_path / "table.json")
    assert found["path"].tolist() == ["a\u2028b", "c\x85d", "e"]
