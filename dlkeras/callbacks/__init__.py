"""Callbacks that watch a training run and explain what they see."""

from dlkeras.callbacks.activation import ActivationMonitor as ActivationMonitor
from dlkeras.callbacks.doctor import TrainingDoctor as TrainingDoctor
from dlkeras.callbacks.gradient_norm import GradientNormMonitor as GradientNormMonitor
from dlkeras.callbacks.learning_rate_finder import (
    LearningRateFinder as LearningRateFinder,
)
from dlkeras.diagnosis.finding import Finding as Finding
from dlkeras.diagnosis.finding import TrainingFinding as TrainingFinding
from dlkeras.diagnosis.histories.activation_history import (
    ActivationHistory as ActivationHistory,
)
from dlkeras.diagnosis.histories.gradient_history import (
    GradientHistory as GradientHistory,
)
from dlkeras.diagnosis.measured import diagnose as diagnose
