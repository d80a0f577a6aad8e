"""The monitors as people use them: own train steps, copies, frozen and nested parts."""

import copy
import pickle

import keras
import numpy as np
import pytest
from keras import layers

from dlkeras.callbacks import ActivationMonitor, GradientNormMonitor

BACKEND = keras.backend.backend()
X = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")


class Conditional(keras.Sequential):
    """Updates the weights inside of a conditional, as those who skip bad batches do."""

    def conditional(self, condition, update):
        raise NotImplementedError

    if BACKEND == "jax":

        def train_step(self, state, data):
            import jax

            trainable, others, optimizer, metrics = state
            x, y = data[:2]
            gradient = jax.value_and_grad(self.compute_loss_and_updates, has_aux=True)
            (loss, (_, _, others, metrics)), grads = gradient(
                trainable, others, metrics, x, y, None,
                training=True, optimizer_variables=optimizer,
            )  # fmt: skip

            def update():
                new = self.optimizer.stateless_apply(optimizer, grads, trainable)
                return tuple(map(list, new))

            trainable, optimizer = self.conditional(
                loss < 1e9, update, lambda: (list(trainable), list(optimizer))
            )
            return {"loss": loss}, (trainable, others, optimizer, metrics)

    elif BACKEND == "tensorflow":

        def train_step(self, data):
            import tensorflow as tf

            x, y = data
            with tf.GradientTape() as tape:
                loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            grads = tape.gradient(loss, self.trainable_variables)

            def update():
                self.optimizer.apply(grads, self.trainable_variables)
                return 1

            self.conditional(loss < 1e9, update, lambda: 0)
            return {"loss": loss}


class KerasConditional(Conditional):
    def conditional(self, condition, update, otherwise):
        return keras.ops.cond(condition, update, otherwise)


class BackendConditional(Conditional):
    def conditional(self, condition, update, otherwise):
        if BACKEND == "jax":
            import jax

            return jax.lax.cond(condition, update, otherwise)
        import tensorflow as tf

        return tf.cond(condition, update, otherwise)


class CompiledByItself(keras.Sequential):
    """A train step with a decorator, as in many tutorials."""

    def train_step(self, *args):
        if BACKEND == "jax":
            import jax

            return jax.jit(lambda *a: keras.Sequential.train_step(self, *a))(*args)
        import tensorflow as tf

        if not hasattr(self, "compiled_step"):
            self.compiled_step = tf.function(super().train_step)
        return self.compiled_step(*args)


