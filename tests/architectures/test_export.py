"""An exported network answers as the network does, without dlkeras."""

import keras
import numpy as np
import pytest

from dlkeras.architectures import alexnet, googlenet, lenet5, resnet20

SLIM = {"num_classes": 3, "width_multiplier": 0.0625}
NETWORKS = {
    "lenet5-1998": lambda: lenet5(version="1998"),
    "alexnet": lambda: alexnet((67, 67, 3), **SLIM),
    "googlenet": lambda: googlenet((65, 65, 3), auxiliary=True, **SLIM),
    "resnet20": lambda: resnet20(version="v2", **SLIM),
}


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="SavedModel is TensorFlow's"
)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_saved_model_answers_as_the_network(name, tmp_path):
    import tensorflow as tf

    model = NETWORKS[name]()
    model.export(tmp_path / "model", verbose=False)
    images = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:]))
    images = images.astype("float32")
    expected = model.predict(images, verbose=0)
    served = tf.saved_model.load(tmp_path / "model")
    assert np.allclose(served.serve(images), expected, rtol=1e-5, atol=1e-6)
