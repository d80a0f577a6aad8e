"""What a store holds: artifacts, who makes one now, what an interruption has left."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from dlkeras.pipeline.artifacts.types import Artifact, types_in
from dlkeras.pipeline.engine.lineage import read_lineage_file
from dlkeras.pipeline.store.errors import CorruptArtifactError, InputError
from dlkeras.pipeline.store.ownership import Owner, read_owner
from dlkeras.pipeline.store.publishing import Store
from dlkeras.pipeline.store.record import RECORD_FILE
from dlkeras.pipeline.store.sealed import is_sealed, read_sealed_json


def existing_store(mlruns: Path) -> Path:
    """The store of a folder of runs, which is not made.

    Raises:
        InputError: there is none.
    """
    store = mlruns / "store"
    if not store.is_dir():
        reason = "there is no store in it" if mlruns.exists() else "it does not exist"
        raise InputError(
            f"--mlruns: expected the folder of a pipeline's runs; {mlruns}: {reason}"
        )
    return store


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder, which another process may be changing."""
    return sum(status.st_size for status in _files(folder))


def last_change(folder: Path) -> float:
    """When a folder or a file below it last changed, in seconds since 1970."""
    times = [status.st_mtime for status in _files(folder)]
    for parent, *_ in os.walk(folder):
        with contextlib.suppress(FileNotFoundError):
            times.append(os.lstat(parent).st_mtime)
    return max(times, default=float("inf"))


def _files(folder: Path) -> Iterator[os.stat_result]:
    """Each file below a folder; one that vanishes meanwhile is passed over."""
    for parent, _, names in os.walk(folder):  # it passes over folders that vanish
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                yield os.lstat(os.path.join(parent, name))


def lock_of(folder: Path) -> Path:
    """The lock of an artifact, of its working folder, or of one being written."""
    if folder.parent.name in ("work", "incomplete"):
        name = folder.name.partition(".")[0]
    else:
        name = f"{folder.parent.name}-{folder.name}"
    return folder.parent.parent / "locks" / f"{name}.lock"


def status(store: Path) -> Iterator[str]:
    """Describe a store, a line for each type of artifact, lock and working folder.

    Args:
        store: the folder of the artifacts; nothing in it is changed.
    """
    for name in types_in(store):
        folders = [file.parent for file in (store / name).glob(f"*/{RECORD_FILE}")]
        if folders:
            size = sum(map(size_of, folders)) / 2**20
            yield f"{name:16} {len(folders):4} artifacts {size:10.1f} MiB"
    at_work = set()  # asked once: an artifact that is done meanwhile has one line, too
    for file in sorted((store / "locks").glob("*.owner")):
        lock = file.with_suffix(".lock")
        owner = read_owner(lock)
        if owner is None:
            continue
        state = "has died: the next run takes over"
        if not owner.is_gone:
            state = f"works{_last_checkpoint(store / 'work' / lock.stem)}"
            at_work.add(lock.stem)
        yield f"{lock.stem}: {owner} {state}"
    for folder in sorted((store / "work").glob("*/")):
        if folder.name not in at_work:  # else its files come and go
            size, at = size_of(folder) / 2**20, _last_checkpoint(folder)
            yield f"{folder.name}: interrupted work{at}, {size:.1f} MiB"
    unfinished = [f for f in (store / "incomplete").glob("*/") if not _worker(f)]
    if unfinished:
        size = sum(map(size_of, unfinished)) / 2**20
        yield f"incomplete: {len(unfinished)} folders, {size:.1f} MiB (dlkeras gc)"


def _last_checkpoint(folder: Path) -> str:
    names: list[str] = []
    with contextlib.suppress(FileNotFoundError):
        names = sorted(n for n in os.listdir(folder) if n.endswith(".ckpt"))
    return f", last checkpoint {names[-1]}" if names else ""


def _worker(folder: Path) -> Owner | None:
    """The process that works in a folder now."""
    owner = read_owner(lock_of(folder))
    return None if owner is None or owner.is_gone else owner


def damaged_files(store: Path) -> Iterator[str]:
    """Hash every file again, and name the ones that have changed since."""
    opened = Store(store, make=False)
    for kind in types_in(store).values():
        damaged: list[str] = []
        for artifact in opened.artifacts(kind, damaged.append):
            try:
                opened.check_files(artifact.path, artifact.record)
            except CorruptArtifactError as error:
                if not _was_replaced(artifact):
                    damaged.append(str(error))
        yield from damaged
    records = [(file, read_lineage_file) for file in (store / "runs").glob("*.json")]
    trials = [(file, _read_trial) for file in (store / "trials").glob("*/*.json")]
    for file, read in (*records, *trials):
        try:
            read(file)
        except CorruptArtifactError as error:
            if file.exists():
                yield str(error)


def _read_trial(file: Path) -> None:
    read_sealed_json(file, "a trial", "the next search tries it again")


def _was_replaced(artifact: Artifact) -> bool:
    """Whether a run has made an artifact again, or gc removed it, meanwhile."""
    try:
        return type(artifact).read(artifact.path).record != artifact.record
    except CorruptArtifactError:
        return not artifact.path.exists()


def unsealed_records(store: Path) -> int:
    """Number of artifacts of an earlier version, whose records cannot be checked."""
    number = 0
    for name in types_in(store):
        for file in (store / name).glob(f"*/{RECORD_FILE}"):
            with contextlib.suppress(FileNotFoundError):
                number += not is_sealed(file)
    return number
