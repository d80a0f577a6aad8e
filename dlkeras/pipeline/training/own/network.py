"""The user's own network, callbacks and augmentation, made and checked."""

import contextlib
import difflib
import inspect
import json
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dlkeras.pipeline.configuration.config import TrainerConfig
from dlkeras.pipeline.configuration.references import find, told
from dlkeras.pipeline.store.errors import InputError, reason

# What every builder of a network is given.
GIVEN = ("input_shape", "num_classes")


def builder_of(trainer: TrainerConfig) -> Callable[..., Any]:
    """The function that builds the network of a configuration.

    Raises:
        InputError: there is no such function, or no architecture of this name.
    """
    if trainer.network is None:
        from dlkeras.architectures.registry import builder

        try:
            return builder(trainer.architecture)
        except ValueError as error:
            raise InputError(f"--trainer.architecture: {reason(error)}") from error
    flag = "--trainer.network"
    found = find(trainer.network, flag)
    if not callable(found):
        raise InputError(f"{flag}: expected a function; {trainer.network} is none")
    try:
        inspect.signature(found).bind(**dict.fromkeys(GIVEN))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{flag}: expected a function of input_shape and num_classes that needs "
            f"nothing else ({reason(error)}); received {trainer.network}"
        ) from error
    return found


def build(trainer: TrainerConfig, **given: Any) -> Any:
    """Build the user's own network, and check that it is one.

    Args:
        trainer: names the function.
        **given: its arguments.

    Raises:
        InputError: the function fails, or what it returns is no network of images to
            probabilities; the message says where.
    """
    from dlkeras.pipeline.tensorflow_import import keras

    flag = f"--trainer.network {trainer.network}"
    builder = builder_of(trainer)
    for name in given:
        if name not in inspect.signature(builder).parameters:
            known = ", ".join(parameters(builder)) or "none"
            raise InputError(
                f"--trainer.{name.replace('_', '-')}: expected an argument of "
                f"{trainer.network}, which has {known}"
            )
    try:
        model = builder(**given)
    except InputError:
        raise
    except Exception as error:  # it is the user's code: whatever it raises
        assert trainer.network is not None
        module = trainer.network.partition(":")[0]
        raise InputError(f"{flag}: {told(error, module)}") from error
    if not isinstance(model, keras.Model) or len(getattr(model, "inputs", ())) != 1:
        raise InputError(
            f"{flag}: expected a keras.Model with one input, of Keras's functional or "
            f"sequential kind; received {type(model).__name__}"
        )
    expected, shape = (None, given["num_classes"]), tuple(model.outputs[0].shape)
    if len(model.outputs) != 1 or shape != expected:
        raise InputError(
            f"{flag}: expected one output of the shape {expected}, a probability for "
            f"each class; received {[tuple(o.shape) for o in model.outputs]}"
        )
    return model


def parameters(builder: Callable[..., Any]) -> dict[str, Any]:
    """The arguments of a builder that have defaults, beside those every one is given.

    >>> def small_net(input_shape, num_classes, *, filters=32, dropout=0.3): ...
    >>> parameters(small_net)
    {'filters': 32, 'dropout': 0.3}
    """
    return {
        name: parameter.default
        for name, parameter in inspect.signature(builder).parameters.items()
        if name not in GIVEN and parameter.default is not inspect.Parameter.empty
    }


def typed(name: str, value: Any, default: Any) -> Any:
    """Read an argument of a builder from a text, as the kind of its default.

    Raises:
        ValueError: the value is of another kind.

    >>> typed("filters", "64", 32), typed("rate", "1", 0.5), typed("on", "no", True)
    (64, 1.0, False)
    """
    if default is None or not isinstance(default, bool | int | float | str):
        with contextlib.suppress(ValueError):
            return json.loads(value) if isinstance(value, str) else value
        return value
    try:
        return TypeAdapter(type(default)).validate_python(value)
    except ValidationError:
        kind = type(default).__name__
        raise ValueError(f"expected {name} as {kind}; received {value!r}") from None


def with_typed_arguments(trainer: TrainerConfig) -> TrainerConfig:
    """The configuration with each of `network_args` of its argument's kind.

    Raises:
        InputError: the network has no such argument, or it is of another kind.
    """
    if not trainer.network_args:
        return trainer
    flag = "--trainer.network-args"
    known = parameters(builder_of(trainer))
    found = {}
    for name, value in trainer.network_args.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else ""
            raise InputError(
                f"{flag}.{name}: expected an argument of {trainer.architecture}, "
                f"{hint or 'one of ' + (', '.join(known) or 'none')}"
            )
        try:
            found[name] = typed(name, value, known[name])
        except ValueError as error:
            raise InputError(f"{flag}.{name}: {reason(error)}") from error
    return trainer.model_copy(update={"network_args": found})


def callbacks_of(trainer: TrainerConfig) -> list[Any]:
    """The callbacks that a configuration names.

    Raises:
        InputError: one of them is none, or cannot be made without arguments.
    """
    from dlkeras.pipeline.tensorflow_import import keras

    made = []
    for text in trainer.callbacks:
        found = find(text, "--trainer.callbacks")
        try:
            found = found() if hasattr(found, "__qualname__") else found
        except Exception as error:  # it is the user's code: whatever it raises
            why = told(error, text.partition(":")[0])
            raise InputError(f"--trainer.callbacks: {why}") from error
        if not isinstance(found, keras.callbacks.Callback):
            raise InputError(
                f"--trainer.callbacks: expected a class of keras.callbacks.Callback, "
                f"or a function that makes one; {text} gives {type(found).__name__}"
            )
        made.append(found)
    return made


def check_callbacks(trainer: TrainerConfig) -> None:
    """Refuse callbacks that cannot be made, and make none: that could do things.

    Raises:
        InputError: what is named is no class of callbacks, or needs arguments.
    """
    from dlkeras.pipeline.tensorflow_import import keras

    flag = "--trainer.callbacks"
    for text in trainer.callbacks:
        found = find(text, flag)
        kind = found if inspect.isclass(found) else type(found)
        made = inspect.isfunction(found) or issubclass(kind, keras.callbacks.Callback)
        try:
            if hasattr(found, "__qualname__"):
                inspect.signature(found).bind()
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{flag}: expected what needs no arguments ({reason(error)}); "
                f"received {text}: name a function that makes the callback"
            ) from error
        if not made:
            raise InputError(
                f"{flag}: expected a class of keras.callbacks.Callback, or a function "
                f"that makes one; {text} is {kind.__name__}"
            )


def augmentation_of(trainer: TrainerConfig) -> Callable[..., Any] | None:
    """The function that changes a training image; None where there is none.

    Raises:
        InputError: it is no function of an image and a seed.
    """
    if trainer.augmentation is None:
        return None
    flag = "--trainer.augmentation"
    found = find(trainer.augmentation, flag)
    if trainer.distribution == "data_parallel":
        raise InputError(
            f"{flag}: expected none with --trainer.distribution "
            "data_parallel, whose images another process prepares"
        )
    try:
        inspect.signature(found).bind(None, None)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{flag}: expected a function of an image and a seed ({reason(error)}); "
            f"received "
            f"{trainer.augmentation}"
        ) from error
    return found
