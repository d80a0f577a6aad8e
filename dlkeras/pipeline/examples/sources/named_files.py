"""Finds the file that a table's path means, even if the systems write names apart."""

import errno
import os
import posixpath
import re
import stat
import unicodedata
from pathlib import Path

from dlkeras.untrusted.images import begins_as_image

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def plain_path(path: str) -> str:
    r"""A path without what changes no file: `./`, doubled slashes, other forms of é.

    Example:
    >>> plain_path("./imgs//cafe\u0301.png") == plain_path("imgs\\caf\u00e9.png")
    True
    """
    if "\\" in path and "/" not in path:
        path = path.replace("\\", "/")
    normal = unicodedata.normalize("NFC", path)
    return posixpath.normpath(normal) if normal else ""


class FileFinder:
    """Finds the files of a table below a folder.

    Args:
        root: the folder that paths are relative to; nothing outside is opened.
        table: the table's name, for errors.
    """

    def __init__(self, root: Path, table: str):
        self._given = root
        self._root = os.path.realpath(root)
        self._table = table
        self._listings: dict[str, dict[str, str]] = {}

    def find(self, path: str) -> str:
        """The file that a path means.

        Raises:
            ValueError: it leads out of the folder, or is none that can be read.
            OSError: the file cannot be looked at.
        """
        if re.match(r"[a-z]{2,6}://", path):
            raise ValueError("a web address; download the images, and name the files")
        name = os.path.join(self._root, path)
        if not _exists(name):
            name = os.path.join(self._root, plain_path(path))
        if not _exists(name):
            name = self._like(plain_path(path))
        file = os.path.realpath(name)
        if os.path.commonpath([self._root, file]) != self._root:
            raise ValueError(
                f"it lies outside the folder of {self._table}, {self._given}; say "
                "where the images are with --example-gen.image-root"
            )
        if not stat.S_ISREG(_status(file).st_mode):
            raise ValueError("not a regular file")
        return file

    def _like(self, path: str) -> str:
        """The file whose name another system writes another way, step by step."""
        if path.startswith(("/", "..")) or _DRIVE.match(path):
            return os.path.join(self._root, path)
        place = self._root
        *folders, last = path.split("/")
        for part in folders:
            place = os.path.join(place, self._listing(place).get(part, part))
        listing = self._listing(place)
        if last in listing:
            return os.path.join(place, listing[last])
        # The names of images in a table of a competition have no suffix.
        alike = [
            name
            for name in listing.values()
            if name.startswith(f"{last}.")
            and begins_as_image(os.path.join(place, name))
        ]
        if len(alike) == 1 and "." not in last:
            return os.path.join(place, alike[0])
        near = [name for name in listing if name.casefold() == last.casefold()]
        if near:
            raise ValueError(f"no such file; {near[0]} is there")
        if folders and last in self._listing(self._root):
            raise ValueError(
                f"no such file; {last} lies in {self._given}: name the folder that the "
                "paths are relative to with --example-gen.image-root"
            )
        return os.path.join(place, last)

    def _listing(self, folder: str) -> dict[str, str]:
        """The names in a folder as they are, by their form NFC."""
        if folder not in self._listings:
            try:
                inside = os.path.realpath(folder)
                names = (
                    os.listdir(folder)
                    if os.path.commonpath([self._root, inside]) == self._root
                    else []
                )
            except OSError:
                names = []
            self._listings[folder] = {
                unicodedata.normalize("NFC", name): name for name in sorted(names)
            }
        return self._listings[folder]


def _exists(path: str) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:  # a NUL
        return False


def _status(file: str) -> os.stat_result:
    try:
        return os.stat(file)
    except FileNotFoundError as error:
        raise ValueError("no such file") from error
    except OSError as error:
        known = error.errno in (errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES)
        raise ValueError(error.strerror if known else str(error)) from error
