"""The search: reproducible, resumable, and loud when no trial completed."""

import json

import pytest

from dlkeras.pipeline import TrainerConfig, TunerConfig, run
from dlkeras.pipeline.artifacts import Hyperparameters
from dlkeras.pipeline.errors import PipelineError
from dlkeras.pipeline.store import Draft
from dlkeras.pipeline.tuner import tuner


class Observer:
    """Writes down what it is told."""

    def __init__(self, stop_at=None):
        self.events = []
        self.stop_at = stop_at

    def trial_started(self, trial, values):
        self.events.append(("started", trial, values))

    def trial_epoch(self, trial, epoch, logs):
        self.events.append(("epoch", trial, epoch))
        if self.stop_at == trial:
            raise KeyboardInterrupt

    def trial_ended(self, trial, status, score):
        self.events.append(("ended", trial, status))


@pytest.fixture
def search(prepared, tmp_path):
    def start(output="out", observer=None, **changes):
        (tmp_path / output).mkdir(exist_ok=True)
        draft = Draft(tmp_path / output)
        options = {"seed": 0, "work": tmp_path / "work"} | changes
        tuner(
            TunerConfig(max_trials=2, epochs=1), draft, prepared["Examples"],
            prepared["Transform"], trainer=TrainerConfig(batch_size=128, epochs=2),
            observer=observer or Observer(), verbose="0", say=lambda text: None,
            **options,
        )  # fmt: skip
        return draft

    return start


def test_the_best_trial_is_the_completed_one_with_the_lowest_loss(search):
    observer = Observer()
    draft = search(observer=observer)
    trials = json.loads((draft.path / "trials.json").read_text())
    assert [trial["status"] for trial in trials] == ["COMPLETED"] * 2
    best = min(trials, key=lambda trial: trial["score"])
    assert draft.properties["values"] == best["values"]
    assert 5e-4 <= best["values"]["learning_rate"] <= 4e-3
    assert [event[0] for event in observer.events] == ["started", "epoch", "ended"] * 2


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_seed_tries_the_same_values_with_the_same_scores(
    search, tmp_path, seed
):
    one = search("one", seed=seed, work=tmp_path / "a").properties
    two = search("two", seed=seed, work=tmp_path / "b").properties
    assert one == two


def test_an_interrupted_search_goes_on_with_its_trials(search, tmp_path):
    whole = search("whole", work=tmp_path / "whole_work").properties
    with pytest.raises(KeyboardInterrupt):
        search("half", observer=Observer(stop_at="1"))
    observer = Observer()
    rest = search("rest", observer=observer)
    assert [event[1] for event in observer.events] == ["1"] * 3
    assert rest.properties == whole


def test_a_search_in_which_every_trial_fails_is_an_error(
    tiny_config, silent, monkeypatch
):
    import keras

    def broken(self, *args, **kwargs):
        raise RuntimeError("the disk of the trials is on fire")

    monkeypatch.setattr(keras.Model, "fit", broken)
    config = tiny_config.model_copy(
        update={"tuner": TunerConfig(max_trials=2), "name": "failing"}
    )
    with pytest.raises(PipelineError, match=r"2 of 2 failed.*on fire"):
        run(config, progress=silent)
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{config.mlruns / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("failing").experiment_id
    statuses = [r.info.status for r in client.search_runs([experiment])]
    assert statuses == ["FAILED"] * 3
    store = config.mlruns / "store" / Hyperparameters.__name__
    assert not store.exists()
