"""Tracking: the only file that imports mlflow; a pipeline run as MLflow shows it.

Without a server everything is kept below the folder of the runs: `mlflow.db` (SQLite)
and `artifacts/`.
"""

import contextlib
import json
import logging
import os
import platform
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import psutil

from dlkeras.pipeline.artifacts import Artifact, Examples, PushedModel
from dlkeras.pipeline.config import PipelineConfig
from dlkeras.pipeline.errors import TrackingError
from dlkeras.pipeline.store import canonical_digest, storage_errors
from dlkeras.pipeline.versions import package_versions

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

import mlflow
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    Param,
    RunTag,
)
from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    pass

UI_ADDRESS = "http://127.0.0.1:5000"
PROBE_SECONDS = 5
OBJECTIVE = "val_loss"
ALIVE_TAGS = ("dlkeras.host", "dlkeras.pid", "dlkeras.process_started")

for _name in ("mlflow", "alembic", "mlflow.system_metrics"):
    logging.getLogger(_name).setLevel(logging.ERROR)


def resolve_tracking_uri(tracking_uri: str | None, mlruns: Path) -> str:
    """The MLflow server or database to use: given, from the environment, or SQLite."""
    chosen = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    return chosen or f"sqlite:///{(mlruns / 'mlflow.db').resolve()}"


def connect(tracking_uri: str | None, mlruns: Path) -> MlflowClient:
    """Reach MLflow, and make its database where there is none.

    Raises:
        TrackingError: the server does not answer within 5 seconds, or the database
            cannot be opened.
        StorageError: the folder of the runs cannot be written.
    """
    uri = resolve_tracking_uri(tracking_uri, mlruns)
    if uri.startswith(("http://", "https://")):
        _probe(uri)
    given = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    # set_tracking_uri writes the variable; the next run may be of another folder.
    if given is None:
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    else:
        os.environ["MLFLOW_TRACKING_URI"] = given
    client = MlflowClient()
    try:
        if uri.startswith("sqlite:"):
            # Two processes that migrate a new database at once break it.
            with storage_errors(mlruns):
                mlruns.mkdir(parents=True, exist_ok=True)
                lock = filelock.FileLock(mlruns / "mlflow.db.lock")
                with lock:
                    client.search_experiments(max_results=1)
        else:
            client.search_experiments(max_results=1)
    except MlflowException as error:
        raise TrackingError(
            f"expected an MLflow server or database at {uri}; {_first_line(error)}"
        ) from error
    return client


