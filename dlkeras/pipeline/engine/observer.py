"""What may listen to a run: told of each artifact, epoch and trial, it changes none."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from dlkeras.pipeline.engine.result import Step


class Observer(Protocol):
    """Is told what happens in a run, while it happens."""

    def begin(self, component: str, output: str, key: str) -> None:
        """A component starts to make an artifact of the type `output`."""

    def end(self, step: Step) -> None:
        """An artifact was made or reused."""

    def log_epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        """An epoch of the training has ended; its number counts from 0."""

    def log_images(self, figures: Mapping[str, Path], step: int) -> None:
        """The training has drawn figures of an epoch."""

    def trial_started(self, trial: str, values: Mapping[str, Any]) -> None:
        """A trial of the search has started with these values."""

    def trial_epoch(self, trial: str, epoch: int, logs: Mapping[str, float]) -> None:
        """An epoch of a trial has ended."""

    def trial_ended(
        self, trial: str, status: str, score: float | None, message: str | None = None
    ) -> None:
        """A trial has ended; the message says what made it fail."""


class NullObserver:
    """Listens and does nothing, where another machine keeps the record."""

    def _nothing(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing."""

    begin = end = log_epoch = log_images = _nothing
    trial_started = trial_epoch = trial_ended = _nothing
