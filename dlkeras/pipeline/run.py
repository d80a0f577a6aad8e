"""The pipeline, read from the top down: which component reads what the others wrote."""

import json
import os
import sys
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel

from dlkeras.pipeline.artifacts import (
    Anomalies,
    Blessing,
    Evaluation,
    Examples,
    Hyperparameters,
    Model,
    PushedModel,
    Schema,
    ServableModel,
    Statistics,
    Transform,
)
from dlkeras.pipeline.baseline import last_blessed
from dlkeras.pipeline.blessing import bless
from dlkeras.pipeline.config import COMPONENTS, PipelineConfig
from dlkeras.pipeline.errors import InputError
from dlkeras.pipeline.evaluator import evaluator
from dlkeras.pipeline.example_gen import example_gen, source_fingerprint
from dlkeras.pipeline.example_validator import example_validator, stop_on_anomalies
from dlkeras.pipeline.execution import Execution, UntilReached
from dlkeras.pipeline.infra_validator import infra_validator
from dlkeras.pipeline.note import run_note
from dlkeras.pipeline.progress import Progress
from dlkeras.pipeline.pusher import pusher
from dlkeras.pipeline.result import PipelineResult
from dlkeras.pipeline.schema_gen import schema_gen
from dlkeras.pipeline.statistics_gen import statistics_gen
from dlkeras.pipeline.store import Store, file_digest, storage_errors, write_atomically
from dlkeras.pipeline.trainer import trainer
from dlkeras.pipeline.transform import transform
from dlkeras.pipeline.tuner import tuner

TRAINING_CODE = ("pipeline.input_pipeline", "pipeline.network", "architectures")
FIGURE_CODE = ("visualization",)
EVALUATION_CODE = (
    "pipeline.evaluator",
    "pipeline.input_pipeline",
    "pipeline.cost_of_answers",
    "pipeline.robustness",
    "pipeline.slices",
    "pipeline.uncertainty",
)
# What of the configurations no trial and no training depends on.
NOT_TRIED = {"keep_checkpoints", "save_freq", "early_stopping_patience"}
NOT_OF_A_TRIAL = {"max_trials", "algorithm", "space", "workers", "deadline", "factor"}
# Changing a threshold decides anew, and measures nothing again.
BLESSING_RULES = {
    "min_accuracy",
    "max_accuracy_drop",
    "significance",
    "min_slice_accuracy",
    "max_latency_ms",
    "first_model",
}


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
    progress = progress or Progress()
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise InputError(
            "the pipeline runs on Keras's TensorFlow backend; "
            f"received KERAS_BACKEND={os.environ['KERAS_BACKEND']}"
        )
    store = Store(config.mlruns / "store")

    from dlkeras.pipeline import tracking

    with storage_errors(config.mlruns), tracking.track(config) as tracker:
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
            _record_lineage(execution, tracker)
        blessing = execution.artifact(Blessing)
        link = tracker.run_link
        compare_link = _compare_link(execution, tracker)
        tracker.set_note(run_note(config, execution.steps, version, compare_link))
    return PipelineResult(
        run_id=execution.run_id,
        steps=tuple(execution.steps),
        blessed=blessing.blessed if blessing else None,
        reason=blessing.reason if blessing else f"stopped after {until}",
        model_version=version,
        run_link=link,
        compare_link=compare_link,
    )


