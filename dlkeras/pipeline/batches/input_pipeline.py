"""The tf.data graph: examples to batches, augmented in parallel and reproducibly.

What is random depends on (seed, epoch, index of the example) alone: the order of an
epoch, and how each image is augmented. So any number of parallel calls gives the same
batches, and training that resumes at epoch 7 sees what it would have seen without the
interruption.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from dlkeras.augmentation import Policy, uniform_rows
from dlkeras.pipeline.artifacts.types import Examples, Transform
from dlkeras.pipeline.batches.file_sharding import FileSharding
from dlkeras.pipeline.batches.resizing import resize_antialiased, with_aspect
from dlkeras.pipeline.configuration.config import TransformConfig

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

# Preprocessed images are kept in memory up to this size, and read again beyond it.
CACHE_BYTES = 2**30
# So many examples are shuffled together; encoded ones only up to a size, since the
# photographs of a large source have megabytes. Shards hold a mixture already.
SHUFFLE_BUFFER = 16_384
SHUFFLE_BYTES = 2**28
# Encoded images of so many bytes on average have some 100 x 100 pixels or more.
LARGE_BYTES = 2**13


def transform_config(transform: Transform) -> TransformConfig:
    """The configuration that a transform was made with."""
    # Before there was a choice, photos were stretched.
    made_with = {"aspect": "stretch"} | transform.record.config["transform"]
    return TransformConfig.model_validate(made_with)


def evaluation_batches(
    examples: Examples,
    transform: Transform,
    split: str,
    batch_size: int,
    cached: bool = True,
    only: "np.ndarray | None" = None,
) -> "tf.data.Dataset":
    """Read a split in its stored order, without augmentation.

    Args:
        examples: the data set.
        transform: the preprocessing.
        split: which split.
        batch_size: images in a batch; the last batch can be smaller.
        cached: keep what fits into `CACHE_BYTES`, for who reads it again and again. It
            has to be read to its end: a cache that is left half-way is lost.
        only: `(examples,)`, which of them; default: all.

    Returns:
        Batches of (images, labels): `(batch, height, width, channels)` float32 and
        `(batch,)` int64. Several labels are `(batch, classes)` float32, 0 or 1, and
        numbers `(batch,)` float32.
    """
    dataset = _preprocessed(examples, transform, split, cached=cached)
    if only is not None:
        dataset = dataset.filter(_chosen(only))
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
    part: tuple[int, int] = (0, 1),
    sharding: Literal["example", "file"] = "example",
    devices: int = 1,
    augmentation: "Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None" = None,
    only: "np.ndarray | None" = None,
) -> "tf.data.Dataset":
    """Read a split again and again, each epoch in an order of its own, augmented.

    Args:
        examples: the data set.
        transform: preprocessing and augmentation.
        batch_size: images in a batch; the last one of an epoch may be smaller.
        seed: decides the order and the augmentation, with the epoch and the index.
        augmentation_strength: factor on the changes that the augmentation makes.
        first_epoch: where to start, 0 unless training resumes.
        epochs: where to stop.
        split: which split.
        part: (index, number) of the machines that share every batch.
        sharding: what a machine's part is. By example, those at index, index + number,
            index + 2 number, and so on; the others are read, but neither decoded nor
            augmented, unless images are mixed. By file, those of its own shard files,
            which are the only ones it opens; images are mixed with its own alone.
        devices: by file, devices of this machine, which share its rows of a batch.
        augmentation: the user's own, before those of whole batches: of an image and two
            integers, which are those of the seed, the epoch and the example.
        only: `(examples,)`, which of them; default: all. On one machine alone.

    Returns:
        Batches of (images, labels), `steps_per_epoch` of them for each epoch. Where
        images are mixed, labels are shares of the classes, `(batch, classes)` float32.
        By file, on several machines, (images, labels, weights): as many rows in every
        batch on every machine, those of weight 0 being there to fill it; with the
        weights the mean over all machines' rows is that over the step's examples.

    Raises:
        InputError: there are fewer shard files than machines, or a machine would have
            no example in a step.
    """
    from dlkeras.pipeline.tensorflow_import import tf

    config = transform_config(transform)
    number = examples.splits[split]
    index_of_machine, machines = part
    policy = Policy(config, augmentation_strength, len(examples.labels))
    alone = policy.batched and policy.one_by_one
    together = policy.batched and not policy.one_by_one
    files = shards = stretches = None
    read = number
    if sharding == "file" and machines > 1:
        lengths = examples.shard_lengths(split)
        files = FileSharding(lengths, machines, batch_size, devices)
        shards = files.files[index_of_machine]
        stretches = files.stretches(index_of_machine)
        read = files.examples[index_of_machine]
    # What does not fit into memory is shuffled while it is encoded, and small.
    kept = fits_in_memory(transform, read)
    stored = _preprocessed(examples, transform, split, shards) if kept else None
    transposed = not kept and alone and policy.takes_transposed
    transposed = transposed and _uses_fast_resize(examples, config)
    preprocess = None if kept else _preprocessing(examples, transform, transposed)
    buffer = min(read, SHUFFLE_BUFFER)
    if not kept:
        average = max(examples.stored_bytes(split) // number, 1)
        buffer = max(min(buffer, SHUFFLE_BYTES // average), 1)
    # An image may be mixed with one of another machine.
    whole = machines == 1 or policy.mixes or files is not None

    @tf.autograph.experimental.do_not_convert
    def read_epoch(epoch: "tf.Tensor") -> "tf.data.Dataset":
        # The seed of this function's graph: the order depends on the key alone,
        # whatever TensorFlow's global seed is (0 is even refused beside a tensor).
        tf.compat.v1.set_random_seed(1)
        key = tf.stack([tf.constant(seed, tf.int64), epoch])
        order = tf.random.stateless_uniform([], key, maxval=2**31 - 1, dtype=tf.int64)
        source = (
            examples.dataset(split, decode=False, shards=shards)
            if stored is None
            else stored
        )
        rows = uniform_rows(key, number, policy.decide, stretches)
        dataset = tf.data.Dataset.zip(source, rows)
        if only is not None:
            chosen = _chosen(only)
            dataset = dataset.filter(lambda example, row: chosen(example))
        dataset = dataset.shuffle(buffer, seed=order, reshuffle_each_iteration=False)
        if not whole:
            dataset = dataset.shard(machines, index_of_machine)

        def single(example: "tuple | dict", row: "tf.Tensor") -> tuple:
            image, label, index = preprocess(example) if preprocess else example
            if policy.single:
                image = policy.image(image, row, key, index)
            if alone:
                image = policy.batch(image[None], row[None], transposed)[0]
            if augmentation is not None:
                place = tf.random.experimental.stateless_fold_in(key, index)
                image = tf.ensure_shape(augmentation(image, place), image.shape)
            return image, label, index, row

        if preprocess or policy.single or alone or augmentation:
            dataset = dataset.map(single, num_parallel_calls=tf.data.AUTOTUNE)
        else:
            dataset = dataset.map(lambda example, row: (*example, row))
        if files is None:
            dataset = dataset.batch(batch_size if whole else batch_size // machines)
        else:
            dataset = _parts_of_steps(dataset, files, index_of_machine)

        def batch(
            images: "tf.Tensor",
            labels: "tf.Tensor",
            indices: "tf.Tensor",
            rows: "tf.Tensor",
        ) -> tuple:
            if together:
                images = policy.batch(images, rows)
            if policy.mixes:
                images, labels = policy.mix(images, labels, key, indices[0])
                if machines > 1 and files is None:
                    images = images[index_of_machine::machines]
                    labels = labels[index_of_machine::machines]
            return images, labels

        parallel = tf.data.AUTOTUNE if together or policy.mixes else None
        dataset = dataset.map(batch, num_parallel_calls=parallel)
        if files is not None:
            return _filled(dataset, files)
        if whole and machines > 1:  # of a small last batch nothing may be left
            dataset = dataset.filter(lambda *batch: tf.shape(batch[0])[0] > 0)
        return dataset

    all_epochs = tf.data.Dataset.range(first_epoch, epochs).flat_map(read_epoch)
    return all_epochs.prefetch(tf.data.AUTOTUNE)


def _chosen(only: "np.ndarray") -> "Callable[..., tf.Tensor]":
    """Whether an example is among the ones asked for."""
    from dlkeras.pipeline.tensorflow_import import tf

    table = tf.constant(only)

    @tf.autograph.experimental.do_not_convert
    def chosen(*example: "dict | tf.Tensor | tuple") -> "tf.Tensor":
        if len(example) == 1:  # as it is stored, or all of it in one
            (one,) = example
            index = one["index"] if isinstance(one, dict) else one[-1]
        else:
            index = example[-1]
        return tf.gather(table, index)

    return chosen


def _parts_of_steps(
    dataset: "tf.data.Dataset", files: FileSharding, machine: int
) -> "tf.data.Dataset":
    """Cut a machine's examples into its parts of the steps of an epoch."""
    from dlkeras.pipeline.tensorflow_import import tf

    def together(step: "tf.Tensor", window: "tf.data.Dataset") -> "tf.data.Dataset":
        del step
        return window.map(lambda place, *example: example).batch(files.rows)

    return (
        dataset.enumerate()
        .map(lambda place, example: (place, *example))
        .group_by_window(
            key_func=tf.autograph.experimental.do_not_convert(
                lambda place, *example: files.step_of(machine, place)
            ),
            reduce_func=tf.autograph.experimental.do_not_convert(together),
            window_size_func=tf.autograph.experimental.do_not_convert(
                lambda step: files.part(machine, step)
            ),
        )
    )


