"""The names of the classes: each stands for one output, so that none may come twice."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from dlkeras.pipeline.errors import InputError
from dlkeras.untrusted.gate import UntrustedFileError, read_regular

LABELS_FILE = "labels.json"
# The names of 21,000 classes of ImageNet take 1 MB. As objects they take 20 times that.
MAX_BYTES = 2**23


def repeated(labels: Iterable[str]) -> str:
    """The labels that come more than once, in one line; empty where there are none.

    Example:
    >>> repeated(["cat", "dog", "cat"]), repeated(["cat", "dog"])
    ("'cat'", '')
    """
    counts = Counter(labels).items()
    return ", ".join(repr(label) for label, count in counts if count > 1)


def read_labels(folder: Path) -> list[str] | None:
    """Read the labels that stand beside a pushed model's file.

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
        raise InputError(f"{expected}, each once; {twice} stands there more often")
    return labels
