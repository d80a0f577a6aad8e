"""The trials of a search, as keras-tuner runs them: in this process or in a worker.

Everything random in a trial comes from the seed, so a trial always gives the same
score, whatever process runs it. A trial's results are kept by its hyperparameters.
"""

import contextlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dlkeras.pipeline.artifacts.types import Examples, Transform
from dlkeras.pipeline.configuration.config import TrainerConfig, TunerConfig
from dlkeras.pipeline.store.errors import CorruptArtifactError
from dlkeras.pipeline.store.publishing import canonical_digest, write_atomically
from dlkeras.pipeline.store.sealed import read_sealed_json, seal_json
from dlkeras.pipeline.training.objectives import objective_of
from dlkeras.pipeline.training.own import code as own_code
from dlkeras.pipeline.training.own.network import augmentation_of
from dlkeras.pipeline.training.search_spaces import Choice, chosen, draw, space_of

PROJECT = "search"
# Batches that a trial's network is looked at beside.
LOOKED_AT = 4


class TrialObserver(Protocol):
    """Who is told of the trials while they run."""

    def trial_started(self, trial: str, values: Mapping[str, Any]) -> None:
        """A trial begins with these hyperparameters."""
        ...

    def trial_epoch(self, trial: str, epoch: int, logs: Mapping[str, float]) -> None:
        """An epoch of a trial is done."""
        ...

    def trial_ended(
        self, trial: str, status: str, score: float | None, message: str | None
    ) -> None:
        """A trial is done: COMPLETED, FAILED or INVALID; the message is a traceback."""
        ...


@dataclass(frozen=True)
class Trials:
    """All that a trial depends on; another process reads it from a file.

    Attributes:
        tuner: the search.
        trainer: the network to try where nothing is varied.
        examples: the data set.
        transform: preprocessing and augmentation.
        seed: decides everything random in a trial.
        work: the folder of the search.
        cache: where finished trials are kept by their hyperparameters, if anywhere.
        verbose: Keras's progress, "0" none, "1" a bar, "2" a line an epoch.
    """

    tuner: TunerConfig
    trainer: TrainerConfig
    examples: Examples
    transform: Transform
    seed: int
    work: Path
    cache: Path | None
    verbose: str

    def write(self, file: Path) -> None:
        """Write everything for `read`."""
        trainer = self.trainer.model_copy(update={"callbacks": ()})  # not a trial's
        value = {
            "tuner": self.tuner.model_dump(mode="json"),
            "trainer": trainer.model_dump(mode="json"),
            "examples": str(self.examples.path.resolve()),
            "transform": str(self.transform.path.resolve()),
            "seed": self.seed,
            "work": str(self.work.resolve()),
            "cache": str(self.cache.resolve()) if self.cache else None,
            "own_code": own_code.modules(trainer),
        }
        write_atomically(file, json.dumps(value).encode())

    @classmethod
    def read(cls, file: Path) -> "Trials":
        """Read what another process wrote; its progress is not shown."""
        value = json.loads(file.read_text(encoding="utf-8"))
        own_code.load(value["own_code"])
        return cls(
            TunerConfig.model_validate(value["tuner"], strict=False),
            TrainerConfig.model_validate(value["trainer"], strict=False),
            Examples.read(Path(value["examples"])),
            Transform.read(Path(value["transform"])),
            value["seed"],
            Path(value["work"]),
            Path(value["cache"]) if value["cache"] else None,
            "0",
        )

    def network(self, config: TrainerConfig) -> Any:
        """Build and compile a network as the trainer would."""
        from dlkeras.pipeline.batches.input_pipeline import steps_per_epoch
        from dlkeras.pipeline.training.network import compiled_network

        steps = steps_per_epoch(self.examples, config.batch_size)
        return compiled_network(
            config,
            input_shape=self.transform.input_shape,
            num_classes=len(self.examples.labels),
            objective=objective_of(self.examples),
            learning_rate=config.learning_rate,
            steps=steps * config.epochs,
        )

    def check_networks(self) -> None:
        """Build what is tried where nothing is varied, and what may be frozen.

        Raises:
            InputError: a network cannot be built, or has too few layers.
        """
        from dlkeras.pipeline.training.network import check_frozen_layers

        trainer = self.trainer
        space = space_of(trainer, self.tuner)
        varied = Choice((trainer.architecture,))
        if "frozen_layers" in space:
            varied = space.get("architecture", varied)
            trainer = trainer.model_copy(update={"frozen_layers": 0})
        for architecture in varied.values:
            changed = {"architecture": architecture}
            model = self.network(trainer.model_copy(update=changed))
            check_frozen_layers(model, trainer.frozen_layers, space)


