"""Trainings that are known to be sick, their mended twins, and healthy ones.

A recipe is all that `fit` needs. A fault changes one thing of a recipe; what it was
before is its twin. Data are generated, or scikit-learn's own copies of real ones.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
from keras import layers
from sklearn import datasets

Make = Callable[[int], "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """A training.

    Attributes:
        x: inputs `(samples, ...)`.
        y: labels.
        hidden: makes the layers before the last one.
        out: units and activation of the last layer.
        loss: as `compile` takes it.
        rate: learning rate.
        optimizer: its class.
        epochs: as `fit` takes them.
        batch: examples a step.
        kernel: initializer of every kernel; None is Keras's own.
        bias: initializer of hidden biases.
        metrics: as `compile` takes them.
        finish: changes the model before it is compiled.
        fit: further arguments of `fit`.
        doctor: further arguments of the doctor.
    """

    x: Any
    y: Any
    hidden: Callable[[], list] = lambda: [layers.Dense(32, "relu")]
    out: tuple[int, str | None] = (1, None)
    loss: Any = "mse"
    rate: Any = 3e-3
    optimizer: Any = keras.optimizers.Adam
    epochs: int = 25
    batch: int = 32
    kernel: Any = None
    bias: Any = None
    metrics: tuple = ()
    finish: Callable[[Any], Any] = lambda model: model
    fit: dict = field(default_factory=dict)
    doctor: dict = field(default_factory=dict)

    def model(self) -> keras.Model:
        """The compiled network."""
        parts = [*self.hidden(), layers.Dense(self.out[0], self.out[1])]
        for index, part in enumerate(parts):
            if self.kernel is not None and hasattr(part, "kernel_initializer"):
                part.kernel_initializer = keras.initializers.get(self.kernel)
            hidden = index < len(parts) - 1 and hasattr(part, "bias_initializer")
            if self.bias is not None and hidden:
                part.bias_initializer = keras.initializers.get(self.bias)
        model = keras.Sequential([keras.Input(self.x.shape[1:]), *parts])
        model = self.finish(model) or model
        optimizer = self.optimizer(self.rate)
        model.compile(optimizer, self.loss, metrics=list(self.metrics))
        return model

    def train(self, *callbacks: Any) -> keras.Model:
        """Train it."""
        model = self.model()
        options = {"batch_size": self.batch, "epochs": self.epochs, **self.fit}
        model.fit(self.x, self.y, verbose=0, callbacks=list(callbacks), **options)
        return model


def dense(*widths: int, activation: str | None = "relu") -> Callable[[], list]:
    """So many Dense layers."""
    return lambda: [layers.Dense(width, activation) for width in widths]


# What is to be learned -----------------------------------------------------------


def blobs(seed: int) -> Recipe:
    """Three clouds of points."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, 300)
    x = 2 * rng.normal(size=(3, 8))[y] + rng.normal(size=(300, 8))
    x = ((x - x.mean(0)) / x.std(0)).astype("float32")
    loss = "sparse_categorical_crossentropy"
    return Recipe(x, y, out=(3, "softmax"), loss=loss, metrics=("accuracy",))


def digits(seed: int) -> Recipe:
    """600 of scikit-learn's handwritten digits, 0 to 1."""
    data = datasets.load_digits()
    drawn = np.random.default_rng(seed).permutation(len(data.target))[:600]
    x = (data.data[drawn] / 16).astype("float32")
    loss = "sparse_categorical_crossentropy"
    y = data.target[drawn]
    return Recipe(x, y, out=(10, "softmax"), loss=loss, metrics=("accuracy",))


def one_hot(make: Make) -> Make:
    """The same with a column for each class."""

    def made(seed: int) -> Recipe:
        recipe = make(seed)
        y = np.eye(recipe.out[0], dtype="float32")[recipe.y]
        return replace(recipe, y=y, loss="categorical_crossentropy")

    return made


def moons(seed: int) -> Recipe:
    """Two half-moons: no line tells them apart."""
    x, y = datasets.make_moons(300, noise=0.1, random_state=seed)
    x = (2 * (x - x.mean(0)) / x.std(0)).astype("float32")
    return Recipe(
        x, y, dense(32, 32), (1, "sigmoid"), "binary_crossentropy", 0.01,
        metrics=("accuracy",), epochs=30,
    )  # fmt: skip


def cancer(seed: int) -> Recipe:
    """scikit-learn's breast cancer data, standardised."""
    x, y = datasets.load_breast_cancer(return_X_y=True)
    x = ((x - x.mean(0)) / x.std(0)).astype("float32")
    drawn = np.random.default_rng(seed).permutation(len(y))[:400]
    return Recipe(
        x[drawn], y[drawn], out=(1, "sigmoid"), loss="binary_crossentropy",
        metrics=("accuracy",), epochs=15,
    )  # fmt: skip


def plane(seed: int) -> Recipe:
    """A number from eight others, not quite linear."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(300, 8)).astype("float32")
    y = np.tanh(x @ rng.normal(size=(8, 1))) + 0.3 * x[:, :1] * x[:, 1:2]
    return Recipe(x, y.astype("float32"), epochs=30)


def diabetes(seed: int) -> Recipe:
    """scikit-learn's diabetes data, all standardised."""
    x, y = datasets.load_diabetes(return_X_y=True, scaled=False)
    x, y = ((v - v.mean(0)) / v.std(0) for v in (x, y))
    drawn = np.random.default_rng(seed).permutation(len(y))
    return Recipe(x[drawn].astype("float32"), y[drawn, None].astype("float32"))


def several(seed: int) -> Recipe:
    """Five labels an example, each 0 or 1."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(300, 8)).astype("float32")
    y = (x @ rng.normal(size=(8, 5)) > 0).astype("float32")
    return Recipe(
        x, y, out=(5, "sigmoid"), loss="binary_crossentropy", metrics=("accuracy",)
    )


def stripes(seed: int) -> Recipe:
    """8x8 pictures of a bar in one of eight places, for a small convolution."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 8, 300)
    x = rng.uniform(0, 0.3, (300, 8, 8, 1)).astype("float32")
    x[np.arange(300), :, y] += 0.7

    def hidden() -> list:
        return [layers.Conv2D(8, 3, activation="relu"), layers.Flatten()]

    loss = "sparse_categorical_crossentropy"
    return Recipe(
        x, y, hidden, (8, "softmax"), loss, 0.01, epochs=12, metrics=("accuracy",)
    )


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


def held_out(make: Make) -> Make:
    """The same with a fifth kept for validation."""

    def made(seed: int) -> Recipe:
        return replace(make(seed), fit={"validation_split": 0.2})

    return made


def rare(seed: int) -> Recipe:
    """2 % of the examples are of the other class, and a number says which."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(1000, 6)).astype("float32")
    y = np.zeros(1000, int)
    y[:20] = 1
    x[y == 1, 0] += 5
    order = rng.permutation(1000)
    return Recipe(
        x[order], y[order], out=(1, "sigmoid"), loss="binary_crossentropy",
        metrics=("accuracy",), rate=0.01, epochs=15,
    )  # fmt: skip


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


def good_validation(make: Make) -> Make:
    def made(seed: int) -> Recipe:
        recipe = make(seed)
        options = {"validation_data": (recipe.x[:60], recipe.y[:60])}
        return replace(recipe, fit=options, doctor=options)

    return made


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
        ("saturation",),
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
}  # fmt: skip
