"""`dlkeras status`, `why` and `gc`: what the store says of itself and gives up."""

import os
import re
import shutil
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from dlkeras.cli import main
from dlkeras.pipeline import Draft, PipelineConfig, component
from dlkeras.pipeline.artifacts.types import (
    Blessing,
    Examples,
    Model,
    PushedModel,
)
from dlkeras.pipeline.engine.call import call
from dlkeras.pipeline.engine.garbage import collect, garbage
from dlkeras.pipeline.engine.lineage import read_lineage, run_lock
from dlkeras.pipeline.engine.store_report import status
from dlkeras.pipeline.store.ownership import heartbeat, owned, owner_file, read_owner
from dlkeras.pipeline.store.publishing import Store


def publish(store, kind, key, inputs=(), **changes):
    arguments = {
        "key": key * 64, "producer": kind.producer, "pipeline": "p",
        "config": {"trainer": {"epochs": 40}}, "inputs": dict(inputs),
        "versions": {"keras": "3.14"}, "run_id": f"run{key}", "code": {"store": "1"},
        **changes,
    }  # fmt: skip
    properties = arguments.pop("properties", {})
    with store.publish(kind, **arguments) as draft:
        (draft.path / "file.txt").write_text(key)
        draft.properties.update(properties)
    return store.find(kind, key * 64)


def age(store, hours=48):
    """Make everything look as if it was last used so long ago."""
    then = time.time() - hours * 3600
    for path in store.root.rglob("*"):
        os.utime(path, (then, then))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def family(store):
    """Two pushed models with their inputs, and one that was never blessed."""
    made = {}
    for key in "abc":
        examples = publish(store, Examples, key)
        model = publish(store, Model, key, {"examples": examples})
        blessing = publish(
            store, Blessing, key, {"model": model},
            properties={"blessed": key != "c", "reason": ""},
        )  # fmt: skip
        if key != "c":
            publish(store, PushedModel, key, {"blessing": blessing, "model": model})
        made[key] = model
    return made


def test_gc_keeps_every_pushed_model_and_all_that_it_was_made_of(store, family):
    age(store)
    found = garbage(store.root, keep_runs=5, min_age=3600)
    names = {piece.path.parent.name + piece.path.name[0] for piece in found}
    assert names == {"Examplesc", "Modelc", "Blessingc"}
    assert collect(store.root, found) == sum(piece.size for piece in found) > 0
    assert store.find(Model, "c" * 64) is None
    for key in "ab":
        assert store.find(Model, key * 64).record == family[key].record
    assert not list((store.root / "incomplete").iterdir())


def test_gc_lists_without_removing_until_it_is_asked(store, family, capsys):
    age(store)
    arguments = ["gc", "--mlruns", str(store.root.parent), "--min-age", "1"]
    assert main(arguments) == 0
    assert "could be removed with --delete" in capsys.readouterr().out
    assert store.find(Model, "c" * 64) is not None
    age(store)  # to find it was to use it
    assert main([*arguments, "--delete"]) == 0
    assert store.find(Model, "c" * 64) is None


def test_gc_keeps_what_was_used_lately_and_what_a_late_run_used(store, family):
    assert garbage(store.root, keep_runs=5, min_age=3600) == []
    (store.root / "runs" / "r.json").write_text(
        '{"pipeline": "p", "steps": [{"type": "Model", "key": "' + "c" * 64 + '"}]}'
    )
    age(store)
    found = garbage(store.root, keep_runs=5, min_age=3600)
    assert [piece.path.parent.name for piece in found] == ["Blessing"]


