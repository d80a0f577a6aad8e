"""A machine that trains with others, and leaves all else to the chief."""

import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dlkeras.pipeline import distribution
from dlkeras.pipeline.artifacts import Artifact
from dlkeras.pipeline.errors import WorkerLostError
from dlkeras.pipeline.execution import Execution, UntilReached
from dlkeras.pipeline.store import Draft

T = TypeVar("T", bound=Artifact)

TOGETHER = "Trainer"
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
            if distribution.chief_answers(chief):
                seen = time.monotonic()
            elif time.monotonic() - seen > PATIENCE_SECONDS:
                raise WorkerLostError(
                    f"expected {component} of the chief {chief.workers[0]}, which has "
                    "ended; start all machines again"
                )
            time.sleep(PAUSE_SECONDS)
        self.store.check_files(found.path, found.record, self.not_opened(found))
        return found


class NotTracked:
    """A tracker that tells nobody: the chief speaks for all machines."""

    search = ""

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Any of the tracker's methods, which does nothing."""
        return lambda *args, **kwargs: None
