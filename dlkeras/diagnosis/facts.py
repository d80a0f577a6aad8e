"""What the rules know of a training: its model, its loss, its data, how it went."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import keras
import numpy as np

from dlkeras.diagnosis.histories.layer_tree import activation_name, walk
from dlkeras.diagnosis.labels_seen import Labels

# What only reshapes, thins out or scales: neither nonlinear nor an answer of its own.
PASSING = (
    "InputLayer", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "Flatten",
    "Reshape", "Permute", "ActivityRegularization", "GaussianNoise", "ZeroPadding1D",
    "ZeroPadding2D", "Cropping2D", "Rescaling", "Normalization", "Squeeze",
)  # fmt: skip
SCALING = (
    "Rescaling", "Normalization", "BatchNormalization", "LayerNormalization",
    "GroupNormalization", "UnitNormalization", "Embedding", "TextVectorization",
    "StringLookup", "IntegerLookup", "CategoryEncoding", "Hashing", "Discretization",
)  # fmt: skip
# Behind the last layer, these change what answers can be.
STRETCHING = ("Rescaling", "Normalization")
RELU_LIKE = ("relu", "relu6", "softplus", "exponential")
LOSSES = {
    "categorical_crossentropy": "categorical",
    "sparse_categorical_crossentropy": "sparse",
    "binary_crossentropy": "binary",
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
}
# Losses that are 0 only where the answers are the targets themselves.
DISTANCES = (
    "mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error", "huber", "log_cosh",
)  # fmt: skip
ACCURACIES = (
    "accuracy", "acc", "binary_accuracy", "categorical_accuracy",
    "sparse_categorical_accuracy",
)  # fmt: skip
# Who removes this share of a guess's loss, or errors, has learned something.
LEARNED, LEARNED_WELL, ALL = 0.25, 0.85, 0.95
# Targets so soft that a guess is hardly worse than the right answers tell nothing.
SOFT = 0.05


@dataclass
class Facts:
    """All that is known; what is not known is None or empty, and its rules are silent.

    Attributes:
        model: compiled.
        inputs: arrays `(samples, ...)`, drawn over the data.
        labels: what belongs to them.
        weighted: whether samples or classes have weights: losses are not comparable.
        batch_labels: labels batch by batch, in the order of training.
        held_inputs: of the validation data.
        held_labels: of the validation data.
        before: answers to some inputs before training.
        answers: answers to some inputs now.
        mixed: how far the answers to two examples change when no others are beside
            them, and how far all answers spread.
        logs: the logs of each epoch; empty before training.
        rates: the learning rate at each epoch's end.
        first_loss: the loss of the first step, where it was measured.
        update_ratio: the usual largest update of a kernel over its weight.
        penalty: what regularizers add to the loss now.
        first_penalty: what they added before training.
        added: what layers add to it by `add_loss`, such as a divergence.
        planned: epochs that were asked for.
    """

    model: Any
    inputs: list[np.ndarray] = field(default_factory=list)
    labels: Labels | None = None
    weighted: bool = False
    batch_labels: list[np.ndarray] = field(default_factory=list)
    held_inputs: list[np.ndarray] = field(default_factory=list)
    held_labels: Labels | None = None
    before: np.ndarray | None = None
    answers: np.ndarray | None = None
    mixed: tuple[float, float] | None = None
    logs: list[dict[str, float]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    first_loss: float = float("nan")
    update_ratio: float = float("nan")
    penalty: float = 0.0
    first_penalty: float = 0.0
    added: float = 0.0
    planned: int = 0

    def __post_init__(self) -> None:
        """Tell the labels what the loss takes them for."""
        if self.loss == "sparse":
            as_classes = {"sparse": True, "ignored": self._loss_setting("ignore_class")}
            if self.labels is not None:
                self.labels = replace(self.labels, **as_classes)
            if self.held_labels is not None:
                self.held_labels = replace(self.held_labels, **as_classes)

    @cached_property
    def layers(self) -> list[Any]:
        """The layers, in order of depth, but for containers of other layers."""
        return [
            layer
            for _, layer in walk(self.model)
            if isinstance(layer, keras.Layer) and not isinstance(layer, keras.Model)
        ]

    @cached_property
    def chain(self) -> list[Any]:
        """The layers where each one feeds the next: of a flat Sequential model."""
        model: Any = self.model
        if not isinstance(model, keras.Sequential):
            return []
        found: list[Any] = []
        for layer in model.layers:
            if isinstance(layer, keras.Sequential):
                found += layer.layers
            elif isinstance(layer, keras.Model):
                return []
            else:
                found.append(layer)
        return found

    @property
    def _loss_given(self) -> Any:
        """What `compile` was given, without the list or dictionary around one loss."""
        loss: Any = getattr(self.model, "loss", None)
        while isinstance(loss, (list, tuple, dict)) and len(loss) == 1:
            (loss,) = loss.values() if isinstance(loss, dict) else loss
        return loss

    def _loss_setting(self, name: str) -> Any:
        """An argument that the loss was made with; None if it is not known."""
        try:
            return self._loss_given.get_config().get(name)
        except (AttributeError, NotImplementedError, TypeError, ValueError):
            return None

    @cached_property
    def loss(self) -> str:
        """Which loss: `"sparse"`, `"mean_squared_error"`, ...; `""` for your own."""
        if self._loss_given is None:
            return ""  # the model computes its loss by itself
        try:
            loss: Any = keras.losses.get(self._loss_given)
        except (TypeError, ValueError):
            return ""
        name = getattr(loss, "__name__", None)
        if name is None:
            name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(loss).__name__).lower()
        return LOSSES.get(name, name)

    @property
    def from_logits(self) -> bool:
        """Whether the loss says that it takes logits."""
        return bool(self._loss_setting("from_logits"))

    @property
    def cross_entropy(self) -> bool:
        """Whether the loss is a cross-entropy of any kind."""
        return self.loss in ("sparse", "categorical", "binary")

    @property
    def distance(self) -> bool:
        """Whether the loss is known to measure how far answers are from targets."""
        return self.loss in DISTANCES

    @cached_property
    def output_layer(self) -> Any:
        """The layer or operation that makes the answers; None if it is not known."""
        model: Any = self.model
        while isinstance(model, keras.Model):
            parts = getattr(model, "operations", None)
            if isinstance(model, keras.Sequential):
                parts = model.layers
            if not parts or len(getattr(model, "outputs", None) or [0]) > 1:
                return None
            made = [p for p in parts if type(p).__name__ not in PASSING]
            behind = parts[parts.index(made[-1]) + 1 :] if made else []
            if not made or any(type(p).__name__ in STRETCHING for p in behind):
                return None
            model = made[-1]
        return model

    @cached_property
    def output_activation(self) -> str:
        """The function behind the answers: `"linear"` for none, `""` if not known."""
        layer = self.output_layer
        if layer is None:
            return ""
        if not isinstance(layer, keras.Layer):
            kind = type(layer).__name__.lower()
            return kind if kind in ("softmax", "sigmoid", "tanh", "relu") else ""
        if isinstance(layer, keras.layers.RNN):
            name = getattr(layer, "activation", None)
            return getattr(name, "__name__", "")
        plain = type(layer).__module__.startswith("keras.")
        known = hasattr(layer, "activation") or activation_name(layer)
        return (activation_name(layer) or "linear") if plain and known else ""

    @cached_property
    def adversarial(self) -> bool:
        """Whether a frozen judge answers, and the layers before it are trained.

        A generator is trained so: all labels are "real", and the loss rises and falls
        with the judge.
        """
        layer = self.output_layer
        judge = isinstance(layer, keras.Layer) and layer.weights and not layer.trainable
        return bool(judge and self.model.trainable_variables)

    @property
    def units(self) -> int:
        """The width of the answers; 0 if it is not known."""
        for answers in (self.before, self.answers):
            if answers is not None and answers.ndim > 1:
                return answers.shape[-1]
        layer = self.output_layer
        return int(getattr(layer, "units", 0) or getattr(layer, "filters", 0) or 0)

    @cached_property
    def kernels(self) -> list[tuple[Any, Any]]:
        """`(layer, kernel)` of what multiplies and is trained."""
        return [
            (layer, v)
            for layer in self.layers
            for v in layer.trainable_variables
            if v.name == "kernel" and len(v.shape) >= 2
        ]

    @property
    def scaled_within(self) -> bool:
        """Whether the model scales or looks up its inputs by itself, or was trained."""
        for layer in self.layers:
            if type(layer).__name__ in SCALING:
                return True
            if layer.weights:
                # What was trained elsewhere wants inputs that only its maker knows.
                return not layer.trainable
        return False

    @cached_property
    def learning_rate(self) -> float:
        """The learning rate now; NaN if it is not known."""
        rate = getattr(getattr(self.model, "optimizer", None), "learning_rate", None)
        to_numpy: Any = keras.ops.convert_to_numpy
        try:
            return float(to_numpy(rate))
        except (TypeError, ValueError):
            return np.nan

    @property
    def guess(self) -> float:
        """The loss of the best constant answer; NaN if it is not known."""
        known = self.labels is not None and not self.weighted
        known = known and not self.adversarial
        return self.labels.guessing(self.loss) if known and self.labels else np.nan

    @property
    def extra(self) -> float:
        """What is in the loss beside the answers' distance from the labels."""
        return self.penalty + self.added

    def curve(self, name: str = "loss") -> np.ndarray:
        """`(epochs,)` of one of the logs."""
        return np.array([logs.get(name, np.nan) for logs in self.logs], float)

    def accuracy(self, held: bool = False) -> np.ndarray:
        """`(epochs,)`, NaN where none was asked for."""
        for name in ACCURACIES:
            curve = self.curve(f"val_{name}" if held else name)
            if np.isfinite(curve).any():
                return curve
        return np.full(len(self.logs), np.nan)

    def removed(self, loss: float) -> float:
        """The share of a guess's loss that is gone; NaN if that is not known.

        Of what can be gone: soft targets leave a cross-entropy above 0.
        """
        guess = self.guess
        floor = self.labels.floor(self.loss) if self.labels is not None else 0.0
        least = 1e-12 + SOFT * max(guess, 0.0) * (floor > 0)
        room = guess - floor
        return (guess + self.extra - loss) / room if room > least else np.nan

    def gains(self) -> Iterator[float]:
        """How much of a guess's loss and errors is gone at the end, where known."""
        if self.logs:
            yield self.removed(self.curve()[-1])
            right = self.labels.majority if self.labels is not None else np.nan
            classes = self.labels is not None and self.labels.kind != "numbers"
            if classes and right < 1:
                yield (self.accuracy()[-1] - right) / (1 - right)

    @property
    def learned(self) -> bool:
        """Whether the training does much better than a constant answer."""
        return self._has_learned(LEARNED)

    @property
    def learned_well(self) -> bool:
        """Whether hardly anything of a guess's loss and errors is left."""
        return self._has_learned(LEARNED_WELL)

    @property
    def nothing_left(self) -> bool:
        """Whether that is so by all that can be known, loss and errors alike."""
        gains = [gain for gain in self.gains() if np.isfinite(gain)]
        return self.learned_well and min(gains, default=1.0) > LEARNED_WELL

    @property
    def knows_all(self) -> bool:
        """Whether by no measure more than a twentieth is left to learn."""
        gains = [gain for gain in self.gains() if np.isfinite(gain)]
        return bool(gains) and min(gains) > ALL

    def _has_learned(self, enough: float) -> bool:
        gains = [gain for gain in self.gains() if np.isfinite(gain)]
        if gains:
            return max(gains) > enough and min(gains) > enough / 2
        curve = self.curve()
        start = self.first_loss if np.isfinite(self.first_loss) else np.nan
        start = start if np.isfinite(start) else (curve[0] if len(curve) else np.nan)
        return bool(len(curve) and start > 0 and curve[-1] < (1 - enough) * start)

    @property
    def trained(self) -> bool:
        """Whether at least an epoch was trained."""
        return bool(self.logs)
