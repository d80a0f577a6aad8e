"""What is wrong with a configuration, in one line."""

import json
import sys
from types import TracebackType

from pydantic import BaseModel, ValidationError

from dlkeras.pipeline.store.errors import InputError, PipelineError


class ConfigurationError(InputError, ValueError):
    """A configuration in a script has a field that cannot be; the message names it."""


def one_line_error(name: str, error: ValidationError) -> ConfigurationError:
    """The error of a configuration in a script, which ends in that one line.

    Args:
        name: the configuration's class.
        error: what pydantic raised.
    """
    if sys.excepthook is sys.__excepthook__:  # nobody shows errors another way
        sys.excepthook = _show
    return ConfigurationError(f"{name}: {describe(error)}")


def _show(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if isinstance(error, PipelineError):
        print(f"error: {error}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def describe(error: ValidationError, flag: bool = False) -> str:
    """Say in one line what is wrong with the first bad field of a configuration.

    Args:
        error: what pydantic raised.
        flag: name the field as a command-line flag (`--trainer.epochs`) rather than as
            a key (`trainer.epochs`).
    """
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if flag:
        place = "--" + place.replace("_", "-")
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    message = message[0].lower() + message[1:]
    value = first["input"]
    if first["type"] == "json_invalid":
        return message
    if "Received:" in message or isinstance(value, dict | BaseModel):
        return f"{place}: {message}" if first["loc"] else message
    return f"{place}: {message}; received {json.dumps(value, default=str)}"
