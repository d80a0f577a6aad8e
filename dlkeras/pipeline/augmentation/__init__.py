"""Augmentation: what training sees of an image, decided by seed, epoch and index."""

from dlkeras.pipeline.augmentation.geometry import resample as resample
from dlkeras.pipeline.augmentation.geometry import (
    transform_matrices as transform_matrices,
)
from dlkeras.pipeline.augmentation.mixing import mixes as mixes
from dlkeras.pipeline.augmentation.policy import COLUMNS as COLUMNS
from dlkeras.pipeline.augmentation.policy import Policy as Policy
from dlkeras.pipeline.augmentation.policy import uniform_rows as uniform_rows
