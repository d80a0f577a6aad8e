"""Every field of the configuration is a flag; its value arrives as you typed it."""

import argparse
import json
import re
import types
import typing
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dlkeras.pipeline.store.errors import InputError, reason

UNSET = "None"
# Where a new key of NAME=VALUE,NAME=VALUE begins; VALUE,VALUE is one value.
_NEXT_KEY = re.compile(r",(?=[A-Za-z_][\w.-]*=)")


@dataclass(frozen=True)
class Flag:
    """A field of the configuration, as a flag.

    Attributes:
        name: the flag, such as `--trainer.batch-size`.
        path: the names that lead to the field.
        kind: the type of its values, without None.
        optional: whether it may be None.
        field: what pydantic knows of it.
        negated: whether this is the `--no-` of a switch.
    """

    name: str
    path: tuple[str, ...]
    kind: Any
    optional: bool
    field: FieldInfo
    negated: bool = False

    @property
    def is_switch(self) -> bool:
        """Whether the flag takes no value."""
        return self.kind is bool


def flags_of(model: type[BaseModel], path: tuple[str, ...] = ()) -> dict[str, Flag]:
    """Return the flags of a configuration, by name, in the order of its fields.

    >>> from dlkeras.pipeline.configuration.config import PusherConfig
    >>> list(flags_of(PusherConfig))
    ['--model-name', '--alias', '--destination']
    """
    found: dict[str, Flag] = {}
    for name, field in model.model_fields.items():
        kind, optional = without_none(field.annotation)
        here = (*path, name)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= flags_of(kind, here)
            continue
        text = ".".join(here).replace("_", "-")
        found[f"--{text}"] = Flag(f"--{text}", here, kind, optional, field)
        if kind is bool:
            flag = Flag(f"--no-{text}", here, kind, optional, field, negated=True)
            found[flag.name] = flag
    return found


def argument_flags(
    path: tuple[str, ...], arguments: Mapping[str, Any], of: str
) -> dict[str, Flag]:
    """Return a flag for each key of a dictionary that holds a function's arguments.

    Args:
        path: the names that lead to the dictionary.
        arguments: the defaults, by the arguments' names.
        of: the function.

    >>> (flag,) = argument_flags(("trainer", "network_args"), {"filters": 8}, "net")
    >>> flag
    '--trainer.network-args.filters'
    """
    found = {}
    for argument, default in arguments.items():
        name = "--" + ".".join((*path, argument)).replace("_", "-")
        field = FieldInfo(default=default, description=f"argument of {of}")
        kind = type(default) if isinstance(default, int | float) else str
        kind = str if kind is bool else kind  # a switch has no text
        found[name] = Flag(name, (*path, argument), kind, False, field)
    return found


def without_none(annotation: Any) -> tuple[Any, bool]:
    """The type of a field without None, and whether it may be None."""
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) not in (types.UnionType, typing.Union):
        return annotation, False
    kinds = [a for a in typing.get_args(annotation) if a is not types.NoneType]
    return without_none(kinds[0])[0], True


def kebab_case(argument: str) -> str:
    """Take `--trainer.batch_size` for `--trainer.batch-size`; leave a value alone."""
    flag, equals, value = argument.partition("=")
    if flag.startswith("--"):
        flag = flag.replace("_", "-")
    return flag + equals + value


