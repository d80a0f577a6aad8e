"""GradientNormMonitor: its norms are those of an independent gradient computation."""

import itertools

import keras
import numpy as np
import pytest
from independent_gradients import Reference, norms, true_gradients
from keras import layers

from dlkeras.callbacks import GradientNormMonitor

BACKEND = keras.backend.backend()
no_torch = pytest.mark.skipif(
    BACKEND == "torch", reason="Keras refuses steps_per_execution > 1 on PyTorch"
)


def data(samples=24, shape=(6,), classes=3):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(samples, *shape)).astype("float32")
    return x, rng.integers(0, classes, samples)


def crossentropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def mlp():
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, "tanh", name="first"),
            layers.Dense(8, "relu", name="second"),
            layers.Dense(3, name="out"),
        ]
    )


def convolutional():
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(4, 3, use_bias=False, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, kernel_regularizer="l2", name="out"),
        ]
    )


def shared_nested_frozen():
    shared = layers.Dense(6, "tanh", name="shared")
    inner_input = keras.Input((6,))
    inner = keras.Model(
        inner_input, layers.Dense(6, name="dense")(inner_input), name="inner"
    )
    frozen = layers.Dense(6, "tanh", name="frozen", trainable=False)
    inputs = keras.Input((6,))
    x = shared(inputs)
    x = layers.add([inner(x), shared(x)])
    return keras.Model(inputs, layers.Dense(3, name="out")(frozen(x)))


def recurrent():
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Rescaling(2.0, offset=4.0),
            layers.Embedding(16, 5, name="words"),
            layers.LSTM(4, name="lstm"),
            layers.Dense(3, name="out"),
        ]
    )


@keras.saving.register_keras_serializable("dlkeras_tests")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Dense(5, "relu", name="first")
        self.blocks = [layers.Dense(5, "tanh", name=f"block_{i}") for i in range(2)]
        self.head = layers.Dense(3, name="head")

    def call(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


def trained(model, x, y, *callbacks, epochs=2, batch_size=8, optimizer=None, **options):
    compile_options = {
        k: options.pop(k)
        for k in ("jit_compile", "steps_per_execution", "run_eagerly")
        if k in options
    }
    optimizer = optimizer or keras.optimizers.SGD(0.1, momentum=0.9)
    model.compile(optimizer, crossentropy(), **compile_options)
    return model.fit(
        x,
        y,
        batch_size=batch_size,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks),
        **options,
    )


def column_order(model, history):
    """For each trainable variable of the model, its column in the history."""
    names = [name for _, name in history.variables]
    sizes = [int(np.prod(v.shape)) for v in model.trainable_variables]
    assert sorted(names) == sorted(v.name for v in model.trainable_variables)
    columns = []
    for variable, size in zip(model.trainable_variables, sizes, strict=True):
        owner = (
            variable.path.split("/")[-2]
            .removesuffix("_cell")
            .replace("lstm_cell", "lstm")
        )
        (column,) = [
            i
            for i, (layer, name) in enumerate(history.variables)
            if name == variable.name and layer.split("/")[-1] == owner
        ]
        assert history.sizes[column] == size
        columns.append(column)
    return columns


CASES = {
    "mlp": (mlp, (6,), {}),
    "convolutional": (convolutional, (6, 6, 1), {}),
    "shared, nested and frozen": (shared_nested_frozen, (6,), {}),
    "recurrent": (recurrent, (6,), {}),
    "subclassed": (Subclassed, (6,), {}),
    "eager": (mlp, (6,), {"run_eagerly": True}),
    "xla": (mlp, (6,), {"jit_compile": BACKEND != "torch"}),
    "no xla": (mlp, (6,), {"jit_compile": False}),
}


