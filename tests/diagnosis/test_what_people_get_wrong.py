"""Each fault that people ask about gets the name that a person would give it.

The right answers are written by hand: the name of the cause, and a piece of the line
that mends it.
"""

import keras
import numpy as np
import pytest
from keras import layers

from dlkeras.callbacks import GradientNormMonitor
from dlkeras.diagnosis import check_training
from dlkeras.diagnosis.checks import found
from dlkeras.diagnosis.facts import Facts
from dlkeras.diagnosis.finding import found as measured
from dlkeras.diagnosis.labels_seen import Labels
from dlkeras.diagnosis.report import judge
from dlkeras.diagnosis.rules.labels import sorted_by_class
from dlkeras.diagnosis.rules.optimisation import penalty_of
from dlkeras.diagnosis.rules.structure import EARLY_RULES
from dlkeras.diagnosis.training import judge_training

Adam = keras.optimizers.Adam
RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 6)).astype("float32")
THREE = RNG.integers(0, 3, 96)
TWO = THREE % 2
HOT = np.eye(3)[THREE]
SEVERAL = (RNG.uniform(size=(96, 3)) > 0.5).astype(float)
NUMBERS = X[:, :1] * 0.5
SPARSE = "sparse_categorical_crossentropy"


def net(units, activation=None, loss="mse", hidden=(8,), optimizer="adam", **options):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            *[layers.Dense(width, "relu", **options) for width in hidden],
            layers.Dense(units, activation, name="out", **options),
        ]
    )
    model.compile(optimizer, loss)
    return model


def logits(loss):
    return getattr(keras.losses, loss)(from_logits=True)