def _components(
    config: PipelineConfig, execution: Execution, tracker: Any
) -> int | None:
    """Run the components, one after the other; give the pushed model's version."""
    step, store, progress = execution.step, execution.store, execution.progress

    examples = step(
        "ExampleGen",
        Examples,
        lambda output: example_gen(
            config.example_gen, output, config.mlruns / "tensorflow_datasets"
        ),
        config={
            "example_gen": _dump(config.example_gen),
            "source": source_fingerprint(config.example_gen),
        },
        inputs={},
        code=("pipeline.example_gen", "pipeline.example_digest", "datasets"),
        packages=("tensorflow-datasets", "scikit-learn", "pillow"),
    )
    if ignored := examples.properties["ignored"]:
        named = ", ".join(ignored[:5]) + (", ..." if len(ignored) > 5 else "")
        progress.say(f"left out, not CLASS/IMAGE: {len(ignored)} files: {named}")
    execution.stop_after("ExampleGen")

    statistics = step(
        "StatisticsGen",
        Statistics,
        lambda output: statistics_gen(config.statistics_gen, output, examples),
        config={"statistics_gen": _dump(config.statistics_gen)},
        inputs={"examples": examples},
        code=("pipeline.statistics_gen", "pipeline.example_digest"),
        packages=("numpy", "pandas"),
    )
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
        code=("pipeline.schema_gen",),
        packages=(),
    )
    execution.stop_after("SchemaGen")

    anomalies = step(
        "ExampleValidator",
        Anomalies,
        lambda output: example_validator(
            config.example_validator, output, statistics, schema
        ),
        config={"example_validator": _dump(config.example_validator)},
        inputs={"statistics": statistics, "schema": schema},
        code=("pipeline.example_validator",),
        packages=("pandas",),
    )
    stop_on_anomalies(anomalies)
    execution.stop_after("ExampleValidator")

    transformation = step(
        "Transform",
        Transform,
        lambda output: transform(config.transform, output, examples, schema),
        config={"transform": _dump(config.transform)},
        inputs={"examples": examples, "schema": schema},
        code=("pipeline.transform",),
    )
    execution.stop_after("Transform")

    floatx = os.environ.get("KERAS_FLOATX", "float32")
    hyperparameters = None
    if config.tuner.enabled:
        tuner_config = {
            "tuner": _dump(config.tuner, exclude={"workers", "deadline"}),
            "trainer": _dump(config.trainer, exclude=NOT_TRIED),
            "seed": config.seed,
            "floatx": floatx,
        }
        tuner_inputs = {"examples": examples, "transform": transformation}
        tuner_code = (
            "pipeline.tuner",
            "pipeline.trials",
            "pipeline.search_spaces",
            *TRAINING_CODE,
        )
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
                trainer=config.trainer,
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
    }
    trainer_inputs = {
        "examples": examples,
        "transform": transformation,
        "hyperparameters": hyperparameters,
    }
    trainer_code = (
        "pipeline.trainer",
        "pipeline.train_state",
        "pipeline.search_spaces",
        *TRAINING_CODE,
        *FIGURE_CODE,
    )
    trainer_key = execution.key(
        "Trainer", Model, trainer_config, trainer_inputs, trainer_code
    )
    model = step(
        "Trainer",
        Model,
        lambda output: trainer(
            config.trainer,
            output,
            examples,
            transformation,
            hyperparameters,
            seed=config.seed,
            work=store.work(Model, trainer_key),
            on_epoch_end=tracker.log_epoch,
            verbose=progress.keras_verbose,
            say=progress.say,
        ),
        config=trainer_config,
        inputs=trainer_inputs,
        code=trainer_code,
    )
    for epoch, logs in enumerate(model.history):
        tracker.log_epoch(
            epoch, logs
        )  # a reused model's; those logged already are left
    tracker.set_tags({"precision": model.properties["dtype_policy"]})
    tracker.log_figures(model, step=model.properties["epochs"])
    execution.stop_after("Trainer")

    def evaluate(of: Model, transform_of: Transform) -> Evaluation:
        return step(
            "Evaluator",
            Evaluation,
            lambda output: evaluator(
                config.evaluator, output, examples, transform_of, of, statistics
            ),
            config={"evaluator": _dump(config.evaluator, exclude=BLESSING_RULES)},
            inputs={
                "examples": examples,
                "transform": transform_of,
                "model": of,
                "statistics": statistics,
            },
            code=(*EVALUATION_CODE, *FIGURE_CODE),
            packages=("keras", "tensorflow", "scikit-learn", "scipy"),
        )

    evaluation = evaluate(model, transformation)
    _log_evaluation(tracker, evaluation, model.properties["epochs"])
    previous = last_blessed(store, config.name, examples, model, progress.say)
    baseline = None
    if previous is not None:
        with execution.quietly():
            baseline = evaluate(*previous)
    blessing = step(
        "Evaluator",
        Blessing,
        lambda output: bless(config.evaluator, output, evaluation, baseline),
        config={"evaluator": _dump(config.evaluator, include=BLESSING_RULES)},
        inputs={
            "model": model,
            "transform": transformation,
            "evaluation": evaluation,
            "baseline": baseline,
        },
        code=("pipeline.blessing", "pipeline.uncertainty"),
        packages=("scipy",),
    )
    tracker.set_tags({"dlkeras.blessed": blessing.blessed})
    execution.stop_after("Evaluator")

    if not blessing.blessed:
        return None
    servable = step(
        "InfraValidator",
        ServableModel,
        lambda output: infra_validator(
            config.infra_validator,
            output,
            name=config.model_name,
            examples=examples,
            transform=transformation,
            model=model,
            blessing=blessing,
        ),
        config={
            "infra_validator": _dump(config.infra_validator, exclude={"timeout"}),
            "name": config.model_name,
        },
        inputs={
            "examples": examples,
            "transform": transformation,
            "model": model,
            "blessing": blessing,
        },
        code=("pipeline.infra_validator", "pipeline.servable"),
    )
    execution.stop_after("InfraValidator")

    pushed = step(
        "Pusher",
        PushedModel,
        lambda output: pusher(
            config.pusher,
            output,
            name=config.model_name,
            examples=examples,
            statistics=statistics,
            model=model,
            servable=servable,
            evaluation=evaluation,
            blessing=blessing,
        ),
        config={"pusher": _dump(config.pusher), "name": config.model_name},
        inputs={
            "examples": examples,
            "statistics": statistics,
            "model": model,
            "servable": servable,
            "evaluation": evaluation,
            "blessing": blessing,
        },
        code=("pipeline.pusher",),
        packages=(),
    )
    with store.named_lock(f"registry-{config.model_name}", progress.say):
        return tracker.register(pushed)