@pytest.mark.parametrize("case", CASES)
def test_norms_equal_an_independent_computation_within_1e_6(case):
    make, shape, options = CASES[case]
    keras.utils.set_random_seed(0)
    model, (x, y) = make(), data(shape=shape)
    model(x[:1])
    reference, monitor = Reference(x, y, 8), GradientNormMonitor(frequency=1)
    trained(model, x, y, reference, monitor, **options)
    history = monitor.history
    order = column_order(model, history)
    assert history.steps.tolist() == [1, 2, 3, 4, 5, 6]
    assert history.epochs.tolist() == [0, 0, 0, 1, 1, 1]
    expected = np.array([norms(g) for g in reference.gradients])
    np.testing.assert_allclose(history.gradient_norm[:, order], expected, rtol=1e-6)
    np.testing.assert_allclose(
        history.global_norm, np.sqrt((expected**2).sum(1)), rtol=1e-6
    )
    np.testing.assert_allclose(
        history.weight_norm[:, order], reference.weights, rtol=1e-6
    )
    np.testing.assert_allclose(
        history.update_norm[:, order], reference.updates, rtol=1e-5, atol=1e-9
    )
    zeros = [[np.mean(g == 0) for g in step] for step in reference.gradients]
    np.testing.assert_allclose(history.zero_share[:, order], zeros, atol=1e-7)
    assert not history.non_finite_share.any()


def test_layer_norms_are_those_of_all_its_variables():
    model, (x, y) = mlp(), data()
    monitor = GradientNormMonitor(frequency=1)
    trained(model, x, y, monitor)
    history = monitor.history
    assert history.layer_names == ["first", "second", "out"]
    kernel, bias = history.gradient_norm[:, :2].T
    layer = history.layer("first")
    np.testing.assert_allclose(layer["gradient_norm"], np.hypot(kernel, bias))
    np.testing.assert_allclose(
        layer["update_ratio"], layer["update_norm"] / layer["weight_norm"]
    )
    assert history.per_layer("gradient_norm").shape == (6, 3)
    with pytest.raises(ValueError, match=r"one of \['first'.*Received: name='x'"):
        history.layer("x")


def test_norms_are_taken_before_clipping():
    keras.utils.set_random_seed(0)
    model, (x, y) = mlp(), data()
    reference, monitor = Reference(x, y, 8), GradientNormMonitor(frequency=1)
    trained(
        model, x, y, reference, monitor,
        optimizer=keras.optimizers.SGD(0.1, global_clipnorm=1e-3),
    )  # fmt: skip
    expected = np.array([norms(g) for g in reference.gradients])
    np.testing.assert_allclose(monitor.history.gradient_norm, expected, rtol=1e-6)
    moved = np.sqrt((monitor.history.update_norm**2).sum(1))
    np.testing.assert_allclose(moved, 1e-4, rtol=1e-3)


@pytest.mark.parametrize("kind", ["fixed", "dynamic"])
def test_norms_are_without_the_loss_scale(kind):
    keras.utils.set_random_seed(0)
    model, (x, y) = mlp(), data()
    optimizer = keras.optimizers.SGD(0.1)
    if kind == "fixed":
        optimizer.loss_scale_factor = 1024.0
    else:
        optimizer = keras.optimizers.LossScaleOptimizer(
            optimizer, initial_scale=256.0, dynamic_growth_steps=2
        )
    reference, monitor = Reference(x, y, 8), GradientNormMonitor(frequency=1)
    trained(model, x, y, reference, monitor, optimizer=optimizer)
    history = monitor.history
    expected = np.array([norms(g) for g in reference.gradients])
    np.testing.assert_allclose(history.gradient_norm, expected, rtol=1e-6)
    scales = [1024] * 6 if kind == "fixed" else [256, 256, 512, 512, 1024, 1024]
    assert history.loss_scale.tolist() == scales


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16"])
def test_half_precision_is_measured_in_full(policy):
    if BACKEND == "torch" and policy == "mixed_float16":
        pytest.skip("PyTorch's CPU kernels accumulate float16 in another order")
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        model = mlp()
    finally:
        keras.config.set_dtype_policy("float32")
    x, y = data()
    optimizer = keras.optimizers.SGD(0.1)
    if policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=64.0)
    reference = Reference(x, y, 8, lambda: 64.0 if policy == "mixed_float16" else 1.0)
    monitor = GradientNormMonitor(frequency=1)
    trained(
        model, x, y, reference, monitor, epochs=1, optimizer=optimizer,
        jit_compile=False, run_eagerly=True,
    )  # fmt: skip
    expected = np.array([norms(g) for g in reference.gradients])
    np.testing.assert_allclose(monitor.history.gradient_norm, expected, rtol=1e-6)


