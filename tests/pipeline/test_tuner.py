"""The search: reproducible, resumable, and loud when no trial completed."""

import errno
import json
import os

import pytest

from dlkeras.diagnosis.checks import of_batches
from dlkeras.pipeline import TrainerConfig, TunerConfig, run
from dlkeras.pipeline.artifacts.types import Hyperparameters
from dlkeras.pipeline.components.tuner import SEARCH_COPY, tuner
from dlkeras.pipeline.store.errors import InputError, PipelineError, cause_of
from dlkeras.pipeline.store.publishing import Draft
from dlkeras.pipeline.training.search_recovery import _files, recover_search
from dlkeras.pipeline.training.search_spaces import Choice, Range, search_space
from dlkeras.pipeline.training.trials import PROJECT, check_trial

pytestmark = pytest.mark.job


class Observer:
    """Writes down what it is told."""

    def __init__(self, stop_at=None):
        self.events = []
        self.messages = []
        self.stop_at = stop_at

    def trial_started(self, trial, values):
        self.events.append(("started", trial, values))

    def trial_epoch(self, trial, epoch, logs):
        self.events.append(("epoch", trial, epoch))
        if self.stop_at == trial:
            raise KeyboardInterrupt

    def trial_ended(self, trial, status, score, message=None):
        self.events.append(("ended", trial, status))
        self.messages.append(message)


def searcher(prepared, folder):
    """A function that searches below a folder."""

    def start(output="out", observer=None, **changes):
        (folder / output).mkdir(exist_ok=True)
        draft = Draft(folder / output)
        options = {"seed": 0, "work": folder / "work"} | changes
        options["work"].mkdir(exist_ok=True)
        config = {"max_trials": 2, "epochs": 1} | options.pop("tuner", {})
        tuner(
            TunerConfig(**config), draft, prepared["Examples"],
            prepared["Transform"], trainer=TrainerConfig(batch_size=128, epochs=2),
            observer=observer or Observer(), verbose="0", say=lambda text: None,
            **options,
        )  # fmt: skip
        return draft

    return start


@pytest.fixture
def search(prepared, tmp_path):
    return searcher(prepared, tmp_path)


@pytest.fixture(scope="module")
def whole(prepared, tmp_path_factory):
    """What a search of two trials finds that nothing interrupts."""
    return searcher(prepared, tmp_path_factory.mktemp("whole"))().properties


def test_the_best_trial_is_the_completed_one_with_the_lowest_loss(search):
    observer = Observer()
    draft = search(observer=observer)
    trials = json.loads((draft.path / "trials.json").read_text())
    assert [trial["status"] for trial in trials] == ["COMPLETED"] * 2
    best = min(trials, key=lambda trial: trial["score"])
    assert draft.properties["values"] == best["values"]
    assert 5e-4 <= best["values"]["learning_rate"] <= 4e-3
    assert [event[0] for event in observer.events] == ["started", "epoch", "ended"] * 2


def test_the_same_seed_tries_the_same_values_with_the_same_scores(
    search, whole, tmp_path
):
    assert search().properties == whole
    other = search("other", seed=1, work=tmp_path / "b").properties
    assert other["values"] != whole["values"]


def test_a_search_that_would_freeze_a_whole_network_does_not_begin(search):
    observer = Observer()
    space = {"frozen_layers": "4,5"}  # LeNet-5 has 5 layers with weights
    with pytest.raises(InputError, match=r"space frozen_layers: .* at most 4"):
        search(observer=observer, tuner={"space": space})
    assert observer.events == []


def test_an_interrupted_search_goes_on_with_its_trials(search, whole):
    with pytest.raises(KeyboardInterrupt):
        search("half", observer=Observer(stop_at="1"))
    observer = Observer()
    rest = search("rest", observer=observer)
    assert [event[1] for event in observer.events] == ["1"] * 3
    assert rest.properties == whole


