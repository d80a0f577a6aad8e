"""Tests of back-propagation by hand against the three backends' own gradients."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from dlkeras.optimization import DeltaRule, error_energy, local_gradients

ACTIVATIONS = [
    None, "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu",
    "softplus", "softsign", "exponential", "hard_sigmoid", "softmax", "log_softmax",
    "mish",
]  # fmt: skip


def autodiff(model, x, d):
    """The gradients of E_av by the variables, from the backend's own machinery."""
    x, d = ops.convert_to_tensor(x, "float32"), ops.convert_to_tensor(d, "float32")

    def cost():
        return ops.mean(error_energy(d, model(x)))

    backend, variables = keras.backend.backend(), model.trainable_variables
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = cost()
        gradients = tape.gradient(value, [v.value for v in variables])
    elif backend == "jax":
        import jax

        def stateless(values):
            y, _ = model.stateless_call(values, [], x)
            return ops.mean(error_energy(d, y))

        gradients = jax.grad(stateless)([v.value for v in variables])
    else:
        import torch

        gradients = torch.autograd.grad(cost(), [v.value for v in variables])
    return [ops.convert_to_numpy(g) for g in gradients]


def stack(*parts, inputs=3, seed=0, scale=0.25):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([layers.Input((inputs,)), *parts])
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:  # biases away from zero
        variable.assign(rng.normal(scale=scale, size=variable.shape))
    return model


def data(model, examples=6, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(examples, model.input_shape[-1])).astype("float32")
    return x, rng.uniform(size=(examples, model.output_shape[-1])).astype("float32")


def flat_corrections(model, result):
    found, by_name = [], dict(zip(result.layers, result.corrections, strict=True))
    for name, (kernel, bias) in by_name.items():
        found += [kernel, bias] if model.get_layer(name).use_bias else [kernel]
    return found


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_corrections_are_minus_the_backends_gradients(name):
    model = stack(
        layers.Dense(5, name), layers.Dense(4, name), layers.Dense(2, activation=name)
    )
    x, d = data(model)
    found = flat_corrections(model, local_gradients(model, x, d))
    for correction, gradient in zip(found, autodiff(model, x, d), strict=True):
        np.testing.assert_allclose(correction, -gradient, rtol=1e-6, atol=1e-6)


def test_a_network_worked_out_on_paper():
    # Two inputs, two logistic hidden neurons, one logistic output, no bias.
    model = keras.Sequential([
        layers.Input((2,)),
        layers.Dense(2, "sigmoid", use_bias=False),
        layers.Dense(1, "sigmoid", use_bias=False),
    ])  # fmt: skip
    model.set_weights([np.array([[0.0, 1.0], [0.0, -1.0]]), np.array([[1.0], [-1.0]])])
    result = local_gradients(model, [[1.0, 1.0]], [[1.0]])
    # v = (0, 0), y = (1/2, 1/2); v = 0, y = 1/2; e = 1/2; phi' = 1/4 everywhere
    np.testing.assert_allclose(result.induced_fields[0], [[0, 0]])
    np.testing.assert_allclose(result.outputs[0], [[0.5, 0.5]])
    np.testing.assert_allclose(result.errors, [[0.5]])
    np.testing.assert_allclose(result.energy, [0.125])
    np.testing.assert_allclose(result.local_gradients[1], [[0.125]])
    np.testing.assert_allclose(result.local_gradients[0], [[0.03125, -0.03125]])
    np.testing.assert_allclose(result.corrections[1][0], [[0.0625], [0.0625]])


def test_a_local_gradient_is_minus_the_energys_slope_by_the_induced_field():
    model = stack(layers.Dense(4, "tanh"), layers.Dense(2, "sigmoid"))
    x, d = data(model)
    result = local_gradients(model, x, d)
    kernel, bias = (ops.convert_to_numpy(v).astype("float64") for v in
                    model.layers[1].weights)  # fmt: skip

    def energy(v):
        y = 1 / (1 + np.exp(-(np.tanh(v) @ kernel + bias)))
        return np.sum((d - y) ** 2, axis=1) / 2

    v = result.induced_fields[0]
    for j in range(4):
        h = 1e-6 * np.eye(4)[j]
        slope = (energy(v + h) - energy(v - h)) / 2e-6
        np.testing.assert_allclose(result.local_gradients[0][:, j], -slope, atol=1e-8)