def test_an_overflow_under_loss_scaling_is_seen_and_the_weights_stand_still():
    model, (x, y) = keras.Sequential([keras.Input((6,)), layers.Dense(3)]), data()
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1), initial_scale=2.0**126
    )
    monitor = GradientNormMonitor(frequency=1)
    trained(model, x * 1e6, y, monitor, epochs=1, optimizer=optimizer)
    history = monitor.history
    assert history.dynamic_loss_scale
    assert history.non_finite_share[0].any()
    assert not history.update_norm[0].any()


def test_the_mean_gradient_of_an_update_is_measured_under_accumulation():
    keras.utils.set_random_seed(0)
    model, (x, y) = mlp(), data()
    reference, monitor = Reference(x, y, 4), GradientNormMonitor(frequency=1)
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=3)
    trained(model, x, y, reference, monitor, batch_size=4, optimizer=optimizer)
    history = monitor.history
    assert history.steps.tolist() == [3, 6, 9, 12]
    for row, step in zip(history.gradient_norm, history.steps, strict=True):
        parts = reference.gradients[step - 3 : step]
        mean = [np.mean(three, 0) for three in zip(*parts, strict=True)]
        np.testing.assert_allclose(row, norms(mean), rtol=1e-6)


def test_accumulation_below_dynamic_loss_scaling_keeps_only_updates():
    model, (x, y) = mlp(), data()
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1, gradient_accumulation_steps=3), initial_scale=8.0
    )
    monitor = GradientNormMonitor(frequency=1)
    trained(model, x, y, monitor, batch_size=4, optimizer=optimizer)
    assert monitor.history.steps.tolist() == [3, 6, 9, 12]
    assert (monitor.history.update_norm > 0).all()


@no_torch
def test_the_last_step_of_an_execution_is_measured():
    keras.utils.set_random_seed(0)
    model, (x, y) = mlp(), data(samples=40)
    one, many = GradientNormMonitor(frequency=1), GradientNormMonitor(frequency=1)
    weights = model.get_weights()
    trained(model, x, y, one)
    model.set_weights(weights)
    trained(model, x, y, many, steps_per_execution=2)
    assert one.history.steps.tolist() == list(range(1, 11))
    assert many.history.steps.tolist() == [2, 4, 5, 7, 9, 10]
    np.testing.assert_allclose(
        many.history.gradient_norm,
        one.history.gradient_norm[many.history.steps - 1],
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    ("make", "frequency"), [(mlp, "auto"), (convolutional, 1), (convolutional, 3)]
)
def test_weights_are_bit_identical_to_a_training_without_the_monitor(make, frequency):
    x, y = data(samples=64, shape=make().input_shape[1:])

    def run(*callbacks):
        keras.utils.set_random_seed(3)
        model = make()
        trained(
            model, x, y, *callbacks, epochs=3, batch_size=4,
            optimizer=keras.optimizers.Adam(0.01),
        )  # fmt: skip
        state = [*model.variables, *model.optimizer.variables]
        return [np.array(v).tobytes() for v in state]

    assert run() == run(GradientNormMonitor(frequency=frequency))


