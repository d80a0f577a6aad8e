"""What the arguments of keras.applications are called here."""

import functools
import inspect
from collections.abc import Callable, Collection
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_OURS = {
    "include_top": "num_classes=0 leaves the head out, with the same `pooling`",
    "classes": "num_classes",
    "input_tensor": "input_shape, and then call the model on the tensor",
    "model_name": "name",
}


def offer(arguments: Collection[str], known: Collection[str]) -> str:
    """Return what to pass instead of the arguments of keras.applications.

    Example:
        >>> offer(["classes", "name"], ["num_classes", "name"])
        '`classes` of keras.applications is here: num_classes'
    """
    asked = [x for x in _OURS if x in arguments and x not in known]
    return "; ".join(f"`{x}` of keras.applications is here: {_OURS[x]}" for x in asked)


def offers_ours(build: Callable[P, R]) -> Callable[P, R]:
    """Let a builder answer the arguments of keras.applications with its own.

    Args:
        build: A builder.

    Returns:
        The same builder. It raises a `TypeError` for an argument that it does not
        know, as any function does, and says what is meant here.
    """
    known = inspect.signature(build).parameters

    @functools.wraps(build)
    def offering(*args: P.args, **kwargs: P.kwargs) -> R:
        instead = offer(kwargs, known)
        if instead:
            raise TypeError(f"{build.__name__}: {instead}. Received: {sorted(kwargs)}")
        return build(*args, **kwargs)

    return offering
