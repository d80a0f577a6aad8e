"""MLflow's SQLite database, made and brought up to date whole or not at all.

MLflow makes its tables in dozens of migrations, and SQLite commits every statement by
itself: a start that is killed in between would leave a file that no later start can
use. So the tables are made in memory, and reach the file in one rename or one
transaction.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from alembic.script import ScriptDirectory
from mlflow.exceptions import MlflowException
from mlflow.store.db import utils as schema
from mlflow.store.db.base_sql_model import Base
from sqlalchemy import Engine, StaticPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

from dlkeras.pipeline.engine.versions import package_version
from dlkeras.pipeline.store.errors import TrackingError, reason
from dlkeras.pipeline.store.publishing import write_atomically
from dlkeras.pipeline.tracking.database.patient_sqlite import opened

# Who makes the tables at this moment writes more often than this.
STILL_SECONDS = 2.0


def prepare(file: Path, say: Callable[[str], None]) -> None:
    """Make the database if there is none, and mend one that was left half-made.

    Args:
        file: the database; the caller holds the lock beside it.
        say: is told what was mended.

    Raises:
        TrackingError: it was left half-made, and holds runs.
    """
    if not file.exists():
        for journal in ("-journal", "-wal", "-shm"):  # of a file that was removed
            file.with_name(file.name + journal).unlink(missing_ok=True)
        write_atomically(file, _empty())
        return
    while True:
        try:
            with closing(opened(file)) as database:
                whole, revision = _has_all_tables(database), _revision(database)
                head, *earlier = _revisions()
                if whole and revision == head:
                    return
                rows = _rows(database)
        except sqlite3.DatabaseError:  # no database, or a locked one: MLflow says so
            return
        if revision not in (head, *earlier, None):
            return  # a newer MLflow's, and this one says so
        if _is_still(file):
            break
    with _new_tables() as memory:
        usual = _rows(memory)
        if all(number <= usual.get(table, 0) for table, number in rows.items()):
            with closing(opened(file)) as database:
                memory.backup(database)
            say(f"made {file} again: it was left half-made, and held no runs")
            return
    if not whole:  # MLflow would migrate it, in the file
        _migrate(file)


def _migrate(file: Path) -> None:
    """Bring the database of an older MLflow up to date, all at once."""
    unchanged = False
    while not unchanged:
        with _memory() as (engine, memory), closing(opened(file)) as database:
            before = _version(database)
            database.backup(memory)
            try:
                schema._initialize_tables(engine)
            except (MlflowException, SQLAlchemyError) as error:
                raise TrackingError(
                    f"{file}: expected MLflow's tables; they were left half-made by "
                    "an MLflow that was stopped while it changed them, and there are "
                    f"runs in it ({reason(error)}). Put a copy of the file back, or "
                    "move it away: a new one is made, and the artifacts in "
                    f"{file.parent / 'store'} are used again"
                ) from error
            unchanged = _version(database) == before
            if unchanged:
                memory.backup(database)


@contextmanager
def _memory() -> Iterator[tuple[Engine, sqlite3.Connection]]:
    """A database in memory: MLflow's way to it, and SQLite's own."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    connection = engine.raw_connection()
    try:
        yield engine, connection.driver_connection  # type: ignore[misc]
    finally:
        connection.close()
        engine.dispose()


@contextmanager
def _new_tables() -> Iterator[sqlite3.Connection]:
    """A new database of this MLflow, in memory."""
    with _memory() as (engine, memory):
        schema._initialize_tables(engine)
        yield memory


def _empty() -> bytes:
    """A new database of this MLflow, as a file: made once, and kept in the cache.

    The dozens of migrations take seconds, and give the same tables each time.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = f"mlflow-{package_version('mlflow')}-sqlite-{sqlite3.sqlite_version}.db"
    kept = folder / "dlkeras" / name
    with contextlib.suppress(OSError, sqlite3.Error):
        content = kept.read_bytes()
        if content and kept.stat().st_uid == os.getuid() and _is_empty(content):
            return content
    with _new_tables() as memory:
        content = memory.serialize()
    draft = kept.with_name(f".{os.getpid()}.{kept.name}")
    with contextlib.suppress(OSError):  # a home that cannot be written
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)  # its readers look whether it is whole
        draft.replace(kept)
    return content


def _is_empty(content: bytes) -> bool:
    """Whether a file holds this MLflow's tables, whole, and nobody's runs."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(content)
        ((sound,),) = database.execute("PRAGMA quick_check(1)").fetchall()
        rows = _rows(database)
        return (
            sound == "ok"
            and _has_all_tables(database)
            and _revision(database) == _revisions()[0]
            and not rows["runs"] + rows["experiments"]
        )


def _tables(database: sqlite3.Connection) -> set[str]:
    found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {name for (name,) in found}


def _has_all_tables(database: sqlite3.Connection) -> bool:
    return set(Base.metadata.tables) <= _tables(database)


def _rows(database: sqlite3.Connection) -> dict[str, int]:
    """How many rows each table has."""
    return {
        table: database.execute(f'SELECT COUNT(*) FROM "{table}"').fetchone()[0]
        for table in _tables(database)
    }


def _revision(database: sqlite3.Connection) -> str | None:
    """The last migration that is done; None before the first."""
    if "alembic_version" not in _tables(database):
        return None
    found = database.execute("SELECT version_num FROM alembic_version").fetchone()
    return found[0] if found else None


def _revisions() -> list[str]:
    """This MLflow's migrations, the newest first."""
    scripts = ScriptDirectory.from_config(schema._get_alembic_config(""))
    return [script.revision for script in scripts.walk_revisions()]


def _version(database: sqlite3.Connection) -> int:
    """A number that another process's write changes."""
    return database.execute("PRAGMA data_version").fetchone()[0]


def _is_still(file: Path) -> bool:
    """Whether nobody is making the tables at this moment."""
    changed = file.stat().st_mtime
    if time.time() - changed > STILL_SECONDS:
        return True
    time.sleep(STILL_SECONDS)
    return file.stat().st_mtime == changed
