"""MLflow's SQLite database: made whole or not at all; a half-made one is mended."""

import os
import shutil
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from mlflow import MlflowClient
from mlflow.store.db import utils as schema
from sqlalchemy import Engine, NullPool, create_engine, event

from dlkeras.pipeline import tracking
from dlkeras.pipeline.store.errors import InputError, TrackingError


@pytest.fixture(scope="module")
def half_made(tmp_path_factory) -> list[Path]:
    """What a kill between two statements of MLflow's own creation leaves, in order."""
    folder = tmp_path_factory.mktemp("half made")
    file = folder / "mlflow.db"
    engine = create_engine(f"sqlite:///{file}", poolclass=NullPool)
    left: list[Path] = []

    @event.listens_for(engine, "connect")
    def unsynced(connection, record):
        connection.execute("PRAGMA synchronous=OFF")

    @event.listens_for(engine, "before_cursor_execute")
    def snapshot(connection, cursor, statement, *_):
        changes = file.read_bytes()[24:28] if file.stat().st_size else b""
        if changes != snapshot.last:
            snapshot.last = changes
            left.append(folder / f"{len(left):04d}")
            shutil.copyfile(file, left[-1])

    snapshot.last = None
    schema._initialize_tables(engine)
    return left


def with_database(folder: Path, file: Path) -> Path:
    """A folder of runs with this database, which nobody is writing."""
    folder.mkdir()
    shutil.copyfile(file, folder / "mlflow.db")
    os.utime(folder / "mlflow.db", (1, 1))
    return folder


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_a_database_that_an_older_version_left_half_made_is_mended(
    half_made, tmp_path, share
):
    assert len(half_made) > 200
    file = half_made[int(share * (len(half_made) - 1))]
    folder = with_database(tmp_path / "mlruns", file)
    said = []
    client = tracking.connect(None, folder, said.append)
    client.create_experiment("works")
    assert [line for line in said if "left half-made" in line] == said
    assert len(said) == 1
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    said.clear()
    tracking.connect(None, folder, said.append)
    assert said == []


def test_a_half_made_database_with_runs_in_it_is_named_and_left(half_made, tmp_path):
    folder = with_database(tmp_path / "mlruns", half_made[len(half_made) // 2])
    with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        database.execute(
            "INSERT INTO experiments (experiment_id, name) VALUES (7, 'kept')"
        )
    os.utime(folder / "mlflow.db", (1, 1))
    before = (folder / "mlflow.db").read_bytes()
    with pytest.raises(TrackingError) as caught:
        tracking.connect(None, folder)
    assert "\n" not in str(caught.value)
    assert "left half-made" in str(caught.value)
    assert str(folder / "mlflow.db") in str(caught.value)
    assert (folder / "mlflow.db").read_bytes() == before


def test_an_older_mlflows_database_keeps_its_runs_and_is_migrated_at_once(tmp_path):
    """A kill in between leaves the old one: one transaction writes the new one."""
    folder = tmp_path / "mlruns"
    folder.mkdir()
    file = folder / "mlflow.db"
    engine = create_engine(f"sqlite:///{file}", poolclass=NullPool)
    schema.InitialBase.metadata.create_all(engine)
    config = schema._get_alembic_config(str(engine.url))
    with engine.begin() as connection:  # as MLflow 1.0 had it
        connection.exec_driver_sql("PRAGMA synchronous=OFF")
        config.attributes["connection"] = connection
        command.upgrade(config, "451aebb31d03")
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(
            "INSERT INTO experiments VALUES (7, 'kept', 'file:///x', 'active')"
        )
    os.utime(file, (1, 1))
    seen = set()

    def look(*_):
        with closing(sqlite3.connect(file)) as database:
            seen.add(database.execute("SELECT * FROM alembic_version").fetchone()[0])

    event.listen(Engine, "before_cursor_execute", look)
    try:
        client = tracking.connect(None, folder)
    finally:
        event.remove(Engine, "before_cursor_execute", look)
    assert client.get_experiment("7").name == "kept"
    assert seen == {"451aebb31d03", schema._get_latest_schema_revision()}


def killed_at(statement: int, folder: Path) -> None:
    """Make the database in a process that dies at its nth SQL statement."""
    child = os.fork()
    if child == 0:
        count = 0

        def strike(*_):
            nonlocal count
            count += 1
            if count == statement:
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(Engine, "before_cursor_execute", strike)
        try:
            tracking.connect(None, folder)
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] in (signal.SIGKILL, 0)


@pytest.mark.parametrize("statement", [40, 400, 1000])
def test_a_first_start_that_is_killed_leaves_no_database_or_a_whole_one(
    tmp_path, statement, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # nothing is kept yet
    killed_at(statement, tmp_path)
    file = tmp_path / "mlflow.db"
    if file.exists():
        with closing(sqlite3.connect(file)) as database:
            found = database.execute("SELECT version_num FROM alembic_version")
            assert found.fetchone()[0] == schema._get_latest_schema_revision()
    assert [f.name for f in tmp_path.iterdir() if f.name.startswith(".")] == []


def test_a_database_that_another_program_is_making_is_waited_for(half_made, tmp_path):
    folder = with_database(tmp_path / "mlruns", half_made[len(half_made) // 2])
    file = folder / "mlflow.db"
    whole = tmp_path / "whole"
    tracking.connect(None, whole)
    MlflowClient(f"sqlite:///{whole / 'mlflow.db'}").create_experiment("theirs")
    os.utime(file)  # it is being written now

    def finish():
        time.sleep(0.5)
        with (
            closing(sqlite3.connect(whole / "mlflow.db")) as source,
            closing(sqlite3.connect(file)) as target,
        ):
            source.backup(target)

    thread = threading.Thread(target=finish)
    thread.start()
    client = tracking.connect(None, folder)
    thread.join()
    assert client.get_experiment_by_name("theirs") is not None


def test_who_only_reads_makes_no_database(tmp_path):
    with pytest.raises(InputError, match=r"--mlruns: .* there is no .*typo"):
        tracking.connect(None, tmp_path / "typo", make=False)
    assert not (tmp_path / "typo").exists()


def shape(database):
    """The tables and indexes of a database, and the columns of each."""
    names = database.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
    return {
        name: database.execute(f'PRAGMA table_info("{name}")').fetchall()
        for (name,) in names
    }


def test_the_tables_are_made_once_for_all_folders(tmp_path, monkeypatch):
    """What is kept is another MLflow's, damaged, or holds runs: it is made anew."""
    import sqlite3
    from contextlib import closing

    from dlkeras.pipeline.tracking.database import database_file

    made = []
    making = database_file._new_tables

    def counted():
        made.append(1)
        return making()

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(database_file, "_new_tables", counted)
    for name in ("first", "second"):
        client = tracking.connect(None, tmp_path / name)
        experiment = client.create_experiment("mine")
        client.create_run(experiment)
    assert len(made) == 1
    (kept,) = (tmp_path / "cache" / "dlkeras").iterdir()
    with closing(sqlite3.connect(tmp_path / "first" / "mlflow.db")) as database:
        first = shape(database)
    whole = kept.read_bytes()
    damaged = (
        whole[: len(whole) // 2],
        b"",
        (tmp_path / "first" / "mlflow.db").read_bytes(),
    )
    for number, content in enumerate(damaged, 2):
        kept.write_bytes(content)
        tracking.connect(None, tmp_path / str(number))
        assert len(made) == number
    with making() as memory:
        assert shape(memory) == first
