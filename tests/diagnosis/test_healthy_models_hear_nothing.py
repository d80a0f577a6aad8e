"""Models, losses and labels that are right in a less usual way: nobody is told a fault.

Each stands beside the fault that it was once taken for, where that is another one.
"""

import functools

import keras
import numpy as np
import pytest
from keras import layers

from dlkeras.diagnosis import check_training
from dlkeras.diagnosis.checks import found, looked_at
from dlkeras.diagnosis.facts import Facts
from dlkeras.diagnosis.labels_seen import Labels
from dlkeras.diagnosis.rules.generalisation import one_answer
from dlkeras.diagnosis.rules.labels import far_from_one
from dlkeras.diagnosis.rules.optimisation import (
    added_to,
    loss_beside_a_guess,
    schedule_at_zero,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 6)).astype("float32")
SERIES = RNG.normal(size=(64, 5, 6)).astype("float32")
FOUR = RNG.integers(0, 4, 64)
HOT = np.eye(4)[FOUR]
TWO_OF_FOUR = RNG.integers(0, 2, (64, 4)).astype(float)
MAP = RNG.integers(0, 2, (64, 5))  # a class number, 0 or 1, at each of 5 steps
NUMBERS = X[:, :1] * 0.5
SPARSE = keras.losses.SparseCategoricalCrossentropy
SCHEDULES = keras.optimizers.schedules


def net(*parts, loss, optimizer="adam", shape=(6,)):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(shape), *parts])
    model.compile(optimizer, loss)
    return model


def told(model, x, y):
    return [finding.name for finding in check_training(model, x, y).told]


def own_loss(y_true, y_pred):
    """The cross-entropy of class numbers, written by oneself."""
    hot = keras.ops.one_hot(keras.ops.cast(keras.ops.ravel(y_true), "int32"), 4)
    return -keras.ops.sum(hot * keras.ops.log(y_pred + 1e-7), -1)


@pytest.mark.parametrize(
    ("loss", "x", "y", "shape"),
    [
        (own_loss, X, FOUR, (6,)),
        (keras.losses.CategoricalFocalCrossentropy(), X, HOT, (6,)),
        (keras.losses.KLDivergence(), X, HOT, (6,)),
        (keras.losses.CTC(), SERIES, 1 + MAP[:, :2], (5, 6)),
        (own_loss, X, np.zeros(64), (6,)),
    ],
    ids=["own", "focal", "divergence", "CTC", "labels that are not used"],
)
def test_a_loss_that_measures_no_distance_may_have_any_labels(loss, x, y, shape):
    model = net(layers.Dense(4, "softmax"), loss=loss, shape=shape)
    assert not told(model, x, y)


def test_scores_of_80_classes_are_not_one_answer_beside_padded_class_numbers():
    """CTC: each of 80 scores is near 1 / 80 for most examples, labels go to 79."""
    y = np.pad(np.arange(64)[:, None] + 16, ((0, 0), (0, 1)), constant_values=-1)
    scores = np.zeros((64, 5, 80))
    scores[np.arange(64), 0, np.arange(64) + 16] = 1
    model = net(layers.Dense(80, "softmax"), loss=keras.losses.CTC(), shape=(5, 6))
    rules = [one_answer, far_from_one]
    logs = [{"loss": 9.0}]
    facts = Facts(model, labels=Labels(y), answers=scores, logs=logs)
    assert not list(found(facts, rules))
    same = Facts(net(layers.Dense(1), loss="mse"), labels=Labels(y[:, 0]),
                 answers=np.full((64, 1), 3.0), logs=[{"loss": 4e3}])  # fmt: skip
    names = {finding.name for finding in found(same, rules)}
    assert names == {"one_answer", "targets_far_from_one"}


@pytest.mark.parametrize("loss", ["mse", "huber", keras.losses.LogCosh()])
def test_a_distance_to_targets_out_of_reach_is_still_named(loss):
    model = net(layers.Dense(1, "sigmoid"), loss=loss)
    assert told(model, X, 5 + NUMBERS)[0] == "targets_out_of_reach"


