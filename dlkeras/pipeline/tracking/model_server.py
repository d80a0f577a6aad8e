"""MLflow's own model server for a pushed model, with limits on what it takes."""

import contextlib
import json
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import mlflow
import yaml
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import FLAVOR_NAME

from dlkeras.pipeline.artifacts.manifest import check_digest
from dlkeras.pipeline.errors import InputError, reason
from dlkeras.pipeline.store.publishing import file_digest
from dlkeras.pipeline.tracking.database.connection import connect
from dlkeras.untrusted.gate import UntrustedFileError, open_regular, read_regular

LOADER = "dlkeras.pipeline.tracking.served_model"
FILES_TAG = "dlkeras.files"
# A text of a request, or a name with its colon. MLflow makes an array of the
# texts, in which each takes as much as the longest: four bytes a character.
_TEXT = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"?+(\s*+:)?+', re.DOTALL)
_MAX_TEXTS = 2**29
# What MLflow writes of a model like ours. For other keys it would run code: pickles,
# and folders that it puts on the module path.
_KEYS = frozenset(("data", "env", "loader_module", "python_version", "streamable"))
# The names of all classes stand in MLmodel, and one image in an example beside it.
_MAX_DESCRIPTION = 2**22
_MAX_BESIDE = 2**23
_MOST_PARTS, _LONGEST, _DEEPEST = 200_000, 2**16, 50


def load_served_model(tracking_uri: str | None, mlruns: Path, model: str) -> Any:
    """Load a registered model for serving; one that would run its own code is refused.

    Args:
        tracking_uri: the MLflow server or database.
        mlruns: folder of the runs.
        model: `name` (its champion), `name@alias` or `name/version`, or a folder in
            MLflow's format.

    Returns:
        MLflow's `PyFuncModel`.

    Raises:
        InputError: there is no such model, or it is not one that the pusher registered.
    """
    folder = Path(model)
    if not (folder / "MLmodel").is_file():
        connect(tracking_uri, mlruns, make=False)
        name = model.removeprefix("models:/")
        known = "@" in name or "/" in name
        folder = downloaded_model(name if known else f"{name}@champion", model)
    check_flavors(folder)
    try:
        return mlflow.pyfunc.load_model(str(folder))
    except Exception as error:  # a folder from outside may hold anything
        raise InputError(f"MODEL: {folder}: {reason(error)}") from error


def downloaded_model(name: str, received: str | None = None) -> Path:
    """Fetch a registered model from MLflow's artifacts, in whichever store they are.

    Args:
        name: `name@alias` or `name/version`.
        received: what the user wrote for it, for the error.

    Returns:
        A folder in MLflow's format, on this machine.

    Raises:
        InputError: there is no such model, or its files cannot be had.
        CorruptArtifactError: a file of MLflow's, such as MLmodel, was altered since.
    """
    try:
        folder = mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{name}")
        published = json.loads(_version(name).tags.get(FILES_TAG, "{}"))
    except (MlflowException, OSError) as error:
        raise InputError(
            "MODEL: expected the name of a registered model (name, name@alias or "
            f"name/version); received {received or name!r}: {reason(error)}"
        ) from error
    for file, digest in published.items():
        check_digest(Path(folder) / file, digest)
    return Path(folder)


def _version(name: str) -> ModelVersion:
    plain, at, alias = name.partition("@")
    if at:
        return mlflow.MlflowClient().get_model_version_by_alias(plain, alias)
    plain, _, number = name.partition("/")
    return mlflow.MlflowClient().get_model_version(plain, number)


def digests_of_mlflow(location: str) -> str:
    """SHA-256 of each file that MLflow has written around a model, as JSON by name.

    The manifest lists what the pusher wrote before; these stand in the registry.

    Args:
        location: where MLflow keeps the files of the model.
    """
    fetch = mlflow.artifacts.download_artifacts
    listed = mlflow.artifacts.list_artifacts(artifact_uri=location)
    names = sorted(Path(file.path).name for file in listed if not file.is_dir)
    return json.dumps(
        {
            name: file_digest(Path(fetch(artifact_uri=f"{location}/{name}")))
            for name in names
        }
    )


def data_folder(folder: Path) -> Path:
    """What the pusher wrote, inside a folder in MLflow's format.

    Raises:
        InputError: it is not a model that the pusher registered.
    """
    return folder / check_flavors(folder)["data"]


