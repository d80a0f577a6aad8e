"""Keras layers, each exact to the paper that its docstring names."""

from dlkeras.layers.lms import LMSFilter as LMSFilter