def test_class_numbers_at_each_position_are_classes_and_not_several_labels():
    model = net(layers.Dense(4, "softmax"), loss=SPARSE(), shape=(5, 6))
    assert not told(model, SERIES, MAP)
    image = RNG.normal(size=(16, 4, 4, 1)).astype("float32")
    model = net(layers.Conv2D(2, 1, activation="softmax"), loss=SPARSE(),
                shape=(4, 4, 1))  # fmt: skip
    assert not told(model, image, RNG.integers(0, 2, (16, 4, 4)))
    # Half 0 and half 1 at every position: a guess has the loss ln 2.
    y = np.tile([[0, 1], [1, 0]], (8, 1))
    facts = Facts(model, labels=Labels(y))
    assert facts.guess == pytest.approx(np.log(2))


@pytest.mark.parametrize("inside", [list, lambda pair: {"out": pair[0]}])
def test_a_loss_in_a_list_or_a_dictionary_keeps_its_from_logits(inside):
    linear = layers.Dense(4, name="out")
    assert not told(net(linear, loss=inside([SPARSE(from_logits=True)])), X, FOUR)
    linear = layers.Dense(4, name="out")
    without = told(net(linear, loss=inside([SPARSE()])), X, FOUR)
    assert without == ["logits_without_from_logits"]


@pytest.mark.parametrize("ignored", [255, -1])
def test_labels_that_the_loss_ignores_are_looked_at_by_no_rule(ignored):
    y = MAP.copy()
    y[:, 3:] = ignored
    model = net(layers.Dense(2, "softmax"), loss=SPARSE(ignore_class=ignored),
                shape=(5, 6))  # fmt: skip
    assert not told(model, SERIES, y)
    facts = Facts(model, labels=Labels(np.array([[0, 1, ignored]] * 20)))
    assert facts.guess == pytest.approx(np.log(2))
    np.testing.assert_allclose(facts.labels.shares, [0.5, 0.5])
    model.compile("adam", SPARSE())
    assert told(model, SERIES, y)[0] == "labels_out_of_range"


class Head(keras.layers.Layer):
    """A last layer of one's own."""

    def build(self, shape):
        self.matrix = self.add_weight(shape=(shape[-1], 1))

    def call(self, inputs):
        return keras.ops.matmul(inputs, self.matrix)


@pytest.mark.parametrize(
    ("last", "x", "y"),
    [
        (lambda: layers.TimeDistributed(layers.Dense(1)), SERIES, SERIES[..., :1]),
        (lambda: layers.EinsumDense("bti,io->bto", (5, 1)), SERIES, SERIES[..., :1]),
        (lambda: layers.SeparableConv1D(1, 1), SERIES, SERIES[..., :1]),
        (lambda: layers.GRU(1), SERIES, np.tanh(NUMBERS)),
        (Head, SERIES, SERIES[..., :1]),
    ],
    ids=["TimeDistributed", "EinsumDense", "SeparableConv1D", "GRU", "own"],
)
def test_dropout_before_a_last_layer_of_any_kind_is_no_dropout_of_answers(last, x, y):
    parts = [layers.Dense(8, "relu"), layers.Dropout(0.2), last()]
    model = net(*parts, loss="mse", shape=(5, 6))
    assert not told(model, x, y)
    model.add(layers.Dropout(0.2))
    model.compile("adam", "mse")
    assert told(model, x, y) == ["dropout_of_the_answers"]


def test_a_scale_behind_the_last_layer_reaches_targets_beyond_its_activation():
    y = np.clip(6 * NUMBERS, -3, 3)
    scaled = net(layers.Dense(1, "tanh"), layers.Rescaling(3.0), loss="mse")
    assert not told(scaled, X, y)
    assert told(net(layers.Dense(1, "tanh"), loss="mse"), X, y)
    leaky = net(layers.Dense(1), layers.ReLU(negative_slope=0.1), loss="mse")
    assert not told(leaky, X, y)


@pytest.mark.parametrize(
    "activation",
    [
        layers.LeakyReLU,
        lambda: functools.partial(keras.activations.relu, negative_slope=0.1),
    ],
    ids=["a layer", "a partial function"],
)
def test_activations_that_are_objects_are_not_linear(activation):
    parts = [layers.Dense(8, activation()), layers.Dense(8, activation())]
    assert not told(net(*parts, layers.Dense(1), loss="mse"), X, NUMBERS)
    hidden = [layers.Dense(8, layers.Softmax()), layers.Dense(8, "relu")]
    model = net(*hidden, layers.Dense(1), loss="mse")
    assert told(model, X, NUMBERS) == ["softmax_in_a_hidden_layer"]


