"""Measured steps in TensorFlow are called directly, and nobody sees a difference."""

import gc
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from test_gradient_norm import BACKEND, data, mlp

from dlkeras.callbacks import GradientNormMonitor

if BACKEND != "tensorflow":
    pytest.skip("only TensorFlow's steps are called so", allow_module_level=True)

import tensorflow as tf


def quiet():
    return GradientNormMonitor(1, on_finding=None)


def call_of(monitor) -> Any:
    return monitor._attachment._measured


def fitted(*callbacks, model: Any = None, x=None, y=None, fit=None, **options):
    """A small training from the same seed each time, and its history."""
    keras.utils.set_random_seed(0)
    model = model() if model is not None else mlp()
    known = data()
    x, y = (known[0] if x is None else x), (known[1] if y is None else y)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, **options)
    arguments = {"batch_size": 8, "epochs": 2, "shuffle": False} | (fit or {})
    history = model.fit(x, y, verbose=0, callbacks=list(callbacks), **arguments)
    return model, history.history


def expected():
    monitor = quiet()
    direct = Direct(monitor)
    fitted(monitor, direct)
    assert direct.seen == [True] * 6
    return monitor.history.values


class Direct(keras.callbacks.Callback):
    """Notes of each step whether it is called directly, and what callbacks see."""

    def __init__(self, monitor=None):
        super().__init__()
        self.monitor, self.seen, self.logs = monitor, [], []

    def on_train_batch_end(self, batch, logs=None):
        if self.monitor is not None:
            self.seen.append(getattr(call_of(self.monitor), "direct", False))
        self.logs.append(tf.nest.map_structure(float, logs))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_every_measured_step_is_called_directly(jit_compile):
    monitor = quiet()
    direct = Direct(monitor)
    fitted(monitor, direct, jit_compile=jit_compile)
    assert direct.seen == [True] * 6
    assert monitor.history.steps.tolist() == [1, 2, 3, 4, 5, 6]


class Nested(keras.Sequential):
    """A custom `train_step` whose logs have logs in them."""

    def train_step(self, data):
        logs = super().train_step(data)
        return {"z": logs["loss"] * 2, "some": {"b": logs["loss"], "a": 1.0}, **logs}


def test_callbacks_see_the_logs_of_a_plain_step():
    def model():
        return Nested(mlp().layers)

    seen = []
    for monitor in ([], [quiet()]):
        direct = Direct(*monitor)
        # Of logs within logs Keras can print nothing, and keep nothing of an epoch.
        fitted(*monitor, direct, model=model, fit={"epochs": 1})
        seen.append(direct.logs)
    assert direct.seen == [True] * 3
    assert seen[0] == seen[1] and [*seen[0][0]] == [*seen[1][0]]


class OwnTrainFunction(keras.Sequential):
    """A model that puts something of its own around Keras's train function."""

    calls = 0

    def make_train_function(self, force=False):
        super().make_train_function(force)
        inner = self.train_function

        def train_function(iterator):
            type(self).calls += 1
            return inner(iterator)

        self.train_function = train_function


def test_a_train_function_that_is_not_kerass_is_called_as_it_is():
    monitor = quiet()
    OwnTrainFunction.calls = 0
    fitted(monitor, model=lambda: OwnTrainFunction(mlp().layers))
    assert not hasattr(call_of(monitor), "direct")
    assert OwnTrainFunction.calls >= 6
    np.testing.assert_array_equal(monitor.history.values, expected())


def test_eager_steps_are_called_as_keras_calls_them():
    monitor = quiet()
    fitted(monitor, run_eagerly=True)
    assert not hasattr(call_of(monitor), "direct")
    np.testing.assert_allclose(monitor.history.values, expected(), rtol=1e-5)


@pytest.mark.filterwarnings("ignore:Even though the .tf.config")
def test_functions_that_run_eagerly_are_called_as_keras_calls_them():
    monitor = quiet()
    direct = Direct(monitor)
    tf.config.run_functions_eagerly(True)
    try:
        fitted(monitor, direct)
    finally:
        tf.config.run_functions_eagerly(False)
    assert direct.seen == [False] * 6
    np.testing.assert_allclose(monitor.history.values, expected(), rtol=1e-5)


def test_several_steps_at_once_are_called_as_keras_calls_them():
    monitor = quiet()
    fitted(monitor, steps_per_execution=2)
    assert not hasattr(call_of(monitor), "direct")
    assert monitor.history.steps.tolist() == [2, 3, 5, 6]


