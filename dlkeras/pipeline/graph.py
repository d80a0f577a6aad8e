"""The pipeline, read from the top down: which component reads what the others wrote."""

from collections.abc import Callable, Collection
from typing import Any

from dlkeras.pipeline import tracking
from dlkeras.pipeline.components.blessing import bless
from dlkeras.pipeline.components.bulk_inferrer import bulk_inferrer
from dlkeras.pipeline.components.cross_validator import cross_validator
from dlkeras.pipeline.components.evaluator import evaluator
from dlkeras.pipeline.components.example_gen import example_gen
from dlkeras.pipeline.components.example_validator import (
    example_validator,
    stop_on_anomalies,
)
from dlkeras.pipeline.components.infra_validator import infra_validator
from dlkeras.pipeline.components.learning_rate_finder import learning_rate_finder
from dlkeras.pipeline.components.pusher import pusher
from dlkeras.pipeline.components.schema_gen import schema_gen
from dlkeras.pipeline.components.statistics_gen import statistics_gen
from dlkeras.pipeline.components.trainer import trainer
from dlkeras.pipeline.components.transform import transform
from dlkeras.pipeline.components.tuner import tuner
from dlkeras.pipeline.configuration.config import BulkInferrerConfig, PipelineConfig
from dlkeras.pipeline.engine.component import components_of, names_of
from dlkeras.pipeline.engine.execution import Job, Run
from dlkeras.pipeline.engine.last_run import last_statistics
from dlkeras.pipeline.engine.progress import Progress
from dlkeras.pipeline.engine.result import PipelineResult
from dlkeras.pipeline.machines.distribution import chief_port_closed
from dlkeras.pipeline.machines.memory import take_as_needed
from dlkeras.pipeline.machines.worker_execution import follow, take_part
from dlkeras.pipeline.serving.baseline import last_blessed
from dlkeras.pipeline.serving.deployment import check_destination
from dlkeras.pipeline.serving.stranger import strangers_sent_home
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import Store
from dlkeras.pipeline.training import early_checks
from dlkeras.pipeline.training.own.code import remember_code
from dlkeras.pipeline.training.search_spaces import chosen
from dlkeras.pipeline.training.transfer_source import resolve_transfer_source
from dlkeras.visualization.look.saved_beside import figures_beside


def standard(run: Run) -> None:
    """From a source of examples to a model in the registry.

    A graph of your own may call it, and go on with what it made:
    `run.artifact(Model)`.
    """
    examples = run(example_gen)
    statistics = run(statistics_gen, examples)
    schema = run(schema_gen, statistics)
    before = last_statistics(run, statistics)
    stop_on_anomalies(run(example_validator, statistics, schema, before))
    transformed = run(transform, examples, schema)
    best = run.if_enabled(tuner, examples, transformed)
    config = chosen(run.config.trainer, best.values if best else {})
    model = run(trainer, examples, transformed, best, config=config)
    if config.folds > 1:
        run(cross_validator, examples, transformed, best)
    evaluation = run(evaluator, examples, transformed, model, statistics)
    previous, baseline = last_blessed(run, examples, model), None
    if previous is not None:
        baseline = run(evaluator, examples, *previous, statistics, is_own=False)
    blessing = run(bless, evaluation, baseline)
    if not blessing.blessed:
        return
    servable = run(infra_validator, examples, transformed, model, evaluation, blessing)
    pushed = run(pusher, examples, statistics, model, servable, evaluation, blessing)
    asked = run.config.bulk_inferrer
    if isinstance(asked, BulkInferrerConfig) and asked.images is not None:
        run(bulk_inferrer, pushed)


def find_learning_rate(run: Run) -> None:
    """From a source of examples to a learning rate: what `dlkeras lr-find` runs."""
    examples = run(example_gen)
    schema = run(schema_gen, run(statistics_gen, examples))
    run(learning_rate_finder, examples, run(transform, examples, schema))


def run(
    config: PipelineConfig,
    *,
    graph: Callable[[Run], Any] = standard,
    force: Collection[str] = (),
    until: str | None = None,
    progress: Progress | None = None,
) -> PipelineResult:
    """Run a pipeline: what is in the store already is reused.

    Args:
        config: the job.
        graph: calls the components, one after the other; default: the standard graph.
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
    names = names_of(config, components_of(graph))
    for name in (*force, *([until] if until else [])):
        if name not in names:
            raise InputError(
                f"expected a component, one of {', '.join(names)}; received {name}"
            )
    config = early_checks.check(config)
    if config.trainer.memory_growth:
        take_as_needed()
    check_destination(config.pusher.destination)
    remember_code(config.trainer)
    resolved = resolve_transfer_source(
        config,
        lambda name: tracking.pushed_folder(config.tracking_uri, config.mlruns, name),
    )
    progress = progress or Progress()
    folder = config.mlruns / "store"
    early_checks.check_networks(resolved, folder / "checked", progress.say)
    store = Store(folder)
    job = Job(resolved, graph, store, progress, force, until)
    if not take_part(job):
        return follow(job)
    with chief_port_closed(), strangers_sent_home(), figures_beside():
        return tracking.run_tracked(job, config)