def _filled(dataset: "tf.data.Dataset", files: FileSharding) -> "tf.data.Dataset":
    """Fill the batches of an epoch up to the same number of rows, and weight them."""
    from dlkeras.pipeline.tensorflow_import import tf

    @tf.autograph.experimental.do_not_convert
    def fill(step: "tf.Tensor", batch: tuple) -> tuple:
        images, labels = batch
        number = tf.shape(images)[0]
        row = tf.range(files.rows)
        # Its own examples once more, so that batch normalisation sees its like.
        images, labels = (tf.gather(v, row % number) for v in (images, labels))
        rows = tf.constant(files.rows * files.machines, tf.float32)
        weight = rows / tf.cast(files.whole(step), tf.float32)
        return images, labels, tf.where(row < number, weight, 0.0)

    return dataset.enumerate().map(fill)


def steps_per_epoch(examples: Examples, batch_size: int, split: str = "train") -> int:
    """Number of batches of one epoch."""
    return math.ceil(examples.splits[split] / batch_size)


def fits_in_memory(transform: Transform, number: int) -> bool:
    """Whether so many preprocessed images may be kept."""
    return 4 * math.prod(transform.input_shape) * number <= CACHE_BYTES


def _uses_fast_resize(examples: Examples, config: TransformConfig) -> bool:
    """Whether resizing is left to `resize_antialiased`."""
    # Of small images a kernel's call costs more than its arithmetic.
    average = examples.stored_bytes("train") // examples.splits["train"]
    return config.antialias and average >= LARGE_BYTES


