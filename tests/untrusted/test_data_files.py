"""Hostile images, arrays and tables end in one line, soon, and in little memory."""

import io
import os
import socket
import struct
import zipfile
import zlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dlkeras.untrusted import gate
from dlkeras.untrusted.arrays import NpzFile
from dlkeras.untrusted.gate import Budget, UntrustedFileError
from dlkeras.untrusted.images import decode_image, read_image_file
from dlkeras.untrusted.tables.delimited import _width
from dlkeras.untrusted.tables.parquet_pages import check_pages
from dlkeras.untrusted.tables.reading import read_table
from tests.untrusted.own_process import tried

MEBI = 2**20


def chunk(kind, body):
    check = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


def png(width, height, *more):
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), *more, chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def many_scans():
    """The last scan of a large progressive JPEG, again and again."""
    buffer = io.BytesIO()
    Image.new("L", (4000, 4000)).save(buffer, "JPEG", progressive=True)
    whole = buffer.getvalue()
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + last * 1000 + whole[-2:]


def with_hole(path, size, start=b""):
    """A file of a size that takes no room on the disk."""
    with path.open("wb") as file:
        file.write(start)
        file.truncate(size)


def pipe_and_device(folder, suffix):
    os.mkfifo(folder / f"pipe{suffix}")
    (folder / f"device{suffix}").symlink_to("/dev/zero")
    (folder / f"folder{suffix}").mkdir()
    return [folder / f"{name}{suffix}" for name in ("pipe", "device", "folder")]


