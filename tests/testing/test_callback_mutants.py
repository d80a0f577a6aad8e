"""`check_callback` passes healthy callbacks and names what broken ones do."""

import re

import keras
import numpy as np
import pytest

from dlkeras.testing import check_callback

Callback = keras.callbacks.Callback


class Counts(Callback):
    """The healthy callback: it logs the number of batches of the epoch."""

    def __init__(self, name="batches", ignore=()):
        super().__init__()
        self.name = name
        self.ignore = list(ignore)
        self.batches = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.batches = 0

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs[self.name] = float(self.batches)


class ChangesItsArgument(Counts):
    def __init__(self, ignore):
        super().__init__()
        ignore.append("more")


class FailsInPredict(Counts):
    def on_predict_begin(self, logs=None):
        raise RuntimeError("no training here")


class NeedsValidation(Counts):
    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if logs is not None:
            logs["gap"] = logs["val_loss"] - logs["loss"]


class NeedsLogs(Counts):
    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        logs["loss"]


class NeedsTheLength(Counts):
    def on_train_begin(self, logs=None):
        range(self.params["steps"])


class ChangesTheWeights(Counts):
    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        kernel = self.model.layers[0].kernel
        kernel.assign(kernel * 1.01)


class LogsText(Counts):
    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if logs is not None:
            logs["verdict"] = "fine"


class RemovesTheLoss(Counts):
    def on_epoch_end(self, epoch, logs=None):
        (logs or {}).pop("loss", None)


class RewritesTheLoss(Counts):
    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["loss"] = 0.0


class LogsNowAndThen(Counts):
    def on_epoch_end(self, epoch, logs=None):
        if epoch % 2:
            super().on_epoch_end(epoch, logs)


class KeepsItsCount(Counts):
    def on_epoch_begin(self, epoch, logs=None):
        pass


class LeavesAnAttribute(Counts):
    def on_train_begin(self, logs=None):
        self.model.watched_by = self


class LeavesAWrapper(Counts):
    def on_train_begin(self, logs=None):
        layer = self.model.layers[0]
        original = layer.call
        layer.call = lambda *args, **kwargs: original(*args, **kwargs)


MUTANTS = {
    ChangesItsArgument: r"arguments: the callback changes its argument `ignore`",
    FailsInPredict: r"fit: raised RuntimeError: no training here",
    NeedsValidation: r"no_validation: raised KeyError: 'val_loss'",
    NeedsLogs: r"no_logs: on_train_batch_end\(\) fails without logs",
    NeedsTheLength: r"unknown_length: raised TypeError",
    ChangesTheWeights: r"training: .*ends with another `.*kernel`",
    LogsText: r"logs: on_epoch_end adds 'verdict' to the logs, which is no number",
    RemovesTheLoss: r"logs: on_epoch_end removes \['loss'\]",
    RewritesTheLoss: r"logs: on_epoch_end changes \['loss'\]",
    LogsNowAndThen: r"logs: \['batches'\] are in the logs of some epochs only",
    KeepsItsCount: r"reuse: in a second fit the callback gives batches=.*keeps a state",
    LeavesAnAttribute: r"restore: after fit .*\['watched_by'\] are left on",
    LeavesAWrapper: r"restore: after fit .*'call'\].* the layer 'hidden'",
}


def test_a_healthy_callback_passes_every_check():
    passed = check_callback(Counts, {"name": "steps", "ignore": ["x"]})
    assert len(passed) == (9 if keras.backend.backend() == "torch" else 10)


def test_kerass_own_callbacks_pass(tmp_path):
    logger = {"filename": str(tmp_path / "log.csv")}
    passed = check_callback(keras.callbacks.CSVLogger, logger)
    assert {"fit", "training", "logs", "reuse", "restore"} <= set(passed)


def test_a_schedule_passes_when_it_says_that_it_changes_training():
    schedule = {"schedule": lambda epoch, rate: 0.5 * rate}
    with pytest.raises(AssertionError, match=r"- training: .*changes_training=True"):
        check_callback(
            keras.callbacks.LearningRateScheduler, schedule, only=["training"]
        )
    passed = check_callback(
        keras.callbacks.LearningRateScheduler,
        schedule,
        changes_training=True,
        only=["training", "no_logs"],
    )
    assert "training" not in passed


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_mutant_is_caught_by_name(mutant):
    init = {"ignore": ["a"]} if mutant is ChangesItsArgument else {}
    with pytest.raises(AssertionError) as caught:
        check_callback(mutant, init, only=[MUTANTS[mutant].split(":")[0]])
    message = str(caught.value)
    assert re.search(rf"^- {MUTANTS[mutant]}", message, re.MULTILINE), message
    assert np.all([line.startswith("- ") for line in message.splitlines()[1:]])