def fitted(kind, *callbacks, **options):
    keras.utils.set_random_seed(0)
    model = kind([keras.Input((4,)), layers.Dense(3, "tanh"), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse", **options)
    model.fit(X, X[:, :1], batch_size=8, epochs=2, verbose=0, callbacks=callbacks)
    return model.get_weights()


UPDATES = [
    (KerasConditional, "auto", {}),
    (BackendConditional, 1, {}),
    (BackendConditional, 1, {"steps_per_execution": 2}),
    (CompiledByItself, 1, {}),
]
if BACKEND == "tensorflow":
    UPDATES.append((KerasConditional, 1, {"jit_compile": True}))


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch traces nothing")
@pytest.mark.parametrize(("kind", "frequency", "options"), UPDATES)
def test_an_update_from_which_nothing_can_leave_trains_on_and_is_told(
    kind, frequency, options, capsys
):
    monitor = GradientNormMonitor(frequency, on_finding=None)
    watched = fitted(kind, monitor, **options)
    assert "inside of a conditional or of a function that is" in monitor.reason
    assert capsys.readouterr().out.count("measures nothing") == 1
    assert len(monitor.history) == 0
    for ours, plain in zip(watched, fitted(kind, **options), strict=True):
        np.testing.assert_array_equal(ours, plain)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a graph that TensorFlow keeps")
def test_a_step_that_was_compiled_before_the_monitor_came_is_told_too():
    model = CompiledByItself([keras.Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    monitor = GradientNormMonitor(1, on_finding=None)
    model.fit(X, X[:, :1], verbose=0)
    model.fit(X, X[:, :1], verbose=0, callbacks=[monitor])
    assert "or inside of a function that had been compiled before" in monitor.reason


@pytest.mark.parametrize(
    "kind",
    [keras.Sequential] + [BackendConditional] * (BACKEND == "tensorflow"),
)
def test_eager_steps_are_measured_even_inside_of_a_conditional(kind):
    monitor = GradientNormMonitor(1, on_finding=None)
    fitted(kind, monitor, run_eagerly=True)
    assert monitor.reason is None and len(monitor.history) == 6


@pytest.mark.filterwarnings("ignore:The model does not have any trainable")
@pytest.mark.skipif(BACKEND == "torch", reason="Keras refuses: no gradient to compute")
def test_of_a_model_that_is_all_frozen_it_is_said_that_nothing_can_be_trained():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1, trainable=False)])
    model.compile("sgd", "mse")
    monitor = GradientNormMonitor(1, on_finding=None)
    model.fit(X, X[:, :1], verbose=0, callbacks=[monitor])
    assert monitor.reason.startswith("the model has no weights to train")


def test_a_frozen_layer_is_not_told_to_choose_another_initializer():
    frozen = layers.Dense(
        8,
        kernel_initializer=keras.initializers.RandomNormal(stddev=50, seed=0),
        trainable=False,
    )
    hidden = layers.Dense(8, kernel_initializer=keras.initializers.GlorotUniform(1))
    found = []
    for first in (frozen, layers.Dense.from_config(frozen.get_config())):
        first.trainable = first is not frozen
        model = keras.Sequential([keras.Input((4,)), layers.Rescaling(1.0), first])
        model.add(layers.LayerNormalization())
        model.add(layers.Dense.from_config(hidden.get_config()))
        model.add(layers.Dense(1))
        model.compile(keras.optimizers.SGD(1e-3), "mse")
        monitor = ActivationMonitor(X, on_finding=None)
        model.fit(X, X[:, :1], verbose=0, callbacks=[monitor])
        found.append({finding.name for finding in monitor.findings})
    assert found == [set(), {"poor_initialization"}]


def test_a_used_monitor_can_be_copied_and_pickled_and_its_copy_begins_anew():
    monitors = [
        GradientNormMonitor(1, on_finding=None),
        ActivationMonitor(X, on_finding=None),
    ]
    fitted(keras.Sequential, *monitors)
    for copied in (copy.deepcopy(monitors), pickle.loads(pickle.dumps(monitors))):
        np.testing.assert_array_equal(
            copied[0].history.values, monitors[0].history.values
        )
        np.testing.assert_array_equal(copied[1].history.mean, monitors[1].history.mean)
        fitted(keras.Sequential, *copied)
        assert copied[0].history.steps.tolist() == [1, 2, 3, 4, 5, 6]
        assert copied[1].history.epochs.tolist() == [0, 1, 2]
    assert len(monitors[0].history) == 6


def test_with_another_model_an_activation_monitor_begins_anew():
    monitor = ActivationMonitor(X, on_finding=None)
    for _ in range(2):
        fitted(keras.Sequential, monitor)
        assert monitor.history.epochs.tolist() == [0, 1, 2]


def test_keras_tuner_takes_used_monitors(tmp_path):
    tuner_of = pytest.importorskip("keras_tuner").RandomSearch

    def build(hyper):
        model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
        rate = hyper.Choice("rate", [0.1, 0.01])
        model.compile(keras.optimizers.SGD(rate), "mse")
        return model

    monitors = [GradientNormMonitor(1, on_finding=None), ActivationMonitor(X)]
    fitted(keras.Sequential, *monitors)
    tuner = tuner_of(build, "val_loss", max_trials=2, directory=tmp_path, seed=0)
    held_out = (X, X[:, :1])
    tuner.search(*held_out, validation_data=held_out, callbacks=monitors, verbose=0)
    states = {trial.status for trial in tuner.oracle.trials.values()}
    assert states == {"COMPLETED"}


@pytest.mark.parametrize(("rate", "expected"), [(0.0, {"one_answer"}), (0.5, set())])
def test_a_model_that_answers_one_class_for_every_example_is_told(rate, expected):
    keras.utils.set_random_seed(0)
    x = np.concatenate([X, X])  # 48 examples
    bias = keras.initializers.Constant([9.0, 0.0])
    last = layers.Dense(2, "softmax", bias_initializer=bias)
    model = keras.Sequential([keras.Input((4,)), last])
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy")
    monitor = ActivationMonitor(x, on_finding=None)
    model.fit(x, x[:, 0] > 0, epochs=4, verbose=0, callbacks=[monitor])
    assert {f.name for f in monitor.findings if f.severity != "note"} == expected


def test_a_dense_layer_over_a_sequence_is_measured():
    """TensorFlow forgets a part of its gradient's shape: (None, 5)."""
    inputs = keras.Input((4,), dtype="int32")
    x = layers.LayerNormalization()(layers.Embedding(9, 3)(inputs))
    x = layers.Dense(3, name="back")(layers.Dense(5, "gelu", name="wide")(x))
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(x)))
    model.compile("sgd", "mse")
    monitor = GradientNormMonitor(1, on_finding=None)
    tokens = np.arange(32).reshape(8, 4) % 9
    model.fit(tokens, X[:8, :1], verbose=0, callbacks=[monitor])
    assert monitor.reason is None
    assert monitor.history.layer("wide")["gradient_norm"][0] > 0


class Own(keras.Model):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x):
        return keras.ops.relu(self.inner(x))


def test_only_what_computes_in_its_own_call_is_called_blind():
    inner = keras.Sequential([layers.Dense(2), layers.Dense(1)], name="inner")
    for model, blind in (
        (keras.Sequential([keras.Input((4,)), inner]), 0),
        (Own(inner), 1),
    ):
        model.compile("sgd", "mse")
        monitor = ActivationMonitor(X, on_finding=None)
        model.fit(X, X[:, :1], verbose=0, callbacks=[monitor])
        assert len(monitor.blind) == blind