def test_a_flip_in_a_file_of_an_interrupted_search_changes_nothing(
    search, whole, tmp_path
):
    with pytest.raises(KeyboardInterrupt):
        search("half", observer=Observer(stop_at="1"))
    project, copy = tmp_path / "work" / PROJECT, tmp_path / "work" / SEARCH_COPY
    kept = {f: f.read_bytes() for f in (*_files(project), copy)}
    for file, data in kept.items():
        for byte in (0, len(data) // 2, len(data) - 1):
            flip = bytes([data[byte] ^ 1])
            file.write_bytes(data[:byte] + flip + data[byte + 1 :])
            said = []
            recover_search(project, copy, said.append)
            assert len(said) == (file != copy), (file.name, byte)
            copy.write_bytes(kept[copy])
            assert {f: f.read_bytes() for f in kept} == kept
    trial = project / "trial_0" / "trial.json"
    trial.write_text(trial.read_text().replace('"score": ', '"score": -'))
    assert search("rest").properties == whole


def test_weights_that_a_hyperband_trial_would_begin_with_are_checked(search, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        search(
            "half",
            observer=Observer(stop_at="1"),
            tuner={"algorithm": "hyperband", "epochs": 2},
        )
    project, copy = tmp_path / "work" / PROJECT, tmp_path / "work" / SEARCH_COPY
    weights = project / "trial_0" / "checkpoint.weights.h5"
    data = weights.read_bytes()
    weights.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    said = []
    recover_search(project, copy, said.append)
    assert said == [f"the search starts afresh: {weights} was damaged"]
    assert not project.exists()


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
    runs = client.search_runs([experiment])
    assert [r.info.status for r in runs] == ["FAILED"] * 3
    causes = [r.data.tags.get("dlkeras.cause") for r in runs]
    assert causes.count("RuntimeError: the disk of the trials is on fire") == 2
    store = config.mlruns / "store" / Hyperparameters.__name__
    assert not store.exists()


def test_a_trial_that_cannot_learn_ends_before_its_first_step_with_its_cause(search):
    """No learning rate of this space can be taken: Adam is used with at most 0.03."""
    observer = Observer()
    space = {"learning_rate": "1e30:1e31"}
    with pytest.raises(PipelineError, match="rate is larger than") as told:
        search(observer=observer, tuner={"space": space})
    assert "FailedTrialError" not in str(told.value)
    ended = [event for event in observer.events if event[0] != "started"]
    assert ended == [("ended", "0", "FAILED"), ("ended", "1", "FAILED")]
    assert "usual 1e-05 to 0.03" in cause_of(observer.messages[0])


def linear_scores(activation=None):
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation)])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def test_a_trial_of_a_network_that_cannot_learn_does_not_begin():
    import numpy as np
    from keras_tuner.errors import FailedTrialError

    x, y = np.random.default_rng(0).normal(size=(32, 4)), np.arange(32) % 3
    data = of_batches([(x, y)])
    check_trial(linear_scores("softmax"), data, [{"loss": 1.0}])
    with pytest.raises(FailedTrialError, match="SparseCategoricalCrossentropy"):
        check_trial(linear_scores(), data, [])
    with pytest.raises(FailedTrialError, match="smaller learning rate"):
        check_trial(linear_scores("softmax"), data, [{"loss": float("inf")}])


@pytest.mark.parametrize(
    ("space", "name", "dimension"),
    [
        ({"dropout": "0:0.5"}, "dropout", Range(0, 0.5)),
        ({"learning_rate": "1e-4:1e-2"}, "learning_rate", Range(1e-4, 1e-2, True)),
        ({"frozen_layers": "0:2"}, "frozen_layers", Range(0, 2, whole=True)),
        ({"activation": "relu,tanh"}, "activation", Choice(("relu", "tanh"))),
        ({"batch-size": "off"}, None, None),
        ({"dropout": "0:2"}, None, None),
        ({"dropout": "0.5:0.1"}, None, None),
        ({"learning_rate_schedule": "cosine,cosin"}, None, None),
        ({"learning_rate_schedule": "?"}, None, None),
        ({"learning_rate": "off"}, None, None),
    ],
)
def test_a_space_is_declared_by_the_architecture_or_read_from_the_command_line(
    space, name, dimension
):
    config = TunerConfig(space=space)
    if name is None:
        with pytest.raises(InputError, match=r"--tuner\.space: expected"):
            search_space("lenet5", config)
    else:
        assert search_space("lenet5", config) == {name: dimension}


def test_flags_add_to_the_space_and_take_from_it():
    from dlkeras.pipeline import PipelineConfig
    from dlkeras.pipeline.commands.command_line import parse

    flags = [
        "--tuner.space",
        "dropout=0:0.3",
        "--tuner.space",
        "augmentation_strength=off",
    ]
    config, _ = parse(PipelineConfig(), flags)
    assert list(search_space("lenet5", config.tuner)) == ["dropout", "learning_rate"]


