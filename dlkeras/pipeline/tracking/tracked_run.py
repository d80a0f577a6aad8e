"""A job as a run of MLflow: opened, told of everything, summed up at its end."""

import sys

from dlkeras.pipeline.artifacts.types import Blessing, Hyperparameters
from dlkeras.pipeline.configuration.config import PipelineConfig
from dlkeras.pipeline.engine.execution import Execution, Job
from dlkeras.pipeline.engine.result import PipelineResult
from dlkeras.pipeline.store.publishing import storage_errors
from dlkeras.pipeline.tracking.note import run_note
from dlkeras.pipeline.tracking.session import track
from dlkeras.pipeline.tracking.tracker import Tracker


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
        searched = artifacts.get(Hyperparameters)
        link = tracker.trials_link(searched.record.key) if searched else None
        comparison = link or tracker.experiment_link
        version = tracker.version
        tracker.set_note(run_note(config, execution.steps, version, comparison))
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


def _record_lineage(execution: Execution, tracker: Tracker) -> None:
    """Keep the graph of the artifacts in the store, and with the run in MLflow."""
    execution.record()
    if not isinstance(sys.exception(), OSError):  # a full disk takes no more
        tracker.log_json("lineage.json", execution.lineage())
