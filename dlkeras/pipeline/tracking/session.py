"""The life of a run in MLflow: opened, taken up again, ended with its status."""

import contextlib
import os
import re
import socket
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from dlkeras.pipeline.configuration.config import PipelineConfig
from dlkeras.pipeline.engine.lasting_output import lasting_output
from dlkeras.pipeline.engine.lineage import run_lock
from dlkeras.pipeline.store.errors import (
    RunInterrupted,
    StorageError,
    TrackingError,
    reason,
)
from dlkeras.pipeline.store.ownership import (
    heartbeat,
    owner_file,
    read_owner,
    take_from_dead,
)
from dlkeras.pipeline.store.publishing import canonical_digest
from dlkeras.pipeline.tracking.database.connection import (
    connect,
    every,
    is_database,
    quiet,
    use,
)
from dlkeras.pipeline.tracking.database.moved_folder import check_location
from dlkeras.pipeline.tracking.environment import (
    ALIVE_TAGS,
    environment_tags,
    process_is_gone,
    process_tags,
)
from dlkeras.pipeline.tracking.marked_client import marked
from dlkeras.pipeline.tracking.tracker import WHERE, Tracker


@contextlib.contextmanager
def track(
    config: PipelineConfig, say: Callable[[str], None] = lambda text: None
) -> Iterator[Tracker]:
    """Open the run of a configuration, and close it with the status it ends in.

    A run of the same configuration that was interrupted goes on. Runs that a process
    which is gone has left RUNNING are marked KILLED: those of this machine, and those
    of the same configuration that another machine left in the folder of the runs.

    Inside a run of the user's own, `with mlflow.start_run():`, it is that run's child,
    in its experiment, and MLflow's address is afterwards what it was before. Otherwise
    the experiment is `MLFLOW_EXPERIMENT_NAME`, or the pipeline's name.

    Args:
        config: the job.
        say: is told of a run on another machine.

    Raises:
        TrackingError: MLflow does not answer.
    """
    others = mlflow.active_run()  # a user's own, in a notebook or a script
    before = mlflow.get_tracking_uri()
    with quiet():
        try:
            with _run_of(config, say, others, before) as tracker:
                yield tracker
        finally:
            if others is not None:  # the caller still logs where the run is
                use(before)


@contextlib.contextmanager
def _run_of(
    config: PipelineConfig,
    say: Callable[[str], None],
    others: Run | None,
    before: str,
) -> Iterator[Tracker]:
    """The run itself; `others` is the user's own, at the address `before`."""
    client = marked(connect(config.tracking_uri, config.mlruns, say))
    uri = mlflow.get_tracking_uri()
    parent = others if uri == before else None
    mlflow.set_system_metrics_sampling_interval(1)
    mlflow.set_system_metrics_samples_before_logging(1)
    tracker = None
    try:
        if parent is not None:
            experiment_id = parent.info.experiment_id
        else:
            experiment_id = _experiment(client, config, local=is_database(uri))
        digest = canonical_digest(config.model_dump(mode="json", exclude=set(WHERE)))
        locks = config.mlruns / "store" / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        _end_runs_of_dead_processes(client, experiment_id, digest, locks, say)
        interrupted = client.search_runs(
            [experiment_id],
            f"tags.`dlkeras.config` = '{digest}'",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
        run_id = None
        if interrupted and interrupted[0].info.status == "KILLED":
            run_id = interrupted[0].info.run_id
        started = datetime.now().strftime("%Y%m%d-%H%M%S")
        run = mlflow.start_run(
            run_id=run_id,
            experiment_id=experiment_id,
            run_name=None if run_id else f"{config.name}-seed{config.seed}-{started}",
            # With the run itself: one that says not whose it is would stay RUNNING.
            tags={"dlkeras.config": digest, **process_tags()},
            log_system_metrics=True,
            nested=others is not None,
        )
        if others is not None and parent is None:  # of another server or database
            client.delete_tag(run.info.run_id, "mlflow.parentRunId")
        tracker = Tracker(client, config, run, say)
        tracker.set_tags(environment_tags())
        tracker.log_parameters()
        beat = heartbeat(_lock_of_run(locks, run), f"run {tracker.run_name}")
        with beat, lasting_output():
            yield tracker
        mlflow.end_run("FINISHED")
    except KeyboardInterrupt as interrupt:
        if tracker is None and mlflow.active_run() is others:
            raise  # before a run began
        _end(tracker, others, "KILLED")
        raise RunInterrupted from interrupt
    except MlflowException as error:
        _end(tracker, others, "FAILED")
        full = "is full" in str(error)  # SQLite's words for it
        kind = StorageError if full else TrackingError
        raise kind(f"MLflow at {uri} failed: {reason(error)}") from error
    except BaseException as error:
        if tracker is not None:
            with contextlib.suppress(MlflowException):
                tracker.set_tags({"dlkeras.error": reason(error)[:400]})
        _end(tracker, others, "FAILED")
        raise


def _end(tracker: Tracker | None, others: Run | None, status: str) -> None:
    """End a run and its trials; a failure here would hide what stopped the run."""
    if tracker is not None:
        with contextlib.suppress(MlflowException):
            tracker.end_open_trials(status)
    if mlflow.active_run() is not others:
        with contextlib.suppress(MlflowException):
            mlflow.end_run(status)


def _experiment(client: MlflowClient, config: PipelineConfig, local: bool) -> str:
    """Find or make the experiment of a pipeline, or the one of the environment."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or config.name
    found = client.get_experiment_by_name(name)
    if found is not None:
        if local:
            check_location(name, found.artifact_location, config.mlruns.resolve())
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return found.experiment_id
    artifacts = None
    if local:
        # A name from the environment may have slashes, as Databricks's have.
        folder = re.sub(r"[^\w.-]+", "_", name).strip(".") or "experiment"
        place = config.mlruns / "artifacts" / folder
        place.mkdir(parents=True, exist_ok=True)
        artifacts = place.resolve().as_uri()
    note = (
        f"Runs of the pipeline `{config.name}`: every run ends with an evaluation on "
        "the test split, and a blessed model is registered as "
        f"`{config.model_name}@{config.pusher.alias}`."
    )
    try:
        return client.create_experiment(
            name,
            artifacts,
            {
                "mlflow.note.content": note,
                "mlflow.experimentKind": "custom_model_development",
            },
        )
    except MlflowException:
        found = client.get_experiment_by_name(name)
        if found is None:  # it was not another process that made it meanwhile
            raise
        return found.experiment_id


def _lock_of_run(locks: Path, run: Run) -> Path:
    """Beside which file the process that runs it is written."""
    return run_lock(locks.parent, run.info.run_id)


def _end_runs_of_dead_processes(
    client: MlflowClient,
    experiment_id: str,
    digest: str,
    locks: Path,
    say: Callable[[str], None],
) -> None:
    alive = "attributes.status = 'RUNNING'"
    running = list(every(client.search_runs, [experiment_id], alive))
    dead = set()
    for run in running:
        process = tuple(run.data.tags.get(tag) for tag in ALIVE_TAGS)
        lock = _lock_of_run(locks, run)
        if process_is_gone(run.data.tags):
            take_from_dead(lock)
            dead.add(process)
        elif run.data.tags.get("dlkeras.config") == digest and (
            process[0] != socket.gethostname() and owner_file(lock).exists()
        ):
            say(f"looking whether {read_owner(lock)} is alive")
            if take_from_dead(lock):
                dead.add(process)
    for run in running:  # with those of its trials
        if tuple(run.data.tags.get(tag) for tag in ALIVE_TAGS) in dead:
            client.set_terminated(run.info.run_id, "KILLED")
