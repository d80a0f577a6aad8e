"""Grad-CAM and saliency: equal to closed forms and to differences of the scores."""

import keras
import numpy as np
import pytest

from dlkeras import visualization as show
from dlkeras.architectures import googlenet, lenet5


@pytest.fixture
def pooled():
    """A network of the kind CAM was made for: maps, their average, a dense layer."""
    images = keras.Input((12, 10, 3), name="images")
    x = keras.layers.Conv2D(8, 3, activation="relu", name="maps")(images)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(4, activation="softmax", name="classes")(x)
    keras.utils.set_random_seed(3)
    model = keras.Model(images, x)
    draw = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(draw.normal(size=tuple(variable.shape)))
    return model


IMAGES = np.random.default_rng(1).random((3, 12, 10, 3)).astype("float32")


def test_grad_cam_of_an_average_and_a_dense_layer_is_cam(pooled):
    """Selvaraju et al., section 3.1: the weights are those of the dense layer."""
    maps = keras.Model(pooled.inputs[0], pooled.get_layer("maps").output)(IMAGES)
    maps = keras.ops.convert_to_numpy(maps)
    dense = keras.ops.convert_to_numpy(pooled.get_layer("classes").kernel)
    predicted = keras.ops.convert_to_numpy(pooled(IMAGES)).argmax(1)
    cam, classes = show.grad_cam_map(pooled, IMAGES, "maps")
    np.testing.assert_array_equal(classes, predicted)
    pixels = maps.shape[1] * maps.shape[2]
    expected = np.einsum("brcm,mb->brc", maps, dense[:, predicted]) / pixels
    np.testing.assert_allclose(cam, np.maximum(expected, 0), rtol=1e-4, atol=1e-6)


def test_saliency_is_the_change_of_the_score_by_a_pixel(pooled):
    image = IMAGES[:1]
    found, _ = show.saliency_map(pooled, image, class_index=2)
    logits = keras.Model(pooled.inputs[0], pooled.get_layer("classes").input)
    kernel, bias = pooled.get_layer("classes").get_weights()

    def score(x):
        return (keras.ops.convert_to_numpy(logits(x)) @ kernel + bias)[0, 2]

    step = 1e-2
    for row, column in ((0, 0), (5, 4), (11, 9)):
        slopes = []
        for channel in range(3):
            moved = [image.copy(), image.copy()]
            moved[0][0, row, column, channel] += step
            moved[1][0, row, column, channel] -= step
            slopes.append((score(moved[0]) - score(moved[1])) / (2 * step))
        expected = np.abs(slopes).max()
        assert found[0, row, column] == pytest.approx(expected, rel=0.05, abs=1e-4)


def test_the_score_is_the_one_before_the_softmax():
    """A surely known class has a vanishing softmax gradient, not a vanishing score."""
    images = keras.Input((2, 2, 1))
    flat = keras.layers.Flatten()(images)
    weights = np.stack([np.full(4, 100.0), np.zeros(4)], 1)
    for layers in (
        [keras.layers.Dense(2, activation="softmax")],
        [keras.layers.Dense(2), keras.layers.Softmax()],
        [keras.layers.Dense(2), keras.layers.Activation("softmax")],
        [keras.layers.Dense(2)],
    ):
        x = flat
        for layer in layers:
            x = layer(x)
        layers[0].set_weights([weights, np.zeros(2)])
        found, classes = show.saliency_map(
            keras.Model(images, x), np.ones((1, 2, 2, 1), "float32")
        )
        assert classes.tolist() == [0]
        assert found.tolist() == [[[100.0, 100.0], [100.0, 100.0]]]


class Pooled(keras.layers.Layer):
    """A head of another's: the mean, through a function that is called activation."""

    activation = staticmethod(keras.activations.sigmoid)

    def call(self, inputs):
        return self.activation(keras.ops.mean(inputs, axis=1, keepdims=True))


