"""The registry: architectures by name."""

import difflib
import fnmatch
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, overload

import keras

from dlkeras.architectures import resnet
from dlkeras.architectures.alexnet import alexnet
from dlkeras.architectures.googlenet import googlenet
from dlkeras.architectures.lenet import lenet5
from dlkeras.architectures.parts.keras_arguments import offer

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
_OF_THE_PACKAGE = frozenset(_BUILDERS)

Builder = TypeVar("Builder", bound=Callable[..., keras.Model])


@overload
def register(builder: Builder) -> Builder: ...
@overload
def register(*, name: str) -> Callable[[Builder], Builder]: ...
def register(builder: Any = None, *, name: str | None = None) -> Any:
    """Register your own network: put this decorator on the function that builds it.

    `create`, `names` and the pipeline's `--trainer.architecture` then know it. A name
    may be registered again, as by a notebook's cell that is run twice.

    Args:
        builder: takes `input_shape` and `num_classes`, and whatever else it likes, and
            returns a model of images to `(batch, num_classes)` probabilities.
        name: what to call it; default: the name of the function.

    Returns:
        The function, unchanged.

    Raises:
        ValueError: the package has an architecture of this name, the name is no plain
            word, or the function does not take both arguments.

    Example:
    >>> @register
    ... def one_layer(input_shape=(8, 8, 1), num_classes=10):
    ...     images = keras.Input(input_shape)
    ...     flat = keras.layers.Flatten()(images)
    ...     outputs = keras.layers.Dense(num_classes, "softmax")(flat)
    ...     return keras.Model(images, outputs)
    >>> create("one_layer", num_classes=3).count_params()
    195
    """
    if builder is None:
        return lambda function: _add(function, name or function.__name__)
    return _add(builder, name or builder.__name__)


def _add(builder: Builder, name: str) -> Builder:
    if name in _OF_THE_PACKAGE or not name.isidentifier():
        raise ValueError(
            "`name` must be a plain word that is none of the package's architectures. "
            f"Received: name={name!r}"
        )
    try:
        inspect.signature(builder).bind(input_shape=(1, 1, 1), num_classes=1)
    except TypeError as error:
        raise ValueError(
            "`builder` must take input_shape and num_classes, and need nothing else "
            f"({error}). Received: {name}{inspect.signature(builder)}"
        ) from error
    _BUILDERS[name] = builder
    return builder


def registered() -> dict[str, Callable[..., keras.Model]]:
    """The builders that are not the package's own, by name."""
    own = _BUILDERS.keys() - _OF_THE_PACKAGE
    return {name: _BUILDERS[name] for name in sorted(own)}


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
        ValueError: there is no such architecture, and the message names near ones; or
            it has no such argument.

    Example:
    >>> create("lenet5", num_classes=4).output.shape
    (None, 4)
    """
    make = builder(name)
    signature = inspect.signature(make)
    try:
        signature.bind(**kwargs)
    except TypeError as error:
        instead = offer(kwargs, signature.parameters) or f"It is {name}{signature}"
        raise ValueError(f"{name}: {error}. {instead}") from error
    return make(**kwargs)


def builder(name: str) -> Callable[..., keras.Model]:
    """The function that builds an architecture.

    Raises:
        ValueError: there is no such architecture; the message names near ones.
    """
    if not isinstance(name, str) or name not in _BUILDERS:
        near = difflib.get_close_matches(str(name).lower(), _BUILDERS, n=3, cutoff=0.6)
        raise ValueError(
            f"name must be one of {names()}"
            + (f"; did you mean {' or '.join(near)}?" if near else ".")
            + f" Received: name={name!r}"
        )
    return _BUILDERS[name]
