"""What zip archives of strangers have in common, be they of images or of arrays."""

import os
import zipfile
from pathlib import Path
from typing import IO, Any

from dlkeras.untrusted.gate import UntrustedFileError

MAX_MEMBERS = 2_000_000
# What a file or a folder takes of a disk, be it empty.
BLOCK = 4096
CHUNK = 2**20
# Images are packed already; what unpacks to far more is a bomb.
MAX_RATIO = 200
SLACK = 2**30
# The list of members is read whole, and takes ten times as much as objects.
MAX_DIRECTORY = 2**28
ENTRY = b"PK\x01\x02"
# Python unpacks these two in pieces; of the others a KiB may become GiB at once.
PACKED_BY = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Room:
    """Bytes that may still come out of an archive.

    Args:
        path: the archive, for the error's text.
        file: the open archive.
        free: the free space where it is unpacked.
    """

    def __init__(self, path: Path, file: IO[bytes], free: int) -> None:
        self._path = path
        packed = os.fstat(file.fileno()).st_size
        self._size = min(free // 2, MAX_RATIO * packed + SLACK)
        self._left = self._size

    def take(self, size: int) -> None:
        """Take a member's bytes, before it is unpacked."""
        self._left -= size + BLOCK
        if size < 0 or self._left < 0:
            raise UntrustedFileError(
                f"{self._path}: unpacks to more than {self._size:,} bytes, which is "
                f"half of the free space, or {MAX_RATIO} times its size"
            )


def open_zip(path: Path, file: IO[bytes]) -> zipfile.ZipFile:
    """Open a zip whose list of members fits into memory."""
    reads: Any = _Reads(path, file)
    return zipfile.ZipFile(reads)


def check_packing(path: Path, member: zipfile.ZipInfo) -> None:
    """Refuse a member with a password, or of a packing that is not bounded."""
    if member.flag_bits & 1:
        raise UntrustedFileError(f"{path}: {shown(member.filename)} has a password")
    if member.compress_type not in PACKED_BY:
        raise UntrustedFileError(
            f"{path}: {shown(member.filename)} is packed by method "
            f"{member.compress_type}; expected deflate, which every program writes"
        )


class _Reads:
    """A file whose reader cannot ask for a list of members without end."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path, self._file = path, file
        self.seek, self.tell, self.close = file.seek, file.tell, file.close
        self.seekable = file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > CHUNK and (size > MAX_DIRECTORY or self._entries(size) > MAX_MEMBERS):
            raise too_many(self._path)
        return self._file.read(size)

    def _entries(self, size: int) -> int:
        start, count = self._file.tell(), 0
        while size > 0 and (part := self._file.read(min(size, CHUNK))):
            count += part.count(ENTRY)
            size -= len(part)
        self._file.seek(start)
        return count


def too_many(path: Path) -> UntrustedFileError:
    """An archive has more members than are unpacked."""
    return UntrustedFileError(f"{path}: it has more than {MAX_MEMBERS:,} files")


def shown(name: str) -> str:
    """A name that may be anything, in one short line."""
    return repr(name if len(name) <= 100 else f"{name[:40]}...{name[-40:]}")
