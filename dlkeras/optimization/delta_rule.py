"""Back-propagation by hand: induced fields, local gradients and the delta rule."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from dlkeras.optimization import activation
from dlkeras.optimization.dense_stack import Neurons, dense_stack, to_float64
from dlkeras.optimization.regime import check_step_size
from dlkeras.optimization.surface import as_array


@dataclasses.dataclass(frozen=True, eq=False)
class LocalGradients:
    """Every quantity of one forward and one backward pass, per example.

    The tuples have one entry per Dense layer, input side first.

    Attributes:
        layers: the Dense layers' names.
        inputs: y_i, what arrives at each layer, `(examples, inputs)`.
        induced_fields: v_j, the sum over i of w_ji y_i, bias included,
            `(examples, units)`.
        outputs: y_j = phi(v_j), of the same shape.
        local_gradients: delta_j = -dE(n)/dv_j, of the same shape.
        errors: e_j = d_j - y_j of the output neurons.
        energy: E(n), half the sum of the squared errors of each example, `(examples,)`.
    """

    layers: tuple[str, ...]
    inputs: tuple[np.ndarray, ...]
    induced_fields: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]
    local_gradients: tuple[np.ndarray, ...]
    errors: np.ndarray
    energy: np.ndarray

    @property
    def average_energy(self) -> float:
        """E_av, the mean of E(n) over the examples."""
        return float(self.energy.mean())

    @property
    def corrections(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """The mean over the examples of delta_j y_i and of delta_j, for each layer.

        They are -dE_av/dw, shaped as a Dense layer's kernel and bias; eta times them
        is the delta rule's correction (eq. 4.13).
        """
        return tuple(
            (y.T @ delta / len(delta), delta.mean(axis=0))
            for y, delta in zip(self.inputs, self.local_gradients, strict=True)
        )


def error_energy(d: Any, y: Any) -> Any:
    """E(n), half the sum of the squared errors: the delta rule's loss, for `compile`.

    With it Keras's batch loss is E_av over the batch.

    Args:
        d: desired responses, `(examples, outputs)`.
        y: responses, of the same shape.

    Returns:
        A tensor `(examples,)`.

    Example:
    >>> import keras
    >>> from dlkeras.optimization import error_energy
    >>> model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", loss=error_energy)
    >>> [float(e) for e in error_energy([[1.0, 2.0]], [[0.0, 0.0]])]
    [2.5]

    Reference:
        - Haykin, *Neural Networks*, 2nd ed., eq. (4.2).
    """
    y = ops.convert_to_tensor(y)
    squares = ops.square(ops.subtract(ops.cast(d, y.dtype), y))
    return ops.multiply(0.5, ops.sum(squares, axis=-1))


def local_gradients(model: keras.Model, x: Any, d: Any) -> LocalGradients:
    """The errors, induced local fields and local gradients of a stack of Dense layers.

    An output neuron has `delta_j = e_j phi'(v_j)`, a hidden one
    `delta_j = phi'(v_j) * sum over k of delta_k w_kj`. An activation that mixes its
    inputs, such as softmax, has a Jacobian where the others have phi'.

    The weights are read from the model; the arithmetic is NumPy's, in float64, on
    every backend. Only activations without a derivative of their own here (neither
    linear, logistic, tanh, ReLU nor softmax) are evaluated by the backend.

    Args:
        model: a Sequential or Functional chain of Dense layers, with or without bias,
            and of Activation or other activation layers without weights. An activation
            layer after a Dense layer is a part of that layer's phi.
        x: inputs, `(examples, inputs)`.
        d: desired responses, `(examples, outputs)`.

    Returns:
        A `LocalGradients`.

    Raises:
        ValueError: if the model is not such a stack (naming the layer), or the shapes
            do not fit or a value is not finite.

    Example:
    >>> import keras
    >>> from dlkeras.optimization import local_gradients
    >>> model = keras.Sequential([
    ...     keras.layers.Input((2,)),
    ...     keras.layers.Dense(1, "sigmoid", use_bias=False, kernel_initializer="ones"),
    ... ])
    >>> result = local_gradients(model, [[1.0, -1.0]], [[1.0]])
    >>> result.induced_fields[0].tolist(), result.errors.tolist()
    ([[0.0]], [[0.5]])
    >>> result.local_gradients[0].tolist()  # e phi'(v) = 0.5 * 0.25
    [[0.125]]

    Reference:
        - Haykin, *Neural Networks*, 2nd ed., eq. (4.1) to (4.5), (4.14) and (4.24).
    """
    x, d = as_array("x", x), as_array("d", d)
    return _backpropagate(dense_stack(model, x), x, d)


def _backpropagate(
    stack: Sequence[Neurons], x: np.ndarray, d: np.ndarray
) -> LocalGradients:
    """One forward and one backward pass; the stack's first part may hold no layer."""
    inputs, fields, outputs, signals = [], [], [], []
    y = x
    for neurons in stack:
        inputs.append(y)
        v = y if neurons.layer is None else y @ neurons.kernel + neurons.bias
        steps = []  # (function, its argument, its value), for the way back
        y = v
        for function in neurons.activations:
            argument, y = y, activation.forward(function, y)
            steps.append((function, argument, y))
        fields.append(v)
        outputs.append(y)
        signals.append(steps)
    if d.shape != y.shape:
        raise ValueError(
            f"`d` must have the shape of the model's output, {y.shape} for these "
            f"inputs. Received: d of shape {d.shape}"
        )
    errors = d - y
    energy = np.sum(errors**2, axis=1) / 2
    deltas = []
    signal = errors
    for neurons, steps in zip(reversed(stack), reversed(signals), strict=True):
        if neurons.layer is None:
            break
        for function, argument, value in reversed(steps):
            signal = activation.backward(function, argument, value, signal)
        deltas.append(signal)
        signal = signal @ neurons.kernel.T
    first = len(stack) - len(deltas)
    return LocalGradients(
        layers=tuple(n.layer.name for n in stack if n.layer is not None),
        inputs=tuple(inputs[first:]),
        induced_fields=tuple(fields[first:]),
        outputs=tuple(outputs[first:]),
        local_gradients=tuple(reversed(deltas)),
        errors=errors,
        energy=energy,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class DeltaRuleHistory:
    """What a training run by the delta rule saw.

    Attributes:
        energy: E(n) of every example when it was presented, `(epochs, examples)`, in
            the order of the data.
    """

    energy: np.ndarray

    @property
    def average_energy(self) -> np.ndarray:
        """E_av of each epoch, the mean of E(n) over the examples, `(epochs,)`."""
        return self.energy.mean(axis=1)


class DeltaRule:
    """Trains a stack of Dense layers by the delta rule, without automatic gradients.

    Every correction is `Delta w_ji(n) = alpha Delta w_ji(n-1) + eta delta_j(n) y_i(n)`,
    with delta_j y_i averaged over the examples of a batch. The model's own variables
    are updated, so that `predict`, `save` and `evaluate` see the trained weights. Step
    for step it equals `keras.optimizers.SGD(eta, alpha)` on the loss `error_energy`.

    Layers with `trainable=False` keep their weights.

    Args:
        model: as in `local_gradients`. Its Dense layers may have no regularizer, which
            would add to the cost, and no weight constraint.
        learning_rate: eta, positive.
        momentum: alpha, from 0 to below 1.

    Raises:
        ValueError: if a number is out of its range.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> from dlkeras.optimization import DeltaRule
    >>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> d = np.array([[0], [1], [1], [1]])
    >>> model = keras.Sequential([
    ...     keras.layers.Input((2,)),
    ...     keras.layers.Dense(1, "sigmoid", kernel_initializer="zeros"),
    ... ])
    >>> history = DeltaRule(model, learning_rate=2.0).fit(x, d, epochs=200)
    >>> float(history.average_energy[0]) > 10 * float(history.average_energy[-1])
    True
    >>> (model.predict(x, verbose=0) > 0.5).astype(int).tolist()
    [[0], [1], [1], [1]]

    Reference:
        - Haykin, *Neural Networks*, 2nd ed., eq. (4.13), (4.14), (4.24) and, with
          momentum, (4.39).
    """

    def __init__(
        self, model: keras.Model, learning_rate: float, *, momentum: float = 0.0
    ):
        try:
            self.learning_rate = check_step_size(learning_rate)
        except ValueError:
            raise ValueError(
                "`learning_rate` must be a positive, finite number. "
                f"Received: learning_rate={learning_rate!r}"
            ) from None
        momentum = float(momentum)
        if not 0 <= momentum < 1:
            raise ValueError(
                "`momentum` must be at least 0 and below 1. "
                f"Received: momentum={momentum}"
            )
        self.model = model
        self.momentum = momentum
        self._last: dict[int, np.ndarray] = {}  # Delta w(n-1) of each variable

    def step(self, x: Any, d: Any) -> LocalGradients:
        """Present a batch once and correct the weights.

        Args:
            x: inputs, `(examples, inputs)`; one example is a batch of one.
            d: desired responses, `(examples, outputs)`.

        Returns:
            The `LocalGradients` the correction was made of, from before it.

        Raises:
            ValueError: as in `local_gradients`, or if a layer has a regularizer or a
                constraint.
            FloatingPointError: if the corrections diverge; the weights are left as they
                were before this step.
        """
        x, d = as_array("x", x), as_array("d", d)
        stack = dense_stack(self.model, x, trained=True)
        with np.errstate(over="ignore", invalid="ignore"):
            result = _backpropagate(stack, x, d)
        layers = [neurons.layer for neurons in stack if neurons.layer is not None]
        pairs = []  # (variable, -dE_av/d variable)
        for layer, (kernel, bias) in zip(layers, result.corrections, strict=True):
            if layer.trainable:
                pairs.append((layer.kernel, kernel))
                if layer.use_bias:
                    pairs.append((layer.bias, bias))
        deltas = [
            self.learning_rate * correction
            + self.momentum * self._last.get(id(variable), 0.0)
            for variable, correction in pairs
        ]
        weights = [
            to_float64(variable) + delta
            for (variable, _), delta in zip(pairs, deltas, strict=True)
        ]
        # The comparison is also false for NaN. Beyond it, float32 squares overflow.
        if not all(np.abs(w).max() < 1e18 for w in weights):
            raise FloatingPointError(
                "The delta rule diverged: its next weights are beyond 1e18. Use a "
                f"smaller learning rate. Received: learning_rate={self.learning_rate}"
            )
        for (variable, _), delta, w in zip(pairs, deltas, weights, strict=True):
            self._last[id(variable)] = delta
            variable.assign(w)
        return result

    def fit(
        self,
        x: Any,
        d: Any,
        *,
        epochs: int = 1,
        batch_size: int | None = 1,
        seed: int | None = None,
    ) -> DeltaRuleHistory:
        """Present all examples again and again.

        Args:
            x: inputs, `(examples, inputs)`.
            d: desired responses, `(examples, outputs)`.
            epochs: how often each example is presented.
            batch_size: 1 corrects after every example, None once per epoch on E_av.
            seed: shuffles the examples again in every epoch; None keeps their order.

        Returns:
            A `DeltaRuleHistory`.

        Raises:
            ValueError: as in `step`, or for counts that are not positive.
            FloatingPointError: as in `step`.
        """
        x, d = as_array("x", x), as_array("d", d)
        if len(x) != len(d) or not len(x):
            raise ValueError(
                "`x` and `d` must hold the same number of examples, at least one. "
                f"Received: x of shape {x.shape} and d of shape {d.shape}"
            )
        size = len(x) if batch_size is None else batch_size
        if size < 1 or epochs < 1:
            raise ValueError(
                "`epochs` and `batch_size` must be positive. "
                f"Received: epochs={epochs}, batch_size={batch_size}"
            )
        random = None if seed is None else np.random.default_rng(seed)
        energy = np.empty((epochs, len(x)))
        for epoch in range(epochs):
            order = np.arange(len(x)) if random is None else random.permutation(len(x))
            for begin in range(0, len(x), size):
                batch = order[begin : begin + size]
                energy[epoch, batch] = self.step(x[batch], d[batch]).energy
        return DeltaRuleHistory(energy)
