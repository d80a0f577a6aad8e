"""What a GradientNormMonitor has measured, as arrays."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dlkeras.diagnosis.histories.layer_tree import LayerInfo

# The rows of a step's measurements; of a share the number of entries.
QUANTITIES = (
    "gradient_norm",
    "weight_norm",
    "update_norm",
    "zero_share",
    "non_finite_share",
)


@dataclass
class GradientHistory:
    """Measurements of the sampled steps, per variable and per layer.

    Attributes:
        steps: `(samples,)`, the number of each sampled step, from 1.
        epochs: `(samples,)`, the epoch in which it lay, from 0.
        loss: `(samples,)`, the mean loss of the epoch up to that step.
        variables: `(layer, variable)` of each variable, in order of depth.
        sizes: `(variables,)`, the number of weights.
        ranks: `(variables,)`, the number of axes: 2 and more is a kernel.
        loss_scale: `(samples,)`, the factor by which gradients were unscaled.
        dynamic_loss_scale: whether steps with non-finite gradients are skipped.
        layers: what is known of each layer of the model, in order of depth.
        values: `(samples, 5, variables)`: gradient norm, weight norm, update norm,
            number of exact zeros and of non-finite entries in the gradient.
        quantities: what was measured in every sample; the rest may be NaN.
        frozen_moved: `(epoch, layer)` of frozen layers whose weights changed.
        epoch_logs: the logs of every epoch.
        sampled_every: the steps between two samples, the last time this was settled.
    """

    variables: list[tuple[str, str]] = field(default_factory=list)
    sizes: np.ndarray = field(default_factory=lambda: np.zeros(0))
    ranks: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    steps: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    epochs: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    loss: np.ndarray = field(default_factory=lambda: np.zeros(0))
    loss_scale: np.ndarray = field(default_factory=lambda: np.zeros(0))
    dynamic_loss_scale: bool = False
    layers: dict[str, LayerInfo] = field(default_factory=dict)
    values: np.ndarray = field(
        default_factory=lambda: np.zeros((0, len(QUANTITIES), 0))
    )
    quantities: tuple[str, ...] = QUANTITIES
    frozen_moved: list[tuple[int, str]] = field(default_factory=list)
    epoch_logs: list[dict[str, float]] = field(default_factory=list)
    sampled_every: int = 1

    def __len__(self) -> int:
        return len(self.steps)

    def samples(self, which: Any) -> "GradientHistory":
        """The history of some samples only.

        Args:
            which: what NumPy takes for an index: a slice, a mask, numbers.
        """
        return replace(
            self,
            steps=self.steps[which],
            epochs=self.epochs[which],
            loss=self.loss[which],
            loss_scale=self.loss_scale[which],
            values=self.values[which],
        )

    @property
    def variable_names(self) -> list[str]:
        """`layer/variable` of each variable."""
        return [f"{layer}/{variable}" for layer, variable in self.variables]

    @property
    def layer_names(self) -> list[str]:
        """The layers that have measured variables, in order of depth."""
        return list(dict.fromkeys(layer for layer, _ in self.variables))

    @property
    def gradient_norm(self) -> np.ndarray:
        """`(samples, variables)`, before clipping and without loss scale."""
        return self.values[:, 0]

    @property
    def weight_norm(self) -> np.ndarray:
        """`(samples, variables)`, before the update."""
        return self.values[:, 1]

    @property
    def update_norm(self) -> np.ndarray:
        """`(samples, variables)`, of what the step added to the weights."""
        return self.values[:, 2]

    @property
    def update_ratio(self) -> np.ndarray:
        """`(samples, variables)`, update over weight norm; NaN for zero weights."""
        return _ratio(self.update_norm, self.weight_norm)

    @property
    def zero_share(self) -> np.ndarray:
        """`(samples, variables)`, share of gradient entries that are exactly 0."""
        return self.values[:, 3] / self.sizes

    @property
    def non_finite_share(self) -> np.ndarray:
        """`(samples, variables)`, share of gradient entries NaN or infinite."""
        return self.values[:, 4] / self.sizes

    @property
    def global_norm(self) -> np.ndarray:
        """`(samples,)`, of all gradients as one vector."""
        return _root_sum_square(self.gradient_norm)

    def layer(self, name: str) -> dict[str, np.ndarray]:
        """The measurements of one layer, all of its variables as one vector.

        Args:
            name: the layer's path, one of `layer_names`.

        Returns:
            `gradient_norm`, `weight_norm`, `update_norm`, `update_ratio`,
            `zero_share` and `non_finite_share`, each `(samples,)`.
        """
        return {key: value() for key, value in self._of_layer(name).items()}

    def _of_layer(self, name: str) -> dict[str, Callable[[], np.ndarray]]:
        """How to compute each quantity of a layer."""
        mine = [i for i, (layer, _) in enumerate(self.variables) if layer == name]
        if not mine:
            raise ValueError(
                f"`name` must be one of {self.layer_names}. Received: name={name!r}"
            )

        def norm(row: int) -> np.ndarray:
            return _root_sum_square(self.values[:, row][:, mine])

        def share(row: int) -> np.ndarray:
            return self.values[:, row][:, mine].sum(1) / self.sizes[mine].sum()

        return {
            "gradient_norm": lambda: norm(0),
            "weight_norm": lambda: norm(1),
            "update_norm": lambda: norm(2),
            "update_ratio": lambda: _ratio(norm(2), norm(1)),
            "zero_share": lambda: share(3),
            "non_finite_share": lambda: share(4),
        }

    def per_layer(self, quantity: str) -> np.ndarray:
        """One quantity of every layer, `(samples, layers)`, as `layer` gives it."""
        columns = [self._of_layer(name)[quantity]() for name in self.layer_names]
        return np.stack(columns, 1) if columns else np.zeros((len(self), 0))


def _root_sum_square(norms: np.ndarray) -> np.ndarray:
    """Norms of parts to the norm of the whole, without leaving float64's range."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.sqrt(np.square(norms).sum(1))


def _ratio(update: np.ndarray, weight: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(weight > 0, update / weight, np.nan)
