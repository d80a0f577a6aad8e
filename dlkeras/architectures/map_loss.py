"""The loss of LeNet-5's radial basis outputs: maximum a posteriori."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="dlkeras")
class MaximumAPosteriori(keras.losses.Loss):
    """The loss that LeNet-5 was trained with, for outputs that are distances.

    `y[d] + log(exp(-j) + sum(exp(-y[i])))` for the distances `y` and the true class
    `d`: it pulls the true class's bitmap nearer and pushes the others away. Without
    the push the network could make every output zero by collapsing on one point; the
    rubbish class at the constant distance `j` keeps what is far away from being
    pushed further.

    Args:
        j: Distance of the rubbish class, positive. The paper does not print its
            value; half the squared distance between two bitmaps that disagree in
            21 of their 84 pixels is 42.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Dtype of the loss.

    Raises:
        ValueError: If `j` is not positive.

    Example:
        >>> import numpy as np
        >>> from dlkeras.architectures import MaximumAPosteriori
        >>> distances = np.array([[0.0, 100.0]], "float32")
        >>> round(float(MaximumAPosteriori()(np.array([1]), distances)), 3)
        100.0

    Reference:
        LeCun, Bottou, Bengio and Haffner (1998), "Gradient-based learning applied to
        document recognition", equation 9.
    """

    def __init__(
        self,
        j: float = 42.0,
        reduction: str = "sum_over_batch_size",
        name: str = "maximum_a_posteriori",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if not j > 0:
            raise ValueError(f"j must be positive. Received: j={j!r}")
        self.j = float(j)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each example, from integer classes and distances."""
        classes = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        chosen = ops.one_hot(classes, y_pred.shape[-1], dtype=y_pred.dtype)
        own: Any = ops.sum(chosen * y_pred, axis=-1)
        rubbish = ops.expand_dims(ops.full_like(own, -self.j), -1)
        rivals = ops.concatenate([rubbish, -y_pred], axis=-1)
        return own + ops.logsumexp(rivals, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this loss again."""
        return {**super().get_config(), "j": self.j}
