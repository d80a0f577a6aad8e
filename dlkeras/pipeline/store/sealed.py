"""JSON files that check themselves: the last entry is the SHA-256 of all before it.

A flipped bit can turn a learning rate into another one, and the JSON stays JSON. So a
file for which no other file vouches ends like this:

      "run_id": "5d0c...",
      "sha256_above": "9f86d081..."
    }
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from dlkeras.pipeline.store.errors import CorruptArtifactError

NAME = b"sha256_above"
_END = b"\n}\n"


def seal(text: str) -> bytes:
    """Give a JSON object, indented, its last entry: the digest of all before it.

    Example:
    >>> unseal(seal(json.dumps({"a": 1}, indent=2)).replace(b"1,", b"2,"))
    Traceback (most recent call last):
    ...
    ValueError: its content is not the one its own SHA-256 was made of
    """
    body = text.strip().removesuffix("\n}").encode()
    return body + _seal_of(body)


def unseal(data: bytes) -> bytes:
    """Check the digest of a sealed JSON object, and give the object without it.

    What was written before there were seals has none, and is given as it is.

    Raises:
        ValueError: the digest is not the one of what comes before it.
    """
    body, end = data[: -len(_seal_of(b""))], data[-len(_seal_of(b"")) :]
    if end == _seal_of(body):
        return body + _END
    if NAME in data:
        raise ValueError("its content is not the one its own SHA-256 was made of")
    return data


def is_sealed(file: Path) -> bool:
    """Whether a file says its own digest; one of an earlier version does not."""
    return NAME in file.read_bytes()[-len(_seal_of(b"")) :]


def seal_json(values: dict[str, Any]) -> bytes:
    """Write an object as sealed JSON."""
    return seal(json.dumps(values, indent=2))


def read_sealed_json(file: Path, what: str, mend: str) -> dict[str, Any]:
    """Read an object of sealed JSON.

    Args:
        file: the file.
        what: what it is, for the error: "the record of a run".
        mend: what the user can do about a damaged one.

    Raises:
        CorruptArtifactError: it is damaged, or not there.
    """
    try:
        values = json.loads(unseal(file.read_bytes()))
        if isinstance(values, dict):
            return values
        reason = "it is no object of JSON"
    except OSError as error:
        reason = error.strerror or str(error)
    except (ValueError, RecursionError):
        reason = "it was damaged"
    raise CorruptArtifactError(f"{file}: expected {what}; {reason}; {mend}")


def _seal_of(body: bytes) -> bytes:
    digest = hashlib.sha256(body).hexdigest().encode()
    return b',\n  "' + NAME + b'": "' + digest + b'"' + _END
