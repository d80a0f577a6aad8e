"""Versions of installed packages, read without importing them."""

import functools
import importlib.metadata


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