def test_a_head_that_is_not_dense_is_explained_by_its_outputs():
    """softmax(z)_c = p_c has the slope p_c (W_c - sum_k p_k W_k); sigmoid's is p(1-p).

    Five inputs go into a head of two classes: they are no scores of classes.
    """
    images = keras.Input((1, 5, 1))
    flat = keras.layers.Flatten()(images)
    head = keras.layers.EinsumDense("ab,bc->ac", 2, activation="softmax")
    model = keras.Model(images, head(flat))
    weights = np.array([[1, -1], [2, 0], [0, 0], [0, 0.5], [0, 3]])
    head.set_weights([weights])
    image = np.zeros((1, 1, 5, 1), "float32")
    image[0, 0, 4] = 1  # the largest input is the fifth; z = (0, 3)
    p = 1 / (1 + np.exp(-3))
    found, classes = show.saliency_map(model, image)
    assert classes.tolist() == [1]
    slope = p * (1 - p) * np.abs(weights[:, 1] - weights[:, 0])
    np.testing.assert_allclose(found[0, 0], slope, rtol=1e-5)

    model = keras.Model(images, Pooled()(flat))
    found, classes = show.saliency_map(model, image * -15)  # z = -3
    assert classes.tolist() == [0]
    np.testing.assert_allclose(found[0, 0], np.full(5, p * (1 - p) / 5), rtol=1e-5)


def test_grad_cam_explains_the_main_output_of_a_network_with_auxiliary_ones():
    model = googlenet((65, 65, 3), 5, auxiliary=True, width_multiplier=0.0625)
    cam, classes = show.grad_cam_map(model, np.ones((1, 65, 65, 3), "float32"))
    assert cam.shape == (1, 3, 3)
    answer = keras.ops.convert_to_numpy(model(np.ones((1, 65, 65, 3), "float32")))
    assert classes.tolist() == [answer.argmax()]


class Outer(keras.Model):
    def __init__(self, first, second):
        super().__init__()
        self.first, self.second = first, second

    def call(self, inputs):
        return self.second(self.first(inputs))


@pytest.mark.parametrize("kind", ["sequential", "nested", "subclassed"])
def test_a_model_around_the_network_is_explained_as_the_network(pooled, kind):
    maps = pooled.get_layer("maps").output
    first = keras.Model(pooled.inputs[0], maps, name="first")
    second = keras.Model(maps, pooled.outputs[0], name="second")
    if kind == "sequential":
        model = keras.Sequential([keras.Input((12, 10, 3)), *pooled.layers[1:]])
    elif kind == "nested":
        images = keras.Input((12, 10, 3))
        model = keras.Model(images, second(first(images)))
    else:
        model = Outer(first, second)
        model(IMAGES)
    for explain, arguments in ((show.grad_cam_map, ("maps",)), (show.saliency_map, ())):
        expected, classes = explain(pooled, IMAGES, *arguments)
        found, chosen = explain(model, IMAGES, *arguments)
        np.testing.assert_array_equal(chosen, classes)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": "C9"}, "layer must name a stage"),
        ({"layer": "F6"}, "whose output is maps.*Received: layer='F6'"),
        ({"class_index": 10}, "class_index must be from 0 to 9. Received: 10"),
    ],
)
def test_what_cannot_be_explained_is_said(arguments, message):
    with pytest.raises(ValueError, match=message):
        show.grad_cam_map(lenet5(), np.zeros((1, 32, 32, 1), "float32"), **arguments)


def test_a_layer_that_others_go_around_is_refused():
    images = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(2, 3, padding="same", name="branch")(images)
    x = keras.layers.Concatenate()([x, images])
    x = keras.layers.Dense(2)(keras.layers.Flatten()(x))
    with pytest.raises(ValueError, match="goes around"):
        show.grad_cam_map(
            keras.Model(images, x), np.zeros((1, 8, 8, 1), "float32"), "branch"
        )


@pytest.mark.parametrize("size", [(16, 12), (96, 6)])
def test_image_map_and_both_have_one_shape(size):
    images = keras.Input((*size, 1))
    x = keras.layers.Conv2D(2, (5, 1), strides=(3, 1))(images)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(images, keras.layers.Dense(2)(x))
    figure = show.grad_cam(model, np.random.default_rng(0).random((1, *size, 1)))
    panels = figure.axes[:3]
    assert len({axis.get_aspect() for axis in panels}) == 1
    extents = {tuple(image.get_extent()) for a in panels for image in a.images}
    assert extents == {(-0.5, size[1] - 0.5, size[0] - 0.5, -0.5)}
