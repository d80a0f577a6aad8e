"""A flipped bit in any file of a store or of a pushed model is noticed, every one."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dlkeras.cli import main
from dlkeras.pipeline.artifacts.types import (
    ARTIFACT_TYPES,
    Hyperparameters,
    PushedModel,
    Schema,
)
from dlkeras.pipeline.engine.lineage import read_lineage_file
from dlkeras.pipeline.engine.store_report import damaged_files
from dlkeras.pipeline.examples.labels import read_labels
from dlkeras.pipeline.store.errors import (
    CorruptArtifactError,
    InputError,
    PipelineError,
)
from dlkeras.pipeline.store.publishing import Draft, Store
from dlkeras.pipeline.store.record import RECORD_FILE, FileRecord, Record
from dlkeras.pipeline.store.sealed import read_sealed_json
from dlkeras.pipeline.tracking.pushed_model import load_pushed_model


@contextlib.contextmanager
def flipped(file: Path, byte: int, bit: int = 0):
    """Flip a bit of a file, and give the file back its content."""
    data = file.read_bytes()
    file.write_bytes(data[:byte] + bytes([data[byte] ^ 1 << bit]) + data[byte + 1 :])
    try:
        yield
    finally:
        file.write_bytes(data)


def places(file: Path) -> set[int]:
    """The first byte of a file, one in its middle, and the last."""
    size = file.stat().st_size
    return {0, size // 2, size - 1} if size else set()


@pytest.fixture
def searched(tmp_path):
    """A search's result, in a store of its own."""
    arguments = {
        "key": "k" * 64, "producer": "Tuner", "pipeline": "p", "config": {"a": [1]},
        "inputs": {}, "versions": {"keras": "3.15"}, "run_id": "r",
    }  # fmt: skip
    store = Store(tmp_path / "store")
    with store.publish(Hyperparameters, **arguments) as draft:
        draft.write_json("trials.json", [1])
        draft.properties["values"] = {"learning_rate": 0.0036}
    return store.find(Hyperparameters, "k" * 64)


def test_every_bit_of_a_record_is_noticed(searched):
    data = (searched.path / "artifact.json").read_bytes()
    assert json.loads(data)["properties"] == {"values": {"learning_rate": 0.0036}}
    assert Record.from_bytes(data) == searched.record
    for byte in range(len(data)):
        for bit in range(8):
            flip = bytes([data[byte] ^ 1 << bit])
            with pytest.raises(ValueError):
                Record.from_bytes(data[:byte] + flip + data[byte + 1 :])
        with pytest.raises(ValueError):
            Record.from_bytes(data[:byte])  # cut


def test_a_learning_rate_altered_in_the_record_stops_the_run_and_says_what_to_do(
    searched, tmp_path, capsys
):
    store, file = Store(tmp_path / "store"), searched.path / "artifact.json"
    file.write_bytes(file.read_bytes().replace(b"0.0036", b"0.0076"))
    with pytest.raises(CorruptArtifactError, match=r"damaged; rebuild .*--force Tuner"):
        store.find(Hyperparameters, "k" * 64)
    with pytest.raises(CorruptArtifactError):  # as a trial's process reads it
        Hyperparameters.read(searched.path)
    assert main(["status", "--verify", "--mlruns", str(tmp_path)]) == 1
    assert f"DAMAGED {file}: expected the record" in capsys.readouterr().out


def test_another_artifacts_record_is_not_taken_for_this_ones(searched):
    store = Store(searched.path.parent.parent)
    for kind, key in ((Hyperparameters, "j" * 64), (Schema, "k" * 64)):
        shutil.copytree(searched.path, store.folder(kind, key))
        with pytest.raises(CorruptArtifactError, match="expected"):
            store.find(kind, key)
        problems = []
        assert searched.path not in [a.path for a in store.artifacts(Schema)]
        store.artifacts(kind, problems.append)
        assert len(problems) == 1


