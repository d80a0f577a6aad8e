"""What every file of a stranger passes: a regular file, with a budget of memory."""

import errno
import io
import os
import stat
from pathlib import Path
from typing import IO

# Pieces of a file between its holes; one that was downloaded is one piece.
_MOST_PIECES = 10_000
# Bytes of holes that any file may have.
_SLACK = 2**24


class UntrustedFileError(ValueError):
    """A file is not what it should be, or would take more memory than it may."""


def open_regular(
    path: str | Path, max_bytes: int | None = None, *, written: bool = False
) -> io.BufferedReader:
    """Open a regular file: a pipe hangs, a device never ends.

    This is the one door for files of strangers. What is checked is what is read, though
    names may change.

    Args:
        path: the file. A link to a regular file is one.
        max_bytes: the largest size that is taken; None: any.
        written: refuse a file that is mostly holes: they take no disk, but memory when
            they are read. It may have 16 MiB of them.

    Returns:
        The file, open for reading.

    Raises:
        FileNotFoundError: there is no such file.
        UntrustedFileError: it is a folder, a pipe, a socket or a device, too large, or
            was mostly never written.
        OSError: it cannot be read.
    """
    path = Path(path)
    _check(path, os.stat(path), max_bytes)  # opening a device may move it
    flags = os.O_RDONLY
    for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)  # not every system has each
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        raise _not_regular(path, 0) from error  # a socket
    try:
        _check(path, os.fstat(descriptor), max_bytes)
        if written:
            _check_written(path, descriptor)
            os.lseek(descriptor, 0, os.SEEK_SET)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: str | Path, max_bytes: int) -> bytes:
    """Read a small file whole; arguments and errors as for `open_regular`."""
    with open_regular(path, max_bytes) as file:
        return file.read(file_size(file))


def file_size(file: IO[bytes]) -> int:
    """Bytes of an open file; some files of the kernel say 0, and never end."""
    return os.fstat(file.fileno()).st_size


def _not_regular(path: Path, mode: int) -> UntrustedFileError:
    kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
    return UntrustedFileError(f"{path}: expected a file; it is {kind}")


def _check(path: Path, status: os.stat_result, max_bytes: int | None) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _not_regular(path, status.st_mode)
    if max_bytes is not None and status.st_size > max_bytes:
        raise UntrustedFileError(
            f"{path}: expected at most {max_bytes:,} bytes; it has {status.st_size:,}"
        )


def _check_written(path: Path, descriptor: int) -> None:
    """Refuse a file if less than half of it was ever written."""
    size = os.fstat(descriptor).st_size
    if size <= _SLACK or not hasattr(os, "SEEK_DATA"):
        return
    written = place = 0
    try:
        for _ in range(_MOST_PIECES):
            start = os.lseek(descriptor, place, os.SEEK_DATA)
            place = os.lseek(descriptor, start, os.SEEK_HOLE)
            written += place - start
            if 2 * written + _SLACK >= size:
                return
    except OSError as error:
        if error.errno != errno.ENXIO:
            return  # the file system knows nothing of holes
        # Holes up to the end.
    raise UntrustedFileError(
        f"{path}: {size:,} bytes that were mostly never written (a sparse file)"
    )


class Budget:
    """Bytes that may still be read out of one file, over all of its parts.

    Args:
        max_bytes: the sum that is allowed.
        path: the file, for the error's text.

    Example:
    >>> budget = Budget(100, "weights.pth")
    >>> budget.spend(60)
    >>> budget.spend(60)
    Traceback (most recent call last):
    ...
    dlkeras.untrusted.gate.UntrustedFileError: weights.pth: its parts need more than \
100 bytes of memory
    """

    def __init__(self, max_bytes: int, path: str | Path) -> None:
        self._left = self._max_bytes = max_bytes
        self._path = path

    def spend(self, n_bytes: int) -> None:
        """Take from the budget before memory is asked for.

        Raises:
            UntrustedFileError: more is asked for than is left.
        """
        self._left -= n_bytes
        if n_bytes < 0 or self._left < 0:
            raise UntrustedFileError(
                f"{self._path}: its parts need more than {self._max_bytes:,} bytes of "
                "memory"
            )
