"""What a store holds: artifacts, who makes one now, what an interruption has left."""

from collections.abc import Iterator
from pathlib import Path

from dlkeras.pipeline.artifacts import ARTIFACT_TYPES, RECORD_FILE
from dlkeras.pipeline.errors import CorruptArtifactError
from dlkeras.pipeline.ownership import read_owner
from dlkeras.pipeline.store import Store


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def status(store: Path) -> Iterator[str]:
    """Describe a store, a line for each type of artifact, lock and working folder."""
    if not store.exists():
        yield f"no store in {store.parent}"
        return
    for name in ARTIFACT_TYPES:
        folders = [file.parent for file in (store / name).glob(f"*/{RECORD_FILE}")]
        if folders:
            size = sum(map(size_of, folders)) / 2**20
            yield f"{name:16} {len(folders):4} artifacts {size:10.1f} MiB"
    for file in sorted((store / "locks").glob("*.owner")):
        lock = file.with_suffix(".lock")
        owner = read_owner(lock)
        if owner is not None:
            state = "has died: the next run takes over" if owner.is_gone else "works"
            yield f"{lock.stem}: {owner} {state}"
    for folder in sorted((store / "work").glob("*")):
        checkpoints = sorted(file.name for file in folder.glob("*.ckpt"))
        at = f", last checkpoint {checkpoints[-1]}" if checkpoints else ""
        yield f"{folder.name}: interrupted work{at}, {size_of(folder) / 2**20:.1f} MiB"
    unfinished = list((store / "incomplete").iterdir())
    if unfinished:
        size = sum(map(size_of, unfinished)) / 2**20
        yield f"incomplete: {len(unfinished)} folders, {size:.1f} MiB (dlkeras gc)"


def damaged_files(store: Path) -> Iterator[str]:
    """Hash every file again, and name those that are not what was published."""
    opened = Store(store)
    for kind in ARTIFACT_TYPES.values():
        whole = {artifact.path for artifact in opened.artifacts(kind)}
        for record in (store / kind.__name__).glob(f"*/{RECORD_FILE}"):
            if record.parent not in whole:
                yield f"{record}: the record cannot be read"
        for artifact in opened.artifacts(kind):
            try:
                opened.check_files(artifact.path, artifact.record)
            except CorruptArtifactError as error:
                yield str(error)
