"""A folder or an archive of images: CLASS/*.png, or SPLIT/CLASS/*.png."""

import hashlib
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from dlkeras.pipeline.errors import InputError, reason
from dlkeras.pipeline.examples.sources.source import (
    SPLIT_NAMES,
    Problem,
    SourceExample,
    printable,
)
from dlkeras.pipeline.examples.sources.walking import walk
from dlkeras.untrusted import archives
from dlkeras.untrusted.images import read_image_file

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"})
FLAG = "--example-gen.image-folder"


class ImageFolderSource:
    """Images in folders named by class, with or without folders of splits above.

    The files are gone through in the order of a hash of their names, so that a shard
    holds a mixture of the classes.

    Args:
        folder: the folder.
        name: what to call it.

    Raises:
        InputError: there is no such folder, or it does not hold images of two classes.
    """

    def __init__(self, folder: Path, name: str | None = None):
        if not folder.is_dir():
            raise InputError(f"{FLAG}: expected a folder; received {folder}")
        self._folder = folder
        self.description = f"image folder {name or folder.name}"
        self.ignored: list[str] = []
        self.outside: list[str] = []
        paths = list(_files(folder, self.ignored, self.outside))
        tops = {path.split(os.sep, 1)[0] for path in paths if _may_count(path)}
        split_folders = {name: SPLIT_NAMES[name] for name in tops & SPLIT_NAMES.keys()}
        if len(split_folders) != len(tops) or "train" not in split_folders.values():
            split_folders = {"": ""}
        self.splits = frozenset(split_folders.values()) - {""}
        files: list[tuple[str, str, str]] = []  # (path below the folder, split, class)
        for path in paths:
            parts = path.split(os.sep)
            split = parts.pop(0) if self.splits and len(parts) > 1 else ""
            known = split in split_folders
            if known and len(parts) == 2 and _suffix(path) in IMAGE_SUFFIXES:
                files.append((path, split_folders[split], parts[0]))
            else:
                self.ignored.append(printable(path))
        self.ignored.sort()
        labels = sorted({label for _, _, label in files})
        if not files:
            raise InputError(
                f"{FLAG}: expected images as {folder}/CLASS/*.png or "
                f"{folder}/train/CLASS/*.png (also jpg, jpeg, bmp, gif, webp); "
                "found none"
            )
        if len(labels) < 2:
            raise InputError(
                f"{FLAG}: expected at least two class folders with images in {folder}; "
                f"found one, {printable(labels[0])!r}"
            )
        self.labels = tuple(printable(label) for label in labels)
        self._numbers = {label: number for number, label in enumerate(labels)}
        self._files = sorted(files, key=lambda file: _mixed(file[0]))

    @property
    def paths(self) -> list[str]:
        """The images' paths below the folder."""
        return [path for path, _, _ in self._files]

    def __len__(self) -> int:
        return len(self._files)

    def examples(
        self, start: int = 0, stop: int | None = None
    ) -> Iterator[SourceExample | Problem]:
        """Go through the files in the order of a hash of their names."""
        for path, split, label in self._files[start:stop]:
            file = self._folder / path
            identifier = printable(path)
            if not file.is_file():  # a loop of links, a pipe, a folder: none is read
                yield Problem(identifier, _what_it_is(file))
                continue
            yield SourceExample(
                id=identifier,
                split=split or None,
                label=self._numbers[label],
                read=partial(read_image_file, file),
            )


def _what_it_is(file: Path) -> str:
    try:
        file.stat()
    except OSError as error:
        return error.strerror or reason(error)
    return "a folder" if file.is_dir() else "not a regular file"


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _mixed(path: str) -> bytes:
    return hashlib.sha256(os.fsencode(path)).digest()


def _may_count(path: str) -> bool:
    """Whether a file may be CLASS/IMAGE or SPLIT/CLASS/IMAGE."""
    return path.count(os.sep) in (1, 2) and _suffix(path) in IMAGE_SUFFIXES


def _files(folder: Path, ignored: list[str], outside: list[str]) -> Iterator[str]:
    """Give every file below a folder but hidden ones; a loop of links is left out.

    People put data sets together of links, so they are followed, but no deeper than
    images lie. Those that leave the folder are listed.
    """

    def leave_out(link: str) -> None:
        ignored.append(printable(os.path.relpath(link, folder)))

    root = os.path.join(os.path.realpath(folder), "")

    def leaves(path: str) -> bool:
        return not os.path.join(os.path.realpath(path), "").startswith(root)

    for place, folders, names in walk(folder, FLAG, leave_out, _unreadable):
        below = os.path.relpath(place, folder)
        linked = os.path.realpath(place) != os.path.normpath(root + below)
        folders[:] = [name for name in folders if name[0] != "."]
        for name in (*folders, *names):
            path = os.path.join(place, name)
            if name[0] != "." and os.path.islink(path) and leaves(path):
                link = printable(os.path.normpath(os.path.join(below, name)))
                outside.append(f"{link} -> {printable(os.path.realpath(path))}")
        # A folder may have the name of an image.
        names += [name for name in folders if _suffix(name) in IMAGE_SUFFIXES]
        if below.count(os.sep):  # SPLIT/CLASS, with images in it
            folders[:] = [
                name
                for name in folders
                if not (linked or os.path.islink(os.path.join(place, name)))
            ]
        for name in names:
            if name[0] != ".":
                yield os.path.normpath(os.path.join(below, name))


def _unreadable(error: OSError) -> None:
    raise InputError(
        f"{FLAG}: expected a folder that can be read; {error.filename}: "
        f"{error.strerror}"
    ) from error


def unpack(archive: Path, target: Path) -> Path:
    """Unpack a zip or tar archive of an image folder.

    Args:
        archive: the archive.
        target: an empty folder.

    Returns:
        The folder that holds the classes or splits: `target`, or its only folder.

    Raises:
        InputError: the archive is damaged, has something else than files and folders,
            leads out of its folder, or is larger than half of the free space.
    """
    try:
        archives.unpack(archive, target)
    except archives.UntrustedFileError as error:
        raise InputError(f"{FLAG}: {error}") from error
    except OSError as error:
        if error.filename != archive:
            raise  # the disk is full
        raise InputError(f"{FLAG}: {archive}: {error.strerror}") from error
    inside = [f for f in target.iterdir() if f.name[0] != "."]
    only = inside[0] if len(inside) == 1 and inside[0].is_dir() else target
    return only if only.name not in SPLIT_NAMES else target
