"""check_training takes what `fit` takes, and looks at all of it."""

import keras
import numpy as np
import pytest
from keras import layers

from dlkeras.diagnosis import check_training
from dlkeras.diagnosis.checks import examples
from dlkeras.diagnosis.facts import Facts
from dlkeras.diagnosis.labels_seen import Labels
from dlkeras.diagnosis.rules.labels import link_to_inputs, sorted_by_class

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("int64")


def broken():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1, "softmax")])
    model.compile("adam", "binary_crossentropy")
    return model


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return X[32 * index : 32 * index + 32], Y[32 * index : 32 * index + 32]


def tf_data():
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(32)


def torch_loader():
    torch = pytest.importorskip("torch")
    pairs = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    return torch.utils.data.DataLoader(pairs, batch_size=32)


@pytest.mark.parametrize(
    "data",
    [
        lambda: (X, Y),
        lambda: (Batches(workers=1),),
        lambda: (tf_data(),),
        lambda: (torch_loader(),),
        lambda: (({"x": X[:32]}["x"], Y[:32]) for _ in range(1)),
    ],
    ids=["arrays", "PyDataset", "tf.data", "PyTorch", "generator"],
)
def test_any_data_that_fit_takes_are_looked_at(data):
    given = data()
    given = given if isinstance(given, tuple) else (given,)
    diagnosis = check_training(broken(), *given)
    assert diagnosis.findings[0].name == "softmax_of_one_unit"
    assert "labels (classes)" in " ".join(diagnosis.checked)


def test_the_probe_is_drawn_over_the_whole_set_and_not_its_first_rows():
    """1,000 examples sorted by class: the first 512 rows have one class."""
    x, y = np.arange(1000.0)[:, None], np.arange(1000) // 500
    _, labels, *_ = examples(x, y)
    assert len(labels.values) == 512
    assert 0.4 < labels.values.mean() < 0.6


def test_no_weight_and_no_seed_is_changed():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((4,)), layers.BatchNormalization(), layers.Dropout(0.5)]
    )
    model.add(layers.Dense(1))
    model.compile("adam", "mse")
    before = [np.array(v) for v in model.variables]
    assert check_training(model, X, X[:, :1]).healthy
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(np.array(variable), value)


def test_validation_data_of_another_scale_are_named():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.compile("adam", "mse")
    diagnosis = check_training(model, X, X[:, :1], validation_data=(255 * X, X[:, :1]))
    assert diagnosis.findings[0].name == "validation_of_another_scale"
    assert "prepare both by the same layer" in diagnosis.verdict


def test_a_model_of_several_inputs_and_answers_is_looked_at():
    inputs = [keras.Input((4,), name="a"), keras.Input((4,), name="b")]
    both = layers.Concatenate()(inputs)
    model = keras.Model(inputs, [layers.Dense(1)(both), layers.Dense(2)(both)])
    model.compile("adam", ["mse", "mse"])
    y = [X[:, :1], X[:, :2]]
    assert check_training(model, {"a": X, "b": X}, y).healthy
    a_nan = np.where(np.arange(256).reshape(64, 4) == 9, np.nan, X)
    diagnosis = check_training(model, {"a": X, "b": a_nan}, y)
    assert diagnosis.findings[0].name == "non_finite_inputs"
    assert "columns [1]" in diagnosis.verdict  # entry 9 of rows of four


@pytest.mark.parametrize(
    ("labels", "loss", "guess"),
    [
        (np.arange(40) % 4, "sparse", np.log(4)),
        (np.eye(4)[np.arange(40) % 4], "categorical", np.log(4)),
        (np.arange(40) % 2, "binary", np.log(2)),
        (np.array([0.0, 2.0] * 8), "mean_squared_error", 1.0),
        (np.array([0.0, 2.0, 2.0, 2.0] * 8), "mean_absolute_error", 0.5),
    ],
)
def test_the_loss_of_the_best_constant_answer_is_that_of_the_formula(
    labels, loss, guess
):
    assert Labels(labels).guessing(loss) == pytest.approx(guess, rel=1e-6)


@pytest.mark.parametrize(
    ("labels", "loss", "floor"),
    [
        # H(0.25) = 0.25 ln 4 + 0.75 ln (4 / 3).
        (np.full((40, 3), 0.25), "binary", 0.562335),
        (np.tile([[0.5, 0.25, 0.25]], (40, 1)), "categorical", 1.5 * np.log(2)),
        (np.eye(4)[np.arange(40) % 4], "categorical", 0.0),
        (np.arange(40) % 2, "binary", 0.0),
        (np.arange(40) / 40, "mean_squared_error", 0.0),
    ],
)
def test_soft_targets_leave_a_cross_entropy_of_their_own_entropy(labels, loss, floor):
    assert Labels(labels).floor(loss) == pytest.approx(floor, abs=1e-5)


def test_batches_of_one_class_each_are_called_sorted():
    model = broken()
    batches = [np.full(16, i // 4) for i in range(8)]
    labels = Labels(np.concatenate(batches))
    facts = Facts(model, labels=labels, batch_labels=batches)
    (finding,) = sorted_by_class(facts)
    assert "shuffle=True" in finding.fix
    mixed = [np.arange(16) % 2 for _ in range(8)]
    assert not [*sorted_by_class(Facts(model, labels=labels, batch_labels=mixed))]


def test_neighbours_know_labels_that_belong_to_the_inputs_and_none_that_do_not():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 300)
    x = 3 * rng.normal(size=(3, 5))[y] + rng.normal(size=(300, 5))
    model = broken()
    assert link_to_inputs(Facts(model, [x], Labels(y))) > 10
    assert abs(link_to_inputs(Facts(model, [x], Labels(rng.permutation(y))))) < 3


def test_what_cannot_be_looked_at_is_refused_in_a_line():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    with pytest.raises(ValueError, match="must be compiled"):
        check_training(model, X, Y)
    with pytest.raises(ValueError, match="at least one example"):
        check_training(broken(), X[:0], Y[:0])
    with pytest.raises(ValueError, match="at least one batch"):
        check_training(broken(), iter(()))
