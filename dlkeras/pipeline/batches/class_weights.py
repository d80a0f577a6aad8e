"""Class weights: rare classes count as much as common ones."""

from typing import TYPE_CHECKING

import numpy as np

from dlkeras.pipeline.artifacts.types import Examples

if TYPE_CHECKING:
    import tensorflow as tf


def balanced_weights(counts: np.ndarray) -> np.ndarray:
    """The weight of each class, as scikit-learn's `class_weight="balanced"` says.

    Args:
        counts: `(classes,)` examples of each class; 0 is possible.

    Returns:
        `(classes,)`: examples / (classes that there are * examples of the class); the
        mean over the examples is 1. A class without examples has 0.

    >>> balanced_weights(np.array([8, 2]))
    array([0.625, 2.5  ])
    """
    there = counts > 0
    share = counts.sum() / (there.sum() * np.maximum(counts, 1))
    return np.where(there, share, 0.0)


def with_class_weights(
    batches: "tf.data.Dataset", examples: Examples, kind: str
) -> "tf.data.Dataset":
    """Give each row of a batch the weight of its class, mixed as the label is.

    Args:
        batches: of (images, labels), or (images, labels, weights).
        examples: the data set, whose training split is counted.
        kind: "none", which leaves the batches as they are, or "balanced".
    """
    if kind == "none":
        return batches
    from dlkeras.pipeline.tensorflow_import import tf

    stored = examples.dataset("train", decode=False).map(lambda x: x["label"])
    labels = [np.asarray(some) for some in stored.batch(4096)]
    counts = np.bincount(np.concatenate(labels), minlength=len(examples.labels))
    weights = tf.constant(balanced_weights(counts), tf.float32)

    def weigh(
        images: "tf.Tensor", labels: "tf.Tensor", *given: "tf.Tensor"
    ) -> tuple["tf.Tensor", ...]:
        if len(labels.shape) == 2:  # shares
            weight = tf.linalg.matvec(labels, weights)
        else:
            weight = tf.gather(weights, labels)
        return images, labels, weight * given[0] if given else weight

    return batches.map(tf.autograph.experimental.do_not_convert(weigh))