def _preprocessing(examples: Examples, transform: Transform, transposed: bool = False):
    """Make the function from an encoded example to (image, label, index)."""
    from dlkeras.pipeline.tensorflow_import import tf

    config = transform_config(transform)
    fast = _uses_fast_resize(examples, config)
    model = None if fast else transform.preprocessing()
    decoder = examples.decoder()
    height, width, channels = transform.input_shape
    shape = (width, height, channels) if transposed else (height, width, channels)

    @tf.autograph.experimental.do_not_convert
    def preprocess(example: dict) -> tuple:
        pixels = decoder(example["image"])
        if model is None:  # the model's numbers, sooner
            pixels = with_aspect(pixels, height, width, config.aspect)
            image = resize_antialiased(pixels, height, width, transposed)
            image = image * config.scale
            image = image + config.offset if config.offset else image
        else:
            image = model(pixels[None])[0]
        return tf.ensure_shape(image, shape), example["label"], example["index"]

    return preprocess


def _preprocessed(
    examples: Examples,
    transform: Transform,
    split: str,
    shards: Sequence[int] | None = None,
    cached: bool = True,
) -> "tf.data.Dataset":
    """Give (image, label, index) of a split after the deterministic preprocessing."""
    from dlkeras.pipeline.tensorflow_import import tf

    dataset = examples.dataset(split, decode=False, shards=shards).map(
        _preprocessing(examples, transform), num_parallel_calls=tf.data.AUTOTUNE
    )
    number = examples.splits[split]
    if shards is not None:
        lengths = examples.shard_lengths(split)
        number = sum(lengths[shard] for shard in shards)
    fits = cached and fits_in_memory(transform, number)
    return dataset.cache() if fits else dataset
