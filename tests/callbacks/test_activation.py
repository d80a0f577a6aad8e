"""ActivationMonitor: shares counted by hand, on any kind of model, without a trace."""

import keras
import numpy as np
import pytest
from keras import layers

from dlkeras.callbacks import ActivationMonitor, GradientNormMonitor, activation


def run(model, x, probe=None, epochs=1, **options):
    model.compile("sgd", "mse")
    monitor = ActivationMonitor(
        x if probe is None else probe, on_finding=None, **options
    )
    model.fit(x, np.zeros((len(x), 1)), epochs=epochs, verbose=0, callbacks=[monitor])
    return monitor


def constant(values, activation):
    """A layer that puts out `activation(values)` for every input."""
    return layers.Dense(
        len(values),
        activation,
        kernel_initializer="zeros",
        bias_initializer=lambda shape, dtype=None: keras.ops.convert_to_tensor(
            values, dtype
        ),
        name="watched",
    )


X = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")


@pytest.mark.parametrize(
    ("activation", "values", "quantity", "share"),
    [
        ("relu", [1.0, -1.0, -2.0, 0.5], "dead_share", 0.5),
        ("tanh", [0.0, 2.0, -2.2, 2.1], "saturated_share", 0.5),  # tanh 2.1 = 0.9705
        ("sigmoid", [0.0, 3.4, 3.5, -3.5], "saturated_share", 0.5),  # 0.9677, 0.9707
        ("softmax", [9.0, 0.0, 0.0], "saturated_share", 1.0),
    ],
)
def test_shares_are_those_counted_by_hand(activation, values, quantity, share):
    model = keras.Sequential(
        [keras.Input((3,)), constant(values, activation), layers.Dense(1)]
    )
    history = run(model, X).history
    column = history.layer_names.index("watched")
    assert getattr(history, quantity)[0, column] == share
    outputs = keras.ops.convert_to_numpy(
        keras.activations.get(activation)(np.array([values], "float32"))
    )
    assert history.mean[0, column] == pytest.approx(outputs.mean(), rel=1e-5)
    assert history.std[0, column] == pytest.approx(outputs.std(), rel=1e-5)


def test_a_unit_is_dead_only_if_it_is_0_for_every_sample_and_position():
    kernel = np.zeros((1, 1, 1, 3), "float32")
    kernel[..., 0], kernel[..., 1] = 1, -1  # one for positive, one for negative inputs
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.Conv2D(3, 1, name="conv"),
            layers.ReLU(name="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1),
        ]
    )
    model.get_layer("conv").set_weights([kernel, np.zeros(3)])
    x = np.zeros((5, 4, 4, 1), "float32")
    x[3, 2, 1], x[4, 0, 0] = 1, -1
    history = run(model, x).history
    assert history.dead_share[0, history.layer_names.index("relu")] == pytest.approx(
        1 / 3
    )


def test_a_leaky_unit_is_never_dead():
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4), layers.LeakyReLU(), layers.Dense(1)]
    )
    history = run(model, X).history
    assert np.isnan(history.dead_share).all()


