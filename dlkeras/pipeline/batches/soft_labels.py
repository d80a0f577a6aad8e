"""Loss and accuracy for labels of both kinds: class numbers, and shares of classes.

Training on mixed images has shares; its validation, and other training, has numbers.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf


def cross_entropy(labels: "tf.Tensor", probabilities: "tf.Tensor") -> "tf.Tensor":
    """Cross-entropy of each example, in nats.

    Args:
        labels: `(batch,)` or `(batch, 1)` class numbers, or `(batch, classes)` shares.
        probabilities: `(batch, classes)`.

    Returns:
        `(batch,)`.
    """
    from dlkeras.pipeline.tensorflow_import import keras

    if _are_shares(labels, probabilities):
        return keras.losses.categorical_crossentropy(labels, probabilities)
    numbers = keras.ops.reshape(labels, [-1])
    return keras.losses.sparse_categorical_crossentropy(numbers, probabilities)


def accuracy(labels: "tf.Tensor", probabilities: "tf.Tensor") -> "tf.Tensor":
    """Whether the likeliest class is the label, or has its largest share: 1 or 0."""
    from dlkeras.pipeline.tensorflow_import import keras

    if _are_shares(labels, probabilities):
        return keras.metrics.categorical_accuracy(labels, probabilities)
    numbers = keras.ops.reshape(labels, [-1])
    return keras.metrics.sparse_categorical_accuracy(numbers, probabilities)


def _are_shares(labels: "tf.Tensor", probabilities: "tf.Tensor") -> bool:
    return len(labels.shape) == 2 and labels.shape[-1] == probabilities.shape[-1]