def test_gc_removes_litter_but_not_work_that_is_going_on(store):
    for name in ("incomplete/tmp1", "work/Model-aaaa", "work/Model-bbbb"):
        (store.root / name).mkdir()
        (store.root / name / "file").write_text("x")
    age(store)
    with store.named_lock("Model-bbbb"):
        found = garbage(store.root, keep_runs=1, min_age=0)
    names = sorted(piece.path.name for piece in found)
    assert names == ["Model-aaaa", "tmp1"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"config": {"trainer": {"epochs": 5}}}, "config trainer.epochs: 40 -> 5"),
        ({"versions": {"keras": "3.15"}}, "version of keras: 3.14 -> 3.15"),
        ({"code": {"store": "2"}}, "code of store: 1 -> 2"),
        ({"inputs": {}}, "input examples: Examples "),
        ({}, "nothing: it was forced"),
    ],
)
def test_why_names_the_part_of_the_key_that_changed(store, capsys, change, line):
    examples = publish(store, Examples, "a")
    publish(store, Model, "a", {"examples": examples})
    inputs = change.pop("inputs", {"examples": examples})
    model = publish(store, Model, "b", inputs, **change)
    (store.root / "runs" / "runb.json").write_text(
        '{"pipeline": "p", "steps": [{"component": "Trainer", "cached": false, '
        f'"type": "Model", "key": "{"b" * 64}", "digest": "{model.record.digest}"}}]}}'
    )
    assert main(["why", "runb", "Trainer", "--mlruns", str(store.root.parent)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].strip().startswith(line)
    assert len(said) == 2
    assert main(["why", "runb", "Pusher", "--mlruns", str(store.root.parent)]) == 2
    assert "expected one of this run's components, Trainer" in capsys.readouterr().err


def test_status_verify_names_each_damaged_artifact(store, family, capsys):
    arguments = ["status", "--mlruns", str(store.root.parent), "--verify"]
    assert main(arguments) == 0
    assert "every file is whole" in capsys.readouterr().out
    (family["a"].path / "file.txt").write_text("other")
    (family["b"].path / "artifact.json").write_text("{")
    assert main(arguments) == 1
    said = capsys.readouterr().out
    assert f"DAMAGED {family['a'].path / 'file.txt'}: expected SHA-256" in said
    assert f"DAMAGED {family['b'].path / 'artifact.json'}" in said
    assert re.search(r"Model +3 artifacts", said)


def test_a_lock_names_its_owner_and_is_free_when_that_has_died(tmp_path):
    lock = tmp_path / "x.lock"
    code = (
        "import sys, time, pathlib\n"
        "from dlkeras.pipeline.store.ownership import owned\n"
        "with owned(pathlib.Path(sys.argv[1]), 'a training'):\n"
        "    print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, lock], stdout=-1)
    assert holder.stdout.readline() == b"held\n"
    assert str(holder.pid) in str(read_owner(lock))
    assert "a training" in str(read_owner(lock))
    holder.kill()
    holder.wait()
    assert read_owner(lock).is_gone
    said = []
    with owned(lock, "another", said.append):
        assert read_owner(lock).pid == os.getpid()
    assert "has died" in said[0]
    assert not owner_file(lock).exists()


def test_an_owner_on_another_machine_is_stale_when_it_stops_touching_its_file(
    tmp_path, monkeypatch
):
    from dlkeras.pipeline.store import ownership

    monkeypatch.setattr(ownership, "STALE_SECONDS", 1.5)
    monkeypatch.setattr(ownership, "PATIENCE_SECONDS", 0.2)
    lock = tmp_path / "x.lock"
    text = '{"host": "elsewhere", "pid": 1, "started": 1.0, "purpose": "p"}'
    owner_file(lock).write_text(text)
    said, started = [], time.monotonic()
    with owned(lock, "mine", said.append):
        assert time.monotonic() - started > 1.5
    assert "waiting for process 1 on elsewhere" in said[0]
    assert "taking over" in said[1]


def test_what_is_published_later_is_newer_though_the_clock_was_moved_back(
    store, monkeypatch
):
    from datetime import UTC, datetime

    from dlkeras.pipeline.store import publishing as module

    first = publish(store, Model, "a")

    class Earlier(datetime):
        @classmethod
        def now(cls, zone=None):
            return datetime(2001, 1, 1, tzinfo=UTC)

    monkeypatch.setattr(module, "datetime", Earlier)
    second = publish(store, Model, "b")
    assert second.record.created > first.record.created


# What is in use -----------------------------------------------------------------------


def take_up(store, run_id, *artifacts):
    """A run that goes on: it has looked these up, as a step does."""
    from rich.console import Console

    from dlkeras.pipeline.engine.execution import Execution
    from dlkeras.pipeline.engine.progress import Progress

    execution = Execution(store, "p", run_id, Progress(Console(quiet=True)))
    for artifact in artifacts:
        store.find(type(artifact), artifact.record.key)
    return execution


def names(found):
    return {piece.path.parent.name + piece.path.name[0] for piece in found}


def test_gc_keeps_what_a_live_run_reads_however_long_it_trains(store, family):
    lock = run_lock(store.root, "long")
    take_up(store, "long", family["c"])
    age(store, hours=24 * 30)
    with heartbeat(lock, "run long"):
        found = garbage(store.root, keep_runs=1, min_age=3600)
        assert names(found) == {"Blessingc"}  # and not what the model was made of
    found = garbage(store.root, keep_runs=1, min_age=3600)
    assert names(found) == {"Examplesc", "Modelc", "Blessingc"}


def test_gc_leaves_what_a_run_takes_up_between_the_list_and_the_removal(
    store, family, capsys
):
    age(store)
    found = garbage(store.root, keep_runs=1, min_age=3600)
    assert names(found) == {"Examplesc", "Modelc", "Blessingc"}
    store.find(Model, "c" * 64)
    said = []
    collect(store.root, found, said.append)
    assert store.find(Model, "c" * 64) is not None
    assert said == [f"left, in use by now: {family['c'].path}"]
    assert store.find(Blessing, "c" * 64) is None


def test_gc_leaves_what_a_run_wrote_down_though_its_files_look_unused(store, family):
    """As where a user may read the store's files and not touch them."""
    age(store)
    found = garbage(store.root, keep_runs=1, min_age=3600)
    with heartbeat(run_lock(store.root, "new"), "run new"):
        take_up(store, "new", family["c"])
        for piece in found:
            record = piece.path / "artifact.json"
            os.utime(record, (piece.changed, piece.changed))
        collect(store.root, found)
    assert store.find(Model, "c" * 64) is not None


@pytest.mark.parametrize("part", ["artifact", "work", "draft"])
def test_gc_does_not_wait_for_a_lock_and_leaves_what_it_protects(store, family, part):
    name = f"Model-{'c' * 16}"
    folder = {
        "artifact": family["c"].path,
        "work": store.root / "work" / name,
        "draft": store.root / "incomplete" / f"{name}.x1y2",
    }[part]
    folder.mkdir(exist_ok=True, parents=True)
    age(store)
    found = garbage(store.root, keep_runs=1, min_age=3600)
    assert folder in [piece.path for piece in found]
    started = time.monotonic()
    with store.lock(Model, "c" * 64):
        collect(store.root, [piece for piece in found if piece.path == folder])
        if part != "artifact":  # of a training of days, not even listed
            again = garbage(store.root, keep_runs=1, min_age=3600)
            assert folder not in [piece.path for piece in again]
    assert time.monotonic() - started < 1.0
    assert folder.exists()
    collect(store.root, found)
    assert not folder.exists()


def test_a_folder_that_is_filled_after_gc_found_it_is_left(store):
    folder = store.root / "work" / "Model-aaaa"
    folder.mkdir()
    age(store)
    found = garbage(store.root, keep_runs=1, min_age=3600)
    (folder / "epoch-0001.ckpt").write_text("x")
    assert collect(store.root, found) == 0
    assert folder.exists()


def test_a_run_is_written_down_after_every_step_and_remembers_what_it_compared(store):
    from dlkeras.pipeline.engine.lineage import used_by

    execution = take_up(store, "r")

    @component(packages=())
    def example_gen(output: Draft[Examples]) -> None:
        """Make examples."""

    @component(packages=())
    def trainer(output: Draft[Model], *, seed: int) -> None:
        """Train."""

    def step(asked, seed=1, is_own=True):
        return execution.artifact(call(asked, (), PipelineConfig(seed=seed)), is_own)

    step(example_gen)
    lineage = read_lineage(store.root, "last")
    assert [s["component"] for s in lineage["steps"]] == ["ExampleGen"]
    other = step(trainer, seed=2, is_own=False)
    step(trainer)
    lineage = read_lineage(store.root, "r")
    assert [s["component"] for s in lineage["steps"]] == ["ExampleGen", "Trainer"]
    assert ("Model", other.record.key) in used_by(store.root, "r")
    again = take_up(store, "r", other)  # it was interrupted, and goes on
    assert len(used_by(store.root, "r")) == 3
    assert again.steps == []


def test_an_artifact_that_was_not_yet_moved_into_its_place_is_none(
    store, family, capsys
):
    """A kill between the last write and the rename leaves a whole draft."""
    draft = store.root / "incomplete" / "Model-aaaa.tmp"
    shutil.copytree(family["a"].path, draft)
    place = ["--mlruns", str(store.root.parent)]
    assert main(["status", "--verify", *place]) == 0
    assert "every file is whole" in capsys.readouterr().out
    assert main(["gc", "--delete", *place]) == 0
    assert store.find(Model, "a" * 64) is not None


def test_gc_removes_nothing_where_a_record_was_damaged(store, family, capsys):
    age(store)
    arguments = ["gc", "--delete", "--mlruns", str(store.root.parent)]
    (store.root / "runs" / "r.json").write_text("{")
    assert main(arguments) == 1
    assert "expected the record of a run; it was damaged" in capsys.readouterr().err
    (store.root / "runs" / "r.json").unlink()
    pushed = store.folder(PushedModel, "a" * 64) / "artifact.json"
    pushed.write_bytes(pushed.read_bytes().replace(b'"Model"', b'"Mogel"'))
    assert main(arguments) == 1
    (error,) = capsys.readouterr().err.splitlines()
    assert str(pushed) in error
    assert store.find(Model, "c" * 64) is not None


RUN = """
import pathlib, sys, time
from rich.console import Console
from dlkeras.pipeline import Draft, PipelineConfig, component
from dlkeras.pipeline.store import ownership
from dlkeras.pipeline.artifacts.types import Examples, Model
from dlkeras.pipeline.engine.call import call
from dlkeras.pipeline.engine.execution import Execution
from dlkeras.pipeline.engine.lineage import run_lock
from dlkeras.pipeline.engine.progress import Progress
from dlkeras.pipeline.store.publishing import Store

store = Store(pathlib.Path(sys.argv[1]))
made = 0

@component(packages=())
def example_gen(output: Draft[Examples]) -> None:
    global made
    made += 1
    (output.path / "images").write_text("x")
    output.properties["labels"] = ["a", "b"]

for number in range(int(sys.argv[3])):
    run_id = f"{sys.argv[2]}{number}"
    progress = Progress(Console(quiet=True))
    with ownership.heartbeat(run_lock(store.root, run_id), "run"):
        execution = Execution(store, "p", run_id, progress)
        examples = execution.artifact(call(example_gen, (), PipelineConfig()))
        for step in range(3):  # the training reads its input again and again
            time.sleep(0.005)
            assert (examples.path / "images").read_text() == "x"
            assert Examples.read(examples.path).labels == ("a", "b")
    time.sleep(0.01)
print(made)
"""


@pytest.mark.job
def test_no_run_loses_its_input_to_a_gc_that_removes_all_it_may(store):
    """Two processes of runs, one of gc, in real time: whoever is faster."""
    path = str(store.root)
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", RUN, path, name, "40"], stdout=-1, stderr=-1,
            text=True,
        )
        for name in "ab"
    ]  # fmt: skip
    while any(run.poll() is None for run in runs):
        collect(store.root, garbage(store.root, keep_runs=0, min_age=0))
    made = 0
    for run in runs:
        out, error = run.communicate()
        assert run.returncode == 0, error
        made += int(out)
    assert made > 5  # it was a race: gc won some, and they were made again


