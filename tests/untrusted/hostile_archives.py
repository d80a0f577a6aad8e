"""Archives that lead out, bring links, or unpack to more than a machine has."""

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

MEBI = 2**20


def _tar(*members: tuple[str, dict], pax: dict | None = None) -> bytes:
    """A tar of these members: a name, and what its header says; `body` is content."""
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers=pax or {}
    ) as archive:
        for name, fields in members:
            member = tarfile.TarInfo(name)
            body = fields.pop("body", b"")
            member.size = len(body)
            for field, value in fields.items():
                setattr(member, field, value)
            archive.addfile(member, io.BytesIO(body))
    return buffer.getvalue()


def _header(name: str, kind: bytes, size: int) -> bytes:
    """A tar header alone, whose content does not come with it."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


def _zip(*members: tuple[zipfile.ZipInfo | str, bytes], packed: int = 0) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packed) as archive:
        for info, body in members:
            archive.writestr(info, body)
    return buffer.getvalue()


def _zipped_kind(name: str, kind: int, body: bytes) -> bytes:
    info = zipfile.ZipInfo(name)
    info.external_attr = (kind | 0o777) << 16
    return _zip((info, body))


def past_path_max(outside: str) -> bytes:
    """CVE-2025-4517: a way of links too long to be resolved, then one out of it."""
    step, members, way = "d" * 247, [], ""
    for letter in "abcdefghijklmnop":
        members.append((f"{way}{step}", {"type": tarfile.DIRTYPE}))
        link = {"type": tarfile.SYMTYPE, "linkname": step}
        members.append((f"{way}{letter}", link))
        way = f"{way}{step}/"
    short = "/".join("abcdefghijklmnop")
    up = {"type": tarfile.SYMTYPE, "linkname": "../" * 16}
    members.append((f"{short}/{'l' * 254}", up))
    out = {"type": tarfile.SYMTYPE, "linkname": f"{short}/{'l' * 254}/..{outside}"}
    members.append(("escape", out))
    link = {"type": tarfile.LNKTYPE, "linkname": "escape/planted"}
    members += [("cat/a.png", link), ("cat/a.png", {"body": b"overwritten"})]
    return _tar(*members)


def sparse_by_pax() -> bytes:
    """A sparse file of 2**40 bytes in a tar of 10 KiB."""
    fields = {
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0",
        "GNU.sparse.realsize": str(2**40), "GNU.sparse.name": "cat/a.png",
    }  # fmt: skip
    body = f"1\n0\n{2**40}\n".encode().ljust(512, b"\0")
    return _tar(("GNUSparseFile.0/a.png", {"body": body, "pax_headers": fields}))


def sparse_map(blocks: int) -> bytes:
    """An old GNU sparse file, whose map goes on and on."""
    head = bytearray(_header("cat/a.png", tarfile.GNUTYPE_SPARSE, 0))
    head[482] = 1  # the map goes on
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    more = (b"%011o\0%011o\0" % (0, 1)) * 21 + b"\1" + b"\0" * 7
    return bytes(head) + more * blocks


def zip_of_overlaps() -> bytes:
    """Fifield's: thousands of names for the same packed bytes."""
    name, number, size = b"cat/a.png", 20_000, 2**30
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, 0, 99, size, 9, 0)
    central = struct.pack(
        "<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 8, 0, 0, 0, 99, size, 9, 0, 0, 0, 0, 0, 0
    )
    start = len(local) + 9 + 99
    entries = (central + name) * number
    end = struct.pack(
        "<4s4H2LH", b"PK\5\6", 0, 0, number, number, len(entries), start, 0
    )
    return local + name + b"\0" * 99 + entries + end


def zip_of_members(number: int) -> bytes:
    """A list of members alone, each without a name."""
    central = struct.pack("<4s6H3L5H2L", b"PK\1\2", *([0] * 16))
    end = struct.pack(
        "<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, len(central) * number, 0, 0
    )
    return central * number + end


def _chain(number: int) -> bytes:
    """PAX headers of PAX headers."""
    return (_header("x", tarfile.XHDTYPE, 0)) * number


