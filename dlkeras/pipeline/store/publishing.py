"""The content-addressed store: artifacts published whole, found by key, and checked.

    store/Type/key/          a published artifact: artifact.json and its files
    store/incomplete/        what is being written; renamed into place when complete
    store/work/Type-key/     what a component keeps to resume after an interruption
    store/locks/             one lock for each artifact being made
    store/runs/run_id.json   which artifacts a run made, reused or uses now

A component that dies leaves nothing, or the whole artifact. A reader that finds a file
with another SHA-256 than it was published with says which; the record, which lists
them, ends with its own.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dlkeras.pipeline.store.digests import file_digest as file_digest
from dlkeras.pipeline.store.errors import (
    CorruptArtifactError,
    PipelineError,
    StorageError,
    reason,
)
from dlkeras.pipeline.store.fault_injection import write_boundary
from dlkeras.pipeline.store.ownership import owned
from dlkeras.pipeline.store.record import RECORD_FILE, FileRecord, Record

if TYPE_CHECKING:
    from dlkeras.pipeline.artifacts.types import Artifact

T = TypeVar("T", bound="Artifact")
A = TypeVar("A")

MIN_FREE_BYTES = 64 * 2**20
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def canonical_digest(value: Any) -> str:
    """SHA-256 of a value's canonical JSON (sorted keys, no spaces).

    >>> canonical_digest({"b": 1, "a": 2}) == canonical_digest({"a": 2, "b": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def fsync_path(path: Path) -> None:
    """Make a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, data: bytes, place: Path | None = None) -> None:
    """Write a file whole or not at all: temporary name, fsync, rename.

    Args:
        path: the file.
        data: its content.
        place: what to call it where a fault is injected; default: the file.
    """
    place = place or path
    write_boundary(place)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            half = len(data) // 2
            file.write(data[:half])
            file.flush()
            write_boundary(place)
            file.write(data[half:])
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        write_boundary(place)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    fsync_path(path.parent)
    write_boundary(place)


@contextlib.contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Say in one line that a folder is read-only or its disk is full."""
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        if error.errno in FULL:
            raise StorageError(
                f"the disk is full: writing {where} below {folder} failed "
                f"({error.strerror}); what was published before is unharmed"
            ) from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST):
            raise StorageError(
                f"expected a folder {folder}; {where} is a file"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StorageError(
                f"expected a writable folder {folder}; {where}: {error.strerror}"
            ) from error
        raise
    except PipelineError:
        raise
    except Exception as error:  # TensorFlow's, for one, is no OSError
        if not any(os.strerror(code) in str(error) for code in FULL):
            raise
        raise StorageError(
            f"the disk is full: writing below {folder} failed ({reason(error)}); what "
            "was published before is unharmed"
        ) from error


@dataclass
class Draft(Generic[A]):
    """A component's output, an artifact of type `A`, while it is being written.

    Attributes:
        path: the folder to write into.
        properties: what to say about the output, as JSON.
        digest: the content's digest where the files' own would vary from run to run.
    """

    path: Path
    properties: dict[str, Any] = field(default_factory=dict)
    digest: str | None = None

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file that people can read."""
        text = json.dumps(value, indent=2, ensure_ascii=False)
        (self.path / name).write_text(text + "\n", encoding="utf-8")

    def figure_path(self, name: str) -> Path:
        """Where to save a figure that the run's page shall show."""
        folder = self.path / "figures"
        folder.mkdir(exist_ok=True)
        return folder / f"{name}.png"


class Store:
    """A folder of artifacts.

    Args:
        root: the folder; made if it does not exist.
        make: False only looks at a store that is there: nothing is made or tried.

    Attributes:
        on_use: is told of the type and the key of each artifact that is looked up,
            before anything of it is read.

    Raises:
        StorageError: the folder cannot be written, or its disk is full.
    """

    def __init__(self, root: Path, *, make: bool = True):
        self.root = root
        self.on_use: Callable[[str, str], None] = lambda kind, key: None
        if not make:
            return
        with storage_errors(root):
            for name in ("incomplete", "work", "locks", "runs"):
                (root / name).mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(root).free
            if free < MIN_FREE_BYTES:
                raise StorageError(
                    f"expected at least {MIN_FREE_BYTES // 2**20} MiB free for {root}; "
                    f"{free / 2**20:.1f} MiB are free"
                )
            with tempfile.NamedTemporaryFile(dir=root / "incomplete"):
                pass

    def folder(self, artifact_type: "type[Artifact]", key: str) -> Path:
        """Where an artifact of this type and key is, or would be."""
        return self.root / artifact_type.__name__ / key[:16]

    def work(self, artifact_type: "type[Artifact]", key: str) -> Path:
        """A folder that outlives an interrupted component, for it to resume from."""
        path = self.root / "work" / self._name(artifact_type, key)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def lock(
        self,
        artifact_type: "type[Artifact]",
        key: str,
        say: Callable[[str], None] = lambda text: None,
    ) -> contextlib.AbstractContextManager[None]:
        """Let one process at a time make an artifact; freed when its holder dies."""
        return self.named_lock(self._name(artifact_type, key), say)

    def _name(self, artifact_type: "type[Artifact]", key: str) -> str:
        return f"{artifact_type.__name__}-{key[:16]}"

    def named_lock(
        self, name: str, say: Callable[[str], None] = lambda text: None
    ) -> contextlib.AbstractContextManager[None]:
        """Let one process at a time do what the name says."""
        return owned(self.root / "locks" / f"{name}.lock", name, say)

    def find(self, artifact_type: type[T], key: str, verify: bool = True) -> T | None:
        """Look an artifact up.

        Args:
            artifact_type: class of the artifact.
            key: the key it was published under.
            verify: compare the SHA-256 of every file with the record.

        Returns:
            The artifact, or None where there is none.

        Raises:
            CorruptArtifactError: a file, or the record of them all, is missing or is
                not the one published.
        """
        path = self.folder(artifact_type, key)
        if not path.exists():
            return None
        self.on_use(artifact_type.__name__, key)
        with contextlib.suppress(OSError):  # what was used last is what gc keeps
            os.utime(path / RECORD_FILE)
        artifact = artifact_type.read(path)
        if artifact.record.key != key:
            raise CorruptArtifactError(
                f"{path / RECORD_FILE}: expected key {key}; received "
                f"{artifact.record.key}; rebuild it with "
                f"--force {artifact_type.producer}"
            )
        if verify:
            self.check_files(path, artifact.record)
        return artifact

    def check_files(
        self, path: Path, record: Record, but: Collection[str] = ()
    ) -> None:
        """Compare the SHA-256 of every file of an artifact with its record.

        Args:
            path: the artifact's folder.
            record: its record.
            but: names of files to leave closed.

        Raises:
            CorruptArtifactError: a file is missing or is not the one published.
        """
        for name, published in record.files.items():
            if name in but:
                continue
            file = path / name
            received = file_digest(file) if file.is_file() else "no such file"
            if received != published.sha256:
                raise CorruptArtifactError(
                    f"{file}: expected SHA-256 {published.sha256[:16]}, "
                    f"received {received[:16]}; rebuild it with "
                    f"--force {record.producer}"
                )

    def artifacts(
        self,
        artifact_type: type[T],
        damaged: Callable[[str], None] = lambda problem: None,
    ) -> list[T]:
        """All readable artifacts of a type, the newest last; their files unchecked.

        Args:
            artifact_type: class of the artifacts.
            damaged: is told of each that has lost its record.
        """
        found = []
        for path in (self.root / artifact_type.__name__).glob("*/"):
            try:
                artifact = artifact_type.read(path)
                if path != self.folder(artifact_type, artifact.record.key):
                    raise CorruptArtifactError(
                        f"{path / RECORD_FILE}: expected a key that begins with "
                        f"{path.name}; received {artifact.record.key}"
                    )
                found.append(artifact)
            except CorruptArtifactError as error:
                if path.exists():  # no other process has removed it meanwhile
                    damaged(str(error))
        return sorted(found, key=lambda artifact: artifact.record.created)

    @contextlib.contextmanager
    def publish(
        self,
        artifact_type: type[T],
        *,
        key: str,
        producer: str,
        pipeline: str,
        config: dict[str, Any],
        inputs: "dict[str, Artifact]",
        versions: dict[str, str],
        run_id: str,
        code: dict[str, str] | None = None,
    ) -> Iterator[Draft]:
        """Give a component a folder to write into; publish it when the block ends.

        The folder is moved to its place only after every file is on disk. If the block
        raises, the folder is removed and nothing is published. An artifact that stands
        at this key already is replaced.

        Yields:
            The draft to fill.

        Raises:
            StorageError: the disk is full, or the folder is read-only.
        """
        started = time.perf_counter()
        target = self.folder(artifact_type, key)
        with storage_errors(self.root):
            # By the name gc knows whose lock says whether it is still written.
            name = f"{self._name(artifact_type, key)}."
            temporary = Path(tempfile.mkdtemp("", name, self.root / "incomplete"))
            try:
                write_boundary(target)
                draft = Draft(temporary)
                yield draft
                write_boundary(target)
                files = {}
                for file in sorted(temporary.rglob("*")):
                    if file.is_file():
                        name = file.relative_to(temporary).as_posix()
                        files[name] = FileRecord(
                            sha256=file_digest(file), size=file.stat().st_size
                        )
                        with file.open("rb") as opened:
                            os.fsync(opened.fileno())
                    else:
                        fsync_path(file)
                digest = draft.digest or canonical_digest(
                    {name: file.sha256 for name, file in files.items()}
                )
                record = Record(
                    type=artifact_type.__name__,
                    producer=producer,
                    pipeline=pipeline,
                    key=key,
                    digest=digest,
                    config=config,
                    inputs={name: a.reference() for name, a in inputs.items()},
                    versions=versions,
                    code=code or {},
                    properties=draft.properties,
                    files=files,
                    created=self._next_time(artifact_type),
                    seconds=round(time.perf_counter() - started, 3),
                    run_id=run_id,
                )
                file = temporary / RECORD_FILE
                write_atomically(file, record.to_bytes(), target / RECORD_FILE)
                temporary.chmod(0o755)
                self._move_into_place(temporary, target)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    def _next_time(self, artifact_type: "type[Artifact]") -> str:
        """Now, or just after the newest of this type where the clock was moved back."""
        now = datetime.now(UTC)
        newest = [a.record.created for a in self.artifacts(artifact_type)[-1:]]
        for created in newest:
            now = max(now, datetime.fromisoformat(created) + timedelta(microseconds=1))
        return now.isoformat(timespec="microseconds")

    def _move_into_place(self, temporary: Path, target: Path) -> None:
        target.parent.mkdir(exist_ok=True)
        if target.exists():
            # Out of sight first: a reader finds the old one, nothing, or the new one.
            aside = Path(tempfile.mkdtemp(dir=self.root / "incomplete"))
            os.replace(target, aside / "replaced")
            write_boundary(target)
            os.replace(temporary, target)
            shutil.rmtree(aside, ignore_errors=True)
        else:
            write_boundary(target)
            os.replace(temporary, target)
        fsync_path(target.parent)
        write_boundary(target)

    def discard_work(self, artifact_type: "type[Artifact]", key: str) -> None:
        """Remove a component's working folder, when its artifact is published."""
        shutil.rmtree(self.work(artifact_type, key), ignore_errors=True)