def write_images(folder):
    zeros = zlib.compress(b"\0" * 40 * MEBI)
    contents = {
        "no_image.png": b"?" * 9 * MEBI,
        "bomb.png": png(9000, 9000, chunk(b"IDAT", zeros)),
        "long.png": png(8000, 8000, chunk(b"IDAT", zeros)),
        "text.png": png(8, 8, chunk(b"zTXt", b"a\0\0" + zeros)),
        "profile.png": png(8, 8, chunk(b"iCCP", b"a\0\0" + zeros)),
        "scans.jpg": many_scans(),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    with_hole(folder / "hole.png", 6 * 2**30, png(8, 8)[:33])
    with_hole(folder / "small_hole.png", 400 * MEBI)
    return [folder / n for n in (*contents, "hole.png", "small_hole.png")]


def npy(shape, dtype="uint8", body=b"", order=False):
    buffer = io.BytesIO()
    about = {"descr": dtype, "fortran_order": order, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, about)
    return buffer.getvalue() + body


def write_arrays(folder):
    def npz(name, packed=zipfile.ZIP_DEFLATED, **arrays):
        with zipfile.ZipFile(folder / f"{name}.npz", "w", packed) as archive:
            for key, content in arrays.items():
                archive.writestr(f"{key}.npy", content)

    zeros, header = b"\0" * 40 * MEBI, b"\x93NUMPY\2\0"
    npz("claim", x=npy((2**40,)))
    npz("header", x=header + struct.pack("<I", 40 * MEBI) + zeros)
    npz("bzip2", zipfile.ZIP_BZIP2, x=npy((40 * MEBI,), body=zeros))
    npz("objects", x=npy((1,), "|O", b"\x80\x04."))
    npz("columns", x=npy((2, 2), body=b"0123", order=True))
    npz("many", zipfile.ZIP_STORED, **{f"x{n}": npy((0,)) for n in range(1001)})
    (folder / "no_zip.npz").write_bytes(b"PK" * 9000)
    with_hole(folder / "hole.npz", 6 * 2**30)
    return sorted(folder.glob("*.npz"))


def write_tables(folder):
    big = "x" * MEBI
    rows = pa.array(np.zeros(4000, "int32"))
    same = pa.DictionaryArray.from_arrays(rows, pa.array([big]))
    pq.write_table(pa.table({"path": same, "label": rows}), folder / "same.parquet")
    fixed = pa.array([big.encode()] * 8, pa.binary(MEBI))
    pq.write_table(pa.table({"path": fixed}), folder / "fixed.parquet")
    runs = pa.array(np.zeros(21_000_000, "int8"))
    pq.write_table(pa.table({"path": runs}), folder / "rows.parquet")
    wide = pa.table({f"c{n}": [0] for n in range(1001)})
    pq.write_table(wide, folder / "wide.parquet")
    content = bytearray((folder / "wide.parquet").read_bytes())
    content[-8:-4] = struct.pack("<I", 2**30)
    (folder / "footer.parquet").write_bytes(content)
    (folder / "cut.parquet").write_bytes(content[:-9])
    (folder / "no_table.parquet").write_bytes(b"PAR1" + b"?" * 9000 + b"PAR1")
    (folder / "cells.csv").write_text("path,label\n" + "," * 21_000_000)
    (folder / "second_line.csv").write_text("path,label\n" + "," * 2000)
    names = ",".join(f"c{n}" for n in range(1000))
    (folder / "filled_up.csv").write_text(names + "\n" + "a\n" * 300_000)
    quoted = ",".join(f'"c\n{n}"' for n in range(1000))
    (folder / "quoted.csv").write_text(quoted + "\r" + "a\r" * 300_000)
    (folder / "mark.csv").write_text("\ufeff" + quoted + "\n" * 300_000)
    (folder / "one_field.csv").write_text('"' + "a\n" * 400_000)
    (folder / "empty_lines.csv").write_text("\n" * 5_000_000)
    (folder / "wide.csv").write_text("," * 2000)
    with zipfile.ZipFile(folder / "book.csv", "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/sharedStrings.xml", bytes(2**28 + 1))
    (folder / "empty.csv").write_bytes(b"")
    packer = zlib.compressobj(wbits=31)
    with (folder / "bomb.csv").open("wb") as file:
        file.write(packer.compress(b"path,label\n"))
        for _ in range(90):
            file.write(packer.compress(b"x" * MEBI))
        file.write(packer.flush())
    with_hole(folder / "hole.csv", 6 * 2**30)
    fixed_is_left_out = {folder / "fixed.parquet"}
    found = {*folder.glob("*.csv"), *folder.glob("*.parquet")} - fixed_is_left_out
    return sorted(found)


# What reads each kind, and the most memory: the process takes 15, 45 and 90 MiB to
# start, a JPEG of 16 million pixels as many.
READERS = {
    "images": (write_images, ".png", "images", "decode_image(read_image_file(path))"),
    "arrays": (
        write_arrays,
        ".npz",
        "arrays",
        "npz = NpzFile(path); [npz.about(name) for name in npz.names]",
    ),
    "tables": (write_tables, ".csv", "tables.reading", "read_table(path)"),
}
MOST_MIB = {"images": 160, "arrays": 100, "tables": 300}
NUMBER = {"images": 11, "arrays": 11, "tables": 21}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """For each kind what became of each of its files."""
    found = {}
    for kind, (write, suffix, module, call) in READERS.items():
        folder = tmp_path_factory.mktemp(kind)
        files = write(folder) + pipe_and_device(folder, suffix)
        imports = f"from dlkeras.untrusted.{module} import *"
        found[kind] = tried(imports, call, files)
    return found


@pytest.mark.parametrize("kind", READERS)
def test_no_hostile_file_takes_memory_or_time(answers, kind):
    for name, (said, mib, seconds) in answers[kind].items():
        assert ": " in said and "\n" not in said and len(said) < 500, (name, said)
        assert said.startswith(("UntrustedFileError: ", "ValueError: ")), (name, said)
        assert mib < MOST_MIB[kind], name
        assert seconds < 30, name
    assert len(answers[kind]) == NUMBER[kind]


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        ("images", "pipe.png", "expected a file; it is a pipe or a device"),
        ("images", "device.png", "it is a pipe or a device"),
        ("images", "hole.png", "expected at most 512,000,000 bytes"),
        ("images", "bomb.png", "at most 64,000,000 pixels; it claims"),
        ("images", "scans.jpg", "expected fewer scans; it has 1,"),
        ("arrays", "claim.npz", "an array of (1099511627776,) uint8 is cut short"),
        ("arrays", "header.npz", "a header of 41,943,040 bytes"),
        ("arrays", "bzip2.npz", "'x.npy' is packed by method 12"),
        ("tables", "same.parquet", "need more than 1,073,741,824 bytes of memory"),
        ("tables", "footer.parquet", "its footer is too large for a table"),
        ("tables", "cut.parquet", "it is cut short, or no Parquet file"),
        ("tables", "rows.parquet", "at most 20,000,000 cells"),
        ("tables", "wide.parquet", "at most 1,000 columns; it has 1,001"),
        ("tables", "second_line.csv", "at most 1,000 columns; it has 2,001"),
        ("tables", "filled_up.csv", "at most 20,000,000 cells"),
        ("tables", "quoted.csv", "at most 20,000,000 cells"),
        ("tables", "mark.csv", "at most 20,000,000 cells"),
        ("tables", "one_field.csv", "field larger than field limit"),
        ("tables", "bomb.csv", "unpacks to more than"),
        ("tables", "pipe.csv", "it is a pipe or a device"),
    ],
)
def test_the_error_says_what_is_wrong(answers, kind, name, reason):
    assert reason in answers[kind][name][0]


