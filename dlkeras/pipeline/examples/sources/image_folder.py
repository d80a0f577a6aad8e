"""A folder or an archive of images: CLASS/*.png, or SPLIT/CLASS/*.png."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from dlkeras.pipeline.examples.labels import label_name
from dlkeras.pipeline.examples.sources.layout import FLAG, NO_CLASS, find_layout
from dlkeras.pipeline.examples.sources.source import (
    Ignored,
    Problem,
    SourceExample,
    printable,
    split_name,
)
from dlkeras.pipeline.examples.sources.walking import walk
from dlkeras.pipeline.store.errors import InputError, reason
from dlkeras.untrusted import archives
from dlkeras.untrusted.images import begins_as_image, read_image_file

# A file of such a name is meant as an image: one that is none is a broken one. Of any
# other file the content decides.
IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".webp", ".tif",
     ".tiff", ".avif", ".heic", ".heif"}
)  # fmt: skip
# What systems and programs leave behind.
LITTER = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "zbthumbnail.info"}
)
LITTER_FOLDERS = frozenset(
    {"__macosx", "__pycache__", "@eadir", "$recycle.bin", "lost+found", "mlruns",
     "system volume information", "node_modules"}
)  # fmt: skip


class ImageFolderSource:
    """Images in folders named by class, with or without folders of splits above.

    Images in folders below a class's are the class's. The files are gone through in the
    order of a hash of their names, so that a shard holds a mixture of the classes.

    Args:
        folder: the folder.
        name: what to call it.
        layout: what its top folders are: "classes", "splits", or "auto".

    Raises:
        InputError: there is no such folder, it does not hold images of two classes, or
            its layout is not plain.
    """

    def __init__(self, folder: Path, name: str | None = None, layout: str = "auto"):
        if not folder.is_dir():
            raise InputError(f"{FLAG}: expected a folder; received {folder}")
        self._folder = folder
        self._unpacked = name is not None
        self.description = f"image folder {name or folder.name}"
        self.ignored: list[Ignored] = []
        self.outside: list[str] = []
        paths = list(_images(folder, self.ignored, self.outside))
        ways = [path.split(os.sep)[:-1] for path in paths]
        found = find_layout(ways, layout, str(name or folder))
        # (path below the folder, split, class)
        files: list[tuple[str, str, str]] = []
        for path, way in zip(paths, ways, strict=True):
            place = found.place(way)
            if isinstance(place, str):
                chosen = layout == "splits" and place != NO_CLASS
                self.ignored.append(Ignored(printable(path), place, chosen))
            else:
                split, label = place
                files.append((path, split, label_name(label) or label))
        self.ignored.sort(key=lambda file: file.name)
        self.splits = frozenset(split for _, split, _ in files) - {""}
        labels = sorted({label for _, _, label in files})
        if not files:
            raise InputError(
                f"{FLAG}: expected images as {folder}/CLASS/*.png or "
                f"{folder}/train/CLASS/*.png (also jpg, tif, gif, bmp, webp, avif); "
                f"found {_without_class(len(paths))}"
            )
        if len(labels) < 2:
            below = sorted({way[1] for way in ways if len(way) > 1})
            raise InputError(
                f"{FLAG}: expected at least two class folders with images in {folder}; "
                f"found one, {printable(labels[0])!r}"
                + (
                    f", with the folders {', '.join(map(printable, below[:5]))} in it: "
                    f"if those are the classes, name {folder / labels[0]}"
                    if below
                    else ""
                )
            )
        self.labels = tuple(map(printable, labels))
        numbers = {label: number for number, label in enumerate(labels)}
        self._numbers = numbers
        self._files = sorted(files, key=lambda file: _mixed(file[0]))
        self.label_counts = Counter(
            numbers[label] for _, split, label in files if split in ("", "train")
        )

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
                file=None if self._unpacked else file,
            )


def _without_class(number: int) -> str:
    if not number:
        return "none"
    return (
        f"{number:,} in no class folder: make a folder for each class, or a table of "
        "their labels for --example-gen.manifest"
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


def _images(folder: Path, ignored: list[Ignored], outside: list[str]) -> Iterator[str]:
    """Give every image below a folder; the other files are listed as left out."""

    def leave_out(path: str, reason: str, expected: bool) -> None:
        ignored.append(Ignored(printable(path), reason, expected))

    for path in _files(folder, leave_out, outside):
        name = os.path.basename(path)
        if name[0] == ".":
            leave_out(path, "hidden", True)
        elif _suffix(name) in IMAGE_SUFFIXES or begins_as_image(folder / path):
            yield path
        else:
            leave_out(path, "not an image", name.lower() in LITTER)


def _files(folder: Path, leave_out, outside: list[str]) -> Iterator[str]:
    """Give every file below a folder; a loop of links is left out.

    People put data sets together of links, so they are followed, but no deeper than
    SPLIT/CLASS. Links that leave the folder are listed.
    """
    root = os.path.join(os.path.realpath(folder), "")

    def leaves(path: str) -> bool:
        return not os.path.join(os.path.realpath(path), "").startswith(root)

    def loops(link: str) -> None:
        leave_out(os.path.relpath(link, folder), "a link to a folder above it", True)

    for place, folders, names in walk(folder, FLAG, loops, _unreadable):
        below = os.path.relpath(place, folder)
        linked = os.path.realpath(place) != os.path.normpath(root + below)
        folders[:] = [
            name
            for name in folders
            if name[0] != "." and name.lower() not in LITTER_FOLDERS
        ]
        if not folders and not names:
            leave_out(os.path.join(below, ""), "an empty folder", True)
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
    inside = [
        f
        for f in target.iterdir()
        if f.name[0] != "." and f.name.lower() not in LITTER_FOLDERS
    ]
    only = inside[0] if len(inside) == 1 and inside[0].is_dir() else target
    return only if split_name(only.name) is None else target
