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


def answers(model):
    """Return two images, and what the network says to them."""
    images = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:]))
    images = images.astype("float32")
    return images, model.predict(images, verbose=0)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="SavedModel is TensorFlow's"
)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_saved_model_answers_as_the_network(name, tmp_path):
    import tensorflow as tf

    model = NETWORKS[name]()
    model.export(tmp_path / "model", verbose=False)
    images, expected = answers(model)
    served = tf.saved_model.load(tmp_path / "model")
    assert np.allclose(served.serve(images), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="it converts TensorFlow's graph"
)
@pytest.mark.parametrize("name", NETWORKS)
def test_an_onnx_file_answers_as_the_network(name, tmp_path):
    pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    model = NETWORKS[name]()
    file = tmp_path / "model.onnx"
    images, expected = answers(model)  # Keras exports what was called once
    model.export(file, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {session.get_inputs()[0].name: images})
    assert np.allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="it converts TensorFlow's graph"
)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_litert_file_answers_as_the_network(name, tmp_path):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    model = NETWORKS[name]()
    file = tmp_path / "model.tflite"
    model.export(file, format="litert", verbose=False)
    images, expected = answers(model)
    runner = interpreter.Interpreter(str(file))
    (given,), (told,) = runner.get_input_details(), runner.get_output_details()
    runner.resize_tensor_input(given["index"], images.shape)
    runner.allocate_tensors()
    runner.set_tensor(given["index"], images)
    runner.invoke()
    got = runner.get_tensor(told["index"])
    assert np.allclose(got, expected, rtol=1e-5, atol=1e-6)