# The fault: the model, the inputs and the labels; its name; what mends it; its twin.
BEFORE_THE_FIRST_STEP = {
    "one unit with softmax, binary cross-entropy": (
        lambda: (net(1, "softmax", "binary_crossentropy"), X, TWO),
        "softmax_of_one_unit",
        'Dense(1, activation="sigmoid")',
        lambda: (net(1, "sigmoid", "binary_crossentropy"), X, TWO),
    ),
    "one unit with softmax, mean squared error": (
        lambda: (net(1, "softmax"), X, NUMBERS),
        "softmax_of_one_unit",
        "Dense(1) and loss=",
        lambda: (net(1), X, NUMBERS),
    ),
    "softmax and mean squared error on several labels": (
        lambda: (net(3, "softmax"), X, SEVERAL),
        "softmax_for_several_labels",
        'Dense(3, activation="sigmoid") and loss="binary_crossentropy"',
        lambda: (net(3, "sigmoid", "binary_crossentropy"), X, SEVERAL),
    ),
    "sigmoid before categorical cross-entropy": (
        lambda: (net(3, "sigmoid", "categorical_crossentropy"), X, HOT),
        "sigmoid_with_categorical_crossentropy",
        'Dense(3, activation="softmax")',
        lambda: (net(3, "softmax", "categorical_crossentropy"), X, HOT),
    ),
    "one sigmoid unit for labels 0, 1, 2": (
        lambda: (net(1, "sigmoid", "binary_crossentropy"), X, THREE),
        "labels_beyond_binary",
        'Dense(3, activation="softmax")',
        lambda: (net(3, "softmax", SPARSE), X, THREE),
    ),
    "ReLU before cross-entropy": (
        lambda: (net(3, "relu", SPARSE), X, THREE),
        "relu_output",
        'Dense(3, activation="softmax")',
        lambda: (net(3, "softmax", SPARSE), X, THREE),
    ),
    "sigmoid for targets of 2 to 32": (
        lambda: (net(1, "sigmoid"), X, 17 + 5 * NUMBERS),
        "targets_out_of_reach",
        "Dense(1)  # no activation",
        lambda: (net(1), X, 17 + 5 * NUMBERS),
    ),
    "ReLU for targets of -1 to 1": (
        lambda: (net(1, "relu"), X, np.tanh(NUMBERS)),
        "targets_out_of_reach",
        "Dense(1)  # no activation",
        lambda: (net(1, "relu"), X, np.abs(NUMBERS)),
    ),
    "logits without from_logits": (
        lambda: (net(3, None, SPARSE), X, THREE),
        "logits_without_from_logits",
        "SparseCategoricalCrossentropy(from_logits=True)",
        lambda: (net(3, None, logits("SparseCategoricalCrossentropy")), X, THREE),
    ),
    "labels divided by 255": (
        lambda: (net(3, "softmax", SPARSE), X, THREE / 255),
        "labels_not_whole",
        "do not scale y",
        lambda: (net(3, "softmax", SPARSE), X, THREE.astype("float32")),
    ),
    "pixels of 0 to 255, Adam": (
        lambda: (net(3, "softmax", SPARSE), np.round(255 * np.abs(X) / 4), THREE),
        "inputs_far_from_one",
        "Normalization()",
        lambda: (net(3, "softmax", SPARSE), np.abs(X) / 4, THREE),
    ),
    "columns of scales 1 to 100,000": (
        lambda: (net(1), X * np.logspace(0, 5, 6), NUMBERS),
        "columns_of_different_scales",
        "Normalization()",
        lambda: (net(1), X * np.logspace(0, 1, 6), NUMBERS),
    ),
    "one NaN in the inputs": (
        lambda: (net(1), np.where(np.arange(576).reshape(96, 6) == 100, np.nan, X), X),
        "non_finite_inputs",
        "nan_to_num",
        lambda: (net(1), X, NUMBERS),
    ),
    "all kernels 0": (
        lambda: (net(3, "softmax", SPARSE, kernel_initializer="zeros"), X, THREE),
        "equal_weights",
        "glorot_uniform",
        lambda: (net(3, "softmax", SPARSE), X, THREE),
    ),
    "all kernels 1": (
        lambda: (net(1, kernel_initializer="ones"), X, NUMBERS),
        "equal_weights",
        "glorot_uniform",
        lambda: (net(1, hidden=(), kernel_initializer="ones"), X, NUMBERS),
    ),
    "all labels 1": (
        lambda: (net(1, "sigmoid", "binary_crossentropy"), X, np.ones(96)),
        "labels_all_equal",
        "np.unique(y",
        lambda: (net(1, "sigmoid", "binary_crossentropy"), X, TWO),
    ),
    "classes numbered from 1": (
        lambda: (net(3, "softmax", SPARSE), X, THREE + 1),
        "labels_out_of_range",
        "Dense(4",
        lambda: (net(4, "softmax", SPARSE), X, THREE + 1),
    ),
}


@pytest.mark.parametrize("fault", BEFORE_THE_FIRST_STEP)
def test_a_fault_is_named_before_the_first_step_and_its_twin_is_healthy(fault):
    sick, name, mends, twin = BEFORE_THE_FIRST_STEP[fault]
    diagnosis = check_training(*sick())
    assert diagnosis.findings[0].name == name
    assert mends in diagnosis.findings[0].fix
    assert mends in diagnosis.verdict and not diagnosis.healthy
    assert check_training(*twin()).healthy


def test_batches_that_each_have_one_of_ten_classes_and_a_half_are_sorted():
    """Ten sorted classes of 51: most batches of 32 have one class, others two."""
    y = np.repeat(np.arange(10), 51)
    batches = [y[start : start + 32] for start in range(0, 510, 32)]
    model = net(10, "softmax", SPARSE)
    facts = Facts(model, labels=Labels(y), batch_labels=batches)
    (finding,) = found(facts, [sorted_by_class])
    assert finding.severity == "warning" and "shuffle=True" in finding.fix
    # 3 of 100 are of the other class: a batch without it is no sign of order.
    rare = np.zeros((4, 16), int)
    rare[0, 0] = rare[3, 5] = 1
    facts = Facts(model, labels=Labels(rare.ravel()), batch_labels=[*rare])
    assert not list(found(facts, [sorted_by_class]))


def images(scale):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Conv2D(4, 3, activation="relu")]
    )
    model.add(layers.Flatten())
    model.add(layers.Dense(3, "softmax"))
    model.compile(keras.optimizers.SGD(), SPARSE)
    return model, np.round(RNG.uniform(0, 255, (96, 8, 8, 1))) * scale, THREE


