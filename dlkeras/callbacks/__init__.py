"""What watches a training run: gradients, activations, and what they mean."""

from dlkeras.callbacks.activation import ActivationMonitor as ActivationMonitor
from dlkeras.callbacks.activation_history import (
    ActivationHistory as ActivationHistory,
)
from dlkeras.callbacks.diagnosis import diagnose as diagnose
from dlkeras.callbacks.finding import Finding as Finding
from dlkeras.callbacks.gradient_norm import GradientNormMonitor as GradientNormMonitor
from dlkeras.callbacks.history import GradientHistory as GradientHistory
