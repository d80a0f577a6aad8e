"""A step is traced once where its variables are there, and trains to the same bits."""

import numpy as np
import pytest

from dlkeras.pipeline.tensorflow_import import keras, tf
from dlkeras.pipeline.training.network import make_variables

METRICS = {
    "accuracy": lambda: ["accuracy"],
    "macro F1": lambda: [keras.metrics.F1Score("macro", name="f1"), "accuracy"],
}


def fitted(metrics, weights, makes):
    """A training of two epochs: its weights, its logs, and how often it was traced."""
    traced = []

    class Counted(keras.layers.Dense):
        def call(self, inputs, training=None):
            traced.append(training)
            return super().call(inputs)

    random = np.random.default_rng(0)
    images = random.normal(size=(24, 5)).astype("float32")
    labels = np.eye(3, dtype="float32")[random.integers(0, 3, 24)]
    parts = (images, labels, np.ones(24, "float32"))[: 3 if weights else 2]
    batches = tf.data.Dataset.from_tensor_slices(parts).batch(10)
    keras.utils.set_random_seed(1)
    inputs = keras.Input((5,))
    model = keras.Model(inputs, Counted(3, activation="softmax")(inputs))
    model.compile("adam", "categorical_crossentropy", weighted_metrics=metrics)
    traced.clear()
    if makes:
        make_variables(model, batches)
    assert not traced
    history = model.fit(batches, epochs=2, shuffle=False, verbose=0).history
    variables = [*model.variables, *model.optimizer.variables]
    return [np.asarray(v).tobytes() for v in variables], history, traced.count(True)


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("name", list(METRICS))
def test_a_step_is_traced_once_and_learns_the_same(name, weights):
    learned, history, twice = fitted(METRICS[name](), weights, makes=False)
    same, same_history, once = fitted(METRICS[name](), weights, makes=True)
    assert (twice, once) == (2, 1)
    assert same == learned
    assert same_history == history
