"""Garbage: artifacts that no pushed model, blessed model, late or live run needs."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dlkeras.pipeline.artifacts.types import Artifact, Blessing, types_in
from dlkeras.pipeline.engine.lineage import (
    Place,
    in_use,
    places,
    read_lineage_file,
    runs_with_process,
    used_by,
)
from dlkeras.pipeline.engine.store_report import last_change, lock_of, size_of
from dlkeras.pipeline.store.errors import CorruptArtifactError
from dlkeras.pipeline.store.ownership import is_alive, owned_if_free
from dlkeras.pipeline.store.publishing import Store
from dlkeras.pipeline.store.record import RECORD_FILE

# What a process is writing changes within minutes.
LITTER_SECONDS = 3600.0
# Small, and worth hours of training to anyone who searches further.
TRIALS_SECONDS = 30 * 86400.0


@dataclass(frozen=True)
class Garbage:
    """A folder that can be removed, and what it is.

    Attributes:
        path: the folder.
        what: what it is, in some words.
        size: bytes of its files.
        changed: when it was last used (an artifact) or changed, in seconds since 1970.
        place: type and key of the artifact; None where it is none.
        runs: when each run with a process wrote its record last, when this was found.
    """

    path: Path
    what: str
    size: int
    changed: float
    place: Place | None = None
    runs: Mapping[str, int] = field(default_factory=dict, repr=False)


def garbage(store: Path, *, keep_runs: int, min_age: float) -> list[Garbage]:
    """Find what nothing needs; removes nothing.

    Kept are every pushed model and every pipeline's last blessed one with all that they
    were made of, what the latest runs made or reused, what a live run has taken up, and
    what was used lately. Finished trials of a search go a month after their last use.

    Args:
        store: the folder of the artifacts.
        keep_runs: the number of runs of each pipeline that count as late.
        min_age: seconds since an artifact was used, below which it is kept.

    Returns:
        The folders, the largest first.

    Raises:
        CorruptArtifactError: the record of an artifact or a run was damaged, so that
            nobody knows what it needs.
    """
    opened = Store(store, make=False)
    runs = runs_with_process(store)  # before what they use is read
    everything: dict[Place, Artifact] = {
        (name, artifact.record.key): artifact
        for name, kind in types_in(store).items()
        for artifact in opened.artifacts(kind, _stop)
    }
    used = {place: _last_use(artifact.path) for place, artifact in everything.items()}
    needed: set[Place] = set()
    for place in in_use(store) | _roots(opened, everything.values(), keep_runs):
        _mark(place, everything, needed)
    now = time.time()
    for place, last in used.items():
        if now - last < min_age:
            _mark(place, everything, needed)
    found = [
        Garbage(
            artifact.path,
            f"made {artifact.record.created[:19]}",
            size_of(artifact.path),
            used[place],
            place,
            runs,
        )
        for place, artifact in everything.items()
        if place not in needed
    ]
    old = now - max(min_age, LITTER_SECONDS)
    for part, what in (("incomplete", "never completed"), ("work", "interrupted work")):
        for folder in (store / part).glob("*/"):
            # What is worked on is not even looked into.
            if not is_alive(lock_of(folder)) and (last := last_change(folder)) <= old:
                found.append(Garbage(folder, what, size_of(folder), last))
    old = now - max(min_age, TRIALS_SECONDS)
    for folder in (store / "trials").glob("*/"):
        if (last := last_change(folder)) <= old:
            what = "finished trials, not used for a month"
            found.append(Garbage(folder, what, size_of(folder), last))
    return sorted(found, key=lambda piece: -piece.size)


def collect(
    store: Path,
    found: Iterable[Garbage],
    say: Callable[[str], None] = lambda text: None,
) -> int:
    """Remove folders that `garbage` found, but for those in use by now.

    Each is looked at again while its lock is held, and is out of sight before it is
    deleted. What another process works on is left.

    Args:
        store: the folder of the artifacts.
        found: what to remove.
        say: is told of each folder that is left.

    Returns:
        The number of bytes removed.
    """
    freed = 0
    for piece in found:
        if not piece.path.exists():
            continue
        aside = None
        with owned_if_free(lock_of(piece.path), "garbage collection") as is_ours:
            if is_ours and not _is_used(store, piece):
                (store / "incomplete").mkdir(exist_ok=True)
                aside = Path(tempfile.mkdtemp(dir=store / "incomplete"))
                os.replace(piece.path, aside / "removed")
                freed += piece.size
        if aside is None:
            say(f"left, in use by now: {piece.path}")
        else:
            shutil.rmtree(aside, ignore_errors=True)
    return freed


def _is_used(store: Path, piece: Garbage) -> bool:
    """Whether anybody has taken a folder up since it was found."""
    if piece.place is None:
        return last_change(piece.path) != piece.changed
    if _last_use(piece.path) != piece.changed:
        return True
    now = runs_with_process(store).items()
    changed = [run for run, wrote in now if piece.runs.get(run) != wrote]
    return any(piece.place in used_by(store, run) for run in changed)


def _last_use(artifact: Path) -> float:
    """When an artifact was last used; now where another process replaces it."""
    try:
        return (artifact / RECORD_FILE).stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _stop(problem: str) -> None:
    raise CorruptArtifactError(
        f"nothing is removed, for nobody knows what this artifact needs: {problem}, or "
        "remove its folder"
    )


def _roots(store: Store, artifacts: Iterable[Artifact], keep_runs: int) -> set[Place]:
    roots = {
        (a.record.type, a.record.key)
        for a in artifacts
        if a.record.type == "PushedModel"
    }
    last_blessed = {
        blessing.record.pipeline: blessing
        for blessing in store.artifacts(Blessing)
        if blessing.blessed
    }
    roots |= {("Blessing", b.record.key) for b in last_blessed.values()}
    by_pipeline: dict[str, list[dict]] = {}
    files = sorted(
        (store.root / "runs").glob("*.json"), key=lambda f: f.stat().st_mtime
    )
    for file in reversed(files):
        lineage = read_lineage_file(file)
        by_pipeline.setdefault(lineage["pipeline"], []).append(lineage)
    for lineages in by_pipeline.values():
        for lineage in lineages[:keep_runs]:
            roots |= places(lineage)
    return roots


def _mark(place: Place, everything: dict[Place, Artifact], needed: set[Place]) -> None:
    """Note an artifact and all that it was made of as needed."""
    if place in needed or place not in everything:
        return
    needed.add(place)
    for reference in everything[place].record.inputs.values():
        _mark((reference.type, reference.key), everything, needed)
