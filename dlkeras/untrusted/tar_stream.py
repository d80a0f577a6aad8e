"""The bytes of a packed tar, read forwards, with a bound on what is held in memory."""

import bz2
import gzip
import io
import lzma
import re
import tarfile
from pathlib import Path
from typing import IO, Any

from dlkeras.untrusted.gate import UntrustedFileError

CHUNK = 2**20
# What a member's headers may take: long names, PAX records, maps of sparse files.
MAX_HEADERS = 2**20
# Records of PAX, some names of 4,096 bytes among them. `tarfile` searches them for
# numbers by going on from each digit: a row of digits takes the square of its length.
MAX_PAX = 2**16
DIGITS = re.compile(rb"[0-9]{257}")  # no name is longer
RECORD = re.compile(rb"([1-9][0-9]{0,19}) [^=\n\0]+=")
PAX = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
# What comes between two headers of one member.
BETWEEN = (*PAX, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
# The dictionary of an xz file is memory: 64 MiB for `xz -9`, up to 4 GiB elsewhere.
MAX_LZMA = 2**28
BLOCK = 512


class TarStream:
    """What `tarfile` reads from: forwards only, in small pieces.

    Args:
        path: the archive, for the errors' text.
        file: its bytes.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        start = file.read(6)
        file.seek(0)
        opened: Any = file
        if start.startswith(b"\x1f\x8b"):
            opened = gzip.GzipFile(fileobj=file)
        elif start.startswith(b"BZh"):
            opened = bz2.BZ2File(file)
        elif start == b"\xfd7zXZ\0" or start.startswith(b"]\0\0"):
            opened = io.BufferedReader(_Lzma(file), CHUNK)
        self._path, self._opened = path, opened
        self._at, self._headers = 0, MAX_HEADERS
        self._in_headers = True
        self._last = b""
        # A header comes next, or what the header before it says; None: no more.
        self._next: str | tarfile.TarInfo | None = "header"

    def begin_headers(self) -> None:
        """Say that a member's headers come next."""
        self._in_headers, self._headers = True, MAX_HEADERS
        self._next = "header"

    def end_headers(self) -> None:
        """Say that the member's content comes next."""
        self._in_headers = False

    def read(self, size: int) -> bytes:
        """Read so many bytes."""
        if self._in_headers:
            self._headers -= size
        if size > CHUNK or self._headers < 0:
            raise UntrustedFileError(
                f"{self._path}: a file in it has headers of more than {MAX_HEADERS:,} "
                "bytes"
            )
        self._last = self._opened.read(size)
        self._at += len(self._last)
        if self._in_headers:
            self._last = self._checked(self._last)
        return self._last

    def _checked(self, read: bytes) -> bytes:
        """Check PAX records before `tarfile` reads them, and drop what is behind."""
        about, self._next = self._next, None
        if isinstance(about, tarfile.TarInfo):
            self._next = "header"
            if about.type in PAX:
                self._check_records(read[: about.size])
                return read[: about.size].ljust(len(read), b"\0")
        elif about and len(read) < BLOCK:  # the last byte of the member before
            self._next = about
        elif about:
            try:
                header = tarfile.TarInfo.frombuf(read, "utf-8", "surrogateescape")
            except tarfile.HeaderError:  # `tarfile` will say so
                return read
            if header.type in BETWEEN:
                self._next = header
                if header.type in PAX and not 0 <= header.size <= MAX_PAX:
                    raise self._bad_records(f"headers of more than {MAX_PAX:,} bytes")
        return read

    def _check_records(self, records: bytes) -> None:
        if DIGITS.search(records):
            raise self._bad_records("a number without end in its headers")
        at = 0
        while at < len(records):
            record = RECORD.match(records, at)
            end = at + int(record.group(1)) if record else 0
            if not record or not record.end() < end <= len(records):
                raise self._bad_records("damaged headers")
            if records[end - 1] != ord("\n"):
                raise self._bad_records("damaged headers")
            at = end

    def _bad_records(self, what: str) -> UntrustedFileError:
        return UntrustedFileError(f"{self._path}: a file in it has {what}")

    def seek(self, position: int) -> None:
        """Go forwards."""
        left = position - self._at
        if left < 0:
            raise UntrustedFileError(f"{self._path}: its members overlap")
        while left:
            skipped = len(self._opened.read(min(left, CHUNK)))
            if not skipped:
                raise EOFError("it is cut short")
            self._at += skipped
            left -= skipped

    def tell(self) -> int:
        """Where the next byte is in the unpacked tar."""
        return self._at

    def check_end(self) -> None:
        """Refuse an archive if `tarfile` has read only a part of it, in silence."""
        if self._last.strip(b"\0") or 0 < len(self._last) < BLOCK:
            raise UntrustedFileError(
                f"{self._path}: it is damaged or cut short at byte {self._at:,}"
            )


class _Lzma(io.RawIOBase):
    """An xz file, unpacked with a bound on its dictionary."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decoder = self._new()

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(memlimit=MAX_LZMA)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = b""
        while not data:
            packed = b""
            if self._decoder.eof:
                packed = self._decoder.unused_data.lstrip(b"\0")
                packed = packed or self._file.read(CHUNK)
                if not packed:
                    return 0
                self._decoder = self._new()
            elif self._decoder.needs_input:
                packed = self._file.read(CHUNK)
                if not packed:
                    raise EOFError("it is cut short")
            data = self._decoder.decompress(packed, len(buffer))
        buffer[: len(data)] = data
        return len(data)
