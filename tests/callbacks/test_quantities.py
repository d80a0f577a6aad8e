"""GradientNormMonitor with some of its quantities: what is left out, what stays."""

import itertools
from typing import Any

import keras
import numpy as np
import pytest
from independent_gradients import Reference, norms
from keras import layers
from test_gradient_norm import BACKEND, data, mlp, trained

from dlkeras.callbacks import GradientNormMonitor, diagnose

ALONE = ["gradient_norm"]
OTHERS = ("weight_norm", "update_norm", "zero_share", "non_finite_share")
SUBSETS = [
    [*some, "gradient_norm"]
    for number in range(5)
    for some in itertools.combinations(OTHERS, number)
]


def quiet(quantities=ALONE):
    return GradientNormMonitor(1, on_finding=None, quantities=quantities)


@pytest.mark.parametrize(
    "options",
    [{}, {"jit_compile": BACKEND != "torch"}, {"run_eagerly": True}],
    ids=["as compiled", "xla", "eager"],
)
def test_gradient_norms_alone_are_an_independent_computations(options):
    keras.utils.set_random_seed(0)
    model, (x, y) = mlp(), data()
    reference, monitor = Reference(x, y, 8), quiet()
    trained(model, x, y, reference, monitor, **options)
    history = monitor.history
    expected = np.array([norms(g) for g in reference.gradients])
    np.testing.assert_allclose(history.gradient_norm, expected, rtol=1e-6)
    for left_out in ("weight_norm", "update_norm", "update_ratio", "zero_share"):
        assert np.isnan(getattr(history, left_out)).all()
        assert np.isnan(history.layer("first")[left_out]).all()
    assert not history.non_finite_share.any()
    assert history.quantities == ("gradient_norm",)


@pytest.mark.parametrize("size", [1e-28, 1e25, 1.0])
def test_every_choice_of_quantities_measures_what_all_of_them_do(size):
    """Also where squares leave the range of float32, and for gradients that are 0."""
    x, y = data()
    x[:, 2] = 0

    def measured(quantities):
        keras.utils.set_random_seed(2)
        model: Any = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
        model.compile(keras.optimizers.SGD(1e-3 / size), "mae", jit_compile=False)
        monitor = quiet(quantities)
        model.fit(x * size, y * 0 + 1.0, batch_size=8, verbose=0, callbacks=[monitor])
        return monitor.history

    whole = measured(None)
    assert (whole.zero_share[:, 0] == 1 / 6).all()
    for quantities in SUBSETS if size == 1 else (ALONE, [*ALONE, *OTHERS[:3]]):
        history = measured(quantities)
        for name in ("gradient_norm", *OTHERS):
            found, expected = getattr(history, name), getattr(whole, name)
            if name in quantities:
                np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=name)
            elif name != "non_finite_share":
                assert np.isnan(found).all(), (name, quantities)


def test_gradient_norms_alone_are_without_loss_scale_and_of_whole_updates():
    model, (x, y) = mlp(), data()
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.0, gradient_accumulation_steps=3), initial_scale=8.0
    )
    weights, histories = model.get_weights(), []
    for monitor in (quiet(), quiet(None)):
        model.set_weights(weights)
        trained(model, x, y, monitor, batch_size=4, optimizer=optimizer)
        histories.append(monitor.history)
        optimizer = keras.optimizers.LossScaleOptimizer.from_config(
            optimizer.get_config()
        )
    alone, whole = histories
    assert alone.steps.tolist() == whole.steps.tolist() == [3, 6, 9, 12]
    np.testing.assert_allclose(alone.gradient_norm, whole.gradient_norm, rtol=1e-6)


def test_weights_are_bit_identical_to_a_training_without_the_monitor():
    def weights(*callbacks):
        keras.utils.set_random_seed(3)
        model, (x, y) = mlp(), data()
        trained(model, x, y, *callbacks, optimizer=keras.optimizers.Adam(0.01))
        return [w.tobytes() for w in model.get_weights()]

    assert weights(quiet()) == weights()


def deep(activation, initializer):
    hidden = [
        layers.Dense(32, activation, kernel_initializer=initializer, name=f"hidden_{i}")
        for i in range(20)
    ]
    return keras.Sequential([keras.Input((6,)), *hidden, layers.Dense(3, name="out")])


@pytest.mark.parametrize(
    ("activation", "initializer", "names"),
    [
        ("sigmoid", "glorot_uniform", {"vanishing_gradient"}),
        ("relu", "he_normal", set()),
        ("tanh", "glorot_uniform", set()),
    ],
)
def test_gradient_norms_alone_tell_vanishing_from_healthy(
    activation, initializer, names
):
    keras.utils.set_random_seed(0)
    model, (x, y), monitor = deep(activation, initializer), data(96), quiet()
    trained(model, x, y, monitor, optimizer=keras.optimizers.SGD(1e-3))
    assert {f.name for f in diagnose(monitor) if f.severity == "error"} == names


def test_gradient_norms_alone_name_the_first_step_that_is_not_finite():
    model, (x, y), monitor = mlp(), data(), quiet()
    x[17] = np.nan  # in the third batch
    trained(model, x, y, monitor, epochs=1)
    (finding,) = (f for f in diagnose(monitor) if f.name == "non_finite")
    assert (finding.layer, finding.since) == ("first", "step 3")
    history = monitor.history
    expected = ~np.isfinite(history.gradient_norm[2]) / history.sizes
    assert expected.any()
    np.testing.assert_allclose(history.non_finite_share[2], expected)


def test_gradient_norms_alone_find_a_layer_without_gradient():
    inputs = keras.Input((6,))
    hidden = layers.Dense(4, name="aside")(inputs)
    outputs = layers.Dense(3, name="out")(layers.Dense(4, name="first")(inputs))
    outputs = layers.Add()([outputs, layers.Dense(3, name="late")(0 * hidden)])
    model, (x, y), monitor = keras.Model(inputs, outputs), data(), quiet()
    trained(model, x, y, monitor)
    found = {f.layer for f in diagnose(monitor) if f.name == "no_gradient"}
    assert found == {"aside", "late"}


def test_a_state_of_fewer_quantities_is_not_taken_for_weights_that_are_nan():
    model: Any = mlp()
    (x, y), before, after = data(), quiet(), quiet(None)
    trained(model, x, y, before, epochs=1)
    after.set_state(before.get_state())
    model.fit(x, y, batch_size=8, verbose=0, callbacks=[after])
    assert np.isnan(after.history.weight_norm[:3]).all()
    assert np.isfinite(after.history.weight_norm[3:]).all()
    assert "non_finite" not in {f.name for f in diagnose(after)}


@pytest.mark.parametrize(
    "quantities",
    ["gradient_norm", [], ["weight_norm"], ["gradient_norm", "hessian"], 3, [["a"]]],
)
def test_other_quantities_are_refused(quantities):
    with pytest.raises(ValueError, match=r"`quantities` must be a list .* Received"):
        GradientNormMonitor(quantities=quantities)
