"""dlkeras: the principles of deep learning as Keras 3 parts and a tracked pipeline.

Importing the package imports no backend: the sub-packages are loaded when first used.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_SUBPACKAGES = frozenset(
    {
        "architectures",
        "callbacks",
        "datasets",
        "diagnosis",
        "layers",
        "optimization",
        "pipeline",
        "stages",
        "testing",
        "transfer",
        "visualization",
    }
)


def __getattr__(name: str) -> Any:
    """Load a sub-package the first time it is used (PEP 562)."""
    if name in _SUBPACKAGES:
        return importlib.import_module(f"dlkeras.{name}")
    raise AttributeError(f"module 'dlkeras' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What the package has, for completion."""
    return sorted([*globals(), *_SUBPACKAGES])