def test_every_architecture_can_be_built_at_the_ends_of_its_declared_space():
    from dlkeras.architectures import create
    from dlkeras.pipeline.training.network import architecture_options
    from dlkeras.pipeline.training.search_spaces import chosen, declared

    for name, size in (("lenet5", 32), ("resnet20", 16)):
        known = declared(name, TunerConfig())
        for end in (0, -1):
            values = {
                key: d.values[end] if isinstance(d, Choice) else (d.low, d.high)[end]
                for key, d in known.items()
                if key != "frozen_layers"
            }
            config = chosen(TrainerConfig(architecture=name), values)
            create(
                config.architecture,
                input_shape=(size, size, 1),
                num_classes=3,
                **architecture_options(config),
            )


@pytest.mark.parametrize("algorithm", ["bayesian", "hyperband"])
def test_every_algorithm_searches_the_same_space(search, algorithm):
    space = {"learning_rate": "on", "augmentation_strength": "off",
             "optimizer": "adam,sgd", "dropout": "0:0.3"}  # fmt: skip
    observer = Observer()
    draft = search(
        observer=observer, tuner={"algorithm": algorithm, "space": space, "epochs": 2}
    )
    assert set(draft.properties["values"]) == {"learning_rate", "optimizer", "dropout"}
    assert draft.properties["completed"] == 2
    assert [e[0] for e in observer.events if e[0] != "epoch"] == [
        "started",
        "ended",
    ] * 2


def test_a_failing_trial_is_recorded_with_its_traceback_and_ends_itself_alone(
    search, monkeypatch
):
    import keras

    fit, calls = keras.Model.fit, []

    def sometimes(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("only the first")
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(keras.Model, "fit", sometimes)
    observer = Observer()
    draft = search(observer=observer)
    trials = json.loads((draft.path / "trials.json").read_text())
    assert [trial["status"] for trial in trials] == ["FAILED", "COMPLETED"]
    assert "only the first" in trials[0]["message"]
    assert "Traceback" in observer.messages[0]
    assert draft.properties["values"] == trials[1]["values"]


def test_a_full_disk_ends_the_search_and_not_a_trial(search, whole):
    """The next try goes on with the same trial, and finds what it would have found."""

    class FullDisk(Observer):
        def trial_epoch(self, trial, epoch, logs):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "mlflow.db")

    observer = FullDisk()
    with pytest.raises(OSError, match="No space left on device"):
        search("full", observer=observer)
    assert [event[0] for event in observer.events] == ["started"]
    assert search("rest").properties == whole


def test_a_trial_ends_early_where_its_loss_no_longer_falls(search):
    observer = Observer()
    search(
        observer=observer,
        tuner={"max_trials": 1, "epochs": 8, "patience": 1,
               "space": {"learning_rate": "0.9:0.9", "augmentation_strength": "off"}},
    )  # fmt: skip
    assert 1 < sum(event[0] == "epoch" for event in observer.events) < 8


def test_a_trial_is_not_trained_again_for_the_same_hyperparameters(
    search, tmp_path, monkeypatch
):
    import keras

    cache = tmp_path / "cache"
    first = search("one", work=tmp_path / "a", cache=cache).properties
    monkeypatch.setattr(keras.Model, "fit", None)
    observer = Observer()
    second = search("two", work=tmp_path / "b", cache=cache, observer=observer)
    assert second.properties == first
    assert [event[0] for event in observer.events] == ["started", "epoch", "ended"] * 2


def test_two_workers_find_what_one_process_finds_though_one_is_killed(search, tmp_path):
    """The trials' scores do not depend on who runs them; a killed one is resumed."""
    import os
    import signal
    import threading
    import time

    import psutil

    alone = search("alone", work=tmp_path / "a", tuner={"max_trials": 3})
    killed = []

    def kill_a_worker():
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and not killed:
            for child in psutil.Process().children():
                words = child.cmdline()
                logs = list((tmp_path / "b").glob("epochs-*.jsonl"))
                if any("search_workers" in word for word in words) and logs:
                    os.kill(child.pid, signal.SIGKILL)
                    killed.append(child.pid)
                    return
            time.sleep(0.05)

    killer = threading.Thread(target=kill_a_worker)
    killer.start()
    observer = Observer()
    together = search(
        "together", work=tmp_path / "b", observer=observer,
        tuner={"max_trials": 3, "workers": 2, "deadline": 300.0},
    )  # fmt: skip
    killer.join()
    assert killed
    assert together.properties == alone.properties
    ended = [event for event in observer.events if event[0] == "ended"]
    assert sorted(ended) == [("ended", str(i), "COMPLETED") for i in range(3)]


def test_workers_that_give_no_sign_are_an_error_and_not_a_wait(search):
    with pytest.raises(PipelineError, match=r"within 0\.5 s \(--tuner\.deadline\)"):
        search(tuner={"workers": 1, "deadline": 0.5})
