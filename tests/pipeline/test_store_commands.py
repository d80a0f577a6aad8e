"""`dlkeras status`, `why` and `gc`: what the store says of itself and gives up."""

import os
import re
import subprocess
import sys
import time

import pytest

from dlkeras.cli import main
from dlkeras.pipeline.artifacts import ARTIFACT_TYPES, Blessing, Model, PushedModel
from dlkeras.pipeline.garbage import collect, garbage
from dlkeras.pipeline.ownership import owned, owner_file, read_owner
from dlkeras.pipeline.store import Store


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
        examples = publish(store, ARTIFACT_TYPES["Examples"], key)
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
    examples = publish(store, ARTIFACT_TYPES["Examples"], "a")
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
        "import sys, time, pathlib; from dlkeras.pipeline.ownership import owned\n"
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
    from dlkeras.pipeline import ownership

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

    from dlkeras.pipeline import store as module

    first = publish(store, Model, "a")

    class Earlier(datetime):
        @classmethod
        def now(cls, zone=None):
            return datetime(2001, 1, 1, tzinfo=UTC)

    monkeypatch.setattr(module, "datetime", Earlier)
    second = publish(store, Model, "b")
    assert second.record.created > first.record.created
