"""Which weights are kept: the best epoch's, several epochs', or their average.

With `use_ema` Keras's optimizers follow the weights with an exponential average.
Validation, the best epoch and what is kept are then those of the average; training
continues with the weights themselves, and a checkpoint holds both.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from dlkeras.pipeline.tensorflow_import import keras


def averaging(model: Any) -> list[Any]:
    """The callbacks that validate with the average of the weights, if there is one.

    Args:
        model: compiled.
    """
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    return [keras.callbacks.SwapEMAWeights()] if optimizer.use_ema else []


@contextlib.contextmanager
def _average_in(model: Any) -> Iterator[None]:
    """Put the average of the weights into a model, for as long as this lasts."""
    swaps = averaging(model)
    for swap in swaps:
        swap.set_model(model)
        swap.on_test_begin()
    try:
        yield
    finally:
        for swap in swaps:
            swap.on_test_end()


class BestEpoch(keras.callbacks.EarlyStopping):
    """Keras's EarlyStopping, which takes the average of the weights where there is one.

    Args:
        monitor: the metric.
        mode: "min" or "max".
        patience: epochs without a better one before the training stops.
    """

    def __init__(self, monitor: str, mode: str, patience: int):
        super().__init__(
            monitor=monitor, mode=mode, patience=patience, restore_best_weights=True
        )

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Remember the weights of an epoch that is better than all before."""
        with _average_in(self.model):
            super().on_epoch_end(epoch, logs)


class BestEpochs(keras.callbacks.Callback):
    """Remembers the weights of the best epochs; its state is part of a checkpoint.

    Args:
        monitor: the metric.
        mode: "min" or "max".
        number: of how many epochs.

    Attributes:
        kept: for each epoch (from 0), the best first, its metric and its weights.
    """

    def __init__(self, monitor: str, mode: str, number: int):
        super().__init__()
        self.monitor, self.mode, self.number = monitor, mode, number
        self.kept: dict[int, tuple[float, list]] = {}

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Begin with nothing; a checkpoint gives back what there was."""
        del logs
        self.kept = {}

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Keep the weights of one of the best epochs; of equals, the first."""
        with _average_in(self.model):
            score = float((logs or {})[self.monitor])
            self.kept[epoch] = score, self.model.get_weights()
        sign = 1 if self.mode == "min" else -1
        order = sorted(self.kept, key=lambda e: (sign * self.kept[e][0], e))
        self.kept = {epoch: self.kept[epoch] for epoch in order[: self.number]}

    def get_state(self) -> dict[str, Any]:
        """The epochs, their metrics and their weights, for a checkpoint."""
        weights = {f"weights_{epoch}": w for epoch, (_, w) in self.kept.items()}
        scores = [[epoch, score] for epoch, (score, _) in self.kept.items()]
        return {"scores": scores, **weights}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take what `get_state` gave."""
        self.kept = {
            epoch: (score, state[f"weights_{epoch}"])
            for epoch, score in state["scores"]
        }