def test_every_third_step_is_measured():
    model, (x, y) = mlp(), data()
    monitor = GradientNormMonitor(frequency=3)
    trained(model, x, y, monitor, epochs=4)
    assert monitor.history.steps.tolist() == [1, 4, 7, 10]
    assert monitor.history.sampled_every == 3


@no_torch  # where nothing is compiled
def test_one_program_measures_the_same_steps_and_no_plain_one_is_compiled():
    """A layer counts how often a step is made into a program."""
    traced = []

    class Counted(layers.Dense):
        def call(self, inputs, training=None):
            traced.append(training)
            return super().call(inputs)

    def run(one_program):
        keras.utils.set_random_seed(3)
        model, (x, y) = mlp(), data()
        model = keras.Sequential([*model.layers[:-1], Counted(3, name="out")])
        monitor = GradientNormMonitor(frequency=3)
        monitor.one_program = one_program
        traced.clear()
        trained(model, x, y, monitor, epochs=4)
        weights = [np.array(v).tobytes() for v in model.variables]
        return weights, monitor.history.steps.tolist(), traced.count(True)

    weights, steps, programs = run(one_program=False)
    same_weights, same_steps, fewer = run(one_program=True)
    assert (same_weights, same_steps) == (weights, steps)
    assert steps == [1, 4, 7, 10]
    assert fewer < programs


def test_auto_measures_the_first_step_and_then_leaves_most_out():
    model, (x, y) = mlp(), data()
    monitor = GradientNormMonitor()
    trained(model, x, y, monitor, epochs=20)
    steps = monitor.history.steps
    assert steps[:6].tolist() == [1, 3, 5, 7, 9, 11]
    assert 5 <= monitor.history.sampled_every <= 100
    assert set(np.diff(steps[6:])) <= {monitor.history.sampled_every}


def test_model_and_optimizer_are_as_before_once_training_ends():
    model, (x, y) = mlp(), data()
    model.compile("adam", crossentropy())
    model.make_train_function()
    plain = model.train_function
    own = set(vars(model)), set(vars(model.optimizer))
    model.fit(x, y, verbose=0, callbacks=[GradientNormMonitor(frequency=1)])
    assert model.train_function is plain
    gained = set(vars(model)) - own[0], set(vars(model.optimizer)) - own[1]
    assert "train_step" not in gained[0]
    assert not gained[1] & {"apply", "stateless_apply"}
    assert "apply" not in vars(model.optimizer)
    assert len(model.optimizer.variables) == 2 + 2 * 6


def test_a_subclassed_model_that_was_never_called_is_measured_from_its_first_step():
    model, (x, y) = Subclassed(), data()
    model.first.trainable = False
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=3)
    monitor = GradientNormMonitor(frequency=1)
    trained(model, x, y, monitor, optimizer=optimizer, run_eagerly=True)
    assert monitor.history.steps.tolist() == [3, 6]
    assert monitor.history.layer_names == ["block_0", "block_1", "head"]
    assert monitor.history.frozen_moved == []


class Interrupt(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        if batch == 1:
            raise KeyboardInterrupt


def interrupted(model, x, y, monitor):
    model.compile("sgd", crossentropy())
    model.make_train_function()
    plain = model.train_function
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=8, verbose=0, callbacks=[monitor, Interrupt()])
    return plain


def test_after_an_interrupt_the_next_monitor_restores_the_model():
    model, (x, y) = mlp(), data()
    plain = interrupted(model, x, y, GradientNormMonitor(frequency=1))
    second = GradientNormMonitor(frequency=1)
    model.fit(x, y, batch_size=8, verbose=0, callbacks=[second])
    assert model.train_function is plain
    assert second.history.steps.tolist() == [2, 3, 4]


def test_after_an_interrupt_a_fit_without_monitor_restores_the_model():
    model, (x, y) = mlp(), data()
    monitor = GradientNormMonitor(frequency=1)
    plain = interrupted(model, x, y, monitor)
    model.fit(x, y, batch_size=8, verbose=0)
    assert model.train_function is plain
    assert monitor.history.steps.tolist() == [1]


