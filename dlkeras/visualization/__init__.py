"""Figures: every function takes arrays and returns a matplotlib Figure."""

from dlkeras.visualization.calibration import reliability_diagram as reliability_diagram
from dlkeras.visualization.confusion import confusion_matrix as confusion_matrix
from dlkeras.visualization.gradients import (
    activation_statistics as activation_statistics,
)
from dlkeras.visualization.gradients import gradient_flow as gradient_flow
from dlkeras.visualization.gradients import gradient_map as gradient_map
from dlkeras.visualization.gradients import update_ratios as update_ratios
from dlkeras.visualization.images import feature_maps as feature_maps
from dlkeras.visualization.images import filters as filters
from dlkeras.visualization.images import image_grid as image_grid
from dlkeras.visualization.images import image_table as image_table
from dlkeras.visualization.statistics import (
    brightness_and_contrast as brightness_and_contrast,
)
from dlkeras.visualization.statistics import class_balance as class_balance
from dlkeras.visualization.statistics import image_sizes as image_sizes
from dlkeras.visualization.statistics import pixel_distribution as pixel_distribution
from dlkeras.visualization.training import learning_curves as learning_curves
