"""The loss of a network along two directions through its weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from dlkeras.visualization.inputs import numbers, received


@dataclass(frozen=True, eq=False)
class Landscape:
    """The loss over a plane through the weights of a network.

    Attributes:
        first: Steps along the first direction, `(columns,)`; 0 is where the weights
            are.
        second: Steps along the second, `(rows,)`.
        loss: The mean loss at each point, `(rows, columns)`.
        weights: The trainable weights in the middle, an array for each variable.
        directions: The two directions, each an array for each variable.
        loss_name: The loss that was measured, as Keras names it; "" if unknown.
    """

    first: np.ndarray
    second: np.ndarray
    loss: np.ndarray
    weights: Sequence[np.ndarray]
    directions: Sequence[Sequence[np.ndarray]]
    loss_name: str = ""

    def project(self, snapshots: Sequence[Sequence[Any]]) -> np.ndarray:
        """Return where weights lie in the plane, as near as the plane comes to them.

        Args:
            snapshots: for each point its trainable weights, as many arrays as the
                network has variables.

        Returns:
            `(points, 2)`, the steps along both directions.
        """
        plane = np.stack([_flat(direction) for direction in self.directions], 1)
        middle = _flat(self.weights)
        moved = np.stack([_flat(weights) - middle for weights in snapshots], 1)
        return np.linalg.lstsq(plane, moved, rcond=None)[0].T


def loss_along(
    model: keras.Model,
    x: Any,
    y: Any,
    *,
    loss: Any = None,
    span: float = 1.0,
    points: int = 21,
    directions: Sequence[Sequence[Any]] | None = None,
    batch_size: int = 256,
    seed: int = 0,
) -> Landscape:
    """Measure a network's loss along two directions through its trainable weights.

    By default the directions are random, each filter scaled to the norm of the
    network's own filter, so that networks of different scale can be compared; biases
    and other vectors stay as they are. The weights are put back at the end.

    Args:
        model: a built model; moving statistics are used as they are.
        x: inputs, `(examples, ...)`.
        y: targets, as the loss takes them.
        loss: a Keras loss or its name; by default the model's own, without penalties.
        span: how far the plane reaches to each side, in units of the directions.
        points: how many steps along each direction; an odd number has the weights
            themselves in the middle.
        directions: two sequences with an array for each trainable variable; for
            example from the trained weights to other ones.
        batch_size: examples in one pass.
        seed: of the random directions.

    Returns:
        A `Landscape`, of `points` times `points` passes over the data.

    Raises:
        ValueError: there is no loss or there are several, as many outputs, or no
            kernel that can train; x and y have not as many examples, or a direction
            does not fit the variables.

    Example:
    >>> import keras, numpy as np
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.set_weights([np.array([[2.0]]), np.zeros(1)])
    >>> x = np.array([[1.0], [-1.0]])
    >>> landscape = loss_along(model, x, 2 * x, loss="mse", points=3)
    >>> landscape.loss[1].tolist()  # a step along +-2: the error is 2
    [4.0, 0.0, 4.0]

    Reference:
        Li, Xu, Taylor, Studer and Goldstein, "Visualizing the loss landscape of
        neural nets", NeurIPS 2018, section 4.
    """
    chosen = loss if loss is not None else _loss_of(model)
    if isinstance(chosen, dict | list | tuple):
        raise ValueError(
            "loss must be one loss, of a model of one output. Received: "
            f"{received(chosen)}"
        )
    measure = keras.losses.get(chosen)
    x, y = numbers(x, "x", "inputs (examples, ...)"), numbers(y, "y", "targets")
    known = getattr(model, "inputs", None)  # the batch may be of any size
    takes = (None, *(known[0].shape if known else x.shape)[1:])
    fits = x.ndim == len(takes) and all(
        known in (None, size) for known, size in zip(takes, x.shape, strict=True)
    )
    if not x.size or not fits or x.shape[:1] != y.shape[:1]:
        raise ValueError(
            f"x and y must be inputs {takes} and as many targets. Received: shapes "
            f"{x.shape} and {y.shape}"
        )
    if not isinstance(points, int) or points < 2:
        raise ValueError(f"points must be a number from 2. Received: {points!r}")
    variables = model.trainable_variables
    if not any(len(variable.shape) > 1 for variable in variables):
        raise ValueError(
            "model must have kernels that can train. Received: model "
            f"{model.name!r}, which has none, or they are frozen or quantised"
        )
    before = [np.array(ops.convert_to_numpy(variable)) for variable in variables]
    if directions is None:
        random = np.random.default_rng(seed)
        directions = [_random_direction(before, random) for _ in range(2)]
    directions = [[np.asarray(part) for part in whole] for whole in directions]
    shapes = [array.shape for array in before]
    for whole in directions:
        if len(directions) != 2 or [part.shape for part in whole] != shapes:
            raise ValueError(
                "directions must be two, each with an array for each trainable "
                f"variable, of shapes {shapes}. Received: {len(directions)} of shapes "
                f"{[[part.shape for part in whole] for whole in directions]}"
            )
    steps = np.linspace(-span, span, points)
    found = np.empty((points, points))
    try:
        for row, second in enumerate(steps):
            for column, first in enumerate(steps):
                for variable, w, u, v in zip(
                    variables, before, *directions, strict=True
                ):
                    variable.assign(w + first * u + second * v)
                found[row, column] = _mean_loss(model, measure, x, y, batch_size)
    finally:
        for variable, w in zip(variables, before, strict=True):
            variable.assign(w)
    name = getattr(measure, "name", None) or getattr(measure, "__name__", "")
    return Landscape(steps, steps, found, before, directions, name)


def _flat(arrays: Sequence[Any]) -> np.ndarray:
    return np.concatenate([np.asarray(array, "float64").ravel() for array in arrays])


def _loss_of(model: Any) -> Any:
    found = getattr(model, "loss", None)
    if found is None:
        raise ValueError(
            "loss must be given for a model that is not compiled. Received: loss=None"
        )
    return found


def _random_direction(weights: list[np.ndarray], random: Any) -> list[np.ndarray]:
    """Gaussian numbers, each filter of the norm of the weights' own filter."""
    direction = []
    for w in weights:
        if w.ndim < 2:  # biases, scales and shifts
            direction.append(np.zeros_like(w))
            continue
        drawn = random.normal(size=w.shape)
        axes = tuple(range(w.ndim - 1))  # of one filter, or of one unit's weights
        norms = [np.linalg.norm(a.reshape(-1, a.shape[-1]), axis=0) for a in (w, drawn)]
        scaled = drawn * (norms[0] / norms[1]).reshape((1,) * len(axes) + (-1,))
        direction.append(scaled.astype(w.dtype))
    return direction


def _mean_loss(model: Any, measure: Any, x: Any, y: Any, batch_size: int) -> float:
    total, count = 0.0, len(x)
    for start in range(0, count, batch_size):
        part = slice(start, start + batch_size)
        targets = ops.convert_to_tensor(y[part])
        answers = model(ops.convert_to_tensor(x[part]), training=False)
        if isinstance(answers, dict | list | tuple):
            raise ValueError(
                "model must have one output, as there is one loss. "
                f"Received: model {model.name!r} of {len(answers)} outputs"
            )
        value: Any = ops.convert_to_numpy(ops.mean(measure(targets, answers)))
        total += float(value) * len(x[part])
    return total / count
