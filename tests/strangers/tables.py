"""Tables as people have them: out of Excel, pandas, Keras, competitions, JSON."""

import gzip
import io
import json
import zipfile
from pathlib import Path

from tests.strangers.folders import Photos

NUMBER = 24
ROWS = [(f"imgs/{index}.png", ("cat", "dog")[index % 2]) for index in range(NUMBER)]


def images(folder: Path) -> Path:
    """The images that all tables name, below a folder."""
    photos = Photos(folder)
    for path, _ in ROWS:
        photos.add(path)
    return folder


def lines(header: str, pattern: str = "{p},{c}", end: str = "\n") -> str:
    rows = [pattern.format(p=p, c=c, i=i) for i, (p, c) in enumerate(ROWS)]
    return end.join([header, *rows]) + end


def workbook() -> bytes:
    """An .xlsx of shared and inline texts, a number, and an empty row."""

    def cell(column: str, number: int, inside: str, kind: str) -> str:
        return f'<c r="{column}{number}" t="{kind}">{inside}</c>'

    texts = ["File", "Class", "cat", "dog"]
    shared = "".join(f"<si><t>{text}</t></si>" for text in texts)
    rows = [(1, cell("A", 1, "<v>0</v>", "s") + cell("C", 1, "<v>1</v>", "s"))]
    for index, (path, label) in enumerate(ROWS):
        number = index + 3  # row 2 is empty
        name = cell("A", number, f"<is><t>{path}</t></is>", "inlineStr")
        kind = cell("C", number, f"<v>{texts.index(label)}</v>", "s")
        rows.append((number, name + f'<c r="B{number}"><v>{index}</v></c>' + kind))
    sheet = "".join(f'<row r="{n}">{cells}</row>' for n, cells in rows)
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    of = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    parts = {
        "xl/workbook.xml": f'<workbook {space} xmlns:r="{of}"><sheets>'
        '<sheet name="Data" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": '<Relationships><Relationship Id="rId1" '
        'Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/sharedStrings.xml": f"<sst {space}>{shared}</sst>",
        "xl/worksheets/sheet1.xml": f"<worksheet {space}><sheetData>{sheet}"
        "</sheetData></worksheet>",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def readable() -> dict[str, bytes]:
    """Tables of the same 24 images in two classes, by their names."""
    plain = lines("path,label")
    objects = [{"file": p, "label": c, "box": [1, 2]} for p, c in ROWS]
    texts = {
        "keras.csv": lines("filename,class"),
        "ultralytics.csv": lines("Image Path,Category"),
        "capitals.csv": lines("FILE, Label"),
        "with_id.csv": lines("id,path,label", "{i},{p},{c}"),
        "own_names.csv": lines("row,twice,path,label,id", "{i},0,{p},{c},{i}"),
        "by_pandas.csv": lines(",path,label", "{i},{p},{c}"),
        "trailing_comma.csv": lines("file,label,", "{p},{c},"),
        "comma_in_rows.csv": lines("file,label", "{p},{c},,"),
        "blank_lines.csv": "\n\n" + lines("file,label\n\n"),
        "blank_age.csv": lines("file,label,age").replace("7.png,dog", "7.png,dog,7"),
        "empty_rows.csv": lines("file,label,age", "{p},{c},1") + ",,\n,,\n",
        "semicolons.csv": lines("file;label", "{p};{c}"),
        "tabs.tsv": lines("file\tlabel", "{p}\t{c}"),
        "excel_says.csv": "sep=;\n" + lines("file;label", "{p};{c}"),
        "dos.csv": lines("file,label", end="\r\n"),
        "old_mac.csv": lines("file,label", end="\r"),
        "quoted.csv": lines('"file","label"', '"{p}","{c}"'),
        "windows_paths.csv": plain.replace("/", "\\"),
        "dots.csv": plain.replace("imgs/", "./imgs//"),
        "no_suffix.csv": plain.replace(".png", ""),
        "spaces.csv": lines("path,label", " {p} , {c} "),
        "zero_width.csv": plain.replace("dog", "\u200bdog"),
        "lines.jsonl": "\n".join(json.dumps(row) for row in objects),
        "list.json": json.dumps(objects),
    }
    return {name: text.encode() for name, text in texts.items()} | {
        "utf16.csv": plain.encode("utf-16"),
        "utf16_no_mark.csv": plain.encode("utf-16-le"),
        "bom.csv": plain.encode("utf-8-sig"),
        "windows.csv": plain.replace("dog", "chien apprivoisé").encode("cp1252"),
        "packed.csv.gz": gzip.compress(plain.encode()),
        "packed.jsonl.gz": gzip.compress(texts["lines.jsonl"].encode()),
        "excel.xlsx": workbook(),
    }
