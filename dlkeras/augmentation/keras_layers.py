"""Keras's preprocessing layers for images of 0 to 1, each made once."""

import functools
from typing import Any

# What a layer's constructor needs; the values drawn are handed to `transform_images`.
ARGUMENTS = {
    "RandomBrightness": (0.0,),
    "RandomContrast": (0.0,),
    "RandomSaturation": (0.0,),
    "RandomHue": (0.0,),
    "RandomPosterization": (1,),
}
WITHOUT_RANGE = ("MixUp", "CutMix")


@functools.cache
def unit_layer(name: str) -> Any:
    """A layer of `keras.layers` by its class's name.

    It carries a generator's state, which it never uses here, and which TensorFlow would
    not let it make inside a graph.
    """
    from dlkeras.augmentation.tensorflow_names import keras, tf

    unit = {} if name in WITHOUT_RANGE else {"value_range": (0, 1)}
    with tf.init_scope():
        return getattr(keras.layers, name)(
            *ARGUMENTS.get(name, ()), data_format="channels_last", **unit
        )
