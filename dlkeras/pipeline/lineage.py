"""The record of a run: which steps it took, and what each of them read and wrote."""

import json
from pathlib import Path
from typing import Any

from dlkeras.pipeline.errors import CorruptArtifactError, InputError


def read_lineage(store: Path, run: str) -> dict[str, Any]:
    """Read the record of one run.

    Args:
        store: folder of the store.
        run: the run's id, its beginning, or "last".

    Returns:
        `run_id`, `pipeline` and `steps`, as the run wrote them.

    Raises:
        InputError: the name fits no run, or several.
        CorruptArtifactError: the record cannot be read.
    """
    folder = store / "runs"
    files = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
    if run in ("last", "latest"):
        found = files[-1:]
    else:
        found = [file for file in files if file.stem.startswith(run)]
    if len(found) != 1:
        known = ", ".join(file.stem[:8] for file in files[-5:]) or "none"
        raise InputError(
            f"RUN: expected the beginning of one run's id; {run!r} fits "
            f"{len(found)} runs in {folder}; the latest are: {known}"
        )
    try:
        return json.loads(found[0].read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorruptArtifactError(
            f"{found[0]}: expected the record of a run; it cannot be read; run the "
            "same job again to have it written anew"
        ) from error
