"""Kernels for convolution and normalisation that are faster than Keras's own.

Each answers None where Keras's own operations are as fast; on PyTorch they always are.
"""

from typing import Any

import keras


def _left_to_keras(*arguments: Any) -> Any:
    """None: Keras's own operations are used."""
    del arguments


fused_batch_normalization = local_response = max_pool = _left_to_keras
pointwise_convolution = visited_pixels = _left_to_keras

if keras.backend.backend() == "tensorflow":
    from dlkeras.layers.backend.tensorflow import (
        fused_batch_normalization as fused_batch_normalization,
    )
    from dlkeras.layers.backend.tensorflow import local_response as local_response
    from dlkeras.layers.backend.tensorflow import (
        pointwise_convolution as pointwise_convolution,
    )
    from dlkeras.layers.backend.tensorflow import visited_pixels as visited_pixels
elif keras.backend.backend() == "jax":
    from dlkeras.layers.backend.jax import (
        fused_batch_normalization as fused_batch_normalization,
    )
    from dlkeras.layers.backend.jax import max_pool as max_pool