def test_pixels_of_0_to_255_are_called_so_and_rescaled_ones_are_not():
    diagnosis = check_training(*images(1))
    assert diagnosis.findings[0].name == "inputs_0_to_255"
    assert "Rescaling(1 / 255)" in diagnosis.findings[0].fix
    assert check_training(*images(1 / 255)).healthy
    model, x, y = images(1)
    inside = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Rescaling(1 / 255), model]
    )
    inside.compile("sgd", SPARSE)
    assert check_training(inside, x, y).healthy


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_probabilities_given_as_logits_are_an_error_where_keras_does_not_mend_it(
    activation,
):
    """Keras's TensorFlow backend finds the logits behind a softmax by itself."""
    loss = logits(
        "CategoricalCrossentropy" if activation == "softmax" else "BinaryCrossentropy"
    )
    y = HOT if activation == "softmax" else SEVERAL
    diagnosis = check_training(net(3, activation, loss), X, y)
    (finding,) = [f for f in diagnosis if f.name == "probabilities_as_logits"]
    mended = keras.backend.backend() == "tensorflow"
    assert finding.severity == ("note" if mended else "error")


def curve(losses, **others):
    rows = [{"loss": float(loss)} for loss in losses]
    for name, values in others.items():
        for row, value in zip(rows, values, strict=True):
            row[name] = float(value)
    return rows


def verdict_of(model, x, y, logs, **facts):
    facts = Facts(model, [x], Labels(np.asarray(y)), logs=logs, **facts)
    return judge(found(facts), learned=facts.learned)


def test_labels_that_were_shuffled_are_learned_by_heart():
    """0.35 in training, 0.10 in validation, of ten classes."""
    y = np.arange(96) % 10
    logs = curve(
        [2.31, 2.2, 2.0, 1.8],
        accuracy=[0.1, 0.2, 0.3, 0.35],
        val_loss=[2.32, 2.4, 2.5, 2.6],
        val_accuracy=[0.1, 0.1, 0.1, 0.1],
    )
    model = net(10, "softmax", SPARSE)
    diagnosis = verdict_of(model, X, y, logs)
    assert diagnosis.findings[0].name == "labels_unrelated"
    assert "shuffle x and y together" in diagnosis.verdict
    good = [row | {"val_accuracy": 0.3, "val_loss": 1.9} for row in logs]
    assert verdict_of(model, X, y, good).healthy


def test_an_accuracy_of_98_percent_where_98_percent_are_one_class_is_nothing():
    y = np.array([1] * 2 + [0] * 98)
    x = RNG.normal(size=(100, 6))
    model = net(1, "sigmoid", "binary_crossentropy")
    entropy = -(0.98 * np.log(0.98) + 0.02 * np.log(0.02))
    logs = curve([0.3, 0.15, entropy, entropy], accuracy=[0.9, 0.98, 0.98, 0.98])
    diagnosis = verdict_of(model, x, y, logs)
    assert diagnosis.findings[0].name == "one_class_nearly_always"
    assert "class_weight" in diagnosis.verdict
    learned = curve([0.3, 0.15, 0.01, 0.001], accuracy=[0.9, 0.98, 1, 1])
    assert verdict_of(model, x, y, learned).healthy


def test_a_penalty_that_is_most_of_the_loss_is_named():
    model = net(3, "softmax", SPARSE, kernel_regularizer=keras.regularizers.L1(0.1))
    penalty = penalty_of(model)
    weights = sum(np.abs(np.array(w)).sum() for w in model.get_weights()[::2])
    assert penalty == pytest.approx(0.1 * weights, rel=1e-5)
    logs = curve([penalty + np.log(3)] * 4)
    diagnosis = verdict_of(model, X, THREE, logs, penalty=penalty)
    assert diagnosis.findings[0].name == "penalty_too_large"
    assert "L2(1e-4)" in diagnosis.verdict
    small = curve([1.1, 1.0, 0.5, 0.4])
    assert verdict_of(model, X, THREE, small, penalty=0.05).healthy


