"""The manifest of a pushed model, `MANIFEST.sha256`: written, and compared when read.

It lists every file that the pusher writes. MLflow writes its own around them later
(`MLmodel`): their SHA-256 are in the registry, with the model's version.
"""

import hashlib
import os
import re
from pathlib import Path

from dlkeras.pipeline.artifacts.types import PushedModel
from dlkeras.pipeline.store.errors import CorruptArtifactError, reason
from dlkeras.pipeline.store.publishing import file_digest
from dlkeras.pipeline.store.record import RECORD_FILE, Record
from dlkeras.untrusted.gate import UntrustedFileError, open_regular, read_regular

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
# The lines of ten thousand files; a pushed model has fifty.
MAX_BYTES = 2**20
# It has the names of all classes, and takes 20 times as much as objects.
MAX_RECORD = 2**23


def write_manifest(folder: Path) -> None:
    """List every file of a folder with its SHA-256, as `sha256sum -c` reads it."""
    lines = [
        f"{file_digest(file)}  {file.relative_to(folder).as_posix()}\n"
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    ]
    (folder / PushedModel.MANIFEST).write_text("".join(lines), encoding="utf-8")


def check_manifest(folder: Path, required: bool = False) -> None:
    """Compare a pushed model with the manifest beside it.

    A flipped bit inside a `.keras` file would load, and answer wrongly.

    Args:
        folder: what the pusher wrote, or a copy of it; or a folder with a `.keras` file
            of anybody's, which may have no manifest.
        required: whether it must have one. What has the record of an artifact must.

    Raises:
        CorruptArtifactError: a file is not the one in the manifest, or the manifest
            itself was damaged.
    """
    manifest, record = folder / PushedModel.MANIFEST, _record(folder)
    if not manifest.exists():
        if required or (record is not None and PushedModel.MANIFEST in record.files):
            raise CorruptArtifactError(
                f"{manifest}: expected a manifest; there is none"
            )
        return
    published = read_manifest(manifest)
    if record is not None and PushedModel.MANIFEST in record.files:
        check_digest(manifest, record.files[PushedModel.MANIFEST].sha256)
    for name, digest in published.items():
        check_digest(folder / name, digest)
    for name in _pushed_files(folder):
        if name not in published:
            raise CorruptArtifactError(
                f"{manifest}: expected every file that was pushed; it lacks {name}"
            )


def read_manifest(manifest: Path) -> dict[str, str]:
    """Read the SHA-256 of each file that a manifest lists.

    Raises:
        CorruptArtifactError: it is no manifest, or names files elsewhere.
    """
    expected = f"{manifest}: expected lines of a SHA-256, two spaces and a name"
    try:
        text = read_regular(manifest, MAX_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorruptArtifactError(f"{expected}; it is not UTF-8") from error
    except (OSError, UntrustedFileError) as error:
        raise CorruptArtifactError(f"{expected}; {reason(error)}") from error
    if not text.endswith("\n"):
        what = "its last line is cut" if text else "it is empty"
        raise CorruptArtifactError(f"{expected}; {what}")
    published: dict[str, str] = {}
    folder, files = manifest.parent.resolve(), set()
    for number, line in enumerate(text[:-1].split("\n"), 1):
        found = _LINE.fullmatch(line)
        if found is None:
            raise CorruptArtifactError(f"{expected}; line {number} is {line[:80]!r}")
        digest, name = found.groups()
        file = None if "\0" in name else (manifest.parent / name).resolve()
        if file is None or not file.is_relative_to(folder):
            raise CorruptArtifactError(
                f"{manifest}: expected files beside it; it names {name!r}"
            )
        if file in files:  # by a link, maybe
            raise CorruptArtifactError(f"{manifest}: it names {name!r} twice")
        files.add(file)
        published[name] = digest
    return published


def _record(folder: Path) -> Record | None:
    """The record beside a pushed model in the store and in MLflow."""
    file = folder / RECORD_FILE
    if not file.is_file():
        return None
    try:
        return Record.from_bytes(read_regular(file, MAX_RECORD))
    except ValueError as error:
        raise CorruptArtifactError(
            f"{file}: expected the record of the pushed model; it was damaged"
        ) from error


def check_digest(file: Path, published: str) -> None:
    """Compare a file with the SHA-256 that it had when it was pushed.

    Raises:
        CorruptArtifactError: it has another one, or is gone.
    """
    received = "no such file"
    if os.path.isfile(file):
        try:
            with open_regular(file, written=True) as opened:
                received = hashlib.file_digest(opened, "sha256").hexdigest()
        except UntrustedFileError as error:
            raise CorruptArtifactError(str(error)) from error
    if received != published:
        raise CorruptArtifactError(
            f"{file}: expected SHA-256 {published[:16]}, received {received[:16]}; it "
            "is not the model that was pushed"
        )


def _pushed_files(folder: Path) -> list[str]:
    """The files that a pusher writes, by their names; users may put others beside."""
    return [
        file.relative_to(folder).as_posix()
        for name in PushedModel.FILES
        for file in (folder / name, *(folder / name).rglob("*"))
        if file.is_file()
    ]
