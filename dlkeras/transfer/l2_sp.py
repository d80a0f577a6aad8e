"""L2-SP: a penalty on how far a network moves from the weights that it started with."""

from typing import Any

import keras
import numpy as np
from keras import ops

from dlkeras.transfer.learning_rates import distances


class L2SP(keras.regularizers.Regularizer):
    """The penalty `strength / 2 * sum((w - start) ** 2)`.

    Args:
        strength: Factor of the squared distance; its gradient is
            `strength * (w - start)`.
        start: The weights to stay near, an array; a copy is kept.

    Example:
        >>> import numpy as np
        >>> from dlkeras.transfer import L2SP
        >>> float(L2SP(0.5, np.zeros(2))(np.array([3.0, 4.0], "float32")))
        6.25
    """

    def __init__(self, strength: float, start: Any) -> None:
        self.strength = float(strength)
        # A variable: a graph would hold the numbers of an array a second time.
        self.start = keras.Variable(
            np.array(start), trainable=False, dtype="float32", name="start"
        )

    def __call__(self, x: Any) -> Any:
        """Return the penalty of the weights `x`."""
        x = ops.convert_to_tensor(x)  # PyTorch subtracts no tensor from an array
        # In half precision too: a loss is float32, and squares leave its range.
        x = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
        distance: Any = ops.sum(ops.square(x - ops.cast(self.start, x.dtype)))
        return 0.5 * self.strength * distance

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this penalty again."""
        start = ops.convert_to_numpy(self.start)
        return {"strength": self.strength, "start": start.tolist()}


def penalize_distance(
    model: Any, alpha: float = 0.01, beta: float = 0.01
) -> dict[str, float]:
    """Pull trained weights towards today's values, and a new head towards 0.

    While a network is fine-tuned, ordinary weight decay pulls it to 0 and so away from
    what it knows. L2-SP ("starting point") takes the present weights as the origin:
    `alpha / 2 * |w - w0|^2` for the stages, `beta / 2 * |w|^2` for what lies behind
    them, the new head. It takes the place of the layers' own penalties.

    Call it after loading the weights and replacing the head; layers that are frozen
    when the model trains cost nothing. A saved model does not keep the penalties: call
    this again, on the weights to stay near, before the training goes on.

    Args:
        model: A built Keras model, as `freeze` takes it.
        alpha: Strength for the stages, at least 0.
        beta: Strength for the head, at least 0.

    Returns:
        The strength of the penalty by the path of the weight.

    Raises:
        ValueError: A strength is negative, or the model has no stages.

    Example:
        >>> from dlkeras.architectures import lenet5
        >>> from dlkeras.transfer import penalize_distance
        >>> penalties = penalize_distance(lenet5(), alpha=0.1, beta=0.01)
        >>> penalties["C1/kernel"], penalties["Out/kernel"]
        (0.1, 0.01)

    Reference:
        Li, Grandvalet and Davoine (2018), "Explicit inductive bias for transfer
        learning with convolutional networks", equation 2.
    """
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not value >= 0:
            raise ValueError(f"{name} must be at least 0. Received: {name}={value!r}")
    staged = distances(model)
    if not staged:
        raise ValueError(
            f"The model must have stages. Received: model {model.name!r}, in which "
            "no image layer has weights"
        )
    moving = {id(v) for layer in model.layers for v in _statistics(layer)}
    strengths = {}
    for variable in model.weights:
        if id(variable) in moving or not variable.dtype.startswith(("float", "bfloat")):
            continue
        value = ops.convert_to_numpy(variable)
        known = id(variable) in staged
        strength = alpha if known else beta
        variable.regularizer = L2SP(strength, value if known else np.zeros_like(value))
        strengths[variable.path] = float(strength)
    return strengths


def _statistics(layer: Any) -> list[Any]:
    """Return the weights that no gradient moves, whether the layer is frozen or not."""
    return [
        variable
        for part in layer._flatten_layers()
        for variable in part._non_trainable_variables
    ]
