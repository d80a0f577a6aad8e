"""MLflow's own model server for a pushed model, with limits on what it takes."""

import contextlib
import json
import os
import re
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import mlflow

from dlkeras.pipeline.store.errors import InputError, reason
from dlkeras.pipeline.tracking.database.connection import connect, quiet
from dlkeras.pipeline.tracking.registry.model_folder import check_flavors
from dlkeras.pipeline.tracking.registry.registered import (
    downloaded_model,
    errors_of,
    registered_version,
)

# A text of a request, or a name with its colon. MLflow makes an array of the
# texts, in which each takes as much as the longest: four bytes a character.
_TEXT = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"?+(\s*+:)?+', re.DOTALL)
_MAX_TEXTS = 2**29


@quiet()
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
        CorruptArtifactError: a file of it was altered since.
    """
    folder, shown = Path(model), model
    if not (folder / "MLmodel").is_file():
        version = registered_version(connect(tracking_uri, mlruns, make=False), model)
        shown = f"models:/{version.name}/{version.version}"
        folder = downloaded_model(f"{version.name}/{version.version}")
    with errors_of(folder, shown):
        check_flavors(folder)
        try:
            return mlflow.pyfunc.load_model(str(folder))
        except Exception as error:  # a folder from outside may hold anything
            raise InputError(f"MODEL: {folder}: {reason(error)}") from error


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


class NamedAnswers:
    """Put the names of the classes beside the probabilities of an answer.

    Args:
        app: the application behind, whose answers are `{"predictions": [...]}`.
        labels: the names, in the order of the probabilities.
        task: what else is beside them where the answer is no single class.
    """

    def __init__(self, app: Any, labels: list[str], task: dict[str, Any] | None = None):
        self.app, self.beside = app, {"labels": labels, **(task or {})}

    async def __call__(
        self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Any
    ) -> None:
        """Answer as ASGI asks."""
        if scope["type"] != "http" or scope["path"] != "/invocations":
            await self.app(scope, receive, send)
            return
        start: dict[str, Any] = {}
        body = bytearray()

        async def named(message: Any) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body", False):
                return
            whole = bytes(body)
            if start["status"] == 200 and whole.startswith(b"{"):
                whole = whole.rstrip()[:-1]
                whole += b", " + json.dumps(self.beside).encode()[1:]
            headers = [h for h in start["headers"] if h[0].lower() != b"content-length"]
            headers.append((b"content-length", str(len(whole)).encode()))
            await send({**start, "headers": headers})
            await send({"type": "http.response.body", "body": whole})

        await self.app(scope, receive, named)


def application(model: Any, max_bytes: int) -> Any:
    """MLflow's server for a model, an ASGI application; its errors are a client's.

    Answers have the names of the classes as `labels`, and `GET /labels` lists them;
    where the answer is no single class, both say the `task`, too.

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
    labels, task = model.get_raw_model().labels, model.get_raw_model().task
    task = {} if task == {"task": "classification"} else task
    if labels is None:
        return BodyLimit(app, max_bytes)
    app.add_api_route("/labels", lambda: {"labels": labels, **task}, methods=["GET"])
    return BodyLimit(NamedAnswers(app, labels, task), max_bytes)


def serve(model: Any, listener: socket.socket, max_bytes: int) -> None:
    """Answer requests until the process is stopped."""
    import uvicorn

    os.environ.setdefault("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "60")
    config = uvicorn.Config(application(model, max_bytes), log_level="warning")
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