def test_a_model_saved_while_watched_loads_without_the_monitor(tmp_path):
    model, (x, y) = Subclassed(), data()
    file = tmp_path / "watched.keras"
    saving = keras.callbacks.ModelCheckpoint(file)
    trained(model, x, y, GradientNormMonitor(frequency=1), saving, optimizer="adam")
    loaded = keras.saving.load_model(file)
    np.testing.assert_array_equal(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0)
    )
    assert len(loaded.optimizer.variables) == len(model.optimizer.variables)
    loaded.fit(x, y, verbose=0)


def test_fit_twice_continues_the_count_and_a_clone_starts_its_own():
    model, (x, y) = mlp(), data()
    monitor = GradientNormMonitor(frequency=1)
    trained(model, x, y, monitor, epochs=1)
    model.fit(x, y, batch_size=8, verbose=0, callbacks=[monitor])
    assert monitor.history.steps.tolist() == [1, 2, 3, 4, 5, 6]
    clone = keras.models.clone_model(model)
    other = GradientNormMonitor(frequency=1)
    trained(clone, x, y, other, epochs=1)
    assert other.history.steps.tolist() == [1, 2, 3]


@pytest.mark.parametrize("resumed", [False, True])
def test_steps_that_a_loss_scale_skips_are_counted_by_the_next_fit(resumed):
    model, (x, y) = keras.Sequential([keras.Input((6,)), layers.Dense(3)]), data()
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1), initial_scale=2.0**127
    )
    first = second = GradientNormMonitor(frequency=2, on_finding=None)
    trained(model, x * 1e3, y, first, epochs=1, optimizer=optimizer)
    skipped = first.history.non_finite_share.any(1)
    assert skipped[0]
    if resumed:
        second = GradientNormMonitor(frequency=2, on_finding=None)
        second.set_state(first.get_state())
    model.fit(x * 1e3, y, batch_size=8, verbose=0, callbacks=[second])
    assert int(optimizer.inner_optimizer.iterations) < 6
    assert second.history.steps.tolist() == ([1, 3, 5] if resumed else [1, 3, 4, 6])


def test_a_layer_unfrozen_later_gets_a_column_that_begins_later():
    model, (x, y) = mlp(), data()
    model.get_layer("first").trainable = False
    monitor = GradientNormMonitor(frequency=1)
    trained(model, x, y, monitor, epochs=1)
    model.get_layer("first").trainable = True
    trained(model, x, y, monitor, epochs=1)
    history = monitor.history
    assert history.layer_names == ["first", "second", "out"]
    assert np.isnan(history.gradient_norm[:3, 0]).all()
    assert np.isfinite(history.gradient_norm[3:]).all()


def test_norms_far_below_and_above_float32_squares_are_measured():
    x, y = data()
    for size in (1e-28, 1e25):
        model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.0), "mae", jit_compile=False)
        monitor = GradientNormMonitor(frequency=1)
        model.fit(x * size, y * 0 + 1.0, batch_size=24, verbose=0, callbacks=[monitor])
        # mae: the gradient is mean(sign(error) x)
        sign = np.sign(x * size @ np.array(model.get_weights()[0]) - 1)
        expected = np.linalg.norm((sign * x).mean(0, dtype=np.float64)) * size
        found = monitor.history.gradient_norm[0, 0]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_layer_outside_the_loss_has_a_gradient_of_zero():
    inputs = keras.Input((6,))
    out = layers.Dense(3, name="out")(inputs)
    aside = layers.Dense(2, name="aside")(inputs)
    model, (x, y) = keras.Model(inputs, [out, aside]), data()
    model.compile("sgd", [crossentropy(), None])
    monitor = GradientNormMonitor(frequency=1)
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(UserWarning)
        model.fit(x, y, verbose=0, callbacks=[monitor])
    aside = monitor.history.layer("aside")
    assert aside["gradient_norm"][0] == 0
    assert aside["zero_share"][0] == 1


