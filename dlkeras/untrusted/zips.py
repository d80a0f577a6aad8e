"""What zip archives of strangers have in common, be they of images or of arrays."""

import contextlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from dlkeras.untrusted.gate import UntrustedFileError, file_size

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
# Models have an entry for each array: a list of 8 MiB has room for 80,000.
MODELS_DIRECTORY = 2**23
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
        self._size = min(free // 2, MAX_RATIO * file_size(file) + SLACK)
        self._left = self._size

    def take(self, size: int) -> None:
        """Take a member's bytes, before it is unpacked."""
        self._left -= size + BLOCK
        if size < 0 or self._left < 0:
            raise UntrustedFileError(
                f"{self._path}: unpacks to more than {self._size:,} bytes, which is "
                f"half of the free space, or {MAX_RATIO} times its size"
            )


def is_zip(file: IO[bytes]) -> bool:
    """Whether a file ends as a zip does."""
    found = zipfile.is_zipfile(file)
    file.seek(0)
    return found


def open_zip(path: Path, file: IO[bytes], most: int = MAX_DIRECTORY) -> zipfile.ZipFile:
    """Open a zip whose list of members takes at most so many bytes."""
    reads: Any = _Reads(path, file, most)
    return zipfile.ZipFile(reads)


class StoredZip:
    """A zip whose members lie in it unpacked, as Keras and PyTorch write theirs.

    What a member claims is what the file has: nothing grows when it is read.

    Args:
        archive: the zip.
        size: bytes of the file.

    Attributes:
        sizes: bytes of each member, by its name.

    Raises:
        UntrustedFileError: a member is packed, has a password or a name that another
            has, or all of them claim more than the file's size.
    """

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self._archive = archive
        self.sizes: dict[str, int] = {}
        for member in archive.infolist():
            name = shown(member.filename)
            if member.flag_bits & 1:
                raise UntrustedFileError(f"its member {name} has a password")
            if (
                member.compress_type != zipfile.ZIP_STORED
                or member.compress_size != member.file_size
            ):
                raise UntrustedFileError(
                    f"its member {name} is compressed, which neither Keras nor PyTorch "
                    "does"
                )
            if member.filename in self.sizes:
                raise UntrustedFileError(f"it has {name} twice")
            size -= member.file_size
            if member.file_size < 0 or size < 0:
                raise UntrustedFileError(f"its member {name} is larger than the file")
            self.sizes[member.filename] = member.file_size

    def read(self, name: str) -> io.BytesIO:
        """Read a member; its CRC is compared.

        Raises:
            KeyError: there is none of the name.
            Exception: whatever `zipfile` raises of a damaged archive.
        """
        content = io.BytesIO()
        with self._archive.open(name) as member:
            while chunk := member.read(CHUNK):
                content.write(chunk)
        content.seek(0)
        return content


@contextlib.contextmanager
def open_stored(path: Path, file: IO[bytes]) -> Iterator[StoredZip]:
    """Open the zip of a model or of weights.

    Raises:
        UntrustedFileError: as for `StoredZip`, or its list of members is too long.
        zipfile.BadZipFile: it is no zip.
    """
    with open_zip(path, file, MODELS_DIRECTORY) as archive:
        yield StoredZip(archive, file_size(file))


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

    def __init__(self, path: Path, file: IO[bytes], most: int) -> None:
        self._path, self._file, self._most = path, file, most
        self.seek, self.tell, self.close = file.seek, file.tell, file.close
        self.seekable = file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > max(CHUNK, self._most):
            raise UntrustedFileError(
                f"{self._path}: it has more than {self._most:,} bytes of names"
            )
        if size > CHUNK and self._entries(size) > MAX_MEMBERS:
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
