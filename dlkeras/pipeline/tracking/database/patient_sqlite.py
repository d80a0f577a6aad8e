"""SQLite that waits: a database that another process has locked is asked again.

Python's SQLite gives up after 5 seconds, MLflow's sessions after 20. A backup or a
stalled network disk takes longer, and a job should not end of it.
"""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, event

T = TypeVar("T")

PATIENCE_SECONDS = 600.0

_says: list[Callable[[str], None]] = []


def wait_aloud(say: Callable[[str], None]) -> None:
    """Say from now on, through this function, that a database is waited for."""
    _says[:] = [say]


class PatientCursor(sqlite3.Cursor):
    """A cursor whose statements wait for a lock."""

    def execute(self, *arguments: Any) -> Any:
        """Execute a statement."""
        return self.connection.patiently(super().execute, *arguments)  # type: ignore[attr-defined]

    def executemany(self, *arguments: Any) -> Any:
        """Execute a statement for several rows."""
        return self.connection.patiently(super().executemany, *arguments)  # type: ignore[attr-defined]


class PatientConnection(sqlite3.Connection):
    """A connection that waits for a lock, for minutes, and says so once."""

    def cursor(self, factory: Any = PatientCursor) -> Any:
        """Make a cursor that waits."""
        return super().cursor(factory)

    def execute(self, *arguments: Any) -> Any:
        """Execute a statement by a new cursor."""
        return self.cursor().execute(*arguments)

    def commit(self) -> None:
        """End the transaction, once nobody reads."""
        self.patiently(super().commit)

    def patiently(self, do: Callable[..., T], *arguments: Any) -> T:
        """Do something again until the database is free, or the patience is over."""
        first, said = time.monotonic(), False
        while True:
            asked = time.monotonic()
            try:
                return do(*arguments)
            except sqlite3.OperationalError as error:
                now = time.monotonic()
                busy = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
                # At once, SQLite refuses what waiting would not mend: a deadlock.
                if not busy or now - asked < self._timeout() / 2:
                    raise
                if now - first > PATIENCE_SECONDS:
                    raise
                if not said:
                    said = True
                    for say in _says:
                        say(f"waiting for {self._file()}, which is locked")

    def _timeout(self) -> float:
        """How many seconds SQLite itself waits."""
        return self._ask("PRAGMA busy_timeout")[0] / 1000

    def _file(self) -> Path:
        return Path(self._ask("PRAGMA database_list")[2])

    def _ask(self, question: str) -> Any:
        return sqlite3.Cursor(self).execute(question).fetchone()


def opened(file: Path) -> PatientConnection:
    """Open a database whose locks are waited for."""
    return sqlite3.connect(file, factory=PatientConnection)


@event.listens_for(Engine, "do_connect")
def _connect_patiently(dialect: Any, record: Any, given: Any, named: Any) -> None:
    """Have MLflow's connections, too, wait."""
    del record, given
    if dialect.name == "sqlite":
        named["factory"] = PatientConnection
