"""A folder in MLflow's format, which is looked into before MLflow reads it."""

import os
from pathlib import Path
from typing import Any

import yaml

from dlkeras.pipeline.store.errors import InputError, reason
from dlkeras.untrusted.gate import UntrustedFileError, open_regular, read_regular

LOADER = "dlkeras.pipeline.tracking.served_model"
# What is answered unless something else is asked for: a choice, and no code.
ANSWER = {"answer": "probabilities"}
# What MLflow writes of a model like ours. For other keys it would run code: pickles,
# and folders that it puts on the module path.
_KEYS = frozenset(("data", "env", "loader_module", "python_version", "streamable"))
_CONFIG = ("config", ANSWER)
# The names of all classes are in MLmodel, and one image in an example beside it.
_MAX_DESCRIPTION = 2**22
_MAX_BESIDE = 2**23
_MOST_PARTS, _LONGEST, _DEEPEST = 200_000, 2**16, 50


def data_folder(folder: Path) -> Path:
    """What the pusher wrote, inside a folder in MLflow's format.

    Raises:
        InputError: it is not a model that the pusher registered.
    """
    return folder / check_flavors(folder)["data"]


def check_flavors(folder: Path) -> dict[str, Any]:
    """Refuse a model that is not loaded by this package alone.

    Returns:
        How it is loaded, as its `MLmodel` says.

    Raises:
        InputError: its `MLmodel` names another loader, or code or a pickle of its own;
            or a file beside it is not what MLflow writes there.
    """
    from mlflow.pyfunc import FLAVOR_NAME  # half a second, which few need

    try:
        described = _description(folder)
        flavor = described["flavors"][FLAVOR_NAME]
        loader = flavor.get("loader_module")
        found = sorted(
            key
            for key in flavor
            if flavor[key] and key not in _KEYS and (key, flavor[key]) != _CONFIG
        )
        data = folder / str(flavor.get("data", ""))
        _check_beside(folder, described)
    except UntrustedFileError as error:
        raise InputError(
            f"MODEL: expected a model in MLflow's format; {error}"
        ) from error
    except Exception as error:  # a file from outside may be anything
        file = folder / "MLmodel"
        why = reason(error) if file.is_file() else "there is no such file"
        raise InputError(
            f"MODEL: expected MLflow's description of a model in {file}; {why}"
        ) from error
    inside = data.resolve().is_relative_to(folder.resolve())
    if loader != LOADER or found or not inside:
        raise InputError(
            f"MODEL: expected a model that {LOADER} loads, from a folder beside its "
            f"MLmodel and without code of its own; {folder / 'MLmodel'} has loader "
            f"{loader!r}, data {flavor.get('data')!r} and {found or 'no code'}: it is "
            "not loaded"
        )
    return flavor


def _description(folder: Path) -> Any:
    """Read what `MLmodel` says, before MLflow does: YAML has forms that never end."""
    file = folder / "MLmodel"
    text = read_regular(file, _MAX_DESCRIPTION)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=loader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            # Nine lists, each of nine times the one before, make 400 million.
            raise UntrustedFileError(f"{file} repeats its parts (*name)")
        long = isinstance(event, yaml.ScalarEvent) and len(event.value) > _LONGEST
        if long or depth > _DEEPEST or number > _MOST_PARTS:
            raise UntrustedFileError(f"{file} is too long or nested too deep")
    reader = loader(text)
    try:
        return reader.get_single_data()
    finally:
        reader.dispose()


def _check_beside(folder: Path, described: Any) -> None:
    """Refuse files that MLflow would read with no bound, or elsewhere."""
    for entry in os.scandir(folder):
        if not entry.is_dir():
            open_regular(entry.path, _MAX_BESIDE).close()
    example = described.get("saved_input_example_info") or {}
    for name in (example.get("artifact_path"), example.get("serving_input_path")):
        if name is not None and name not in os.listdir(folder):
            raise UntrustedFileError(f"{folder}: its example is {str(name)[:80]!r}")
    requirements = folder / "requirements.txt"
    if requirements.exists():
        text = read_regular(requirements, _MAX_BESIDE)
        if any(line.lstrip().startswith(b"-") for line in text.splitlines()):
            raise UntrustedFileError(f"{requirements} names other files than packages")
