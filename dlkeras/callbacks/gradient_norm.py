"""GradientNormMonitor: the norms of a training's own gradients, layer by layer."""

import difflib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from numbers import Integral
from typing import Any

import keras
import numpy as np

from dlkeras.callbacks import backend
from dlkeras.callbacks.attachment import Attachment
from dlkeras.callbacks.backend import optimizer_state
from dlkeras.callbacks.measurements import Measurements
from dlkeras.callbacks.schedule import Schedule
from dlkeras.diagnosis.finding import Reporter, TrainingFinding
from dlkeras.diagnosis.histories.gradient_history import QUANTITIES, GradientHistory
from dlkeras.diagnosis.histories.layer_tree import frozen_digests, layer_infos, owners
from dlkeras.diagnosis.measured import diagnose_new

# Measurements wait on the device; beyond this many the older half is fetched, whose
# steps are long done, so that nothing waits for a running step.
_WAITING = 256


class GradientNormMonitor(keras.callbacks.Callback):
    """Measures gradients, weights and updates of every layer while `fit` trains.

    It takes the gradients of the training step itself, as the optimizer receives
    them: no second forward or backward pass, and the compiled step stays compiled.
    Norms are those before clipping, without loss scale; under gradient accumulation
    the mean gradient of an update is measured, in the step that updates. The weights
    are bit for bit those of a training without the monitor.

    With `steps_per_execution=N` the last step of each execution can be measured. A
    `train_step` that updates weights by another way than `model.optimizer` cannot: the
    monitor says so once, and training goes on. One monitor listens to a `fit`; with
    another model than before it starts over.

    Args:
        frequency: measure every so many steps, or `"auto"`: the first hundred steps
            are timed, some measured and some plain, and then so many are left out that
            measuring takes about 1 % of the time.
        layers: names of the layers to report, as `model.layers` has them (a nested
            layer by its path, `encoder/dense`); None takes all.
        add_to_logs: adds `gradient_norm/LAYER` (the epoch's median) to the logs of
            each epoch, where `History`, and `TensorBoard` or `CSVLogger` later in the
            list of callbacks, find it.
        on_finding: what to do with a new finding of `diagnose`, at the end of an
            epoch: `"warn"` prints it, `"stop"` prints it and ends the training at an
            error, a function is called with it, None leaves it in `findings`.
        quantities: what to measure: `"gradient_norm"`, and which of `"weight_norm"`,
            `"update_norm"`, `"zero_share"`, `"non_finite_share"`; None takes all. In a
            small network the gradient norms alone cost less than half of all five.
            What is left out is NaN in the history (a share of non-finite entries: that
            of one entry, where the norm is not finite), and the rules of `diagnose`
            that need it say nothing: those of updates, of the learning rate, and of
            gradients that grow over time.

    Raises:
        ValueError: if an argument is out of its range, or (when training begins) if
            the model has no layer of such a name.

    Example:
    >>> import keras, numpy as np
    >>> from dlkeras.callbacks import GradientNormMonitor
    >>> keras.utils.set_random_seed(0)
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, name="d")])
    >>> model.compile(keras.optimizers.SGD(1e-3), "mse")
    >>> monitor = GradientNormMonitor(frequency=1)
    >>> x, y = np.ones((64, 4), "float32"), np.ones((64, 1), "float32")
    >>> _ = model.fit(x, y, callbacks=[monitor], verbose=0)
    >>> monitor.history.variable_names, monitor.history.steps.tolist()
    (['d/kernel', 'd/bias'], [1, 2])
    >>> bool((monitor.history.global_norm > 0).all())
    True

    Reference:
        - Schneider, Dangel and Hennig, "Cockpit: a practical debugging tool for the
          training of deep neural networks", NeurIPS 2021: what is worth measuring.
    """

    def __init__(
        self,
        frequency: int | str = "auto",
        layers: Sequence[str] | None = None,
        add_to_logs: bool = False,
        on_finding: str | Callable[[TrainingFinding], Any] | None = "warn",
        quantities: Collection[str] | None = None,
    ) -> None:
        super().__init__()
        whole = isinstance(frequency, Integral) and not isinstance(frequency, bool)
        if frequency != "auto" and not (whole and int(frequency) >= 1):
            raise ValueError(
                '`frequency` must be a whole number of steps, 1 or more, or "auto". '
                f"Received: frequency={frequency!r}"
            )
        if isinstance(layers, str) or (layers is not None and not len(layers)):
            raise ValueError(
                "`layers` must be a list of layer names, or None for all. "
                f"Received: layers={layers!r}"
            )
        asked = QUANTITIES if quantities is None else quantities
        listed = isinstance(asked, Collection) and not isinstance(asked, str)
        known = listed and all(name in QUANTITIES for name in asked)
        if not known or "gradient_norm" not in asked:
            raise ValueError(
                f"`quantities` must be a list of some of {list(QUANTITIES)}, "
                "'gradient_norm' among them, or None for all. "
                f"Received: quantities={quantities!r}"
            )
        self.quantities = tuple(name for name in QUANTITIES if name in asked)
        self.frequency = frequency
        self.layers = None if layers is None else list(layers)
        self.add_to_logs = add_to_logs
        self._on_finding = on_finding
        self.reason: str | None = None  # why nothing is measured
        self._epoch, self._copied, self.one_program = 0, False, False  # see Attachment
        self.on_batch: Callable[[Any], None] | None = None  # gets data that were seen
        self.judged_by_another = False  # who asks for `history` when it needs it
        self._forget()

    def __getstate__(self) -> dict[str, Any]:
        """A copy, or a pickle, has the measurements; training it starts over."""
        self._fetch(len(self._waiting))
        return self.__dict__ | {
            "_attachment": None,
            "_owners": {},
            "_model": None,
            "_copied": self._copied or self._attachment is not None,
        }

    def _forget(self) -> None:
        """Start over: two models' measurements cannot be compared."""
        self._report = Reporter(self._on_finding)
        self._history = GradientHistory(quantities=self.quantities)
        self._attachment: Attachment | None = None
        self._schedule = Schedule(self.frequency)
        self._owners: dict[int, tuple[str, str]] = {}
        self._columns: dict[tuple[str, str], tuple[int, int, int]] = {}
        self._waiting: list[tuple] = []
        self._measured = Measurements()
        self._assembled = False
        self._judged = 0  # samples that the diagnosis has seen
        self._digests: dict[str, int] = {}

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Take hold of the model's train function."""
        model: Any = self._model
        self.reason = None
        again = self._attachment is not None and self._attachment.model is model
        if self._copied or (self._attachment is not None and not again):
            self._forget()
            self._copied = False
        self._history.layers = layer_infos(model)
        self._owners = owners(model)
        self._check_names(model)
        self._digests = frozen_digests(model)
        optimizer = getattr(model, "optimizer", None)
        if not hasattr(optimizer, backend.APPLY):
            self._give_up(
                f"the model's optimizer must have the method `{backend.APPLY}`. "
                f"Received: optimizer={optimizer!r}"
            )
            return
        if not again:
            self._attachment = Attachment(
                model,
                self._schedule,
                self._deliver,
                self._give_up,
                self.quantities,
                self.on_batch,
                self.one_program,
            )
        try:
            self._attachment.attach()
        except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
            self._give_up(f"the model's train function cannot be measured: {error}")
            return
        self._history.dynamic_loss_scale = self._attachment.loss_scaled
        to_numpy: Any = keras.ops.convert_to_numpy
        done = int(to_numpy(optimizer_state.inner(optimizer)._iterations))
        if again and self._attachment.loss_scaled:  # it has not counted those skipped
            done = max(done, self._schedule.step)
        self._schedule.begin(
            done,
            per_call=model.steps_per_execution,
            planned=(self.params or {}).get("steps"),
            accumulation=optimizer_state.accumulation_steps(optimizer),
            skips=self._attachment.loss_scaled,
        )

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Note the epoch."""
        self._epoch = epoch
        self._schedule.epoch()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Fetch what was measured, and look at the frozen layers."""
        self._history.epoch_logs.append(dict(logs or {}))
        if self.judged_by_another:
            return
        self.look_at_frozen(epoch)
        self._fetch(len(self._waiting))
        self._assembled = False
        if self.add_to_logs and logs is not None:
            logs.update(self.epoch_metrics(epoch))
        if self._judge():
            model: Any = self._model
            model.stop_training = True

    def on_train_end(self, logs: dict | None = None) -> None:
        """Give the model its own train function back."""
        if self._attachment is not None:
            self._attachment.detach()
        self._fetch(len(self._waiting))
        if self.judged_by_another:
            self._judge()

    def want(self, calls: int) -> None:
        """Measure so many of the next calls of the train function."""
        self._schedule.wanted = calls

    def look_at_frozen(self, epoch: int) -> None:
        """Note the frozen layers whose weights have changed since the last look."""
        digests = frozen_digests(self._model)
        before = self._digests  # a model that builds itself late has none yet
        moved = [n for n, value in digests.items() if before.get(n, value) != value]
        self._history.frozen_moved += [(epoch, name) for name in moved]
        self._digests = digests

    def _judge(self) -> bool:
        """Report what is new; True if training should stop."""
        findings = diagnose_new(self.history, self._judged)
        self._judged = len(self.history)
        return self._report(findings)

    @property
    def findings(self) -> list[TrainingFinding]:
        """What the measurements mean, each finding once."""
        return self._report.findings

    @property
    def history(self) -> GradientHistory:
        """All that was measured so far, as arrays."""
        self._fetch(len(self._waiting))
        if not self._assembled:
            self._assemble()
            self._assembled = True
        return self._history

    def epoch_metrics(self, epoch: int) -> dict[str, float]:
        """`gradient_norm/LAYER`: the median norm of each layer in an epoch."""
        history = self.history
        mine = history.epochs == epoch
        if not mine.any():
            return {}
        medians = np.median(history.samples(mine).per_layer("gradient_norm"), 0)
        names = [f"gradient_norm/{name}" for name in history.layer_names]
        return dict(zip(names, medians.tolist(), strict=True))

    def get_state(self) -> dict[str, np.ndarray]:
        """All that was measured, as arrays that `np.savez` takes.

        Returns:
            What `set_state` of a new monitor needs to go on as if training had not
            stopped: kept beside a checkpoint, the measurements of a resumed training
            are those of an uninterrupted one.
        """
        self._fetch(len(self._waiting))
        about = {
            # In order of depth, which a monitor of no model cannot know.
            "columns": [
                [*key, *column]
                for key, column in sorted(self._columns.items(), key=lambda c: c[1][0])
            ],
            "rhythm": self._schedule.get_state(),
            "frozen_moved": self._history.frozen_moved,
            "epoch_logs": self._history.epoch_logs,
            "findings": self._report.state(),
            "quantities": self._history.quantities,
        }
        return {
            "about": np.array(json.dumps(about, default=float)),
            "facts": self._measured.facts.copy(),
            "values": self._measured.values.copy(),
        }

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue with what another monitor has measured.

        Args:
            state: what its `get_state` returned.
        """
        about, self._copied = json.loads(str(state["about"])), False
        self._columns = {
            (layer, name): tuple(column) for layer, name, *column in about["columns"]
        }
        self._measured.take(state["facts"], state["values"])
        self._judged = self._measured.length
        self._history.frozen_moved = [(e, name) for e, name in about["frozen_moved"]]
        self._history.epoch_logs = about["epoch_logs"]
        self._report.restore(about["findings"])
        before = about.get("quantities", QUANTITIES)
        self._history.quantities = tuple(q for q in self.quantities if q in before)
        if about["rhythm"] is not None:
            self._schedule.resume(**about["rhythm"])
        self._assembled = False

    def _check_names(self, model: Any) -> None:
        if self.layers is None:
            return
        known = list(layer_infos(model))
        for name in self.layers:
            if name not in known:
                near = difflib.get_close_matches(name, known)
                hint = f"Did you mean {near[0]!r}? " if near else ""
                raise ValueError(
                    f"`layers` must name layers of the model {model.name!r}, which "
                    f"has {known}. {hint}Received: {name!r}"
                )

    def _give_up(self, reason: str) -> None:
        self.reason = reason
        print(f"GradientNormMonitor measures nothing: {reason}")

    def _deliver(self, vector: Any, logs: dict) -> None:
        """Keep the measurements of a step on the device, without waiting for it."""
        self._waiting.append(
            (self._schedule.step, self._epoch, vector, logs.get("loss"))
        )
        if len(self._waiting) >= _WAITING:
            self._fetch(_WAITING // 2)

    def _fetch(self, count: int) -> None:
        """Bring the oldest measurements from the device."""
        if not count or self._attachment is None:
            return
        attachment = self._attachment
        to_numpy: Any = keras.ops.convert_to_numpy
        columns = [self._column(variable) for variable in attachment.variables]
        steps, epochs, vectors, losses = zip(*self._waiting[:count], strict=True)
        numbers = np.array([to_numpy(vector) for vector in vectors], np.float64)
        updates, scales = numbers[:, -2] != 0, numbers[:, -1]
        losses = [np.nan if x is None else to_numpy(x).mean() for x in losses]
        facts = np.column_stack([steps, epochs, losses, scales])
        rows = [QUANTITIES.index(name) for name in self.quantities]
        values = np.full((len(steps), len(QUANTITIES), len(columns)), np.nan)
        values[:, np.array(rows)[:, None], attachment.order] = numbers[:, :-2].reshape(
            len(steps), len(rows), -1
        )
        if "non_finite_share" not in self.quantities:  # of a finite norm it is known
            values[:, -1] = ~np.isfinite(values[:, 0])
        self._measured.extend(facts[updates], columns, values[updates])
        self._assembled = False
        del self._waiting[:count]

    def _column(self, variable: Any) -> int:
        """The column of a variable in the history; a new one if it is new."""
        if id(variable) not in self._owners:  # a model that builds itself when called
            self._owners = owners(self._model)
            self._history.layers = layer_infos(self._model)
        key = self._owners.get(id(variable))
        if key is None:  # the optimizer trains a variable that no layer holds
            key = ("", getattr(variable, "path", variable.name))
        if key not in self._columns:
            shape = tuple(variable.shape)
            self._columns[key] = len(self._columns), int(np.prod(shape)), len(shape)
        return self._columns[key][0]

    def _assemble(self) -> None:
        """Show what was measured: the columns in order of depth, those asked for."""
        history, measured = self._history, self._measured
        depth = {name: index for index, name in enumerate(history.layers)}
        keys = sorted(self._columns, key=lambda k: depth.get(k[0], len(depth)))
        order = [self._columns[key][0] for key in keys]
        measured.widen(len(order))
        if order != list(range(len(order))):
            measured.permute(order)
            for index, key in enumerate(keys):
                self._columns[key] = (index, *self._columns[key][1:])
        history.values = measured.values
        if self.layers is not None:
            keys = [
                key
                for key in keys
                if any(key[0] == n or key[0].startswith(f"{n}/") for n in self.layers)
            ]
            wanted = [self._columns[key][0] for key in keys]
            history.values = measured.values[:, :, wanted]
        history.variables = keys
        history.sizes = np.array([self._columns[key][1] for key in keys], float)
        history.ranks = np.array([self._columns[key][2] for key in keys], int)
        facts = measured.facts
        history.steps, history.epochs = facts[:, 0].astype(int), facts[:, 1].astype(int)
        history.loss, history.loss_scale = facts[:, 2], facts[:, 3]
        history.sampled_every = self._schedule.every
