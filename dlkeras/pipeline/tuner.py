"""Tuner: keras-tuner's search over learning rate and augmentation strength."""

import contextlib
import io
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from dlkeras.pipeline.artifacts import Examples, Transform
from dlkeras.pipeline.config import TrainerConfig, TunerConfig
from dlkeras.pipeline.errors import PipelineError
from dlkeras.pipeline.store import Draft, write_atomically

OBJECTIVE = "val_loss"
PROJECT = "search"
ORACLE_COPY = "oracle.copy.json"


class TrialObserver(Protocol):
    """Who is told of the trials while they run."""

    def trial_started(self, trial: str, values: dict[str, float]) -> None:
        """A trial begins with these hyperparameters."""
        ...

    def trial_epoch(self, trial: str, epoch: int, logs: dict[str, float]) -> None:
        """An epoch of a trial is done."""
        ...

    def trial_ended(self, trial: str, status: str, score: float | None) -> None:
        """A trial is done: its status is COMPLETED, FAILED or INVALID."""
        ...


def tuner(
    config: TunerConfig,
    output: Draft,
    examples: Examples,
    transform: Transform,
    *,
    trainer: TrainerConfig,
    seed: int,
    work: Path,
    observer: TrialObserver,
    verbose: str,
    say: Callable[[str], None],
) -> None:
    """Search at random; the lowest validation loss wins.

    Args:
        config: number and length of the trials, ranges.
        output: gets `trials.json`, and the best `values` and `score` as properties.
        examples: the data set.
        transform: preprocessing and augmentation.
        trainer: the network to try, and its batch size.
        seed: decides the values tried and everything in a trial.
        work: keras-tuner's folder; a search that was interrupted goes on from it.
        observer: is told of the trials while they run.
        verbose: Keras's progress, "1" a bar, "2" a line an epoch.
        say: shows a line to the user.

    Raises:
        PipelineError: no trial completed; the message has the first one's error.
    """
    from dlkeras.pipeline.tensorflow_import import keras  # isort: split

    import keras_tuner

    from dlkeras.pipeline.input_pipeline import (
        evaluation_batches,
        steps_per_epoch,
        training_batches,
    )
    from dlkeras.pipeline.network import compiled_network, make_deterministic

    steps = steps_per_epoch(examples, trainer.batch_size)

    def network(learning_rate: float) -> Any:
        return compiled_network(
            trainer,
            input_shape=transform.input_shape,
            num_classes=len(examples.labels),
            learning_rate=learning_rate,
            steps=steps * trainer.epochs,
        )

    network(config.min_learning_rate)  # what cannot be built is an error, not a trial

    class Search(keras_tuner.HyperModel):
        """The network and its training, as functions of the hyperparameters."""

        def build(self, hp: Any) -> Any:
            make_deterministic(seed)
            hp.Float(
                "augmentation_strength",
                config.min_augmentation_strength,
                config.max_augmentation_strength,
            )
            return network(
                hp.Float(
                    "learning_rate",
                    config.min_learning_rate,
                    config.max_learning_rate,
                    sampling="log",
                )
            )

        def fit(self, hp: Any, model: Any, callbacks: Any = None, **_: Any) -> Any:
            batches = training_batches(
                examples,
                transform,
                batch_size=trainer.batch_size,
                seed=seed,
                augmentation_strength=hp.get("augmentation_strength"),
                first_epoch=0,
                epochs=config.epochs,
            )
            return model.fit(
                batches,
                steps_per_epoch=steps,
                epochs=config.epochs,
                validation_data=validation,
                callbacks=callbacks,
                shuffle=False,  # the data set is in its order already
                verbose=verbose,
            )

    class ObservedSearch(keras_tuner.RandomSearch):
        """RandomSearch that tells the observer what happens."""

        def on_trial_begin(self, trial: Any) -> None:
            values = trial.hyperparameters.values
            observer.trial_started(trial.trial_id, values)
            number = int(trial.trial_id) + 1
            shown = ", ".join(f"{name} {value:.3g}" for name, value in values.items())
            say(f"trial {number} of {config.max_trials}: {shown}")
            super().on_trial_begin(trial)

        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            def tell(epoch: int, logs: dict | None = None) -> None:
                observer.trial_epoch(trial.trial_id, epoch, dict(logs or {}))

            told = keras.callbacks.LambdaCallback(on_epoch_end=tell)
            callbacks = [*kwargs.pop("callbacks", []), told]
            return super().run_trial(trial, *args, callbacks=callbacks, **kwargs)

        def on_trial_end(self, trial: Any) -> None:
            try:
                super().on_trial_end(trial)
            finally:
                ended = self.oracle.trials[trial.trial_id]
                if oracle_file.exists():
                    write_atomically(work / ORACLE_COPY, oracle_file.read_bytes())
                observer.trial_ended(trial.trial_id, ended.status, ended.score)

    validation = evaluation_batches(
        examples, transform, "validation", trainer.batch_size
    ).cache()
    oracle_file = work / PROJECT / "oracle.json"
    _recover(oracle_file, work / ORACLE_COPY, say)
    with contextlib.redirect_stdout(io.StringIO()):  # it would say that it reloads
        search = ObservedSearch(
            Search(),
            objective=keras_tuner.Objective(OBJECTIVE, "min"),
            max_trials=config.max_trials,
            seed=seed + 1,  # 0 would be taken for no seed
            directory=str(work),
            project_name=PROJECT,
            overwrite=False,
        )
    started = time.perf_counter()
    # keras-tuner raises after too many failures in a row; what failed is told below.
    with contextlib.suppress(RuntimeError):
        search.search(verbose=0)
    trials = [search.oracle.trials[name] for name in sorted(search.oracle.trials)]
    completed = [trial for trial in trials if trial.status == "COMPLETED"]
    if not completed:
        shutil.rmtree(work / PROJECT)  # what failed may not fail again
        messages = [trial.message for trial in trials if trial.message]
        last_line = (
            messages[0].strip().splitlines()[-1]
            if messages
            else f"{OBJECTIVE} is not a finite number; lower --tuner.max-learning-rate"
        )
        raise PipelineError(
            f"expected at least one completed trial; {len(trials)} of {len(trials)} "
            f"failed, the first with: {last_line}"
        )
    best = min(completed, key=lambda trial: trial.score)
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
            for trial in trials
        ],
    )
    output.properties.update(
        values=best.hyperparameters.values,
        score=best.score,
        objective=OBJECTIVE,
        trials=len(trials),
        completed=len(completed),
    )
    say(
        f"best of {len(completed)} completed trials: {OBJECTIVE} {best.score:.4f} "
        f"({time.perf_counter() - started:.0f} s)"
    )


def _recover(oracle_file: Path, copy: Path, say: Callable[[str], None]) -> None:
    """Mend a search whose file a kill has torn: keras-tuner writes it in place."""
    if not oracle_file.parent.exists() or _is_json(oracle_file):
        return
    if _is_json(copy):
        say("the search was cut short while it was saved; its last copy is used")
        write_atomically(oracle_file, copy.read_bytes())
    else:
        say("the search was cut short while it was saved; it starts afresh")
        shutil.rmtree(oracle_file.parent)


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_bytes())
    except (OSError, ValueError):
        return False
    return True
