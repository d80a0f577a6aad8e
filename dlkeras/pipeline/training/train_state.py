"""TrainState: everything that training needs to go on as if it had not stopped.

One file holds the model's and the optimizer's variables (weights, moments, iterations,
loss scale, the state of seed generators), the metrics of an epoch that is not over, the
callbacks' counters and best weights, the history, and the position in the data: the
number of epochs and of steps that are done. It is written whole or not at all, its
SHA-256 is in it, and the generation before it is kept.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import write_atomically
from dlkeras.pipeline.tensorflow_import import keras

_MAGIC = b"dlkeras train state 4\n"
_DIGEST_LENGTH = 64
_CHECKPOINTS = "epoch-*.ckpt"
_MEASURED = "measured_"


class TrainState(keras.callbacks.Callback):
    """Write a checkpoint at the end of every epoch, and resume from the last good one.

    Hand `state.callbacks` to `fit`: they are the given ones in the right order, since
    callbacks forget their counters when training begins and this one, the last, gives
    them back. A callback's state is its public attributes that are JSON, and its lists
    of arrays.

    Args:
        folder: where the checkpoints are: `epoch-0002.ckpt` of the second epoch's end,
            `epoch-0002-step-00000010.ckpt` of its tenth step.
        keep: how many of the latest are kept, at least 2.
        callbacks: those whose state belongs to the training's, as in
            `[EarlyStopping(...), ReduceLROnPlateau(...)]`.
        save_freq: write a checkpoint every so many steps within an epoch, too.
        steps: number of steps of an epoch, needed to resume within one.
        monitoring: what measures the training; `get_state` and `set_state` give and
            take its measurements, a dictionary of arrays, and `epoch_metrics(epoch)`
            is what the history gets of them.
        writes: whether this process writes the checkpoints; of several that train
            together, one does.
        parts: of how many machines the batches are, where their number decides them.

    Attributes:
        epoch: number of epochs that are done.
        step: number of steps of the next epoch that are done.
        history: the logs of each epoch.

    Example:
    ```python
    state = TrainState(folder, callbacks=[EarlyStopping(patience=3)], steps=100)
    state.load(model)
    model.fit(
        batches_from(state.epoch, state.step),
        steps_per_epoch=100,
        initial_epoch=state.epoch,
        epochs=20,
        callbacks=state.callbacks,
    )
    ```
    """

    def __init__(
        self,
        folder: Path,
        keep: int = 2,
        callbacks: Sequence[Any] = (),
        *,
        save_freq: int | None = None,
        steps: int | None = None,
        monitoring: Any = None,
        writes: bool = True,
        parts: int = 1,
    ):
        super().__init__()
        self.folder = folder
        self.writes = writes
        self.parts = parts
        self.keep = max(keep, 2)
        self.callbacks = [_CutEpoch(self), *callbacks, self]
        self.save_freq = save_freq
        self.steps = steps
        self.monitoring = monitoring
        self.epoch = 0
        self.step = 0
        self.history: list[dict[str, float]] = []
        self.cut = False
        self._owners = list(callbacks)
        self._skipped = 0  # steps of the running epoch that an earlier training did
        self._state: dict[str, Any] = {}
        self._arrays: dict[str, np.ndarray] = {}

    def load(self, model: Any, sample: tuple[Any, Any] | None = None) -> bool:
        """Put the last good checkpoint, if there is one, into a compiled model.

        Args:
            model: built and compiled as the one that was saved.
            sample: a batch (inputs, targets) of any content, from which Keras makes the
                metrics; needed to resume within an epoch.

        Returns:
            Whether there was one. A checkpoint that was cut short or altered is passed
            over for the one before it.

        Raises:
            InputError: it is of another number of machines, and so of other batches.
        """
        for path in _newest_first(self.folder):
            loaded = _read(path)
            if loaded is None or (loaded[0]["step"] and sample is None):
                continue
            self._state, self._arrays = loaded
            if self._state["parts"] != self.parts:
                raise InputError(
                    f"expected the {self._state['parts']} machines of {path}, for by "
                    "--trainer.sharding file their number decides the batches; "
                    f"received {self.parts}: start as many, or --force Trainer"
                )
            model.optimizer.build(model.trainable_variables)
            self.epoch, self.step = self._state["epoch"], self._state["step"]
            if self.step and sample is not None:
                model.test_on_batch(*sample)  # Keras makes the metrics' variables
            for index, variable in enumerate(_variables(model)):
                variable.assign(self._arrays[f"variable_{index}"])
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

    def give_back(self) -> None:
        """Give the callbacks the counters and the best weights that they had."""
        if not self._state:
            return
        for index, callback in enumerate(self._owners):
            state = dict(self._state["callbacks"][index])
            for name, length in self._state["arrays"][index].items():
                kept = [self._arrays[f"{index}_{name}_{i}"] for i in range(length)]
                state[name] = kept
            if hasattr(callback, "set_state"):
                callback.set_state(state)
                continue
            for name, value in state.items():
                setattr(callback, name, value)

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Go on with the callbacks' state, after each has forgotten its own."""
        del logs
        self.give_back()
        self._skipped = self.step

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Go on with the metrics of an epoch that was interrupted."""
        del epoch, logs
        if self._skipped:
            for index, variable in enumerate(self.model.metrics_variables):
                variable.assign(self._arrays[f"metric_{index}"])

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Write a checkpoint where one is due, and end an epoch that was begun before.

        `fit` counts the steps from where it starts: it is told to stop when the epoch's
        last one is done, and to go on with the next epoch.
        """
        del logs
        before, self.step = self.step, self._skipped + batch + 1
        if self.steps is not None and self.step >= self.steps:
            if self._skipped and not self.model.stop_training:
                self.cut = self.model.stop_training = True
            return
        if self.save_freq and self.step // self.save_freq > before // self.save_freq:
            name = f"epoch-{self.epoch + 1:04d}-step-{self.step:08d}.ckpt"
            self._write(self.folder / name)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the checkpoint of this epoch, and remove those no longer kept."""
        self.epoch, self.step, self._skipped = epoch + 1, 0, 0
        measured = self.monitoring.epoch_metrics(epoch) if self.monitoring else {}
        metrics = {**(logs or {}), **measured}
        self.history.append({name: float(value) for name, value in metrics.items()})
        self._write(self.folder / f"epoch-{self.epoch:04d}.ckpt")

    def _write(self, path: Path) -> None:
        synchronise = getattr(self.model, "jax_state_sync", None)
        if synchronise is not None:
            synchronise()  # within an epoch, on JAX, the variables lag behind
        arrays = {
            f"variable_{index}": np.asarray(variable)
            for index, variable in enumerate(_variables(self.model))
        }
        if self.step:
            for index, variable in enumerate(self.model.metrics_variables):
                arrays[f"metric_{index}"] = np.asarray(variable)
        if self.monitoring:
            for name, array in self.monitoring.get_state().items():
                arrays[_MEASURED + name] = np.asarray(array)
        plain, lengths = [], []
        for number, callback in enumerate(self._owners):
            values, lists = _state_of(callback)
            plain.append(values)
            lengths.append({name: len(kept) for name, kept in lists.items()})
            for name, kept in lists.items():
                for index, array in enumerate(kept):
                    arrays[f"{number}_{name}_{index}"] = np.asarray(array)
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "parts": self.parts,
            "history": self.history,
            "stopped": bool(self.model.stop_training) and not self.step,
            "callbacks": plain,
            "arrays": lengths,
        }
        # The lines above may sum over several processes: all of them take part.
        if not self.writes:
            return
        write_atomically(path, _encode(state, arrays))
        for old in _newest_first(self.folder)[self.keep :]:
            old.unlink()


class _CutEpoch(keras.callbacks.Callback):
    """Let training go on after an epoch whose beginning an earlier training did.

    It comes first, before a callback that stops the training in earnest.
    """

    def __init__(self, state: TrainState):
        super().__init__()
        self._train_state = state

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Take back the stop that `TrainState` asked for."""
        del epoch, logs
        if self._train_state.cut:
            self._train_state.cut = self.model.stop_training = False