def test_an_artifact_from_before_records_had_a_digest_is_read_and_counted(
    searched, tmp_path, capsys
):
    file = searched.path / "artifact.json"
    file.write_text(searched.record.model_dump_json(indent=2) + "\n")
    found = Store(tmp_path / "store").find(Hyperparameters, "k" * 64)
    assert found.values == {"learning_rate": 0.0036}
    assert main(["status", "--verify", "--mlruns", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "of an earlier version, whose records have no SHA-256: 1" in said


# A whole job's ------------------------------------------------------------------------


@pytest.mark.job
def test_a_flip_in_any_file_of_a_jobs_store_is_noticed(main_job, tmp_path):
    root = tmp_path / "store"
    shutil.copytree(main_job.mlruns / "store", root)
    store, seen = Store(root), set()

    def kind_of(file):
        return file.relative_to(root).parts[0]

    def check(file):
        kind = kind_of(file)
        if kind in ARTIFACT_TYPES:
            folder = root / Path(*file.relative_to(root).parts[:2])
            key = {a.path: a.record.key for a in store.artifacts(ARTIFACT_TYPES[kind])}
            keys.setdefault(folder, key.get(folder))
            return lambda: store.find(ARTIFACT_TYPES[kind], keys[folder])
        if kind == "runs":
            return lambda: read_lineage_file(file)
        assert kind == "trials", f"nothing checks {file}"
        return lambda: read_sealed_json(file, "a trial", "")

    keys = {}
    for file in sorted(f for f in root.rglob("*") if f.is_file() and f.stat().st_size):
        checked = check(file)
        checked()
        for byte in places(file):
            with flipped(file, byte), pytest.raises(CorruptArtifactError) as caught:
                checked()
            assert str(file.name) in str(caught.value)
            if file.name == RECORD_FILE or kind_of(file) in ("runs", "trials"):
                with flipped(file, byte):
                    (line,) = damaged_files(root)  # what `status --verify` says
                assert str(file) in line
        seen.add(kind_of(file))
    assert seen == {*ARTIFACT_TYPES, "runs", "trials"}


@pytest.mark.job
def test_no_damaged_record_of_a_job_gets_into_the_next_steps_key(main_job, tmp_path):
    """Keys are made of digests in records that `find` gives: of whole ones alone."""
    old, root = main_job.mlruns / "store", tmp_path / "store"
    for file in old.glob(f"*/*/{RECORD_FILE}"):
        (root / file.relative_to(old)).parent.mkdir(parents=True)
        shutil.copy(file, root / file.relative_to(old))
    store, seen = Store(root), set()
    for kind in ARTIFACT_TYPES.values():
        for artifact in store.artifacts(kind):
            file, key = artifact.path / RECORD_FILE, artifact.record.key
            data = file.read_bytes()
            for byte in range(len(data)):
                flip = bytes([data[byte] ^ 1 << byte % 8])
                damaged = data[:byte] + flip + data[byte + 1 :]
                with pytest.raises(ValueError):
                    Record.from_bytes(damaged)
                if byte % 50 == 0:  # a file takes longer
                    file.write_bytes(damaged)
                    with pytest.raises(CorruptArtifactError):
                        store.find(kind, key, verify=False)
            file.write_bytes(data)
            assert store.find(kind, key, verify=False).record == artifact.record
            seen.add(kind)
    assert seen == set(ARTIFACT_TYPES.values())


@pytest.mark.job
def test_a_flip_in_any_file_of_a_pushed_model_is_one_line_before_it_is_loaded(
    main_job, tmp_path
):
    (pushed,) = Store(main_job.mlruns / "store").artifacts(PushedModel)
    folder = tmp_path / "pushed"
    shutil.copytree(pushed.path, folder)
    load_pushed_model(str(folder), None, tmp_path)
    for file in (f for f in folder.rglob("*") if f.is_file() and f.stat().st_size):
        for byte in places(file):
            with flipped(file, byte), pytest.raises(PipelineError) as caught:
                load_pushed_model(str(folder), None, tmp_path)
            assert len(str(caught.value).splitlines()) == 1


@pytest.mark.job
def test_a_flip_in_any_file_that_mlflow_wrote_around_the_model_is_named(main_job):
    from dlkeras.pipeline.tracking.database.connection import connect
    from dlkeras.pipeline.tracking.registry.model_folder import data_folder
    from dlkeras.pipeline.tracking.registry.registered import downloaded_model

    connect(None, main_job.mlruns)
    folder = downloaded_model("lenet5_digits@champion")
    files = [f for f in folder.iterdir() if f.is_file()]
    assert {"MLmodel", "requirements.txt"} <= {file.name for file in files}
    for file in files:
        if file.name == "registered_model_meta":  # MLflow writes it when it fetches
            continue
        for byte in places(file):
            with flipped(file, byte), pytest.raises(PipelineError, match=file.name):
                downloaded_model("lenet5_digits/1")
    data = data_folder(downloaded_model("lenet5_digits/1"))
    load_pushed_model(str(data), None, data)
    with flipped(data / "model.keras", 1000), pytest.raises(CorruptArtifactError):
        load_pushed_model(str(data), None, data)


# The manifest and the labels ----------------------------------------------------------


@pytest.fixture
def pushed(tmp_path):
    """A folder with a manifest as the pusher writes it, for a model of no content."""
    from dlkeras.pipeline.artifacts.manifest import write_manifest

    folder = tmp_path / "pushed"
    (folder / "saved_model").mkdir(parents=True)
    for name in ("README.md", "example.json", "model.keras", "saved_model/x.pb"):
        (folder / name).write_text(name)
    (folder / "labels.json").write_text('["cat", "dog"]')
    write_manifest(folder)
    (folder / "photo.png").write_text("the user's own")
    load_pushed_model(str(folder), None, tmp_path)
    return folder


def line(text: bytes, number: int) -> bytes:
    return text.split(b"\n")[number] + b"\n"


def test_every_byte_of_a_manifest_and_of_the_files_it_lists_counts(pushed):
    for file in (f for f in pushed.rglob("*") if f.is_file()):
        for byte in range(file.stat().st_size) if file.name != "photo.png" else ():
            with flipped(file, byte, byte % 8), pytest.raises(PipelineError):
                load_pushed_model(str(pushed), None, pushed)


DAMAGED = {
    "emptied": (lambda text: b"", "it is empty"),
    "one line": (lambda text: line(text, 0), "it lacks"),
    "without its last": (lambda text: text.removesuffix(line(text, 4)), "it lacks"),
    "cut in a line": (lambda text: text[:200], "its last line is cut"),
    "no newline": (lambda text: text[:-1], "its last line is cut"),
    "a blank line": (lambda text: text + b"\n", "line 6 is ''"),
    "a blank first": (lambda text: b"\n" + text, "line 1 is ''"),
    "not UTF-8": (lambda text: b"\xff\xfe" + text, "it is not UTF-8"),
    "another text": (lambda text: b"hello\n" + text, "line 1 is 'hello'"),
    "twice": (lambda text: text + line(text, 0), "'README.md' twice"),
    "a byte 0": (lambda text: text + b"a" * 64 + b"  a\0b\n", "files beside it"),
    "a long name": (lambda text: text + b"a" * 64 + b"  " + b"x" * 999 + b"\n", "x"),
    "elsewhere": (lambda text: text + b"a" * 64 + b"  ../x\n", "it names '../x'"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_manifest_is_one_line(pushed, capsys, name):
    change, said = DAMAGED[name]
    manifest = pushed / "MANIFEST.sha256"
    manifest.write_bytes(change(manifest.read_bytes()))
    assert main(["predict", str(pushed), "image.png"]) == 1
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: {pushed}")
    assert said in error


def test_what_has_an_artifacts_record_has_its_manifest(pushed, searched):
    file = pushed / "MANIFEST.sha256"
    published = {"MANIFEST.sha256": FileRecord(sha256="0" * 64, size=1)}
    record = searched.record.model_copy(update={"files": published})
    (pushed / "artifact.json").write_bytes(record.to_bytes())
    with pytest.raises(CorruptArtifactError, match=r"MANIFEST\.sha256: .* 0000"):
        load_pushed_model(str(pushed), None, pushed)
    file.unlink()
    with pytest.raises(CorruptArtifactError, match=r"expected a manifest; there is"):
        load_pushed_model(str(pushed), None, pushed)


def test_a_model_pushed_before_records_had_a_digest_is_loaded(pushed, searched):
    record = searched.record.model_dump_json(indent=2) + "\n"
    (pushed / "artifact.json").write_text(record)
    path, labels = load_pushed_model(str(pushed), None, pushed)
    assert (path, labels) == (pushed / "model.keras", ["cat", "dog"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('["5", "1", "5"]', "each once; '5'"),
        ("{}", "something else"),
        ("[1, 2]", "something else"),
        ("[", "not JSON"),
        (b"\xff", "not JSON"),
    ],
)
def test_labels_that_are_no_list_of_different_names_are_refused(
    tmp_path, content, said
):
    data = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "labels.json").write_bytes(data)
    with pytest.raises(InputError, match=said):
        read_labels(tmp_path)


def test_a_class_named_twice_is_refused_wherever_labels_are_read(tmp_path):
    from dlkeras.pipeline.artifacts.types import Examples
    from dlkeras.pipeline.examples.schema import ImageSchema, load_schema, to_toml

    arguments = {
        "key": "e" * 64, "producer": "ExampleGen", "pipeline": "p", "config": {},
        "inputs": {}, "versions": {}, "run_id": "r",
    }  # fmt: skip
    store = Store(tmp_path / "store")
    with store.publish(Examples, **arguments) as draft:
        draft.properties["labels"] = ["5", "6", "5"]
    with pytest.raises(CorruptArtifactError, match=r"once; '5' .*--force ExampleGen"):
        store.find(Examples, "e" * 64).labels  # noqa: B018
    sizes = dict.fromkeys(("min_height", "max_height", "min_width", "max_width"), 9)
    schema = ImageSchema(
        labels=("5", "6"), channels=1, min_examples_per_class=1, **sizes
    )
    file = tmp_path / "schema.toml"
    file.write_text(to_toml(schema).replace('["5", "6"]', '["5", "5"]'))
    with pytest.raises(InputError, match=r"schema\.toml.*labels.*'5'"):
        load_schema(file)


def test_folders_whose_names_are_shown_alike_are_not_taken_for_two_classes(tmp_path):
    from PIL import Image

    from dlkeras.pipeline.components.example_gen import example_gen
    from dlkeras.pipeline.configuration.data import ExampleGenConfig

    for name in (b"a\xff", rb"a\xff", b"b"):
        folder = tmp_path / "images" / os.fsdecode(name)
        folder.mkdir(parents=True)
        for number in range(3):
            Image.new("L", (8, 8), number).save(folder / f"{number}.png")
    config = ExampleGenConfig(image_folder=tmp_path / "images")
    with pytest.raises(InputError, match=r"each class of image folder .* once"):
        example_gen(config, Draft(tmp_path / "draft"), tmp_path)


def test_what_checks_a_pushed_model_needs_only_what_is_installed_beside_one():
    """Its requirements name no lock, no database and no configuration's flags."""
    code = (
        "import sys, dlkeras.pipeline.serving\n"
        "print(sorted({'filelock', 'psutil', 'pydantic_settings', 'pandas', 'rich'}"
        " & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
