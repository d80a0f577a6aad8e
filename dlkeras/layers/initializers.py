"""Initialisers for layers that make several weights from one setting."""

from typing import Any

import keras


def with_own_seed(initializer: Any, index: int) -> Any:
    """Return the initializer for weight number `index` of a layer.

    A Keras initialiser gives the same values each time it is called, so two
    convolutions of one shape that share it would start as twins. An initialiser
    without a seed is made again, which draws another seed; one with a seed gets
    `seed + index`.

    Args:
        initializer: What `keras.initializers.get` returned.
        index: Number of the weight within the layer.

    Returns:
        An initialiser of the same kind, or the same one if it has no integer seed
        to tell apart.
    """
    if not isinstance(initializer, keras.initializers.Initializer):
        return initializer
    config = initializer.get_config()
    seed = config.get("seed")
    if isinstance(seed, int):
        config["seed"] = seed + index
    elif seed is not None:
        return initializer
    return type(initializer).from_config(config)
