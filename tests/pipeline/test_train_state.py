"""A training killed with SIGKILL at its writes ends with the bits it would have had."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SCRIPT = Path(__file__).with_name("killable_training.py")


def train(folder, fault=None):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("DLKERAS_FAULT", None)
    if fault:
        environment["DLKERAS_FAULT"] = fault
    return subprocess.run(
        [sys.executable, SCRIPT, folder],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    done = train(tmp_path_factory.mktemp("whole"))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_training_has_all_that_a_checkpoint_must_hold(whole):
    assert whole["loss_scaled"] == "LossScaleOptimizer"
    rates = [epoch["learning_rate"] for epoch in whole["history"]]
    assert rates[-1] < rates[0]  # ReduceLROnPlateau had a say
    assert whole["best_epoch"] + 1 < len(whole["history"])  # and so had EarlyStopping
    assert any(name.startswith("gradients/") for name in whole["measured"])
    assert any(name.startswith("activations/") for name in whole["measured"])
    assert any(name.startswith("gradient_norm/") for name in whole["history"][-1])


@pytest.mark.job
def test_killed_again_and_again_it_ends_with_the_same_bits_and_measurements(
    tmp_path, whole
):
    """Weights, history and measurements; boundary 18 is within a fifth checkpoint."""
    within_an_epoch = 0
    for kills in range(20):
        fault = "kill:18" if kills < 19 else None
        done = train(tmp_path, fault)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        newest = sorted(file.name for file in tmp_path.glob("epoch-*.ckpt"))[-1]
        within_an_epoch += "step" in newest
    answer = json.loads(done.stdout)
    assert kills >= 2
    assert within_an_epoch
    assert answer["resumed"]
    # As text: a norm that overflowed under the loss scale is no number.
    assert json.dumps(answer["history"]) == json.dumps(whole["history"])
    assert answer["digest"] == whole["digest"]
    assert answer["measured"] == whole["measured"]
    assert answer["findings"] == whole["findings"]
    left = {path.name for path in tmp_path.glob("[!.]*")}
    last = f"epoch-{len(whole['history']):04d}"
    # Two generations are kept, and the figures that were drawn.
    assert left == {f"{last}-step-00000006.ckpt", f"{last}.ckpt", "figures"}


def test_a_checkpoint_of_other_machines_own_files_is_refused_and_one_of_as_many_taken(
    tmp_path,
):
    import keras
    import numpy as np

    from dlkeras.pipeline.store.errors import InputError
    from dlkeras.pipeline.training.train_state import TrainState

    def trained(parts, epochs):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        state = TrainState(tmp_path, steps=1, parts=parts)
        resumed = state.load(model)
        model.fit(
            np.ones((4, 2)), np.ones(4), batch_size=4, verbose=0,
            initial_epoch=state.epoch, epochs=epochs, callbacks=state.callbacks,
        )  # fmt: skip
        return resumed

    assert not trained(2, 1)
    assert trained(2, 2)
    for parts in (1, 3):
        with pytest.raises(InputError, match=rf"the 2 machines .* received {parts}"):
            trained(parts, 3)
