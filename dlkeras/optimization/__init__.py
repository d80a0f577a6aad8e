"""The lecture's mathematics of learning, runnable."""

from dlkeras.optimization.adaptive import LMSTheory as LMSTheory
from dlkeras.optimization.adaptive import lms_theory as lms_theory
