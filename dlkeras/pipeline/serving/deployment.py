"""A pushed model where TensorFlow Serving looks for it: BASE/NAME/VERSION."""

import json
import os
import shutil
import uuid
from pathlib import Path

import filelock

from dlkeras.pipeline.artifacts.types import PushedModel
from dlkeras.pipeline.serving.servable import FILES, SAVED_MODEL
from dlkeras.pipeline.store.errors import InputError, reason
from dlkeras.pipeline.store.publishing import fsync_path, storage_errors

# TensorFlow Serving passes over names that are no number, and this folder of a version.
_INCOMPLETE, _LOCK, _LAST = ".incomplete-", ".dlkeras.lock", ".dlkeras.version"
_MARK = Path("assets.extra", "dlkeras.json")


def check_destination(destination: Path | None) -> None:
    """Refuse a place that cannot hold a model, before anything is trained.

    Raises:
        InputError: it is a file, or may not be written.
    """
    if destination is None:
        return
    try:
        destination.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"--pusher.destination: expected a folder; {destination}: {reason(error)}"
        ) from error
    if not os.access(destination, os.W_OK | os.X_OK):
        raise InputError(
            f"--pusher.destination: expected a folder that you may write; {destination}"
        )


def deploy(pushed: PushedModel, destination: Path) -> Path:
    """Put a model's SavedModel below a folder that TensorFlow Serving watches, once.

    A version appears whole or not at all. Its number is above all earlier ones, also
    above versions that were removed since.

    Args:
        pushed: the model.
        destination: the base; the model's name is a folder in it.

    Returns:
        The folder of the version, `DESTINATION/NAME/VERSION`. A model that is there
        already, of whichever number, keeps it: one that you have put back stays back.

    Raises:
        StorageError: the folder cannot be written, or its disk is full.

    Example:
    ```python
    deploy(result.artifacts["PushedModel"], Path("/srv/models"))
    ```

    Reference:
        Olston et al., "TensorFlow-Serving", 2017.
    """
    folder = destination.resolve() / pushed.properties["name"]
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / _LOCK):
            return _deploy(pushed, folder)


def _deploy(pushed: PushedModel, folder: Path) -> Path:
    digest = pushed.record.digest
    versions = [
        int(p.name) for p in folder.iterdir() if p.name.isascii() and p.name.isdigit()
    ]
    for number in sorted(versions, reverse=True):
        if _digest_of(folder / str(number)) == digest:
            return folder / str(number)
    for left in folder.glob(f"{_INCOMPLETE}*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    draft = folder / f"{_INCOMPLETE}{uuid.uuid4().hex}"
    shutil.copytree(pushed.path / FILES[SAVED_MODEL], draft)
    (draft / _MARK).parent.mkdir(exist_ok=True)
    mark = {"digest": digest, "name": pushed.properties["name"]}
    (draft / _MARK).write_text(json.dumps(mark), encoding="utf-8")
    number = max([*versions, _last(folder)], default=0) + 1
    (folder / _LAST).write_text(f"{number}\n", encoding="utf-8")
    for path in (*draft.rglob("*"), draft):
        fsync_path(path)
    version = folder / str(number)
    draft.rename(version)
    fsync_path(folder)
    return version


def _last(folder: Path) -> int:
    """The highest number so far, also of versions that are gone."""
    try:
        return int((folder / _LAST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0


def _digest_of(version: Path) -> str | None:
    try:
        return json.loads((version / _MARK).read_text(encoding="utf-8"))["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # somebody else's
