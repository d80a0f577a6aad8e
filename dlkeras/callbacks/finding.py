"""What a rule finds: the finding, its thresholds, and the remedies of the lecture."""

from dataclasses import dataclass

# The first so many samples are judged: later a training that has converged may have
# gradients as small as it likes.
WINDOW = 24
VANISHING_RATIO, VANISHING_RMS, EXPLODING_RATIO = 1e-3, 1e-7, 1e3
DEAD_SHARE = SATURATED_SHARE = 0.5
SMALL_UPDATE, LARGE_UPDATE = 1e-5, 1e-2
STD_RATIO = 10.0
LOSS_GROWTH, LOSS_FALL, OVERFITTING_GROWTH, PATIENCE = 2.0, 0.99, 1.1, 3

REMEDIES = {
    "vanishing_gradient": "use a nonsaturating activation (ReLU, leaky ReLU) with He "
    "initialization, or tanh with Xavier; batch normalization; a skip connection",
    "exploding_gradient": "Xavier initialization for tanh and sigmoid, He for ReLU; "
    "gradient clipping (`global_clipnorm`); batch normalization; a smaller learning "
    "rate",
    "non_finite": "a smaller learning rate; gradient clipping (`global_clipnorm`); He "
    "initialization for ReLU; look for a logarithm or division of 0 in this layer",
    "dead_relu": "a smaller learning rate; leaky ReLU, whose units can wake up; He "
    "initialization",
    "saturation": "Xavier initialization for tanh and sigmoid; a nonsaturating "
    "activation (ReLU with He initialization); batch normalization; scaled inputs",
    "update_ratio_small": "a larger learning rate",
    "update_ratio_large": "a smaller learning rate, or gradient clipping",
    "poor_initialization": "Xavier initialization for tanh and sigmoid, He for ReLU; "
    "batch normalization",
    "learning_rate_too_large": "a smaller learning rate: steepest descent diverges "
    "beyond 2 / lambda_max",
    "loss_not_decreasing": "another learning rate; check that inputs and labels belong "
    "together",
    "overfitting": "early stopping; dropout or weight decay; data augmentation",
    "frozen_layer_moves": "call `compile` after setting `trainable`; call a frozen "
    "batch normalization with `training=False`",
    "no_gradient": "connect the layer to the loss; look for `stop_gradient`, an "
    "argmax or a rounding after it, or units that are all dead",
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a training.

    Attributes:
        name: which rule found it, e.g. `vanishing_gradient`.
        severity: `"error"`, or `"warning"` where healthy networks can show it too.
        layer: the layer it was found in, "" for the whole network.
        value: what was measured.
        bound: the value beyond which the rule speaks.
        since: when it began, e.g. `step 12`, `epoch 3`.
        remedy: what the lecture advises.
    """

    name: str
    severity: str
    layer: str
    value: float
    bound: float
    since: str
    remedy: str

    def __str__(self) -> str:
        where = f" in {self.layer!r}" if self.layer else ""
        return (
            f"{self.severity}: {self.name.replace('_', ' ')}{where} since {self.since} "
            f"({self.value:.3g}, bound {self.bound:.3g}). Remedy: {self.remedy}."
        )


def found(
    name: str, layer: str, value: float, bound: float, since: str, warn: bool = False
) -> Finding:
    """A finding with its remedy."""
    severity = "warning" if warn else "error"
    return Finding(name, severity, layer, float(value), bound, since, REMEDIES[name])
