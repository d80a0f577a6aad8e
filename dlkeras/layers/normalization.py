"""Normalisation: AlexNet's local response, and batch, group or layer by name."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from dlkeras.layers.backend import local_response
from dlkeras.layers.batch_normalization import BatchNormalization
from dlkeras.layers.inputs import (
    channel_axis,
    channels_of,
    image_data_format,
    positive_integer,
    require_float,
)

NORMALIZATIONS = ("batch", "group", "layer", None)

# Above this many channels the banded product costs more than n shifted sums.
_BAND_LIMIT = 512


@keras.saving.register_keras_serializable(package="dlkeras")
class LocalResponseNormalization(keras.layers.Layer):
    """Brightness normalisation of AlexNet: strong channels damp their neighbours.

    For the activity `a` of channel `i` at one place of the image,

    `b[i] = a[i] / (k + alpha * sum(a[j] ** 2)) ** beta`,

    where `j` runs over the `n` channels around `i`, cut off at the first and the
    last channel. The defaults are the paper's.

    `alpha` multiplies the plain sum, as in the paper and in
    `tf.nn.local_response_normalization` (`depth_radius=n // 2, bias=k`). PyTorch's
    `local_response_norm` divides its alpha by `n`: pass it `alpha=n * alpha`.

    Args:
        n: Channels in the sum, an odd integer.
        k: The constant that keeps the denominator away from zero, positive.
        alpha: Factor of the sum of squares.
        beta: Exponent of the denominator.
        data_format: `"channels_last"` or `"channels_first"`; `None` is Keras's own
            setting.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)`
        for `"channels_first"`.

    Output shape:
        That of the input.

    Raises:
        ValueError: If `n` is even or below 1, or `k` is not positive.

    Example:
        >>> import numpy as np
        >>> from dlkeras.layers import LocalResponseNormalization
        >>> image = np.full((1, 1, 1, 1), 100.0, "float32")
        >>> b = LocalResponseNormalization(data_format="channels_last")(image)
        >>> round(float(b[0, 0, 0, 0]), 3)  # 100 / (2 + 1e-4 * 100 ** 2) ** 0.75
        43.869

    Reference:
        Krizhevsky, Sutskever and Hinton (2012), "ImageNet classification with deep
        convolutional neural networks", section 3.3.
    """

    def __init__(
        self,
        n: int = 5,
        k: float = 2.0,
        alpha: float = 1e-4,
        beta: float = 0.75,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.n = positive_integer(self, "n", n)
        if self.n % 2 == 0:
            raise ValueError(
                "`n` must be odd, so that as many channels lie before as after the "
                f"one that is normalised. Received: n={n} (layer {self.name!r})"
            )
        if not k > 0:
            raise ValueError(
                f"`k` must be positive. Received: k={k!r} (layer {self.name!r})"
            )
        self.k = float(k)
        self.alpha = float(alpha)
        self.beta = float(beta)
        self.data_format = image_data_format(self, data_format)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape: Any) -> None:
        """Note which channels are neighbours."""
        channels = channels_of(self, input_shape, self.data_format)
        distance = np.abs(np.subtract.outer(np.arange(channels), np.arange(channels)))
        self._neighbours = (distance <= self.n // 2).astype("float32")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Divide every activity by the energy of its neighbourhood."""
        require_float(self, inputs)
        # Half precision overflows at a ** 2 and rounds 2 + 1e-4 a ** 2 away.
        half = self.compute_dtype in ("float16", "bfloat16")
        a = ops.cast(inputs, "float32") if half else inputs
        result: Any = None
        if training and self.data_format == "channels_last" and self._has_band:
            band: Any = self.alpha * self._neighbours.astype("float64")
            band = ops.cast(band, a.dtype)
            result = local_response(a, band, self.k, self.beta, self._inverse_power)
        if result is None:
            energy = self.k + self.alpha * self._sum_of_neighbours(ops.square(a))
            result = a * self._inverse_power(energy)
        return ops.cast(result, self.compute_dtype)

    @property
    def _has_band(self) -> bool:
        # XLA fuses the shifted sums into one pass. The other backends make a pass
        # per shift and a slow gradient, where one product with a band of ones is
        # as fast as their own kernels forwards and faster backwards.
        few = len(self._neighbours) <= _BAND_LIMIT
        return keras.backend.backend() != "jax" and few

    def _sum_of_neighbours(self, squares: Any) -> Any:
        axis = channel_axis(self.data_format)
        channels = len(self._neighbours)
        if not self._has_band:
            radius = self.n // 2
            widths = [(0, 0)] * 4
            widths[axis] = (radius, radius)
            padded: Any = ops.moveaxis(ops.pad(squares, widths), axis, -1)
            total = padded[..., :channels]
            for shift in range(1, self.n):
                total = total + padded[..., shift : shift + channels]
            return ops.moveaxis(total, -1, axis)
        band: Any = ops.cast(self._neighbours, squares.dtype)
        if axis == -1:
            return squares @ band  # ops.matmul would make float64 float32 on PyTorch
        shape: Any = ops.shape(squares)
        batch, _, height, width = shape
        flat = ops.reshape(squares, (batch, channels, height * width))
        return ops.reshape(band @ flat, (batch, channels, height, width))

    def _inverse_power(self, energy: Any) -> Any:
        # Two square roots cost a fraction of a logarithm and an exponential.
        if self.beta == 0.75:
            root: Any = ops.rsqrt(energy)
            return root * ops.sqrt(root)
        if self.beta == 0.5:
            return ops.rsqrt(energy)
        return ops.power(energy, -self.beta)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """Return the input's shape: every activity is only scaled."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "n": self.n,
            "k": self.k,
            "alpha": self.alpha,
            "beta": self.beta,
            "data_format": self.data_format,
        }


def normalization_layer(
    kind: str | None,
    channels: int,
    *,
    data_format: str,
    epsilon: float,
    momentum: float,
    gamma_initializer: Any = "ones",
    name: str | None = None,
    dtype: Any = None,
) -> keras.layers.Layer | None:
    """Return the normalisation of an image's channels by its name.

    Args:
        kind: `"batch"` (Ioffe and Szegedy 2015); `"group"` (Wu and He 2018) with 32
            groups, or as many as divide both 32 and `channels`; `"layer"`, which is
            one group of all channels, as Wu and He define it for images; or `None`.
        channels: Channels of the tensor to normalise.
        data_format: `"channels_last"` or `"channels_first"`.
        epsilon: Added to the variance.
        momentum: Of the moving statistics of `"batch"`.
        gamma_initializer: Initialiser of the scale.
        name: Name of the layer.
        dtype: Dtype policy of the layer.

    Returns:
        The layer, or `None` for `None`.
    """
    if kind is None:
        return None
    common = {
        "axis": channel_axis(data_format),
        "epsilon": epsilon,
        "gamma_initializer": gamma_initializer,
        "name": name,
        "dtype": dtype,
    }
    if kind == "batch":
        return BatchNormalization(momentum=momentum, **common)
    groups = math.gcd(32, channels) if kind == "group" else 1
    return keras.layers.GroupNormalization(groups=groups, **common)