def _probe(uri: str) -> None:
    """Ask a server for its health once, rather than retry for minutes."""
    try:
        with urllib.request.urlopen(
            uri.rstrip("/") + "/health", timeout=PROBE_SECONDS
        ) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        if error.code >= 500:
            raise TrackingError(
                f"expected an MLflow server at {uri}; it answered {error}"
            ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise TrackingError(
            f"expected an MLflow server at {uri}; it does not answer ({reason}). "
            "Nothing was trained. Start it, or unset --tracking-uri and "
            "MLFLOW_TRACKING_URI to keep the runs in a file"
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]


class Tracker:
    """One pipeline run in MLflow.

    Attributes:
        run_id: the run.
        resumed: whether the run is one that was interrupted before.
    """

    def __init__(self, client: MlflowClient, config: PipelineConfig, run: Any):
        self._client = client
        self._config = config
        self._run = run
        self.run_id: str = run.info.run_id
        self.run_name: str = run.info.run_name
        self.experiment_id: str = run.info.experiment_id
        self.resumed = "train/loss" in run.data.metrics
        self._last_epoch = 0
        if self.resumed:
            history = client.get_metric_history(self.run_id, "train/loss")
            self._last_epoch = max(metric.step for metric in history)
        self._trials: dict[str, str] = {}

    # What a run says of itself -------------------------------------------------------

    def log_parameters(self) -> None:
        """Log the resolved configuration: as parameters, and as a file to replay."""
        values = self._config.model_dump(mode="json")
        flat = {
            name: value
            for name, value in _flatten(values)
            if name not in ("mlruns", "tracking_uri")
        }
        params = [Param(name, str(value)) for name, value in flat.items()]
        self._client.log_batch(self.run_id, params=params)
        self._client.log_text(
            self.run_id, self._config.model_dump_json(indent=2), "config.json"
        )

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags of the run."""
        self._client.log_batch(
            self.run_id, tags=[RunTag(name, str(value)) for name, value in tags.items()]
        )

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log metrics in one call."""
        now = int(time.time() * 1000)
        self._client.log_batch(
            self.run_id,
            metrics=[Metric(name, float(v), now, step) for name, v in metrics.items()],
        )

    def log_epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Log what Keras measured in an epoch; one that is logged already is left."""
        if epoch + 1 <= self._last_epoch:
            return
        self._last_epoch = epoch + 1
        self.log_metrics(_epoch_metrics(logs), epoch + 1)

    def log_figures(self, artifact: Artifact, step: int = 0) -> None:
        """Show an artifact's figures on the run's page, each with a step slider."""
        from PIL import Image

        for name, path in artifact.figures.items():
            with Image.open(path) as image:
                self._client.log_image(
                    self.run_id, image.convert("RGB"), key=name, step=step
                )

    def log_json(self, name: str, value: Any) -> None:
        """Log a JSON file."""
        self._client.log_text(self.run_id, json.dumps(value, indent=2), name)

    def log_table(self, name: str, columns: Mapping[str, list]) -> None:
        """Log a table, a JSON file that the pages show as one."""
        self._client.log_table(self.run_id, dict(columns), name)

    def log_dataset(self, examples: Examples, summary: Mapping[str, Any]) -> None:
        """Log which examples the run reads."""
        properties = examples.properties
        dataset = Dataset(
            name=self._config.example_gen.dataset
            if self._config.example_gen.image_folder is None
            else self._config.example_gen.image_folder.name,
            digest=examples.record.digest[:16],
            source_type="dlkeras",
            source=json.dumps(
                {"source": properties["source"], "uri": str(examples.path.resolve())}
            ),
            schema=json.dumps(
                {"labels": properties["labels"], "channels": properties["channels"]}
            ),
            profile=json.dumps(
                {
                    name: {key: split[key] for key in ("examples", "pixel_mean")}
                    for name, split in summary["splits"].items()
                }
            ),
        )
        tag = InputTag("mlflow.data.context", "training")
        self._client.log_inputs(self.run_id, [DatasetInput(dataset, [tag])])

    def set_note(self, markdown: str) -> None:
        """Set the description that the run's page shows."""
        self._client.set_tag(self.run_id, "mlflow.note.content", markdown)

    # The tuner's trials, child runs --------------------------------------------------

    def trial_started(self, trial: str, values: Mapping[str, float]) -> None:
        """Open a child run for a trial."""
        run = self._client.create_run(
            self.experiment_id,
            run_name=f"trial {int(trial) + 1}",
            tags={
                "mlflow.parentRunId": self.run_id,
                "mlflow.source.name": "Tuner",
                "mlflow.source.type": "LOCAL",
                **_process_tags(),
            },
        )
        self._trials[trial] = run.info.run_id
        params = [Param(name, f"{value:.6g}") for name, value in values.items()]
        self._client.log_batch(run.info.run_id, params=params)

    def trial_epoch(self, trial: str, epoch: int, logs: Mapping[str, float]) -> None:
        """Log an epoch of a trial."""
        now = int(time.time() * 1000)
        self._client.log_batch(
            self._trials[trial],
            metrics=[
                Metric(name, float(value), now, epoch + 1)
                for name, value in _epoch_metrics(logs).items()
            ],
        )

    def trial_ended(self, trial: str, status: str, score: float | None) -> None:
        """Close a trial's run."""
        run_id = self._trials[trial]
        if score is not None:
            # The first name in the alphabet: what the comparison page shows at first.
            self._client.log_metric(run_id, f"objective/{OBJECTIVE}", score)
        self._client.set_tag(run_id, "dlkeras.trial_status", status)
        ended = "FINISHED" if status == "COMPLETED" else "FAILED"
        self._client.set_terminated(run_id, ended)

    # Models --------------------------------------------------------------------------

    def register(self, pushed: PushedModel) -> int:
        """Put a pushed model into the registry under its alias, once.

        Returns:
            The number of the model's version.
        """
        name, alias = pushed.properties["name"], pushed.properties["alias"]
        digest = pushed.record.digest
        existing = self._client.search_model_versions(f"name = '{name}'")
        versions = [v for v in existing if v.tags.get("dlkeras.digest") == digest]
        version = int(versions[0].version) if versions else self._log_model(pushed)
        current = None
        with contextlib.suppress(MlflowException):  # there is no such alias yet
            current = self._client.get_model_version_by_alias(name, alias)
        if current is None or int(current.version) != version:
            self._client.set_registered_model_alias(name, alias, str(version))
        self.set_tags({"dlkeras.model": f"models:/{name}/{version}"})
        return version

    def _log_model(self, pushed: PushedModel) -> int:
        import mlflow.keras
        import numpy as np
        from mlflow.models import ModelSignature
        from mlflow.types import Schema, TensorSpec

        from dlkeras.pipeline.tensorflow_import import keras

        name = pushed.properties["name"]
        labels, channels = pushed.properties["labels"], pushed.properties["channels"]
        image = TensorSpec(np.dtype("uint8"), (-1, -1, -1, channels), "image")
        output = TensorSpec(np.dtype("float32"), (-1, len(labels)))
        logged = mlflow.keras.log_model(
            keras.saving.load_model(pushed.path / PushedModel.MODEL),
            name="model",
            signature=ModelSignature(Schema([image]), Schema([output])),
            pip_requirements=[
                f"{package}=={version}"
                for package, version in package_versions("keras", "tensorflow").items()
            ],
            metadata={"labels": labels, "sha256": pushed.properties["sha256"]},
        )
        with contextlib.suppress(MlflowException):  # it exists from the first run on
            self._client.create_registered_model(name)
        version = self._client.create_model_version(
            name, logged.model_uri, self.run_id, model_id=logged.model_id
        ).version
        self._client.update_model_version(name, version, description=pushed.card)
        self._client.update_registered_model(name, description=pushed.card)
        for key, value in {
            "dlkeras.digest": pushed.record.digest,
            "dlkeras.accuracy": f"{pushed.properties['accuracy']:.4f}",
            "dlkeras.path": str(pushed.path.resolve()),
        }.items():
            self._client.set_model_version_tag(name, version, key, value)
        return int(version)

    # Links ---------------------------------------------------------------------------

    @property
    def run_link(self) -> str:
        """The page of this run."""
        return (
            f"{_ui_address()}/#/experiments/{self.experiment_id}/runs/{self.run_id}"
            "?workflowType=machine_learning"
        )

    def trials_link(self, run_id: str) -> str | None:
        """The page that compares the completed trials of a run's tuner, if any."""
        children = self._client.search_runs(
            [self.experiment_id],
            f"tags.mlflow.parentRunId = '{run_id}' and attributes.status = 'FINISHED'",
            order_by=["attributes.start_time ASC"],
        )
        if len(children) < 2:
            return None
        runs = urllib.parse.quote(json.dumps([c.info.run_id for c in children]))
        experiments = urllib.parse.quote(json.dumps([self.experiment_id]))
        return (
            f"{_ui_address()}/#/compare-runs?runs={runs}&experiments={experiments}"
            "&workflowType=machine_learning"
        )

    @property
    def experiment_link(self) -> str:
        """The page of all runs of this pipeline, their charts side by side."""
        return (
            f"{_ui_address()}/#/experiments/{self.experiment_id}/runs"
            "?workflowType=machine_learning&compareRunsMode=CHART"
        )


def _ui_address() -> str:
    uri = mlflow.get_tracking_uri()
    return uri.rstrip("/") if uri.startswith("http") else UI_ADDRESS


@contextlib.contextmanager
def track(config: PipelineConfig) -> Iterator[Tracker]:
    """Open the run of a configuration, and close it with the status it ends in.

    A run of the same configuration that was interrupted goes on. Runs that a process
    which is gone has left RUNNING are marked KILLED.

    Raises:
        TrackingError: MLflow does not answer.
    """
    client = connect(config.tracking_uri, config.mlruns)
    uri = mlflow.get_tracking_uri()
    mlflow.set_system_metrics_sampling_interval(1)
    mlflow.set_system_metrics_samples_before_logging(1)
    try:
        experiment_id = _experiment(client, config, local=uri.startswith("sqlite:"))
        _end_runs_of_dead_processes(client, experiment_id)
        digest = canonical_digest(config.model_dump(mode="json"))
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
            log_system_metrics=True,
        )
        tracker = Tracker(client, config, run)
        tracker.set_tags(
            {"dlkeras.config": digest, **_process_tags(), **environment_tags()}
        )
        tracker.log_parameters()
    except MlflowException as error:
        mlflow.end_run("FAILED")
        raise TrackingError(
            f"MLflow at {uri} refused the run: {_first_line(error)}"
        ) from error
    try:
        yield tracker
    except KeyboardInterrupt:
        _end(client, tracker, "KILLED")
        raise
    except BaseException as error:
        with contextlib.suppress(MlflowException):
            tracker.set_tags({"dlkeras.error": _first_line(error)[:400]})
        _end(client, tracker, "FAILED")
        raise
    else:
        mlflow.end_run("FINISHED")


