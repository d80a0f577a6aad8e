"""The connection to MLflow: a server, a database, or a file below the runs."""

import contextlib
import http.client
import logging
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock

from dlkeras.pipeline.store.errors import InputError, TrackingError, reason
from dlkeras.pipeline.store.publishing import storage_errors
from dlkeras.pipeline.tracking.database.patient_sqlite import wait_aloud

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy import NullPool, create_engine, make_url, text
from sqlalchemy.exc import (
    IntegrityError,
    InternalError,
    ProgrammingError,
    SQLAlchemyError,
)

UI_ADDRESS = "http://127.0.0.1:5000"
PROBE_SECONDS = 5
HALF_MADE = (
    ". A start that was stopped has left the tables half-made; if there are no runs in "
    "the database, drop it and create it again"
)

_LOGGERS = ("mlflow", "alembic", "mlflow.system_metrics")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep MLflow's logs still meanwhile, and leave them as the user has them.

    What fails is raised, and said once; the logs would print a traceback beside it.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def resolve_tracking_uri(tracking_uri: str | None, mlruns: Path) -> str:
    """The MLflow server or database to use.

    The one that is given, from the environment, that of a run which the user's own
    script has open, or SQLite in the folder of the runs.
    """
    chosen = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not chosen and mlflow.active_run() is not None:
        chosen = mlflow.get_tracking_uri()
    return chosen or f"sqlite:///{(mlruns / 'mlflow.db').resolve()}"


def use(uri: str) -> None:
    """Have MLflow use a server or database, and leave the environment as it is."""
    given = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    # set_tracking_uri writes the variable; the next run may be of another folder.
    if given is None:
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    else:
        os.environ["MLFLOW_TRACKING_URI"] = given


def exists(tracking_uri: str | None, mlruns: Path) -> bool:
    """Whether there is anything to connect to, other than a database yet to be made.

    A database that was named, by the flag or by the environment, is expected to be
    there: only the folder's own is made.
    """
    default = (mlruns / "mlflow.db").resolve()
    file = _database_file(resolve_tracking_uri(tracking_uri, mlruns))
    return file is None or file.resolve() != default or default.is_file()


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)


@quiet()
def connect(
    tracking_uri: str | None,
    mlruns: Path,
    say: Callable[[str], None] = _to_stderr,
    *,
    make: bool = True,
) -> MlflowClient:
    """Reach MLflow, and make its database where there is none.

    Args:
        tracking_uri: the MLflow server or database.
        mlruns: folder of the runs.
        say: is told what was mended.
        make: whether a database may be made; who only reads finds one.

    Raises:
        InputError: there is no database, and none may be made.
        TrackingError: the server does not answer within 5 seconds, or the database
            cannot be opened.
        StorageError: the folder of the runs cannot be written.
    """
    uri = resolve_tracking_uri(tracking_uri, mlruns)
    file = _database_file(uri)
    if file is not None and not make:
        _expect_runs(file, mlruns)
    if uri.startswith(("http://", "https://")):
        _probe(uri)
    use(uri)
    try:
        if not is_database(uri):
            return _reach()
        wait_aloud(say)
        # Two processes that migrate a new database at once break it.
        beside = file or mlruns / "mlflow.db"
        with storage_errors(mlruns):
            lock = contextlib.nullcontext()
            if make or beside.parent.is_dir():
                beside.parent.mkdir(parents=True, exist_ok=True)
                lock = filelock.FileLock(beside.with_name(beside.name + ".lock"))
            with lock, _database_lock(uri):
                if file is not None:
                    from dlkeras.pipeline.tracking.database.database_file import prepare
                    from dlkeras.pipeline.tracking.database.moved_folder import (
                        mend_locations,
                    )

                    prepare(file, say)
                    if file == (mlruns / "mlflow.db").resolve():
                        mend_locations(file, say, reading=not make)
                return _reach_database()
    # A database's driver may be missing, and a URI may be of no kind that is known.
    except (MlflowException, SQLAlchemyError, sqlite3.Error, ImportError) as error:
        raise TrackingError(
            f"expected an MLflow server or database at {uri}; {reason(error)}"
            + (HALF_MADE if _is_half_made(error) else "")
        ) from error


def _is_half_made(error: BaseException) -> bool:
    """Whether a database server's tables are in the way of MLflow's migrations."""
    words = str(error).lower()
    return "already exists" in words or "duplicate column" in words


def _database_file(uri: str) -> Path | None:
    """The file of an SQLite database; None for another one, or one in memory."""
    if not uri.startswith("sqlite:"):
        return None
    name = make_url(uri).database
    return Path(name) if name and name != ":memory:" else None


def _expect_runs(file: Path, mlruns: Path) -> None:
    """Say that there is nothing to read.

    Raises:
        InputError: the database does not exist.
    """
    if file.is_file():
        return
    if file.resolve() != (mlruns / "mlflow.db").resolve():
        raise InputError(
            "--tracking-uri, or MLFLOW_TRACKING_URI: expected a database; there is no "
            f"{file}"
        )
    found = f"{mlruns} has no mlflow.db" if mlruns.is_dir() else f"there is no {mlruns}"
    raise InputError(
        f"--mlruns: expected the folder of a pipeline's runs; {found}. Name another "
        "folder, or run a pipeline first"
    )


def is_database(uri: str) -> bool:
    """Whether MLflow opens a database itself, with no server of its own between."""
    scheme = uri.partition(":")[0].partition("+")[0]
    return scheme in ("sqlite", "postgresql", "mysql", "mssql")


# MySQL cannot take back half a migration, so nobody may begin a second one.
_LOCKS = {
    "mysql": "SELECT GET_LOCK(CONCAT('dlkeras ', DATABASE()), 600)",
    "postgresql": "SELECT pg_advisory_lock(hashtext('dlkeras'))",
}


@contextlib.contextmanager
def _database_lock(uri: str) -> Iterator[None]:
    """Keep machines that share no folder apart, by a lock of the database server."""
    url = make_url(uri)
    statement = _LOCKS.get(url.get_backend_name())
    if statement is None:
        yield
        return
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:  # whose end frees the lock
        connection.execute(text(statement))
        yield


def every(search: Callable[..., Any], *arguments: Any, **named: Any) -> Iterator[Any]:
    """All that one of MLflow's searches finds, page by page; it gives the first."""
    token = None
    while True:
        page = search(*arguments, page_token=token, **named)
        yield from page
        token = page.token
        if not token:
            return


def _reach_database() -> MlflowClient:
    """Reach a database, also one that an MLflow server migrates at this moment."""
    for pause in (2, 5, 10):
        try:
            return _reach()
        except (ProgrammingError, IntegrityError, InternalError):
            time.sleep(pause)
    return _reach()


def _reach() -> MlflowClient:
    """Make a client, which makes or migrates a database, and ask it something."""
    client = MlflowClient()
    client.search_experiments(max_results=1)
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
                f"expected an MLflow server at {uri}; it answered {reason(error)}"
            ) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        why = getattr(error, "reason", None) or reason(error)
        raise TrackingError(
            f"expected an MLflow server at {uri}; it does not answer ({why}). "
            "Nothing was trained. Start it, or unset --tracking-uri and "
            "MLFLOW_TRACKING_URI to keep the runs in a file"
        ) from error


def ui_address() -> str:
    """Where the pages of the connected MLflow are."""
    uri = mlflow.get_tracking_uri()
    return uri.rstrip("/") if uri.startswith("http") else UI_ADDRESS


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