def test_hidden_layers_without_an_activation_are_one_linear_layer():
    keras.utils.set_random_seed(0)
    parts = [layers.Dense(8, name="a"), layers.Dense(8, name="b"), layers.Dense(1)]
    model = keras.Sequential([keras.Input((6,)), *parts])
    model.compile("adam", "mse")
    diagnosis = check_training(model, X, NUMBERS)
    assert diagnosis.findings[0].name == "no_activation"
    assert "activation=\"relu\" in 'a'" in diagnosis.verdict
    assert check_training(net(1, hidden=(8, 8)), X, NUMBERS).healthy


XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 8, "float32")


def test_five_epochs_where_fifty_are_needed_are_too_few():
    """A straight line down, a twentieth of the way: 5 of 100 epochs."""
    y = XOR[:, 0] != XOR[:, 1]
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), layers.Dense(32, "relu")])
    model.add(layers.Dense(1, "sigmoid"))
    model.compile("adam", "mae")
    logs = curve([0.5, 0.495, 0.49, 0.485, 0.48])
    diagnosis = verdict_of(model, XOR, y.astype(float), logs)
    assert diagnosis.findings[0].name == "too_few_steps"
    assert "epochs=50" in diagnosis.verdict
    done = curve([0.5, 0.3, 0.1, 0.02, 0.01])
    assert verdict_of(model, XOR, y.astype(float), done).healthy


def test_an_accuracy_above_the_share_that_was_seen_by_chance_is_nothing():
    """By hand: 14 of 512 seen are rare, 0.9727 are not, give or take 0.0072."""
    y = (np.arange(512) < 14).astype(int)
    x = np.random.default_rng(0).normal(size=(512, 6))
    model = net(1, "sigmoid", "binary_crossentropy")
    losses = [0.44, 0.13, 0.105, 0.1]  # guessing: 0.125
    told = verdict_of(model, x, y, curve(losses, accuracy=[0.9, 0.98, 0.98, 0.98])).told
    assert [finding.name for finding in told] == ["one_class_nearly_always"]
    assert verdict_of(model, x, y, curve(losses, accuracy=[0.9, 0.98, 0.99, 1])).healthy


def test_two_hidden_softmax_layers_and_normalised_numbers_are_told_until_all_is_known():
    softmax = [layers.Dense(8, "softmax") for _ in range(2)]
    flat = with_parts(*softmax, layers.Dense(1))
    moved = with_parts(layers.Dense(1), layers.BatchNormalization())
    guess = NUMBERS.var()
    for model, name in (
        (flat, "softmax_in_a_hidden_layer"),
        (moved, "normalization_of_the_answers"),
    ):
        well, all_known = (curve([guess, left * guess]) for left in (0.1, 0.01))
        told = verdict_of(model, X, NUMBERS, well).told
        assert [finding.name for finding in told] == [name]
        assert verdict_of(model, X, NUMBERS, all_known).healthy


def test_a_first_batch_that_was_high_by_chance_hides_no_straight_line():
    """Five epochs of the same steepness, after a first batch that was far off."""
    y = np.arange(96) % 10
    logs = curve([2.379, 2.368, 2.357, 2.347, 2.337])
    model = net(10, "softmax", SPARSE)
    diagnosis = verdict_of(model, X, y, logs, first_loss=2.492)
    assert diagnosis.findings[0].name == "too_few_steps"


def test_a_first_batch_that_was_low_by_chance_hides_no_straight_line():
    """A line of 5 x, Adam: from 10.6 to 10.3, where the first batch had 10.2."""
    x = np.linspace(0, 1, 64)[:, None]
    model = with_parts(layers.Dense(1), shape=(1,))
    logs = curve(np.linspace(10.6, 10.3, 15))
    diagnosis = verdict_of(model, x, 5 * x, logs, first_loss=10.2)
    assert diagnosis.findings[0].name == "too_few_steps"
    assert "epochs=150" in diagnosis.verdict


