"""A NumPy archive as `keras.datasets` writes it: x_train, y_train, x_test, y_test."""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dlkeras.pipeline.errors import InputError
from dlkeras.pipeline.sources.source import Problem, SourceExample

FLAG = "--example-gen.npz"
MAX_CLASSES = 65_536


class NumpySource:
    """Images and labels in one `.npz` file.

    The arrays are `x_train` `(images, height, width[, channels])` uint8 and `y_train`
    `(images,)` or `(images, 1)` integers, and the same for `val` and `test`; or `x`
    and `y`, without splits. Pickled objects are never loaded. The images are gone
    through in a fixed random order.

    Args:
        file: the archive.
        labels: names of the classes; default: their numbers.

    Raises:
        InputError: the file is damaged, or its arrays are not as above.
    """

    random_access = True
    NAMES = (("train", "train"), ("val", "validation"), ("test", "test"))

    def __init__(self, file: Path):
        self._file = file
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
            images, labels = arrays[x], arrays[y]
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

    def _load(self) -> dict[str, np.ndarray]:
        try:
            with np.load(self._file, allow_pickle=False) as archive:
                if not isinstance(archive, np.lib.npyio.NpzFile):
                    raise ValueError("one array, not an archive of named arrays")
                return {name: archive[name] for name in archive.files}
        except (
            OSError, ValueError, EOFError, KeyError, AttributeError, TypeError,
            zipfile.BadZipFile, zlib.error, MemoryError,
        ) as error:  # fmt: skip
            reason = getattr(error, "strerror", None) or str(error) or "cut short"
            raise InputError(
                f"{FLAG}: expected a whole .npz archive of arrays; {self._file}: "
                f"{reason.splitlines()[0]}"
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
                reason = f"expected a label of at least 0; received {labels[index]}"
                yield Problem(identifier, reason)
                continue
            yield SourceExample(
                id=identifier,
                split=split or None,
                label=int(labels[index]),
                read=lambda image=images[index]: image,
            )


def _check(file: Path, x: str, images: np.ndarray, y: str, labels: np.ndarray) -> None:
    """Refuse arrays that are not uint8 images and integer labels, one for each."""
    grey_or_rgb = images.ndim == 3 or (images.ndim == 4 and images.shape[-1] in (1, 3))
    if images.dtype != np.uint8 or not grey_or_rgb or images.size == 0:
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
