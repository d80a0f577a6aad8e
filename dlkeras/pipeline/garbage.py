"""Garbage: artifacts that no pushed model, blessed model or late run needs."""

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dlkeras.pipeline.artifacts import ARTIFACT_TYPES, RECORD_FILE, Artifact, Blessing
from dlkeras.pipeline.ownership import read_owner
from dlkeras.pipeline.store import Store
from dlkeras.pipeline.store_report import size_of

# What a process is writing changes within minutes.
LITTER_SECONDS = 3600.0


@dataclass(frozen=True)
class Garbage:
    """A folder that can be removed, and what it is."""

    path: Path
    what: str
    size: int


def garbage(store: Path, *, keep_runs: int, min_age: float) -> list[Garbage]:
    """Find what nothing needs; removes nothing.

    Kept are every pushed model and every pipeline's last blessed one with all that they
    were made of, what the latest runs made or reused, and what was used lately.

    Args:
        store: the folder of the artifacts.
        keep_runs: the number of runs of each pipeline that count as late.
        min_age: seconds since an artifact was used, below which it is kept.

    Returns:
        The folders, the largest first.
    """
    if not store.exists():
        return []
    opened = Store(store)
    everything = {
        (name, artifact.record.key): artifact
        for name, kind in ARTIFACT_TYPES.items()
        for artifact in opened.artifacts(kind)
    }
    needed: set[tuple[str, str]] = set()
    for place in _roots(opened, everything.values(), keep_runs):
        _mark(place, everything, needed)
    now = time.time()
    for place, artifact in everything.items():
        if now - (artifact.path / RECORD_FILE).stat().st_mtime < min_age:
            _mark(place, everything, needed)
    found = [
        Garbage(artifact.path, f"made {artifact.record.created[:19]}", size)
        for place, artifact in everything.items()
        if place not in needed
        for size in [size_of(artifact.path)]
    ]
    old = max(min_age, LITTER_SECONDS)
    for folder in (store / "incomplete").iterdir():
        if now - _last_change(folder) > old:
            found.append(Garbage(folder, "never completed", size_of(folder)))
    for folder in (store / "work").iterdir():
        owner = read_owner(store / "locks" / f"{folder.name}.lock")
        worked_on = owner is not None and not owner.is_gone
        if now - _last_change(folder) > old and not worked_on:
            found.append(Garbage(folder, "interrupted work", size_of(folder)))
    return sorted(found, key=lambda piece: -piece.size)


def collect(store: Path, found: Iterable[Garbage]) -> int:
    """Remove folders that `garbage` found; each is out of sight before it is deleted.

    Returns:
        The number of bytes removed.
    """
    freed = 0
    for piece in found:
        name = f"{piece.path.parent.name}-{piece.path.name}"
        with Store(store).named_lock(name), contextlib.suppress(FileNotFoundError):
            aside = Path(tempfile.mkdtemp(dir=store / "incomplete"))
            os.replace(piece.path, aside / "removed")
            shutil.rmtree(aside)
            freed += piece.size
    return freed


def _roots(
    store: Store, artifacts: Iterable[Artifact], keep_runs: int
) -> set[tuple[str, str]]:
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
        with contextlib.suppress(ValueError):
            lineage = json.loads(file.read_text(encoding="utf-8"))
            by_pipeline.setdefault(lineage["pipeline"], []).append(lineage)
    for lineages in by_pipeline.values():
        for lineage in lineages[:keep_runs]:
            roots |= {(step["type"], step["key"]) for step in lineage["steps"]}
    return roots


def _mark(
    place: tuple[str, str],
    everything: dict[tuple[str, str], Artifact],
    needed: set[tuple[str, str]],
) -> None:
    """Note an artifact and all that it was made of as needed."""
    if place in needed or place not in everything:
        return
    needed.add(place)
    for reference in everything[place].record.inputs.values():
        _mark((reference.type, reference.key), everything, needed)


def _last_change(folder: Path) -> float:
    return max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