def test_after_one_epoch_of_a_loss_beyond_guessing_one_is_told_to_go_on():
    diagnosis = verdict_of(net(1), X, NUMBERS, curve([9.0]))
    assert diagnosis.findings[0].name == "worse_than_guessing"
    assert "epochs=10" in diagnosis.verdict
    later = verdict_of(net(1), X, NUMBERS, curve([9.0] * 4))
    assert "Adam(1e-3)" in later.verdict
    small = verdict_of(net(1), X, NUMBERS / 1e3, curve([0.1] * 4))
    assert "y.std()" in small.verdict


def test_of_classes_that_are_hardly_seen_twice_no_guess_is_known():
    """5,000 classes: 96 labels drawn of them say nothing of their shares."""
    y = np.random.default_rng(0).integers(0, 5000, 96)
    logs = curve([8.5, 8.4, 8.2, 8.0])
    assert verdict_of(net(5000, "softmax", SPARSE), X, y, logs).healthy is False
    names = {f.name for f in verdict_of(net(5000, "softmax", SPARSE), X, y, logs)}
    assert names == {"too_few_steps"}


def xor_net(units, loss):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), layers.Dense(units, "tanh", name="h")])
    model.add(layers.Dense(1, "sigmoid"))
    model.compile("adam", loss)
    return model


def test_two_hidden_units_where_32_are_needed_are_few():
    """XOR with two units that have found three of the four answers, and stay there."""
    y = (XOR[:, 0] != XOR[:, 1]).astype(float)
    stays = curve([0.69, 0.6, 0.5, *[0.48] * 12], accuracy=[0.5, 0.6, *[0.75] * 13])
    loss = "binary_crossentropy"
    diagnosis = verdict_of(xor_net(2, loss), XOR, y, stays)
    assert diagnosis.findings[0].name == "too_few_units"
    assert "Dense(32" in diagnosis.verdict and "'h'" in diagnosis.verdict
    assert verdict_of(xor_net(32, loss), XOR, y, stays).healthy
    falls = curve(np.linspace(0.69, 0.1, 15), accuracy=np.linspace(0.5, 1, 15))
    assert verdict_of(xor_net(2, loss), XOR, y, falls).healthy


def test_a_mean_absolute_error_of_classes_that_stays_is_named():
    """A quarter are of the other class: never to say it has the error 0.25."""
    y = (XOR[:, 0] * XOR[:, 1]).astype(float)
    stays = curve([0.3, 0.27, *[0.25] * 13], accuracy=[0.7, *[0.75] * 14])
    diagnosis = verdict_of(xor_net(8, "mae"), XOR, y, stays)
    assert diagnosis.findings[0].name == "regression_loss_for_classes"
    assert 'loss="binary_crossentropy"' in diagnosis.verdict
    falls = curve(np.linspace(0.3, 0.01, 15), accuracy=np.linspace(0.7, 1, 15))
    assert verdict_of(xor_net(8, "mae"), XOR, y, falls).healthy


def test_a_cross_entropy_below_0_cannot_be_and_a_loss_above_guessing_is_said():
    model = net(1, "sigmoid", "binary_crossentropy")
    logs = curve([0.6, 0.1, -1.2])
    assert "negative_cross_entropy" in {
        f.name for f in found(Facts(model, labels=Labels(TWO), logs=logs))
    }
    # Guessing one of 45 classes: ln 45 = 3.8
    model = net(45, "softmax", SPARSE)
    logs = curve([14.9, 14.9, 14.9, 14.9])
    y = np.arange(90) % 45
    seen = {f.name: f for f in found(Facts(model, labels=Labels(y), logs=logs))}
    assert "guessing 3.807" in seen["worse_than_guessing"].evidence[0]


def test_several_softmax_layers_in_a_row_are_named():
    keras.utils.set_random_seed(0)
    parts = [layers.Dense(8, "softmax", name=name) for name in ("a", "b")]
    model = keras.Sequential([keras.Input((6,)), *parts, layers.Dense(3, "softmax")])
    model.compile("adam", SPARSE)
    diagnosis = check_training(model, X, THREE)
    assert diagnosis.findings[0].name == "softmax_in_a_hidden_layer"
    assert diagnosis.findings[0].evidence[0] == "a, b"


