"""MLflow's paths follow the folder of the runs, and only where it has moved."""

import shutil

import pytest

from dlkeras.pipeline import PipelineConfig, tracking
from dlkeras.pipeline.store.errors import RunInterrupted, TrackingError
from dlkeras.pipeline.store.ownership import heartbeat
from dlkeras.pipeline.tracking.database.connection import connect


@pytest.fixture
def runs(tmp_path):
    """A folder of runs with one experiment, made as a run makes it."""
    folder = tmp_path / "runs"
    place = folder / "artifacts" / "digits"
    place.mkdir(parents=True)
    client = connect(None, folder)
    client.create_experiment("digits", place.resolve().as_uri())
    return folder


def location(folder, name="digits"):
    said = []
    client = connect(None, folder, said.append)
    return client.get_experiment_by_name(name).artifact_location, said


def test_a_copied_folder_has_its_own_paths_and_says_so_once(runs, tmp_path):
    shutil.copytree(runs, tmp_path / "copy")
    expected = (tmp_path / "copy" / "artifacts" / "digits").resolve().as_uri()
    found, said = location(tmp_path / "copy")
    assert found == expected and len(said) == 1 and str(runs) in said[0]
    assert location(tmp_path / "copy") == (expected, [])


def test_an_experiment_that_was_renamed_in_mlflow_moves_like_the_others(runs, tmp_path):
    client = connect(None, runs)
    client.rename_experiment(
        client.get_experiment_by_name("digits").experiment_id, "handwriting"
    )
    runs.rename(tmp_path / "moved")
    found, _ = location(tmp_path / "moved", "handwriting")
    assert found == (tmp_path / "moved" / "artifacts" / "digits").resolve().as_uri()


def test_a_linked_folder_of_artifacts_has_not_moved(runs, tmp_path):
    (tmp_path / "large").mkdir()
    shutil.move(runs / "artifacts", tmp_path / "large" / "artifacts")
    (runs / "artifacts").symlink_to(tmp_path / "large" / "artifacts")
    place = (runs / "artifacts" / "letters").resolve()
    place.mkdir()
    client = connect(None, runs)  # the first experiment's path is still true
    client.create_experiment("letters", place.as_uri())
    assert location(runs, "letters") == (place.as_uri(), [])


def test_with_a_database_elsewhere_a_moved_folder_is_told_which_link_it_needs(tmp_path):
    """Others may use that database: its paths stay."""
    old, new = tmp_path / "old", tmp_path / "new"

    def run(folder):
        uri = f"sqlite:///{tmp_path / 'elsewhere.db'}"
        config = PipelineConfig(name="digits", mlruns=folder, tracking_uri=uri)
        with tracking.track(config) as tracker:
            tracker.log_json("said.json", {"a": 1})
        return list(folder.resolve().rglob("said.json"))

    assert len(run(old)) == 1
    old.rename(new)
    with pytest.raises(TrackingError, match=f"ln -s {new} {old}") as caught:
        run(new)
    assert "\n" not in str(caught.value)
    assert not old.exists()
    old.symlink_to(new)
    assert len(run(new)) == 2


def test_an_interrupted_run_goes_on_where_the_folder_has_been_moved_to(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    with (
        pytest.raises(RunInterrupted),
        tracking.track(PipelineConfig(name="digits", mlruns=old)) as tracker,
    ):
        raise KeyboardInterrupt
    old.rename(new)
    with tracking.track(PipelineConfig(name="digits", mlruns=new)) as again:
        assert again.run_id == tracker.run_id
    run = connect(None, new).get_run(tracker.run_id)
    assert run.info.artifact_uri.startswith(new.as_uri())
    assert run.info.status == "FINISHED"


def test_a_folder_that_a_live_run_knows_by_another_path_is_refused(runs, tmp_path):
    """As a machine sees it that mounts it elsewhere; who only reads changes nothing."""
    there = tmp_path / "there"
    shutil.copytree(runs, there)
    locks = there / "store" / "locks"
    locks.mkdir(parents=True)
    with heartbeat(locks / "run-a.lock", "run a"):
        client = connect(None, there, make=False)
        place = client.get_experiment_by_name("digits").artifact_location
        assert place.startswith(runs.as_uri())
        with pytest.raises(TrackingError, match=f"run a.* calls it {runs}; give the"):
            connect(None, there)
    assert location(there)[0].startswith(there.as_uri())
