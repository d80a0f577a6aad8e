"""What every file of a stranger passes: a regular file, with a budget of memory."""

import errno
import os
import stat
from pathlib import Path
from typing import IO

# Pieces of a file between its holes; one that was downloaded is one piece.
_MOST_PIECES = 10_000


class UntrustedFileError(ValueError):
    """A file is not what it should be, or would take more memory than it may."""


def check_regular_file(path: str | Path, max_bytes: int | None = None) -> Path:
    """Refuse what is not a regular file: a pipe hangs, a device never ends.

    Args:
        path: the file. A link to a regular file is one.
        max_bytes: the largest size that is taken; None: any.

    Returns:
        The path.

    Raises:
        FileNotFoundError: there is no such file.
        UntrustedFileError: it is a folder, a pipe, a socket or a device, or too large.
    """
    path = Path(path)
    _check(path, os.stat(path), max_bytes)
    return path


def open_regular(path: str | Path, max_bytes: int | None = None) -> IO[bytes]:
    """Open a regular file; what is checked is what is read, though names may change.

    Args:
        path: the file. A link to a regular file is one.
        max_bytes: the largest size that is taken; None: any.

    Returns:
        The file, open for reading.

    Raises:
        FileNotFoundError: there is no such file.
        UntrustedFileError: it is a folder, a pipe, a socket or a device, or too large.
        OSError: it cannot be read.
    """
    path = check_regular_file(path, max_bytes)  # opening a device may move it
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
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


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


def check_written(path: Path, slack: int = 2**24) -> None:
    """Refuse a file that is mostly holes: they take no disk, but memory when read.

    Args:
        path: a regular file.
        slack: bytes of holes that any file may have.

    Raises:
        UntrustedFileError: less than half of it was ever written.
    """
    size = path.stat().st_size
    if size <= slack or not hasattr(os, "SEEK_DATA"):
        return
    with open(path, "rb") as file:
        written = place = 0
        for _ in range(_MOST_PIECES):
            try:
                start = os.lseek(file.fileno(), place, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:  # holes up to the end
                    break
                return  # the file system knows nothing of holes
            place = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            written += place - start
            if 2 * written + slack >= size:
                return
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
