"""TrainState: everything that training needs to go on as if it had not stopped.

One file holds the model's and the optimizer's variables (weights, moments, iterations,
the state of seed generators), the callbacks' counters and best weights, the history and
the number of the epoch. It is written whole or not at all, its SHA-256 stands in it,
and the generation before it is kept.
"""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from dlkeras.pipeline.store import write_atomically
from dlkeras.pipeline.tensorflow_import import keras

_MAGIC = b"dlkeras train state 1\n"
_DIGEST_LENGTH = 64
_MEASURED = "measured_"


class TrainState(keras.callbacks.Callback):
    """Write a checkpoint at the end of every epoch, and resume from the last good one.

    Hand it to `fit` as the last callback: callbacks forget their counters when training
    begins, and this one gives them back.

    Args:
        folder: where the checkpoints are, `epoch-0001.ckpt` and so on.
        keep: how many of the latest are kept.
        early_stopping: the `EarlyStopping` whose state belongs to the training's.
        monitoring: what measures the training; `get_state` and `set_state` give and
            take its measurements, a dictionary of arrays, and `epoch_metrics(epoch)`
            is what the history gets of them.

    Attributes:
        epoch: number of epochs that are done.
        history: the logs of each of them.
    """

    def __init__(
        self,
        folder: Path,
        keep: int = 2,
        early_stopping: Any = None,
        monitoring: Any = None,
    ):
        super().__init__()
        self.folder = folder
        self.keep = max(keep, 2)
        self.early_stopping = early_stopping
        self.monitoring = monitoring
        self.epoch = 0
        self.history: list[dict[str, float]] = []
        self._state: dict[str, Any] = {}
        self._arrays: dict[str, np.ndarray] = {}

    def load(self, model: Any) -> bool:
        """Put the last good checkpoint, if there is one, into a compiled model.

        Returns:
            Whether there was one. A checkpoint that was cut short or altered is passed
            over for the one before it.
        """
        for path in sorted(self.folder.glob("epoch-*.ckpt"), reverse=True):
            loaded = _read(path)
            if loaded is None:
                continue
            self._state, self._arrays = loaded
            model.optimizer.build(model.trainable_variables)
            for index, variable in enumerate(_variables(model)):
                variable.assign(self._arrays[f"variable_{index}"])
            self.epoch = self._state["epoch"]
            self.history = self._state["history"]
            if self.monitoring:
                self.monitoring.set_state(
                    {
                        name.removeprefix(_MEASURED): array
                        for name, array in self._arrays.items()
                        if name.startswith(_MEASURED)
                    }
                )
            return True
        return False

    @property
    def stopped(self) -> bool:
        """Whether the training that was loaded had been stopped early."""
        return self._state.get("stopped", False)

    @property
    def best_weights(self) -> list[np.ndarray]:
        """The weights of the best epoch so far, as they were loaded."""
        best = [key for key in self._arrays if key.startswith("best_")]
        return [self._arrays[f"best_{index}"] for index in range(len(best))]

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Give early stopping the counters and the best weights that it had."""
        del logs
        stopping = self.early_stopping
        if stopping is None or not self._state:
            return
        for name, value in self._state["early_stopping"].items():
            setattr(stopping, name, value)
        stopping.best_weights = self.best_weights or None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the checkpoint of this epoch, and remove those no longer kept."""
        self.epoch = epoch + 1
        measured = self.monitoring.epoch_metrics(epoch) if self.monitoring else {}
        metrics = {**(logs or {}), **measured}
        self.history.append({name: float(value) for name, value in metrics.items()})
        state: dict[str, Any] = {
            "epoch": self.epoch,
            "history": self.history,
            "stopped": self.model.stop_training,
        }
        arrays = {
            f"variable_{index}": np.asarray(variable)
            for index, variable in enumerate(_variables(self.model))
        }
        stopping = self.early_stopping
        if stopping is not None:
            state["early_stopping"] = {
                "wait": int(stopping.wait),
                "stopped_epoch": int(stopping.stopped_epoch),
                "best_epoch": int(stopping.best_epoch),
                "best": None if stopping.best is None else float(stopping.best),
            }
            for index, weights in enumerate(stopping.best_weights or []):
                arrays[f"best_{index}"] = np.asarray(weights)
        if self.monitoring:
            for name, array in self.monitoring.get_state().items():
                arrays[_MEASURED + name] = array
        path = self.folder / f"epoch-{self.epoch:04d}.ckpt"
        write_atomically(path, _encode(state, arrays))
        for old in sorted(self.folder.glob("epoch-*.ckpt"))[: -self.keep]:
            old.unlink()


def _variables(model: Any) -> list:
    """All that training changes, in a fixed order; metrics begin anew each epoch."""
    return [*model.variables, *model.optimizer.variables]


def _encode(state: dict[str, Any], arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(state).encode(), dtype="uint8")
    np.savez(buffer, state=text, **arrays)  # pyright: ignore[reportArgumentType]
    body = buffer.getvalue()
    return _MAGIC + hashlib.sha256(body).hexdigest().encode() + body


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    data = path.read_bytes()
    start = len(_MAGIC) + _DIGEST_LENGTH
    digest, body = data[len(_MAGIC) : start], data[start:]
    if not data.startswith(_MAGIC) or hashlib.sha256(body).hexdigest() != digest.decode(
        errors="replace"
    ):
        return None
    with np.load(io.BytesIO(body), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return json.loads(arrays.pop("state").tobytes()), arrays
