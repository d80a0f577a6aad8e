"""Augmentation: seed, epoch and index alone decide how an image is changed."""

from dlkeras.augmentation.geometry import resample as resample
from dlkeras.augmentation.geometry import (
    transform_matrices as transform_matrices,
)
from dlkeras.augmentation.mixing import mixes as mixes
from dlkeras.augmentation.policy import COLUMNS as COLUMNS
from dlkeras.augmentation.policy import Policy as Policy
from dlkeras.augmentation.policy import uniform_rows as uniform_rows
