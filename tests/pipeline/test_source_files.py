"""Which files a source reads: those it uses, no pipes, and no more than fits memory."""

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlkeras.cli import main
from dlkeras.pipeline import ExampleGenConfig, PipelineConfig, run
from dlkeras.pipeline.artifacts.types import Examples, Record
from dlkeras.pipeline.components.example_gen import left_out, source_fingerprint
from dlkeras.pipeline.examples.sources import Problem, SourceExample, open_source
from dlkeras.pipeline.examples.sources.numpy_arrays import NumpySource
from dlkeras.pipeline.store.errors import InputError


def write_photos(folder, number=30, split=""):
    random = np.random.default_rng(0)
    for index in range(number):
        place = folder / split / ("cat", "dog")[index % 2]
        place.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 255, (7, 9, 3), dtype="uint8")
        Image.fromarray(pixels).save(place / f"{index}.png")
    return folder


def write_table(folder):
    names = sorted(file.relative_to(folder) for file in folder.glob("*/*.png"))
    lines = [f"{name},{name.parts[0]}\n" for name in names]
    (folder / "table.csv").write_text("path,label\n" + "".join(lines))
    return folder / "table.csv"


def add_runs_and_a_repository(folder):
    """What changes all the time beside data, a figure of a run among it."""
    for name in ("mlruns/store/Examples/ab/figures/a.png", "mlruns/mlflow.db",
                 ".git/index", ".venv/lib/x.png"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(os.urandom(9))


# What the key of the examples depends on ----------------------------------------------


@pytest.mark.parametrize("kind", ["manifest", "folder", "splits", "builder"])
def test_runs_and_repositories_beside_the_data_change_no_key(tmp_path, kind):
    folder = write_photos(tmp_path / "data", split="train" if kind == "splits" else "")
    used = next(folder.rglob("*.png"))
    if kind == "manifest":
        config = ExampleGenConfig(manifest=write_table(folder))
    elif kind == "builder":
        used = folder / "features.json"
        used.write_text("{}")
        config = ExampleGenConfig(builder_dir=folder)
    else:
        config = ExampleGenConfig(image_folder=folder)
    before = source_fingerprint(config)
    add_runs_and_a_repository(folder)
    assert source_fingerprint(config) == before
    used.write_bytes(b"changed")
    changed = source_fingerprint(config)
    assert changed != before
    used.unlink()
    assert source_fingerprint(config) not in (before, changed)


def test_runs_beside_the_splits_hide_no_split(tmp_path):
    for split in ("train", "test"):
        write_photos(tmp_path / "data", split=split)
    add_runs_and_a_repository(tmp_path / "data")
    config = ExampleGenConfig(image_folder=tmp_path / "data")
    source = open_source(config, tmp_path, tmp_path)
    assert source.splits == {"train", "test"}
    assert len(source) == 60


def test_a_table_that_changes_changes_the_key(tmp_path):
    config = ExampleGenConfig(manifest=write_table(write_photos(tmp_path)))
    before = source_fingerprint(config)
    with (tmp_path / "table.csv").open("a") as table:
        table.write("cat/missing.png,cat\n")
    missing = source_fingerprint(config)
    assert missing != before
    (tmp_path / "cat" / "missing.png").write_bytes(b"there now")
    assert source_fingerprint(config) not in (before, missing)


def test_files_that_change_places_change_the_key(tmp_path):
    config = ExampleGenConfig(manifest=write_table(write_photos(tmp_path)))
    before = source_fingerprint(config)
    (tmp_path / "cat" / "0.png").rename(tmp_path / "x")
    (tmp_path / "cat" / "2.png").rename(tmp_path / "cat" / "0.png")
    (tmp_path / "x").rename(tmp_path / "cat" / "2.png")
    assert source_fingerprint(config) != before


def test_a_data_set_that_the_run_prepares_does_not_change_its_key(tmp_path):
    """The packaged digits are written into `data_dir` when they are first wanted."""
    config = ExampleGenConfig(dataset="digits", data_dir=tmp_path)
    before = source_fingerprint(config)
    open_source(config, tmp_path, tmp_path)
    assert source_fingerprint(config) == before


def test_a_manifest_beside_the_runs_is_ingested_once(tmp_path, silent):
    table = write_table(write_photos(tmp_path))
    config = PipelineConfig(
        name="beside",
        mlruns=tmp_path / "mlruns",
        example_gen=ExampleGenConfig(manifest=table),
    )
    steps = [run(config, until="ExampleGen", progress=silent).steps for _ in range(2)]
    assert [step.cached for (step,) in steps] == [False, True]


# Links, pipes and devices -------------------------------------------------------------


def test_links_that_leave_the_folder_are_followed_and_named(tmp_path):
    folder = write_photos(tmp_path / "data")
    elsewhere = write_photos(tmp_path / "elsewhere") / "cat"
    (folder / "bird").symlink_to(elsewhere)
    (folder / "cat" / "dog.png").symlink_to(tmp_path / "elsewhere" / "dog" / "1.png")
    (folder / "cat" / "inside.png").symlink_to("0.png")
    source = open_source(ExampleGenConfig(image_folder=folder), tmp_path, tmp_path)
    assert len(source) == 30 + 15 + 2
    assert source.outside == [
        f"bird -> {elsewhere}",
        f"cat/dog.png -> {tmp_path}/elsewhere/dog/1.png",
    ]


def test_the_run_says_what_it_takes_from_elsewhere():
    properties = {"ignored": [], "outside": ["bird -> /birds"], "quarantined": 0}
    record = Record.model_construct(properties=properties)
    assert left_out(Examples(Path(), record)) == [
        "taken from elsewhere, by 1 links: bird -> /birds"
    ]


def test_a_link_to_everything_is_not_gone_through(tmp_path):
    folder = write_photos(tmp_path / "data")
    (folder / "cat" / "machine").symlink_to("/")
    (folder / "machine").symlink_to("/")
    source = open_source(ExampleGenConfig(image_folder=folder), tmp_path, tmp_path)
    assert len(source) == 30
    assert len(source.ignored) < 10_000


def doubling(folder, levels=40):
    """Folders of which each has two links to the next: 2**levels ways to the last."""
    for level in range(levels):
        (folder / f"d{level}").mkdir(parents=True)
        for name in "ab":
            (folder / f"d{level}" / name).symlink_to(f"../d{level + 1}")
    (folder / f"d{levels}").mkdir()
    return folder


@pytest.mark.parametrize("place", ["", "notes", "cat", "cat/more"])
def test_links_that_double_the_ways_end_soon(tmp_path, place):
    folder = write_photos(tmp_path / "data")
    doubling(folder / place)
    source = open_source(ExampleGenConfig(image_folder=folder), tmp_path, tmp_path)
    assert len(source) == 30


def test_many_links_to_one_folder_are_one_error(tmp_path):
    folder = write_photos(tmp_path / "data")
    for number in range(15):
        (folder / f"cat{number}").symlink_to("cat")
    source = open_source(ExampleGenConfig(image_folder=folder), tmp_path, tmp_path)
    assert len(source) == 30 + 15 * 15
    (folder / "cat15").symlink_to("cat")
    with pytest.raises(InputError, match=r"^--example-gen\.image-folder: .* 16 ways"):
        open_source(ExampleGenConfig(image_folder=folder), tmp_path, tmp_path)


def test_links_in_a_folder_of_prepared_data_end_soon(tmp_path):
    doubling(tmp_path / "mnist")
    config = ExampleGenConfig(dataset="mnist", data_dir=tmp_path)
    with pytest.raises(InputError, match=r"^--example-gen\.data-dir: .* 16 ways"):
        source_fingerprint(config)


def test_a_pipe_or_a_device_for_an_image_is_a_problem(tmp_path):
    folder = write_photos(tmp_path / "data")
    os.mkfifo(folder / "cat" / "pipe.png")
    (folder / "cat" / "device.png").symlink_to("/dev/zero")
    with (folder / "cat" / "hole.png").open("wb") as file:
        file.truncate(6 * 2**30)
    table = write_table(folder)
    for config in (
        ExampleGenConfig(image_folder=folder),
        ExampleGenConfig(manifest=table),
    ):
        source = open_source(config, tmp_path, tmp_path)
        found = {}
        for example in source.examples():
            if isinstance(example, Problem):
                found[example.id] = example.reason
            elif isinstance(example, SourceExample) and "hole" in example.id:
                with pytest.raises(ValueError, match="at most 512,000,000 bytes"):
                    example.read()
        assert "not a regular file" in found.values()
        assert sorted(n.strip(")").rpartition("/")[2] for n in found) == [
            "device.png", "pipe.png",
        ]  # fmt: skip


@pytest.mark.parametrize("flag", ["image_folder", "manifest", "npz"])
def test_a_pipe_for_a_source_is_refused_at_once(tmp_path, flag):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="expected a f"):
        open_source(ExampleGenConfig(**{flag: tmp_path / "pipe"}), tmp_path, tmp_path)


