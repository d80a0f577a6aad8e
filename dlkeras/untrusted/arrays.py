"""NumPy archives of strangers: what is in them is known before it is unpacked."""

import math
import os
import shutil
import struct
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from dlkeras.untrusted.gate import UntrustedFileError as UntrustedFileError
from dlkeras.untrusted.gate import open_regular
from dlkeras.untrusted.zips import CHUNK, Room, check_packing, open_zip, shown

MAX_HEADER = 10_000
MAX_ARRAYS = 1000
# Length of the header's length, and the reader, by the form's version.
HEADERS = {
    (1, 0): ("<H", np.lib.format.read_array_header_1_0),
    (2, 0): ("<I", np.lib.format.read_array_header_2_0),
}


class NpzFile:
    """A `.npz` archive; an array is unpacked when it is asked for.

    Args:
        path: the archive.

    Attributes:
        names: the names of the arrays, unreadable ones among them.

    Raises:
        UntrustedFileError: it is not a whole archive.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        # Shape and dtype, or why it cannot be read: another array may be all that is
        # wanted.
        self._arrays: dict[str, tuple[tuple[int, ...], np.dtype] | Exception] = {}
        self._room: Room | None = None
        try:
            with open_regular(path) as file, open_zip(self._path, file) as archive:
                members = [m for m in archive.infolist() if m.filename[-4:] == ".npy"]
                if len(members) > MAX_ARRAYS:
                    raise ValueError(f"it has more than {MAX_ARRAYS} arrays")
                for member in members:
                    name = member.filename[:-4]
                    try:
                        self._arrays[name] = self._about(archive, member)
                    except Exception as error:  # whatever a broken header brings about
                        self._arrays[name] = error.with_traceback(None)
        except Exception as error:
            raise self._damaged(error) from error

        self.names = tuple(self._arrays)

    def _about(
        self, archive: zipfile.ZipFile, member: zipfile.ZipInfo
    ) -> tuple[tuple[int, ...], np.dtype]:
        check_packing(self._path, member)
        with archive.open(member) as opened:
            shape, dtype, start = _header(opened)
        if member.file_size - start < math.prod(shape) * dtype.itemsize:
            raise ValueError(f"an array of {shape} {dtype} is cut short")
        return shape, dtype

    def about(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and dtype of an array.

        Raises:
            KeyError: there is no such array.
            UntrustedFileError: it is damaged, packed in another way than by deflate, or
                cannot be read by rows. Pickled objects are never loaded.
        """
        about = self._arrays[name]
        if isinstance(about, Exception):
            raise self._damaged(about, name) from about
        return about

    def unpack(self, name: str, target: Path) -> "StoredArray":
        """Write an array into a file; its parts are read when they are wanted.

        Raises:
            KeyError: there is no such array.
            UntrustedFileError: it cannot be read, see `about`, or takes more than half
                of the free space.
            OSError: the file cannot be written.
        """
        about = self.about(name)
        with open_regular(self._path) as file, open(target, "wb") as unpacked:
            if self._room is None:  # one for all arrays
                free = shutil.disk_usage(target.parent).free
                self._room = Room(self._path, file, free)
            try:
                archive = open_zip(self._path, file)
                member = archive.getinfo(f"{name}.npy")
                self._room.take(member.file_size)
                packed = archive.open(member)
            except Exception as error:
                raise self._damaged(error) from error
            while True:
                try:
                    chunk = packed.read(CHUNK)
                except Exception as error:  # zlib.error, BadZipFile, EOFError
                    raise self._damaged(error) from error
                if not chunk:
                    break
                unpacked.write(chunk)
        try:
            stored = StoredArray(target)
            if (stored.shape, stored.dtype) != about:
                raise ValueError(f"{name} has changed since it was checked")
            return stored
        except ValueError as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception, name: str = "") -> UntrustedFileError:
        if isinstance(error, UntrustedFileError):
            return error
        reason = getattr(error, "strerror", None) or str(error) or "cut short"
        array = f"{shown(name)}: " if name else ""
        return UntrustedFileError(
            f"expected a whole .npz archive of arrays; {self._path}: {array}"
            f"{reason.splitlines()[0]}"
        )


class StoredArray:
    """An array in a `.npy` file; its parts are read when they are wanted.

    A memory map would do the same, but what it has touched counts as memory in use.

    Args:
        file: the file.

    Raises:
        ValueError: it is not the whole file of an array that can be read by rows.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        with file.open("rb") as opened:
            self.shape, self.dtype, self._start = _header(opened)
        self.size = math.prod(self.shape) * self.dtype.itemsize
        if file.stat().st_size - self._start < self.size:
            raise ValueError(f"an array of {self.shape} {self.dtype} is cut short")

    def __len__(self) -> int:
        return self.shape[0] if self.shape else 0

    def whole(self) -> np.ndarray:
        """The whole array."""
        return np.load(self._file, allow_pickle=False)

    def one(self, index: int) -> np.ndarray:
        """Entry number `index` of the first dimension."""
        size = math.prod(self.shape[1:]) * self.dtype.itemsize
        descriptor = os.open(self._file, os.O_RDONLY)
        try:
            read = os.pread(descriptor, size, self._start + index * size)
        finally:
            os.close(descriptor)
        return np.frombuffer(read, self.dtype).reshape(self.shape[1:])


def _header(opened: IO[bytes]) -> tuple[tuple[int, ...], np.dtype, int]:
    """Read an array's shape, its dtype, and where its numbers begin."""
    version = np.lib.format.read_magic(opened)
    if version not in HEADERS:
        raise ValueError(f"an array of the unknown form {version}")
    kind, reader = HEADERS[version]
    start = opened.tell()
    (length,) = struct.unpack(kind, opened.read(struct.calcsize(kind)))
    if length > MAX_HEADER:  # NumPy compares when it has read it
        raise ValueError(f"an array with a header of {length:,} bytes")
    opened.seek(start)
    shape, by_columns, dtype = reader(opened)
    if dtype.hasobject:
        raise ValueError("pickled objects are not loaded (allow_pickle=False)")
    if by_columns and len(shape) > 1:
        raise ValueError("an array stored by columns; numpy.ascontiguousarray turns it")
    if min(shape, default=0) < 0:
        raise ValueError(f"an array of the shape {shape}")
    return shape, dtype, opened.tell()
