"""Corrupt input of every kind: how it is made, and what ExampleGen must say of it.

The test runs every case; this file as a script writes the table in docs/:

    python tests/pipeline/corrupt_input.py docs/corrupt_input.md
"""

import contextlib
import io
import json
import os
import re
import shutil
import struct
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dlkeras.pipeline.components.example_gen import example_gen
from dlkeras.pipeline.configuration.config import ExampleGenConfig
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import Draft

GOOD = 40
SHARES = {"validation_fraction": 0.3, "test_fraction": 0.3}


@dataclass(frozen=True)
class Case:
    """A kind of corrupt input.

    `make` damages a good source in a folder and gives its configuration. `named` must
    stand in the error. `lost` is the number of examples that quarantine leaves out and
    lists; None where the source as a whole is refused.
    """

    name: str
    make: Callable[[Path], ExampleGenConfig]
    named: str
    lost: int | None = 1
    without_rights: bool = False


@dataclass(frozen=True)
class Outcome:
    """What ExampleGen did with a case, and the memory it took at most."""

    message: str
    quarantined: list[dict]
    kept: int
    refused: str
    megabytes: float


def picture(number: int, size: int = 24) -> Image.Image:
    """An image with structure, so that JPEG keeps it."""
    random = np.random.default_rng(number)
    coarse = random.integers(0, 255, (4, 4, 3), dtype="uint8")
    return Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)


def encoded(form: str, number: int = 99, size: int = 24, **options) -> bytes:
    buffer = io.BytesIO()
    picture(number, size).save(buffer, format=form, **options)
    return buffer.getvalue()


def photos(folder: Path) -> Path:
    """A good image folder of 40 images in two classes."""
    for number in range(GOOD):
        place = folder / "photos" / ("cat", "dog")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        picture(number).save(place / f"{number:02d}.png")
    return folder / "photos"


def folder_case(name: str, file: str, data: bytes, named: str, **options) -> Case:
    """A folder with one more file."""

    def make(folder: Path) -> ExampleGenConfig:
        (photos(folder) / "cat" / file).write_bytes(data)
        return ExampleGenConfig(image_folder=folder / "photos", **SHARES)

    return Case(name, make, named, **options)


def special(name: str, act: Callable[[Path], None], named: str, **options) -> Case:
    """A folder to which something else than bytes is done."""

    def make(folder: Path) -> ExampleGenConfig:
        act(photos(folder))
        return ExampleGenConfig(image_folder=folder / "photos", **SHARES)

    return Case(name, make, named, **options)


def flip(data: bytes, place: int, bit: int = 0x10) -> bytes:
    """Flip one bit; a negative place counts from the end."""
    changed = bytearray(data)
    changed[place] ^= bit
    return bytes(changed)


