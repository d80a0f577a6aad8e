"""LearningRateFinder beside what mathematics says of the largest learning rate."""

import keras
import numpy as np
import pytest

from dlkeras.callbacks import LearningRateFinder


def quadratic(scale=1.0, optimizer=None):
    """A linear model on all data at once: its Hessian is 2 X'X / n, and constant."""
    random = np.random.default_rng(3)
    x = scale * random.normal(size=(128, 4)) * [1.0, 0.8, 0.5, 0.3]
    y = x @ [[1.0], [-2.0], [0.5], [3.0]] + 0.1 * random.normal(size=(128, 1))
    keras.utils.set_random_seed(1)
    dense = keras.layers.Dense(1, use_bias=False)
    model = keras.Sequential([keras.Input((4,)), dense])
    model.compile(optimizer or keras.optimizers.SGD(0.5), "mse")
    return model, x, y, np.linalg.eigvalsh(2 * x.T @ x / len(x)).max()


def found(model, x, y, finder, batch_size=128):
    model.fit(x, y, batch_size=batch_size, epochs=200, verbose=0, callbacks=[finder])
    return finder


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_the_rate_is_below_the_bound_of_gradient_descent_and_useful(scale):
    model, x, y, curvature = quadratic(scale)
    finder = found(model, x, y, LearningRateFinder(1e-5, 1e4, steps=150))
    # Gradient descent on a quadratic converges where rate x curvature < 2.
    assert 0.02 < finder.suggested * curvature < 2
    # Beyond the bound the loss rises: it is lowest not far behind, and the search ends.
    lowest = finder.rates[int(np.argmin(finder.losses))]
    assert 1 < lowest * curvature < 12
    assert finder.rates[-1] * curvature < 20 < 1e4
    model.optimizer.learning_rate = finder.suggested
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, batch_size=128, epochs=40, verbose=0)
    assert model.evaluate(x, y, verbose=0) < 0.5 * before


def test_the_losses_are_those_of_the_batches_and_the_rates_grow_evenly():
    model, x, y, _ = quadratic()
    finder = found(model, x, y, LearningRateFinder(1e-4, 1e-2, steps=9), 32)
    np.testing.assert_allclose(finder.rates, np.geomspace(1e-4, 1e-2, 9), rtol=1e-6)
    assert len(finder.losses) == len(finder.smoothed) == 9
    finder = LearningRateFinder(1e-9, 1e-8, steps=8, smoothing=0.0)
    model.fit(
        x, y, batch_size=32, epochs=2, shuffle=False, verbose=0, callbacks=[finder]
    )
    parts = [
        model.evaluate(x[i : i + 32], y[i : i + 32], verbose=0)
        for i in range(0, 128, 32)
    ]
    np.testing.assert_allclose(finder.losses, parts * 2, rtol=1e-4)
    assert finder.smoothed == pytest.approx(finder.losses)


def test_everything_is_as_it_was_before():
    keras.utils.set_random_seed(1)
    layers = [
        keras.Input((4,)), keras.layers.Dense(8), keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.5), keras.layers.Dense(1),
    ]  # fmt: skip
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(0.25, use_ema=True), "mse")
    x, y = np.ones((16, 4)), np.arange(16.0)[:, None]
    model.fit(x, y, epochs=1, verbose=0)
    variables = [*model.variables, *model.optimizer.variables]
    before = [keras.ops.convert_to_numpy(v).copy() for v in variables]
    finder = found(model, x, y, LearningRateFinder(steps=12), 8)
    assert len(finder.rates) == 12
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), value)
    rate = keras.ops.convert_to_numpy(model.optimizer.learning_rate)
    assert float(rate) == 0.25


def test_rates_are_spread_over_what_fit_has():
    model, x, y, _ = quadratic()
    finder = LearningRateFinder(1e-4, 1e-2, steps=100)
    model.fit(x, y, batch_size=64, epochs=3, verbose=0, callbacks=[finder])
    np.testing.assert_allclose(finder.rates, np.geomspace(1e-4, 1e-2, 6), rtol=1e-6)


def test_a_loss_that_is_no_number_ends_it_and_one_that_never_falls_suggests_nothing():
    model, x, y, _ = quadratic()
    finder = found(model, x, y, LearningRateFinder(1e20, 1e38, steps=50))
    assert finder.suggested is None
    assert len(finder.rates) == len(finder.losses) < 50
    assert np.isfinite(model.get_weights()[0]).all()


@pytest.mark.parametrize(
    "arguments", [(0.0, 1.0), (1.0, 0.1), (1e-3, float("inf")), (1e-3, 1.0, 1)]
)
def test_rates_that_make_no_sense_are_refused(arguments):
    with pytest.raises(ValueError, match="0 < lowest < highest"):
        LearningRateFinder(*arguments)


def test_a_schedule_is_refused():
    rate = keras.optimizers.schedules.CosineDecay(0.1, 10)
    model, x, y, _ = quadratic(optimizer=keras.optimizers.SGD(rate))
    with pytest.raises(ValueError, match="compile the model with a number"):
        found(model, x, y, LearningRateFinder())
