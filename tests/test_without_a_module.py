"""Layers and models that `exec` made have functions without a module, and work."""

import keras
import numpy as np
import pytest

from dlkeras.architectures.costs import model_multiply_adds
from dlkeras.callbacks import ActivationMonitor, GradientNormMonitor, TrainingDoctor
from dlkeras.pipeline.configuration.references import find, refer
from dlkeras.testing import check_layer
from dlkeras.visualization import architecture_diagram

TYPED = """
@keras.saving.register_keras_serializable("typed")
class Half(keras.layers.Layer):
    def call(self, inputs):
        return inputs / 2


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.half = Half()
        self.top = keras.layers.Dense(3, activation="softmax")

    def call(self, inputs):
        return self.top(self.half(inputs))

    def train_step(self, *args):
        return super().train_step(*args)


def loss(labels, outputs):
    return keras.losses.sparse_categorical_crossentropy(labels, outputs)
"""


@pytest.fixture
def typed():
    """What a page's example, a console or `exec` defines: `__module__` is None."""
    names = {"keras": keras}
    exec(TYPED, names)
    assert names["Half"].call.__module__ is None
    return names


def test_a_layer_conforms(typed):
    assert {"config", "empty_batch", "save"} <= set(
        check_layer(typed["Half"], {}, (4,))
    )


@pytest.mark.parametrize(
    "monitor", [ActivationMonitor, GradientNormMonitor, TrainingDoctor]
)
def test_a_model_is_watched(typed, monitor):
    x, y = np.ones((8, 4), "float32"), np.arange(8) % 3
    callback = monitor(x) if monitor is ActivationMonitor else monitor()
    model = typed["Net"]()
    model.compile("sgd", typed["loss"])
    found = model.fit(x, y, batch_size=4, epochs=2, verbose=0, callbacks=[callback])
    assert np.isfinite(found.history["loss"]).all()


def test_a_model_is_drawn_and_counted(typed, tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3)(typed["Half"]()(inputs)))
    assert model_multiply_adds(model) == 12
    architecture_diagram(model).savefig(tmp_path / "a.png")


def test_the_pipeline_finds_it_again(typed):
    assert find(refer(typed["loss"], "loss"), "--trainer.loss") is typed["loss"]