def png(width: int, height: int, content: bytes, extra: bytes = b"") -> bytes:
    """A PNG file, its chunks written by hand, so that they can claim anything."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra
        + chunk(b"IDAT", zlib.compress(content, 9)) + chunk(b"IEND", b"")
    )  # fmt: skip


def text_bomb() -> bytes:
    """A PNG whose compressed comment is 100 MB long."""
    body = b"Comment\0\0" + zlib.compress(b"\0" * 100_000_000, 9)
    crc = zlib.crc32(b"zTXt" + body)
    extra = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", crc)
    return png(24, 24, b"\0" * 25 * 24, extra)


JPEG, PNG = encoded("JPEG", size=64), encoded("PNG", size=64)
IDAT = PNG.index(b"IDAT")
BOMB = png(40_000, 40_000, b"\0" * 40_000)
GIF = encoded("GIF")
GIF_BOMB = GIF[:6] + struct.pack("<HH", 65_535, 65_535) + GIF[10:]
JPEG_SIZE = JPEG.index(b"\xff\xc0") + 5

FOLDER_CASES = [
    folder_case("empty file", "bad.png", b"", r"cat/bad\.png: the file is empty"),
    folder_case("JPEG cut in half", "bad.jpg", JPEG[: len(JPEG) // 2], r"cat/bad\.jpg"),
    folder_case("JPEG of its first 2 bytes", "bad.jpg", JPEG[:2], r"cat/bad\.jpg"),
    folder_case("JPEG without pixels", "bad.jpg", b"\xff\xd8\xff\xd9", r"cat/bad\.jpg"),
    folder_case(
        "JPEG with a flipped bit in a marker",
        "bad.jpg",
        flip(JPEG, JPEG.index(b"\xff\xc0") + 1),
        r"cat/bad\.jpg",
    ),
    folder_case(
        "JPEG with a flipped bit in its first byte",
        "bad.jpg",
        flip(JPEG, 0),
        r"cat/bad\.jpg: not an image",
    ),
    folder_case("PNG cut in half", "bad.png", PNG[: len(PNG) // 2], r"cat/bad\.png"),
    folder_case("PNG without its last chunk", "bad.png", PNG[:-12], r"cat/bad\.png"),
    folder_case(
        "PNG with a flipped bit in its header",
        "bad.png",
        flip(PNG, 18),
        r"cat/bad\.png",
    ),
    folder_case(
        "PNG with a flipped bit in its pixels",
        "bad.png",
        flip(PNG, IDAT + 40),
        r"cat/bad\.png",
    ),
    folder_case(
        "PNG with a wrong checksum", "bad.png", flip(PNG, -13), r"cat/bad\.png"
    ),
    folder_case("PNG of width 0", "bad.png", png(0, 9, b""), r"cat/bad\.png"),
    folder_case(
        "GIF cut in its pixels", "bad.gif", GIF[: len(GIF) - 60], r"cat/bad\.gif"
    ),
    folder_case("BMP cut in half", "bad.bmp", encoded("BMP")[:800], r"cat/bad\.bmp"),
    folder_case("WebP cut in half", "bad.webp", encoded("WEBP")[:60], r"cat/bad\.webp"),
    folder_case(
        "a web page named .jpg", "bad.jpg", b"<html>404</html>", r"bad\.jpg: not an im"
    ),
    folder_case(
        "text named .png", "bad.png", b"hello\n" * 50, r"bad\.png: not an imag"
    ),
    folder_case(
        "random bytes",
        "bad.jpg",
        np.random.default_rng(0).bytes(5000),
        r"bad\.jpg: not",
    ),
    folder_case(
        "a PDF named .png", "bad.png", b"%PDF-1.7\n", r"bad\.png: not an image"
    ),
    folder_case(
        "PNG that claims 40,000 x 40,000", "bad.png", BOMB, r"cat/bad\.png: Image size"
    ),
    folder_case(
        "GIF that claims 65,535 x 65,535",
        "bad.gif",
        GIF_BOMB,
        r"cat/bad\.gif: Image size",
    ),
    folder_case(
        "JPEG that claims 65,504 x 65,504",
        "bad.jpg",
        JPEG[:JPEG_SIZE] + b"\xff\xe0\xff\xe0" + JPEG[JPEG_SIZE + 4 :],
        r"cat/bad\.jpg: Image size",
    ),
    folder_case(
        "PNG with 100 MB of text in 100 kB", "bad.png", text_bomb(), r"cat/bad\.png"
    ),
    special(
        "link to itself",
        lambda p: (p / "cat" / "bad.png").symlink_to("bad.png"),
        r"cat/bad\.png: Too many levels",
    ),
    special(
        "link to nothing",
        lambda p: (p / "cat" / "bad.png").symlink_to("absent.png"),
        r"cat/bad\.png: No such file",
    ),
    special(
        "folder linked into itself",
        lambda p: (p / "cat" / "loop").symlink_to(p),
        "",
        lost=0,
    ),
    special(
        "folder named like an image",
        lambda p: (p / "cat" / "bad.png").mkdir(),
        r"cat/bad\.png: a folder",
    ),
    special(
        "pipe named like an image",
        lambda p: os.mkfifo(p / "cat" / "bad.png"),
        r"cat/bad\.png: not a regular file",
    ),
    special(
        "file that may not be read",
        lambda p: (p / "cat" / "00.png").chmod(0),
        r"cat/00\.png: Permission denied",
        without_rights=True,
    ),
    special(
        "name that is not UTF-8",
        lambda p: (Path(os.fsdecode(os.fsencode(p) + b"/cat/caf\xe9.png"))).write_bytes(
            b"?"
        ),
        r"cat/caf\\xe9\.png: not an image",
    ),
    special(
        "name with a line break",
        lambda p: (p / "cat" / "a\nb.png").write_bytes(b"?"),
        r"cat/a\\x0ab\.png: not an image",
    ),
]


# Archives -----------------------------------------------------------------------------


def archive_case(name: str, write: Callable[[Path, Path], Path], named: str) -> Case:
    def make(folder: Path) -> ExampleGenConfig:
        return ExampleGenConfig(image_folder=write(photos(folder), folder), **SHARES)

    return Case(name, make, named, lost=None)


def tar_that_leads_out(source: Path, folder: Path) -> Path:
    with tarfile.open(folder / "photos.tar", "w") as archive:
        archive.add(source, "photos")
        archive.add(source / "cat" / "00.png", "photos/../../out.png")
    return folder / "photos.tar"


def tar_with_a_link_out(source: Path, folder: Path) -> Path:
    with tarfile.open(folder / "photos.tar", "w") as archive:
        archive.add(source, "photos")
        link = tarfile.TarInfo("photos/cat/bad.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return folder / "photos.tar"


def zip_that_leads_out(source: Path, folder: Path) -> Path:
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        archive.write(source / "cat" / "00.png", "../out.png")
    return folder / "photos.zip"


def zip_bomb(source: Path, folder: Path) -> Path:
    """Claims 2**62 bytes for one file."""
    file = folder / "photos.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo("cat/bad.png")
        with archive.open(info, "w", force_zip64=True) as member:
            member.write(b"\0" * 10)
        info.file_size = 2**62
    return file


def cut_tar(source: Path, folder: Path) -> Path:
    with tarfile.open(folder / "whole.tar.xz", "w:xz") as archive:
        archive.add(source, "photos")
    data = (folder / "whole.tar.xz").read_bytes()
    (folder / "photos.tar.xz").write_bytes(data[: len(data) // 2])
    return folder / "photos.tar.xz"


ARCHIVE_CASES = [
    archive_case("tar with ../", tar_that_leads_out, r"photos/\.\./\.\./out\.png"),
    archive_case(
        "tar with a link out of it", tar_with_a_link_out, r"photos\.tar: .*bad"
    ),
    archive_case("zip with ../", zip_that_leads_out, r"\.\./out\.png"),
    archive_case("zip bomb", zip_bomb, r"unpacks to more than"),
    archive_case("tar.xz cut in half", cut_tar, r"photos\.tar\.xz"),
]


# Manifests ----------------------------------------------------------------------------


def table_case(
    name: str, change: Callable[[list[str]], list[str]], named: str, **options
):
    """A CSV table of the good images, changed."""

    def make(folder: Path) -> ExampleGenConfig:
        source = photos(folder)
        rows = [
            f"{file.relative_to(source).as_posix()},{file.parent.name}"
            for file in sorted(source.glob("*/*"))
        ]
        lines = change(["path,label", *rows])
        text = "\n".join(lines) + "\n"
        (source / "table.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
        return ExampleGenConfig(manifest=source / "table.csv", **SHARES)

    return Case(name, make, named, **options)


def parquet_cut(folder: Path) -> ExampleGenConfig:
    import pandas as pd

    file = photos(folder) / "table.parquet"
    pd.DataFrame({"path": ["a"], "label": ["b"]}).to_parquet(file)
    file.write_bytes(file.read_bytes()[:-20])
    return ExampleGenConfig(manifest=file)


def outside(folder: Path) -> ExampleGenConfig:
    """A path that leads out of the table's folder by a link."""
    source = photos(folder)
    (folder / "secret.png").write_bytes(PNG)
    (source / "cat" / "link.png").symlink_to(folder / "secret.png")
    lines = [f"{f.relative_to(source)},{f.parent.name}" for f in source.glob("*/*.png")]
    (source / "table.csv").write_text("\n".join(["path,label", *lines]) + "\n")
    return ExampleGenConfig(manifest=source / "table.csv", **SHARES)