def test_the_outputs_are_the_models_and_e_av_is_its_loss():
    model = stack(layers.Dense(4, "gelu"), layers.Dense(3, "softmax"))
    x, d = data(model)
    result = local_gradients(model, x, d)
    np.testing.assert_allclose(
        result.outputs[-1], ops.convert_to_numpy(model(x)), atol=1e-6
    )
    model.compile(loss=error_energy)
    loss = model.evaluate(x, d, verbose=0)
    assert result.average_energy == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(result.average_energy, result.energy.mean())


def test_activation_layers_and_missing_biases_are_part_of_the_stack():
    model = stack(
        layers.Activation("tanh"),
        layers.Dense(5, use_bias=False),
        layers.LeakyReLU(negative_slope=0.3),
        layers.Dense(4, "tanh"),
        layers.Activation("sigmoid"),
        layers.Dense(3, activation=lambda v: v * ops.sigmoid(1.7 * v)),
        layers.Softmax(),
    )
    x, d = data(model)
    result = local_gradients(model, x, d)
    assert [v.shape for v in result.induced_fields] == [(6, 5), (6, 4), (6, 3)]
    found = flat_corrections(model, result)
    for correction, gradient in zip(found, autodiff(model, x, d), strict=True):
        np.testing.assert_allclose(correction, -gradient, atol=1e-6)


def test_functional_and_nested_stacks_are_read_as_one_chain():
    inner = keras.Sequential([layers.Dense(4, "tanh"), layers.ReLU()])
    begin = layers.Input((3,))
    middle = keras.Model(begin, layers.Dense(5, "sigmoid", name="first")(begin))
    x_in = layers.Input((3,))
    model = keras.Model(x_in, layers.Dense(2, name="last")(inner(middle(x_in))))
    x, d = data(model)
    result = local_gradients(model, x, d)
    assert result.layers == ("first", inner.layers[0].name, "last")
    found = [part for pair in result.corrections for part in pair]
    for correction, gradient in zip(found, autodiff(model, x, d), strict=True):
        np.testing.assert_allclose(correction, -gradient, atol=1e-6)


def test_a_layer_lent_to_another_model_is_read_in_each_models_own_order():
    a, b = layers.Dense(3, "tanh", name="a"), layers.Dense(3, "sigmoid", name="b")
    x_in = layers.Input((3,))
    keras.Model(x_in, b(a(x_in)))
    turned = keras.Model(x_in, a(b(x_in)))
    result = local_gradients(turned, np.ones((1, 3)), np.zeros((1, 3)))
    assert result.layers == ("b", "a")
    np.testing.assert_allclose(
        result.outputs[-1], ops.convert_to_numpy(turned(np.ones((1, 3)))), atol=1e-6
    )


def sgd_twin(model, learning_rate, momentum):
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    optimizer = keras.optimizers.SGD(learning_rate, momentum=momentum)
    twin.compile(optimizer, loss=error_energy)
    return twin


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("batch", [1, 4])
def test_every_step_equals_keras_sgd(batch, momentum):
    model = stack(layers.Dense(5, "tanh"), layers.Dense(2, "sigmoid"))
    x, d = data(model, examples=8)
    twin = sgd_twin(model, 0.3, momentum)
    rule = DeltaRule(model, 0.3, momentum=momentum)
    for epoch in range(3):
        for begin in range(0, 8, batch):
            rows = slice(begin, begin + batch)
            energy = rule.step(x[rows], d[rows]).average_energy
            loss = float(twin.train_on_batch(x[rows], d[rows]))
            if epoch == begin == 0:  # later, Keras answers with a running mean
                assert energy == pytest.approx(loss, rel=1e-5)
            for ours, keras_s in zip(
                model.get_weights(), twin.get_weights(), strict=True
            ):
                np.testing.assert_allclose(ours, keras_s, atol=1e-6)