def _dump(config: BaseModel, **which: Any) -> dict[str, Any]:
    return config.model_dump(mode="json", **which)


def _digest_of(path: Any) -> str | None:
    return file_digest(path) if path is not None and path.is_file() else None


def _log_evaluation(tracker: Any, evaluation: Evaluation, step: int) -> None:
    metrics = evaluation.metrics
    named = {
        "test/accuracy": metrics["accuracy"],
        f"test/top_{metrics['top_k']}_accuracy": metrics["top_k_accuracy"],
        "test/loss": metrics["loss"],
        "test/ece": metrics["ece"],
        "test/accuracy_low": metrics["accuracy_interval"][0],
        "test/accuracy_high": metrics["accuracy_interval"][1],
        "test/ece_after_temperature": metrics["temperature_scaling"]["ece"],
        "test/latency_p95_ms": metrics["cost"]["latency_ms"]["p95"],
    }
    for name, accuracies in metrics.get("robustness", {}).items():
        if name != "images":
            named[f"robustness/{name}"] = sum(accuracies) / len(accuracies)
    tracker.log_metrics(named, step)
    # A table: as metrics, each number would be a chart of a single point.
    classes = metrics["classes"]
    columns = {
        name: [values[name] for values in classes.values()]
        for name in ("precision", "recall", "f1", "support")
    }
    tracker.log_table("per_class.json", {"class": list(classes), **columns})
    tracker.log_figures(evaluation, step)


def _record_lineage(execution: Execution, tracker: Any) -> None:
    """Keep the graph of the artifacts in the store, and with the run in MLflow."""
    lineage = execution.lineage()
    path = execution.store.root / "runs" / f"{execution.run_id}.json"
    write_atomically(path, (json.dumps(lineage, indent=2) + "\n").encode())
    if not isinstance(sys.exception(), OSError):  # a full disk takes no more
        tracker.log_json("lineage.json", lineage)


def _compare_link(execution: Execution, tracker: Any) -> str:
    searched = execution.artifact(Hyperparameters)
    link = tracker.trials_link(searched.record.key) if searched else None
    return link or tracker.experiment_link
