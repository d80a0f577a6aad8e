"""Questions to MLflow: the latest runs, and where a registered model is."""

import itertools
import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from mlflow import MlflowClient

from dlkeras.pipeline.artifacts.types import RECORD_FILE
from dlkeras.pipeline.serving.tasks.registry import TASKS, task_of
from dlkeras.pipeline.store.errors import InputError, NoSuchModelError
from dlkeras.pipeline.tracking.database.connection import connect, every
from dlkeras.pipeline.tracking.registry.model_folder import data_folder
from dlkeras.pipeline.tracking.registry.registered import (
    downloaded_model,
    registered_version,
)


def logged_images(client: MlflowClient, run_id: str) -> set[tuple[str, int]]:
    """Name and step of the pictures that a run's charts show."""
    files = client.list_artifacts(run_id, "images")
    # MLflow names them KEY+step+STEP+timestamp+TIME+UUID.png, or with % for +.
    parts = [re.split("[%+]", Path(file.path).name) for file in files]
    return {(part[0], int(part[2])) for part in parts if len(part) > 2}


def list_runs(tracking_uri: str | None, mlruns: Path, limit: int) -> list[dict]:
    """The latest runs of all pipelines, without the tuner's trials.

    Returns:
        For each run: run_id, name, pipeline, status, started, seconds, model, and
        `score`: the name and the value of what its task is judged by, of the test
        split; None where it was not judged. `accuracy` is the accuracy, or None.
    """
    client = connect(tracking_uri, mlruns, make=False)
    experiments = {e.experiment_id: e.name for e in every(client.search_experiments)}
    runs = every(
        client.search_runs,
        list(experiments),
        "tags.`dlkeras.config` LIKE '%'",  # of the pipeline, and no trial
        order_by=["attributes.start_time DESC"],
    )
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
            "score": _score(run.data.metrics),
            "model": run.data.tags.get("dlkeras.model"),
        }
        for run in itertools.islice(runs, limit)
    ]


def _score(metrics: Mapping[str, float]) -> tuple[str, float] | None:
    """What a task's models are compared by, wherever a run has it."""
    for name in TASKS:
        score = task_of(name).score_name
        if f"test/{score}" in metrics:
            return score, metrics[f"test/{score}"]
    return None


def pushed_folder(tracking_uri: str | None, mlruns: Path, model: str) -> Path:
    """Find the files of a registered model.

    Args:
        tracking_uri: the MLflow server or database.
        mlruns: folder of the runs.
        model: `name` (its champion), `name@alias` or `name/version`, with or without
            `models:/` before it.

    Returns:
        The folder that its pusher wrote, or a copy of it from MLflow's artifacts where
        that is not on this machine.

    Raises:
        NoSuchModelError: there is no such model, or this package did not push it.
    """
    version = registered_version(connect(tracking_uri, mlruns, make=False), model)
    path = version.tags.get("dlkeras.path")
    if path is None:
        raise NoSuchModelError(model, "it was not pushed by a pipeline of dlkeras")
    folder = mlruns / path  # of an older version it is absolute
    if _has_digest(folder, version.tags.get("dlkeras.digest")):
        return folder
    return data_folder(downloaded_model(f"{version.name}/{version.version}"))


def _has_digest(folder: Path, digest: str | None) -> bool:
    """Whether a folder is the artifact of this digest, and no other of its name."""
    try:
        record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
        return record["digest"] == digest
    except (OSError, ValueError, KeyError, TypeError):
        return False


def roll_back(
    tracking_uri: str | None, mlruns: Path, name: str, alias: str, to: int | None
) -> tuple[int, int]:
    """Give a registered model's alias to an earlier version.

    Args:
        tracking_uri: the MLflow server or database.
        mlruns: folder of the runs.
        name: the registered model.
        alias: the alias to move.
        to: the version to have it; None takes the one before the present one.

    Returns:
        The version that had the alias, and the one that has it now.

    Raises:
        InputError: there is no such model, alias or version.
    """
    client = connect(tracking_uri, mlruns, make=False)
    present = int(registered_version(client, f"{name}@{alias}").version)
    found = every(client.search_model_versions, f"name = '{name}'")
    versions = sorted(int(v.version) for v in found)
    earlier = [version for version in versions if version < present]
    chosen = to if to is not None else max(earlier, default=None)
    if chosen is None or chosen not in versions:
        raise InputError(
            f"--to: expected a version of {name}, one of {versions}; received "
            f"{to if to is not None else f'none before {present}'}"
        )
    client.set_registered_model_alias(name, alias, str(chosen))
    return present, chosen
