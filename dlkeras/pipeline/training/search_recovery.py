"""The files of a search, mended where a kill has torn one.

keras-tuner writes `oracle.json` and each `trial.json` in place. A copy of all of them,
written whole after every trial, takes their place when one cannot be read.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from dlkeras.pipeline.store.publishing import write_atomically

ORACLE = "oracle.json"
_PATTERNS = (ORACLE, "tuner*.json", "chief.json", "trial_*/trial.json")


def _files(project: Path) -> list[Path]:
    return [file for pattern in _PATTERNS for file in sorted(project.glob(pattern))]


def save_search(project: Path, copy: Path) -> None:
    """Copy the files of a search into one, whole or not at all.

    Args:
        project: keras-tuner's folder of the search.
        copy: the file to write.
    """
    texts = {
        file.relative_to(project).as_posix(): file.read_text(encoding="utf-8")
        for file in _files(project)
    }
    write_atomically(copy, json.dumps(texts).encode())


def recover_search(project: Path, copy: Path, say: Callable[[str], None]) -> None:
    """Put the copy in the place of a search in which a file is torn or missing.

    Args:
        project: keras-tuner's folder of the search.
        copy: what `save_search` wrote.
        say: is told what was lost.
    """
    if not project.exists():
        return
    oracle = _read(project / ORACLE)
    trials = oracle.get("start_order", []) if oracle is not None else []
    wanted = [project / f"trial_{trial}" / "trial.json" for trial in trials]
    readable = [_read(file) is not None for file in (*_files(project), *wanted)]
    if oracle is not None and all(readable):
        return
    shutil.rmtree(project)
    texts = _read(copy)
    if texts is None:
        say("the search was cut short while it was saved; it starts afresh")
        return
    say("the search was cut short while it was saved; its last copy is used")
    for name, text in texts.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(project / name, text.encode())


def _read(file: Path) -> dict | None:
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