def _end(client: MlflowClient, tracker: Tracker, status: str) -> None:
    """End a run and its trials; a failure here would hide what stopped the run."""
    with contextlib.suppress(MlflowException):
        for run_id in tracker._trials.values():
            if client.get_run(run_id).info.status == "RUNNING":
                client.set_terminated(run_id, status)
        mlflow.end_run(status)


def _experiment(client: MlflowClient, config: PipelineConfig, local: bool) -> str:
    """Find or make the experiment of a pipeline."""
    found = client.get_experiment_by_name(config.name)
    if found is not None:
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return found.experiment_id
    artifacts = None
    if local:
        folder = config.mlruns / "artifacts" / config.name
        folder.mkdir(parents=True, exist_ok=True)
        artifacts = folder.resolve().as_uri()
    note = (
        f"Runs of the pipeline `{config.name}`: every run ends with an evaluation on "
        "the test split, and a blessed model is registered as "
        f"`{config.model_name}@{config.pusher.alias}`."
    )
    try:
        return client.create_experiment(
            config.name,
            artifacts,
            {
                "mlflow.note.content": note,
                "mlflow.experimentKind": "custom_model_development",
            },
        )
    except MlflowException:
        found = client.get_experiment_by_name(config.name)
        if found is None:  # it was not another process that made it meanwhile
            raise
        return found.experiment_id


