"""Environment variables in place of flags, such as `DLKERAS_TRAINER__EPOCHS=5`."""

import difflib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from dlkeras.pipeline.configuration.config import merge
from dlkeras.pipeline.configuration.flags import UNSET, Flag, take
from dlkeras.pipeline.store.errors import InputError

PREFIX = "DLKERAS_"
# Either decides what is trained.
NETWORKS = ("network", "architecture")


def network_given(given: Mapping[str, Any]) -> dict[str, str | None]:
    """The network or the architecture that flags name, or else the environment."""
    flags = {n: v for n, v in given.get("trainer", {}).items() if n in NETWORKS}
    variables = {n: f"{PREFIX}TRAINER__{n.upper()}" for n in NETWORKS}
    names = variables
    found = {n: os.environ[v] for n, v in variables.items() if v in os.environ}
    if flags:
        found, names = flags, {n: f"--trainer.{n}" for n in NETWORKS}
    if len(found) > 1 and found["network"] not in (None, UNSET):
        raise InputError(
            f"{names['architecture']}: expected this or {names['network']}, which "
            f"decides the network alone; received {found['architecture']} beside "
            f"{found['network']}"
        )
    return {n: None if v == UNSET else v for n, v in found.items()}


def variables_of(flags: Mapping[str, Flag]) -> dict[str, Flag]:
    """The environment variable of each flag, such as `DLKERAS_TRAINER__EPOCHS`."""
    return {
        f"{PREFIX}{'__'.join(flag.path).upper()}": flag
        for flag in flags.values()
        if not flag.negated
    }


def from_environment(variables: Mapping[str, Flag]) -> dict[str, Any]:
    """What the environment says of the configuration, nested as that is."""
    found: dict[str, Any] = {}
    sections = {f"{PREFIX}{f.path[0].upper()}__" for f in variables.values()}
    for name, text in os.environ.items():
        flag = variables.get(name)
        if flag is None:
            if name.startswith(tuple(sections)):
                raise InputError(explain(name, list(variables)))
            continue
        try:
            given, _ = take([f"{flag.name}={text}"], {flag.name: flag})
        except InputError as error:
            raise InputError(str(error).replace(flag.name, name, 1)) from error
        found = merge(found, given)
    return found


def is_given(given: Mapping[str, Any], path: Sequence[str]) -> bool:
    """Whether a nested dictionary has a value at a path."""
    for name in path:
        if name not in given:
            return False
        given = given[name]
    return True


def explain(unknown: str, known: Sequence[str]) -> str:
    """Say that there is no such flag or variable, and which ones resemble it."""
    near = difflib.get_close_matches(unknown, known, n=3, cutoff=0.6) or [
        name for name in known if unknown.strip("-") in name
    ]
    hint = f"did you mean {' or '.join(near[:3])}?" if near else "see --help-all"
    kind = "flag" if unknown.startswith("-") else "variable"
    if not unknown.startswith(("-", PREFIX)):
        return f"expected flags; received {unknown!r}, which belongs to none"
    return f"{unknown}: expected a {kind} of this pipeline; {hint}"
