"""Transform: the preprocessing that travels with the model, and the augmentation."""

from dlkeras.pipeline.artifacts import Examples, Schema, Transform
from dlkeras.pipeline.config import TransformConfig
from dlkeras.pipeline.errors import InputError
from dlkeras.pipeline.store import Draft, canonical_digest


def transform(
    config: TransformConfig, output: Draft, examples: Examples, schema: Schema
) -> None:
    """Build the deterministic preprocessing as a Keras model.

    Args:
        config: size, rescaling, augmentation.
        output: gets `preprocessing.keras`: raw uint8 images of any size, `(batch,
            height, width, channels)`, to the network's input, float32; and
            `input_shape` as a property. The augmentation is the configuration itself.
        examples: the number of channels of its images.
        schema: the number of channels that images must have.

    Raises:
        InputError: the schema asks for other channels than the examples have.
    """
    from dlkeras.pipeline.tensorflow_import import keras

    channels = schema.schema.channels
    if channels != examples.channels:
        raise InputError(
            f"schema: expected images of {channels} channels; the examples have "
            f"{examples.channels}"
        )
    images = keras.Input((None, None, channels), dtype="uint8", name="image")
    x = keras.layers.Rescaling(config.scale, config.offset, name="rescale")(images)
    # Antialiasing matters where a large photograph shrinks; it changes no enlargement.
    x = keras.layers.Resizing(
        config.height, config.width, antialias=True, name="resize"
    )(x)
    model = keras.Model(images, x, name="preprocessing")
    model.save(output.path / Transform.PREPROCESSING)
    output.properties["input_shape"] = [config.height, config.width, channels]
    # A .keras file carries the date of its saving; the model is what its config says.
    output.digest = canonical_digest([model.to_json(), config.model_dump(mode="json")])
