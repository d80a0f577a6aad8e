"""A NumPy archive as `keras.datasets` writes it: x_train, y_train, x_test, y_test."""

import functools
import lzma
import math
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dlkeras.pipeline.errors import InputError, reason
from dlkeras.pipeline.sources.source import Problem, SourceExample

FLAG = "--example-gen.npz"
MAX_CLASSES = 65_536
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class StoredArray:
    """An array in a `.npy` file, of which parts are read when they are wanted.

    A memory map would do the same, but what it has touched counts as memory in use.

    Args:
        file: the file.

    Raises:
        ValueError: it is not the whole file of an array that can be read by rows.
    """

    def __init__(self, file: Path):
        self._file = file
        with file.open("rb") as opened:
            version = np.lib.format.read_magic(opened)
            if version not in HEADERS:
                raise ValueError(f"an array of the unknown form {version}")
            self.shape, by_columns, self.dtype = HEADERS[version](opened)
            self._start = opened.tell()
        if self.dtype.hasobject:
            raise ValueError("pickled objects are not loaded (allow_pickle=False)")
        if by_columns and len(self.shape) > 1:
            raise ValueError(
                "an array stored by columns; numpy.ascontiguousarray turns it"
            )
        if min(self.shape, default=0) < 0:
            raise ValueError(f"an array of the shape {self.shape}")
        held = file.stat().st_size - self._start
        if held < math.prod(self.shape) * self.dtype.itemsize:
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


class NumpySource:
    """Images and labels in one `.npz` file.

    The arrays are `x_train` `(images, height, width[, channels])` uint8 and `y_train`
    `(images,)` or `(images, 1)` integers, and the same for `val` and `test`; or `x`
    and `y`, without splits. Pickled objects are never loaded. The images are gone
    through in a fixed random order. They are never in memory together: an array is
    unpacked into a file, of which one image is read at a time.

    Args:
        file: the archive.
        scratch: a folder for what is unpacked, as long as the source is used.

    Raises:
        InputError: the file is damaged, or its arrays are not as above.
    """

    NAMES = (("train", "train"), ("val", "validation"), ("test", "test"))

    def __init__(self, file: Path, scratch: Path):
        self._file = file
        self._scratch = scratch
        self.description = f"NumPy archive {file.name}"
        self.ignored: list[str] = []
        arrays = self._load()
        pairs = [
            (f"x_{name}", f"y_{name}", split)
            for name, split in self.NAMES
            if f"x_{name}" in arrays
        ] or [("x", "y", "")]
        missing = [n for pair in pairs for n in pair[:2] if n not in arrays]
        if missing:
            raise InputError(
                f"{FLAG}: expected the arrays x_train and y_train (or x and y); {file} "
                f"lacks {', '.join(missing)}, it has {', '.join(arrays) or 'none'}"
            )
        self.ignored = sorted(set(arrays) - {n for pair in pairs for n in pair[:2]})
        self._parts = []
        for x, y, split in pairs:
            images, labels = arrays[x], arrays[y].whole()
            _check(file, x, images, y, labels)
            self._parts.append((x, images, labels.reshape(len(labels)), split))
        self.splits = frozenset(split for *_, split in self._parts if split)
        classes = 1 + max(int(labels.max()) for _, _, labels, _ in self._parts)
        if not 2 <= classes <= MAX_CLASSES:
            raise InputError(
                f"{FLAG}: expected 2 to {MAX_CLASSES:,} classes, numbered from 0; "
                f"{file} has a label {classes - 1}"
            )
        width = len(str(classes - 1))
        self.labels = tuple(f"{number:0{width}d}" for number in range(classes))
        edges = np.cumsum([0, *(len(images) for _, images, _, _ in self._parts)])
        self._edges = edges
        self._order = np.random.default_rng(0).permutation(int(edges[-1]))

    def _load(self) -> "dict[str, StoredArray]":
        try:
            with zipfile.ZipFile(self._file) as archive:
                members = [m for m in archive.infolist() if m.filename[-4:] == ".npy"]
                self._scratch.mkdir(parents=True, exist_ok=True)
                room = shutil.disk_usage(self._scratch).free // 2
                if sum(member.file_size for member in members) > room:
                    raise ValueError(
                        "its arrays do not fit half of the free space of "
                        f"{self._scratch}, {room / 2**30:.1f} GiB"
                    )
                arrays = {}
                for number, member in enumerate(members):
                    unpacked = self._scratch / f"array-{number}.npy"
                    with archive.open(member) as packed, unpacked.open("wb") as file:
                        shutil.copyfileobj(packed, file, 2**20)
                    arrays[member.filename[:-4]] = StoredArray(unpacked)
                return arrays
        except (
            OSError, ValueError, EOFError, KeyError, AttributeError, TypeError,
            NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error,
            lzma.LZMAError, MemoryError,
        ) as error:  # fmt: skip
            what = getattr(error, "strerror", None) or reason(error)
            raise InputError(
                f"{FLAG}: expected a whole .npz archive of arrays; {self._file}: {what}"
            ) from error

    def __len__(self) -> int:
        return len(self._order)

    def examples(
        self, start: int = 0, stop: int | None = None
    ) -> Iterator[SourceExample | Problem]:
        """Go through the images in a fixed random order."""
        for number in self._order[start:stop].tolist():
            part = int(np.searchsorted(self._edges, number, side="right")) - 1
            name, images, labels, split = self._parts[part]
            index = number - int(self._edges[part])
            identifier = f"{name}[{index}]"
            if labels[index] < 0:
                why = f"expected a label of at least 0; received {labels[index]}"
                yield Problem(identifier, why)
                continue
            yield SourceExample(
                id=identifier,
                split=split or None,
                label=int(labels[index]),
                read=functools.partial(images.one, index),
            )


def _check(file: Path, x: str, images: StoredArray, y: str, labels: np.ndarray) -> None:
    """Refuse arrays that are not uint8 images and integer labels, one for each."""
    sides = len(images.shape)
    grey_or_rgb = sides == 3 or (sides == 4 and images.shape[-1] in (1, 3))
    if images.dtype != np.uint8 or not grey_or_rgb or 0 in images.shape:
        raise InputError(
            f"{FLAG}: expected {x} as (images, height, width[, 1 or 3]) uint8; {file} "
            f"has {images.shape} {images.dtype}"
        )
    flat = labels.ndim == 1 or (labels.ndim == 2 and labels.shape[1] == 1)
    if labels.dtype.kind not in "iu" or not flat or len(labels) != len(images):
        raise InputError(
            f"{FLAG}: expected {y} as {len(images)} integers, one for each image; "
            f"{file} has {labels.shape} {labels.dtype}"
        )