def _variables(model: Any) -> list:
    """All that training changes but the metrics, in a fixed order."""
    return [*model.variables, *model.optimizer.variables]


def _newest_first(folder: Path) -> list[Path]:
    """The checkpoints by epoch and step; an epoch's end comes after its steps."""

    def position(path: Path) -> tuple[int, float]:
        _, epoch, *step = path.stem.split("-")
        return int(epoch), int(step[1]) if step else np.inf

    return sorted(folder.glob(_CHECKPOINTS), key=position, reverse=True)


def _state_of(callback: Any) -> tuple[dict[str, Any], dict[str, list]]:
    """What is kept of a callback: values that are JSON, and lists of arrays.

    That is what its `get_state` gives, or its public attributes.
    """
    plain, lists = {}, {}
    if hasattr(callback, "get_state"):
        state = callback.get_state()
    else:
        state = {n: v for n, v in vars(callback).items() if n[0] != "_"}
        state.pop("params", None)
    for name, value in state.items():
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, list) and any(isinstance(v, np.ndarray) for v in value):
            lists[name] = value
        elif _is_json(value):
            plain[name] = value
    return plain, lists


def not_kept(callback: Any) -> list[str]:
    """Names of a callback's attributes that no checkpoint holds.

    A resumed training starts them over. Of Keras's own callbacks there are
    none that matter; of others, all that `get_state` does not give, or where there is
    no such method, what is private or neither JSON nor a list of arrays.

    >>> class Seen(keras.callbacks.Callback):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.epochs, self.labels = 0, {1, 2}
    >>> not_kept(Seen())
    ['labels']
    """
    if hasattr(callback, "get_state") or type(callback).__module__[:6] == "keras.":
        return []
    plain, lists = _state_of(callback)
    of_keras = vars(keras.callbacks.Callback())
    return [
        name
        for name, value in vars(callback).items()
        if not (name in plain or name in lists or name in of_keras or callable(value))
    ]


def _is_json(value: Any) -> bool:
    try:
        return json.loads(json.dumps(value)) == value
    except (TypeError, ValueError):
        return False


def _encode(state: dict[str, Any], arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    # numpy would write a type that it does not know, such as bfloat16, as raw bytes.
    foreign = {n: a.dtype.name for n, a in arrays.items() if a.dtype.kind == "V"}
    arrays = {n: a.view("uint16") if n in foreign else a for n, a in arrays.items()}
    state = {**state, "foreign": foreign}
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
    state = json.loads(arrays.pop("state").tobytes())
    for name, dtype in state["foreign"].items():
        arrays[name] = arrays[name].view(np.dtype(getattr(ml_dtypes, dtype)))
    return state, arrays
