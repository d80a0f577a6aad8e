"""Trainings that learn: the tasks that the faults of `diagnosis_cases` are done to.

A recipe is all that `fit` needs. Data are generated, or scikit-learn's own copies of
real ones.
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

    made.task = f"{make.__name__}, one-hot"
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


def held_out(make: Make) -> Make:
    """The same with a fifth kept for validation."""

    def made(seed: int) -> Recipe:
        return replace(make(seed), fit={"validation_split": 0.2})

    made.task = f"{make.__name__}, a fifth kept"
    return made


def good_validation(make: Make) -> Make:
    def made(seed: int) -> Recipe:
        recipe = make(seed)
        options = {"validation_data": (recipe.x[:60], recipe.y[:60])}
        return replace(recipe, fit=options, doctor=options)

    made.task = f"{make.__name__}, validated"
    return made
