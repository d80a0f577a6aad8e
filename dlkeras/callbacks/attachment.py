"""The hold of a monitor on a model's train function: measured steps beside plain ones.

A measured step runs the model's own `train_step` while the optimizer's `apply` is
listened to, so that it sees the gradients of the step itself. The measurements leave
the compiled step in its logs, from which they are taken before a callback sees them.
Steps that are not measured run the program that Keras made, untouched.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import keras

from dlkeras.callbacks import backend
from dlkeras.callbacks.backend import optimizer_state
from dlkeras.callbacks.schedule import Schedule

KEY, BATCH = "dlkeras_measurements", "dlkeras_batch"
_MARK = "_dlkeras_attachment"


class replaced:
    """Give an object an attribute of its own for a while, past its `__setattr__`.

    A class, not a generator: every measured step comes by here.
    """

    def __init__(self, owner: Any, name: str, value: Any) -> None:
        self._attributes, self._name, self._value = owner.__dict__, name, value

    def __enter__(self) -> None:
        self._before = self._attributes.get(self._name, self)
        self._attributes[self._name] = self._value

    def __exit__(self, *error: object) -> None:
        if self._before is self:  # it had none
            self._attributes.pop(self._name, None)
        else:
            self._attributes[self._name] = self._before


class Attachment:
    """A train function that measures when it is due.

    Args:
        model: a compiled model whose train function has been made.
        schedule: says which calls of the train function are to be measured.
        deliver: gets `(vector, logs)` of every measured call, still on the device.
        give_up: is told why nothing can be measured; training goes on without.
        quantities: what is measured, some of `QUANTITIES` in their order.
        on_batch: gets the data of every measured step, as the step got them.
        one_program: whether a step that is not measured runs the same program.
    """

    def __init__(
        self,
        model: Any,
        schedule: Schedule,
        deliver: Callable[[Any, dict], None],
        give_up: Callable[[str], None],
        quantities: Sequence[str],
        on_batch: Callable[[Any], None] | None = None,
        one_program: bool = False,
    ) -> None:
        self.one_program = one_program
        self.model, self.optimizer = model, None
        self.schedule, self.deliver, self.give_up = schedule, deliver, give_up
        self.quantities, self.on_batch = quantities, on_batch
        self._batch_structure: Any = None
        self.variables: list[Any] = []
        self.order: list[int] = []
        self._found = threading.local()  # each replica of a strategy has its thread
        self._failure: str | None = None
        self._measured: Any = None
        self._plain: Any = None
        self._step: Any = None
        self._listening: Any = None
        self._history: Any = None

    def attach(self) -> None:
        """Put the measuring train function in place.

        Raises:
            ValueError: if it would train other variables than the plain one does, or if
                another monitor listens to the same `fit`.
        """
        other = getattr(self.model.train_function, _MARK, None)
        running = getattr(self.model, "history", None)
        if other not in (None, self) and other._history is running is not None:
            raise ValueError(
                "expected one GradientNormMonitor for a `fit`; another one has come "
                "before it, and listens already"
            )
        release(self.model)
        self.optimizer = self.model.optimizer
        if self._measured is None or self._plain is not self.model.train_function:
            self._check_trainable()
            self._plain = self.model.train_function
            self._step = self._measured_step(self.model.train_step)
            with replaced(self.model, "train_step", self._step):
                self.model.make_train_function(force=True)
            self._measured = backend.direct(
                self.model,
                self._listened(self._step),
                self._listened(self.model.train_function),
            )
        apply = getattr(self.optimizer, backend.APPLY)
        self._listening = backend.measuring(
            apply, self.optimizer, self._keep, self.quantities
        )
        self._history = getattr(self.model, "history", None)
        function = self._train_function()
        setattr(function, _MARK, self)
        self.model.train_function = function

    def _check_trainable(self) -> None:
        """A compiled step keeps training the variables that were trainable before."""
        model = self.model
        if not backend.traced(model.train_function) or not self.optimizer.built:
            return
        before = self.optimizer._trainable_variables
        changed = [v.path for v in before if not v.trainable]
        if str(type(model).train_step.__module__).startswith("keras."):
            known = {id(v) for v in before}
            changed += [v.path for v in model.trainable_variables if id(v) not in known]
        if changed:
            raise ValueError(
                "`trainable` must not be changed without calling `compile` again: the "
                "compiled train function goes on as before. Received: a change of "
                f"{changed}"
            )

    def detach(self) -> None:
        """Give the model the train function back that Keras made."""
        if getattr(self.model.train_function, _MARK, None) is self:
            self.model.train_function = self._plain

    def _measured_step(self, train_step: Callable) -> Callable:
        def step(*args: Any) -> Any:
            self._found.vector, self._found.scope = None, backend.scope()
            outputs = train_step(*args)
            vector, logs = self._found.vector, backend.logs_of(outputs)
            if vector is None:
                return outputs
            if not isinstance(logs, dict):
                self._failure = (
                    f"`train_step` must return a dict of logs. Received: {logs!r}"
                )
            else:
                kept = {KEY: vector, **self._batch(args[-1])}
                outputs = with_logs(outputs, {**logs, **kept})
            return outputs

        return step

    def _batch(self, data: Any) -> dict[str, Any]:
        """What leaves the step with the measurements, so that data are read once."""
        if self.on_batch is None or not backend.alone(self.model):
            return {}
        leaves = keras.tree.flatten(data)
        known = [leaf is not None and keras.ops.is_tensor(leaf) for leaf in leaves]
        numbers = iter(range(len(leaves)))
        places = [next(numbers) if there else None for there in known]
        self._batch_structure = keras.tree.pack_sequence_as(data, places)
        # A list TensorFlow's eager loop would stack to one tensor.
        there = [x for x, there in zip(leaves, known, strict=True) if there]
        return {BATCH: tuple(there)}

    def _listened(self, function: Callable) -> Callable:
        """A function during which the optimizer is listened to.

        Around all of a step with replicas, not within: each of them has its thread.
        """

        def call(*args: Any) -> Any:
            with (
                replaced(self.optimizer, backend.APPLY, self._listening),
                replaced(self.model, "train_step", self._step),
            ):
                return function(*args)

        return call

    def _keep(self, variables: Any, order: Any = None, vector: Any = None) -> None:
        if isinstance(variables, BaseException):
            self._failure = f"the measuring failed: {variables!r}"
            return
        if backend.scope() != self._found.scope:
            self._failure = (
                f"`model.optimizer.{backend.APPLY}` runs inside of a conditional or of "
                "a function that is compiled by itself, from which no measurement can "
                "be taken; call it in `train_step` directly"
            )
            return
        self._found.vector = vector
        self.variables, self.order = variables, order

    def _train_function(self) -> Callable:
        # Every step comes by here: what does not change is looked up once.
        model, plain, schedule = self.model, self._plain, self.schedule

        def train_function(*args: Any) -> Any:
            if getattr(model, "history", None) is not self._history:
                self.detach()  # another `fit`, which does not know of this monitor
                return plain(*args)
            try:
                measured = schedule.due()
                if measured or self.one_program:
                    outputs = self._measure(*args, keep=measured)
                else:
                    outputs = plain(*args)
                if schedule.timing and schedule.to_be_timed:
                    backend.wait(outputs)
                    schedule.timed()
                return outputs
            except BaseException as error:
                if not ends_the_data(error):
                    self.detach()
                raise

        return train_function

    def _measure(self, *args: Any, keep: bool = True) -> Any:
        outputs = self._measured(*args)
        logs = backend.logs_of(outputs)
        vector, batch = None, None
        if isinstance(logs, dict):
            vector, batch = logs.pop(KEY, None), logs.pop(BATCH, None)
        if batch is not None and self.on_batch is not None and keep:
            self.on_batch(
                keras.tree.map_structure(
                    lambda place: None if place is None else batch[place],
                    self._batch_structure,
                )
            )
        if vector is not None:
            if keep:
                self.deliver(vector, logs)
        else:
            self.detach()
            self.give_up(self._why_nothing_came())
        return outputs

    def _why_nothing_came(self) -> str:
        if not self.model.trainable_variables:
            return (
                "the model has no weights to train: set `trainable = True` on a layer, "
                "and compile again"
            )
        return self._failure or (
            "`train_step` updated the weights without "
            f"`model.optimizer.{backend.APPLY}`, or inside of a function that had been "
            "compiled before, so no gradient passed by"
        )

    @property
    def loss_scaled(self) -> bool:
        """Whether the optimizer skips a step whose gradients are not finite."""
        return optimizer_state.inner(self.optimizer) is not self.optimizer


def with_logs(outputs: Any, logs: dict) -> Any:
    """What a train step returned, with other logs."""
    return (logs, *outputs[1:]) if isinstance(outputs, tuple) else logs


def ends_the_data(error: BaseException) -> bool:
    """Whether an error is how a data set says that it has ended."""
    return isinstance(error, StopIteration) or "OutOfRange" in type(error).__name__


def release(model: Any) -> None:
    """Undo what an interrupted run left on the model."""
    left = getattr(model.train_function, _MARK, None)
    if left is not None:
        left.detach()
