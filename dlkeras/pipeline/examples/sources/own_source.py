"""Your own source: a function, a tf.data set, arrays, a Hugging Face data set.

It is gone through once, before the key of the examples is known: each image goes into a
file of a temporary folder, and its content into the key.
"""

import atexit
import functools
import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlkeras.pipeline.configuration.references import find
from dlkeras.pipeline.examples.sources.source import (
    Ignored,
    SourceExample,
    printable,
    split_name,
)
from dlkeras.pipeline.store.errors import InputError, reason

FLAG = "--example-gen.source"


_spooled: dict[str, tuple[Any, "OwnSource"]] = {}


def spooled(reference: str) -> "OwnSource":
    """Go through a source once in this process's life.

    Raises:
        InputError: there is no such source, or an example of it is none.
    """
    given = find(reference, FLAG)
    if reference in _spooled and _spooled[reference][0] is given:
        return _spooled[reference][1]
    folder = Path(tempfile.mkdtemp(prefix="dlkeras-source-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _spooled[reference] = given, OwnSource(given, folder, reference)
    return _spooled[reference][1]


class OwnSource:
    """Examples of a Python object.

    Args:
        given: a function without arguments that yields (image, label) or (image, label,
            name); a `tf.data.Dataset` or a `keras.utils.PyDataset` of (images, labels),
            in batches or not; a pair of arrays; a Hugging Face data set with the
            columns image and label; or a dictionary of such by split: train,
            validation, test. An image is uint8 `(height, width[, channels])`, or the
            bytes of a file; a label a number or a text.
        folder: where the images are kept.
        reference: its name in the configuration.

    Raises:
        InputError: an example is of another kind; the message names it.
    """

    def __init__(self, given: Any, folder: Path, reference: str):
        self.description = f"source {reference}"
        self.ignored: list[Ignored] = []
        self._rows: list[tuple[str, str | None, Any, str]] = []
        self._folder = folder
        names: list[str] | None = None
        digest = hashlib.sha256()
        given = given() if callable(given) else given
        parts = given.items() if _has_splits(given) else [("", given)]
        for part, data in parts:
            names = names or _label_names(data)
            for number, row in enumerate(_rows_of(data)):
                self._add(part, number, row, digest)
        if not self._rows:
            raise InputError(f"{FLAG}: expected examples; {reference} gives none")
        self.splits = frozenset(filter(None, (split for _, split, *_ in self._rows)))
        values = {label for *_, label, _ in self._rows}
        if len({type(value) for value in values}) > 1:
            raise InputError(f"{FLAG}: expected all labels as numbers or all as texts")
        if isinstance(next(iter(values)), str):
            self.labels = tuple(sorted(values))
        else:
            highest = max(values)
            width = len(str(highest))
            plain = [f"{number:0{width}d}" for number in range(highest + 1)]
            self.labels = tuple(names or plain)
        if not (names is None or len(values) <= len(names)):
            raise InputError(f"{FLAG}: expected labels below {len(names)}")
        digest.update(repr(self.labels).encode())
        self.digest = digest.hexdigest()

    def _add(self, part: str, number: int, row: Any, digest: Any) -> None:
        where = f"{part}[{number}]"
        if not isinstance(row, tuple | list) or len(row) not in (2, 3):
            raise InputError(
                f"{FLAG}: expected (image, label) or (image, label, name) for each "
                f"example; {where} is {type(row).__name__}"
            )
        image, label, *name = row
        identifier = printable(str(name[0])) if name else where
        label = label.item() if isinstance(label, np.generic | np.ndarray) else label
        label = label.decode() if isinstance(label, bytes) else label
        if isinstance(label, bool) or not isinstance(label, int | str):
            raise InputError(
                f"{FLAG}: expected a label as a whole number or a text; {identifier} "
                f"has {label!r}"
            )
        if isinstance(label, int) and label < 0:
            raise InputError(f"{FLAG}: expected labels of at least 0; {identifier} has "
                             f"{label}")  # fmt: skip
        if not isinstance(image, bytes):
            pixels = np.asarray(image)
            if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
                raise InputError(
                    f"{FLAG}: expected images as uint8 (height, width[, channels]) or "
                    f"the bytes of a file; {identifier} is {pixels.shape} "
                    f"{pixels.dtype}"
                )
            np.save(self._folder / f"{len(self._rows)}.npy", pixels)
            kind, content = "npy", pixels.tobytes() + repr(pixels.shape).encode()
        else:
            (self._folder / f"{len(self._rows)}.file").write_bytes(image)
            kind, content = "file", image
        split = split_name(part) if part else None
        digest.update(hashlib.sha256(content).digest())
        digest.update(repr((identifier, split, label)).encode())
        self._rows.append((identifier, split, label, kind))

    def __len__(self) -> int:
        return len(self._rows)

    def examples(
        self, start: int = 0, stop: int | None = None
    ) -> Iterator[SourceExample]:
        """Go through a part of the examples, in the order in which they came."""
        numbers = {label: number for number, label in enumerate(self.labels)}
        for index in range(*slice(start, stop).indices(len(self))):
            identifier, split, label, kind = self._rows[index]
            number = numbers[label] if isinstance(label, str) else label
            file = self._folder / f"{index}.{kind}"
            read = (
                functools.partial(np.load, file) if kind == "npy" else file.read_bytes
            )
            yield SourceExample(identifier, split, number, read)


def _has_splits(data: Any) -> bool:
    """Whether it is a dictionary of sources by split."""
    if not isinstance(data, Mapping) or not data:
        return False
    if unknown := [name for name in data if split_name(str(name)) is None]:
        raise InputError(
            f"{FLAG}: expected the splits train, validation and test; received "
            f"{unknown[0]!r}"
        )
    return True


def _label_names(data: Any) -> list[str] | None:
    """The names of the classes that a Hugging Face data set knows."""
    features = getattr(data, "features", None)
    if not isinstance(features, Mapping):
        return None
    names = getattr(features.get("label"), "names", None)
    return list(names) if names else None


def _rows_of(data: Any) -> Iterable[Any]:
    """The examples of one of the kinds, one by one."""
    try:
        if hasattr(data, "as_numpy_iterator"):  # tf.data
            return _unbatched(data.as_numpy_iterator())
        if hasattr(data, "column_names"):  # Hugging Face: a PIL image
            return ((_pixels(row["image"]), row["label"]) for row in data)
        if hasattr(data, "__getitem__") and hasattr(data, "num_batches"):  # PyDataset
            return _unbatched(data[index] for index in range(len(data)))
        if isinstance(data, tuple | list) and len(data) == 2 and _are_arrays(data):
            images, labels = data
            if len(images) != len(labels):
                raise InputError(
                    f"{FLAG}: expected as many labels as images; received "
                    f"{len(images)} images, {len(labels)} labels"
                )
            return zip(images, np.asarray(labels).reshape(-1), strict=True)
        rows: Any = data() if callable(data) else data
        return iter(rows)
    except (TypeError, KeyError) as error:
        raise InputError(
            f"{FLAG}: expected a function that yields examples, a tf.data set, a "
            f"PyDataset, two arrays or a Hugging Face data set; received "
            f"{type(data).__name__}: {reason(error)}"
        ) from error


def _are_arrays(data: Any) -> bool:
    return all(hasattr(part, "shape") for part in data)


def _pixels(image: Any) -> Any:
    """A PIL image's pixels; palettes and alpha as grey or colour."""
    mode = getattr(image, "mode", None)
    if mode is not None and mode not in ("L", "RGB"):
        image = image.convert("RGB")
    return np.asarray(image)


def _unbatched(batches: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Single examples of (images, labels) or dictionaries, in batches or not."""
    for batch in batches:
        if isinstance(batch, Mapping):
            batch = (batch["image"], batch["label"])
        images, labels = batch[0], batch[1]
        if np.ndim(labels) == 0:
            yield images, labels
        elif np.ndim(labels) == 1 and np.ndim(images) == 3:  # one-hot
            yield images, int(np.argmax(labels))
        elif np.ndim(labels) == 2 and np.shape(labels)[1] > 1:
            yield from zip(images, np.argmax(labels, -1), strict=True)
        else:
            yield from zip(images, np.reshape(labels, -1), strict=True)