def search_of(trials: Trials, observer: TrialObserver) -> Any:
    """Make keras-tuner's search, which continues what the trials' folder holds.

    Args:
        trials: what to try.
        observer: is told of what happens in this process.

    Returns:
        A `keras_tuner.Tuner`.
    """
    from dlkeras.pipeline.tensorflow_import import keras  # isort: split

    import keras_tuner

    from dlkeras.diagnosis.checks import of_batches
    from dlkeras.pipeline.batches.class_weights import with_class_weights
    from dlkeras.pipeline.batches.input_pipeline import (
        evaluation_batches,
        steps_per_epoch,
        training_batches,
    )
    from dlkeras.pipeline.training.keeping import averaging
    from dlkeras.pipeline.training.network import make_deterministic, make_variables

    config, trainer = trials.tuner, trials.trainer
    space = space_of(trainer, config)
    validation = evaluation_batches(
        trials.examples, trials.transform, "validation", trainer.batch_size
    )
    steps = steps_per_epoch(trials.examples, trainer.batch_size)
    running: list[str] = []
    looked_at: list[tuple] = []

    class Hypermodel(keras_tuner.HyperModel):
        """The network and its training, as functions of the hyperparameters."""

        def build(self, hp: Any) -> Any:
            make_deterministic(trials.seed)
            return trials.network(chosen(trainer, draw(hp, space)))

        def fit(self, hp: Any, model: Any, callbacks: Any = None, **kwargs: Any) -> Any:
            try:
                return self._fit(hp, model, callbacks, **kwargs)
            except (OSError, _NotTold) as error:
                # The disk or MLflow is at fault, no hyperparameter: end the search.
                cause = error.args[0] if isinstance(error, _NotTold) else error
                raise keras_tuner.errors.FatalError(str(cause)) from cause

        def _fit(self, hp: Any, model: Any, callbacks: Any, **kwargs: Any) -> Any:
            tried = chosen(trainer, hp.values)
            first = kwargs.get("initial_epoch", 0)
            epochs = kwargs.get("epochs", config.epochs)
            kept = _cached(trials, hp.values)
            if kept is not None:
                for epoch, logs in enumerate(kept):
                    _report_epoch(observer, running[-1], epoch, logs)
                better = min if tried.direction == "min" else max
                return better(kept, key=lambda logs: logs[tried.objective])
            batches = training_batches(
                trials.examples,
                trials.transform,
                batch_size=tried.batch_size,
                seed=trials.seed,
                augmentation_strength=tried.augmentation_strength,
                first_epoch=first,
                epochs=epochs,
                augmentation=augmentation_of(tried),
            )
            seen: list[dict[str, float]] = []
            if not looked_at:  # the same data in every trial
                looked_at.append(of_batches(list(batches.take(LOOKED_AT))))
            check_trial(model, looked_at[0], seen)

            def tell(epoch: int, logs: dict | None = None) -> None:
                seen.append({name: float(v) for name, v in (logs or {}).items()})
                _report_epoch(observer, running[-1], epoch, seen[-1])
                if not math.isfinite(seen[-1]["loss"]):
                    check_trial(model, looked_at[0], seen)

            watching = [
                *averaging(model),
                keras.callbacks.LambdaCallback(on_epoch_end=tell),
            ]
            if config.patience is not None:
                watching.append(
                    keras.callbacks.EarlyStopping(
                        monitor=tried.objective,
                        mode=tried.direction,
                        patience=config.patience,
                    )
                )
            weighed = with_class_weights(batches, trials.examples, tried.class_weight)
            make_variables(model, weighed)
            history = model.fit(
                weighed,
                steps_per_epoch=steps,
                initial_epoch=first,
                epochs=epochs,
                validation_data=validation,
                callbacks=[*(callbacks or []), *watching],
                shuffle=False,  # the data set is in its order already
                verbose=trials.verbose,
            )
            _keep(trials, hp.values, seen)
            return history

    kind: Any = {
        "random": keras_tuner.RandomSearch,
        "bayesian": keras_tuner.BayesianOptimization,
        "hyperband": keras_tuner.Hyperband,
    }[config.algorithm]

    class Search(kind):
        """keras-tuner's search, which tells the observer what happens."""

        def on_trial_begin(self, trial: Any) -> None:
            running.append(trial.trial_id)
            observer.trial_started(trial.trial_id, trial.hyperparameters.values)
            super().on_trial_begin(trial)

        def on_trial_end(self, trial: Any) -> None:
            try:
                super().on_trial_end(trial)
            finally:
                ended = self.oracle.get_trial(trial.trial_id)
                observer.trial_ended(
                    trial.trial_id, ended.status, ended.score, ended.message
                )

    if config.algorithm == "hyperband":
        length: dict[str, Any] = {"max_epochs": config.epochs, "factor": config.factor}
    else:
        length = {"max_trials": config.max_trials}
    search = Search(
        Hypermodel(),
        objective=keras_tuner.Objective(trainer.objective, trainer.direction),
        seed=trials.seed + 1,  # 0 would be taken for no seed
        directory=str(trials.work),
        project_name=PROJECT,
        overwrite=False,
        max_consecutive_failed_trials=10**6,  # one that fails ends itself alone
        **length,
    )
    if config.algorithm == "hyperband":
        search.oracle.max_trials = config.max_trials
    return search


