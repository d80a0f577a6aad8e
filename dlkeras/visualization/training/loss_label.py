"""What a loss measures, in words with its unit."""

from typing import Any

from dlkeras.visualization.figure import say

_WORDS = {
    "crossentropy": ("cross-entropy loss (nats)", "perda de entropia cruzada (nats)"),
    "mean_squared_error": ("mean squared error", "erro quadrático médio"),
    "mse": ("mean squared error", "erro quadrático médio"),
    "mean_absolute_error": ("mean absolute error", "erro absoluto médio"),
    "mae": ("mean absolute error", "erro absoluto médio"),
}


def loss_label(loss: Any, language: str) -> str:
    """The words for a loss, its name or its function; "loss" for what is not known.

    >>> loss_label("sparse_categorical_crossentropy", "en")
    'cross-entropy loss (nats)'
    >>> loss_label(None, "en")
    'loss'
    """
    name = loss if isinstance(loss, str) else getattr(loss, "name", None)
    name = name or getattr(loss, "__name__", "")
    name = str(name).lower()
    if "focal" not in name and name.endswith("crossentropy"):
        name = "crossentropy"
    if name in _WORDS:
        return say(language, *_WORDS[name])
    return name.replace("_", " ") or say(language, "loss", "perda")
