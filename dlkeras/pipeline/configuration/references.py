"""The names of the user's own functions and classes, and what they name."""

import difflib
import hashlib
import importlib
import json
import re
import sys
import traceback
from pathlib import Path
from typing import Any

from dlkeras.pipeline.store.errors import InputError, last_line, reason

_REFERENCE = re.compile(r"[^\s:/{}\"']+:[A-Za-z_][\w.]*")
# Functions of a notebook, or within others: this process alone knows them.
_here: dict[str, Any] = {}


def refer(thing: Any, argument: str) -> str:
    """Name a function or a class of the user's as MODULE:NAME, for `find`.

    The module of a script that runs is named as one that imports it would.

    Args:
        thing: the function or the class.
        argument: what it is given as, for the error.

    Raises:
        InputError: it is neither.
    """
    if not callable(thing) or not hasattr(thing, "__qualname__"):
        raise InputError(
            f"main({argument}=...): expected a function; received "
            f"{type(thing).__name__}"
        )
    module, name = thing.__module__, thing.__qualname__
    if module == "__main__":
        module = name_of_main() or module
    reference = f"{module}:{name}"
    _here[reference] = thing
    return reference


def refer_to_source(source: Any) -> str:
    """Name a source of examples: a function, or an object of this process alone."""
    if hasattr(source, "__qualname__"):
        return refer(source, "source")
    reference = f"{name_of_main() or 'notebook'}:source"
    _here[reference] = source
    return reference


def refer_to_callback(callback: Any) -> str:
    """Name a callback of the user's: a class, a function that makes one, or an object.

    An object is known to this process alone.
    """
    if hasattr(callback, "__qualname__"):
        return refer(callback, "callbacks")
    plain = {
        n: v for n, v in vars(callback).items() if isinstance(v, int | float | str)
    }
    told = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
    reference = f"{refer(type(callback), 'callbacks')}@{told[:8]}"
    _here[reference] = callback
    return reference


def is_reference(text: str | None) -> bool:
    """Whether a text of the configuration is MODULE:NAME."""
    return text in _here or bool(_REFERENCE.fullmatch(text or ""))


def find(reference: str, flag: str) -> Any:
    """Import what MODULE:NAME names.

    Args:
        reference: the module, as `import` takes it, from the folder of the script or
            the current one; after the colon the name in it.
        flag: the flag that asks for it, for the error.

    Raises:
        InputError: there is no such module, it cannot be imported, or has no such name.
    """
    if reference in _here:
        return _here[reference]
    module_name, _, name = reference.partition(":")
    if not is_reference(reference):
        raise InputError(
            f"{flag}: expected MODULE:NAME, such as my_module:small_net; "
            f"received {reference!r}"
        )
    if module_name == name_of_main():
        module_name = "__main__"
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    import dlkeras.pipeline.tensorflow_import  # noqa: F401  (quiet, before theirs)

    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        why = "there is no such file here" if module_name.startswith(missing) else ""
        raise InputError(
            f"{flag}: cannot import {module_name}: {why or reason(error)}"
        ) from error
    except Exception as error:  # it is the user's code: whatever it raises
        raise InputError(f"{flag}: {told(error, module_name)}") from error
    thing: Any = module
    for part in name.split("."):
        if not hasattr(thing, part):
            near = difflib.get_close_matches(part, dir(thing), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InputError(f"{flag}: {module_name} has no {part!r}{hint}")
        thing = getattr(thing, part)
    return thing


def told(error: Exception, module: str) -> str:
    """An error of the user's code in a line, with its place in that code."""
    ours = Path(__file__).parents[2]
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in frame.filename
        and not Path(frame.filename).is_relative_to(ours)
        and Path(frame.filename).is_file()
    ]
    if isinstance(error, SyntaxError):
        place = f"{Path(error.filename or module).name}:{error.lineno}"
    elif frames:
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
    else:
        place = module
    return f"{place}: {type(error).__name__}: {last_line(str(error))[:300]}"


def name_of_main() -> str | None:
    """The name by which another process imports the script that runs."""
    main = sys.modules["__main__"]
    if getattr(main, "__spec__", None) is not None:  # by `python -m`
        name = main.__spec__.name
        return name.removesuffix(".__main__") if name != "__main__" else None
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else None
