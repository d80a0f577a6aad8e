"""Mixes two images: mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019).

The arithmetic is that of Keras's own layers; the draws are ours, of a seed.
"""

from typing import TYPE_CHECKING

from dlkeras.augmentation.keras_layers import unit_layer
from dlkeras.augmentation.settings import AugmentationSettings

if TYPE_CHECKING:
    import tensorflow as tf


# Added to a seed: what is drawn for one purpose tells nothing of another.
MIXUP, CUTMIX, PLACE, WHICH = 101, 102, 103, 104


def mixes(config: AugmentationSettings) -> bool:
    """Whether labels become shares of classes, `(batch, classes)`."""
    return config.augment and bool(config.mixup or config.cutmix)


def offset(seed: "tf.Tensor", purpose: int) -> "tf.Tensor":
    """Make another seed of a seed, for a purpose of its own."""
    from dlkeras.augmentation.tensorflow_names import tf

    return seed + tf.constant([0, purpose << 40], tf.int64)


def mix(
    config: AugmentationSettings,
    images: "tf.Tensor",
    shares: "tf.Tensor",
    seed: "tf.Tensor",
) -> "tuple[tf.Tensor, tf.Tensor]":
    """Mix each image of a batch with the one before it, the first with the last.

    Where both are on, half of the batches get mixup and half CutMix.

    Args:
        config: the parameters alpha of both Beta distributions, 0 for neither.
        images: `(batch, height, width, channels)`.
        shares: `(batch, classes)`, the labels one-hot.
        seed: `(2,)` int64, decides the shares.

    Returns:
        Images and shares of the same shapes.
    """
    from dlkeras.augmentation.tensorflow_names import tf

    if config.mixup and config.cutmix:
        draw = tf.random.stateless_uniform([], offset(seed, WHICH))
        return tf.cond(
            draw < 0.5,
            lambda: _mixup(config.mixup, images, shares, seed),
            lambda: _cutmix(config.cutmix, images, shares, seed),
        )
    if config.mixup:
        return _mixup(config.mixup, images, shares, seed)
    return _cutmix(config.cutmix, images, shares, seed)


def _beta(alpha: float, number: "tf.Tensor", seed: "tf.Tensor") -> "tf.Tensor":
    """Draw from Beta(alpha, alpha), as the share of one of two Gamma variates."""
    from dlkeras.augmentation.tensorflow_names import tf

    gamma = tf.random.stateless_gamma([number, 2], seed, alpha)
    total = tf.reduce_sum(gamma, axis=1)
    return tf.where(total > 0, gamma[:, 0] / total, 0.5)


def _mixup(
    alpha: float, images: "tf.Tensor", shares: "tf.Tensor", seed: "tf.Tensor"
) -> "tuple[tf.Tensor, tf.Tensor]":
    """Take `share` of an image and the rest of another; labels are mixed, too."""
    share = _beta(alpha, _length(images), offset(seed, MIXUP))
    change = {"mix_weight": share, "permutation_order": _one_before(images)}
    return _mixed("MixUp", images, shares, change)


def _cutmix(
    alpha: float, images: "tf.Tensor", shares: "tf.Tensor", seed: "tf.Tensor"
) -> "tuple[tf.Tensor, tf.Tensor]":
    """Paste a rectangle of another image; labels by the area that each has."""
    from dlkeras.augmentation.tensorflow_names import tf

    number = _length(images)
    height, width = images.shape[1:3]
    share = _beta(alpha, number, offset(seed, CUTMIX))
    centre = tf.random.stateless_uniform([number, 2], offset(seed, PLACE))
    tall, wide = tf.sqrt(1 - share) * height, tf.sqrt(1 - share) * width
    middle_y, middle_x = centre[:, 0] * height, centre[:, 1] * width
    top = tf.clip_by_value(tf.round(middle_y - tall / 2), 0, height)[:, None, None]
    bottom = tf.clip_by_value(tf.round(middle_y + tall / 2), 0, height)[:, None, None]
    left = tf.clip_by_value(tf.round(middle_x - wide / 2), 0, width)[:, None, None]
    right = tf.clip_by_value(tf.round(middle_x + wide / 2), 0, width)[:, None, None]
    rows = tf.range(height, dtype=tf.float32)[None, :, None]
    columns = tf.range(width, dtype=tf.float32)[None, None, :]
    inside = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
    kept = 1 - tf.reduce_mean(tf.cast(inside, tf.float32), axis=[1, 2])
    change = {
        "batch_masks": inside[..., None],
        "mix_weight": kept,
        "permutation_order": _one_before(images),
    }
    return _mixed("CutMix", images, shares, change)


def _mixed(
    name: str, images: "tf.Tensor", shares: "tf.Tensor", change: dict[str, "tf.Tensor"]
) -> "tuple[tf.Tensor, tf.Tensor]":
    """Let Keras's layer mix images and labels by what was drawn here."""
    layer = unit_layer(name)
    return (
        layer.transform_images(images, change),
        layer.transform_labels(shares, change),
    )


def _length(images: "tf.Tensor") -> "tf.Tensor":
    from dlkeras.augmentation.tensorflow_names import tf

    return tf.shape(images)[0]


def _one_before(batch: "tf.Tensor") -> "tf.Tensor":
    """For each place of a batch the one before it; for the first the last."""
    from dlkeras.augmentation.tensorflow_names import tf

    return tf.roll(tf.range(_length(batch)), 1, axis=0)