# status -------------------------------------------------------------------------------


def test_status_and_gc_do_without_the_empty_folders_that_copies_drop(
    store, family, capsys
):
    for name in ("incomplete", "work", "locks", "runs"):
        (store.root / name).rmdir()
    age(store)
    place = ["--mlruns", str(store.root.parent)]
    assert main(["status", *place]) == 0
    assert re.search(r"Model +3 artifacts", capsys.readouterr().out)
    assert main(["status", "--verify", *place]) == 0
    assert main(["gc", *place]) == 0
    assert not (store.root / "incomplete").exists()  # to look makes nothing
    assert main(["gc", "--delete", *place]) == 0
    assert store.find(Model, "c" * 64) is None


@pytest.mark.parametrize(
    "command", [["status"], ["status", "--verify"], ["gc"], ["gc", "--delete"],
                ["why", "last", "Trainer"], ["show", "last"]],
)  # fmt: skip
def test_a_mistyped_folder_is_said_and_not_made(tmp_path, capsys, command):
    assert main([*command, "--mlruns", str(tmp_path / "mlrnus")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (error,) = said.err.splitlines()
    assert "--mlruns: expected the folder of a pipeline's runs" in error
    assert "mlrnus: it does not exist" in error
    assert list(tmp_path.iterdir()) == []


def test_status_beside_a_live_run_passes_over_files_that_vanish(store, monkeypatch):
    """Files come and go between the listing and the look, as checkpoints do."""
    for name in ("work/Model-aaaa", "incomplete/tmp1", "work/Model-bbbb"):
        (store.root / name).mkdir()
        (store.root / name / "epoch-0001.ckpt").write_text("x" * 2**20)
        (store.root / name / "epoch-0002.ckpt").write_text("x" * 2**20)
    real = os.lstat

    def racing(path, *rest):
        if str(path).endswith("epoch-0001.ckpt"):
            os.unlink(path)
        return real(path, *rest)

    with store.named_lock("Model-bbbb"):
        monkeypatch.setattr(os, "lstat", racing)
        said = list(status(store.root))
        found = garbage(store.root, keep_runs=1, min_age=0)
    monkeypatch.undo()
    (live,) = (line for line in said if line.startswith("Model-bbbb"))
    assert live.endswith("(Model-bbbb) works, last checkpoint epoch-0002.ckpt")
    assert (store.root / "work/Model-bbbb/epoch-0001.ckpt").exists()  # not walked
    (line,) = (line for line in said if line.startswith("Model-aaaa"))
    assert line.endswith("interrupted work, last checkpoint epoch-0002.ckpt, 1.0 MiB")
    assert "incomplete: 1 folders, 1.0 MiB (dlkeras gc)" in said
    assert found == []


def test_finished_trials_go_a_month_after_their_last_use(store):
    from dlkeras.pipeline.training.trials import _cached, _keep

    month, values = 31 * 86400, {"learning_rate": 0.1}
    used, left = store.root / "trials" / "aaaa", store.root / "trials" / "bbbb"
    for folder in (used, left):
        trials: Any = SimpleNamespace(cache=folder)
        _keep(trials, values, [{"loss": 1.0}])
        for path in (*folder.iterdir(), folder):
            os.utime(path, (time.time() - month, time.time() - month))
    searched: Any = SimpleNamespace(cache=used)
    assert _cached(searched, values) == [{"loss": 1.0}]
    found = garbage(store.root, keep_runs=1, min_age=3600)
    assert [piece.path for piece in found] == [left]
    assert collect(store.root, found) > 0
    assert used.exists()
    assert not left.exists()


def test_an_empty_store_is_called_empty_and_not_whole(tmp_path, capsys):
    (tmp_path / "store").mkdir()
    assert main(["status", "--verify", "--mlruns", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "the store is empty\n"
