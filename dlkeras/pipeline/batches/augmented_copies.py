"""Batches as the augmentation changes them, outside of training: shown, or judged."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dlkeras.augmentation import Policy, uniform_rows

if TYPE_CHECKING:
    import tensorflow as tf


def augmented(
    policy: Policy,
    images: "tf.Tensor",
    rows: "tf.Tensor",
    key: "tf.Tensor",
    first: int = 0,
) -> "tf.Tensor":
    """Augment a batch of images, without mixing them.

    Args:
        policy: the augmentation.
        images: `(batch, height, width, channels)` float32, as the network takes them.
        rows: their random numbers, `(batch, 32)` or more, from `uniform_rows`.
        key: `(2,)` int64, the seed and the epoch.
        first: place of the first of them in its split.
    """
    from dlkeras.pipeline.tensorflow_import import tf

    if policy.single:
        changed = [
            policy.image(image, rows[i], key, tf.constant(first + i, tf.int64))
            for i, image in enumerate(tf.unstack(images))
        ]
        images = tf.stack(changed)
    return policy.batch(images, rows) if policy.batched else images


def augmented_copies(
    policy: Policy, batches: "tf.data.Dataset", number: int, seed: int, epoch: int
) -> "Iterator[tuple[tf.Tensor, tf.Tensor]]":
    """Give a split's batches, each image augmented; the same for a seed and an epoch.

    Args:
        policy: the augmentation.
        batches: of (images, labels), in their order.
        number: how many images they have together.
        seed: decides the augmentation.
        epoch: which copy.
    """
    from dlkeras.pipeline.tensorflow_import import tf

    key = tf.constant([seed, epoch], tf.int64)
    table = uniform_rows(key, number, policy.decide).batch(number).get_single_element()
    first = 0
    for images, labels in batches:
        rows = table[first : first + len(images)]
        yield augmented(policy, images, rows, key, first), labels
        first += len(images)
