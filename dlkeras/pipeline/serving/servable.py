"""The forms in which a model is served: how each is written, and how each is called.

The `.keras` file and the SavedModel take raw uint8 images of any size; the SavedModel
has a second signature that takes files of images, each of any size. ONNX and LiteRT
hold the network alone, since their runtimes have no antialiased resizing: they take
what the preprocessing gives, float32 `(1, height, width, channels)`.
"""

import importlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkeras.judging.uncertainty import SMALLEST
from dlkeras.pipeline.examples.decoding import decode_in_graph
from dlkeras.pipeline.store.errors import InputError, reason
from dlkeras.pipeline.store.publishing import file_digest

if TYPE_CHECKING:
    import keras

KERAS, SAVED_MODEL, ONNX, LITERT = "keras", "saved_model", "onnx", "litert"
FILES = {
    KERAS: "model.keras",
    SAVED_MODEL: "saved_model",
    ONNX: "network.onnx",
    LITERT: "network.tflite",
}
RUNTIMES = {ONNX: "onnxruntime", LITERT: "ai_edge_litert"}
# A second signature of the SavedModel: `{"b64": ...}` for TensorFlow Serving's REST.
FILE_SIGNATURE, FILE_INPUT = "image_files", "image_bytes"
TAKES_RAW_IMAGES = frozenset({KERAS, SAVED_MODEL})
# Real images, raw and prepared, and the probabilities of the trainer's model.
QUESTIONS = "questions.npz"


def serving_model(
    preprocessing: "keras.Model", network: "keras.Model", name: str
) -> "keras.Model":
    """Join two models: raw uint8 image in, class probabilities out.

    Args:
        preprocessing: `(batch, height, width, channels)` uint8 to the network's input.
        network: to `(batch, classes)` probabilities.
        name: name of the joined model; characters that Keras does not take are `_`.
    """
    from dlkeras.pipeline.tensorflow_import import keras

    image = preprocessing.inputs[0]
    allowed = "".join(c if c.isalnum() or c == "_" else "_" for c in name)
    # Keras's resizing takes itself to be in training unless told otherwise, and the
    # batch normalisations behind it would follow: `model(image)` would train them.
    inputs = preprocessing(image, training=False)
    return keras.Model(image, network(inputs, training=False), name=allowed)


def with_temperature(network: "keras.Model", temperature: float) -> "keras.Model":
    """Divide the logits of a classifier by a temperature; 1 leaves it as it is.

    Args:
        network: to `(batch, classes)` probabilities, softmax(z), which count as 1e-30
            where they are less.
        temperature: T.

    Returns:
        The network to softmax(z / T), of Keras's own layers and operations.

    Reference:
        Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    if temperature == 1:
        return network
    from dlkeras.pipeline.tensorflow_import import keras

    (probabilities,) = network.outputs
    x = keras.ops.cast(probabilities, "float32")
    x = keras.ops.log(keras.ops.maximum(x, SMALLEST))
    x = keras.layers.Rescaling(1 / temperature, dtype="float32", name="calibration")(x)
    x = keras.layers.Softmax(dtype="float32", name="calibrated")(x)
    return keras.Model(network.inputs[0], x, name=network.name)


def write_form(
    form: str,
    folder: Path,
    served: "keras.Model",
    network: "keras.Model",
    output: str = "probabilities",
) -> None:
    """Write one form of a model into a folder, under its name in `FILES`.

    Args:
        form: "keras", "saved_model", "onnx" or "litert".
        folder: where to.
        served: raw images to probabilities.
        network: preprocessed images to probabilities.
        output: name of the output of a SavedModel.

    Raises:
        InputError: a package that the form needs is not installed.
    """
    from dlkeras.pipeline.tensorflow_import import keras, tf

    path = folder / FILES[form]
    if form == KERAS:
        served.save(path)
        return
    if form == SAVED_MODEL:
        # Kept as an attribute of what is saved: its variables are the model's.
        module = tf.Module()
        module.model = served
        channels = served.input_shape[-1]
        image = tf.TensorSpec((None, None, None, channels), tf.uint8, "image")
        serve = tf.function(lambda image: {output: served(image)})
        module.serve = serve
        module.serve_files = _files_function(served, output)
        files = tf.TensorSpec((None,), tf.string, FILE_INPUT)
        signatures = {
            "serving_default": serve.get_concrete_function(image),
            FILE_SIGNATURE: module.serve_files.get_concrete_function(files),
        }
        tf.saved_model.save(module, str(path), signatures=signatures)
        return
    shape = (1, *network.input_shape[1:])
    signature = [keras.InputSpec(shape=shape, dtype="float32", name="image")]
    try:
        importlib.import_module(RUNTIMES[form])  # without it, nothing could be tried
        with warnings.catch_warnings():  # its packages speak of numpy's future
            warnings.simplefilter("ignore")
            network.export(
                str(path), format=form, verbose=False, input_signature=signature
            )
    except ImportError as error:
        raise InputError(
            f"--infra-validator.{form}: expected the packages of this form "
            f"(pip install 'dlkeras[{form}]'); {reason(error)}"
        ) from error


def _files_function(served: "keras.Model", output: str) -> Any:
    """A function of the contents of JPEG and PNG files, for TensorFlow Serving."""
    from dlkeras.pipeline.tensorflow_import import tf

    channels = served.input_shape[-1]
    answered = tf.TensorSpec(served.output_shape[1:], tf.float32)

    def one(content: Any) -> Any:
        pixels = decode_in_graph(content, channels)
        return tf.cast(served(pixels[None])[0], tf.float32)

    return tf.function(
        lambda files: {
            output: tf.map_fn(one, files, fn_output_signature=answered),
        }
    )


def digests(folder: Path, form: str) -> dict[str, str]:
    """SHA-256 of each file of a form, by its name below the folder."""
    path = folder / FILES[form]
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {
        file.relative_to(folder).as_posix(): file_digest(file)
        for file in files
        if file.is_file()
    }


def load_form(form: str, folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Load one form as a function of a batch of images to `(batch, classes)`.

    The images are raw for the forms of `TAKES_RAW_IMAGES`, preprocessed for the others.
    """
    path = folder / FILES[form]
    if form == ONNX:
        import onnxruntime  # pyright: ignore[reportMissingImports]

        session = onnxruntime.InferenceSession(str(path))
        name = session.get_inputs()[0].name
        return lambda images: np.asarray(session.run(None, {name: images})[0])
    from dlkeras.pipeline.tensorflow_import import keras, tf

    if form == KERAS:
        model = keras.saving.load_model(path)
        return lambda images: np.asarray(model(images))
    if form == SAVED_MODEL:
        serve = tf.saved_model.load(str(path)).signatures["serving_default"]
        (output,) = serve.structured_outputs
        return lambda images: np.asarray(serve(tf.constant(images))[output])
    return _litert(path)


def _litert(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    from ai_edge_litert.interpreter import (  # pyright: ignore[reportMissingImports]
        Interpreter,
    )

    interpreter: Any = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    taken = interpreter.get_input_details()[0]["index"]
    given = interpreter.get_output_details()[0]["index"]

    def answer(images: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(taken, images)
        interpreter.invoke()
        return np.array(interpreter.get_tensor(given))

    return answer
