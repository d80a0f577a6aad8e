"""ActivationHistory: what was measured of the layers' outputs, probe by probe."""

from dataclasses import dataclass, field

import numpy as np

from dlkeras.diagnosis.histories.layer_tree import LayerInfo


@dataclass
class ActivationHistory:
    """Measurements of the outputs on the probe batch; NaN where one has no meaning.

    Attributes:
        layers: what is known of each layer that was seen, in the order of the calls.
        epochs: `(probes,)`, epochs done at each probe; 0 is before training.
        mean: `(probes, layers)`.
        std: `(probes, layers)`, over samples, positions and units together.
        dead_share: `(probes, layers)`, of ReLU-like layers: share of units (last axis,
            or feature maps) that are 0 for the whole probe.
        saturated_share: `(probes, layers)`, of outputs beyond 0.97 in size (tanh),
            outside 0.03 to 0.97 (sigmoid), or of samples with a class above 0.97
            (softmax).
        non_finite_share: `(probes, layers)`.
        units: `(probes, layers)`, number of units or feature maps.
        answers: `(probes, layers)`, outputs of each unit: samples times positions.
        same_answer_share: `(probes, layers)`, of softmax: share of the samples, or
            positions, whose largest unit is the most frequent one.
        loss: `(probes,)`, the mean training loss of the epoch before the probe.
        outputs: names of the layers that make the model's outputs, also those whose
            values are only put into another shape on the way.
    """

    layers: dict[str, LayerInfo] = field(default_factory=dict)
    epochs: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    mean: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    std: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    dead_share: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    saturated_share: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    non_finite_share: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    units: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    answers: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    same_answer_share: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    loss: np.ndarray = field(default_factory=lambda: np.zeros(0))
    outputs: list[str] = field(default_factory=list)

    @property
    def layer_names(self) -> list[str]:
        """The layers that were seen, in the order of the calls."""
        return list(self.layers)
