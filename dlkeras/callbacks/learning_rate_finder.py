"""LearningRateFinder: raise the learning rate step by step, and see where it breaks."""

import math
from typing import Any

import keras
import numpy as np


class LearningRateFinder(keras.callbacks.Callback):
    """Tries growing learning rates for a few steps, suggests one, and undoes the steps.

    The rate grows by the same factor at each step. At first the loss hardly moves, then
    it falls, and at last it rises: the rate is too high. Suggested is the rate at which
    the smoothed loss falls most steeply, or a tenth of the one where it is lowest,
    whichever is smaller. At the end of `fit` weights, statistics, the optimizer's state
    and its learning rate are what they were before.

    Args:
        lowest: The first rate, above 0.
        highest: The last rate.
        steps: Training steps from one to the other; fewer where `fit` has fewer.
        smoothing: How much of itself the running mean of the losses keeps, 0 to 1.
        patience: How often the smoothed loss may stay above its minimum before the
            training stops, as a factor on that minimum.

    Attributes:
        rates: The rates that were tried, in order.
        losses: The loss of each step's batch.
        smoothed: Their running means, without the bias towards 0.
        suggested: The learning rate to use; None if the loss never fell.

    Raises:
        ValueError: A rate is not positive, or the model's rate follows a schedule.

    Example:
        >>> keras.utils.set_random_seed(0)
        >>> x = np.random.default_rng(0).normal(size=(64, 2))
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile(keras.optimizers.SGD(), "mse")
        >>> finder = LearningRateFinder(1e-4, 10.0, steps=60)
        >>> history = model.fit(x, x @ [[1.0], [2.0]], batch_size=64, epochs=60,
        ...                     callbacks=[finder], verbose=0)
        >>> 1e-3 < finder.suggested < 1.0
        True

    Reference:
        Smith, "Cyclical learning rates for training neural networks", WACV 2017
        (arXiv:1506.01186, 2015), section 3.3.
    """

    def __init__(
        self,
        lowest: float = 1e-7,
        highest: float = 10.0,
        steps: int = 100,
        *,
        smoothing: float = 0.9,
        patience: float = 4.0,
    ):
        super().__init__()
        if not 0 < lowest < highest or not math.isfinite(highest) or steps < 2:
            raise ValueError(
                "expected 0 < lowest < highest and at least 2 steps. Received: "
                f"lowest={lowest}, highest={highest}, steps={steps}"
            )
        if not 0 <= smoothing < 1 or patience <= 1:
            raise ValueError(
                "expected smoothing from 0 to below 1 and patience above 1. Received: "
                f"smoothing={smoothing}, patience={patience}"
            )
        self.lowest, self.highest, self.steps = lowest, highest, steps
        self.smoothing, self.patience = smoothing, patience
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.smoothed: list[float] = []

    @property
    def suggested(self) -> float | None:
        """The learning rate to use; None if the loss never fell."""
        smoothed = np.array(self.smoothed)
        lowest = int(smoothed.argmin()) if len(smoothed) else 0
        if lowest < 2:
            return None
        slopes = np.gradient(smoothed[: lowest + 1], np.log(self.rates[: lowest + 1]))
        return min(self.rates[int(slopes.argmin())], self.rates[lowest] / 10)

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Remember everything that the steps will change."""
        del logs
        optimizer = self.model.optimizer
        optimizer.build(self.model.trainable_variables)
        numbers: Any = keras.ops.convert_to_numpy
        self._before = [numbers(variable).copy() for variable in self._variables()]
        # On JAX an average of `use_ema` that was put into its weight shares its buffer,
        # which a step cannot take twice.
        for variable, value in zip(self._variables(), self._before, strict=True):
            variable.assign(value.copy())
        try:
            optimizer.learning_rate = float(numbers(optimizer.learning_rate))
        except TypeError as error:
            raise ValueError(
                "expected an optimizer whose learning rate is a number; this one "
                "follows a schedule: compile the model with a number"
            ) from error
        self.rates, self.losses, self.smoothed = [], [], []
        self._mean = 0.0
        self._before_this = (0, 0.0)  # steps of the epoch, and the sum of their losses
        planned = [self.params.get("steps"), self.params.get("epochs")]
        total = math.prod(planned) if all(planned) else self.steps  # pyright: ignore
        number = max(min(total, self.steps), 2)
        self._ratio = (self.highest / self.lowest) ** (1 / (number - 1))

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Keras's loss is the mean since the epoch began."""
        del epoch, logs
        self._before_this = (0, 0.0)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Set the next rate."""
        del batch, logs
        self._synchronise()
        rate = self.lowest * self._ratio ** len(self.rates)
        self.rates.append(rate)
        self.model.optimizer.learning_rate = rate

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Take the loss of this batch; stop where it has risen far, or is no number."""
        del batch
        steps, total = self._before_this
        mean = float((logs or {})["loss"])
        loss = mean * (steps + 1) - total
        self._before_this = (steps + 1, mean * (steps + 1))
        self._mean = self.smoothing * self._mean + (1 - self.smoothing) * loss
        smoothed = self._mean / (1 - self.smoothing ** len(self.rates))
        if not math.isfinite(smoothed):
            self.rates.pop()
            self.model.stop_training = True
            return
        self.losses.append(loss)
        self.smoothed.append(smoothed)
        risen = smoothed > self.patience * min(self.smoothed)
        if len(self.rates) >= self.steps or (min(self.smoothed) > 0 and risen):
            self.model.stop_training = True

    def on_train_end(self, logs: dict | None = None) -> None:
        """Put everything back."""
        del logs
        self._synchronise()
        for variable, value in zip(self._variables(), self._before, strict=True):
            variable.assign(value)

    def _synchronise(self) -> None:
        """On JAX, within an epoch, the variables lag behind."""
        synchronise = getattr(self.model, "jax_state_sync", None)
        if synchronise is not None:
            synchronise()

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]
