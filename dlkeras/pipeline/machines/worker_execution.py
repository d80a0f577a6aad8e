"""A machine that trains with others, and leaves all else to the chief."""

import tempfile
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dlkeras.pipeline.artifacts.types import Artifact, Examples
from dlkeras.pipeline.batches.file_sharding import files_of_others
from dlkeras.pipeline.engine.call import Call, Services
from dlkeras.pipeline.engine.execution import Job, UntilReached
from dlkeras.pipeline.engine.observer import NullObserver
from dlkeras.pipeline.engine.progress import Progress
from dlkeras.pipeline.engine.result import PipelineResult
from dlkeras.pipeline.machines import distribution
from dlkeras.pipeline.machines.meeting import TOGETHER, answers, training_is_left
from dlkeras.pipeline.store.errors import WorkerLostError
from dlkeras.pipeline.store.publishing import Draft, Store

A = TypeVar("A", bound=Artifact)

PAUSE_SECONDS = 0.5
# The chief's process is asked for at most this long after it was last seen.
PATIENCE_SECONDS = 20.0


@dataclass
class WorkerExecution:
    """The engine of another machine than the chief's.

    It waits for the artifacts that the chief publishes in the shared folder, takes part
    in the training, and ends there.

    Attributes:
        store: the folder that all machines share.
        progress: shows what happens.
        force: components that run even where their artifact exists.
        not_opened: gives those files of an artifact that this machine never opens, also
            not to compare their SHA-256; the chief has done so.
        run_id: the chief keeps the record.
    """

    store: Store
    progress: Progress
    force: Collection[str]
    not_opened: Callable[[Artifact], Collection[str]]
    run_id: str = ""

    def artifact(self, call: Call[A], is_own: bool = True) -> A:
        """Wait for the chief's artifact, or train with it.

        Raises:
            WorkerLostError: the chief has ended.
            UntilReached: the training is done.
        """
        component, output = call.component.name, call.component.output
        if component == TOGETHER:
            forced = component in self.force
            if self.store.find(output, call.key) is None or forced:
                services = Services(
                    call,
                    self.store,
                    NullObserver(),
                    self.progress.say,
                    self.progress.keras_verbose,
                    forced,
                )
                with tempfile.TemporaryDirectory(prefix="dlkeras-") as folder:
                    call.write(Draft(Path(folder)), services)
            raise UntilReached
        chief = distribution.cluster()
        seen, told = time.monotonic(), False
        while (found := self.store.find(output, call.key, verify=False)) is None:
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


def take_part(job: Job) -> bool:
    """Meet the other machines, if there is anything to train together.

    Returns:
        Whether this machine is the chief, who runs the whole job.

    Raises:
        WorkerLostError: one of the machines did not come.
        InputError: `TF_CONFIG` is wrong, or its port of this machine is taken.
    """
    kind = job.config.trainer.distribution
    here = distribution.cluster_of(kind)

    def is_left() -> bool:
        return training_is_left(job)

    # Before TensorFlow computes anything, and only where there is something to train.
    started = (
        kind == "multi_worker"
        and is_left()
        and distribution.start_together(job.progress.say, is_left)
    )
    if here.is_chief and not started:
        distribution.open_chief_port(here)
    return here.is_chief


def follow(job: Job) -> PipelineResult:
    """Train with the chief, who keeps, judges and pushes what comes of it."""
    config = job.config
    here = distribution.cluster_of(config.trainer.distribution)

    def not_opened(artifact: Artifact) -> Collection[str]:
        if config.trainer.sharding == "file" and isinstance(artifact, Examples):
            return files_of_others(artifact, len(here.workers), here.index)
        return ()

    engine = WorkerExecution(job.store, job.progress, job.force, not_opened)
    job.carry_out(engine, until=job.until or TOGETHER)
    return PipelineResult(
        run_id="",
        steps=(),
        blessed=None,
        reason=f"worker {here.index} has done its part; the chief goes on",
        model_version=None,
        run_link="",
        compare_link="",
    )