def test_fit_per_batch_equals_keras_fit_without_shuffling():
    model = stack(layers.Dense(5, "relu"), layers.Dense(1))
    x, d = data(model, examples=10)
    twin = sgd_twin(model, 0.05, 0.5)
    rule = DeltaRule(model, 0.05, momentum=0.5)
    history = rule.fit(x, d, epochs=5, batch_size=4)
    log = twin.fit(x, d, epochs=5, batch_size=4, shuffle=False, verbose=0)
    assert history.energy.shape == (5, 10)
    np.testing.assert_allclose(
        history.average_energy, log.history["loss"], rtol=1e-4, atol=1e-6
    )
    for ours, keras_s in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(ours, keras_s, atol=2e-6)


def test_a_full_batch_corrects_once_an_epoch_on_e_av():
    model = stack(layers.Dense(2, "tanh"))
    x, d = data(model)
    before = [w.astype("float64") for w in model.get_weights()]
    expected = local_gradients(model, x, d).corrections[0]
    DeltaRule(model, 0.1).fit(x, d, batch_size=None)
    for old, new, correction in zip(before, model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(new, old + 0.1 * correction, atol=1e-7)


def test_xor_is_learned_and_e_av_falls():
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    d = np.array([[0], [1], [1], [0]])
    parts = (layers.Dense(4, "tanh"), layers.Dense(1, "sigmoid"))
    model = stack(*parts, inputs=2, scale=1.0)
    history = DeltaRule(model, 0.5, momentum=0.9).fit(x, d, epochs=150, seed=0)
    answers = ops.convert_to_numpy(model(x)) > 0.5
    np.testing.assert_array_equal(answers, d.astype(bool))
    assert history.average_energy[-1] < 0.05 * history.average_energy[0]


def test_a_seed_shuffles_and_repeats_itself():
    def run(seed):
        model = stack(layers.Dense(2, "tanh"))
        DeltaRule(model, 0.2).fit(*data(model), epochs=2, seed=seed)
        return model.get_weights()[0]

    np.testing.assert_array_equal(run(3), run(3))
    assert np.abs(run(3) - run(None)).max() > 1e-6


def test_a_frozen_layer_keeps_its_weights_and_the_others_learn_as_in_keras():
    model = stack(layers.Dense(4, "tanh"), layers.Dense(2))
    model.layers[0].trainable = False
    x, d = data(model)
    twin = sgd_twin(model, 0.1, 0.0)
    twin.layers[0].trainable = False
    before = model.get_weights()
    DeltaRule(model, 0.1).step(x, d)
    twin.train_on_batch(x, d)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    assert np.abs(model.get_weights()[2] - before[2]).max() > 0
    for ours, keras_s in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(ours, keras_s, atol=1e-6)


@pytest.mark.parametrize(
    "part",
    [
        layers.Dropout(0.5, name="odd"),
        layers.BatchNormalization(name="odd"),
        layers.PReLU(name="odd"),
        layers.Reshape((5, 1), name="odd"),
        layers.Dense(5, activation=layers.PReLU(), name="odd"),
    ],
)
def test_a_layer_that_is_not_dense_is_named(part):
    model = stack(layers.Dense(5), part)
    with pytest.raises(ValueError, match=r"stack of Dense layers.*Received: .*'odd'"):
        local_gradients(model, np.ones((2, 3)), np.ones((2, 5)))


def test_a_branch_is_named():
    x_in = layers.Input((3,))
    y = layers.Dense(3)(x_in)
    model = keras.Model(x_in, layers.Add(name="skip")([x_in, y]))
    with pytest.raises(ValueError, match=r"branches .*'skip'"):
        local_gradients(model, np.ones((2, 3)), np.ones((2, 3)))


def test_an_operation_between_layers_is_named():
    x_in = layers.Input((3,))
    model = keras.Model(x_in, layers.Dense(2)(ops.sin(x_in)))
    with pytest.raises(ValueError, match=r"operations are not.*sin"):
        local_gradients(model, np.ones((2, 3)), np.ones((2, 2)))


def test_a_shared_layer_is_named():
    shared, x_in = layers.Dense(3, name="shared"), layers.Input((3,))
    model = keras.Model(x_in, shared(shared(x_in)))
    with pytest.raises(ValueError, match=r"shared weights .*'shared'"):
        local_gradients(model, np.ones((2, 3)), np.ones((2, 3)))


def test_two_outputs_and_subclassed_models_are_refused_by_name():
    x_in = layers.Input((3,))
    two = keras.Model(x_in, [layers.Dense(1)(x_in), layers.Dense(1)(x_in)], name="two")
    with pytest.raises(ValueError, match=r"2 outputs .*'two'"):
        local_gradients(two, np.ones((2, 3)), np.ones((2, 1)))

    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match=r"without a graph of layers .*'own'"):
        local_gradients(Own(name="own"), np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="`model` must be a Sequential or Functional"):
        local_gradients(layers.Dense(3), np.ones((2, 3)), np.ones((2, 3)))