class Own(keras.Model):
    """What a tutorial calls a subclassed model."""

    def __init__(self, last):
        super().__init__()
        self.scores, self.last = layers.Dense(3), last

    def call(self, x):
        return self.last(self.scores(x))


def test_scores_of_a_model_of_ones_own_are_no_probabilities():
    def said(last, loss, y):
        keras.utils.set_random_seed(0)
        model = Own(last)
        model.compile("adam", loss)
        model(X)
        return check_training(model, X, y).told

    (told,) = said(lambda x: 3 * x, SPARSE, THREE)
    assert told.name == "logits_without_from_logits" and told.severity == "error"
    assert "SparseCategoricalCrossentropy(from_logits=True)" in told.fix
    assert not said(keras.ops.softmax, SPARSE, THREE)
    taken = logits("SparseCategoricalCrossentropy")
    assert not said(lambda x: 3 * x, taken, THREE)
    # Keras divides positive scores by their sum.
    assert not said(keras.ops.exp, "categorical_crossentropy", HOT)
    assert not said(lambda x: 3 * x, "mse", HOT)


def test_initial_weights_that_flatten_a_tanh_are_named_and_those_of_xavier_not():
    """By hand: weights of N(0, 1) and 64 inputs sum to a size of sqrt(64) = 8."""

    def wide(activation, kernel="random_normal", width=64):
        if kernel == "random_normal":
            kernel = keras.initializers.RandomNormal(stddev=1.0, seed=1)
        keras.utils.set_random_seed(0)
        parts = [layers.Dense(64, activation, kernel_initializer=kernel, name="h")]
        model = keras.Sequential([keras.Input((width,)), *parts, layers.Dense(1)])
        model.compile("sgd", "mse")
        return model, [*found(Facts(model), EARLY_RULES)]

    model, (finding,) = wide("tanh")
    assert finding.name == "wide_initial_weights" and finding.layer == "h"
    assert finding.value == pytest.approx(8, rel=0.02)
    assert "glorot_uniform" in finding.fix and finding.severity == "note"
    for other in (("tanh", "glorot_uniform"), ("relu",), ("tanh", "random_normal", 6)):
        assert not wide(*other)[1]
    flat = measured("saturation", "h", 0.9, 0.5, "epoch 1")
    data = ([X], Labels(NUMBERS), False, [])

    def verdict(*losses, early, flat=(flat,)):
        def rule(history):
            return flat

        monitor = GradientNormMonitor(on_finding=None)
        return judge_training(
            model, data, logs=curve(losses), gradients=monitor, early=early,
            rules=[rule],
        )  # fmt: skip

    half, little = NUMBERS.var() / 2, NUMBERS.var() / 100
    said = verdict(half, early=[finding]).told
    assert [f.name for f in said] == ["wide_initial_weights"]
    # It has learned all there is; the weights are Xavier's; no unit is flat.
    assert verdict(little, early=[finding]).healthy
    assert verdict(half, early=[]).healthy
    assert verdict(half, early=[finding], flat=()).healthy


def test_a_layer_that_gets_no_gradient_is_told_until_hardly_anything_is_left():
    finding = measured("no_gradient", "h", 1.0, 1.0, "step 1")
    told = judge([finding], learned=True, learned_well=False).told
    assert [f.name for f in told] == ["no_gradient"]
    assert judge([finding], learned=True, learned_well=True).healthy


def test_a_rate_far_beyond_the_usual_is_told_until_hardly_anything_is_left():
    """Adam with 1, thirty times the most that it is used with."""
    for last, name in ((0.15, "learning_rate_above_usual"), (0.01, None)):
        model = net(1, "sigmoid", "binary_crossentropy", optimizer=Adam(1.0))
        logs = curve([0.7, 0.3, last, last], accuracy=[0.5, 0.9, 0.97, 0.98])
        told = verdict_of(model, X, TWO, logs).told
        assert [finding.name for finding in told] == ([name] if name else [])


