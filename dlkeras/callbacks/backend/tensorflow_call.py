"""A measured step in TensorFlow, called without what surrounds a plain one."""

import weakref
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


class DirectCall:
    """Calls the graph of a train step with the tensors that it takes.

    Keras calls a step through a `tf.function`, which looks for the graph at each call,
    by the type of the data iterator, and takes the logs out of an `Optional` by two
    more operations. For a small network that takes as long as measuring it does. Here
    the graph is looked for once an iterator, and the logs come as they are.

    Args:
        step: takes a batch, and returns the logs.
        jit_compile: whether XLA compiles the step.
        otherwise: the train function to call where this cannot be.
    """

    def __init__(self, step: Callable, jit_compile: bool, otherwise: Callable) -> None:
        def on_batch(batch: Any) -> Any:
            return step(batch)

        if jit_compile:
            on_batch = tf.function(on_batch, autograph=False, jit_compile=True)

        def on_iterator(iterator: Any) -> Any:
            return on_batch(iterator.get_next())

        self._function: Any = tf.function(on_iterator, autograph=False)
        self._otherwise = otherwise
        self._bound_to: Callable[[], Any] = lambda: None
        self._forget()

    def __call__(self, iterator: Any) -> Any:
        """The logs of a step on the iterator's next batch.

        Raises:
            tf.errors.OutOfRangeError: if the data have ended.
        """
        if self._bound_to() is not iterator:
            self._bind(iterator)
        if self._call is None:
            return self._otherwise(iterator)
        return self._call(self._inputs)

    @property
    def direct(self) -> bool:
        """Whether the last iterator's steps are called directly."""
        return self._call is not None

    def _forget(self, _: Any = None) -> None:
        self._call: Callable | None = None
        self._inputs: list[Any] = []

    def _bind(self, iterator: Any) -> None:
        self._forget()
        if not isinstance(iterator, tf.data.Iterator):
            return
        # Not held: an epoch's buffers must be free when Keras has done with it.
        self._bound_to = weakref.ref(iterator, self._forget)
        parts = tf.nest.flatten(iterator.element_spec)
        if tf.config.functions_run_eagerly() or any(
            isinstance(part, tf.OptionalSpec) for part in parts
        ):
            return
        concrete = self._function.get_concrete_function(iterator)
        # Not a documented name: where there is no such thing, Keras's way is taken.
        graph = getattr(concrete, "inference_fn", None)
        self._call = getattr(graph, "call_preflattened", None)
        tensors = tf.nest.flatten(iterator, expand_composites=True)
        self._inputs = tensors + list(concrete.captured_inputs)


def direct(model: Any, step: Callable, otherwise: Callable) -> Callable:
    """The fastest way to call a measured step.

    Args:
        model: compiled; its train function is the one that is to be measured.
        step: the measured train step.
        otherwise: the measured train function as Keras calls it. It is left as it is
            where more belongs to a call than a step: replicas, several steps at once,
            eager steps, a `make_train_function` that is not Keras's.
    """
    made = getattr(model.train_function, "__module__", "")
    alone = model.distribute_strategy is tf.distribute.get_strategy()
    if (
        made == keras.Model.make_train_function.__module__
        and alone
        and not tf.distribute.has_strategy()
        and model.steps_per_execution == 1
        and not model.run_eagerly
    ):
        return DirectCall(step, model.jit_compile, otherwise)
    return otherwise