def test_predict_and_augment_refuse_a_pipe_for_an_image(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "model.keras").write_bytes(b"")
    for command in ("augment", f"predict {tmp_path}/model.keras"):
        assert main([*command.split(), str(tmp_path / "pipe")]) == 2
        assert "it is a pipe or a device" in capsys.readouterr().err


# NumPy archives -----------------------------------------------------------------------


def test_labels_that_do_not_fit_the_images_are_refused_before_they_are_read(tmp_path):
    file = tmp_path / "set.npz"
    x, y = np.zeros((4, 8, 8), "uint8"), np.zeros(50_000_000, "uint8")
    np.savez_compressed(file, x=x, y=y)
    assert file.stat().st_size < 100_000
    tracemalloc.start()
    with pytest.raises(InputError, match=r"y as 4 integers.*has \(50000000,\) uint8"):
        NumpySource(file, tmp_path / "scratch")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    assert not (tmp_path / "scratch").exists()


def test_labels_and_order_have_one_budget_of_memory(tmp_path, monkeypatch):
    file = tmp_path / "set.npz"
    np.savez(file, x=np.zeros((100, 2, 2), "uint8"), y=np.arange(100) % 2)
    assert len(NumpySource(file, tmp_path / "scratch")) == 100
    module = "dlkeras.pipeline.examples.sources.numpy_arrays"
    monkeypatch.setattr(f"{module}.MAX_HELD", 1599)
    with pytest.raises(InputError, match=r"--example-gen\.npz: .*1,599 bytes of mem"):
        NumpySource(file, tmp_path / "scratch")


def test_an_image_of_an_archive_has_no_more_pixels_than_one_of_a_file(tmp_path):
    np.savez_compressed(
        tmp_path / "set.npz", x=np.zeros((2, 8001, 8000), "uint8"), y=np.arange(2)
    )
    with pytest.raises(
        InputError, match=r"at most 64,000,000 pixels; x of .*8001x8000"
    ):
        NumpySource(tmp_path / "set.npz", tmp_path / "scratch")