TABLE_CASES = [
    table_case(
        "path with ../", lambda t: [*t, "../x.png,cat"], r"row 42 .*-gen\.image-root"
    ),
    table_case(
        "absolute path", lambda t: [*t, "/etc/hostname,cat"], r"row 42 .*image-root"
    ),
    Case("link out of the table's folder", outside, r"cat/link\.png.*image-root"),
    table_case(
        "path to nothing", lambda t: [*t, "cat/no.png,cat"], r"row 42 .*no such"
    ),
    table_case("no label", lambda t: [*t[:-1], "dog/39.png,"], r"row 41 .*a label"),
    table_case(
        "a path twice, with two labels",
        lambda t: [*t, "dog/39.png,cat"],
        r"row 42 .*twi",
    ),
    table_case(
        "a split that is none",
        lambda t: [t[0] + ",split", *(r + ",train" for r in t[1:-1]), t[-1] + ",tset"],
        r"row 41 .*train, validation or test",
    ),
    table_case(
        "a group in two splits",
        lambda t: [
            t[0] + ",split,group",
            *(f"{r},{('train', 'test')[i % 2]},anna" for i, r in enumerate(t[1:])),
        ],
        r"1 groups of .* stand in several: anna",
        lost=None,
    ),
    table_case(
        "no column of labels",
        lambda t: ["path,name", *t[1:]],
        r"lacks label",
        lost=None,
    ),
    table_case(
        "100,000 classes of one image, none of them there",
        lambda t: [*t, *(f"cat/{n}.jpg,class {n}" for n in range(100_000))],
        r"no such file; and 99995 more",
        lost=100_000,
    ),
    table_case(
        "a table of Windows that names no file",
        lambda t: [*t, "cat/caf\udce9.png,cat"],
        r"row 42 \(cat/café\.png\): no such file",
    ),
    Case("Parquet cut short", parquet_cut, r"table\.parquet", lost=None),
]


