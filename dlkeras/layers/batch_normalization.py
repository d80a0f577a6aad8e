"""Batch normalisation by the backend's fused kernel, where it has one."""

from typing import Any

import keras
from keras import ops

from dlkeras.layers.backend import fused_batch_normalization
from dlkeras.layers.inputs import require_float


# The name is Keras's, because a weight file addresses a layer within a block by the
# name of its class: each loads the other's files.
@keras.saving.register_keras_serializable(package="dlkeras")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalisation, computed by one kernel instead of ten.

    Outputs, gradients, moving statistics, weights and configuration are those of
    `keras.layers.BatchNormalization`, and a weight file of the one loads into the
    other. On TensorFlow images of shape `(batch, height, width, channels)` in
    float32, bfloat16 or float16 go through `FusedBatchNormV3`, which reads them twice
    where Keras's own operations read them many times; in half precision it
    accumulates in float32. Its variance is that of a sample, `n / (n - 1)` times
    Keras's: this layer undoes the factor. At inference TensorFlow can fold the kernel
    into the convolution before it.

    On JAX with a GPU it reads its input once for both statistics, where Keras's
    operations read it twice, one after the other.

    Whatever these do not do is left to Keras: PyTorch, other shapes on TensorFlow,
    float64 there, masks, `renorm` and `synchronized`.

    Args:
        axis: The channels' axis.
        momentum: Of the moving statistics.
        epsilon: Added to the variance.
        **kwargs: The arguments of `keras.layers.BatchNormalization`.

    Input shape:
        Any; `(batch, height, width, channels)` is fast.

    Output shape:
        That of the input.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> from dlkeras.layers import BatchNormalization
        >>> image = np.array([-1.0, 1.0, 3.0, 5.0], "float32").reshape(1, 2, 2, 1)
        >>> y = BatchNormalization(epsilon=0.0)(image, training=True)
        >>> keras.ops.convert_to_numpy(y).ravel().round(3)  # (x - 2) / sqrt(5)
        array([-1.342, -0.447,  0.447,  1.342], dtype=float32)

    Reference:
        Ioffe and Szegedy (2015), "Batch normalization: accelerating deep network
        training by reducing internal covariate shift".
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise by the batch's statistics, or at inference by the moving ones."""
        require_float(self, inputs)
        # Frozen in training it is a scale and a shift, whose plain gradient is cheaper
        # than the kernel's, and which a GPU can repeat bit for bit.
        frozen = bool(training) and not self.trainable
        if not (frozen or mask is not None or self.renorm or self.synchronized):
            live = bool(training)
            result = fused_batch_normalization(
                inputs,
                self.axis,
                self.gamma,
                self.beta,
                None if live else (self.moving_mean, self.moving_variance),
                self.epsilon,
            )
            if result is not None:
                outputs, mean, variance = result
                if live:
                    self._move(self.moving_mean, mean)
                    self._move(self.moving_variance, variance)
                return ops.cast(outputs, self.compute_dtype)
        return super().call(inputs, training=training, mask=mask)

    def _move(self, moving: Any, value: Any) -> None:
        before: Any = ops.cast(moving, value.dtype)
        moving.assign(before * self.momentum + value * (1.0 - self.momentum))