def test_a_model_without_dense_layers_is_refused():
    with pytest.raises(ValueError, match="at least one Dense layer"):
        local_gradients(stack(layers.ReLU()), np.ones((2, 3)), np.ones((2, 3)))


@pytest.mark.parametrize("option", ["kernel_regularizer", "bias_regularizer"])
def test_a_regularizer_is_refused_for_training_only(option):
    model = stack(layers.Dense(2, name="heavy", **{option: "l2"}))
    x, d = data(model)
    local_gradients(model, x, d)
    with pytest.raises(ValueError, match=f"layer 'heavy' with a {option}"):
        DeltaRule(model, 0.1).step(x, d)


def test_a_constraint_is_refused_for_training():
    model = stack(layers.Dense(2, name="tied", kernel_constraint="non_neg"))
    with pytest.raises(ValueError, match="layer 'tied' with a kernel_constraint"):
        DeltaRule(model, 0.1).step(*data(model))


@pytest.mark.parametrize(
    ("x", "d", "message"),
    [
        (np.ones(3), np.ones((1, 2)), r"\(examples, inputs\).* of shape \(3,\)"),
        (np.ones((0, 3)), np.ones((0, 2)), "at least one example"),
        (np.ones((2, 4)), np.ones((2, 2)), r"must have 3 inputs, as layer 'only'"),
        (np.ones((2, 3)), np.ones(2), r"\(2, 2\) .*Received: d of shape \(2,\)"),
        (np.ones((2, 3)), np.full((2, 2), np.nan), "`d` must be finite"),
        (np.full((2, 3), np.inf), np.ones((2, 2)), "`x` must be finite"),
    ],
)
def test_data_that_do_not_fit_are_refused(x, d, message):
    model = stack(layers.Dense(2, name="only"))
    with pytest.raises(ValueError, match=message):
        local_gradients(model, x, d)


@pytest.mark.parametrize("rate", [0, -0.1, float("nan"), float("inf"), "fast"])
def test_a_bad_learning_rate_is_refused(rate):
    with pytest.raises(ValueError, match=r"`learning_rate` must be .* learning_rate="):
        DeltaRule(stack(layers.Dense(1)), rate)


@pytest.mark.parametrize("momentum", [-0.1, 1.0, float("nan")])
def test_a_bad_momentum_is_refused(momentum):
    with pytest.raises(ValueError, match=r"`momentum` must be at least 0 .*Received"):
        DeltaRule(stack(layers.Dense(1)), 0.1, momentum=momentum)


def test_a_divergent_run_stops_with_an_error_that_names_the_rate():
    model = stack(layers.Dense(2), layers.Dense(2))
    with pytest.raises(FloatingPointError, match=r"diverged.*learning_rate=50"):
        DeltaRule(model, 50.0).fit(*data(model), epochs=50)
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_counts_and_lengths_that_do_not_fit_are_refused():
    model = stack(layers.Dense(2))
    x, d = data(model)
    for arguments in ({"epochs": 0}, {"batch_size": 0}):
        with pytest.raises(ValueError, match="must be positive"):
            DeltaRule(model, 0.1).fit(x, d, **arguments)
    with pytest.raises(ValueError, match="same number of examples"):
        DeltaRule(model, 0.1).fit(x, d[:-1])


def test_a_mixed_precision_stack_is_read_in_its_float32_weights():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        layers.Input((3,)),
        layers.Dense(2, "tanh", dtype="mixed_bfloat16"),
    ])  # fmt: skip
    x, d = data(model)
    kernel, bias = (np.float64(w) for w in model.get_weights())
    result = local_gradients(model, x, d)
    np.testing.assert_allclose(result.outputs[0], np.tanh(x @ kernel + bias), atol=1e-7)