def _end_runs_of_dead_processes(client: MlflowClient, experiment_id: str) -> None:
    running = client.search_runs([experiment_id], "attributes.status = 'RUNNING'")
    for run in running:
        host, pid, process_started = (run.data.tags.get(tag) for tag in ALIVE_TAGS)
        if host != socket.gethostname() or not pid or not process_started:
            continue
        try:
            alive = psutil.Process(int(pid)).create_time() == float(process_started)
        except psutil.NoSuchProcess:
            alive = False
        if not alive:
            client.set_terminated(run.info.run_id, "KILLED")


def _process_tags() -> dict[str, str]:
    values = (
        socket.gethostname(),
        str(os.getpid()),
        repr(psutil.Process().create_time()),
    )
    return dict(zip(ALIVE_TAGS, values, strict=True))


def environment_tags() -> dict[str, str]:
    """Hardware, driver, precision and versions, as tags."""
    tags = {
        f"version.{name}": version
        for name, version in package_versions(
            "dlkeras",
            "keras",
            "tensorflow",
            "tensorflow-datasets",
            "keras-tuner",
            "mlflow",
            "numpy",
        ).items()
    }
    memory = psutil.virtual_memory().total / 2**30
    tags |= {
        "version.python": platform.python_version(),
        "hardware.cpu": _cpu_model(),
        "hardware.cores": str(os.cpu_count()),
        "hardware.memory": f"{memory:.0f} GiB",
        "hardware.system": platform.platform(),
        "precision": os.environ.get("KERAS_FLOATX", "float32"),
    }
    return tags | _gpu_tags()


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _gpu_tags() -> dict[str, str]:
    import pynvml

    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
        names = [
            pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(index))
            for index in range(count)
        ]
        driver = pynvml.nvmlSystemGetDriverVersion()
    except pynvml.NVMLError:
        return {"hardware.gpu": "none"}
    return {"hardware.gpu": ", ".join(names) or "none", "hardware.gpu_driver": driver}


def _epoch_metrics(logs: Mapping[str, float]) -> dict[str, float]:
    """Name Keras's metrics so that MLflow groups them: train/loss, validation/loss.

    >>> _epoch_metrics({"loss": 1.0, "val_loss": 2.0})
    {'train/loss': 1.0, 'validation/loss': 2.0}
    """
    return {
        f"validation/{name[4:]}" if name.startswith("val_") else f"train/{name}": value
        for name, value in logs.items()
    }


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def list_runs(tracking_uri: str | None, mlruns: Path, limit: int) -> list[dict]:
    """The latest runs of all pipelines, without the tuner's trials.

    Returns:
        For each run: run_id, name, pipeline, status, started, seconds, accuracy, model.
    """
    client = connect(tracking_uri, mlruns)
    experiments = {e.experiment_id: e.name for e in client.search_experiments()}
    runs = client.search_runs(
        list(experiments), order_by=["attributes.start_time DESC"], max_results=1000
    )
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    return [
        {
            "run_id": run.info.run_id,
            "name": run.info.run_name,
            "pipeline": experiments[run.info.experiment_id],
            "status": run.info.status,
            "started": datetime.fromtimestamp(run.info.start_time / 1000),
            "seconds": (run.info.end_time - run.info.start_time) / 1000
            if run.info.end_time
            else None,
            "accuracy": run.data.metrics.get("test/accuracy"),
            "model": run.data.tags.get("dlkeras.model"),
        }
        for run in parents[:limit]
        if "dlkeras.config" in run.data.tags
    ]


def champion_path(
    tracking_uri: str | None, mlruns: Path, name: str, alias: str
) -> Path | None:
    """The folder of a registered model's pushed files, or None where there is none."""
    client = connect(tracking_uri, mlruns)
    try:
        version = client.get_model_version_by_alias(name, alias)
    except MlflowException:
        return None
    path = version.tags.get("dlkeras.path")
    return Path(path) if path else None


def ui_command(tracking_uri: str | None, mlruns: Path, port: int) -> list[str]:
    """The command that serves MLflow's pages for a folder of runs."""
    return [
        sys.executable,
        "-m",
        "mlflow",
        "ui",
        "--backend-store-uri",
        resolve_tracking_uri(tracking_uri, mlruns),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