# NumPy archives -----------------------------------------------------------------------


def npz_case(name: str, change: Callable[[dict], dict], named: str, **options) -> Case:
    def make(folder: Path) -> ExampleGenConfig:
        random = np.random.default_rng(0)
        arrays = {
            "x_train": random.integers(0, 255, (GOOD, 9, 9), dtype="uint8"),
            "y_train": np.arange(GOOD) % 2,
        }
        np.savez(folder / "set.npz", **change(arrays))
        return ExampleGenConfig(npz=folder / "set.npz", **SHARES)

    return Case(name, make, named, **{"lost": None, **options})


def npz_damage(name: str, damage: Callable[[bytes], bytes]) -> Case:
    def make(folder: Path) -> ExampleGenConfig:
        buffer = io.BytesIO()
        x = np.random.default_rng(0).integers(0, 255, (GOOD, 9, 9), dtype="uint8")
        np.savez(buffer, x=x, y=np.arange(GOOD) % 2)
        (folder / "set.npz").write_bytes(damage(buffer.getvalue()))
        return ExampleGenConfig(npz=folder / "set.npz", **SHARES)

    return Case(name, make, r"set\.npz", lost=None)


NPZ_CASES = [
    npz_damage("npz cut in half", lambda data: data[: len(data) // 2]),
    npz_damage("npz with a flipped bit", lambda data: flip(data, 700)),
    npz_damage("an empty npz", lambda data: b""),
    npz_case(
        "npz of pickled objects",
        lambda a: {**a, "x_train": np.array([{}] * GOOD, dtype=object)},
        r"set\.npz: .*allow_pickle",
    ),
    npz_case(
        "npz with fewer labels than images",
        lambda a: {**a, "y_train": a["y_train"][:-1]},
        r"expected y_train as 40 integers.*\(39,\)",
    ),
    npz_case(
        "npz of floats",
        lambda a: {**a, "x_train": a["x_train"] / 255},
        r"expected x_train as .*uint8.*float64",
    ),
    npz_case(
        "npz without labels", lambda a: {"x_train": a["x_train"]}, "lacks y_train"
    ),
    npz_case(
        "npz with label 100,000",
        lambda a: {**a, "y_train": np.r_[a["y_train"][:-1], 100_000]},
        r"2 to 65,536 classes.*label 100000",
    ),
    npz_case(
        "npz with label -1",
        lambda a: {**a, "y_train": np.r_[a["y_train"][:-1], -1]},
        r"x_train\[39\]: expected a label of at least 0; received -1",
        lost=1,
    ),
]


# TensorFlow data sets -----------------------------------------------------------------


def feature(value):
    from dlkeras.pipeline.tensorflow_import import tf

    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def record(**values) -> bytes:
    from dlkeras.pipeline.tensorflow_import import tf

    features = {name: feature(value) for name, value in values.items()}
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString()


def data_set(folder: Path, records: list[bytes]) -> Path:
    """A data set of one shard, written as TFDS documents it for others' TFRecords."""
    from dlkeras.pipeline.tensorflow_import import tf, tfds

    place = folder / "set" / "1.0.0"
    place.mkdir(parents=True)
    name = "photos-train.tfrecord-00000-of-00001"
    with tf.io.TFRecordWriter(str(place / name)) as writer:
        for each in records:
            writer.write(each)
    template = tfds.core.ShardedFileTemplate(
        data_dir=place, dataset_name="photos", split="train", filetype_suffix="tfrecord"
    )
    info = tfds.core.SplitInfo(
        name="train",
        shard_lengths=[len(records)],
        num_bytes=0,
        filename_template=template,
    )
    tfds.folder_dataset.write_metadata(
        data_dir=place,
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(None, None, 3)),
                "label": tfds.features.ClassLabel(names=["cat", "dog"]),
            }
        ),
        split_infos=[info],
        check_data=False,
    )
    return place


