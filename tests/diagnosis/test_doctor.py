"""TrainingDoctor: one line in a script, the same weights, one verdict."""

import copy

import keras
import numpy as np
import pytest
from keras import layers

from dlkeras.callbacks import TrainingDoctor

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


def test_used_again_or_copied_it_begins_anew():
    doctor = TrainingDoctor(1, on_finding=None)
    fitted(doctor, last=None, epochs=1)
    assert not doctor.diagnosis.healthy
    for one in (doctor, copy.deepcopy(doctor)):
        fitted(one)
        assert one.diagnosis.healthy, one.diagnosis.verdict


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
