"""A NumPy archive as `keras.datasets` writes it: x_train, y_train, x_test, y_test."""

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dlkeras.pipeline.examples.sources.source import Ignored, Problem, SourceExample
from dlkeras.pipeline.store.errors import InputError
from dlkeras.untrusted.arrays import NpzFile, UntrustedFileError
from dlkeras.untrusted.gate import Budget
from dlkeras.untrusted.images import MAX_PIXELS

FLAG = "--example-gen.npz"
MAX_CLASSES = 65_536
# Labels are held in memory, and the order in which the images are gone through.
MAX_HELD = 2**30
ORDER_BYTES = 8


class NumpySource:
    """Images and labels in one `.npz` file.

    The arrays are `x_train` `(images, height, width[, channels])` uint8 and `y_train`
    `(images,)` or `(images, 1)` integers, and the same for `val` and `test`; or `x`
    and `y`, without splits. Pickled objects are never loaded. The images are gone
    through in a fixed random order. They are never in memory together: an array is
    unpacked into a file, and read one image at a time.

    Args:
        file: the archive.
        scratch: a folder for what is unpacked, as long as the source is used.

    Raises:
        InputError: the file is damaged, or its arrays are not as above.
    """

    NAMES = (("train", "train"), ("val", "validation"), ("test", "test"))

    def __init__(self, file: Path, scratch: Path):
        self.description = f"NumPy archive {file.name}"
        self.ignored: list[Ignored] = []
        try:
            archive = NpzFile(file)
            names = archive.names
            pairs = [
                (f"x_{name}", f"y_{name}", split)
                for name, split in self.NAMES
                if f"x_{name}" in names
            ] or [("x", "y", "")]
            missing = [n for pair in pairs for n in pair[:2] if n not in names]
            if missing:
                raise InputError(
                    f"{FLAG}: expected the arrays x_train and y_train (or x and y); "
                    f"{file} lacks {', '.join(missing)}, it has "
                    f"{', '.join(names[:10]) or 'none'}"
                )
            used = {n for pair in pairs for n in pair[:2]}
            self.ignored = [
                Ignored(name, "not images or labels", True)
                for name in sorted(set(names) - used)
            ]
            held = Budget(MAX_HELD, file)
            for x, y, _ in pairs:
                images, labels = archive.about(x), archive.about(y)
                _check(file, x, images, y, labels)
                (number, *_), labels = images[0], labels[1]
                held.spend(number * (labels.itemsize + ORDER_BYTES))
            scratch.mkdir(parents=True, exist_ok=True)
            self._parts = []
            for number, (x, y, split) in enumerate(pairs):
                labels = archive.unpack(y, scratch / f"labels-{number}.npy").whole()
                images = archive.unpack(x, scratch / f"images-{number}.npy")
                self._parts.append((x, images, labels.reshape(len(labels)), split))
        except UntrustedFileError as error:
            raise InputError(f"{FLAG}: {error}") from error
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


Stored = tuple[tuple[int, ...], np.dtype]  # shape, dtype


def _check(file: Path, x: str, images: Stored, y: str, labels: Stored) -> None:
    """Refuse arrays that are not uint8 images and integer labels, one for each."""
    shape, dtype = images
    grey_or_rgb = len(shape) == 3 or (len(shape) == 4 and shape[-1] in (1, 3))
    if dtype != np.uint8 or not grey_or_rgb or 0 in shape:
        raise InputError(
            f"{FLAG}: expected {x} as (images, height, width[, 1 or 3]) uint8; {file} "
            f"has {shape} {dtype}"
        )
    if shape[1] * shape[2] > MAX_PIXELS:
        raise InputError(
            f"{FLAG}: expected images of at most {MAX_PIXELS:,} pixels; {x} of {file} "
            f"has {shape[1]}x{shape[2]}"
        )
    number = shape[0]
    shape, dtype = labels
    if dtype.kind not in "iu" or shape not in ((number,), (number, 1)):
        raise InputError(
            f"{FLAG}: expected {y} as {number} integers, one for each image; "
            f"{file} has {shape} {dtype}"
        )
