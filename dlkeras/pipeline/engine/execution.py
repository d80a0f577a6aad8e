"""The execution of a graph: each component's artifact is found by its key, or made."""

import contextlib
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeVar

from dlkeras.pipeline.artifacts.types import Artifact
from dlkeras.pipeline.configuration.config import PipelineConfig
from dlkeras.pipeline.configuration.data import ComponentConfig
from dlkeras.pipeline.engine.call import Call, Services, call, code_of
from dlkeras.pipeline.engine.component import Component, components_of
from dlkeras.pipeline.engine.lineage import (
    Place,
    lineage_file,
    places,
    read_lineage_file,
    write_lineage,
)
from dlkeras.pipeline.engine.observer import NullObserver, Observer
from dlkeras.pipeline.engine.progress import Progress
from dlkeras.pipeline.engine.result import Step
from dlkeras.pipeline.store.errors import CorruptArtifactError
from dlkeras.pipeline.store.publishing import Store
from dlkeras.visualization.look.saved_beside import saved_at_the_end

A = TypeVar("A", bound=Artifact)


class UntilReached(Exception):
    """The component that the run was to stop after is done."""


class Engine(Protocol):
    """What gets the artifact of a call: this process makes it, or another machine."""

    store: Store
    run_id: str
    progress: Progress

    def artifact(self, call: Call[A], is_own: bool = True) -> A:
        """Find or make the artifact.

        Args:
            call: the component and its arguments.
            is_own: False where it serves a comparison, and is no step of the run.
        """
        ...


class Run:
    """What a graph is called with: `run(component, *artifacts)` gives its artifact.

    Args:
        config: the job.
        engine: what makes the artifacts.
        until: name of the component after which to stop.
        code: what the components' outputs depend on, as it was when the job began;
            editing a file meanwhile does not change what runs.

    Example:
    ```python
    def graph(run: Run) -> None:
        examples = run(example_gen)
        statistics = run(statistics_gen, examples)
    ```
    """

    def __init__(
        self,
        config: PipelineConfig,
        engine: Engine,
        until: str | None = None,
        code: Mapping[Component[Any], Mapping[str, str]] | None = None,
    ):
        self.config, self._engine, self._until = config, engine, until
        self._code = code or {}
        self._is_last = False
        self._made: dict[type[Artifact], Artifact] = {}
        self.store, self.run_id = engine.store, engine.run_id
        self.say = engine.progress.say

    def __call__(
        self,
        component: Component[A],
        *artifacts: Artifact | None,
        config: ComponentConfig | None = None,
        is_own: bool = True,
    ) -> A:
        """Find a component's artifact by its key, or make it.

        Args:
            component: what makes it.
            *artifacts: what it reads, in the order of its parameters.
            config: its configuration; default: that of the job.
            is_own: False where it serves a comparison, and is no step of the run.

        Raises:
            UntilReached: the run was to stop before.
            CorruptArtifactError: the artifact exists, and a file of it is not the one
                published; `--force` rebuilds it.
        """
        self._come_to(component)
        code = self._code.get(component)
        asked = call(component, artifacts, self.config, config, code)
        found = self._engine.artifact(asked, is_own)
        if is_own:
            self._made[component.output] = found
        return found

    def if_enabled(
        self, component: Component[A], *artifacts: Artifact | None
    ) -> A | None:
        """The same, or None where the component's configuration has `enabled=False`."""
        self._come_to(component)
        code = self._code.get(component)
        asked = call(component, artifacts, self.config, None, code)
        if not all(getattr(c, "enabled", True) for c in asked.configs.values()):
            return None
        return self(component, *artifacts)

    def artifact(self, kind: type[A]) -> A | None:
        """What this run has made or reused of a type so far; None where nothing."""
        found = self._made.get(kind)
        return found if isinstance(found, kind) else None

    def _come_to(self, component: Component[Any]) -> None:
        if self._is_last and component.name != self._until:
            raise UntilReached
        self._is_last = component.name == self._until


