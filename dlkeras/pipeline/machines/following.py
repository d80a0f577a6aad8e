"""A machine that trains with others, and leaves all else to the chief."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dlkeras.pipeline.artifacts.types import Artifact, Examples
from dlkeras.pipeline.batches.file_sharding import files_of_others
from dlkeras.pipeline.configuration.config import PipelineConfig
from dlkeras.pipeline.engine.execution import Execution, UntilReached
from dlkeras.pipeline.engine.null_tracker import NullTracker
from dlkeras.pipeline.engine.progress import Progress
from dlkeras.pipeline.engine.result import PipelineResult
from dlkeras.pipeline.errors import WorkerLostError
from dlkeras.pipeline.machines import distribution
from dlkeras.pipeline.machines.meeting import TOGETHER, answers
from dlkeras.pipeline.store.publishing import Draft, Store

T = TypeVar("T", bound=Artifact)

PAUSE_SECONDS = 0.5
# The chief's process is asked for at most this long after it was last seen.
PATIENCE_SECONDS = 20.0


@dataclass
class Following(Execution):
    """The steps of a run as another machine's chief makes them.

    It waits for the artifacts that the chief publishes in the shared folder, takes part
    in the training, and ends there.

    Attributes:
        not_opened: gives those files of an artifact that this machine never opens, also
            not to compare their SHA-256; the chief has done so.
    """

    not_opened: Callable[[Artifact], Collection[str]] = lambda artifact: ()

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
        """Wait for the chief's artifact, or train with it.

        Raises:
            WorkerLostError: the chief has ended.
            UntilReached: the training is done.
        """
        key = self.key(component, artifact_type, config, inputs, code, packages)
        if component == TOGETHER:
            if self.store.find(artifact_type, key) is None or component in self.force:
                with tempfile.TemporaryDirectory(prefix="dlkeras-") as folder:
                    write(Draft(Path(folder)))
            raise UntilReached
        chief = distribution.cluster()
        seen, told = time.monotonic(), False
        while (found := self.store.find(artifact_type, key, verify=False)) is None:
            if not told:
                self.progress.say(f"waiting for the chief's {component}")
                told = True
            if answers(chief.workers[0]):
                seen = time.monotonic()
            elif time.monotonic() - seen > PATIENCE_SECONDS:
                raise WorkerLostError(
                    f"expected {component} of the chief {chief.workers[0]}, which has "
                    "ended; start all machines again"
                )
            time.sleep(PAUSE_SECONDS)
        self.store.check_files(found.path, found.record, self.not_opened(found))
        return found


def follow(
    components: Callable[[PipelineConfig, Execution, Any], Any],
    config: PipelineConfig,
    store: Store,
    progress: Progress,
    force: Collection[str],
    until: str | None,
) -> PipelineResult:
    """Train with the chief, who keeps, judges and pushes what comes of it.

    Args:
        components: runs the components, one after the other.
        config: the job.
        store: the folder that all machines share.
        progress: where to show what happens.
        force: names of components that run even where their artifact exists.
        until: name of the component after which to stop.
    """
    here = distribution.place(config.trainer.distribution)

    def not_opened(artifact: Artifact) -> Collection[str]:
        if config.trainer.sharding == "file" and isinstance(artifact, Examples):
            return files_of_others(artifact, len(here.workers), here.index)
        return ()

    execution = Following(
        store,
        config.name,
        "",
        progress,
        force=force,
        until=until or TOGETHER,
        not_opened=not_opened,
    )
    with contextlib.suppress(UntilReached):
        components(config, execution, NullTracker())
    return PipelineResult(
        run_id="",
        steps=(),
        blessed=None,
        reason=f"worker {here.index} has done its part; the chief goes on",
        model_version=None,
        run_link="",
        compare_link="",
    )
