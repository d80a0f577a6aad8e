"""Versions of installed packages, read without importing them."""

import functools
import hashlib
import importlib.metadata
from pathlib import Path

import dlkeras


@functools.cache
def package_version(name: str) -> str:
    """Version of an installed package, or "not installed"."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def package_versions(*names: str) -> dict[str, str]:
    """Versions of installed packages by name."""
    return {name: package_version(name) for name in names}


@functools.cache
def code_digest(*modules: str) -> str:
    """SHA-256 of the source of modules of dlkeras, as 16 hexadecimal digits.

    Args:
        modules: names below the package: "pipeline.trainer", or a package's, all of
            whose files count: "architectures".
    """
    root = Path(dlkeras.__file__).parent
    digest = hashlib.sha256()
    for module in sorted(modules):
        path = root.joinpath(*module.split("."))
        files = (
            sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
        )
        for file in files:
            digest.update(file.relative_to(root).as_posix().encode() + b"\0")
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
