"""What a network learns to answer: a class, several classes, or a number.

Each objective is a last layer, a loss, a metric, and what is left of it when training
has ended. The data set's task says which. How its labels are kept is in
`dlkeras.pipeline.examples.sources.label_kinds`, and how what was learned is judged and
asked in `dlkeras.pipeline.serving.tasks`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from dlkeras.pipeline.artifacts.types import Examples
from dlkeras.pipeline.batches.soft_labels import accuracy, cross_entropy
from dlkeras.pipeline.store.errors import InputError, reason

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


class Objective(Protocol):
    """What is learned of labels of one kind.

    Attributes:
        loss_in_words: the loss and its unit.
        loss: of `(labels, answers)`, `(batch,)`.
        metric: as `loss`; its name is the metric's.
    """

    loss_in_words: str
    loss: Any
    metric: Any

    def with_last_layer(self, model: "keras.Model", outputs: int) -> "keras.Model":
        """The network of a classifier with the last layer that fits."""
        ...

    def finished(self, model: "keras.Model") -> "keras.Model":
        """The trained network, which answers in the labels' unit."""
        ...

    def reached(self, logs: Mapping[str, float]) -> dict[str, Any]:
        """What to say of the metric in the best epoch."""
        ...


class Classes:
    """One class: softmax, cross-entropy, accuracy."""

    loss_in_words = "cross-entropy loss (nats)"
    loss = staticmethod(cross_entropy)
    metric = staticmethod(accuracy)

    def with_last_layer(self, model: "keras.Model", outputs: int) -> "keras.Model":
        """The network itself, which is a classifier."""
        return model

    def finished(self, model: "keras.Model") -> "keras.Model":
        """The network itself."""
        return model

    def reached(self, logs: Mapping[str, float]) -> dict[str, Any]:
        """The validation accuracy."""
        return {"val_accuracy": logs["val_accuracy"]}


def binary_cross_entropy(labels: "tf.Tensor", answers: "tf.Tensor") -> "tf.Tensor":
    """Binary cross-entropy of each example, the mean over its classes, in nats.

    Args:
        labels: `(batch, classes)`, 0 to 1.
        answers: `(batch, classes)` probabilities.
    """
    from dlkeras.pipeline.tensorflow_import import keras

    return keras.losses.binary_crossentropy(labels, answers)


def binary_accuracy(labels: "tf.Tensor", answers: "tf.Tensor") -> "tf.Tensor":
    """The share of an example's classes that are told rightly, at probability 0.5.

    Args:
        labels: `(batch, classes)`, 0 to 1; a share of 0.5 or more counts as 1.
        answers: `(batch, classes)` probabilities.
    """
    from dlkeras.pipeline.tensorflow_import import keras

    ops = keras.ops
    same = ops.equal(ops.greater_equal(labels, 0.5), ops.greater_equal(answers, 0.5))
    return ops.mean(ops.cast(same, "float32"), axis=-1)


class SeveralLabels:
    """Any number of classes: a sigmoid each, binary cross-entropy."""

    loss_in_words = "binary cross-entropy loss (nats)"
    loss = staticmethod(binary_cross_entropy)
    metric = staticmethod(binary_accuracy)

    def with_last_layer(self, model: "keras.Model", outputs: int) -> "keras.Model":
        """The network with sigmoids."""
        return _with_head(model, outputs, "sigmoid")

    def finished(self, model: "keras.Model") -> "keras.Model":
        """The network itself."""
        return model

    def reached(self, logs: Mapping[str, float]) -> dict[str, Any]:
        """The validation accuracy over examples and classes."""
        name = "binary_accuracy"
        return {"metric": name, f"val_{name}": logs[f"val_{name}"]}


class Number:
    """A number: a linear unit, mean squared error.

    While it trains, the unit gives the distance from the training labels' mean in their
    standard deviations, so that neither the loss nor the learning rate depends on the
    unit of the labels: a loss of 1 is that of always giving the mean. In the end the
    mean and the standard deviation go into the layer's weights.

    Args:
        mean: of the training labels.
        std: their standard deviation.
    """

    loss_in_words = "mean squared error (1: always the mean)"

    def __init__(self, mean: float, std: float) -> None:
        self.mean, self.std = mean, std

    def loss(self, labels: "tf.Tensor", answers: "tf.Tensor") -> "tf.Tensor":
        """Squared error of each example, in variances of the training labels."""
        from dlkeras.pipeline.tensorflow_import import keras

        return keras.ops.square(self._error(labels, answers))

    @property
    def metric(self) -> Any:
        """Absolute error of each example, in the labels' unit."""

        def mean_absolute_error(labels: "tf.Tensor", answers: "tf.Tensor") -> Any:
            from dlkeras.pipeline.tensorflow_import import keras

            return self.std * keras.ops.abs(self._error(labels, answers))

        return mean_absolute_error

    def _error(self, labels: "tf.Tensor", answers: "tf.Tensor") -> Any:
        from dlkeras.pipeline.tensorflow_import import keras

        ops = keras.ops
        numbers = ops.cast(ops.reshape(labels, [-1]), "float32")
        given = ops.cast(ops.reshape(answers, [-1]), "float32")
        return (numbers - self.mean) / self.std - given

    def with_last_layer(self, model: "keras.Model", outputs: int) -> "keras.Model":
        """The network with one linear unit."""
        return _with_head(model, outputs, None)

    def finished(self, model: "keras.Model") -> "keras.Model":
        """The network, whose last layer gives the labels' unit."""
        last = model.layers[-1]
        kernel, bias = last.get_weights()
        last.set_weights([kernel * self.std, bias * self.std + self.mean])
        return model

    def reached(self, logs: Mapping[str, float]) -> dict[str, Any]:
        """The mean absolute error in the validation split."""
        name = "mean_absolute_error"
        return {"metric": name, f"val_{name}": logs[f"val_{name}"]}


def _with_head(model: "keras.Model", outputs: int, activation: Any) -> "keras.Model":
    from dlkeras.transfer import replace_head

    name = model.layers[-1].name
    try:
        return replace_head(model, outputs, activation=activation, name=name)
    except ValueError as error:
        raise InputError(
            f"--trainer.network: expected a dense layer at the end of {model.name}, "
            "and at most an activation after it, since --example-gen.task puts another "
            f"in its place; {reason(error)}"
        ) from error


def objective_of(examples: Examples) -> Objective:
    """What a network learns of a data set."""
    if examples.task == "regression":
        return Number(**examples.properties["target"])
    return SeveralLabels() if examples.task == "multilabel" else Classes()
