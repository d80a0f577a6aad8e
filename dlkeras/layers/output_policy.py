"""The number format of what a network answers."""

import keras


def output_policy() -> str | None:
    """Return the policy of a network's last layer, for its argument `dtype`.

    Where the global policy computes in half precision, the last layer computes in
    float32: probabilities of seven bits do not add up to 1, and few programs read
    bfloat16. Elsewhere the layer follows the global policy.

    Example:
        >>> from dlkeras.layers.output_policy import output_policy
        >>> output_policy() is None
        True
    """
    half = keras.config.dtype_policy().compute_dtype in ("float16", "bfloat16")
    return "float32" if half else None