def take(
    arguments: Sequence[str], flags: Mapping[str, Flag], others: Collection[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """Take the flags of the configuration out of a command line.

    Args:
        arguments: the command line.
        flags: those of the configuration.
        others: the other flags that there are.

    Returns:
        What was given, nested as the configuration is; a value is the text that was
        typed. Then what remains of the command line.

    Raises:
        InputError: a value is missing, or is no list or dictionary where it must be.

    Example:
    >>> from dlkeras.pipeline import PipelineConfig
    >>> flags = flags_of(PipelineConfig)
    >>> take(["--tuner.space", "activation=relu,tanh", "--until", "Tuner"], flags)
    ({'tuner': {'space': {'activation': 'relu,tanh'}}}, ['--until', 'Tuner'])
    """
    groups = tuple(
        f"--{no}{name.partition('.')[0].removeprefix('--')}."
        for name in flags
        if "." in name
        for no in ("", "no-")
    )
    given: dict[str, Any] = {}
    rest: list[str] = []
    waiting = deque(arguments)
    while waiting:
        argument = kebab_case(waiting[0])
        name, equals, value = argument.partition("=")
        flag = flags.get(name)
        waiting.popleft()
        if flag is None:
            rest.append(argument)
            continue
        if flag.is_switch and not equals:
            _put(given, flag, not flag.negated)
            continue
        if flag.is_switch and flag.negated:
            raise InputError(f"{name}: expected no value; received {value!r}")
        if not equals:
            after = kebab_case(waiting[0]).partition("=")[0] if waiting else ""
            another = after in flags or after in others or after.startswith(groups)
            if not waiting or another:
                received = waiting[0] if waiting else "nothing"
                raise InputError(
                    f"{name}: expected one argument; received {received}. A value that "
                    f"looks like a flag is written {name}=VALUE"
                )
            value = waiting.popleft()
        _put(given, flag, _value(flag, value))
    return given, rest


def _put(given: dict[str, Any], flag: Flag, value: Any) -> None:
    """Put a value where it belongs; lists and dictionaries given again grow."""
    for name in flag.path[:-1]:
        given = given.setdefault(name, {})
    before = given.get(flag.path[-1])
    if isinstance(value, dict) and isinstance(before, dict):
        value = before | value
    if isinstance(value, list) and isinstance(before, list):
        value = before + value
    given[flag.path[-1]] = value


def _value(flag: Flag, text: str) -> Any:
    if flag.optional and text == UNSET:
        return None
    kind = typing.get_origin(flag.kind) or flag.kind
    if kind is dict:
        return _dictionary(flag.name, text)
    if kind in (tuple, list):
        return _json(flag.name, text) if text[:1] == "[" else text.split(",")
    if kind is Path and not text:
        raise InputError(f"{flag.name}: expected a path; received nothing")
    return text


def _dictionary(name: str, text: str) -> dict[str, Any]:
    if text[:1] == "{":
        return _json(name, text)
    found = {}
    for piece in _NEXT_KEY.split(text):
        key, equals, value = piece.partition("=")
        if not equals or not key:
            raise InputError(
                f"{name}: expected NAME=VALUE or a JSON object; received {piece!r}"
            )
        found[key] = value
    return found


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{name}: expected JSON; received {text!r}: {reason(error)}"
        ) from None


def add_help(
    parser: argparse.ArgumentParser,
    flags: Mapping[str, Flag],
    base: BaseModel,
    grouped: bool = True,
) -> None:
    """Tell a parser of the flags, for `--help`: what they mean, and their defaults."""
    groups: dict[tuple[str, ...], Any] = {(): parser}
    for flag in flags.values():
        if flag.negated:
            continue
        owner: Any = base
        for name in flag.path[:-1]:
            owner = getattr(owner, name)
        group = owner
        if isinstance(owner, dict):
            given = owner.get(flag.path[-1], flag.field.default)
            owner = SimpleNamespace(**{flag.path[-1]: given})
        where = flag.path[:-1] if grouped else ()
        if where not in groups:
            title = ".".join(where).replace("_", "-")
            groups[where] = parser.add_argument_group(
                f"{title} options",
                None if isinstance(group, dict) else type(group).__doc__,
            )
        default = getattr(owner, flag.path[-1])
        text = (flag.field.description or "").replace("%", "%%")
        if default is not None:
            text += f" (default: {_shown(default)})".replace("%", "%%")
        how: dict[str, Any] = {"metavar": _metavar(flag.kind)}
        if flag.is_switch:
            how = {"action": argparse.BooleanOptionalAction}
        groups[where].add_argument(
            flag.name, help=text, default=argparse.SUPPRESS, **how
        )


def _shown(default: Any) -> str:
    if isinstance(default, dict):
        return ",".join(f"{name}={value}" for name, value in default.items())
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _metavar(kind: Any) -> str:
    origin = typing.get_origin(kind)
    if origin is typing.Literal:
        return "{" + ",".join(map(str, typing.get_args(kind))) + "}"
    if origin is dict:
        return "NAME=VALUE"
    return "VALUE,VALUE" if origin is not None else kind.__name__
