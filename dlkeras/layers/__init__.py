"""Keras layers, each exact to the paper that its docstring names."""

from dlkeras.layers.affine_projection import (
    AffineProjectionFilter as AffineProjectionFilter,
)
from dlkeras.layers.lms import LMSFilter as LMSFilter
from dlkeras.layers.rls import RLSFilter as RLSFilter
