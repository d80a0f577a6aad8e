"""The pipeline, read from the top down: which component reads what the others wrote."""

import functools
import os
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel

from dlkeras.datasets import PACKAGED
from dlkeras.pipeline import early_checks
from dlkeras.pipeline.artifacts.types import (
    Anomalies,
    Blessing,
    Examples,
    Hyperparameters,
    Model,
    Schema,
    Statistics,
    Transform,
)
from dlkeras.pipeline.components.example_gen import example_gen, source_fingerprint
from dlkeras.pipeline.components.example_validator import (
    example_validator,
    stop_on_anomalies,
)
from dlkeras.pipeline.components.schema_gen import schema_gen
from dlkeras.pipeline.components.statistics_gen import statistics_gen
from dlkeras.pipeline.components.trainer import trainer
from dlkeras.pipeline.components.transform import transform
from dlkeras.pipeline.components.tuner import tuner
from dlkeras.pipeline.configuration.config import COMPONENTS, PipelineConfig
from dlkeras.pipeline.configuration.not_in_key import (
    HOW_TO_PREPARE,
    NOT_OF_A_TRIAL,
    NOT_TRIED,
)
from dlkeras.pipeline.engine.execution import Execution, UntilReached
from dlkeras.pipeline.engine.last_run import last_statistics
from dlkeras.pipeline.engine.progress import Progress
from dlkeras.pipeline.engine.result import PipelineResult
from dlkeras.pipeline.errors import InputError
from dlkeras.pipeline.machines import distribution
from dlkeras.pipeline.machines.following import follow
from dlkeras.pipeline.machines.meeting import training_is_left
from dlkeras.pipeline.release import release
from dlkeras.pipeline.store.publishing import Store, file_digest, storage_errors
from dlkeras.pipeline.tracking.note import run_note
from dlkeras.pipeline.tracking.reporting import (
    compare_link,
    record_lineage,
    tell_machines,
    tell_statistics,
    tell_what_is_left_out,
)
from dlkeras.pipeline.training.jax_training import train_on_jax
from dlkeras.pipeline.training.search_spaces import search_space
from dlkeras.pipeline.training.transfer_source import resolved


def run(
    config: PipelineConfig,
    *,
    force: Collection[str] = (),
    until: str | None = None,
    progress: Progress | None = None,
) -> PipelineResult:
    """Run a pipeline: what is in the store already is reused.

    Args:
        config: the job.
        force: names of components to run even where their artifact exists.
        until: name of the component after which to stop.
        progress: where to show what happens; default: standard output.

    Returns:
        The artifacts, whether the model was blessed and pushed, and the links.

    Raises:
        InputError: a flag, a file or the examples are not what they must be.
        TrackingError: MLflow does not answer; nothing was trained.
        StorageError: the folder of the runs is read-only or its disk is full.
        CorruptArtifactError: a file of the store was altered.
        PipelineError: anything else that ends the run, such as a search in which no
            trial completed.

    Example:
    ```python
    from dlkeras.pipeline import PipelineConfig, run

    result = run(PipelineConfig(name="digits"))
    result.artifacts["Evaluation"].metrics["accuracy"]
    ```
    """
    for name in (*force, *([until] if until else [])):
        if name not in COMPONENTS:
            raise InputError(
                f"expected a component, one of {', '.join(COMPONENTS)}; received {name}"
            )
    early_checks.check(config)
    progress = progress or Progress()
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise InputError(
            "the pipeline runs on Keras's TensorFlow backend; "
            f"received KERAS_BACKEND={os.environ['KERAS_BACKEND']}"
        )
    if config.tuner.enabled and config.trainer.transfer.source is None:
        search_space(config.trainer.architecture, config.tuner)  # refuses a wrong one
    store = Store(config.mlruns / "store")

    place = distribution.place(config.trainer.distribution)

    def is_left() -> bool:
        return training_is_left(_components, config, store, force, until)

    several = config.trainer.distribution == "multi_worker"
    # Before TensorFlow computes anything, and only where there is something to train.
    started = (
        several and is_left() and distribution.start_together(progress.say, is_left)
    )
    if place.is_chief and not started:
        distribution.show_presence(place)
    if not place.is_chief:
        return follow(_components, config, store, progress, force, until)
    from dlkeras.pipeline import tracking

    with (
        distribution.presence_ends(),
        storage_errors(config.mlruns),
        tracking.track(config, progress.say) as tracker,
    ):
        if tracker.resumed:
            progress.say(f"continuing the interrupted run {tracker.run_name}")
        execution = Execution(
            store, config.name, tracker.run_id, progress, force=force, until=until
        )
        version = None
        try:
            version = _components(config, execution, tracker)
        except UntilReached:
            progress.say(f"stopped after {until}")
        finally:
            record_lineage(execution, tracker)
        blessing = execution.artifact(Blessing)
        link = tracker.run_link
        comparison = compare_link(execution, tracker)
        tracker.set_note(run_note(config, execution.steps, version, comparison))
    return PipelineResult(
        run_id=execution.run_id,
        steps=tuple(execution.steps),
        blessed=blessing.blessed if blessing else None,
        reason=blessing.reason if blessing else f"stopped after {until}",
        model_version=version,
        run_link=link,
        compare_link=comparison,
    )


