"""The record of a run: which steps it took, and what each of them read and wrote.

It is written again with every artifact that the run takes up. While the run's process
lives, what it names is in use: `dlkeras gc` leaves it where it is.
"""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.ownership import is_alive
from dlkeras.pipeline.store.publishing import write_atomically
from dlkeras.pipeline.store.sealed import read_sealed_json, seal_json

Place = tuple[str, str]


def lineage_file(store: Path, run_id: str) -> Path:
    """Where the record of a run is."""
    return store / "runs" / f"{run_id}.json"


def run_lock(store: Path, run_id: str) -> Path:
    """Beside which file the process that runs it is written."""
    return store / "locks" / f"run-{run_id}.lock"


def write_lineage(
    store: Path, lineage: dict[str, Any], uses: Iterable[Place] = ()
) -> None:
    """Write the record of a run, whole or not at all.

    Args:
        store: folder of the store.
        lineage: `run_id`, `pipeline` and `steps`.
        uses: type and key of each artifact that the run reads, be it to compare.
    """
    used = [{"type": kind, "key": key} for kind, key in uses]
    file = lineage_file(store, lineage["run_id"])
    write_atomically(file, seal_json({**lineage, "uses": used}))


def read_lineage_file(file: Path) -> dict[str, Any]:
    """Read the record of one run.

    Raises:
        CorruptArtifactError: the record was damaged.
    """
    mend = "run the same job again, which writes it, or remove the file"
    return read_sealed_json(file, "the record of a run", mend)


def places(lineage: dict[str, Any]) -> set[Place]:
    """Type and key of each artifact that a run made or reused."""
    return {(step["type"], step["key"]) for step in lineage["steps"]}


def runs_with_process(store: Path) -> dict[str, int]:
    """When each run beside which a process is written, dead or alive, wrote its record.

    Returns:
        Nanoseconds since 1970 by the run's id.
    """
    runs = {}
    for owner in (store / "locks").glob("run-*.owner"):
        run_id = owner.stem.removeprefix("run-")
        with contextlib.suppress(FileNotFoundError):
            runs[run_id] = lineage_file(store, run_id).stat().st_mtime_ns
    return runs


def used_by(store: Path, run_id: str) -> set[Place]:
    """Type and key of each artifact that a run has taken up so far, be it to compare.

    Raises:
        CorruptArtifactError: the record of the run was damaged.
    """
    lineage = read_lineage_file(lineage_file(store, run_id))
    uses = lineage.get("uses", ())
    return places(lineage) | {(use["type"], use["key"]) for use in uses}


def in_use(store: Path) -> set[Place]:
    """Type and key of each artifact that a run which is alive has taken up so far.

    Of a run on another machine it takes some seconds to see whether it is alive.

    Raises:
        CorruptArtifactError: the record of such a run was damaged.
    """
    used: set[Place] = set()
    for run_id in runs_with_process(store):
        if is_alive(run_lock(store, run_id)):
            used |= used_by(store, run_id)
    return used


def read_lineage(store: Path, run: str) -> dict[str, Any]:
    """Read the record of one run.

    Args:
        store: folder of the store.
        run: the run's id, its beginning, or "last".

    Returns:
        `run_id`, `pipeline` and `steps`, as the run wrote them.

    Raises:
        InputError: the name fits no run, or several.
        CorruptArtifactError: the record was damaged.
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
    return read_lineage_file(found[0])