def good_records() -> list[bytes]:
    return [
        record(image=encoded("PNG", number), label=number % 2) for number in range(GOOD)
    ]


def record_case(name: str, bad: Callable[[], bytes], named: str) -> Case:
    """A data set whose record 7 is bad."""

    def make(folder: Path) -> ExampleGenConfig:
        records = good_records()
        records[7] = bad()
        return ExampleGenConfig(builder_dir=data_set(folder, records), **SHARES)

    return Case(name, make, rf"photos-train\.tfrecord-00000-of-00001.*{named}")


def shard_case(
    name: str, damage: Callable[[bytes, list[int]], bytes], named: str, lost: int
) -> Case:
    """A data set whose shard is damaged; `damage` gets where each record begins."""

    def make(folder: Path) -> ExampleGenConfig:
        records = good_records()
        place = data_set(folder, records)
        (file,) = place.glob("*.tfrecord*")
        # A record: 8 bytes length, 4 its CRC, the content, 4 its CRC.
        starts = np.cumsum([0, *(len(each) + 16 for each in records)]).tolist()
        file.write_bytes(damage(file.read_bytes(), starts))
        return ExampleGenConfig(builder_dir=place, **SHARES)

    return Case(name, make, named, lost)


def array_record_case(name: str, damage: Callable[[bytes], bytes], named: str) -> Case:
    """A data set that ExampleGen wrote, of which the shard of train is damaged."""

    def make(folder: Path) -> ExampleGenConfig:
        config = ExampleGenConfig(
            image_folder=photos(folder), file_format="array_record", **SHARES
        )
        (folder / "set").mkdir()
        draft = Draft(folder / "set")
        example_gen(config, draft, folder)
        place = draft.path / draft.properties["builder"]
        (file,) = place.glob("*train*")
        file.write_bytes(damage(file.read_bytes()))
        return ExampleGenConfig(builder_dir=place)

    return Case(
        name, make, rf"train\.array_record-00000-of-00001, record 0.*{named}", 18
    )