def _pax(records: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    """A file with these records, whatever they are."""
    padded = records.ljust(-(-len(records) // 512) * 512, b"\0")
    file = _header("cat/a.png", tarfile.REGTYPE, 0) + b"\0" * 1024
    return _header("x", kind, len(records)) + padded + file


def _digits_in_value(number: int) -> bytes:
    """One good record, with a row of digits."""
    body = b" comment=" + b"1" * number + b"\n"
    return _pax(b"%d" % (len(body) + 5) + body)


def archives(outside: Path) -> dict[str, Callable[[], bytes]]:
    """What makes each archive, by its name; each must be refused.

    Args:
        outside: a folder into which some try to write.
    """
    link = {"type": tarfile.SYMTYPE, "linkname": str(outside)}
    hard = {"type": tarfile.LNKTYPE, "linkname": str(outside / "there")}
    device = {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5}
    image = {"body": b"image"}
    zeros, noise = b"\0" * MEBI, {"body": os.urandom(9999)}
    return {
        "path_max.tar": lambda: past_path_max(str(outside)),
        "link.tar": lambda: _tar(("cat", dict(link)), ("cat/planted", dict(image))),
        "link_inside.tar": lambda: _tar(
            ("cat/a.png", dict(image)),
            ("cat/b.png", {"type": tarfile.SYMTYPE, "linkname": "a.png"}),
        ),
        "hard_link.tar": lambda: _tar(("a", dict(hard)), ("a", dict(image))),
        "fifo.tar": lambda: _tar(("cat/a.png", {"type": tarfile.FIFOTYPE})),
        "device.tar": lambda: _tar(("cat/a.png", dict(device))),
        "contiguous.tar": lambda: _tar(("../a.png", {"type": tarfile.CONTTYPE})),
        "absolute.tar": lambda: _tar((str(outside / "planted"), dict(image))),
        "up.tar": lambda: _tar(("cat/../../planted", dict(image))),
        "up.tar.gz": lambda: gzip.compress(_tar(("cat/../../planted", dict(image)))),
        "twice.tar": lambda: _tar(("cat/a", dict(image)), ("./cat//a", dict(image))),
        "file_and_folder.tar": lambda: _tar(("c", dict(image)), ("c/a", dict(image))),
        "folder_and_file.tar": lambda: _tar(("c/a", dict(image)), ("c", dict(image))),
        "no_name.tar": lambda: _tar(("./", dict(image))),
        "long_name.tar": lambda: _tar(("a" * 256, dict(image))),
        "long_way.tar": lambda: _tar(("/".join(["a" * 250] * 20), dict(image))),
        "deep.tar": lambda: _tar(("d/" * 2000 + "a", dict(image))),
        "sparse.tar": sparse_by_pax,
        "sparse_map.tar": lambda: sparse_map(4),
        "endless_sparse_map.tar.gz": lambda: gzip.compress(sparse_map(200_000)),
        "bomb.tar.gz": lambda: gzip.compress(_header("a", b"0", 8**11 - 1) + zeros),
        "bomb.tar.bz2": lambda: bz2.compress(_header("a", b"0", 2**33) + zeros),
        "bomb.tar.xz": lambda: lzma.compress(_header("a", b"0", 2**33) + zeros),
        "headers.tar.gz": lambda: gzip.compress(
            _header("x", tarfile.XHDTYPE, 64 * MEBI) + zeros * 64
        ),
        "names.tar.xz": lambda: lzma.compress(
            _header("x", tarfile.GNUTYPE_LONGNAME, 9 * MEBI) + zeros * 9
        ),
        "chain.tar": lambda: _chain(3000),
        "endless_chain.tar.gz": lambda: gzip.compress(_chain(300_000)),
        "negative.tar": lambda: _tar(("cat/a", {"pax_headers": {"size": "-9"}})),
        "global.tar": lambda: _tar(
            ("a", dict(image)), pax={f"k{n}": "v" for n in range(9000)}
        ),
        "short_records.tar": lambda: _pax(b"2 " * 2**13 + b"2="),
        "global_records.tar": lambda: _pax(b"2 " * 2**13 + b"=", tarfile.XGLTYPE),
        "solaris_records.tar": lambda: _pax(b"2 " * 2**13 + b"=", b"X"),
        "behind_records.tar": lambda: _pax(b"7 a=bc\n")[:512]
        + (b"7 a=bc\n" + b"2 " * 251).ljust(512, b"=")
        + _header("../a.png", tarfile.REGTYPE, 0),
        "long_records.tar": lambda: _pax(b"1" * 2**19),
        "digits.tar": lambda: _pax(b"1" * 60_000),
        "digits_in_value.tar": lambda: _digits_in_value(60_000),
        "no_newline.tar": lambda: _pax(b"6 a=bc"),
        "past_the_end.tar": lambda: _pax(b"99 a=bc\n"),
        "dictionary.tar.xz": lambda: lzma.compress(
            _tar(("a", dict(image))),
            filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 2**30}],
        ),
        "cut.tar": lambda: _tar(("cat/a.png", {"body": zeros}))[:5000],
        "cut.tar.gz": lambda: gzip.compress(_tar(("a", dict(noise))))[:5000],
        "cut.tar.xz": lambda: lzma.compress(_tar(("a", dict(noise))))[:5000],
        "damaged_header.tar": lambda: _tar(("a", dict(image)))[:1024] + b"?" * 512,
        "up.zip": lambda: _zip(("../planted", b"image")),
        "absolute.zip": lambda: _zip((str(outside / "planted"), b"image")),
        "link.zip": lambda: _zipped_kind("cat", stat.S_IFLNK, str(outside).encode()),
        "device.zip": lambda: _zipped_kind("cat", stat.S_IFCHR, b""),
        "twice.zip": lambda: _zip(("./cat/a.png", b"image"), ("cat/a.png", b"image")),
        "bomb.zip": lambda: _zip(*((f"{n}.png", zeros) for n in range(99)), packed=8)
        .replace(struct.pack("<L", MEBI), struct.pack("<L", 20 * MEBI)),
        "bomb_of_bzip2.zip": lambda: _zip(("a", zeros), packed=12),
        "bomb_of_lzma.zip": lambda: _zip(("a", zeros), packed=14),
        "overlaps.zip": zip_of_overlaps,
        "members.zip": lambda: zip_of_members(2_001_000),
        "damaged.zip": lambda: _zip(("a", b"image")).replace(b"image", b"imago"),
        "no_archive.tar": lambda: os.urandom(5000),
        "empty.tar": lambda: b"",
    }  # fmt: skip
