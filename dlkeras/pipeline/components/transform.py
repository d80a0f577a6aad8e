"""Transform: the preprocessing that travels with the model, and the augmentation."""

from typing import Any

import numpy as np

from dlkeras.augmentation import Policy, uniform_rows
from dlkeras.pipeline.artifacts.types import Examples, Schema, Transform
from dlkeras.pipeline.batches.augmented_copies import augmented
from dlkeras.pipeline.configuration.config import TransformConfig
from dlkeras.pipeline.engine.component import component
from dlkeras.pipeline.examples.sources.label_kinds import label_kind
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import Draft, canonical_digest

PREVIEW_EPOCHS = 6


@component
def transform(
    config: TransformConfig,
    output: Draft[Transform],
    examples: Examples,
    schema: Schema,
) -> None:
    """Build the deterministic preprocessing as a Keras model.

    Args:
        config: size, rescaling, augmentation.
        output: gets `preprocessing.keras`: raw uint8 images of any size, `(batch,
            height, width, channels)`, to the network's input, float32; a figure of what
            the augmentation makes of the first training images; and `input_shape` as a
            property. The augmentation is the configuration itself.
        examples: the number of channels of its images.
        schema: the number of channels that images must have.

    Raises:
        InputError: the schema asks for other channels than the examples have.
    """
    channels = schema.schema.channels
    if channels != examples.channels:
        raise InputError(
            f"schema: expected images of {channels} channels; the examples have "
            f"{examples.channels}"
        )
    model = preprocessing_model(config, channels)
    model.save(output.path / Transform.PREPROCESSING)
    output.properties["input_shape"] = [config.height, config.width, channels]
    # A .keras file carries the date of its saving; the model is what its config says.
    dumped = config.model_dump(mode="json", exclude={"preview_examples"})
    output.digest = canonical_digest([model.to_json(), dumped])
    if config.augment:
        first = examples.dataset("train").take(config.preview_examples)
        shown = list(first.as_numpy_iterator())
        pixels = [example["image"] for example in shown]
        kind = label_kind(examples.task)
        captions = [kind.in_words(one["label"], examples.labels) for one in shown]
        figure = augmentation_preview(config, model, pixels, captions)
        from dlkeras.visualization.figure import save_figure

        save_figure(figure, output.figure_path("augmentation_preview"))


def preprocessing_model(config: TransformConfig, channels: int):
    """Build the model from raw pixels to the network's input.

    Args:
        config: size and rescaling.
        channels: number of channels of the images.
    """
    from dlkeras.layers.aspect import PadToAspect
    from dlkeras.pipeline.tensorflow_import import keras

    images = keras.Input((None, None, channels), dtype="uint8", name="image")
    x = images
    if config.aspect == "pad":
        x = PadToAspect(config.height, config.width, name="pad")(x)
    x = keras.layers.Rescaling(config.scale, config.offset, name="rescale")(x)
    # Antialiasing matters where a large photograph shrinks; it changes no enlargement.
    x = keras.layers.Resizing(
        config.height,
        config.width,
        crop_to_aspect_ratio=config.aspect == "crop",
        antialias=config.antialias,
        name="resize",
    )(x)
    return keras.Model(images, x, name="preprocessing")


def augmentation_preview(
    config: TransformConfig,
    preprocessing,
    pixels: list[np.ndarray],
    captions: list[str],
    epochs: int = PREVIEW_EPOCHS,
    seed: int = 0,
):
    """Draw images, and what the augmentation makes of them in some epochs.

    Args:
        config: the augmentation.
        preprocessing: raw pixels to the network's input.
        pixels: the images, `(height, width, channels)` uint8 each.
        captions: a text for each.
        epochs: number of columns beside the original.
        seed: decides the augmentation.

    Returns:
        The figure: a row for each image.
    """
    from dlkeras.pipeline.tensorflow_import import tf
    from dlkeras.visualization import image_table

    policy = Policy(config, 1.0, len(pixels))
    originals = tf.concat([preprocessing(image[None]) for image in pixels], axis=0)
    columns = [originals]
    keys = tf.constant([[seed, epoch] for epoch in range(epochs)], tf.int64)

    @tf.autograph.experimental.do_not_convert
    def decided(key: Any) -> Any:
        rows = uniform_rows(key, len(pixels), policy.decide).batch(len(pixels))
        return tf.data.Dataset.zip(tf.data.Dataset.from_tensors(key), rows)

    # Traced once for all epochs.
    for key, rows in tf.data.Dataset.from_tensor_slices(keys).flat_map(decided):
        images = augmented(policy, originals, rows, key)
        if policy.mixes:
            labels = tf.range(len(pixels), dtype=tf.int64)
            images, _ = policy.mix(images, labels, key, tf.constant(0, tf.int64))
        columns.append(images)
    unit = (tf.stack(columns, axis=1) - config.offset) / (255 * config.scale)
    return image_table(
        np.clip(unit.numpy(), 0, 1),
        captions,
        ["original", *(f"epoch {epoch + 1}" for epoch in range(epochs))],
        title="What the augmentation makes of training images",
    )
