"""Strangers' tables, each walked to its right answer."""

import unicodedata
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from dlkeras.pipeline.examples.sources import Problem
from dlkeras.pipeline.examples.sources.manifest import ManifestSource, named_files
from dlkeras.pipeline.store.errors import InputError
from dlkeras.untrusted.gate import UntrustedFileError
from dlkeras.untrusted.tables.reading import read_table
from tests.strangers import tables
from tests.strangers.folders import Photos

READABLE = tables.readable()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tables.images(tmp_path_factory.mktemp("tables"))


def walked(table: Path, **options):
    """The source of a table, its images and what is wrong."""
    source = ManifestSource(table, **options)
    found = list(source.examples())
    problems = [row for row in found if isinstance(row, Problem)]
    return source, [row for row in found if not isinstance(row, Problem)], problems


def written(folder: Path, text: str, name: str = "table.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize("name", READABLE)
def test_the_tables_that_people_have_give_their_24_images(name, folder):
    (folder / name).write_bytes(READABLE[name])
    source, images, problems = walked(folder / name)
    assert problems == []
    truth = dict(tables.ROWS)
    assert {image.id.removesuffix(".png") for image in images} == {
        path.removesuffix(".png") for path in truth
    }
    assert len(source.labels) == 2
    for image in images:
        path = f"{image.id.removesuffix('.png')}.png"
        assert (source.labels[image.label] == "cat") == (truth[path] == "cat")
        assert image.read() == (folder / path).read_bytes()
    assert len(named_files(folder / name)) == 24


HEAD = "file,label"
WRONG = {  # the table, the line, what is said of it
    "blank lines": (tables.lines(f"{HEAD}\n\n") + "no.png,cat", 28, "no such file"),
    "first lines": ("\n\n" + tables.lines(HEAD) + "no.png,cat", 28, "no such file"),
    "lines in cells": (
        tables.lines(f"{HEAD},note", '{p},{c},"two\nlines"') + "imgs/no.png,cat,",
        50, "no such file",
    ),
    "dots": (tables.lines(HEAD) + "./imgs/0.png,dog", 26, "twice (imgs/0.png)"),
    "case": (tables.lines(HEAD) + "imgs/0.PNG,dog", 26, "0.png is there"),
    "web": (tables.lines(HEAD) + "https://a.b/c.png,dog", 26, "a web address"),
    "drive": (tables.lines(HEAD) + "C:\\me\\c.png,dog", 26, "no such file"),
    "outside": (tables.lines(HEAD) + "../c.png,dog", 26, "--example-gen.image-root"),
    "prefix": (tables.lines(HEAD) + "all/note.png,dog", 26, "note.png lies in"),
    "folder": (tables.lines(HEAD) + "imgs,dog", 26, "not a regular file"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_row_that_is_wrong_is_named_by_its_line(name, folder):
    text, row, words = WRONG[name]
    (folder / "note.png").touch()
    _, images, (problem,) = walked(written(folder, text))
    assert len(images) == 24
    assert problem.id.startswith(f"row {row} (")
    assert words in problem.reason


REFUSED = {
    "two paths": (
        tables.lines("image,photo,label", "{p},{p},{c}"),
        r"image and photo: ",
    ),
    "no label": (tables.lines("file,what"), r"lacks label, .*-gen\.columns label=NAME"),
    "no header": (tables.lines("imgs/a.png,cat"), r"first line must name the columns"),
    "a list of paths": ("imgs/0.png 3\nimgs/1.png 0\n", r"first line must name"),
    "more cells": (tables.lines(HEAD, "{p},{c},1"), r"line 2 has more cells than the"),
    "one label": (tables.lines(HEAD, "{p},cat"), r"at least two labels in .*'cat'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_table_that_is_not_plain_is_refused_with_what_to_do(name, folder):
    text, words = REFUSED[name]
    with pytest.raises(InputError, match=words):
        ManifestSource(written(folder, text))


def test_columns_and_the_folder_of_the_images_are_named_by_flags(folder, tmp_path):
    text = tables.lines("Bild,Tier,Teil,label", "{p},{c},Train,x").replace("imgs/", "")
    table = written(tmp_path, text)
    columns = {"path": "Bild", "label": "Tier", "split": "Teil"}
    source, images, problems = walked(
        table, columns=columns, image_root=folder / "imgs"
    )
    assert (len(images), problems, source.splits) == (24, [], {"train"})
    assert list(source.metadata) == ["id", "label of the table"]
    with pytest.raises(InputError, match=r"columns path=Bidl: expected a column of"):
        ManifestSource(table, {"path": "Bidl"})
    with pytest.raises(InputError, match=r"columns: expected path, .*received paths"):
        ManifestSource(table, {"paths": "Bild"})
    with pytest.raises(InputError, match=r"image-root: expected a folder"):
        ManifestSource(table, columns, tmp_path / "none")


def test_a_name_in_one_form_of_unicode_finds_the_file_in_the_other(tmp_path):
    photos = Photos(tmp_path)
    names = [f"Café {n}/é{n}.png" for n in range(6)]
    for name in names:
        photos.add(unicodedata.normalize("NFD", name))
    rows = [f"{name},{('cat', 'dog')[n % 2]}" for n, name in enumerate(names)]
    table = written(
        tmp_path, unicodedata.normalize("NFC", "path,label\n" + "\n".join(rows))
    )
    source, images, problems = walked(table)
    assert (len(images), problems, len(source.labels)) == (6, [], 2)


def test_labels_in_lists_are_refused_and_whole_numbers_stay_whole(folder):
    paths = [path for path, _ in tables.ROWS]
    pd.DataFrame({"path": paths, "label": [["cat", "dog"]] * 24}).to_parquet(
        folder / "lists.parquet"
    )
    with pytest.raises(InputError, match="label is a column of lists: an image"):
        ManifestSource(folder / "lists.parquet")
    numbers = [float(n % 3) for n in range(23)] + [None]
    pd.DataFrame({"path": paths, "label": numbers}).to_parquet(folder / "n.parquet")
    source, _, (problem,) = walked(folder / "n.parquet")
    assert source.labels == ("0", "1", "2")
    assert (problem.id, problem.reason[:16]) == (
        "row 24 (imgs/23.png)",
        "expected a label",
    )


# Two to the power of 30 letters, in half a kilobyte.
BOMB = (
    "<!DOCTYPE w ["
    + "<!ENTITY e0 'ha'>"
    + "".join(f"<!ENTITY e{n + 1} '{f'&e{n};' * 8}'>" for n in range(10))
    + "]><worksheet><row r='1'><c t='str'><v>&e10;</v></c></row></worksheet>"
)


@pytest.mark.parametrize(
    ("sheet", "words"),
    [
        ('<row r="1"><c r="XFD1" t="str"><v>a</v></c></row>', "at most 1,000 columns"),
        ("<row r='1'><c t='s'><v>7</v></c></row>", "expected a table in CSV, Parquet"),
        (BOMB, "without a DTD"),
    ],
    ids=["a cell far away", "a text that is not there", "an entity"],
)  # fmt: skip
def test_a_hostile_workbook_is_refused(sheet, words, tmp_path):
    file = tmp_path / "hostile.xlsx"
    with zipfile.ZipFile(file, "w") as archive:
        (tmp_path / "good.xlsx").write_bytes(tables.workbook())
        with zipfile.ZipFile(tmp_path / "good.xlsx") as good:
            for name in good.namelist():
                content = good.read(name)
                if name.endswith("sheet1.xml"):
                    whole = sheet[0:2] == "<!"
                    content = sheet if whole else f"<worksheet>{sheet}</worksheet>"
                archive.writestr(name, content)
    with pytest.raises(UntrustedFileError, match=words):
        read_table(file)
