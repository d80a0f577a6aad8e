"""What was torn, altered or refused once does not stand in the way of the next run."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dlkeras.pipeline import (
    EvaluatorConfig,
    ExampleGenConfig,
    PipelineConfig,
    TrainerConfig,
    TunerConfig,
    run,
    tracking,
)
from dlkeras.pipeline.components.example_gen import source_fingerprint
from dlkeras.pipeline.store.errors import InputError, PipelineError, TrackingError
from dlkeras.pipeline.training.search_recovery import recover_search, save_search

pytestmark = pytest.mark.job


def write_folder(folder, channels=1, number=20, classes=("a", "b")):
    random = np.random.default_rng(channels)
    for label in classes:
        (folder / label).mkdir(parents=True)
        for index in range(number):
            shape = (32, 32) if channels == 1 else (32, 32, channels)
            pixels = random.integers(0, 255, shape, dtype="uint8")
            Image.fromarray(pixels).save(folder / label / f"{index}.png")
    return folder


@pytest.fixture
def config(tmp_path):
    """A job of one epoch that blesses anything."""
    return PipelineConfig(
        name="recovery",
        mlruns=tmp_path / "mlruns",
        tuner=TunerConfig(enabled=False),
        trainer=TrainerConfig(epochs=1, monitor=False),
        evaluator=EvaluatorConfig(
            min_accuracy=0.0,
            refuse_trivial=False,
            max_accuracy_drop=1.0,
            robustness_images=0,
        ),
    )


def test_four_processes_that_make_one_database_all_succeed(tmp_path):
    code = (
        "import sys, pathlib; from dlkeras.pipeline import tracking; "
        "tracking.connect(None, pathlib.Path(sys.argv[1]))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, tmp_path / "mlruns"],
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors


def test_an_altered_blessed_model_is_passed_over_with_a_word(config, tmp_path):
    from rich.console import Console

    from dlkeras.pipeline.engine.progress import Progress

    first = run(config, until="Evaluator", progress=Progress(Console(quiet=True)))
    network = first.artifacts["Model"].path / "network.keras"
    network.write_bytes(network.read_bytes() + b"\0")
    with (tmp_path / "log").open("w") as log:
        progress = Progress(Console(file=log, width=1000))
        other = config.model_copy(update={"seed": 1})
        second = run(other, until="Evaluator", progress=progress)
    assert second.blessed
    assert "no other blessed model" in second.reason
    text = (tmp_path / "log").read_text()
    assert f"not compared with an earlier blessed model: {network}" in text


def test_models_for_other_channels_are_not_compared(config, tmp_path, silent):
    for name, channels in (("grey", 1), ("colour", 3)):
        folder = write_folder(tmp_path / name, channels)
        job = config.model_copy(
            update={"example_gen": ExampleGenConfig(image_folder=folder)}
        )
        result = run(job, until="Evaluator", progress=silent)
        assert result.blessed
        assert "no other blessed model" in result.reason


@pytest.mark.parametrize("damage", ["oracle.json", "trial_0/trial.json", "missing"])
@pytest.mark.parametrize(
    ("copied", "words"), [(True, "its last copy is used"), (False, "starts afresh")]
)
def test_a_torn_search_is_recovered(tmp_path, copied, words, damage):
    project, copy = tmp_path / "search", tmp_path / "copy.json"
    (project / "trial_0").mkdir(parents=True)
    whole = {"oracle.json": '{"start_order": ["0"]}', "trial_0/trial.json": "{}"}
    for name, text in whole.items():
        (project / name).write_text(text)
    if copied:
        save_search(project, copy)
    if damage == "missing":
        (project / "trial_0/trial.json").unlink()
    else:
        (project / damage).write_text('{"torn": ')
    said = []
    recover_search(project, copy, said.append)
    assert words in said[0]
    if copied:
        assert {n: (project / n).read_text() for n in whole} == whole
        recover_search(project, copy, said.append)
        assert len(said) == 1
    else:
        assert not project.exists()


def test_a_search_that_failed_once_is_searched_again(config, silent, monkeypatch):
    import keras

    def broken(self, *args, **kwargs):
        raise RuntimeError("hiccup")

    job = config.model_copy(update={"tuner": TunerConfig(max_trials=1, epochs=1)})
    with monkeypatch.context() as patched:
        patched.setattr(keras.Model, "fit", broken)
        with pytest.raises(PipelineError, match="hiccup"):
            run(job, until="Tuner", progress=silent)
    result = run(job, until="Tuner", progress=silent)
    assert result.artifacts["Hyperparameters"].properties["completed"] == 1


def test_losses_that_are_not_finite_are_said_and_leave_no_checkpoint(config, silent):
    job = config.model_copy(
        update={"trainer": TrainerConfig(epochs=2, learning_rate=1e38)}
    )
    for _ in range(2):
        with pytest.raises(PipelineError, match=r"finite losses; epoch 1 has loss nan"):
            run(job, progress=silent)
    assert not list(config.mlruns.glob("store/work/*/*.ckpt"))


def test_a_change_behind_a_linked_class_folder_changes_the_key(tmp_path):
    real = write_folder(tmp_path / "real")
    linked = tmp_path / "linked"
    linked.mkdir()
    for label in ("a", "b"):
        (linked / label).symlink_to(real / label)
    config = ExampleGenConfig(image_folder=linked)
    before = source_fingerprint(config)
    assert source_fingerprint(config) == before
    Image.fromarray(np.zeros((8, 8), "uint8")).save(real / "a" / "new.png")
    assert source_fingerprint(config) != before


def test_a_version_in_a_data_sets_name_does_not_hide_its_files(tmp_path):
    file = tmp_path / "mnist" / "3.0.1" / "shard"
    file.parent.mkdir(parents=True)
    file.write_text("one")
    config = ExampleGenConfig(dataset="mnist:3.0.1", data_dir=tmp_path)
    before = source_fingerprint(config)
    file.write_text("another")
    assert source_fingerprint(config) != before


def test_a_folder_too_small_for_three_splits_names_the_classes(
    config, tmp_path, silent
):
    folder = write_folder(tmp_path / "few", number=1)
    job = config.model_copy(
        update={"example_gen": ExampleGenConfig(image_folder=folder)}
    )
    with pytest.raises(InputError, match=r"a has 1 photo, b has 1 photo: add photos"):
        run(job, progress=silent)


def test_files_that_are_left_out_are_counted_and_hidden_ones_skipped(
    config, tmp_path, silent
):
    folder = write_folder(tmp_path / "photos")
    (folder / "a" / "deep").mkdir()
    (folder / "a" / "0.png").rename(folder / "a" / "deep" / "0.png")
    (folder / "notes.txt").write_text("")
    (folder / "a" / "._1.png").write_bytes(b"\0\5\x16\7")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "x.png").write_bytes(b"")
    job = config.model_copy(
        update={"example_gen": ExampleGenConfig(image_folder=folder)}
    )
    examples = run(job, until="ExampleGen", progress=silent).artifacts["Examples"]
    assert examples.labels == ("a", "b")
    assert sum(examples.splits.values()) == 40
    assert examples.properties["ignored"] == {
        "hidden": {".png": 1}, "not an image": {".txt": 1},
    }  # fmt: skip


@pytest.mark.parametrize(
    "uri",
    [
        "some_folder",
        "ftp://127.0.0.1/x",
        "postgresql://user@127.0.0.1:9/x",
        "sqlite:///{junk}",
        "http://127.0.0.1:port",
    ],
)
def test_a_tracking_uri_that_leads_nowhere_is_one_line(tmp_path, uri):
    junk = tmp_path / "junk"
    junk.write_bytes(b"this is no database, whatever its name may be" * 50)
    with pytest.raises(TrackingError) as caught:
        tracking.connect(uri.format(junk=junk), tmp_path / "mlruns")
    assert "\n" not in str(caught.value)
    assert uri.format(junk=junk).split("@")[0] in str(caught.value)


def test_stopping_after_the_evaluator_still_tells_what_was_decided(config, silent):
    job = config.model_copy(update={"evaluator": EvaluatorConfig(min_accuracy=1.0)})
    result = run(job, until="Evaluator", progress=silent)
    assert result.blessed is False
    assert "is below 1" in result.reason
    assert result.exit_code == 3


def test_a_run_that_only_trains_anew_is_as_quiet_as_a_whole_one(
    script_runner, tmp_path
):
    """The order of the imports decides whether TensorFlow's messages are held back."""
    folder = write_folder(tmp_path / "photos")
    flags = ["--example-gen.image-folder", str(folder), "--no-tuner",
             "--trainer.epochs", "1", "--evaluator.min-accuracy", "0",
             "--no-evaluator.refuse-trivial"]  # fmt: skip
    jobs = [
        script_runner(tmp_path / "mlruns", *flags),
        script_runner(tmp_path / "mlruns", *flags, "--seed", "1"),
    ]
    for job in jobs:
        assert job.exit_code == 0, job.stderr
        assert job.stderr == ""
        assert not [c for c in job.stdout if ord(c) < 32 and c != "\n"]
        assert "oneDNN" not in job.stdout
    assert "Transform reused" in jobs[1].stdout