def _components(
    config: PipelineConfig, execution: Execution, tracker: Any
) -> int | None:
    """Run the components, one after the other; give the pushed model's version."""
    from dlkeras.pipeline import tracking

    step, store, progress = execution.step, execution.store, execution.progress

    examples = step(
        "ExampleGen",
        Examples,
        lambda output: example_gen(
            config.example_gen, output, config.mlruns / "tensorflow_datasets"
        ),
        config={
            "example_gen": _dump(config.example_gen, exclude=HOW_TO_PREPARE),
            "source": source_fingerprint(config.example_gen),
        },
        inputs={},
        # The packaged data sets are imported by name.
        code=("dlkeras.pipeline.components.example_gen", *PACKAGED.values()),
        packages=("tensorflow-datasets", "scikit-learn", "pillow"),
    )
    tell_what_is_left_out(examples, tracker, progress)
    execution.stop_after("ExampleGen")

    statistics = step(
        "StatisticsGen",
        Statistics,
        lambda output: statistics_gen(config.statistics_gen, output, examples),
        config={"statistics_gen": _dump(config.statistics_gen)},
        inputs={"examples": examples},
        code=("dlkeras.pipeline.components.statistics_gen",),
        packages=("numpy", "pandas", "pillow"),
    )
    tell_statistics(statistics, tracker, progress)
    tracker.log_dataset(examples, statistics.summary)
    execution.stop_after("StatisticsGen")

    schema = step(
        "SchemaGen",
        Schema,
        lambda output: schema_gen(config.schema_gen, output, statistics),
        config={
            "schema_gen": _dump(config.schema_gen),
            "curated": _digest_of(config.schema_gen.path),
        },
        inputs={"statistics": statistics},
        code=("dlkeras.pipeline.components.schema_gen",),
        packages=(),
    )
    execution.stop_after("SchemaGen")

    last = last_statistics(store, config.name, execution.run_id, statistics)
    anomalies = step(
        "ExampleValidator",
        Anomalies,
        lambda output: example_validator(
            config.example_validator, output, statistics, schema, last
        ),
        config={"example_validator": _dump(config.example_validator)},
        inputs={"statistics": statistics, "schema": schema, "last": last},
        code=("dlkeras.pipeline.components.example_validator",),
        packages=("pandas",),
    )
    for warning in stop_on_anomalies(anomalies):
        progress.say(f"warning: {warning}")
    execution.stop_after("ExampleValidator")

    transformation = step(
        "Transform",
        Transform,
        lambda output: transform(config.transform, output, examples, schema),
        config={"transform": _dump(config.transform)},
        inputs={"examples": examples, "schema": schema},
        code=("dlkeras.pipeline.components.transform",),
    )
    tracker.log_figures(transformation)
    execution.stop_after("Transform")

    floatx = os.environ.get("KERAS_FLOATX", "float32")
    training, source = resolved(
        config,
        lambda name: tracking.pushed_folder(config.tracking_uri, config.mlruns, name),
    )
    hyperparameters = None
    if config.tuner.enabled:
        tuner_config = {
            "tuner": _dump(config.tuner, exclude={"workers", "deadline"}),
            "trainer": _dump(config.trainer, exclude=NOT_TRIED),
            "seed": config.seed,
            "floatx": floatx,
            "source": source,
        }
        tuner_inputs = {"examples": examples, "transform": transformation}
        tuner_code = ("dlkeras.pipeline.components.tuner",)
        tuner_packages = ("keras", "tensorflow", "keras-tuner")
        tuner_key = execution.key(
            "Tuner",
            Hyperparameters,
            tuner_config,
            tuner_inputs,
            tuner_code,
            tuner_packages,
        )
        tracker.search = tuner_key
        of_a_trial = _dump(config.tuner, exclude=NOT_OF_A_TRIAL)
        trial_key = execution.key(
            "Trial",
            Hyperparameters,
            tuner_config | {"tuner": of_a_trial},
            tuner_inputs,
            tuner_code,
            tuner_packages,
        )
        hyperparameters = step(
            "Tuner",
            Hyperparameters,
            lambda output: tuner(
                config.tuner,
                output,
                examples,
                transformation,
                trainer=training,
                seed=config.seed,
                work=store.work(Hyperparameters, tuner_key),
                observer=tracker,
                verbose=progress.keras_verbose,
                say=progress.say,
                cache=None
                if "Tuner" in execution.force
                else store.root / "trials" / trial_key[:16],
            ),
            config=tuner_config,
            inputs=tuner_inputs,
            code=tuner_code,
            packages=tuner_packages,
        )
        tracker.log_metrics(
            {"tuner/best_val_loss": hyperparameters.properties["score"]}
        )
    execution.stop_after("Tuner")

    unused = {
        "keep_checkpoints",
        "save_freq",
        *(hyperparameters.values if hyperparameters else ()),
    }
    trainer_config = {
        "trainer": _dump(config.trainer, exclude=unused),
        "seed": config.seed,
        "floatx": floatx,
        "source": source,
    }
    trainer_inputs = {
        "examples": examples,
        "transform": transformation,
        "hyperparameters": hyperparameters,
    }
    on_jax = config.trainer.distribution == "data_parallel"
    train = functools.partial(train_on_jax, trainer) if on_jax else trainer
    trainer_packages = ("keras", "tensorflow", *(("jax",) if on_jax else ()))
    trainer_code = (
        trainer.__module__,
        *((train_on_jax.__module__,) if on_jax else ()),
    )
    trainer_key = execution.key(
        "Trainer", Model, trainer_config, trainer_inputs, trainer_code, trainer_packages
    )
    model = step(
        "Trainer",
        Model,
        lambda output: train(
            training,
            output,
            examples,
            transformation,
            hyperparameters,
            seed=config.seed,
            work=store.work(Model, trainer_key),
            on_epoch_end=tracker.log_epoch,
            on_figures=tracker.log_images,
            verbose=progress.keras_verbose,
            say=progress.say,
        ),
        config=trainer_config,
        inputs=trainer_inputs,
        code=trainer_code,
        packages=trainer_packages,
    )
    tell_machines(config.trainer, model, progress)
    for epoch, logs in enumerate(model.history):
        tracker.log_epoch(epoch, logs)  # a reused model's; those logged are left
    tracker.set_tags(
        {
            "precision": model.properties["dtype_policy"],
            "machines": model.properties["machines"],
        }
    )
    tracker.log_figures(model, step=model.properties["epochs"])
    execution.stop_after("Trainer")

    return release(
        config,
        execution,
        tracker,
        examples=examples,
        statistics=statistics,
        transformation=transformation,
        model=model,
    )


def _dump(config: BaseModel, **which: Any) -> dict[str, Any]:
    return config.model_dump(mode="json", **which)


def _digest_of(path: Any) -> str | None:
    return file_digest(path) if path is not None and path.is_file() else None
