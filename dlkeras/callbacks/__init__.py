"""What watches a training run: gradients, activations, and what they mean."""

from dlkeras.callbacks.gradient_norm import GradientNormMonitor as GradientNormMonitor
from dlkeras.callbacks.history import GradientHistory as GradientHistory
