"""A registered model: the version that a name means, its files here, checked."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from dlkeras.pipeline.artifacts.manifest import check_digest
from dlkeras.pipeline.store.errors import (
    InputError,
    NoSuchModelError,
    PipelineError,
    TrackingError,
    reason,
)
from dlkeras.pipeline.store.publishing import file_digest
from dlkeras.pipeline.tracking.database.connection import every

FILES_TAG = "dlkeras.files"
CHAMPION = "champion"
# This package travels with a model, for its container.
WHEELS = "wheels"
# What MLflow answers to a name of nothing, or to one that can be no name.
_NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def registered_version(client: MlflowClient, model: str) -> ModelVersion:
    """The version of a registered model that a name means.

    Args:
        client: of the MLflow server or database.
        model: `name` (its champion), `name@alias` or `name/version`, with or without
            `models:/` before it.

    Raises:
        NoSuchModelError: there is none; the message lists what there is.
        TrackingError: MLflow does not answer.
    """
    name, at, alias = model.removeprefix("models:/").partition("@")
    name, slash, number = (name, "", "") if at else name.partition("/")
    try:
        if slash:
            return client.get_model_version(name, number)
        return client.get_model_version_by_alias(name, alias or CHAMPION)
    except MlflowException as error:
        if error.error_code not in _NOT_THERE:
            raise TrackingError(f"{model}: {reason(error)}") from error
        wanted = f"version {number}" if slash else f"alias {alias or CHAMPION}"
        raise NoSuchModelError(model, _what_there_is(client, name, wanted)) from error


def _what_there_is(client: MlflowClient, name: str, wanted: str) -> str:
    found = {m.name: m for m in every(client.search_registered_models)}
    if name not in found:
        known = ", ".join(sorted(found)) or "none"
        return f"there is no model {name!r}; registered: {known}"
    aliases = [f"{a} (version {v})" for a, v in sorted(found[name].aliases.items())]
    versions = every(client.search_model_versions, f"name = '{name}'")
    numbers = sorted(int(version.version) for version in versions)
    return (
        f"{name} has no {wanted}; its aliases: {', '.join(aliases) or 'none'}; its "
        f"versions: {', '.join(map(str, numbers)) or 'none'}"
    )


@contextlib.contextmanager
def errors_of(folder: Path, shown: str) -> Iterator[None]:
    """Have errors name a model as the user knows it, not the copy that was fetched."""
    try:
        yield
    except PipelineError as error:
        text = str(error).replace(str(folder), shown)
        raise type(error)(text) from error


def downloaded_model(name: str) -> Path:
    """Fetch a registered model from MLflow's artifacts, in whichever store they are.

    Args:
        name: `name@alias` or `name/version`.

    Returns:
        A folder in MLflow's format, on this machine.

    Raises:
        InputError: there is no such model, or its files cannot be had.
        CorruptArtifactError: a file of MLflow's, such as MLmodel, was altered since.
    """
    version = registered_version(MlflowClient(), name)
    published = json.loads(version.tags.get(FILES_TAG, "{}"))
    try:
        uri = f"models:/{version.name}/{version.version}"
        folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri))
    except (MlflowException, OSError) as error:
        raise InputError(
            f"MODEL: expected the files of {uri} in MLflow's artifacts: {reason(error)}"
        ) from error
    with errors_of(folder, uri):
        for file, digest in published.items():
            check_digest(folder / file, digest)
    return folder


def digests_of_mlflow(location: str) -> str:
    """SHA-256 of each file that MLflow has written around a model, as JSON by name.

    The manifest lists what the pusher wrote before; these are in the registry.

    Args:
        location: where MLflow keeps the files of the model.
    """
    fetch = mlflow.artifacts.download_artifacts
    names = []
    for folder in ("", WHEELS):
        uri = f"{location}/{folder}".rstrip("/")
        listed = mlflow.artifacts.list_artifacts(artifact_uri=uri)
        files = (Path(file.path).name for file in listed if not file.is_dir)
        names += sorted((Path(folder) / name).as_posix() for name in files)
    return json.dumps(
        {
            name: file_digest(Path(fetch(artifact_uri=f"{location}/{name}")))
            for name in names
        }
    )
