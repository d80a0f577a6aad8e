"""The execution of one step: key, lock, cache, publishing, and what is shown."""

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rich.console import Console

from dlkeras.pipeline.artifacts.types import Artifact
from dlkeras.pipeline.engine.code_dependencies import code_dependencies
from dlkeras.pipeline.engine.lineage import (
    Place,
    lineage_file,
    places,
    read_lineage_file,
    write_lineage,
)
from dlkeras.pipeline.engine.progress import Progress
from dlkeras.pipeline.engine.result import Step
from dlkeras.pipeline.engine.versions import package_versions
from dlkeras.pipeline.errors import CorruptArtifactError
from dlkeras.pipeline.store.publishing import Draft, Store, canonical_digest

T = TypeVar("T", bound=Artifact)


class UntilReached(Exception):
    """The component that the run was to stop after is done."""


@dataclass
class Execution:
    """The steps of one run, as they are executed.

    Attributes:
        store: where artifacts are found and published.
        pipeline: name of the pipeline.
        run_id: the run in MLflow.
        progress: shows what happens.
        force: components to run even where their artifact exists.
        until: the component after which to stop.
        steps: what has been executed.
    """

    store: Store
    pipeline: str
    run_id: str
    progress: Progress
    force: Collection[str] = ()
    until: str | None = None
    steps: list[Step] = field(default_factory=list)
    _uses: set[Place] = field(default_factory=set, init=False)
    _is_quiet: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Have each artifact that this run reads written down before it is read."""
        if not self.run_id:  # another machine keeps the record
            return
        # A run that goes on needs what it needed before it was interrupted.
        with contextlib.suppress(CorruptArtifactError, KeyError):
            file = lineage_file(self.store.root, self.run_id)
            self._uses |= places(read_lineage_file(file))
        self.store.on_use = self._use

    def _use(self, kind: str, key: str) -> None:
        if (kind, key) not in self._uses:
            self._uses.add((kind, key))
            self.record()

    def record(self) -> None:
        """Write down in the store what this run has made, reused and read so far."""
        write_lineage(self.store.root, self.lineage(), sorted(self._uses))

    def step(
        self,
        component: str,
        artifact_type: type[T],
        write: Callable[[Draft], None],
        *,
        config: Mapping[str, Any],
        inputs: Mapping[str, Artifact | None],
        code: tuple[str, ...],
        packages: tuple[str, ...] = ("keras", "tensorflow"),
    ) -> T:
        """Find an artifact by its key, or make and publish it.

        Args:
            component: the component's name.
            artifact_type: what it makes.
            write: fills the draft.
            config: all that the output depends on besides the inputs, as JSON.
            inputs: the artifacts that the component reads; None is an absent one.
            code: the component's modules; what they import counts, too.
            packages: packages whose version the output depends on.

        Returns:
            The artifact, found or made.

        Raises:
            CorruptArtifactError: the artifact exists, and a file of it is not the one
                published; `force` rebuilds it.
        """
        key = self.key(component, artifact_type, config, inputs, code, packages)
        started = time.perf_counter()
        found = None
        forced = component in self.force and not self._is_quiet
        with self.store.lock(artifact_type, key, self.progress.say):
            if not forced:
                found = self.store.find(artifact_type, key)
            cached = found is not None
            if not cached:
                self.progress.begin(component)
                if forced:
                    self.store.discard_work(artifact_type, key)
                with self.store.publish(
                    artifact_type,
                    key=key,
                    producer=component,
                    pipeline=self.pipeline,
                    config=dict(config),
                    inputs={name: a for name, a in inputs.items() if a is not None},
                    versions=package_versions("dlkeras", *packages),
                    run_id=self.run_id,
                    code=code_dependencies(*code),
                ) as draft:
                    write(draft)
                self.store.discard_work(artifact_type, key)
                found = self.store.find(artifact_type, key, verify=False)
        if found is None:
            raise CorruptArtifactError(
                f"{self.store.folder(artifact_type, key)}: expected the artifact that "
                f"{component} has just published; it is gone"
            )
        if not self._is_quiet:
            seconds = time.perf_counter() - started
            self.steps.append(Step(component, found, cached, seconds))
            self.record()
            self.progress.end(component, cached, seconds, found.path)
        return found

    def key(
        self,
        component: str,
        artifact_type: type[Artifact],
        config: Mapping[str, Any],
        inputs: Mapping[str, Artifact | None],
        code: tuple[str, ...],
        packages: tuple[str, ...] = ("keras", "tensorflow"),
    ) -> str:
        """The name of a computation: all that its output depends on, digested."""
        return canonical_digest(
            {
                "component": component,
                "artifact": artifact_type.__name__,
                "config": dict(config),
                "inputs": {
                    name: a.record.digest if a is not None else None
                    for name, a in inputs.items()
                },
                "code": code_dependencies(*code),
                "versions": package_versions("dlkeras", *packages),
            }
        )

    def artifact(self, artifact_type: type[T]) -> T | None:
        """The artifact of a type that this run made or reused so far."""
        for step in self.steps:
            if isinstance(step.artifact, artifact_type):
                return step.artifact
        return None

    def stop_after(self, component: str) -> None:
        """End the run here where the user asked for it.

        Raises:
            UntilReached: `component` is the one to stop after.
        """
        if component == self.until:
            raise UntilReached

    def lineage(self) -> dict[str, Any]:
        """The graph of the artifacts that this run made or reused, as JSON."""
        return {
            "run_id": self.run_id,
            "pipeline": self.pipeline,
            "steps": [
                {
                    "component": step.component,
                    "cached": step.cached,
                    "seconds": round(step.seconds, 3),
                    "type": step.artifact.record.type,
                    "key": step.artifact.record.key,
                    "digest": step.artifact.record.digest,
                    "path": step.artifact.path.relative_to(self.store.root).as_posix(),
                    "made_by_run": step.artifact.record.run_id,
                    "inputs": {
                        name: reference.model_dump()
                        for name, reference in step.artifact.record.inputs.items()
                    },
                    "files": list(step.artifact.record.files),
                }
                for step in self.steps
            ],
        }

    @contextlib.contextmanager
    def quietly(self) -> Iterator[None]:
        """Execute steps that serve a comparison and are not the run's own."""
        kept, self.progress = self.progress, Progress(Console(quiet=True))
        self._is_quiet = True
        try:
            yield
        finally:
            self._is_quiet, self.progress = False, kept
