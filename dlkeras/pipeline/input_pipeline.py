"""The tf.data graph: examples to batches, augmented in parallel and reproducibly.

What is random depends on (seed, epoch, index of the example) alone: the order of an
epoch, and how each image is shifted, rotated and zoomed. So any number of parallel
calls gives the same batches, and training that resumes at epoch 7 sees what it would
have seen without the interruption.
"""

import math
from typing import TYPE_CHECKING

from dlkeras.pipeline.artifacts import Examples, Transform
from dlkeras.pipeline.config import TransformConfig

if TYPE_CHECKING:
    import tensorflow as tf

# Preprocessed images are kept in memory up to this size, and read anew beyond it.
CACHE_BYTES = 2**30
SHUFFLE_BUFFER = 16_384


def evaluation_batches(
    examples: Examples, transform: Transform, split: str, batch_size: int
) -> "tf.data.Dataset":
    """Read a split once, in its stored order, without augmentation.

    Returns:
        Batches of (images, labels): `(batch, height, width, channels)` float32 and
        `(batch,)` int64.
    """
    dataset = _preprocessed(examples, transform, split)
    return dataset.map(lambda image, label, index: (image, label)).batch(batch_size)


def training_batches(
    examples: Examples,
    transform: Transform,
    *,
    batch_size: int,
    seed: int,
    augmentation_strength: float,
    first_epoch: int,
    epochs: int,
    split: str = "train",
) -> "tf.data.Dataset":
    """Read a split again and again, each epoch in an order of its own, augmented.

    Args:
        examples: the data set.
        transform: preprocessing and augmentation.
        batch_size: images in a batch; the last one of an epoch may be smaller.
        seed: decides the order and the augmentation, with the epoch and the index.
        augmentation_strength: factor on the transform's shift, rotation and zoom.
        first_epoch: where to start, 0 unless training resumes.
        epochs: where to stop.
        split: which split.

    Returns:
        Batches of (images, labels), `steps_per_epoch` of them for each epoch.
    """
    from dlkeras.pipeline.tensorflow_import import tf

    config = TransformConfig.model_validate(transform.record.config["transform"])
    dataset = _preprocessed(examples, transform, split)
    buffer = min(examples.splits[split], SHUFFLE_BUFFER)
    augmented = config.augment and augmentation_strength > 0

    @tf.autograph.experimental.do_not_convert
    def read_epoch(epoch: "tf.Tensor") -> "tf.data.Dataset":
        # The seed of this function's graph: the order depends on the key alone,
        # whatever TensorFlow's global seed is (0 is even refused beside a tensor).
        tf.compat.v1.set_random_seed(1)
        key = tf.stack([tf.constant(seed, tf.int64), epoch])
        order = tf.random.stateless_uniform([], key, maxval=2**31 - 1, dtype=tf.int64)
        shuffled = dataset.shuffle(buffer, seed=order, reshuffle_each_iteration=False)
        if not augmented:
            pairs = shuffled.map(lambda image, label, index: (image, label))
            return pairs.batch(batch_size)
        drawn = shuffled.map(
            lambda image, label, index: (
                image,
                draw_matrix(config, augmentation_strength, image, key, index),
                label,
            ),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        return drawn.batch(batch_size).map(
            lambda images, matrices, labels: (
                apply_matrices(config, images, matrices),
                labels,
            ),
            num_parallel_calls=tf.data.AUTOTUNE,
        )

    all_epochs = tf.data.Dataset.range(first_epoch, epochs).flat_map(read_epoch)
    return all_epochs.prefetch(tf.data.AUTOTUNE)


def steps_per_epoch(examples: Examples, batch_size: int, split: str = "train") -> int:
    """Number of batches of one epoch."""
    return math.ceil(examples.splits[split] / batch_size)


def draw_matrix(
    config: TransformConfig,
    strength: float,
    image: "tf.Tensor",
    key: "tf.Tensor",
    index: "tf.Tensor",
) -> "tf.Tensor":
    """Draw one image's shift, rotation and zoom as one projective transform.

    Args:
        config: the largest shift (share of the size), rotation (degrees) and zoom.
        strength: factor on all three.
        image: `(height, width, channels)`, for its size.
        key: `(2,)` int64, the seed and the epoch.
        index: the example's position in the split.

    Returns:
        `(8,)` float32: the coefficients that map an output pixel to an input pixel, as
        `keras.ops.image.affine_transform` takes them.
    """
    from dlkeras.pipeline.tensorflow_import import tf

    seed = tf.stack([key[0] * 1_000_003 + key[1], index])
    u = tf.random.stateless_uniform([5], seed, minval=-strength, maxval=strength)
    height = tf.cast(tf.shape(image)[0], tf.float32)
    width = tf.cast(tf.shape(image)[1], tf.float32)
    shift_x, shift_y = u[0] * config.shift * width, u[1] * config.shift * height
    angle = u[2] * (config.rotation * math.pi / 180)
    zoom_x, zoom_y = 1 + u[3] * config.zoom, 1 + u[4] * config.zoom
    cosine, sine = tf.cos(angle), tf.sin(angle)
    # Output pixel to input pixel about the centre: x_in = A (x_out - c - t) + c. Rows
    # count downwards: this turns a positive angle counter-clockwise.
    a0, a1 = cosine / zoom_x, -sine / zoom_x
    b0, b1 = sine / zoom_y, cosine / zoom_y
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    from_x, from_y = centre_x + shift_x, centre_y + shift_y
    a2 = centre_x - a0 * from_x - a1 * from_y
    b2 = centre_y - b0 * from_x - b1 * from_y
    zero = tf.constant(0.0)
    return tf.stack([a0, a1, a2, b0, b1, b2, zero, zero])


def apply_matrices(
    config: TransformConfig, images: "tf.Tensor", matrices: "tf.Tensor"
) -> "tf.Tensor":
    """Transform a batch of preprocessed images, bilinearly.

    Args:
        config: what stands outside an image; for "constant" a raw pixel of 0.
        images: `(batch, height, width, channels)` float32.
        matrices: `(batch, 8)` from `draw_matrix`.
    """
    from dlkeras.pipeline.tensorflow_import import keras, tf

    transformed = keras.ops.image.affine_transform(
        images,
        matrices,
        interpolation="bilinear",
        fill_mode=config.fill_mode,
        fill_value=config.offset,
        data_format="channels_last",
    )
    return tf.ensure_shape(transformed, images.shape)


def _preprocessed(
    examples: Examples, transform: Transform, split: str
) -> "tf.data.Dataset":
    """Give (image, label, index) of a split after the deterministic preprocessing."""
    from dlkeras.pipeline.tensorflow_import import tf

    preprocessing = transform.preprocessing()
    shape = transform.input_shape

    @tf.autograph.experimental.do_not_convert
    def preprocess(example: dict) -> tuple:
        image = preprocessing(example["image"][None])[0]
        return tf.ensure_shape(image, shape), example["label"], example["index"]

    dataset = examples.dataset(split).map(
        preprocess, num_parallel_calls=tf.data.AUTOTUNE
    )
    if 4 * math.prod(shape) * examples.splits[split] <= CACHE_BYTES:
        dataset = dataset.cache()
    return dataset