def test_all_frozen_dropout_of_answers_and_a_rate_of_0_are_named():
    model = net(1)
    model.trainable = False
    model.compile("adam", "mse")
    assert check_training(model, X, NUMBERS).findings[0].name == "nothing_to_train"
    model = net(1)
    model.add(layers.Dropout(0.5))
    model.compile("adam", "mse")
    assert (
        check_training(model, X, NUMBERS).findings[0].name == "dropout_of_the_answers"
    )
    for rate, name in ((0.0, "below"), (10.0, "above")):
        model = net(1, optimizer=keras.optimizers.SGD(rate))
        found_first = check_training(model, X, NUMBERS).findings[0].name
        assert found_first == f"learning_rate_{name}_usual"


def with_parts(*parts, loss="mse", shape=(6,)):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(shape), *parts])
    model.compile("adam", loss)
    return model


def test_columns_of_ones_before_a_loss_of_class_numbers_are_named():
    diagnosis = check_training(net(3, "softmax", SPARSE), X, HOT)
    assert diagnosis.findings[0].name == "one_hot_with_sparse_crossentropy"
    assert 'loss="categorical_crossentropy"' in diagnosis.verdict
    # A class number at each of three steps, which happen to be 0 or 1.
    steps = RNG.normal(size=(96, 3, 6)).astype("float32")
    model = with_parts(layers.Dense(3, "softmax"), loss=SPARSE, shape=(3, 6))
    assert check_training(model, steps, HOT.astype(int)).healthy


def test_words_where_numbers_are_expected_are_named():
    words = np.array([["yes"], ["no"]] * 48)
    diagnosis = check_training(with_parts(layers.Dense(1), shape=(1,)), words, NUMBERS)
    assert diagnosis.findings[0].name == "inputs_not_numbers"
    assert "StringLookup" in diagnosis.verdict and "'yes'" in diagnosis.verdict


def test_normalisation_in_places_that_hurt_is_named():
    last = with_parts(layers.Dense(1), layers.BatchNormalization(name="last"))
    diagnosis = check_training(last, X, NUMBERS)
    assert diagnosis.findings[0].name == "normalization_of_the_answers"
    assert "leave 'last' out" in diagnosis.verdict
    classes = with_parts(
        layers.Dense(3, "softmax"), layers.BatchNormalization(), loss=SPARSE
    )
    diagnosis = check_training(classes, X, THREE)
    assert diagnosis.findings[0].name == "normalization_of_the_answers"
    assert diagnosis.findings[0].severity == "error"  # it may learn, and is wrong
    hidden = [layers.Dense(8), layers.BatchNormalization(), layers.ReLU()]
    within = with_parts(*hidden, layers.Dense(1))
    assert check_training(within, X, NUMBERS).healthy
    ones = [(X[i : i + 1], NUMBERS[i : i + 1]) for i in range(4)]
    diagnosis = check_training(within, iter(ones))
    assert diagnosis.findings[0].name == "normalization_of_one"
    assert "LayerNormalization()" in diagnosis.verdict


def test_windows_beside_the_image_are_a_note():
    """3x3 windows see 3 of 32 pixels; four with strides of 2 see 31, and all is well.

    By hand: 1 + 2 = 3, + 2 * 2 = 7, + 2 * 4 = 15, + 2 * 8 = 31.
    """
    image = RNG.normal(size=(32, 32, 32, 1)).astype("float32")

    def notes(count, strides, x=image):
        convolutions = [layers.Conv2D(2, 3, strides, "same") for _ in range(count)]
        convolutions.append(layers.GlobalAveragePooling2D())
        model = with_parts(*convolutions, layers.Dense(1), shape=x.shape[1:])
        found = {f.name: f for f in check_training(model, x, NUMBERS[:32])}
        return found.get("receptive_field")

    assert notes(1, 1).severity == "note" and notes(1, 1).value == 3
    assert notes(4, 2) is None
    small = image[:, :4, :4]
    assert notes(5, 2, small).value == 63 and "padding" in notes(5, 2, small).what
