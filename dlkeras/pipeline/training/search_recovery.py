"""The files of a search, mended where a kill has torn one or a bit of one has changed.

keras-tuner writes `oracle.json` and each `trial.json` in place, and checks none of
them. A copy, sealed and written whole when a trial begins and when it has ended, takes
their place where they are others than it says.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlkeras.pipeline.store.digests import file_digest
from dlkeras.pipeline.store.publishing import write_atomically
from dlkeras.pipeline.store.sealed import seal_json, unseal

ORACLE = "oracle.json"
_PATTERNS = (ORACLE, "tuner*.json", "chief.json", "trial_*/trial.json")
_WEIGHTS = "trial_{}/checkpoint.weights.h5"


def _files(project: Path) -> list[Path]:
    return [file for pattern in _PATTERNS for file in sorted(project.glob(pattern))]


def _texts(project: Path) -> dict[str, str]:
    return {
        file.relative_to(project).as_posix(): file.read_text("utf-8", "replace")
        for file in _files(project)
    }


def save_search(project: Path, copy: Path) -> None:
    """Copy the files of a search into one, whole or not at all.

    Args:
        project: keras-tuner's folder of the search.
        copy: the file to write.
    """
    texts, weights = _texts(project), {}
    values = {name: _value(text) for name, text in texts.items()}
    oracle = values.get(ORACLE)
    if oracle is None or None in values.values():
        return  # a worker's trial is being written; the next copy has it
    if "brackets" in oracle:  # Hyperband's later trials begin with earlier weights
        files = (_WEIGHTS.format(trial) for trial in oracle["end_order"])
        weights = {f: file_digest(project / f) for f in files if (project / f).exists()}
    write_atomically(copy, seal_json({"texts": texts, "weights": weights}))


def recover_search(project: Path, copy: Path, say: Callable[[str], None]) -> None:
    """Put the copy in the place of the files of a search that differ from it.

    Args:
        project: keras-tuner's folder of the search.
        copy: what `save_search` wrote.
        say: is told what was lost.
    """
    if not project.exists():
        return
    saved = _read(copy)
    if saved is None:  # where the copy was damaged the files are what was saved
        if not _are_whole(project):
            say("the search was cut short while it was saved; it starts afresh")
            shutil.rmtree(project)
        return
    for name, digest in saved["weights"].items():
        file = project / name
        if not file.is_file() or file_digest(file) != digest:
            say(f"the search starts afresh: {file} was damaged")
            shutil.rmtree(project)
            return
    texts = saved["texts"]
    if texts == _texts(project):
        return
    say(
        "the search was cut short while it was saved, or a file of it was damaged; its "
        "last copy is used"
    )
    for file in _files(project):
        file.unlink()
    for name, text in texts.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(project / name, text.encode())


def _are_whole(project: Path) -> bool:
    """Whether all files can be read, and those of all trials are there."""
    oracle = _read(project / ORACLE)
    if oracle is None:
        return False
    trials = [project / f"trial_{t}/trial.json" for t in oracle.get("start_order", ())]
    return all(_read(file) is not None for file in (*_files(project), *trials))


def _read(file: Path) -> dict[str, Any] | None:
    try:
        return _value(unseal(file.read_bytes()))
    except (OSError, ValueError):
        return None


def _value(text: bytes | str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
