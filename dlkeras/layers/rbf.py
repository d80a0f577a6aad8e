"""LeNet-5's output layer: distances to the bitmaps of characters."""

from typing import Any

import keras
import numpy as np
from keras import ops

from dlkeras.layers.inputs import channels_of, positive_integer, require_float

# The digits, 7 wide and 12 high.
_PICTURES = """
..XXX..  ...X...  .XXXXX.  .XXXXX.  ....XX.  XXXXXXX  ..XXXX.  XXXXXXX  .XXXXX.  .XXXXX.
.X...X.  ..XX...  XX...XX  XX...XX  ...XXX.  XX.....  .XX....  XX...XX  XX...XX  XX...XX
XX...XX  .XXX...  X.....X  X.....X  ..XX.X.  XX.....  XX.....  .....XX  X.....X  X.....X
XX...XX  ..XX...  .....XX  .....XX  ..X..X.  XX.....  X......  ....XX.  X.....X  X.....X
X.....X  ..XX...  .....XX  ....XX.  .XX..X.  XXXXX..  X.XXX..  ....XX.  XX...XX  XX...XX
X.....X  ..XX...  ....XX.  ..XXX..  .X...X.  XX..XX.  XXX.XX.  ...XX..  .XXXXX.  .XXXXXX
X.....X  ..XX...  ...XX..  ....XX.  XX...X.  .....XX  XX...XX  ...XX..  XX...XX  ......X
X.....X  ..XX...  ..XX...  .....XX  XXXXXXX  ......X  X.....X  ..XX...  X.....X  ......X
XX...XX  ..XX...  .XX....  ......X  .....X.  ......X  X.....X  ..XX...  X.....X  .....XX
XX...XX  ..XX...  XX.....  X.....X  .....X.  X.....X  X.....X  .XX....  X.....X  ....XX.
.X...X.  ..XX...  XX....X  XX...XX  .....X.  XX...XX  XX...XX  .XX....  XX...XX  ...XX..
..XXX..  XXXXXX.  XXXXXXX  .XXXXX.  .....X.  .XXXXX.  .XXXXX.  .XX....  .XXXXX.  XXXX...
"""


def digit_bitmaps() -> np.ndarray:
    """Return stylised pictures of the digits 0 to 9 for `RBFOutput`.

    A stroke is +1 and the ground is -1. The paper's own bitmaps are printed only as a
    picture of the whole ASCII set; these are drawn again in its 7x12 pixels.

    Returns:
        An array of shape (10, 84), each row a picture of 12 rows of 7 pixels.

    Example:
        >>> from dlkeras.layers import digit_bitmaps
        >>> seven = digit_bitmaps()[7].reshape(12, 7)
        >>> print("".join("X" if pixel > 0 else "." for pixel in seven[0]))
        XXXXXXX

    Reference:
        LeCun et al. (1998), figure 3.
    """
    rows = [line.split() for line in _PICTURES.split("\n") if line]
    pictures = ["".join(row[digit] for row in rows) for digit in range(10)]
    return np.array([[1.0 if mark == "X" else -1.0 for mark in p] for p in pictures])


@keras.saving.register_keras_serializable(package="dlkeras")
class RBFOutput(keras.layers.Layer):
    """Euclidean radial basis units: the squared distance of the input to a bitmap.

    `y[i] = sum((x[j] - w[i, j]) ** 2)`: a small output means that the input looks like
    character i. The bitmaps are fixed, at least at first, as in the paper; with
    `train_bitmaps=True` they are parameters.

    Args:
        units: Number of classes.
        bitmaps: `"digits"` for `digit_bitmaps()`; `"random"` for random -1 and +1, the
            paper's way for classes without a picture; or an array of shape
            (units, features).
        train_bitmaps: Whether the bitmaps are trained.
        seed: Seed of `"random"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, features)`; 84 features for the digits.

    Output shape:
        `(batch, units)`.

    Raises:
        ValueError: If the bitmaps do not fit `units` or the input.

    Example:
        >>> from dlkeras.layers import RBFOutput, digit_bitmaps
        >>> distances = RBFOutput()(digit_bitmaps().astype("float32"))
        >>> [float(distances[digit, digit]) for digit in (0, 9)]
        [0.0, 0.0]

    Reference:
        LeCun et al. (1998), equation 7.
    """

    def __init__(
        self,
        units: int = 10,
        bitmaps: Any = "digits",
        train_bitmaps: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = positive_integer(self, "units", units)
        self.train_bitmaps = bool(train_bitmaps)
        self.seed = seed
        self.bitmaps = bitmaps
        features = None
        if not (isinstance(bitmaps, str) and bitmaps == "random"):
            features = self._given().shape[1]
        self.input_spec = keras.layers.InputSpec(
            ndim=2, axes={} if features is None else {-1: features}
        )

    def _given(self) -> np.ndarray:
        if isinstance(self.bitmaps, str):
            table = digit_bitmaps() if self.bitmaps == "digits" else np.empty(0)
            received = repr(self.bitmaps)
        else:
            table = np.asarray(self.bitmaps, dtype="float64")
            received = f"an array of shape {table.shape}"
        if table.ndim != 2 or len(table) != self.units or not np.isfinite(table).all():
            raise ValueError(
                "`bitmaps` must be 'digits' (10 units), 'random' or an array of finite "
                f"numbers of shape (units, features) with units={self.units}. "
                f"Received: bitmaps={received} (layer {self.name!r})"
            )
        return table

    def build(self, input_shape: Any) -> None:
        """Make the bitmaps: one row of features for each unit."""
        features = channels_of(self, input_shape, None)

        def draw(shape: tuple, dtype: Any = None) -> Any:
            if isinstance(self.bitmaps, str) and self.bitmaps == "random":
                uniform = keras.initializers.RandomUniform(-1, 1, self.seed)
                return ops.cast(ops.where(uniform(shape, dtype) < 0, -1, 1), dtype)
            return ops.convert_to_tensor(self._given(), dtype)

        self.centers = self.add_weight(
            name="bitmaps",
            shape=(self.units, features),
            initializer=draw,
            trainable=self.train_bitmaps,
        )

    def call(self, inputs: Any) -> Any:
        """Return the squared distance to each bitmap."""
        require_float(self, inputs)
        # |x|^2 - 2 x.w + |w|^2 would be one product, but cancels to noise just where
        # the input matches its bitmap.
        difference = ops.expand_dims(inputs, 1) - self.centers
        return ops.sum(ops.square(difference), axis=-1)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """Return one distance for each unit."""
        return (input_shape[0], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        bitmaps = self.bitmaps
        return {
            **super().get_config(),
            "units": self.units,
            "bitmaps": bitmaps if isinstance(bitmaps, str) else self._given().tolist(),
            "train_bitmaps": self.train_bitmaps,
            "seed": self.seed,
        }
