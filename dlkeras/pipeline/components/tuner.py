"""Tuner: keras-tuner's search for hyperparameters; the lowest validation loss wins."""

import contextlib
import io
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dlkeras.pipeline.artifacts.types import Examples, Hyperparameters, Transform
from dlkeras.pipeline.configuration.config import TrainerConfig, TunerConfig
from dlkeras.pipeline.engine.component import component
from dlkeras.pipeline.store.errors import PipelineError, cause_of
from dlkeras.pipeline.store.publishing import Draft
from dlkeras.pipeline.training.own.code import code_of, code_of_trial
from dlkeras.pipeline.training.search_recovery import recover_search, save_search
from dlkeras.pipeline.training.transfer_source import transfer_fingerprint
from dlkeras.pipeline.training.trials import (
    PROJECT,
    TrialObserver,
    Trials,
    search_of,
)

SEARCH_COPY = "search.copy.json"


def _fingerprint(config: TunerConfig, trainer: TrainerConfig) -> dict[str, Any]:
    """What the networks start from, and the code of the user's own networks."""
    varied = config.space.get("architecture", "").split(",")
    return {
        "source": transfer_fingerprint(trainer),
        "architectures": {name: code for name in varied if (code := code_of(name))},
        "own": code_of_trial(trainer),
    }


@component(
    packages=("keras", "tensorflow", "keras-tuner"),
    fingerprint=_fingerprint,
    cache="Trial",
)
def tuner(
    config: TunerConfig,
    output: Draft[Hyperparameters],
    examples: Examples,
    transform: Transform,
    *,
    trainer: TrainerConfig,
    seed: int,
    work: Path,
    observer: TrialObserver,
    verbose: str,
    say: Callable[[str], None],
    cache: Path | None = None,
) -> None:
    """Search; a trial that fails is recorded and does not end the search.

    Args:
        config: how, over what, number and length of the trials, workers.
        output: gets `trials.json`, and the best `values` and `score` as properties.
        examples: the data set.
        transform: preprocessing and augmentation.
        trainer: the network to try, and its batch size.
        seed: decides the values tried and everything in a trial.
        work: keras-tuner's folder; an interrupted search continues there.
        observer: is told of the trials while they run.
        verbose: Keras's progress, "1" a bar, "2" a line an epoch.
        say: shows a line to the user.
        cache: where finished trials are kept by their hyperparameters.

    Raises:
        PipelineError: no trial completed; the message has the first one's error. Or no
            worker ends an epoch within the deadline.
    """
    trials = Trials(config, trainer, examples, transform, seed, work, cache, verbose)
    trials.check_networks()  # what cannot be built is an error, not a trial
    recover_search(work / PROJECT, work / SEARCH_COPY, say)
    told = _Told(observer, config, work, say)
    with contextlib.redirect_stdout(io.StringIO()):  # it would say that it reloads
        search = search_of(trials, told)
    started = time.perf_counter()
    if config.workers:
        from dlkeras.pipeline.training.search_workers import search_with_workers

        search_with_workers(trials, search.oracle, told, say)
    else:
        import keras_tuner

        try:
            search.search(verbose=0)
        except keras_tuner.errors.FatalError as error:
            raise error.__cause__ or error from None  # no trial's own fault
    ended = [search.oracle.trials[name] for name in sorted(search.oracle.trials)]
    completed = [trial for trial in ended if trial.status == "COMPLETED"]
    if not completed:
        shutil.rmtree(work / PROJECT)  # what failed may not fail again
        messages = [trial.message for trial in ended if trial.message]
        cause = (
            cause_of(messages[0])
            if messages
            else f"{trainer.objective} is not a finite number; "
            "lower --tuner.max-learning-rate"
        )
        raise PipelineError(
            f"expected at least one completed trial; {len(ended)} of {len(ended)} "
            f"failed, the first with: {cause}"
        )
    better = min if trainer.direction == "min" else max
    best = better(completed, key=lambda trial: trial.score)
    output.write_json(
        "trials.json",
        [
            {
                "id": trial.trial_id,
                "status": trial.status,
                "score": trial.score,
                "values": trial.hyperparameters.values,
                "message": trial.message,
            }
            for trial in ended
        ],
    )
    output.properties.update(
        values=_fields(best.hyperparameters.values),
        score=best.score,
        objective=trainer.objective,
        algorithm=config.algorithm,
        trials=len(ended),
        completed=len(completed),
        failed={t.trial_id: cause_of(t.message) for t in ended if t.message},
    )
    say(
        f"best of {len(completed)} completed trials: {trainer.objective} "
        f"{best.score:.4f} ({time.perf_counter() - started:.0f} s)"
    )


def _fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's values without hyperband's bookkeeping."""
    return {name: v for name, v in values.items() if not name.startswith("tuner/")}


class _Told:
    """Passes on what happens, shows a line of it, and keeps a copy of the search."""

    def __init__(
        self,
        observer: TrialObserver,
        config: TunerConfig,
        work: Path,
        say: Callable[[str], None],
    ):
        self._observer, self._config = observer, config
        self._work, self._say = work, say

    def trial_started(self, trial: str, values: Mapping[str, Any]) -> None:
        save_search(self._work / PROJECT, self._work / SEARCH_COPY)
        shown = ", ".join(
            f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in _fields(values).items()
        )
        self._observer.trial_started(trial, _fields(values))
        self._say(f"trial {int(trial) + 1} of {self._config.max_trials}: {shown}")

    def trial_epoch(self, trial: str, epoch: int, logs: Mapping[str, float]) -> None:
        self._observer.trial_epoch(trial, epoch, logs)

    def trial_ended(
        self, trial: str, status: str, score: float | None, message: str | None
    ) -> None:
        save_search(self._work / PROJECT, self._work / SEARCH_COPY)
        self._observer.trial_ended(trial, status, score, message)
        if message:
            self._say(f"trial {int(trial) + 1} failed: {cause_of(message)}")
