"""Which modules a saved network needs before Keras can load it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlkeras.untrusted.models import read_config

# Packages whose import brings all of their layers.
_WHOLE = ("dlkeras.layers", "dlkeras.architectures")


def needed_modules(file: Path) -> list[str]:
    """Name the modules that define a network's parts, beside Keras itself.

    Args:
        file: a `.keras` file.

    Returns:
        Names to import, sorted; empty where Keras has all.

    Raises:
        FileNotFoundError: there is no such file.
        UntrustedFileError: it is not a whole `.keras` file.
    """
    return sorted({_shortest(module) for module in _modules(read_config(file))})


def _modules(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        module = part.get("module")
        own = isinstance(module, str) and module.partition(".")[0] != "keras"
        if own and part.get("registered_name") and "class_name" in part:
            yield str(module)
        for value in part.values():
            yield from _modules(value)
    elif isinstance(part, list):
        for value in part:
            yield from _modules(value)


def _shortest(module: str) -> str:
    """The package that brings a module, where there is one.

    >>> _shortest("dlkeras.layers.blocks.inception"), _shortest("my_network")
    ('dlkeras.layers', 'my_network')
    """
    for package in _WHOLE:
        if module == package or module.startswith(f"{package}."):
            return package
    return module
