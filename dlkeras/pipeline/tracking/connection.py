"""The connection to MLflow: a server, a database, or a file below the runs."""

import contextlib
import http.client
import logging
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import filelock

from dlkeras.pipeline.errors import TrackingError
from dlkeras.pipeline.store import storage_errors

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

# What fails is raised, and said once; their logs would print a traceback beside it.
for _name in ("mlflow", "alembic", "mlflow.system_metrics"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


def resolve_tracking_uri(tracking_uri: str | None, mlruns: Path) -> str:
    """The MLflow server or database to use: given, from the environment, or SQLite."""
    chosen = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    return chosen or f"sqlite:///{(mlruns / 'mlflow.db').resolve()}"


def exists(tracking_uri: str | None, mlruns: Path) -> bool:
    """Whether there is anything to connect to: a named server, or a database file."""
    local = resolve_tracking_uri(None, mlruns).startswith("sqlite:///")
    return bool(tracking_uri) or not local or (mlruns / "mlflow.db").is_file()


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
    try:
        if not is_database(uri):
            return _reach()
        # Two processes that migrate a new database at once break it.
        with storage_errors(mlruns):
            mlruns.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(mlruns / "mlflow.db.lock"), _database_lock(uri):
                return _reach_database()
    # A database's driver may be missing, and a URI may be of no kind that is known.
    except (MlflowException, SQLAlchemyError, ImportError) as error:
        raise TrackingError(
            f"expected an MLflow server or database at {uri}; {first_line(error)}"
        ) from error


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
                f"expected an MLflow server at {uri}; it answered {error}"
            ) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise TrackingError(
            f"expected an MLflow server at {uri}; it does not answer ({reason}). "
            "Nothing was trained. Start it, or unset --tracking-uri and "
            "MLFLOW_TRACKING_URI to keep the runs in a file"
        ) from error


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return str(error).strip().splitlines()[0]


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
