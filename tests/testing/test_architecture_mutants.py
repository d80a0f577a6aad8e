"""`check_architecture` passes a healthy model and names what broken ones do."""

import re

import keras
import numpy as np
import pytest
from keras import layers, ops

from dlkeras.testing import check_architecture

SHAPE = (3, 8, 8, 2)


def healthy(filters=4, size=None, sizes=()):
    del sizes
    x = image = keras.Input((size, size, 2), name="image")
    x = layers.Conv2D(filters, 3, activation="tanh", name="convolution")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(3, name="classifier")(x), name="healthy")


def wrap(tail, name="mutant"):
    """Return a builder that puts `tail` behind the healthy model's output."""

    def build(filters=4, sizes=()):
        model = healthy(filters, sizes=sizes)
        return keras.Model(model.input, tail(model.output), name=name)

    build.__name__ = getattr(tail, "__name__", name)
    return build


def changes_its_argument(filters=4, sizes=()):
    sizes.append(filters)
    return healthy(filters)


def not_a_model(filters=4, sizes=()):
    return healthy(filters).output


def no_name(filters=4, sizes=()):
    model = healthy(filters)
    return keras.Model(model.input, model.output)


def automatic_layer_names(x):
    return layers.Dense(3)(x)


def fixed_size(filters=4, sizes=()):
    return healthy(filters, size=8)


def fixed_batch(filters=4, sizes=()):
    image = keras.Input(batch_shape=(3, None, None, 2), name="image")
    return keras.Model(image, healthy(filters)(image), name="fixed_batch")


def not_finite(x):
    return layers.Rescaling(float("inf"), name="rescaling")(x)


def unseeded(filters=4, sizes=()):
    model = healthy(filters)
    kernel = model.get_layer("classifier").kernel
    kernel.assign(np.random.default_rng().normal(size=tuple(kernel.shape)))
    return model


def idle_weights(filters=4, sizes=()):
    model = healthy(filters)
    idle = layers.Dense(3, name="idle")(ops.stop_gradient(model.output))
    dead = layers.Rescaling(0.0, name="dead")(idle)
    y = layers.Add(name="sum")([model.output, dead])
    return keras.Model(model.input, y, name="idle_weights")


def fixed_dtype(filters=4, sizes=()):
    image = keras.Input((None, None, 2), name="image")
    x = layers.Conv2D(filters, 3, dtype="float32", name="convolution")(image)
    x = layers.GlobalAveragePooling2D(dtype="float32", name="pool")(x)
    return keras.Model(image, x, name="fixed_dtype")


class Unregistered(layers.Layer):
    def call(self, inputs):
        return inputs + 1

    def compute_output_shape(self, input_shape):
        return input_shape


def unregistered_layer(x):
    return Unregistered(name="unregistered")(x)


MUTANTS = [
    (changes_its_argument, r"model: the function changes its argument `sizes`"),
    (no_name, r"model: the model has the automatic name 'functional"),
    (wrap(automatic_layer_names), r"names: names change .*\(dense.* is dense_\d+\)"),
    (fixed_size, r"size: the input \(None, 8, 8, 2\) fixes the axes \[1, 2\]"),
    (fixed_batch, r"outputs: the model fixes the batch: its output is \(3, 3\)"),
    (wrap(not_finite), r"outputs: the outputs of a new model are not finite"),
    (unseeded, r"seed: under one seed `classifier/kernel` starts with other values"),
    (idle_weights, r"gradients: no gradient reaches the weights \['idle/kernel'"),
    (fixed_dtype, r"mixed_precision: no layer of the model computes in bfloat16"),
    (wrap(unregistered_layer), r"save: the saved model cannot be loaded again"),
]


def test_a_healthy_architecture_passes_every_check():
    parameters = (3 * 3 * 2 + 1) * 4 + (4 + 1) * 3
    passed = check_architecture(
        healthy, {"filters": 4}, SHAPE, parameters=parameters, dynamic_axes=(1, 2)
    )
    assert len(passed) == 10


@pytest.mark.parametrize(
    ("build", "message"), MUTANTS, ids=lambda value: getattr(value, "__name__", "")
)
def test_mutant_is_caught_by_name(build, message):
    with pytest.raises(AssertionError) as caught:
        init = {"filters": 4, "sizes": [1]}
        only = [message.split(":")[0]]
        check_architecture(build, init, SHAPE, dynamic_axes=(1, 2), only=only)
    text = str(caught.value)
    assert text.startswith(f"{build.__name__} fails")
    assert re.search(rf"^- {message}", text, re.MULTILINE), text


def test_a_wrong_number_of_parameters_is_told_with_both_numbers():
    message = "91 trainable parameters instead of 60,000"
    with pytest.raises(AssertionError, match=message):
        check_architecture(
            healthy, {"filters": 4}, SHAPE, parameters=60_000, only=["parameters"]
        )


def test_what_is_no_model_is_told():
    with pytest.raises(AssertionError, match="returns KerasTensor, not a Functional"):
        check_architecture(not_a_model, {}, SHAPE, only=["model"])


def test_a_builder_that_fails_is_told_with_its_error():
    with pytest.raises(AssertionError, match="healthy cannot be built: TypeError"):
        check_architecture(healthy, {"colour": "red"}, SHAPE)
