"""Which source a configuration means, and a digest that says whether it changed."""

import os
import re
from pathlib import Path
from typing import Any

from dlkeras.datasets import PACKAGED
from dlkeras.pipeline.config import ExampleGenConfig
from dlkeras.pipeline.sources.image_folder import ImageFolderSource, unpack
from dlkeras.pipeline.sources.manifest import ManifestSource
from dlkeras.pipeline.sources.numpy_arrays import NumpySource
from dlkeras.pipeline.sources.source import Source
from dlkeras.pipeline.sources.tfds_source import TFDSSource
from dlkeras.pipeline.sources.walking import walk
from dlkeras.pipeline.store import canonical_digest


def open_source(config: ExampleGenConfig, data_dir: Path, scratch: Path) -> Source:
    """Open the source that a configuration names.

    Args:
        config: which source.
        data_dir: where TFDS prepares data sets, unless the configuration says.
        scratch: a folder for what is needed only while the source is read.

    Raises:
        InputError: the source does not exist, or is not what it should be.
    """
    if config.image_folder is not None:
        folder = config.image_folder
        if folder.is_file():
            scratch.mkdir(parents=True, exist_ok=True)
            return ImageFolderSource(unpack(folder, scratch), folder.name)
        return ImageFolderSource(folder)
    if config.manifest is not None:
        return ManifestSource(config.manifest)
    if config.npz is not None:
        return NumpySource(config.npz, scratch)
    packaged = re.split("[:/]", config.dataset)[0] in PACKAGED
    packaged = packaged and config.builder_dir is None
    if packaged and config.data_dir is None:
        return TFDSSource(config, scratch)  # a second, anew each time
    return TFDSSource(config, config.data_dir or data_dir)


def fingerprint(config: ExampleGenConfig) -> str:
    """A digest that changes when the files of the source do, without reading them."""
    if config.image_folder is not None:
        return _stat_digest(config.image_folder)
    if config.manifest is not None:
        # Images may lie anywhere below the table's folder.
        return _stat_digest(config.manifest.parent)
    if config.npz is not None:
        return _stat_digest(config.npz)
    if config.builder_dir is not None:
        return _stat_digest(config.builder_dir)
    if config.data_dir is not None:
        return _stat_digest(config.data_dir / re.split(r"[:/]", config.dataset)[0])
    return ""


def _stat_digest(place: Path) -> str:
    """Digest the names, sizes and times of a file, or of all below a folder."""
    found: list[Any] = []
    if not place.is_dir():
        found.append(_stat(str(place), place.name))
    for folder, folders, names in walk(place):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            found.append(_stat(path, os.path.relpath(path, place)))
    return canonical_digest(found)


def _stat(path: str, name: str) -> list[Any]:
    name = os.fsencode(name).decode("utf-8", "backslashreplace")
    try:
        stat = os.stat(path)
    except OSError:
        return [name, None]
    return [name, stat.st_size, stat.st_mtime_ns]
