"""The names of the classes: each belongs to one output, so no name comes twice."""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from dlkeras.pipeline.store.errors import InputError
from dlkeras.untrusted.gate import UntrustedFileError, read_regular

# They show nothing and join nothing, as the joiner of an emoji does: the zero-width
# space, the word joiner, the mark of byte order, the soft hyphen.
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u2060\ufeff\u00ad"))
LABELS_FILE = "labels.json"
# The names of 21,000 classes of ImageNet take 1 MB. As objects they take 20 times that.
MAX_BYTES = 2**23


def label_name(text: str) -> str:
    r"""Write a class's name one way, however a system or a person has written it.

    Example:
    >>> label_name("Cafe\u0301 ") == label_name("\u200bCaf\u00e9") == "Caf\u00e9"
    True
    """
    return unicodedata.normalize("NFC", text).translate(_INVISIBLE).strip()


def look_alike(labels: Iterable[str]) -> list[list[str]]:
    """The labels that differ in nothing but case, spaces, hyphens and underscores.

    Example:
    >>> look_alike(["cat", "Cat", "dog", "sea lion", "sea_lion"])
    [['cat', 'Cat'], ['sea lion', 'sea_lion']]
    """
    alike: dict[str, list[str]] = {}
    for label in labels:
        folded = unicodedata.normalize("NFKC", label).casefold()
        key = "".join(c for c in folded if not (c.isspace() or c in "_-"))
        alike.setdefault(key, []).append(label)
    return [names for names in alike.values() if len(names) > 1]


def joined_labels(labels: Iterable[str]) -> dict[str, list[str]]:
    """The labels that join others, as people write several labels of one image.

    Example:
    >>> joined_labels(["cat", "dog", "cat|dog", "cat, dog", "black and white"])
    {'cat|dog': ['cat', 'dog'], 'cat, dog': ['cat', 'dog']}
    """
    known = set(labels)
    found = {}
    for label in labels:
        parts = [part.strip() for part in re.split(r"[|;,+&/]", label)]
        if len(parts) > 1 and set(parts) <= known:
            found[label] = parts
    return found


def repeated(labels: Iterable[str]) -> str:
    """The labels that come more than once, in one line; empty where there are none.

    Example:
    >>> repeated(["cat", "dog", "cat"]), repeated(["cat", "dog"])
    ("'cat'", '')
    """
    counts = Counter(labels).items()
    return ", ".join(repr(label) for label, count in counts if count > 1)


def read_labels(folder: Path) -> list[str] | None:
    """Read the labels beside a pushed model's file.

    Returns:
        The labels, or None where there is no such file.

    Raises:
        InputError: the file is not a list of different names.
    """
    file = folder / LABELS_FILE
    if not file.is_file():
        return None
    expected = f"MODEL: expected a list of names in {file}"
    try:
        labels = json.loads(read_regular(file, MAX_BYTES))
    except UntrustedFileError as error:
        raise InputError(f"{expected}; {error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{expected}; it is not JSON") from error
    if not isinstance(labels, list) or not all(isinstance(n, str) for n in labels):
        raise InputError(f"{expected}; it holds something else")
    if twice := repeated(labels):
        raise InputError(f"{expected}, each once; {twice} comes more often")
    return labels
