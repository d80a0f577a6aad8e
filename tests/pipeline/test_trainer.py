"""Training that was interrupted ends with the weights it would have had."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from mlflow import MlflowClient

from dlkeras.pipeline import PipelineConfig, TrainerConfig, TunerConfig, run
from dlkeras.pipeline.artifacts.types import Model
from dlkeras.pipeline.store.publishing import Store
from dlkeras.pipeline.training.train_state import TrainState
from tests.conftest import ROOT, SCRIPT

pytestmark = pytest.mark.job

FLAGS = ["--no-tuner", "--trainer.epochs", "6", "--until", "Trainer"]


def start(mlruns, *flags):
    return subprocess.Popen(
        [sys.executable, SCRIPT, "--mlruns", mlruns, *FLAGS, *flags],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_checkpoint(process, mlruns, name="epoch-0002.ckpt"):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if list(mlruns.glob(f"store/work/Model-*/{name}")):
            return
        time.sleep(0.01)
    raise AssertionError(f"no {name}; exit code {process.poll()}")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    mlruns = tmp_path_factory.mktemp("uninterrupted")
    process = start(mlruns)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    (model,) = Store(mlruns / "store").artifacts(Model)
    return model


@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_a_killed_training_resumes_to_bit_identical_weights(
    tmp_path, uninterrupted, name
):
    process = start(tmp_path)
    wait_for_checkpoint(process, tmp_path)
    os.kill(process.pid, getattr(signal, name))
    _, errors = process.communicate(timeout=60)
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("lenet5_digits").experiment_id
    (run_before,) = client.search_runs([experiment])
    if name == "SIGINT":
        assert process.returncode == 130, errors
        assert "interrupted" in errors
        assert "Traceback" not in errors
        assert run_before.info.status == "KILLED"
    assert list(tmp_path.glob("store/work/Model-*/epoch-*.ckpt"))

    process = start(tmp_path)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "resuming after epoch" in output
    (model,) = Store(tmp_path / "store").artifacts(Model)
    for ours, theirs in zip(
        model.network().get_weights(), uninterrupted.network().get_weights(),
        strict=True,
    ):  # fmt: skip
        assert np.array_equal(ours, theirs)
    assert model.history == uninterrupted.history
    assert model.record.digest == uninterrupted.record.digest
    # So are the measurements, and the figures of the epochs before the kill.
    assert model.read_json("findings.json") == uninterrupted.read_json("findings.json")
    ours, theirs = (np.load(m.path / "gradients.npz") for m in (model, uninterrupted))
    assert ours["steps"].tolist() == list(range(1, 37 * 6 + 1, 10))
    for name in theirs.files:
        assert np.array_equal(ours[name], theirs[name])
    files = model.record.files
    assert {f for f in files if "epoch-" in f} == {
        f"figures/epoch-{epoch:04d}/{name}.png"
        for epoch in (1, 2, 4)
        for name in ("gradient_flow", "gradient_map", "update_ratios", "activations")
    }
    # The same MLflow run goes on, each epoch in it once.
    (run_after,) = client.search_runs([experiment])
    assert run_after.info.run_id == run_before.info.run_id
    assert run_after.info.status == "FINISHED"
    for metric in ("validation/loss", "gradient_norm/C1"):
        points = client.get_metric_history(run_after.info.run_id, metric)
        assert [point.step for point in points] == [1, 2, 3, 4, 5, 6]
    images = client.list_artifacts(run_after.info.run_id, "images")
    flows = [re.split("[%+]", image.path) for image in images]
    flows = [f for f in flows if "gradient_flow" in f[0] and f[-1].endswith(".png")]
    # The first epoch's picture is at step 0, too, where a chart opens.
    assert sorted(int(flow[2]) for flow in flows) == [0, 1, 2, 4, 6]


@pytest.fixture
def trained(tmp_path):
    """A small compiled model, trained for three epochs with checkpoints."""
    import keras

    def build():
        keras.utils.set_random_seed(3)
        model = keras.Sequential(
            [keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
        )
        model.compile("adam", "mse")
        return model

    x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    model, state = build(), TrainState(tmp_path, keep=2)
    model.fit(x, x[:, :1], epochs=3, verbose=0, callbacks=[state], shuffle=False)
    return build, model, tmp_path


def variables(model):
    return [np.asarray(v) for v in [*model.variables, *model.optimizer.variables]]


def test_a_checkpoint_holds_weights_optimizer_and_seed_generators(trained):
    build, model, folder = trained
    other = build()
    state = TrainState(folder)
    assert state.load(other)
    assert state.epoch == 3
    assert len(state.history) == 3
    assert any("seed_generator" in v.path for v in other.variables)
    for one, two in zip(variables(model), variables(other), strict=True):
        assert np.array_equal(one, two)


@pytest.mark.parametrize("damage", ["cut", "flip a bit", "empty"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(trained, damage):
    build, _, folder = trained
    last = folder / "epoch-0003.ckpt"
    data = bytearray(last.read_bytes())
    if damage == "flip a bit":
        data[len(data) // 2] ^= 1
    last.write_bytes({"cut": data[:-7], "flip a bit": data, "empty": b""}[damage])
    state = TrainState(folder)
    assert state.load(build())
    assert state.epoch == 2


def test_only_the_last_checkpoints_are_kept(trained):
    assert sorted(f.name for f in trained[2].iterdir()) == [
        "epoch-0002.ckpt",
        "epoch-0003.ckpt",
    ]


def test_early_stopping_keeps_the_weights_of_the_best_epoch(tmp_path, silent):
    config = PipelineConfig(
        mlruns=tmp_path,
        tuner=TunerConfig(enabled=False),
        trainer=TrainerConfig(
            epochs=30,
            learning_rate=0.02,
            learning_rate_schedule="constant",
            monitor=False,
            early_stopping_patience=1,
        ),
    )
    model = run(config, until="Trainer", progress=silent).artifacts["Model"]
    losses = [epoch["val_loss"] for epoch in model.history]
    assert len(losses) < 30
    assert losses[-1] > min(losses)
    assert model.properties["best_epoch"] == losses.index(min(losses)) + 1
    assert model.properties["val_loss"] == min(losses)
    json.dumps(model.record.model_dump(mode="json"))


def test_an_unknown_architecture_is_named_before_any_trial(tiny_config, silent):
    from dlkeras.pipeline.store.errors import InputError

    config = tiny_config.model_copy(
        update={
            "trainer": TrainerConfig(architecture="lenet"),
            "tuner": TunerConfig(max_trials=1),
        }
    )
    with pytest.raises(InputError, match=r"--trainer\.architecture.*lenet5"):
        run(config, progress=silent)


def test_monitors_leave_the_weights_bit_identical(uninterrupted, tmp_path, silent):
    config = PipelineConfig(
        name="lenet5_digits",
        mlruns=tmp_path,
        tuner=TunerConfig(enabled=False),
        trainer=TrainerConfig(epochs=6, monitor=False),
    )
    model = run(config, until="Trainer", progress=silent).artifacts["Model"]
    assert "gradient_norm/C1" not in model.history[0]
    assert not (model.path / "gradients.npz").exists()
    assert model.record.digest == uninterrupted.record.digest


def test_a_finding_ends_the_run_when_asked(tmp_path, silent):
    from dlkeras.pipeline.store.errors import PipelineError

    config = PipelineConfig(
        mlruns=tmp_path,
        tuner=TunerConfig(enabled=False),
        trainer=TrainerConfig(epochs=8, learning_rate=3.0, on_finding="stop"),
    )
    expected = r"--trainer\.on-finding stop: expected a healthy training; error: \w+"
    with pytest.raises(PipelineError, match=expected):
        run(config, until="Trainer", progress=silent)
