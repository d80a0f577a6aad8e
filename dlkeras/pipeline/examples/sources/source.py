"""What a source of examples is: named images with labels, and what is wrong with it."""

import os
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from dlkeras.pipeline.examples.sources.label_kinds import Label

SPLIT_NAMES = {
    name: split
    for split, names in {
        "train": "train training trainset trainingset trn",
        "validation": "validation validate valid val valset validationset dev",
        "test": "test testing testset tst",
    }.items()
    for name in names.split()
}


def split_name(text: str) -> str | None:
    """The split that a name stands for, in any case; None where it stands for none.

    Example:
    >>> split_name("Val"), split_name("test_set"), split_name("cat")
    ('validation', 'test', None)
    """
    plain = unicodedata.normalize("NFKC", text).strip().lower()
    return SPLIT_NAMES.get(plain.replace("_", "").replace("-", "").replace(" ", ""))


@dataclass(frozen=True)
class SourceExample:
    """One image of a source: where it is, what it shows, and how to get its bytes.

    Attributes:
        id: the file's or record's name, which errors and tables use.
        split: "train", "validation" or "test"; None where the source does not say.
        label: the class's number; a tuple of them where an image has several; or a
            float where the label is a number.
        read: gives the bytes of an image file, or pixels `(height, width[, channels])`
            uint8.
        group: examples of one group never land in two splits; None for no group.
        file: the file on disk, where the image is one.
    """

    id: str
    split: str | None
    label: Label
    read: Callable[[], "bytes | np.ndarray"]
    group: str | None = None
    file: str | Path | None = None


@dataclass(frozen=True)
class Problem:
    """An example that the source cannot give.

    Attributes:
        id: the file, row or record.
        reason: what is wrong with it.
        count: the number of examples that are lost by it.
    """

    id: str
    reason: str
    count: int = 1


@dataclass(frozen=True)
class Ignored:
    """A file beside the examples that is none of them.

    Attributes:
        name: the file, below the source.
        reason: why it is left out.
        expected: nobody misses it: it is hidden, or systems leave it behind.
    """

    name: str
    reason: str
    expected: bool = False


class Source(Protocol):
    """Where examples come from.

    Attributes:
        description: what it is, in some words.
        labels: names of the classes.
        ignored: files that lie beside the examples and are none.
        splits: the splits that the source itself gives.

    A source may have `metadata`, too: a pandas table of what else is known of the
    examples, a row for each `id`; `outside`: links that lead out of its folder; and
    `label_counts`: the number of examples of each label whose split is still to be
    drawn, by its number, where that is known before they are read.
    """

    description: str
    labels: tuple[str, ...]
    ignored: list[Ignored]
    splits: frozenset[str]

    def __len__(self) -> int:
        """Number of examples and problems."""
        ...

    def examples(
        self, start: int = 0, stop: int | None = None
    ) -> Iterator[SourceExample | Problem]:
        """Go through a part of the examples, in the same order every time.

        Any part may be read at any time, so that several processes share the work.
        """
        ...


def printable(name: str | Path) -> str:
    r"""Write a file's name in UTF-8 without control characters, whatever it is.

    >>> import os
    >>> printable(os.fsdecode(b"caf\xe9\n.png"))
    'caf\\xe9\\x0a.png'
    """
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
