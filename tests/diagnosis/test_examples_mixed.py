"""The answer to an example must not depend on the examples beside it."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from dlkeras.callbacks import TrainingDoctor
from dlkeras.diagnosis.checks import answers_of, mixes_examples

X = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
SEED = keras.random.SeedGenerator(1)


def net(*parts):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((6,)), layers.Dense(8, "relu"), *parts])


MIXING = {
    "a softmax over the batch": lambda: net(
        layers.Dense(3, lambda z: ops.softmax(z, axis=0))
    ),
    "a mean over the batch": lambda: net(
        layers.Lambda(lambda z: z - ops.mean(z, axis=0)), layers.Dense(3, "softmax")
    ),
}
APART = {
    "softmax": lambda: net(layers.Dense(3, "softmax")),
    "batch normalisation": lambda: net(layers.BatchNormalization(), layers.Dense(3)),
    "drawn by chance": lambda: net(
        layers.Lambda(lambda z: z + keras.random.normal(ops.shape(z), seed=SEED)),
        layers.Dense(3),
    ),
}


@pytest.mark.parametrize("name", MIXING)
def test_a_network_that_mixes_examples_is_told_so(name):
    model = MIXING[name]()
    change, spread = mixes_examples(model, X, answers_of(model, X))
    together = ops.convert_to_numpy(model(X))
    alone = ops.convert_to_numpy(model(X[:2]))
    assert change == pytest.approx(float(np.abs(together[:2] - alone).max()), abs=1e-6)
    assert change > 0.02 * spread
    model.compile("adam", "sparse_categorical_crossentropy")
    doctor = TrainingDoctor(1, on_finding=None)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[doctor])
    assert "examples_mixed" in [finding.name for finding in doctor.diagnosis.told]


@pytest.mark.parametrize("name", APART)
def test_a_network_that_keeps_them_apart_is_not(name):
    model = APART[name]()
    found = mixes_examples(model, X, answers_of(model, X))
    assert found is None or found[0] < 1e-5 * found[1]


def test_what_takes_no_two_examples_is_not_known():
    fixed = keras.Sequential([keras.Input(batch_shape=(32, 6)), layers.Dense(3)])
    assert mixes_examples(fixed, "no array", answers_of(fixed, "no array")) is None