def test_frozen_layers_that_move_are_found():
    model, (x, y) = convolutional(), data(shape=(6, 6, 1))
    monitor = GradientNormMonitor(frequency=1)
    model.get_layer("conv").trainable = False
    trained(model, x, y, monitor)
    assert monitor.history.frozen_moved == []

    class Hand(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            kernel = self.model.get_layer("conv").kernel
            kernel.assign(kernel + 1.0)

    monitor = GradientNormMonitor(frequency=1)
    trained(model, x, y, Hand(), monitor)
    assert monitor.history.frozen_moved == [(0, "conv"), (1, "conv")]


class Twins(keras.Model):
    """Two layers of the same name, and one with two weights of the same name."""

    def __init__(self):
        super().__init__()
        self.first = layers.Dense(5, name="same")
        self.second = layers.Dense(4, name="same")
        self.scales = Scales(name="scales")

    def call(self, x):
        return self.scales(self.second(self.first(x)))


class Scales(layers.Layer):
    def build(self, shape):
        self.one = self.add_weight(shape=(4, 4), name="scale")
        self.two = self.add_weight(shape=(4, 3), name="scale")

    def call(self, x):
        return keras.ops.matmul(keras.ops.matmul(x, self.one), self.two)


def test_layers_and_weights_of_the_same_name_are_told_apart():
    model, (x, y) = Twins(), data()
    monitor = GradientNormMonitor(frequency=1)
    trained(model, x, y, monitor)
    history = monitor.history
    assert dict(zip(history.variable_names, history.sizes, strict=True)) == {
        "same/kernel": 30, "same/bias": 5, "same_2/kernel": 20, "same_2/bias": 4,
        "scales/scale": 16, "scales/scale_2": 12,
    }  # fmt: skip
    assert len(history.values[0, 0]) == 6


def test_of_two_monitors_the_second_says_that_it_does_not_listen(capsys):
    model, (x, y) = mlp(), data()
    first, second = GradientNormMonitor(frequency=1), GradientNormMonitor(frequency=1)
    trained(model, x, y, first, second, epochs=1)
    assert first.history.steps.tolist() == [1, 2, 3]
    assert first.reason is None
    assert "one GradientNormMonitor for a `fit`" in second.reason
    assert capsys.readouterr().out.count("measures nothing") == 1
    model.fit(x, y, batch_size=8, verbose=0, callbacks=[second])
    assert second.history.steps.tolist() == [4, 5, 6]


def test_with_another_model_a_monitor_begins_anew():
    (x, y), monitor = data(), GradientNormMonitor(frequency=np.int64(1))
    trained(mlp(), x, y, monitor, epochs=1)
    trained(Subclassed(), x, y, monitor, epochs=1)
    assert monitor.history.layer_names == ["first", "block_0", "block_1", "head"]
    assert monitor.history.steps.tolist() == [1, 2, 3]
    assert len(monitor.history.epoch_logs) == 1


@pytest.mark.parametrize("optimizer", [None, object()])
def test_an_optimizer_without_apply_is_told_and_training_goes_on(optimizer, capsys):
    model, monitor = mlp(), GradientNormMonitor(frequency=1)
    model.optimizer = optimizer
    monitor.set_model(model)
    monitor.on_train_begin()
    monitor.on_epoch_begin(0)
    monitor.on_epoch_end(0, {"loss": 1.0})
    monitor.on_train_end()
    assert "must have the method" in monitor.reason
    assert "Received: optimizer=" in capsys.readouterr().out


def test_seeds_of_frozen_layers_may_move():
    inner = keras.Sequential(
        [keras.Input((6,)), layers.Dense(6), layers.Dropout(0.5)], name="inner"
    )
    inner.trainable = False
    model = keras.Sequential([keras.Input((6,)), inner, layers.Dense(3)])
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in inner.variables]
    monitor, (x, y) = GradientNormMonitor(frequency=1), data()
    trained(model, x, y, monitor)
    after = [np.array(keras.ops.convert_to_numpy(v)) for v in inner.variables]
    same = [np.array_equal(a, b) for a, b in zip(after, before, strict=True)]
    # Without a seed, Keras lets PyTorch draw: the layer's own seed stays.
    assert same == [True, True, BACKEND == "torch"]
    assert monitor.history.frozen_moved == []


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the others see it or refuse")
@pytest.mark.parametrize("thaw", [False, True])
def test_freezing_without_compile_is_told_and_training_goes_on_as_without(thaw, capsys):
    def weights(*callbacks):
        keras.utils.set_random_seed(1)
        model, (x, y) = mlp(), data()
        model.get_layer("first").trainable = not thaw
        model.compile(keras.optimizers.SGD(0.1), crossentropy())
        model.fit(x, y, verbose=0)
        model.get_layer("first").trainable = thaw
        model.fit(x, y, epochs=2, verbose=0, callbacks=list(callbacks))
        return [w.tobytes() for w in model.get_weights()]

    monitor = GradientNormMonitor(frequency=1)
    assert weights(monitor) == weights()
    assert "`trainable` must not be changed without calling `comp" in monitor.reason
    assert "measures nothing" in capsys.readouterr().out
    moved = [(0, "first"), (1, "first")]
    assert monitor.history.frozen_moved == ([] if thaw else moved)
    names = [finding.name for finding in monitor.findings]
    assert names == ([] if thaw else ["frozen_layer_moves"])


