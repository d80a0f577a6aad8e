"""TrainingDoctor: both monitors, the checks of model and data, and a verdict."""

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlkeras.callbacks.activation import ActivationMonitor
from dlkeras.callbacks.gradient_norm import GradientNormMonitor
from dlkeras.diagnosis.checks import (
    NUMBERS,
    ROWS,
    found,
    held_examples,
    of_batches,
    to_numpy,
)
from dlkeras.diagnosis.facts import Facts
from dlkeras.diagnosis.finding import Reporter, TrainingFinding
from dlkeras.diagnosis.report import Diagnosis
from dlkeras.diagnosis.rules.optimisation import penalty_of
from dlkeras.diagnosis.rules.structure import EARLY_RULES
from dlkeras.diagnosis.training import hopeless, judge_training
from dlkeras.diagnosis.untouched import same_luck

PROBED, ANSWERED, MOST_BATCHES, FEWEST = 256, 128, 64, 16
# So many of the first steps are measured to see enough of the data.
FIRST_STEPS = 16
# Outputs of layers are looked at after the first epochs and the last one, and between
# them as often as this share of the time buys: an epoch may be shorter than a look.
FIRST_EPOCHS, LOOKING = 2, 0.003


class TrainingDoctor(keras.callbacks.Callback):
    """Watches a `fit`, and says at its end why it does not learn, or that it does.

    It has a `GradientNormMonitor` and an `ActivationMonitor`. The data of the first
    measured steps leave the compiled step with the measurements, so that inputs and
    labels are looked at without a second pass over the data; training is bit for bit
    as without the callback. What cannot be otherwise (a softmax of one unit, labels
    that the loss cannot take) is told after the first epoch, a loss that is no number
    after its epoch; what depends on how training goes, at its end.

    Args:
        frequency: measure every so many steps, or `"auto"`: as in
            `GradientNormMonitor`, after the first sixteen steps (fewer, if 512 examples
            were seen), and all of the epoch after the loss became no number, which may
            show why. Outputs of layers are looked at every epoch, with `"auto"` as
            often as 0.3 % of the epochs' time allows.
        on_finding: `"warn"` prints what is wrong and the verdict at the end, `"stop"`
            also ends the training at an error that no further epoch can mend, a
            function is called with each error and warning, None leaves them in
            `diagnosis`.
        validation_data: `(x, y)` or batches; compared with the training data.
        report: where an HTML page with the verdict and the curves is written.
        rules: of your own, as in `diagnose`.

    Attributes:
        diagnosis: what is known so far.
        gradients: the `GradientNormMonitor`.
        activations: the `ActivationMonitor`; None until the first batch was seen.

    Example:
    >>> import keras, numpy as np
    >>> from dlkeras.callbacks import TrainingDoctor
    >>> keras.utils.set_random_seed(0)
    >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    >>> model = keras.Sequential(
    ...     [keras.Input((4,)), keras.layers.Dense(1, "sigmoid", name="out")])
    >>> model.compile("adam", "mse")
    >>> doctor = TrainingDoctor(on_finding=None)
    >>> _ = model.fit(x, 30 + x[:, :1], callbacks=[doctor], verbose=0)
    >>> doctor.diagnosis.findings[0].name
    'targets_out_of_reach'
    """

    def __init__(
        self,
        frequency: int | str = "auto",
        on_finding: str | Callable[[TrainingFinding], Any] | None = "warn",
        *,
        validation_data: Any = None,
        report: str | Path | None = None,
        rules: Collection[Callable[[Any], Any]] = (),
    ) -> None:
        super().__init__()
        self._report = Reporter(on_finding)
        self.validation_data, self.report = validation_data, report
        self.rules, self._auto = tuple(rules), frequency == "auto"
        self.gradients = GradientNormMonitor(frequency, on_finding=None)
        self.gradients.on_batch, self.gradients.judged_by_another = self._keep, True
        self._forget()

    def _forget(self) -> None:
        self.activations: ActivationMonitor | None = None
        self._report = Reporter(self._report.on_finding)
        self.diagnosis = Diagnosis()
        self._batches: list[tuple] = []
        self._structure: Any = None
        self._rows = self._inputs = self._seen = 0
        self._lost = self._bad = False
        self._known: set[int] = set()
        self._logs: list[dict[str, float]] = []
        self._rates: list[float] = []
        self._early: list[TrainingFinding] = []
        self._first_penalty = 0.0
        self._began, self._trained, self._looking = time.perf_counter(), 0.0, 0.0
        self._looked = self._epoch = 0
        self._data: tuple = ([], None, False, [])
        self._held: tuple = ([], None)

    def __getstate__(self) -> dict[str, Any]:
        """A copy, or a pickle, has the verdict; training it starts over."""
        return self.__dict__ | {"_model": None}

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Look at the initial weights, and let the gradients be measured."""
        self._forget()
        model: Any = self._model
        self._first_penalty = penalty_of(model) if model.built else 0.0
        self.gradients.set_params(self.params)
        self.gradients.set_model(model)
        self.gradients.on_train_begin(logs)
        if self._auto and model.steps_per_execution == 1:
            self.gradients.want(FIRST_STEPS)
        if model.built:  # of the weights alone: they differ once trained
            self._early = list(found(Facts(model), EARLY_RULES))
        with suppress(Exception), same_luck():  # once: a generator has no second pass
            self._held = held_examples(self.validation_data)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Tell the monitor."""
        self.gradients.on_epoch_begin(epoch, logs)
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Measure, and tell what no further epoch can mend."""
        self._epoch = epoch
        self._trained += time.perf_counter() - self._began
        self.gradients.on_epoch_end(epoch, logs)
        numbers = {k: v for k, v in (logs or {}).items() if np.ndim(v) == 0}
        self._logs.append({k: float(v) for k, v in numbers.items()})
        self._rates.append(Facts(self._model).learning_rate)
        if self._batches and self._seen < len(self._batches):
            self._seen = len(self._batches)
            with suppress(Exception):
                self._data = of_batches(self._batches)
        if self.activations is None and self._batches:
            self.activations = ActivationMonitor(self._probe(PROBED), on_finding=None)
            self.activations.judged_by_another = True
            self.activations.set_model(self._model)
        spent = self._looking > LOOKING * self._trained
        if not (spent and self._auto and len(self._logs) > FIRST_EPOCHS):
            self._look(epoch)
        lost = not np.isfinite(self._logs[-1].get("loss", 0.0))
        if lost and not self._lost:  # which example was it? The next epoch shows it
            self.gradients.want((self.params or {}).get("steps") or FIRST_STEPS)
        if len(self._logs) == 1 or (lost and not self._lost):
            self._lost = lost
            self._judge()
            stop = self._report(hopeless(self.diagnosis, lost))
            if stop or (lost and self._report.on_finding == "stop"):
                self._model.stop_training = True

    def on_train_end(self, logs: dict | None = None) -> None:
        """Give the verdict."""
        self.gradients.on_train_end(logs)
        if self._looked < len(self._logs):
            self._look(self._epoch)
        if self.activations is not None:
            self.activations.on_train_end(logs)
        self._judge()
        self._report(self.diagnosis.told)
        if self.diagnosis.healthy and self._report.on_finding in ("warn", "stop"):
            print(f"TrainingDoctor: {self.diagnosis.verdict}")
        if self.report is not None:
            names = {name for logs in self._logs for name in logs}
            curves = {
                name: [logs.get(name, np.nan) for logs in self._logs]
                for name in sorted(names)
            }
            page = self.diagnosis.to_html(curves)
            Path(self.report).write_text(page, encoding="utf-8")

    def _look(self, epoch: int) -> None:
        """Look at the outputs of the layers, and at frozen weights, now."""
        began = time.perf_counter()
        self.gradients.look_at_frozen(epoch)
        if self.activations is not None:
            self.activations.on_epoch_end(epoch, self._logs[-1])
            self._looked = len(self._logs)
        self._looking += time.perf_counter() - began

    def _keep(self, batch: Any) -> None:
        """Keep what a measured step was given, as far as it is enough to look at.

        Of large inputs a few: the probe's outputs of all layers are kept at once. Of a
        training that is lost, what is no number.
        """
        enough = self._rows >= ROWS or len(self._batches) >= MOST_BATCHES
        if enough and not self._lost:
            self.gradients.want(0)
            return
        batch = batch if isinstance(batch, (tuple, list)) else (batch,)
        with suppress(Exception):  # sparse or ragged: looked at by nobody
            arrays: Any = keras.tree.map_structure(
                lambda part: None if part is None else to_numpy(part), tuple(batch)
            )
            if enough and (self._bad or all_numbers(arrays[:2])):
                return
            self._structure = arrays[0]
            first = keras.tree.flatten(arrays[0])[0]
            digests = [hash(row.tobytes()) for row in first]
            new = [i for i, digest in enumerate(digests) if digest not in self._known]
            if new:  # an example of an earlier epoch says nothing more
                self._known.update(digests)
                size = max(part[0].size for part in keras.tree.flatten(arrays[0]))
                most = max(FEWEST, NUMBERS // max(1, size)) - self._inputs

                def kept(parts: Any, rows: list[int]) -> Any:
                    return keras.tree.map_structure(
                        lambda part: None if part is None else part[rows], parts
                    )

                rows = new[: max(0, most)]
                if self._lost:
                    others = new[len(rows) :]
                    rows += [i for i in others if not all_numbers(kept(arrays[0], [i]))]
                self._bad = enough
                self._batches.append((kept(arrays[0], rows), *kept(arrays[1:], new)))
                self._rows += len(new)
                self._inputs += len(rows)

    def _probe(self, rows: int) -> Any:
        """Some of the inputs in the structure that the model takes."""
        inputs = self._data[0]
        return keras.tree.pack_sequence_as(
            self._structure, [array[:rows] for array in inputs]
        )

    def _judge(self) -> None:
        self.diagnosis = judge_training(
            self._model,
            self._data,
            probe=self._probe(ANSWERED) if self._data[0] else None,
            held=self._held,
            logs=self._logs,
            rates=self._rates,
            gradients=self.gradients,
            activations=self.activations,
            first_penalty=self._first_penalty,
            early=self._early,
            rules=self.rules,
        )


def all_numbers(arrays: Any) -> bool:
    """Whether no array has a NaN or an infinity."""
    return all(
        part is None or part.dtype.kind != "f" or np.isfinite(part).all()
        for part in keras.tree.flatten(arrays)
    )
