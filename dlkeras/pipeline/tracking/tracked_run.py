"""A job as a run of MLflow: opened, told of everything, summed up at its end."""

import sys
from collections.abc import Callable, Mapping

from dlkeras.pipeline.artifacts.types import (
    Artifact,
    Blessing,
    Hyperparameters,
    Model,
    PushedModel,
    Statistics,
)
from dlkeras.pipeline.components.statistics_gen import PAGE
from dlkeras.pipeline.configuration.config import PipelineConfig
from dlkeras.pipeline.engine.execution import Execution, Job
from dlkeras.pipeline.engine.result import PipelineResult
from dlkeras.pipeline.serving.deployment import deploy
from dlkeras.pipeline.store.publishing import storage_errors
from dlkeras.pipeline.tracking.note import Links, run_note
from dlkeras.pipeline.tracking.session import track
from dlkeras.pipeline.tracking.tracker import Tracker
from dlkeras.pipeline.training.monitoring import DIAGNOSIS


def run_tracked(job: Job, config: PipelineConfig) -> PipelineResult:
    """Run a job on this machine, in MLflow.

    Args:
        job: the graph, and how it is to be run.
        config: what the user asked for, which MLflow shows.

    Raises:
        TrackingError: MLflow does not answer; nothing was trained.
        StorageError: the folder of the runs is read-only or its disk is full.
    """
    say = job.progress.say
    with storage_errors(config.mlruns), track(config, say) as tracker:
        if tracker.resumed:
            say(f"continuing the interrupted run {tracker.run_name}")
        execution = Execution(
            job.store, config.name, tracker.run_id, job.progress, tracker, job.force
        )
        reason = f"stopped after {job.until}"
        try:
            if not job.carry_out(execution):
                say(reason)
        finally:
            _record_lineage(execution, tracker)
        artifacts = {type(step.artifact): step.artifact for step in execution.steps}
        _deploy(config, artifacts.get(PushedModel), say)
        searched = artifacts.get(Hyperparameters)
        link = tracker.trials_link(searched.record.key) if searched else None
        comparison = link or tracker.experiment_link
        version = tracker.version
        links = _links(config, tracker, artifacts, comparison)
        tracker.set_note(run_note(config, execution.steps, version, links))
        blessing = artifacts.get(Blessing)
        judged = isinstance(blessing, Blessing)
        return PipelineResult(
            run_id=execution.run_id,
            steps=tuple(execution.steps),
            blessed=blessing.blessed if judged else None,
            reason=blessing.reason if judged else reason,
            model_version=version,
            run_link=tracker.run_link,
            compare_link=comparison,
        )


def _deploy(
    config: PipelineConfig, pushed: Artifact | None, say: Callable[[str], None]
) -> None:
    """Put what was pushed where TensorFlow Serving looks, if it is to go there."""
    destination = config.pusher.destination
    if destination is not None and isinstance(pushed, PushedModel):
        say(f"deployed as {deploy(pushed, destination)}")


def _links(
    config: PipelineConfig,
    tracker: Tracker,
    artifacts: Mapping[type[Artifact], Artifact],
    comparison: str,
) -> Links:
    """The pages that a run's note leads to."""
    pages = {}
    if Statistics in artifacts:
        pages["the data"] = tracker.page_link(PAGE)
    if "verdict" in (artifacts[Model].properties if Model in artifacts else ()):
        pages["the diagnosis"] = tracker.page_link(DIAGNOSIS)
    pages["all runs"] = tracker.experiment_link
    model = None
    if tracker.version is not None:
        model = tracker.model_link(config.model_name, tracker.version)
    return Links(comparison, model, pages)


def _record_lineage(execution: Execution, tracker: Tracker) -> None:
    """Keep the graph of the artifacts in the store, and with the run in MLflow."""
    execution.record()
    if not isinstance(sys.exception(), OSError):  # a full disk takes no more
        tracker.log_json("lineage.json", execution.lineage())