class Reference(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(4, "tanh", name="hidden")
        self.drop = layers.Dropout(0.5, name="drop")
        self.norm = layers.BatchNormalization(name="norm")
        self.out = layers.Dense(1, name="out")

    def call(self, x, training=False):
        x = self.drop(self.norm(self.hidden(x)), training=training)
        return self.out(keras.ops.relu(x))


def functional():
    shared = layers.Dense(4, "relu", name="shared")
    inside = keras.Input((4,))
    inner = keras.Model(
        inside, layers.Dense(4, "tanh", name="dense")(inside), name="in"
    )
    inputs = keras.Input((3,))
    x = inner(shared(layers.Dense(4)(inputs)))
    x = keras.ops.sigmoid(shared(x))
    return keras.Model(inputs, layers.Dense(1, name="out")(x))


def test_nested_and_shared_layers_and_operations_are_seen():
    monitor = run(functional(), X)
    names = monitor.history.layer_names
    assert {"shared", "in/dense", "out"} < set(names)
    sigmoid = next(
        n for n in names if monitor.history.layers[n].activation == "sigmoid"
    )
    assert np.isfinite(monitor.history.saturated_share[:, names.index(sigmoid)]).all()
    assert monitor.history.outputs == ["out"]
    assert monitor.blind == []


def test_a_subclassed_model_is_seen_and_what_is_not_seen_is_said():
    monitor = run(Reference(), X)
    assert {"hidden", "norm", "out"} <= set(monitor.history.layer_names)
    assert len(monitor.blind) == 1
    assert "its own `call`" in monitor.blind[0]


@pytest.mark.parametrize("make", [Reference, functional])
def test_training_is_bit_identical_with_and_without_the_monitor(make):
    def weights(*callbacks):
        keras.utils.set_random_seed(5)
        model = make()
        model.compile("adam", "mse")
        model.fit(
            X, X[:, :1], batch_size=8, epochs=2, verbose=0, callbacks=list(callbacks)
        )
        return [np.array(v).tobytes() for v in model.variables]

    monitors = [ActivationMonitor(X), GradientNormMonitor(frequency=2)]
    assert weights() == weights(*monitors)
    assert len(monitors[0].history.epochs) == 3


def test_it_probes_before_training_and_after_every_so_many_epochs():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    assert run(model, X, epochs=5, frequency=2).history.epochs.tolist() == [0, 2, 4]


def test_an_output_that_is_only_reshaped_is_an_output():
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, "sigmoid", name="out"), layers.Flatten()]
    )
    model.add(layers.Reshape((2, 2), name="square"))
    model.compile("sgd", "mse")
    monitor = ActivationMonitor(X, on_finding=None)
    model.fit(X, np.zeros((32, 2, 2)), verbose=0, callbacks=[monitor])
    assert {"out", "square"} <= set(monitor.history.outputs)
    column = monitor.history.layer_names.index("out")
    assert monitor.history.units[:, column].tolist() == [4, 4]
    assert monitor.history.answers[:, column].tolist() == [32, 32]


def test_a_data_set_gives_its_first_batch():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1, name="out")])

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            if index >= 2:
                raise IndexError
            return X[16 * index : 16 * index + 16], X[:16, :1]

    monitor = run(model, X, probe=Batches())
    np.testing.assert_array_equal(monitor.probe, X[:16])


def test_a_probe_of_the_wrong_shape_trains_on_and_is_told(capsys):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    monitor = run(model, X, probe=X[:, :2], epochs=3)
    assert "the probe failed" in monitor.reason
    assert capsys.readouterr().out.count("ActivationMonitor measures nothing") == 1


def test_bad_arguments_are_refused():
    for frequency in (0, 1.5, True):
        with pytest.raises(ValueError, match=r"1 or more\. Received: frequency"):
            ActivationMonitor(X, frequency)
    with pytest.raises(ValueError, match="at least one sample"):
        ActivationMonitor(X[:0])
    with pytest.raises(ValueError, match=r"a data set of batches\. Received: probe=3"):
        ActivationMonitor(3)


def test_a_monitor_goes_on_from_the_state_of_another(tmp_path):
    model = functional()
    before = run(model, X, epochs=2)
    np.savez(tmp_path / "state.npz", **before.get_state())
    after = ActivationMonitor(X, on_finding=None)
    with np.load(tmp_path / "state.npz", allow_pickle=False) as state:
        after.set_state(state)
    assert after.findings == before.findings
    model.fit(X, X[:, :1], initial_epoch=2, epochs=3, verbose=0, callbacks=[after])
    history = after.history
    assert history.epochs.tolist() == [0, 1, 2, 3]
    assert history.layers == before.history.layers
    for name in ("mean", "std", "dead_share", "saturated_share"):
        ours, theirs = getattr(history, name), getattr(before.history, name)
        np.testing.assert_array_equal(ours[:3], theirs)
    assert np.isnan(history.loss[0]) and np.isfinite(history.loss[1:]).all()


def test_what_is_measured_in_parts_is_what_numpy_measures_at_once():
    random = np.random.default_rng(0)
    some = random.normal(3, 2, (40_000, 3)).astype("float32")
    some[:, 1] = 0
    other = random.normal(-50, 1, (7, 3)).astype("float32")
    mean, std = activation.moments([some, other])
    together = np.concatenate([some, other]).astype("float64")
    assert mean == pytest.approx(together.mean(), rel=1e-12)
    assert std == pytest.approx(together.std(), rel=1e-12)
    assert activation.dead_units([some]).tolist() == [False, True, False]
    assert not activation.dead_units([some, other]).any()
    last = np.zeros((40_000, 2), "float32")
    last[-1, 1] = np.nan
    assert activation.dead_units([last]).tolist() == [True, False]
    info = activation.LayerInfo("a", "Dense", "dense", "relu", frozen=False)
    some[5, 0] = np.inf
    seen = activation.measured([some], info, -1)
    assert seen["non_finite_share"] == pytest.approx(1 / some.size)
    assert seen["mean"] == np.inf