def test_only_the_layers_asked_for_are_reported():
    model, (x, y) = shared_nested_frozen(), data()
    monitor = GradientNormMonitor(frequency=1, layers=["inner", "out"])
    trained(model, x, y, monitor)
    assert monitor.history.layer_names == ["inner/dense", "out"]


def test_epoch_logs_get_the_median_norm_of_each_layer_when_asked():
    model, (x, y) = mlp(), data()
    monitor = GradientNormMonitor(frequency=1, add_to_logs=True)
    logs = trained(model, x, y, monitor).history
    median = np.median(monitor.history.layer("out")["gradient_norm"][:3])
    assert logs["gradient_norm/out"][0] == pytest.approx(median)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorBoard's writer needs it")
def test_tensorboard_gets_the_norms_through_its_own_callback(tmp_path):
    reading = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    tensorflow = pytest.importorskip("tensorflow")
    model, (x, y) = mlp(), data()
    monitor = GradientNormMonitor(frequency=1, add_to_logs=True)
    trained(model, x, y, monitor, keras.callbacks.TensorBoard(tmp_path))
    events = reading.EventAccumulator(str(tmp_path / "train"), {"tensors": 0})
    written = events.Reload().Tensors("epoch_gradient_norm/out")
    median = np.median(monitor.history.layer("out")["gradient_norm"][:3])
    assert [event.step for event in written] == [0, 1]
    assert tensorflow.make_ndarray(written[0].tensor_proto) == pytest.approx(median)


def test_validation_data_and_a_generator_of_unknown_length_are_fine():
    model, (x, y) = mlp(), data()

    def batches():
        for i in itertools.cycle(range(3)):
            yield x[8 * i : 8 * i + 8], y[8 * i : 8 * i + 8]

    model.compile("sgd", crossentropy(), metrics=["accuracy"])
    monitor = GradientNormMonitor(frequency=2)
    logs = model.fit(
        batches(), steps_per_epoch=3, epochs=2, verbose=0, shuffle=False,
        validation_data=(x, y), callbacks=[monitor],
    ).history  # fmt: skip
    assert monitor.history.steps.tolist() == [1, 3, 5]
    assert set(logs) == {"loss", "accuracy", "val_loss", "val_accuracy"}


