"""Figures: every function takes arrays or models and returns a matplotlib Figure.

What takes arrays is imported at once; what needs Keras is, when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from dlkeras.visualization.calibration import reliability_diagram as reliability_diagram
from dlkeras.visualization.confusion import confusion_matrix as confusion_matrix
from dlkeras.visualization.figure import in_language as in_language
from dlkeras.visualization.galleries import augmentation_grid as augmentation_grid
from dlkeras.visualization.galleries import misclassified as misclassified
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
from dlkeras.visualization.network import network_table as network_table
from dlkeras.visualization.statistics import (
    brightness_and_contrast as brightness_and_contrast,
)
from dlkeras.visualization.statistics import class_balance as class_balance
from dlkeras.visualization.statistics import image_sizes as image_sizes
from dlkeras.visualization.statistics import pixel_distribution as pixel_distribution
from dlkeras.visualization.training import learning_curves as learning_curves
from dlkeras.visualization.transfer import accuracy_by_examples as accuracy_by_examples

if TYPE_CHECKING:
    from dlkeras.visualization.activations import (
        activation_distributions as activation_distributions,
    )
    from dlkeras.visualization.activations import (
        activation_functions as activation_functions,
    )
    from dlkeras.visualization.adaptive import lms_learning_curve as lms_learning_curve
    from dlkeras.visualization.attribution import grad_cam_map as grad_cam_map
    from dlkeras.visualization.attribution import saliency_map as saliency_map
    from dlkeras.visualization.diagrams import (
        architecture_diagram as architecture_diagram,
    )
    from dlkeras.visualization.explanations import grad_cam as grad_cam
    from dlkeras.visualization.explanations import saliency as saliency
    from dlkeras.visualization.landscapes import Landscape as Landscape
    from dlkeras.visualization.landscapes import loss_along as loss_along
    from dlkeras.visualization.receptive_fields import Box as Box
    from dlkeras.visualization.receptive_fields import (
        receptive_field as receptive_field,
    )
    from dlkeras.visualization.receptive_fields import (
        receptive_field_box as receptive_field_box,
    )
    from dlkeras.visualization.surfaces import cost_surface as cost_surface
    from dlkeras.visualization.surfaces import loss_landscape as loss_landscape

# Name: the file it is in.
_WITH_KERAS = {
    "activation_distributions": "activations",
    "activation_functions": "activations",
    "architecture_diagram": "diagrams",
    "Box": "receptive_fields",
    "cost_surface": "surfaces",
    "grad_cam": "explanations",
    "grad_cam_map": "attribution",
    "Landscape": "landscapes",
    "lms_learning_curve": "adaptive",
    "loss_along": "landscapes",
    "loss_landscape": "surfaces",
    "receptive_field": "receptive_fields",
    "receptive_field_box": "receptive_fields",
    "saliency": "explanations",
    "saliency_map": "attribution",
}


def __getattr__(name: str) -> Any:
    """Load what needs Keras the first time it is used (PEP 562)."""
    if name in _WITH_KERAS:
        file = importlib.import_module(f"{__name__}.{_WITH_KERAS[name]}")
        return getattr(file, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What the package has, for completion."""
    return sorted([*globals(), *_WITH_KERAS])
