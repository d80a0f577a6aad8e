"""Zip and tar archives of strangers: only regular files and folders come out."""

import contextlib
import errno
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from dlkeras.untrusted.gate import UntrustedFileError as UntrustedFileError
from dlkeras.untrusted.gate import open_regular
from dlkeras.untrusted.tar_stream import TarStream
from dlkeras.untrusted.zips import (
    CHUNK,
    MAX_MEMBERS,
    Room,
    check_packing,
    is_zip,
    open_zip,
    shown,
    too_many,
)

MAX_DEPTH = 32
MAX_NAME = 255
# What a name may be at fault for; a full disk is not its fault.
ERRORS_OF_NAMES = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)


@dataclass(frozen=True)
class _Member:
    """One entry of an archive; without a content it is a folder."""

    name: str
    size: int
    content: Any = None  # () -> IO[bytes]


def unpack(archive: str | Path, target: str | Path) -> None:
    """Unpack a zip, or a tar, plain or packed by gzip, bzip2 or xz.

    Names are checked here, and no link is ever made, so that none can lead out;
    Python's own filter of tars lets some through in many of its releases.

    Args:
        archive: the archive.
        target: an empty folder, into which nobody else writes.

    Raises:
        UntrustedFileError: it is no whole archive, has something else than files and
            folders, a name twice or one that leads out, or unpacks to more than half
            of the free space, or to what no images do. What has come out by then lies
            in the target.
        OSError: the target cannot be written.
    """
    path = Path(archive)
    folder = os.path.abspath(target)
    with open_regular(path) as file:
        room = Room(path, file, shutil.disk_usage(folder).free)
        members = _zipped if is_zip(file) else _tarred
        found = members(path, file, room)
        while member := _next(path, found):
            _write(path, folder, member, room)


def _next(path: Path, members: Iterator[_Member]) -> _Member | None:
    with _damage_named(path):
        return next(members, None)


@contextlib.contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Whatever a reader of archives stumbles on is the archive's fault."""
    try:
        yield
    except UntrustedFileError:
        raise
    except Exception as error:
        # zlib.error, lzma.LZMAError, TarError, BadZipFile, EOFError, RecursionError...
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UntrustedFileError(
            f"{path}: expected a whole zip or tar archive; {reason}"
        ) from error


def _zipped(path: Path, file: IO[bytes], room: Room) -> Iterator[_Member]:
    with open_zip(path, file) as archive:
        infos = archive.infolist()
        for info in infos:  # all, before the first is written
            name, kind = info.filename, stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _not_a_file(
                    path, name, "link" if stat.S_ISLNK(kind) else "device"
                )
            check_packing(path, info)
            room.take(info.file_size)
        for info in infos:
            if info.is_dir():
                yield _Member(info.filename, 0)
            else:
                yield _Member(
                    info.filename, info.file_size, lambda i=info: archive.open(i)
                )


def _tarred(path: Path, file: IO[bytes], room: Room) -> Iterator[_Member]:
    stream: Any = TarStream(path, file)
    with tarfile.open(fileobj=stream, mode="r:") as archive:
        for _ in range(MAX_MEMBERS):
            stream.begin_headers()
            member = archive.next()
            stream.end_headers()
            archive.members.clear()  # it would keep all that it has read
            if member is None:
                stream.check_end()
                return
            if member.issparse() or not (member.isreg() or member.isdir()):
                link = member.issym() or member.islnk()
                kind = "sparse file" if member.issparse() else "device"
                raise _not_a_file(path, member.name, "link" if link else kind)
            if len(archive.pax_headers) > 100:  # each member gets a copy of them
                raise UntrustedFileError(f"{path}: it has too many global headers")
            room.take(member.size)
            if member.isdir():
                yield _Member(member.name, 0)
            else:
                yield _Member(
                    member.name, member.size, lambda m=member: archive.extractfile(m)
                )
    raise too_many(path)


def _write(path: Path, folder: str, member: _Member, room: Room) -> None:
    parts = _parts(path, member)
    parents = parts if member.content is None else parts[:-1]
    try:
        for depth in range(1, len(parents) + 1):
            place = os.path.join(folder, *parents[:depth])
            if not os.path.isdir(place):
                room.take(0)
                os.mkdir(place)
        if member.content is None:
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        written = os.open(os.path.join(folder, *parts), flags, 0o666)
    except (FileExistsError, NotADirectoryError) as error:
        raise UntrustedFileError(
            f"{path}: it has {shown(member.name)} twice"
        ) from error
    except OSError as error:
        if error.errno not in ERRORS_OF_NAMES:
            raise
        raise UntrustedFileError(
            f"{path}: {shown(member.name)}: {error.strerror}"
        ) from error
    with os.fdopen(written, "wb") as out:
        with _damage_named(path):
            content = member.content()
        left = member.size
        while left:
            with _damage_named(path):
                chunk = content.read(min(left, CHUNK))
                if not chunk:
                    raise EOFError(f"{shown(member.name)} is cut short")
            out.write(chunk)
            left -= len(chunk)
        content.close()


def _parts(path: Path, member: _Member) -> list[str]:
    """Cut a name into the folders on its way; refuse one that leads out."""
    name = member.name
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise UntrustedFileError(
            f"{path}: expected names inside the archive; it has {shown(name)}"
        )
    try:
        longest = max((len(os.fsencode(part)) for part in parts), default=0)
    except UnicodeEncodeError:
        longest = MAX_NAME + 1
    if longest > MAX_NAME or len(parts) > MAX_DEPTH:
        raise UntrustedFileError(
            f"{path}: expected names of at most {MAX_NAME} bytes, at most {MAX_DEPTH} "
            f"folders deep; it has {shown(name)}"
        )
    if not parts and member.content is not None:
        raise UntrustedFileError(f"{path}: it has a file without a name")
    return parts


def _not_a_file(path: Path, name: str, kind: str) -> UntrustedFileError:
    advice = ", pack the file it leads to (tar -h --hard-dereference)"
    return UntrustedFileError(
        f"{path}: expected files and folders alone; {shown(name)} is a {kind}"
        f"{advice if kind == 'link' else ''}"
    )