def metadata_case(name: str, file: str, data: bytes | None) -> Case:
    def make(folder: Path) -> ExampleGenConfig:
        place = data_set(folder, good_records())
        if data is None:
            (place / file).unlink()
        else:
            (place / file).write_bytes(data)
        return ExampleGenConfig(builder_dir=place, **SHARES)

    return Case(
        name, make, r"builder-dir: expected a folder that TensorFlow", lost=None
    )


RECORD_CASES = [
    shard_case(
        "TFRecord cut within a record",
        lambda data, at: data[: at[30] + 50],
        r"record 30 to 39: ",
        10,
    ),
    shard_case(
        "TFRecord cut between two records",
        lambda data, at: data[: at[30]],
        r"record 30 to 39: the file ends here",
        10,
    ),
    shard_case(
        "TFRecord cut 3 bytes after a record",
        lambda data, at: data[: at[30] + 3],
        r"record 30 to 39: ",
        10,
    ),
    shard_case(
        "TFRecord cut 1 byte before a record's end",
        lambda data, at: data[: at[31] - 1],
        r"record 30 to 39: ",
        10,
    ),
    shard_case(
        "TFRecord with a wrong checksum of a length",
        lambda data, at: flip(data, at[20] + 9),
        r"record 20 to 39: ",
        20,
    ),
    shard_case(
        "TFRecord with a wrong checksum of a content",
        lambda data, at: flip(data, at[20] + 100),
        r"record 20 to 39: ",
        20,
    ),
    shard_case("TFRecord of 0 bytes", lambda data, at: b"", r"record 0 to 39", 40),
    record_case(
        "record that is no Example", lambda: b"\xff" * 30, "expected a tf.train"
    ),
    record_case(
        "label as bytes",
        lambda: record(image=PNG, label=b"cat"),
        "record 7: expected 'label' as int64_list; received bytes_list",
    ),
    record_case(
        "image as a number",
        lambda: record(image=3, label=0),
        "record 7: expected 'image' as bytes_list; received int64_list",
    ),
    record_case(
        "record without a label", lambda: record(image=PNG), "record 7: .*is absent"
    ),
    record_case(
        "label 100,000 of 2 classes",
        lambda: record(image=PNG, label=100_000),
        "record 7: expected a label from 0 to 1; received 100000",
    ),
    record_case(
        "record with a broken image", lambda: record(image=PNG[:200], label=0), "__7: "
    ),
    array_record_case(
        "ArrayRecord cut short", lambda data: data[:-10], "chunk boundary"
    ),
    array_record_case(
        "ArrayRecord with a flipped bit",
        lambda data: flip(data, len(data) // 2),
        "hash mismatch",
    ),
    array_record_case("ArrayRecord of 0 bytes", lambda data: b"", "at least 64KB"),
    metadata_case("dataset_info.json missing", "dataset_info.json", None),
    metadata_case("dataset_info.json cut short", "dataset_info.json", b'{"name": "ph'),
    metadata_case("features.json of another kind", "features.json", b"[]"),
]

CASES = FOLDER_CASES + ARCHIVE_CASES + TABLE_CASES + NPZ_CASES + RECORD_CASES


# Running ------------------------------------------------------------------------------


@contextlib.contextmanager
def not_as_root(case: Case) -> Iterator[None]:
    """Give up root's right to read any file, while the block runs."""
    if os.geteuid() != 0 or not case.without_rights:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def held_megabytes(reset: bool = False) -> float:
    """The most memory that this process has held; from now on, after a reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def run_case(case: Case) -> Outcome:
    """Give a case to ExampleGen, to stop at it and to quarantine it."""
    # What is imported is no memory that a case takes.
    import dlkeras.pipeline.tensorflow_import  # noqa: F401

    Image.init()
    folder = Path(tempfile.mkdtemp(prefix="corrupt"))
    try:
        config = case.make(folder)
        outputs = [folder / "stop", folder / "quarantine"]
        for place in (folder, *outputs):
            place.mkdir(exist_ok=True)
            place.chmod(0o777)
        before = held_megabytes(reset=True)  # other tests' too, where there are some
        message = refused = ""
        kept, quarantined = 0, []
        with not_as_root(case):
            try:
                example_gen(config, Draft(outputs[0]), folder)
            except InputError as error:
                message = str(error)
            try:
                draft = Draft(outputs[1])
                example_gen(
                    config.model_copy(update={"on_error": "quarantine"}), draft, folder
                )
                kept = sum(draft.properties["splits"].values())
                text = (outputs[1] / "quarantine.json").read_text()
                quarantined = json.loads(text)
            except InputError as error:
                refused = str(error)
        megabytes = held_megabytes() - before
        return Outcome(message, quarantined, kept, refused, megabytes)
    finally:
        shutil.rmtree(folder)


def said(case: Case, outcome: Outcome) -> str:
    """The part of the error that names the culprit."""
    if not outcome.message:
        return "nothing: it is left out, and listed as ignored"
    folder = re.escape(tempfile.gettempdir()) + "/corrupt[^/]*/"
    text = re.sub(folder, "", outcome.message)
    text = text.split(" cannot: ", 1)[-1].split(" (--example-gen.on", 1)[0]
    return text if len(text) < 160 else text[:157] + "..."


def table(outcomes: dict[str, Outcome]) -> str:
    """The table of docs/corrupt_input.md."""
    cases = {case.name: case for case in CASES}
    rows = []
    for name, outcome in outcomes.items():
        lost = sum(each["examples"] for each in outcome.quarantined)
        left = "refused" if outcome.refused else f"{lost} left out, {outcome.kept} kept"
        words = said(cases[name], outcome).replace("|", "\\|")
        rows.append(f"| {name} | {words} | {left} | {outcome.megabytes:.0f} |")
    most = max(outcome.megabytes for outcome in outcomes.values())
    return (
        f"""# Corrupt input

What ExampleGen says of {len(rows)} kinds of damage, each put into a source of {GOOD}
good images. With `--example-gen.on-error stop` it ends the run with the words of the
second column; with `quarantine` it goes on as the third column says, and lists what it
left out in `quarantine.json`, except where the source as a whole cannot be trusted. The
last column is the memory, in MiB, that it took on top of what the process held; the
most of all is {most:.0f} MiB.

Some damage no reader can see: a flipped bit within the pixels of a JPEG, or in the size
that it claims. JPEG has no checksum, and libjpeg fills what is missing: the image
decodes to other pixels, and the digest of the examples changes with it.

Measured by `python tests/pipeline/corrupt_input.py docs/corrupt_input.md`.

| damage | what stops the run | quarantine | MiB |
|---|---|---|---|
"""
        + "\n".join(rows)
        + "\n"
    )


if __name__ == "__main__":
    results = {case.name: run_case(case) for case in CASES}
    Path(sys.argv[1]).write_text(table(results), encoding="utf-8")