def check_flavors(folder: Path) -> dict[str, Any]:
    """Refuse a model that is not loaded by this package alone.

    Returns:
        How it is loaded, as its `MLmodel` says.

    Raises:
        InputError: its `MLmodel` names another loader, or code or a pickle of its own;
            or a file beside it is not what MLflow writes there.
    """
    try:
        described = _description(folder)
        flavor = described["flavors"][FLAVOR_NAME]
        loader = flavor.get("loader_module")
        found = sorted(key for key in flavor if flavor[key] and key not in _KEYS)
        data = folder / str(flavor.get("data", ""))
        _check_beside(folder, described)
    except UntrustedFileError as error:
        raise InputError(
            f"MODEL: expected a model in MLflow's format; {error}"
        ) from error
    except Exception as error:  # a file from outside may be anything
        raise InputError(
            f"MODEL: expected MLflow's description of a model in {folder / 'MLmodel'}; "
            f"{type(error).__name__}"
        ) from error
    inside = data.resolve().is_relative_to(folder.resolve())
    if loader != LOADER or found or not inside:
        raise InputError(
            f"MODEL: expected a model that {LOADER} loads, from a folder beside its "
            f"MLmodel and without code of its own; {folder / 'MLmodel'} has loader "
            f"{loader!r}, data {flavor.get('data')!r} and {found or 'no code'}: it is "
            "not loaded"
        )
    return flavor


def _description(folder: Path) -> Any:
    """Read what `MLmodel` says, before MLflow does: YAML has forms that never end."""
    file = folder / "MLmodel"
    text = read_regular(file, _MAX_DESCRIPTION)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=loader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            # Nine lists, each of nine times the one before, make 400 million.
            raise UntrustedFileError(f"{file} repeats its parts (*name)")
        long = isinstance(event, yaml.ScalarEvent) and len(event.value) > _LONGEST
        if long or depth > _DEEPEST or number > _MOST_PARTS:
            raise UntrustedFileError(f"{file} is too long or nested too deep")
    return yaml.load(text, Loader=loader)


def _check_beside(folder: Path, described: Any) -> None:
    """Refuse files that MLflow would read with no bound, or elsewhere."""
    for entry in os.scandir(folder):
        if not entry.is_dir():
            open_regular(entry.path, _MAX_BESIDE).close()
    example = described.get("saved_input_example_info") or {}
    for name in (example.get("artifact_path"), example.get("serving_input_path")):
        if name is not None and name not in os.listdir(folder):
            raise UntrustedFileError(f"{folder}: its example is {str(name)[:80]!r}")
    requirements = folder / "requirements.txt"
    if requirements.exists():
        text = read_regular(requirements, _MAX_BESIDE)
        if any(line.lstrip().startswith(b"-") for line in text.splitlines()):
            raise UntrustedFileError(f"{requirements} names other files than packages")


class BodyLimit:
    """Refuse a request before its body is read, or once too much of it has come.

    Args:
        app: the application behind.
        max_bytes: the largest body.
    """

    def __init__(self, app: Any, max_bytes: int):
        self.app, self.max_bytes = app, max_bytes

    async def __call__(
        self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Any
    ) -> None:
        """Answer as ASGI asks."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        headers = {k.lower(): v for k, v in scope["headers"]}
        kind = headers.get(b"content-type", b"").split(b";")[0].strip()
        if kind != b"application/json":
            await _refuse(send, 400, "expected Content-Type: application/json")
            return
        length = headers.get(b"content-length", b"0")
        too_large = f"expected a body of at most {self.max_bytes} bytes"
        if not length.isdigit() or int(length) > self.max_bytes:
            await _refuse(send, 413, f"{too_large}; received {length.decode()}")
            return
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.max_bytes:
                await _refuse(send, 413, too_large)
                return
        texts = (text for text in _TEXT.finditer(body) if not text[2])
        longest = max((len(text[1]) for text in texts), default=0)
        if 4 * longest * (body.count(b",") + 1) > _MAX_TEXTS:
            few = "expected image files of similar sizes; send the largest by itself"
            await _refuse(send, 413, few)
            return
        given = iter([{"type": "http.request", "body": bytes(body)}])

        async def again() -> Any:
            return next(given, None) or await receive()

        await self.app(scope, again, send)


async def _refuse(send: Any, status: int, reason: str) -> None:
    from starlette.responses import JSONResponse

    answer = JSONResponse({"error": reason}, status)
    await answer({"type": "http", "method": "POST", "headers": []}, None, send)  # type: ignore[arg-type]


def application(model: Any, max_bytes: int) -> Any:
    """MLflow's server for a model, an ASGI application; its errors are a client's.

    Args:
        model: from `load_served_model`.
        max_bytes: the largest body that is taken.
    """
    from fastapi import Request
    from mlflow.pyfunc import scoring_server
    from starlette.responses import JSONResponse

    app = scoring_server.init(model)

    async def bad_body(request: Request, error: Exception) -> JSONResponse:
        del request
        reason = f"the body cannot be used: {type(error).__name__}"
        return JSONResponse({"error": reason}, 400)

    for kind in (RecursionError, ValueError, TypeError, KeyError, AttributeError):
        app.add_exception_handler(kind, bad_body)
    return BodyLimit(app, max_bytes)


def serve(model: Any, host: str, port: int, max_bytes: int) -> None:
    """Answer requests until the process is stopped."""
    import uvicorn

    os.environ.setdefault("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "60")
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.run(
            application(model, max_bytes), host=host, port=port, log_level="warning"
        )
