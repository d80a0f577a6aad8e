"""The registry: architectures by name."""

import difflib
import fnmatch
from collections.abc import Callable
from typing import Any

import keras

from dlkeras.architectures import resnet
from dlkeras.architectures.alexnet import alexnet
from dlkeras.architectures.googlenet import googlenet
from dlkeras.architectures.lenet import lenet5

_BUILDERS: dict[str, Callable[..., keras.Model]] = {
    "alexnet": alexnet,
    "googlenet": googlenet,
    "lenet5": lenet5,
    "resnet18": resnet.resnet18,
    "resnet20": resnet.resnet20,
    "resnet32": resnet.resnet32,
    "resnet34": resnet.resnet34,
    "resnet44": resnet.resnet44,
    "resnet50": resnet.resnet50,
    "resnet56": resnet.resnet56,
    "resnet101": resnet.resnet101,
    "resnet110": resnet.resnet110,
    "resnet152": resnet.resnet152,
}


def names(pattern: str = "*") -> list[str]:
    """List the architectures whose name matches a shell pattern.

    >>> names("lenet*")
    ['lenet5']
    """
    return sorted(fnmatch.filter(_BUILDERS, pattern))


def create(name: str, **kwargs: Any) -> keras.Model:
    """Build an architecture by name.

    Args:
        name: one of `names()`.
        **kwargs: the builder's arguments.

    Returns:
        The model.

    Raises:
        ValueError: there is no such architecture; the message names near ones.

    Example:
    >>> create("lenet5", num_classes=4).output.shape
    (None, 4)
    """
    if not isinstance(name, str) or name not in _BUILDERS:
        near = difflib.get_close_matches(str(name).lower(), _BUILDERS, n=3, cutoff=0.6)
        raise ValueError(
            f"name must be one of {names()}"
            + (f"; did you mean {' or '.join(near)}?" if near else ".")
            + f" Received: name={name!r}"
        )
    return _BUILDERS[name](**kwargs)