def test_an_image_is_read_through_a_link(tmp_path):
    pixels = np.arange(48, dtype="uint8").reshape(6, 8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    (tmp_path / "link.png").symlink_to("image.png")
    read = decode_image(read_image_file(tmp_path / "link.png")).pixels
    np.testing.assert_array_equal(read[..., 0], pixels)


def test_a_file_that_changes_after_the_first_look_is_refused(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        places = (*pipe_and_device(tmp_path, ""), tmp_path / "socket")
        regular = os.stat(__file__)
        with monkeypatch.context() as patched:
            patched.setattr(os, "stat", lambda path: regular)
            for place in places:
                with pytest.raises(UntrustedFileError, match="a file; it is a"):
                    gate.open_regular(place)
    (tmp_path / "large").write_bytes(b"123")
    with pytest.raises(UntrustedFileError, match="at most 2 bytes; it has 3"):
        gate.open_regular(tmp_path / "large", 2)
    with gate.open_regular(tmp_path / "large", 3) as file:
        assert file.read() == b"123"
        assert not os.get_inheritable(file.fileno())


def test_a_parquet_table_is_what_pandas_reads(tmp_path):
    table = pd.DataFrame(
        {
            "path": ["a", "b", "a"] * 30_000,
            "label": pd.Categorical(["x", "y", "x"] * 30_000),
            "age": np.arange(90_000.0),
            "day": pd.Timestamp("2026-01-01"),
        }
    )
    table.to_parquet(tmp_path / "table.parquet")
    expected = pd.read_parquet(tmp_path / "table.parquet")
    expected["label"] = expected["label"].astype("str")
    pd.testing.assert_frame_equal(read_table(tmp_path / "table.parquet"), expected)


def claim(size):
    """A size as a footer has it."""
    number, claimed = 2 * size, b""
    while number > 127:
        claimed, number = claimed + bytes([number & 127 | 128]), number >> 7
    return claimed + bytes([number])


def one_byte(claimed):
    """A claim of one byte, as long as another."""
    return b"\x82" + b"\x80" * (len(claimed) - 2) + b"\0"


@pytest.fixture(scope="module")
def large_columns(tmp_path_factory):
    """480 MiB of text in 60 columns, in a file of 26 kB."""
    text = pa.array(["x" * 8 * MEBI])
    table = pa.table({f"c{number}": text for number in range(60)})
    file = tmp_path_factory.mktemp("large") / "large.parquet"
    pq.write_table(table, file, compression="zstd", use_dictionary=False)
    return file


@pytest.mark.parametrize(
    "lies", [["group"], ["chunk"], ["group", "chunk"]], ids="+".join
)
def test_a_parquet_table_may_not_claim_to_be_small(large_columns, lies, tmp_path):
    group = pq.ParquetFile(large_columns).metadata.row_group(0)
    claims = {
        "group": {group.total_byte_size},
        "chunk": {group.column(n).total_uncompressed_size for n in range(60)},
    }
    content = large_columns.read_bytes()
    for size in set().union(*(claims[name] for name in lies)):
        assert claim(size) in content
        content = content.replace(claim(size), one_byte(claim(size)))
    (tmp_path / "large.parquet").write_bytes(content)
    imports = (
        "from dlkeras.untrusted.tables import parquet, reading; "
        "parquet.MAX_TABLE_BYTES = 2**25"
    )
    answers = tried(imports, "reading.read_table(path)", [tmp_path / "large.parquet"])
    ((said, mib, _),) = answers.values()
    assert "its parts need more than 33,554,432 bytes" in said
    assert mib < 250


def test_a_page_is_not_unpacked_to_learn_how_large_it_is(tmp_path):
    """96 MiB of text in one page of a file of some kB, whose footer says 1 byte."""
    small, large = tmp_path / "0.parquet", tmp_path / "large.parquet"
    pq.write_table(pa.table({"path": ["a"]}), small)
    table = pa.table({"path": ["x" * 96 * MEBI]})
    pq.write_table(table, large, compression="zstd", use_dictionary=False)
    group = pq.ParquetFile(large).metadata.row_group(0)
    content = large.read_bytes()
    for size in {group.total_byte_size, group.column(0).total_uncompressed_size}:
        content = content.replace(claim(size), one_byte(claim(size)))
    large.write_bytes(content)
    imports = (
        "from dlkeras.untrusted.tables import parquet, reading; "
        "parquet.MAX_TABLE_BYTES = 2**25"
    )
    answers = tried(imports, "reading.read_table(path)", [small, large])
    said, mib, _ = answers["large.parquet"]
    assert "its parts need more than 33,554,432 bytes" in said
    assert mib < answers["0.parquet"][1] + 32


def test_a_damaged_header_of_a_page_is_named(tmp_path):
    pq.write_table(pa.table({"path": ["a"]}), tmp_path / "a.parquet")
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    for wrong in (b"\xff" * 12, b"\x19" * 12, b"\x1c" * 12, b"\0" * 12):
        content[4:16] = wrong
        (tmp_path / "a.parquet").write_bytes(content)
        with pytest.raises(UntrustedFileError, match="a damaged page"):
            read_table(tmp_path / "a.parquet")


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_the_pages_of_a_table_unpack_to_what_pyarrow_counts(version, tmp_path):
    """All but the headers, of which there is at least one a page, of 15 to 60 bytes."""
    file = tmp_path / "table.parquet"
    column = np.arange(50_000) % 7000
    table = pa.table({"path": column.astype("str"), "number": column / 7})
    pq.write_table(
        table, file, data_page_version=version, data_page_size=10_000,
        compression="zstd", write_page_checksum=True,
    )  # fmt: skip
    about = pq.ParquetFile(file).metadata
    columns = [about.row_group(0).column(n) for n in range(2)]
    counted = sum(column.total_uncompressed_size for column in columns)
    for less, fits in ((0, True), (counted // 10, False)):
        budget = Budget(counted - less, file)
        with file.open("rb") as source:
            if fits:
                check_pages(file, source, about, budget)
                continue
            with pytest.raises(UntrustedFileError):
                check_pages(file, source, about, budget)


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    table = pa.table([["a"], ["b"]], names=["path", "path"])
    pq.write_table(table, tmp_path / "table.parquet")
    with pytest.raises(UntrustedFileError, match=r"table\.parquet"):
        read_table(tmp_path / "table.parquet")


def test_an_empty_parquet_table_has_its_columns(tmp_path):
    pq.write_table(pa.table({"path": pa.array([], "string")}), tmp_path / "a.parquet")
    assert list(read_table(tmp_path / "a.parquet")) == ["path"]


def test_lists_and_blobs_of_a_parquet_table_are_left_out(tmp_path):
    table = pa.table(
        {"path": ["a"], "box": [[1, 2]], "blob": pa.array([b"ab"], pa.binary(2))}
    )
    pq.write_table(table, tmp_path / "table.parquet")
    assert list(read_table(tmp_path / "table.parquet")) == ["path"]


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1\n2\n",
        "a,b\n1,2,3\n",
        "\n \n\ra,b\r\n\n\n1,2,3\n",
        '"a\nb","c,d"\r1,2\r',
        '\ufeff"a\nb",c\n1,2,3,4\n',
        'a"b,c"\n1,2\n',
        '"a"b,"c""d"\n1\n',
        ' "a\nb",c\n1,2\n',
        "a\x0b,b\x85,c\u2028d\n1\n",
        ",,\n1\n",
        ",\n,,,\n",
    ],
)
def test_a_csv_is_as_wide_as_pandas_makes_it(text, tmp_path):
    content = io.BytesIO(text.encode())
    table = pd.read_csv(io.BytesIO(text.encode()), dtype="string")
    columns = len(table.columns)
    if not isinstance(table.index, pd.RangeIndex):
        columns += table.index.nlevels
    assert _width(tmp_path, content) == columns


def test_a_csv_packed_by_gzip_is_read(tmp_path):
    table = pd.DataFrame({"path": ["a", "b"], "label": ["x", ""]}, dtype="string")
    table.to_csv(tmp_path / "table.csv.gz", index=False)
    read = read_table(tmp_path / "table.csv.gz")
    pd.testing.assert_frame_equal(read, table)


def test_an_array_that_does_not_fit_the_disk_is_not_unpacked(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "set.npz", x=np.zeros(9 * MEBI, "uint8"))
    archive = NpzFile(tmp_path / "set.npz")
    assert archive.names == ("x",)
    assert archive.about("x") == ((9 * MEBI,), np.dtype("uint8"))
    usage = type("Usage", (), {"free": 8 * MEBI})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    with pytest.raises(UntrustedFileError, match="half of the free space"):
        archive.unpack("x", tmp_path / "x.npy")


def test_an_array_that_is_not_wanted_may_be_of_any_kind(tmp_path):
    x = np.arange(12, dtype="uint8").reshape(3, 2, 2)
    np.savez(tmp_path / "set.npz", x=x, names=np.array(["a", None]), columns=x.T)
    archive = NpzFile(tmp_path / "set.npz")
    assert archive.names == ("x", "names", "columns")
    unpacked = archive.unpack("x", tmp_path / "x.npy").whole()
    np.testing.assert_array_equal(unpacked, x)
    for name, reason in (("names", "pickled objects"), ("columns", "by columns")):
        for ask in (archive.about, lambda n: archive.unpack(n, tmp_path / "no")):
            with pytest.raises(UntrustedFileError, match=f"'{name}'.*{reason}"):
                ask(name)
    assert not (tmp_path / "no").exists()


def test_an_array_that_changes_after_it_was_checked_is_refused(tmp_path):
    np.savez(tmp_path / "set.npz", x=np.zeros(3, "uint8"))
    archive = NpzFile(tmp_path / "set.npz")
    np.savez(tmp_path / "set.npz", x=np.zeros(4, "int64"))
    with pytest.raises(UntrustedFileError, match="x has changed since"):
        archive.unpack("x", tmp_path / "x.npy")