def test_a_warm_up_begins_at_0_and_is_no_rate_of_0():
    def named(schedule):
        optimizer = keras.optimizers.Adam(schedule)
        model = net(layers.Dense(1), loss="mse", optimizer=optimizer)
        return told(model, X, NUMBERS)

    assert not named(
        SCHEDULES.CosineDecay(0.0, 1000, warmup_target=1e-3, warmup_steps=100)
    )
    assert named(SCHEDULES.ExponentialDecay(1e-9, 10, 0.9)) == [
        "learning_rate_below_usual"
    ]
    model = net(layers.Dense(1), loss="mse")
    # The rate at the end of each epoch: warm-up, a restart, and one that ends at once.
    for rates, names in (
        ([1e-7, 1e-5, 5e-4, 1e-3, 1e-3, 8e-4], []),
        ([1e-3, 0.0, 1e-3, 5e-4, 1e-3, 5e-4], []),
        ([1e-3, 0.0, 0.0, 0.0, 0.0, 0.0], ["schedule_at_zero"]),
    ):
        seen = found(Facts(model, rates=rates), [schedule_at_zero])
        assert [finding.name for finding in seen] == names
    ended = Facts(model, rates=[3e-3, 5e-4, 0.0])
    assert "the learning rate 0.003" in looked_at(ended)


def test_a_generator_before_a_frozen_judge_may_have_labels_that_are_all_real():
    """Two networks in turns: what the judge calls real is what the other one wants."""
    judge = keras.Sequential([layers.Dense(4, "relu"), layers.Dense(1, "sigmoid")])
    models = []
    for trainable in (False, True):
        judge.build((None, 6))
        judge.trainable = trainable
        models.append(net(layers.Dense(6), judge, loss="binary_crossentropy"))
        models[-1].compile("adam", "binary_crossentropy")
        said = told(models[-1], X, np.ones(64))
        assert said == ([] if not trainable else ["labels_all_equal"])
    judge.trainable = False
    logs = [{"loss": loss} for loss in (0.7, 0.9, 1.1, 1.3)]
    for trainable, names in ((False, []), (True, ["worse_than_guessing"])):
        judge.trainable = trainable
        losing = Facts(models[trainable], labels=Labels(FOUR % 2), logs=logs)
        assert [f.name for f in found(losing, [loss_beside_a_guess])] == names


def test_a_loss_that_weights_of_both_signs_take_below_0_is_no_cross_entropy():
    """A policy gradient: what was rewarded is made likelier, the rest less likely."""
    model = net(layers.Dense(4, "softmax"), loss=SPARSE())
    logs = [{"loss": loss} for loss in (-0.1, -0.4, -0.8, -1.3)]

    def names(**facts):
        seen = Facts(model, labels=Labels(FOUR), logs=logs, first_loss=0.1, **facts)
        return {finding.name for finding in found(seen)}

    assert not names(weighted=True) & {"negative_cross_entropy", "too_few_steps"}
    assert "negative_cross_entropy" in names()


def test_what_layers_add_to_the_loss_is_not_held_against_the_answers():
    """A divergence of 0.4: 0.5 of 0.9 is the answers' own, where guessing has 0.69."""
    model = net(layers.Dense(1, "sigmoid"), loss="binary_crossentropy")
    logs = [{"loss": loss} for loss in (1.3, 1.1, 1.0, 0.9)]
    labels = Labels(np.arange(64) % 2)
    for added, gone in ((0.4, 1 - 0.5 / np.log(2)), (0.0, 1 - 0.9 / np.log(2))):
        facts = Facts(model, labels=labels, logs=logs, added=added)
        assert facts.removed(0.9) == pytest.approx(gone)
        names = [f.name for f in found(facts, [loss_beside_a_guess])]
        assert names == ([] if added else ["worse_than_guessing"])
    adds = net(layers.Dense(2, activity_regularizer="l1"), loss="mse")
    made = np.abs(keras.ops.convert_to_numpy(adds(X))).sum() / 64
    assert added_to(adds) == pytest.approx(0.01 * made, rel=1e-4)
