"""A database that another process has locked is waited for, and one says so."""

import sqlite3
import threading
import time
from contextlib import closing

import pytest

from dlkeras.pipeline import tracking
from dlkeras.pipeline.tracking.database import patient_sqlite
from dlkeras.pipeline.tracking.database.patient_sqlite import (
    PatientConnection,
    wait_aloud,
)


@pytest.fixture
def database(tmp_path):
    file = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(file)) as opened, opened:
        opened.execute("CREATE TABLE numbers (number INTEGER)")
    return file


@pytest.fixture
def locked(database):
    """A function that has another connection hold the database for some seconds."""
    threads = []

    def lock(how: str, seconds: float):
        ready = threading.Event()

        def hold():
            with closing(sqlite3.connect(database, isolation_level=None)) as other:
                other.execute(how)
                if how == "BEGIN":
                    other.execute("SELECT * FROM numbers").fetchall()
                ready.set()
                time.sleep(seconds)
                other.execute("ROLLBACK")

        threads.append(threading.Thread(target=hold))
        threads[-1].start()
        ready.wait()

    yield lock
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("how", ["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE", "BEGIN"])
def test_a_lock_longer_than_sqlites_patience_is_waited_out(database, locked, how):
    said = []
    wait_aloud(said.append)
    locked(how, 0.6)
    with closing(
        sqlite3.connect(database, timeout=0.1, factory=PatientConnection)
    ) as ours:
        ours.execute("INSERT INTO numbers VALUES (1)")
        ours.commit()
        assert ours.execute("SELECT * FROM numbers").fetchall() == [(1,)]
    assert said == [f"waiting for {database}, which is locked"]


def test_patience_has_an_end(database, locked, monkeypatch):
    monkeypatch.setattr(patient_sqlite, "PATIENCE_SECONDS", 0.2)
    locked("BEGIN EXCLUSIVE", 0.8)
    with (
        closing(
            sqlite3.connect(database, timeout=0.1, factory=PatientConnection)
        ) as ours,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        ours.execute("INSERT INTO numbers VALUES (1)")


def test_mlflows_own_connections_are_patient(tmp_path):
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    tracking.connect(None, tmp_path)
    engine = SqlAlchemyStore._engine_map[f"sqlite:///{tmp_path / 'mlflow.db'}"]
    with engine.connect() as connection:
        assert isinstance(connection.connection.driver_connection, PatientConnection)
