"""The store: whole artifacts or none, digests that are checked, one maker at a time."""

import multiprocessing
import time

import pytest

from dlkeras.pipeline import Draft, PipelineConfig, component
from dlkeras.pipeline.artifacts.types import Schema
from dlkeras.pipeline.engine.call import call
from dlkeras.pipeline.engine.execution import Execution
from dlkeras.pipeline.store.errors import CorruptArtifactError, StorageError
from dlkeras.pipeline.store.publishing import Store, write_atomically


def publish(store, text="content", key="k" * 64, **changes):
    arguments = {
        "key": key, "producer": "SchemaGen", "pipeline": "p", "config": {},
        "inputs": {}, "versions": {}, "run_id": "r", **changes,
    }  # fmt: skip
    with store.publish(Schema, **arguments) as draft:
        (draft.path / "file.txt").write_text(text)
        draft.properties["said"] = 1
    return store.find(Schema, key)


def test_what_is_published_is_found_with_its_properties(tmp_path):
    store = Store(tmp_path)
    artifact = publish(store)
    assert (artifact.path / "file.txt").read_text() == "content"
    assert artifact.properties == {"said": 1}
    assert store.find(Schema, "x" * 64) is None


def test_the_same_content_has_the_same_digest_whatever_made_it(tmp_path):
    store = Store(tmp_path)
    one = publish(store, key="a" * 64)
    two = publish(store, key="b" * 64, producer="other", run_id="other")
    other = publish(store, "else", key="c" * 64)
    assert one.record.digest == two.record.digest != other.record.digest


def test_a_component_that_fails_leaves_nothing(tmp_path):
    store = Store(tmp_path)
    arguments = {
        "key": "k" * 64, "producer": "p", "pipeline": "p", "config": {},
        "inputs": {}, "versions": {}, "run_id": "r",
    }  # fmt: skip
    with (
        pytest.raises(KeyboardInterrupt),
        store.publish(Schema, **arguments) as draft,
    ):
        (draft.path / "half").write_text("half")
        raise KeyboardInterrupt
    assert store.find(Schema, "k" * 64) is None
    assert not list((tmp_path / "incomplete").iterdir())


def test_a_failed_rebuild_keeps_the_artifact_that_was_there(tmp_path):
    store = Store(tmp_path)
    publish(store, "good")
    arguments = {
        "key": "k" * 64, "producer": "p", "pipeline": "p", "config": {},
        "inputs": {}, "versions": {}, "run_id": "r",
    }  # fmt: skip
    with pytest.raises(ValueError), store.publish(Schema, **arguments):
        raise ValueError
    assert (store.find(Schema, "k" * 64).path / "file.txt").read_text() == "good"


@pytest.mark.parametrize("damage", ["flip a bit", "cut", "remove"])
def test_a_damaged_file_is_named_with_the_component_to_force(tmp_path, damage):
    store = Store(tmp_path)
    file = publish(store).path / "file.txt"
    if damage == "remove":
        file.unlink()
    else:
        data = bytearray(file.read_bytes())
        data[0] ^= 1
        file.write_bytes(data if damage == "flip a bit" else data[:-1])
    with pytest.raises(CorruptArtifactError) as caught:
        store.find(Schema, "k" * 64)
    assert str(file) in str(caught.value)
    assert "--force SchemaGen" in str(caught.value)


def test_a_torn_record_is_named(tmp_path):
    store = Store(tmp_path)
    record = publish(store).path / "artifact.json"
    record.write_text(record.read_text()[:50])
    with pytest.raises(
        CorruptArtifactError, match=r"artifact\.json.*--force SchemaGen"
    ):
        store.find(Schema, "k" * 64)
    assert store.artifacts(Schema) == []


def test_an_atomic_write_that_fails_keeps_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "file"
    write_atomically(file, b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_in_the_place_of_the_store_is_an_error_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"expected a folder .*file.* is a file"):
        Store(tmp_path / "file" / "store")


def test_too_little_free_space_is_said_before_anything_starts(tmp_path, monkeypatch):
    class Usage:
        free = 2**20

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    with pytest.raises(StorageError, match=r"expected at least 64 MiB.*1\.0 MiB"):
        Store(tmp_path)


def _make_slowly(root, queue):
    from rich.console import Console

    from dlkeras.pipeline.engine.progress import Progress

    execution = Execution(Store(root), "p", "r", Progress(Console(quiet=True)))

    @component(packages=())
    def slow_gen(output: Draft[Schema]) -> None:
        time.sleep(0.5)
        (output.path / "file").write_text("x")

    execution.artifact(call(slow_gen, (), PipelineConfig()))
    queue.put(execution.steps[0].cached)


def test_of_processes_that_start_together_one_makes_the_artifact(tmp_path):
    Store(tmp_path)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [
        context.Process(target=_make_slowly, args=(tmp_path, queue)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    cached = [queue.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert sorted(cached) == [False, True, True]


def test_a_forced_component_runs_again_and_replaces_its_artifact(tmp_path, silent):
    execution, made = Execution(Store(tmp_path), "p", "r", silent), []

    @component(packages=())
    def count_gen(output: Draft[Schema]) -> None:
        made.append(1)
        (output.path / "n").write_text(str(len(made)))

    for execution.force in ((), (), ("CountGen",)):
        last = execution.artifact(call(count_gen, (), PipelineConfig()))
    assert [step.cached for step in execution.steps] == [False, True, False]
    assert (last.path / "n").read_text() == "2"
