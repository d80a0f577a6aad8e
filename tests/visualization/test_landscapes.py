"""Loss landscapes: equal to the closed form, and the weights are put back."""

import keras
import numpy as np
import pytest

from dlkeras import visualization as show


@pytest.fixture
def linear():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.set_weights([np.array([[1.0], [-2.0], [0.5]]), np.array([0.25])])
    return model


X = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(50, 1)).astype("float32")


def test_the_loss_of_a_linear_neuron_is_the_closed_form(linear):
    before = linear.get_weights()
    found = show.loss_along(linear, X, Y, loss="mse", span=2, points=5, batch_size=16)
    (kernel, bias), (u, v) = before, found.directions
    for row, b in enumerate(found.second):
        for column, a in enumerate(found.first):
            w = kernel + a * u[0] + b * v[0]
            expected = np.mean((X @ w + bias - Y) ** 2)
            assert found.loss[row, column] == pytest.approx(expected, rel=1e-4)
    for now, then in zip(linear.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_directions_have_the_norms_of_the_filters_and_leave_biases(linear):
    model = keras.Sequential(
        [keras.Input((8, 8, 2)), keras.layers.Conv2D(4, 3), keras.layers.Flatten()]
    )
    x = np.zeros((2, 8, 8, 2), "float32")
    found = show.loss_along(model, x, np.zeros((2, 144)), loss="mse", points=3)
    kernel, bias = found.directions[0]
    weights = model.get_weights()[0].reshape(-1, 4)
    np.testing.assert_allclose(
        np.linalg.norm(kernel.reshape(-1, 4), axis=0),
        np.linalg.norm(weights, axis=0),
        rtol=1e-5,
    )
    assert not bias.any()


def test_the_way_of_a_training_is_found_in_the_plane_it_spans(linear):
    found = show.loss_along(linear, X, Y, loss="mse", points=3)
    u, v = found.directions
    snapshots = [
        [w + a * p + b * q for w, p, q in zip(found.weights, u, v, strict=True)]
        for a, b in ((0.5, -1.0), (0.0, 0.0))
    ]
    way = found.project(snapshots)
    np.testing.assert_allclose(way, [[0.5, -1.0], [0.0, 0.0]], atol=1e-5)


def test_the_weights_come_back_when_the_loss_fails(linear):
    before = linear.get_weights()

    def broken(truth, answers):
        raise RuntimeError("no loss today")

    with pytest.raises(RuntimeError, match="no loss today"):
        show.loss_along(linear, X, Y, loss=broken)
    np.testing.assert_array_equal(linear.get_weights()[0], before[0])


def test_a_missing_loss_and_a_wrong_direction_are_said(linear):
    with pytest.raises(ValueError, match="loss must be given"):
        show.loss_along(linear, X, Y)
    with pytest.raises(ValueError, match="directions must be two"):
        show.loss_along(linear, X, Y, loss="mse", directions=[[np.zeros(3)]])
