"""What people get wrong, by kind: the change that makes a healthy training sick.

A fault changes one thing of a recipe; what it was before is its twin.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from diagnosis_tasks import (
    Make,
    Recipe,
    blobs,
    cancer,
    dense,
    diabetes,
    digits,
    good_validation,
    held_out,
    moons,
    one_hot,
    plane,
    rare,
    several,
    stripes,
)
from keras import layers

# What is done wrong: the change, and the names that say so ------------------------


@dataclass(frozen=True)
class Fault:
    """A kind of fault.

    Attributes:
        names: what a person would call it: one of these is to come first.
        change: makes a recipe sick.
        tasks: the recipes it is tried on.
    """

    names: tuple[str, ...]
    change: Callable[[Recipe], Recipe]
    tasks: tuple[Make, ...]


def shuffled(recipe: Recipe) -> Recipe:
    order = np.random.default_rng(9).permutation(len(recipe.y))
    return replace(recipe, y=recipe.y[order], epochs=40)


def without_the_number(recipe: Recipe) -> Recipe:
    """The rare class cannot be told any more: 98 % is all that is learned."""
    x = recipe.x.copy()
    x[:, 0] = np.random.default_rng(7).normal(size=len(x))
    return replace(recipe, x=x, rate=3e-3, epochs=8)


def scaled(factor: Any) -> Callable[[Recipe], Recipe]:
    return lambda recipe: replace(recipe, x=(recipe.x * factor).astype("float32"))


def pixels(recipe: Recipe) -> Recipe:
    return replace(recipe, x=np.round(recipe.x * 255 / recipe.x.max()))


def wild_columns(recipe: Recipe) -> Recipe:
    scales = np.logspace(0, 5, recipe.x.shape[1])
    return replace(recipe, x=(recipe.x * scales).astype("float32"))


def a_nan(recipe: Recipe) -> Recipe:
    x = recipe.x.copy()
    x[17].flat[2] = np.nan
    return replace(recipe, x=x, epochs=3)


def penalised(recipe: Recipe) -> Recipe:
    def hidden() -> list:
        parts = recipe.hidden()
        for part in parts:
            if hasattr(part, "kernel_regularizer"):
                part.kernel_regularizer = keras.regularizers.L1(0.1)
        return parts

    return replace(recipe, hidden=hidden)


def linear(recipe: Recipe) -> Recipe:
    return replace(recipe, hidden=dense(32, 32, activation=None))


def cut(recipe: Recipe) -> Recipe:
    """Nothing flows back into the hidden layers."""

    def hidden() -> list:
        stop = layers.Activation(keras.ops.stop_gradient)
        return [layers.Dense(3, "relu"), stop]

    return replace(recipe, hidden=hidden)


def all_frozen(recipe: Recipe) -> Recipe:
    def finish(model: Any) -> None:
        model.trainable = False

    return replace(recipe, finish=finish, epochs=4)


def of(recipe: Recipe) -> int:
    """Steps of a training."""
    return recipe.epochs * -(-len(recipe.x) // recipe.batch)


def ended_schedule(recipe: Recipe) -> Recipe:
    rate = keras.optimizers.schedules.CosineDecay(recipe.rate / 10, of(recipe) // 20)
    return replace(recipe, rate=rate)


def sorted_classes(recipe: Recipe) -> Recipe:
    order = np.argsort(recipe.y, kind="stable")
    return replace(
        recipe, x=recipe.x[order], y=recipe.y[order], fit={"shuffle": False},
        optimizer=keras.optimizers.SGD, rate=0.3, epochs=15,
    )  # fmt: skip


def other_validation(recipe: Recipe) -> Recipe:
    held = (recipe.x[:60] * 255, recipe.y[:60])
    options = {"validation_data": held}
    return replace(recipe, fit=options, doctor=options)


def doubled(out: tuple, loss: Any) -> Callable[[Recipe], Recipe]:
    return lambda recipe: replace(recipe, out=out, loss=loss)


def activated(activation: str | None) -> Callable[[Recipe], Recipe]:
    return lambda recipe: replace(recipe, out=(recipe.out[0], activation))


def with_layers(*more: Callable[[], Any], behind: bool = False):
    """Further layers before the last one, or behind all."""

    def change(recipe: Recipe) -> Recipe:
        if behind:

            def finish(model: Any) -> None:
                for make in more:
                    model.add(make())

            return replace(recipe, finish=finish)
        hidden = recipe.hidden
        return replace(recipe, hidden=lambda: [*hidden(), *[make() for make in more]])

    return change


def targets(function: Callable) -> Callable[[Recipe], Recipe]:
    return lambda r: replace(r, y=function(np.asarray(r.y, float)).astype("float32"))


def all_of(*changes: Callable) -> Callable[[Recipe], Recipe]:
    def change(recipe: Recipe) -> Recipe:
        for one in changes:
            recipe = one(recipe)
        return recipe

    return change


def rate(value: float, optimizer: Any = None) -> Callable[[Recipe], Recipe]:
    def change(recipe: Recipe) -> Recipe:
        return replace(recipe, rate=value, optimizer=optimizer or recipe.optimizer)

    return change


class Wrapped(keras.Model):
    """A subclassed model: what it ends with stands in its `call`."""

    def __init__(self, inside: keras.Model) -> None:
        super().__init__()
        self.inside = inside

    def call(self, x: Any) -> Any:
        return self.inside(x) * 1.0


SGD, NORMAL = keras.optimizers.SGD, keras.initializers.RandomNormal(stddev=1.0)
TOO_FAST = (
    "learning_rate_above_usual", "learning_rate_too_large", "unsteady_loss",
    "exploding_gradient",
)  # fmt: skip
TOO_SLOW = ("learning_rate_below_usual", "update_ratio_small", "too_few_steps")

FAULTS: dict[str, Fault] = {
    "one unit with softmax, binary cross-entropy": Fault(
        ("softmax_of_one_unit",), activated("softmax"), (cancer, moons)
    ),
    "one unit with softmax, mean squared error": Fault(
        ("softmax_of_one_unit",), activated("softmax"), (plane, diabetes)
    ),
    "softmax and mean squared error, several labels": Fault(
        ("softmax_for_several_labels",), doubled((5, "softmax"), "mse"), (several,)
    ),
    "sigmoid before categorical cross-entropy": Fault(
        ("sigmoid_with_categorical_crossentropy",),
        activated("sigmoid"), (one_hot(blobs), one_hot(digits), blobs),
    ),
    "one sigmoid for labels 0, 1, 2": Fault(
        ("labels_beyond_binary",),
        doubled((1, "sigmoid"), "binary_crossentropy"), (blobs, digits),
    ),
    "ReLU before cross-entropy": Fault(
        ("relu_output",), activated("relu"), (blobs, digits, moons)
    ),
    "sigmoid for targets 2 to 32": Fault(
        ("targets_out_of_reach",),
        all_of(activated("sigmoid"), targets(lambda y: 17 + 5 * y)), (plane, diabetes),
    ),
    "ReLU for targets of both signs": Fault(
        ("targets_out_of_reach",), activated("relu"), (plane, diabetes)
    ),
    "tanh for targets beyond 1": Fault(
        ("targets_out_of_reach",),
        all_of(activated("tanh"), targets(lambda y: 4 * y)), (plane, diabetes),
    ),
    "logits without from_logits": Fault(
        ("logits_without_from_logits",), activated(None), (blobs, digits, cancer)
    ),
    "labels divided by 255": Fault(
        ("labels_not_whole",), targets(lambda y: y / 255), (digits, blobs)
    ),
    "labels shuffled": Fault(
        ("labels_unrelated", "no_link_to_labels"),
        shuffled, (held_out(digits), held_out(blobs)),
    ),
    "98 % of one class, nothing to tell it": Fault(
        ("one_class_nearly_always",), without_the_number, (rare,)
    ),
    "pixels 0 to 255": Fault(
        ("inputs_0_to_255",),
        all_of(pixels, rate(0.01, SGD)), (digits, stripes),
    ),
    "columns of scales 1 to 100,000": Fault(
        ("columns_of_different_scales",), wild_columns, (blobs, plane)
    ),
    "inputs up to 1e6": Fault(
        ("inputs_far_from_one",), scaled(3e5), (blobs, plane, diabetes)
    ),
    "one NaN in the inputs": Fault(
        ("non_finite_inputs",), a_nan, (blobs, plane, stripes)
    ),
    "one NaN in the targets": Fault(
        ("non_finite_labels",),
        targets(lambda y: np.where(np.arange(y.size).reshape(y.shape) == 3, np.nan, y)),
        (plane, diabetes),
    ),
    "all kernels 0": Fault(
        ("equal_weights",), lambda r: replace(r, kernel="zeros"), (digits, moons)
    ),
    "all kernels 1": Fault(
        ("equal_weights",), lambda r: replace(r, kernel="ones"), (digits, plane)
    ),
    "L1 of 0.1": Fault(("penalty_too_large",), penalised, (digits, plane)),
    "no activation": Fault(("no_activation",), linear, (moons,)),
    "too few epochs": Fault(
        TOO_SLOW, lambda r: replace(r, epochs=5, rate=1e-4, batch=100), (digits, moons)
    ),
    "SGD with a rate of 10": Fault(TOO_FAST, rate(10.0, SGD), (digits, plane, moons)),
    "Adam with a rate of 1": Fault(TOO_FAST, rate(1.0), (digits, moons, stripes)),
    "a rate of 1e-7": Fault(TOO_SLOW, rate(1e-7), (digits, plane, cancer)),
    "twelve sigmoids": Fault(
        ("vanishing_gradient", "saturation"),
        all_of(
            lambda r: replace(r, hidden=dense(*[32] * 12, activation="sigmoid")),
            rate(0.01, SGD),
        ),
        (digits, moons),
    ),
    "tanh with weights of N(0, 1)": Fault(
        ("saturation", "wide_initial_weights"),
        all_of(
            lambda r: replace(
                r, hidden=dense(*[100] * 8, activation="tanh"), kernel=NORMAL
            ),
            rate(0.01, SGD),
        ),
        (digits, plane),
    ),
    "ReLU with weights of N(0, 1), 12 layers": Fault(
        ("exploding_gradient", "non_finite"),
        all_of(
            lambda r: replace(r, hidden=dense(*[100] * 12), kernel=NORMAL),
            rate(0.01, SGD),
        ),
        (digits, plane),
    ),
    "biases of -10 before ReLU": Fault(
        ("dead_relu", "no_gradient"),
        lambda r: replace(r, bias=keras.initializers.Constant(-10.0)),
        (blobs, moons, plane),
    ),
    "classes numbered from 1, one unit too few": Fault(
        ("labels_out_of_range",),
        all_of(targets(lambda y: y - 1), lambda r: replace(r, y=r.y.astype(int))),
        (blobs, digits),
    ),
    "all labels alike": Fault(
        ("labels_all_equal",), targets(np.ones_like), (cancer, blobs)
    ),
    "dropout of 0.97": Fault(
        ("dropout_too_large",),
        all_of(with_layers(lambda: layers.Dropout(0.97)), rate(1e-3)),
        (digits, moons),
    ),
    "dropout behind the answers": Fault(
        ("dropout_of_the_answers",),
        with_layers(lambda: layers.Dropout(0.5), behind=True), (digits, plane),
    ),
    "softmax in hidden layers": Fault(
        ("softmax_in_a_hidden_layer",),
        lambda r: replace(r, hidden=dense(32, 32, 32, activation="softmax")),
        (digits, moons),
    ),
    "everything frozen": Fault(("nothing_to_train",), all_frozen, (digits, plane)),
    "a cut graph": Fault(("no_gradient",), cut, (moons, digits)),
    "a schedule that ends at once": Fault(
        ("schedule_at_zero", *TOO_SLOW), ended_schedule, (digits, moons)
    ),
    "sorted by class, not shuffled": Fault(
        ("sorted_by_class",), sorted_classes, (digits, moons, blobs)
    ),
    "validation data of another scale": Fault(
        ("validation_of_another_scale",), other_validation,
        (good_validation(digits), good_validation(blobs)),
    ),
    "targets of 200,000": Fault(
        ("targets_far_from_one", *TOO_SLOW),
        targets(lambda y: 200_000 + 50_000 * y), (plane, diabetes),
    ),
    "one linear unit and mean squared error for ten classes": Fault(
        ("regression_loss_for_classes",),
        doubled((1, None), "mse"), (digits,),
    ),
    "the same inputs every time": Fault(
        ("inputs_all_equal",),
        lambda r: replace(r, x=np.broadcast_to(r.x[:1], r.x.shape).copy()),
        (blobs, plane),
    ),
    # Judged: written when all rules were there.
    "labels -1 and 1, binary cross-entropy": Fault(
        ("labels_beyond_binary",), targets(lambda y: 2 * y - 1), (cancer, moons)
    ),
    # Chosen: more of the kind of the wide tanh, for its rule.
    "sigmoids with weights of N(0, 4)": Fault(
        ("saturation", "wide_initial_weights"),
        all_of(
            lambda r: replace(
                r,
                hidden=dense(64, 64, 64, activation="sigmoid"),
                kernel=keras.initializers.RandomNormal(stddev=2.0),
            ),
            rate(0.01, SGD),
        ),
        (diabetes, digits, plane),
    ),
    # Judged: written when all rules were there.
    "batch normalisation of the answers": Fault(
        ("normalization_of_the_answers",),
        with_layers(layers.BatchNormalization, behind=True), (digits, plane),
    ),
    # Chosen: what a layer or model of one's own answers is seen by its values alone.
    "logits of a model of one's own": Fault(
        ("logits_without_from_logits",),
        all_of(activated(None), lambda r: replace(r, finish=Wrapped)),
        (digits, cancer, blobs),
    ),
    # Judged: written when all rules were there, and two more below.
    "class numbers before categorical cross-entropy": Fault(
        ("class_numbers_with_categorical_crossentropy",),
        lambda r: replace(r, loss="categorical_crossentropy"), (blobs, digits),
    ),
    "a column for each class, sparse cross-entropy": Fault(
        ("one_hot_with_sparse_crossentropy",),
        lambda r: replace(r, loss="sparse_categorical_crossentropy"),
        (one_hot(blobs), one_hot(digits)),
    ),
    # It chose a rule in the end: a vote of neighbours beside what was learned.
    "two hidden units": Fault(
        ("too_few_units",), lambda r: replace(r, hidden=dense(2)), (digits, moons)
    ),
    # Judged: written after that rule, and not looked at since.
    "gradients clipped to nothing": Fault(
        ("update_ratio_small", "too_few_steps", "less_than_neighbours"),
        lambda r: replace(
            r, optimizer=lambda rate: keras.optimizers.SGD(rate, clipnorm=1e-4)
        ),
        (digits, blobs),
    ),
    # Written with it, missed, and a rule's reason since: alone, each answer is 1.
    "a softmax over the batch": Fault(
        ("examples_mixed",),
        lambda r: replace(r, out=(r.out[0], lambda z: keras.ops.softmax(z, axis=0))),
        (digits, blobs),
    ),
}  # fmt: skip
