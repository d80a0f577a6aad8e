"""Figures: every function takes arrays or models and returns a matplotlib Figure.

A figure shows itself as the last line of a notebook's cell; in a script
`learning_curves(history).show()` opens a window, and `savefig("curves.svg")` needs
neither. `title`, `language` (`"en"` or `"pt"`), `figsize` (width and height in inches)
and `ax` (matplotlib Axes to draw into) are keywords of every figure.

Nothing is imported before it is used: figures of arrays need no Keras.
"""

import importlib
from typing import Any

# The file of each name.
_NAMES = {
    "attribution": "grad_cam_map saliency_map",
    "diagrams": "architecture_diagram",
    "evaluation.calibration": "reliability_diagram",
    "evaluation.confusion": "confusion_matrix",
    "evaluation.misclassified": "misclassified",
    "explanations": "grad_cam saliency",
    "figure": "Figure in_language",
    "images": "augmentation_grid image_grid image_table",
    "maps": "feature_maps filters",
    "network": "network_table",
    "receptive_fields": "Box receptive_field receptive_field_box",
    "statistics": "brightness_and_contrast class_balance image_sizes "
    "pixel_distribution",
    "training.activations": "activation_distributions activation_functions",
    "training.adaptive": "lms_learning_curve",
    "training.gradients": "activation_statistics gradient_flow gradient_map "
    "update_ratios",
    "training.landscapes": "Landscape loss_along",
    "training.learning_curves": "learning_curves",
    "training.surfaces": "cost_surface loss_landscape",
    "training.transfer": "accuracy_by_examples",
}
_FILES = {name: file for file, names in _NAMES.items() for name in names.split()}
__all__ = sorted(_FILES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Load a name's file the first time it is used (PEP 562)."""
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_FILES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """What the package has, for completion."""
    return sorted([*globals(), *_FILES])
