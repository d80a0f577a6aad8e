"""TrainingDoctor: one line in a script, the same weights, one verdict."""

import copy
import pickle

import keras
import numpy as np
import pytest
from keras import layers

from dlkeras.callbacks import TrainingDoctor
from dlkeras.diagnosis import check_training

RNG = np.random.default_rng(0)
X = RNG.normal(size=(128, 6)).astype("float32")
Y = (X @ RNG.normal(size=(6, 3))).argmax(1)
SPARSE = "sparse_categorical_crossentropy"


def fitted(*callbacks, last="softmax", epochs=6, y=Y, loss=SPARSE, **options):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(16, "relu"), layers.Dropout(0.1)]
    )
    model.add(layers.Dense(3, last, name="out"))
    model.compile(keras.optimizers.Adam(0.02), loss, metrics=["accuracy"])
    log = model.fit(X, y, epochs=epochs, verbose=0, callbacks=callbacks, **options)
    return model, log.history["loss"]


def test_a_healthy_training_hears_that_it_is_and_what_was_looked_at(capsys, tmp_path):
    doctor = TrainingDoctor(1, report=tmp_path / "page.html")
    watched, _ = fitted(doctor)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("TrainingDoctor: healthy: looked at the model (3 layers)")
    assert "128 examples of the inputs" in line and "6 epochs of the loss" in line
    plain, _ = fitted()
    for ours, theirs in zip(watched.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "healthy: looked at" in page and page.count("<svg") == 2


def test_a_fault_is_told_once_and_ends_the_training_where_asked(capsys):
    doctor = TrainingDoctor(1, "stop")
    _, losses = fitted(doctor, last=None)
    assert len(losses) == 1
    assert capsys.readouterr().out.count("from_logits=True") == 1
    told = []
    _, losses = fitted(TrainingDoctor(1, told.append), last=None, epochs=2)
    assert len(losses) == 2
    assert [f.name for f in told] == ["logits_without_from_logits"]


class Spoil(keras.callbacks.Callback):
    """Loses all weights after the second epoch."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            self.model.set_weights([w * np.nan for w in self.model.get_weights()])


def test_a_loss_that_is_no_number_any_more_ends_the_training_in_its_epoch(capsys):
    doctor = TrainingDoctor(1, "stop")
    _, losses = fitted(doctor, Spoil(), epochs=6)
    assert len(losses) == 3 and np.isnan(losses[-1])
    assert doctor.diagnosis.told[0].name == "non_finite"
    assert capsys.readouterr().out.count("non finite") == 1


def test_used_again_or_copied_it_begins_anew():
    doctor = TrainingDoctor(1, on_finding=None)
    fitted(doctor, last=None, epochs=1)
    assert not doctor.diagnosis.healthy
    pickled = pickle.loads(pickle.dumps(doctor))
    for one in (doctor, copy.deepcopy(doctor), pickled):
        fitted(one)
        assert one.diagnosis.healthy, one.diagnosis.verdict


def test_outputs_are_looked_at_first_and_last_and_between_as_time_allows():
    """A look takes longer than 0.3 % of thirty epochs of one step."""
    doctor = TrainingDoctor(on_finding=None)
    fitted(doctor, epochs=30, batch_size=128)
    epochs = doctor.activations.history.epochs
    assert epochs[:2].tolist() == [1, 2] and epochs[-1] == 30
    assert len(epochs) < 30
    every = TrainingDoctor(1, on_finding=None)
    fitted(every, epochs=5)
    assert every.activations.history.epochs.tolist() == [1, 2, 3, 4, 5]


def test_at_the_default_interval_the_first_steps_show_all_of_small_data():
    """The NaN is in the last of eight batches, which no rhythm would have measured."""
    doctor = TrainingDoctor(on_finding=None)
    fitted(doctor, batch_size=16, shuffle=False)
    assert "128 examples of the inputs" in doctor.diagnosis.checked
    y = np.where(np.arange(128) == 120, np.nan, X[:, 0])[:, None]
    doctor = TrainingDoctor(on_finding=None)
    options = {"batch_size": 16, "shuffle": False, "epochs": 2}
    fitted(doctor, last=None, loss="mse", y=y, **options)
    assert doctor.diagnosis.told[0].name == "non_finite_labels"


def test_where_the_loss_is_lost_later_data_are_searched_for_the_reason():
    """By hand: 16 steps of 4 show 64 examples of 512; the NaN is in example 500."""
    x = np.concatenate([X] * 4) + np.arange(512, dtype="float32")[:, None] / 512
    x[500, 2] = np.nan
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3, "softmax")])
    model.compile("adam", SPARSE)
    doctor = TrainingDoctor(on_finding=None)
    options: dict = {"batch_size": 4, "shuffle": False, "verbose": 0, "epochs": 2}
    model.fit(x, np.tile(Y, 4), callbacks=[doctor], **options)
    assert doctor.diagnosis.told[0].name == "non_finite_inputs"
    assert "columns [2]" in doctor.diagnosis.told[0].evidence


def test_of_large_inputs_a_few_are_kept_and_all_of_their_labels():
    """By hand: 2,000,000 numbers are 20 inputs of 100,000."""
    x = RNG.normal(size=(32, 100_000)).astype("float32")
    model = keras.Sequential([keras.Input((100_000,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    doctor = TrainingDoctor(1, on_finding=None)
    model.fit(x, x[:, :1], batch_size=8, verbose=0, callbacks=[doctor])
    inputs, labels, *_ = doctor._data
    assert inputs[0].shape == (20, 100_000) and labels.values.shape == (32, 1)
    assert len(doctor.activations.probe) == 20


def test_the_monitors_within_have_their_findings_at_the_end():
    doctor = TrainingDoctor(1, on_finding=None)
    fitted(doctor, Spoil(), epochs=4)
    assert "non_finite" in {finding.name for finding in doctor.gradients.findings}
    assert "non_finite" in {finding.name for finding in doctor.activations.findings}


def test_data_sets_and_weighted_samples_are_looked_at():
    tf = pytest.importorskip("tensorflow")
    data = tf.data.Dataset.from_tensor_slices((X, Y, np.ones(128))).batch(32)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3, "relu", name="out")])
    model.compile("adam", SPARSE)
    doctor = TrainingDoctor(1, on_finding=None)
    model.fit(data, shuffle=False, verbose=0, callbacks=[doctor])
    assert doctor.diagnosis.findings[0].name == "relu_output"
    assert "their labels (classes)" in doctor.diagnosis.checked


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras refuses it")
def test_where_the_data_do_not_pass_by_the_gradients_are_judged_alone():
    doctor = TrainingDoctor(1, on_finding=None)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3, "softmax")])
    model.compile(keras.optimizers.Adam(0.02), SPARSE, steps_per_execution=2)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[doctor])
    assert doctor.activations is None and doctor.diagnosis.healthy
    assert "gradients of 4 steps" in doctor.diagnosis.verdict
    assert "Not looked at: the data" in doctor.diagnosis.verdict


class Drawn(layers.Layer):
    """Adds noise in every pass, as Monte Carlo dropout and samplers do."""

    def __init__(self, seeded=True, **options):
        super().__init__(**options)
        self.seeds = keras.random.SeedGenerator(7) if seeded else None

    def build(self, shape):
        self.passes = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, inputs):
        self.passes.assign(self.passes + 1)
        noise = keras.random.normal(keras.ops.shape(inputs), seed=self.seeds)
        return inputs + 0.1 * noise


def sampling(seeded=True):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, "relu"), Drawn(seeded), layers.Dense(3)]
    )
    # Eagerly: Keras on JAX and a compiled step refuse Keras's own seed.
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, run_eagerly=not seeded)
    return model


@pytest.mark.parametrize(
    "seeded",
    [
        True,
        pytest.param(
            False,
            marks=pytest.mark.skipif(
                keras.backend.backend() == "jax", reason="Keras on JAX refuses it"
            ),
        ),
    ],
)
def test_layers_that_draw_at_inference_train_bit_for_bit_as_without(seeded):
    def trained(*callbacks):
        model = sampling(seeded)
        model.fit(X, Y, epochs=3, verbose=0, callbacks=callbacks)
        return model.get_weights()

    doctor = TrainingDoctor(on_finding=None, validation_data=(X, Y))
    for ours, theirs in zip(trained(doctor), trained(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert doctor.diagnosis.checked


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras on PyTorch cannot train it"
)
def test_a_stateful_recurrent_layer_goes_on_where_it_was():
    x = np.random.default_rng(0).normal(size=(64, 5, 6)).astype("float32")

    def trained(*callbacks):
        keras.utils.set_random_seed(0)
        parts = [layers.GRU(4, stateful=True), layers.Dense(1)]
        model = keras.Sequential([keras.Input((5, 6), batch_size=32), *parts])
        model.compile("adam", "mse")
        options: dict = {"batch_size": 32, "shuffle": False, "verbose": 0}
        model.fit(x[:32], x[:32, 0, :1], epochs=3, callbacks=callbacks, **options)
        return [*model.get_weights(), np.array(parts[0].states[0])], model

    doctor = TrainingDoctor(on_finding=None)
    (watched, model), (plain, _) = trained(doctor), trained()
    check_training(model, x[:32], x[:32, 0, :1])
    watched[-1] = np.array(model.layers[0].states[0])
    for ours, theirs in zip(watched, plain, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert doctor.activations.reason is None


def test_check_training_leaves_states_and_seeds_as_they_were():
    model = sampling()
    before = [np.array(v) for v in model.variables]
    for _ in range(2):  # the second time the answers are the same
        assert check_training(model, X, Y).healthy
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(np.array(variable), value)
    keras.utils.set_random_seed(0)
    fresh = np.array(keras.random.normal((3,)))
    keras.utils.set_random_seed(0)
    # Not built yet: built by shapes, and no pass is counted.
    unbuilt = keras.Sequential([Drawn(seeded=False), layers.Dense(3)])
    unbuilt.compile("adam", "mse")
    check_training(unbuilt, X, X[:, :3])
    keras.utils.set_random_seed(0)
    check_training(unbuilt, X, X[:, :3])
    assert float(unbuilt.layers[0].passes) == 0
    np.testing.assert_array_equal(np.array(keras.random.normal((3,))), fresh)


def test_validation_data_are_read_once_and_no_fault_in_them_ends_a_training():
    batches = ((x, y) for x, y in [(255 * X, Y)])
    doctor = TrainingDoctor(1, on_finding=None, validation_data=batches)
    fitted(doctor, epochs=2)
    names = [finding.name for finding in doctor.diagnosis.findings]
    assert "validation_of_another_scale" in names
    for broken in (iter(()), (x for x in [None]), 3):
        doctor = TrainingDoctor(1, on_finding=None, validation_data=broken)
        fitted(doctor, epochs=2)
        assert doctor.diagnosis.checked


def test_what_labels_say_of_a_loss_is_told_without_its_opposite():
    several = np.random.default_rng(1).integers(0, 2, (128, 3))
    doctor = TrainingDoctor(1, on_finding=None)
    loss = "categorical_crossentropy"
    fitted(doctor, last="sigmoid", y=several, loss=loss, epochs=2)
    names = [finding.name for finding in doctor.diagnosis.findings]
    assert names[0] == "categorical_crossentropy_for_several_labels"
    assert "sigmoid_with_categorical_crossentropy" not in names