@dataclass
class Job:
    """A graph, and how it is to be run.

    Attributes:
        config: the pipeline's configuration.
        graph: calls the components with a `Run`, one after the other.
        store: where artifacts are found and published.
        progress: shows what happens.
        force: names of components to run even where their artifact exists.
        until: name of the component after which to stop.
    """

    config: PipelineConfig
    graph: Callable[[Run], Any]
    store: Store
    progress: Progress
    force: Collection[str] = ()
    until: str | None = None

    @cached_property
    def _code(self) -> dict[Component[Any], dict[str, str]]:
        return {asked: code_of(asked) for asked in components_of(self.graph)}

    def carry_out(self, engine: Engine, until: str | None = None) -> bool:
        """Run the graph with an engine; say whether it came to its end.

        Args:
            engine: what makes the artifacts.
            until: the component after which to stop, in place of the job's own.
        """
        try:
            self.graph(Run(self.config, engine, until or self.until, self._code))
        except UntilReached:
            return False
        return True


@dataclass
class Execution:
    """The engine of this process: what is not in the store is made here.

    Attributes:
        store: where artifacts are found and published.
        pipeline: name of the pipeline.
        run_id: the run in MLflow.
        progress: shows what happens.
        observer: is told what happens.
        force: components to run even where their artifact exists.
        steps: what has been executed.
    """

    store: Store
    pipeline: str
    run_id: str
    progress: Progress
    observer: Observer = field(default_factory=NullObserver)
    force: Collection[str] = ()
    steps: list[Step] = field(default_factory=list)
    _uses: set[Place] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        """Have each artifact that this run reads written down before it is read."""
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

    def artifact(self, call: Call[A], is_own: bool = True) -> A:
        """Find an artifact by its key, or make and publish it.

        Args:
            call: the component and its arguments.
            is_own: False where it serves a comparison: nothing is shown or forced.

        Raises:
            CorruptArtifactError: the artifact exists, and a file of it is not the one
                published; `--force` rebuilds it.
        """
        component, output, key = call.component, call.component.output, call.key
        started = time.perf_counter()
        found = None
        forced = is_own and component.name in self.force
        with self.store.lock(output, key, self.progress.say):
            if not forced:
                found = self.store.find(output, key)
            cached = found is not None
            if not cached:
                if is_own:
                    self.progress.begin(component.name)
                if forced:
                    self.store.discard_work(output, key)
                self._make(call, forced, is_own)
                found = self.store.find(output, key, verify=False)
        if found is None:
            raise CorruptArtifactError(
                f"{self.store.folder(output, key)}: expected the artifact that "
                f"{component.name} has just published; it is gone"
            )
        if is_own:
            seconds = time.perf_counter() - started
            step = Step(component.name, found, cached, seconds, call.inputs)
            self.steps.append(step)
            self.record()
            self.progress.end(component.name, cached, seconds, found.path)
            for line in component.lines(found):
                self.progress.say(line)
            self.observer.end(step)
        return found

    def _make(self, call: Call[Any], forced: bool, is_own: bool) -> None:
        component, output = call.component, call.component.output
        if component.on_tensorflow:
            # Before a module asks for Keras alone: in silence, and sooner done.
            import dlkeras.pipeline.tensorflow_import  # noqa: F401
        observer = self.observer if is_own else NullObserver()
        observer.begin(component.name, output.__name__, call.key)
        with self.store.publish(
            output,
            key=call.key,
            producer=component.name,
            pipeline=self.pipeline,
            config=call.recorded_config,
            inputs={name: a for name, a in call.inputs.items() if a is not None},
            versions=call.versions,
            run_id=self.run_id,
            code=call.code,
        ) as draft:
            say = self.progress.say if is_own else lambda line: None
            verbose = self.progress.keras_verbose
            services = Services(call, self.store, observer, say, verbose, forced)
            with saved_at_the_end():
                call.write(draft, services)
        self.store.discard_work(output, call.key)

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
