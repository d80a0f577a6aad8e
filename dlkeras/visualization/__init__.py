"""Figures: every function takes arrays or models and returns a matplotlib Figure.

A figure shows itself as the last line of a notebook's cell; elsewhere in a cell, and in
a script (in a window), write `learning_curves(history).show()`: `plt.show()` leaves it
out. `savefig("curves.svg")` needs neither. `title`, `language` (`"en"` or `"pt"`),
`figsize` (width and height in inches) and `ax` (matplotlib Axes to draw into) are
keywords of every figure.

Nothing is imported before it is used: figures of arrays need no Keras.
"""

from typing import TYPE_CHECKING

from dlkeras.on_demand import on_demand

if TYPE_CHECKING:
    from dlkeras.visualization.attribution import grad_cam_map as grad_cam_map
    from dlkeras.visualization.attribution import saliency_map as saliency_map
    from dlkeras.visualization.diagrams import (
        architecture_diagram as architecture_diagram,
    )
    from dlkeras.visualization.evaluation.calibration import (
        reliability_diagram as reliability_diagram,
    )
    from dlkeras.visualization.evaluation.confusion import (
        confusion_matrix as confusion_matrix,
    )
    from dlkeras.visualization.evaluation.misclassified import (
        misclassified as misclassified,
    )
    from dlkeras.visualization.explanations import grad_cam as grad_cam
    from dlkeras.visualization.explanations import saliency as saliency
    from dlkeras.visualization.fields.local_fields import (
        local_receptive_fields as local_receptive_fields,
    )
    from dlkeras.visualization.fields.receptive_fields import Box as Box
    from dlkeras.visualization.fields.receptive_fields import (
        receptive_field as receptive_field,
    )
    from dlkeras.visualization.fields.receptive_fields import (
        receptive_field_box as receptive_field_box,
    )
    from dlkeras.visualization.fields.stacked_layers import (
        stacked_layers as stacked_layers,
    )
    from dlkeras.visualization.figure import Figure as Figure
    from dlkeras.visualization.figure import in_language as in_language
    from dlkeras.visualization.images import augmentation_grid as augmentation_grid
    from dlkeras.visualization.images import image_grid as image_grid
    from dlkeras.visualization.images import image_table as image_table
    from dlkeras.visualization.maps import feature_maps as feature_maps
    from dlkeras.visualization.maps import filters as filters
    from dlkeras.visualization.network import network_table as network_table
    from dlkeras.visualization.statistics import (
        brightness_and_contrast as brightness_and_contrast,
    )
    from dlkeras.visualization.statistics import class_balance as class_balance
    from dlkeras.visualization.statistics import image_sizes as image_sizes
    from dlkeras.visualization.statistics import (
        pixel_distribution as pixel_distribution,
    )
    from dlkeras.visualization.training.activations import (
        activation_distributions as activation_distributions,
    )
    from dlkeras.visualization.training.activations import (
        activation_functions as activation_functions,
    )
    from dlkeras.visualization.training.adaptive import (
        lms_learning_curve as lms_learning_curve,
    )
    from dlkeras.visualization.training.gradients import (
        activation_statistics as activation_statistics,
    )
    from dlkeras.visualization.training.gradients import gradient_flow as gradient_flow
    from dlkeras.visualization.training.gradients import gradient_map as gradient_map
    from dlkeras.visualization.training.gradients import update_ratios as update_ratios
    from dlkeras.visualization.training.landscapes import Landscape as Landscape
    from dlkeras.visualization.training.landscapes import loss_along as loss_along
    from dlkeras.visualization.training.learning_curves import (
        learning_curves as learning_curves,
    )
    from dlkeras.visualization.training.learning_rates import (
        learning_rate_range as learning_rate_range,
    )
    from dlkeras.visualization.training.signal_flow import (
        signal_flow_graph as signal_flow_graph,
    )
    from dlkeras.visualization.training.signals import constellation as constellation
    from dlkeras.visualization.training.signals import spectrogram as spectrogram
    from dlkeras.visualization.training.signals import (
        weights_over_time as weights_over_time,
    )
    from dlkeras.visualization.training.surfaces import cost_surface as cost_surface
    from dlkeras.visualization.training.surfaces import loss_landscape as loss_landscape
    from dlkeras.visualization.training.transfer import (
        accuracy_by_examples as accuracy_by_examples,
    )

__getattr__, __dir__ = on_demand(__name__)
# For `from dlkeras.visualization import *`.
__all__ = [n for n in __dir__() if n not in globals()]  # type: ignore[misc]
