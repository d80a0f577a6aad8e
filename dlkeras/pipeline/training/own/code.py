"""The user's own code: in the key of what is trained, and in other processes."""

import importlib
import importlib.util
import inspect
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dlkeras.pipeline.configuration.config import TrainerConfig
from dlkeras.pipeline.configuration.references import find, is_reference, name_of_main
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.training.own.digest import code_digests


def references(trainer: TrainerConfig) -> dict[str, str]:
    """The texts of a configuration that name the user's own code, by their fields."""
    texts: dict[str, str | None] = {
        "network": trainer.network,
        "loss": trainer.loss,
        "optimizer": trainer.optimizer,
        "augmentation": trainer.augmentation,
    }
    texts |= {f"metrics {text}": text for text in trainer.metrics}
    texts |= {f"callbacks {text}": text for text in trainer.callbacks}
    return {name: text for name, text in texts.items() if text and is_reference(text)}


def own_things(trainer: TrainerConfig) -> dict[str, Any]:
    """The user's own functions, classes and objects of a configuration, by field.

    For an object given as JSON they are its class, and those of its parts.
    """
    found = {n: find(t, f"--trainer.{n}") for n, t in references(trainer).items()}
    written = {"loss": trainer.loss, "optimizer": trainer.optimizer}
    written |= {f"metrics {text[:80]}": text for text in trainer.metrics}
    for name, text in written.items():
        if text and text[:1] == "{":
            from dlkeras.pipeline.tensorflow_import import keras

            for registered in sorted(set(_registered_names(json.loads(text)))):
                thing = keras.saving.get_registered_object(registered)
                if thing is not None:
                    found[f"{name} {registered}"] = thing
    return found


def _registered_names(value: Any) -> Iterator[str]:
    """The names under which Keras knows the user's classes, in what it writes."""
    if isinstance(value, Mapping):
        name = value.get("registered_name")
        if isinstance(name, str) and not name.startswith("dlkeras>"):
            yield name
        value = list(value.values())
    for part in value if isinstance(value, list) else ():
        yield from _registered_names(part)


def code_of_trial(trainer: TrainerConfig) -> dict[str, Any]:
    """Digests of the user's own code that a trial of a search depends on."""
    return code_of_trainer(trainer.model_copy(update={"callbacks": ()}))


def code_of_trainer(trainer: TrainerConfig) -> dict[str, Any]:
    """Digests of the user's own code that a training depends on, by field."""
    found = {
        name: dict(code_digests(_definition(thing)))
        for name, thing in own_things(trainer).items()
    }
    if trainer.network is None and (code := code_of(trainer.architecture)):
        found["architecture"] = code
    return found


def _definition(thing: Any) -> Any:
    return thing if hasattr(thing, "__qualname__") else type(thing)


def sources(trainer: TrainerConfig) -> list[Path]:
    """The files of the user's that a training depends on directly."""
    things = list(own_things(trainer).values())
    registry = sys.modules.get("dlkeras.architectures.registry")
    own = registry.registered().get(trainer.architecture) if registry else None
    things += [own] if own is not None and trainer.network is None else []
    files = [_file_of(_definition(thing)) for thing in things]
    return sorted({f for f in files if f and "site-packages" not in f.parts})


def named_apart(files: Iterable[Path]) -> dict[str, Path]:
    """Names for files that go into one folder: their own, or with folders before it.

    >>> list(named_apart([Path("/a/nets.py"), Path("/b/nets.py"), Path("/b/loss.py")]))
    ['a.nets.py', 'b.nets.py', 'loss.py']
    """
    files, found = list(dict.fromkeys(files)), {}
    for file in files:
        depth, alike = 1, [f for f in files if f != file and f.name == file.name]
        while any(f.parts[-depth:] == file.parts[-depth:] for f in alike):
            depth += 1
        found[".".join(part.strip("/") for part in file.parts[-depth:])] = file
    return found


def _file_of(thing: Any) -> Path | None:
    try:
        file = Path(inspect.getsourcefile(thing) or "")
    except TypeError:
        return None
    return file.resolve() if file.is_file() else None


def code_of(name: str) -> dict[str, str]:
    """Digests of the code that builds an architecture of the user's own.

    Of its file, what the function uses counts, directly or not; of modules beside that
    file which it uses, everything. Comments do not.

    Args:
        name: of an architecture; one of the package gives nothing.
    """
    registry = sys.modules.get("dlkeras.architectures.registry")
    builder = registry.registered().get(name) if registry else None
    return {} if builder is None else dict(code_digests(builder))


def remember_code(trainer: TrainerConfig) -> None:
    """Read the user's code now, before anybody edits it."""
    registry = sys.modules.get("dlkeras.architectures.registry")
    for name in registry.registered() if registry else ():
        code_of(name)
    code_of_trainer(trainer)


def modules(trainer: TrainerConfig | None = None) -> dict[str, Any]:
    """What another process needs to find the user's code: for `load`.

    Args:
        trainer: what it will train.

    Raises:
        InputError: something is in no file that another process could import.
    """
    from dlkeras.architectures.registry import registered

    things = dict(registered())
    for field, thing in (own_things(trainer) if trainer else {}).items():
        flag = f"--trainer.{field}"
        things[flag] = thing
        name = getattr(thing, "__qualname__", "<object>")
        if _file_of(thing) is None or "<" in name:
            raise InputError(
                f"{flag}: expected a function at the top of a file, which another "
                "process can import; it is an object, or defined in a notebook or a "
                "function"
            )
    found = {}
    for thing in things.values():
        file = _file_of(thing)
        if file is not None:
            main = thing.__module__ == "__main__"
            found[(main and name_of_main()) or thing.__module__] = str(file)
    return {"path": [p for p in sys.path if p], "modules": found}


def load(known: Mapping[str, Any]) -> None:
    """Import the modules of `modules`; a script's `main` is not called."""
    sys.path += [p for p in known["path"] if p not in sys.path]
    for name, file in known["modules"].items():
        if name in sys.modules:
            continue
        try:
            spec = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            spec = None
        if spec is not None and spec.origin == file:
            importlib.import_module(name)
            continue
        # A script, or a module that its importer has found in a way of its own.
        sys.path.append(str(Path(file).parent))
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            continue
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