@pytest.mark.parametrize("frequency", [0, -1, 1.5, "often", True, None])
def test_a_bad_frequency_is_refused(frequency):
    with pytest.raises(ValueError, match=r"1 or more, or \"auto\".*Received: freq"):
        GradientNormMonitor(frequency=frequency)


def test_a_layer_that_does_not_exist_is_refused_with_the_nearest_name():
    model, (x, y) = mlp(), data()
    with pytest.raises(ValueError, match=r"Did you mean 'second'\?.*'secnd'"):
        trained(model, x, y, GradientNormMonitor(layers=["secnd"]))
    with pytest.raises(ValueError, match="list of layer names"):
        GradientNormMonitor(layers="second")


def test_a_model_that_is_not_compiled_gets_kerass_error():
    model, (x, y) = mlp(), data()
    with pytest.raises(ValueError, match="compile"):
        model.fit(x, y, callbacks=[GradientNormMonitor()])


class Bypass(keras.Sequential):
    def train_step(self, *args):
        if BACKEND == "jax":
            state, _ = args
            return {"loss": 1.0}, state
        return {"loss": 1.0}


def test_a_train_step_past_the_optimizer_trains_on_and_is_told(capsys):
    model, (x, y) = Bypass(mlp().layers), data()
    monitor = GradientNormMonitor(frequency=1)
    trained(model, x, y, monitor)
    assert "`train_step` updated the weights without" in monitor.reason
    assert capsys.readouterr().out.count("GradientNormMonitor measures nothing") == 1
    assert len(monitor.history) == 0


def test_large_variables_are_measured_within_1e_6():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 700)).astype("float32"), np.zeros((4, 1))
    model = keras.Sequential(
        [keras.Input((700,)), layers.Dense(1500, "tanh"), layers.Dense(1)]
    )
    model.compile(keras.optimizers.SGD(0.1), keras.losses.MeanSquaredError())
    monitor = GradientNormMonitor(frequency=1)
    expected = norms(
        true_gradients(model, x, keras.ops.convert_to_tensor(y, "float32"))
    )
    model.fit(x, y, verbose=0, callbacks=[monitor])
    np.testing.assert_allclose(monitor.history.gradient_norm[0], expected, rtol=1e-6)


def test_a_monitor_goes_on_from_the_state_of_another(tmp_path):
    def fit(monitor, first, last, weights=None):
        keras.utils.set_random_seed(3)
        model, (x, y) = mlp(), data()
        model.compile(keras.optimizers.SGD(0.05), crossentropy())
        if weights:
            model.optimizer.build(model.trainable_variables)
            for variable, value in zip(all_variables(model), weights, strict=True):
                variable.assign(value)
        model.fit(
            x, y, batch_size=4, shuffle=False, initial_epoch=first, epochs=last,
            verbose=0, callbacks=[monitor],
        )  # fmt: skip
        return [np.array(keras.ops.convert_to_numpy(v)) for v in all_variables(model)]

    def all_variables(model):
        return [*model.variables, *model.optimizer.variables]

    whole, before, after = (
        GradientNormMonitor(frequency=4, on_finding=None) for _ in range(3)
    )
    fit(whole, 0, 4)
    weights = fit(before, 0, 2)
    np.savez(tmp_path / "state.npz", **before.get_state())
    with np.load(tmp_path / "state.npz", allow_pickle=False) as state:
        after.set_state(state)
    fit(after, 2, 4, weights)
    assert after.history.steps.tolist() == [1, 5, 9, 13, 17, 21]
    for name in ("steps", "epochs", "loss", "values", "sizes", "loss_scale"):
        ours, theirs = getattr(after.history, name), getattr(whole.history, name)
        np.testing.assert_array_equal(ours, theirs)
    assert after.history.variables == whole.history.variables
    assert after.history.epoch_logs == whole.history.epoch_logs
    assert after.findings == whole.findings