@pytest.mark.parametrize("within", [True, False])
def test_a_strategys_steps_are_called_as_keras_calls_them(within):
    strategy, monitor = tf.distribute.OneDeviceStrategy("/cpu:0"), quiet()

    def model():
        with strategy.scope():
            return mlp()

    if within:
        with strategy.scope():
            fitted(monitor, model=model)
    else:
        fitted(monitor, model=model)
    assert not hasattr(call_of(monitor), "direct")
    np.testing.assert_allclose(monitor.history.values, expected(), rtol=1e-5)


def test_inputs_that_may_be_none_are_called_as_keras_calls_them():
    class Maybe(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3)

        def call(self, inputs):
            return self.dense(inputs[0])

    monitor = quiet()
    direct = Direct(monitor)
    x, y = data()

    def batches():
        for start in range(0, 24, 8):
            yield (x[start : start + 8], None), y[start : start + 8]

    model: Any = Maybe()
    model.compile("sgd", "sparse_categorical_crossentropy")
    options = {"steps_per_epoch": 3, "shuffle": False, "verbose": 0}
    model.fit(batches(), callbacks=[monitor, direct], **options)
    assert direct.seen == [False] * 3 and len(monitor.history) == 3


def test_data_of_another_type_and_shape_are_measured_too():
    monitor, (x, y) = quiet(), data()
    direct = Direct(monitor)
    model: Any = fitted(monitor, direct)[0]
    x, y = x[:20].astype("float16"), y[:20, None]
    model.fit(x, y, batch_size=6, verbose=0, callbacks=[monitor, direct])
    assert direct.seen == [True] * 10 and len(monitor.history) == 10
    assert np.isfinite(monitor.history.gradient_norm).all()


def batches(number):
    x, y = data()
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(8).repeat().take(number)


@pytest.mark.parametrize("steps", [None, 9])
@pytest.mark.filterwarnings("ignore:.*ran out of data")
def test_data_may_end_when_they_like(steps):
    """Of unknown length, or with fewer batches than were promised."""
    found = []
    for monitor in ([], [quiet()]):
        known = batches(7)
        if steps is None:
            known = known.filter(lambda x, y: True)
        keras.utils.set_random_seed(0)
        model: Any = mlp()
        model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        options = {"epochs": 2, "steps_per_epoch": steps, "shuffle": False}
        model.fit(known, verbose=0, callbacks=monitor, **options)
        found.append([w.numpy() for w in model.weights + model.optimizer.variables])
    # Where its length is not known, Keras's optimizer counts the end of the data, too.
    assert len(monitor[0].history) == 14
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_iterator_is_not_held_once_keras_has_done_with_it():
    monitor = quiet()
    fitted(monitor)
    gc.collect()
    assert call_of(monitor)._bound_to() is None
    assert call_of(monitor)._inputs == [] and not call_of(monitor).direct


def test_an_error_in_a_step_is_the_plain_steps_error():
    _, y = data()
    y = np.where(np.arange(len(y)) == 17, 99, y)
    errors, kept = [], []
    for monitor in ([], [quiet()]):
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            fitted(*monitor, y=y)
        errors.append(str(caught.value).split("label value of 99")[1].split("[[")[0])
        kept = monitor
    assert errors[0] == errors[1]
    assert len(kept[0].history) == 2  # the third batch has it
    model = kept[0].model
    assert "dlkeras" not in model.train_function.__module__


def test_where_tensorflow_has_no_such_call_keras_calls_the_step(monkeypatch):
    concrete = type(tf.function(lambda: 1).get_concrete_function())
    monkeypatch.delattr(concrete, "inference_fn")
    monitor = quiet()
    direct = Direct(monitor)
    fitted(monitor, direct)
    assert direct.seen == [False] * 6
    monkeypatch.undo()
    np.testing.assert_array_equal(monitor.history.values, expected())


def test_the_undocumented_call_was_seen_with_this_version_of_tensorflow():
    """A canary: without the name all goes on, more slowly (the test above)."""
    seen_with = ("2.21",)
    assert tf.__version__.startswith(seen_with), "look whether the call is still direct"
    concrete = tf.function(lambda: tf.constant(1)).get_concrete_function()
    assert callable(concrete.inference_fn.call_preflattened)