def check_trial(model: Any, data: tuple, logs: Sequence[Mapping[str, float]]) -> None:
    """End a trial that cannot learn, before its first step or after an epoch.

    Args:
        model: compiled.
        data: what `of_batches` made of some batches.
        logs: of the epochs that are done.

    Raises:
        keras_tuner.errors.FailedTrialError: it cannot; the message is the cause.
    """
    import keras_tuner

    from dlkeras.diagnosis.checks import ANSWERED
    from dlkeras.diagnosis.training import hopeless, judge_training

    probe = data[0][0][:ANSWERED]
    lost = any(not math.isfinite(row["loss"]) for row in logs)
    found = hopeless(judge_training(model, data, probe=probe, logs=logs), lost)
    if found:
        raise keras_tuner.errors.FailedTrialError(str(found[0]))


class _NotTold(Exception):
    """The observer could not be told; its error is the argument: Keras cuts causes."""


def _report_epoch(
    observer: TrialObserver, trial: str, epoch: int, logs: Mapping
) -> None:
    try:
        observer.trial_epoch(trial, epoch, logs)
    except Exception as error:
        raise _NotTold(error) from error


def _file(trials: Trials, values: Mapping[str, Any]) -> Path | None:
    # Hyperband's trials go on from one another's weights.
    if trials.cache is None or "tuner/epochs" in values:
        return None
    return trials.cache / f"{canonical_digest(dict(values))[:16]}.json"


def _cached(trials: Trials, values: Mapping[str, Any]) -> list[dict] | None:
    """The epochs of an earlier trial of these values, in this search or another."""
    file = _file(trials, values)
    if file is None or not file.is_file():
        return None
    with contextlib.suppress(CorruptArtifactError):  # it is tried again
        os.utime(file)  # `dlkeras gc` keeps what is used
        return read_sealed_json(file, "a trial", "it is tried again").get("epochs")
    return None


def _keep(trials: Trials, values: Mapping[str, Any], epochs: list[dict]) -> None:
    file = _file(trials, values)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, seal_json({"epochs": epochs}))
