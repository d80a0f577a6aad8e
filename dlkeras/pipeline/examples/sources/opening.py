"""Which source a configuration means, and a digest that says whether it changed."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dlkeras.datasets import PACKAGED
from dlkeras.pipeline.configuration.config import ExampleGenConfig
from dlkeras.pipeline.examples.sources.image_folder import ImageFolderSource, unpack
from dlkeras.pipeline.examples.sources.manifest import ManifestSource, named_files
from dlkeras.pipeline.examples.sources.numpy_arrays import NumpySource
from dlkeras.pipeline.examples.sources.own_source import spooled
from dlkeras.pipeline.examples.sources.source import Source
from dlkeras.pipeline.examples.sources.tfds_source import TFDSSource
from dlkeras.pipeline.examples.sources.walking import walk
from dlkeras.pipeline.store.publishing import canonical_digest


def open_source(config: ExampleGenConfig, data_dir: Path, scratch: Path) -> Source:
    """Open the source that a configuration names.

    Args:
        config: which source.
        data_dir: where TFDS prepares data sets, unless the configuration says.
        scratch: a folder for what is needed only while the source is read.

    Raises:
        InputError: the source does not exist, or is not what it should be.
    """
    if config.source is not None:
        return spooled(config.source)
    if config.image_folder is not None:
        folder = config.image_folder
        if folder.is_file():
            scratch.mkdir(parents=True, exist_ok=True)
            return ImageFolderSource(
                unpack(folder, scratch), folder.name, config.layout
            )
        return ImageFolderSource(folder, layout=config.layout)
    if config.manifest is not None:
        return ManifestSource(
            config.manifest, config.columns, config.image_root, config.task
        )
    if config.npz is not None:
        return NumpySource(config.npz, scratch)
    packaged = re.split("[:/]", config.dataset_name)[0] in PACKAGED
    packaged = packaged and config.builder_dir is None
    if packaged and config.data_dir is None:
        return TFDSSource(config, scratch)  # a second each time
    return TFDSSource(config, config.data_dir or data_dir)


def fingerprint(config: ExampleGenConfig) -> str:
    """A digest that changes when the files of the source do, without reading them.

    Only what is used counts: a folder of data may hold the runs as well, or a
    repository, which change all the time.

    Args:
        config: which source.

    Raises:
        InputError: the source does not exist, or is not what it should be.
    """
    if config.source is not None:
        return spooled(config.source).digest
    if config.image_folder is not None:
        folder = config.image_folder
        if folder.is_file():
            return _stat_digest(folder.parent, [folder.name])
        return _stat_digest(folder, sorted(open_source(config, folder, folder).paths))
    if config.manifest is not None:
        table = config.manifest
        files = named_files(table, config.columns, config.image_root, config.task)
        return _stat_digest(table.parent, [table.name, *files])
    if config.npz is not None:
        return _stat_digest(config.npz.parent, [config.npz.name])
    if config.builder_dir is not None:
        return _stat_digest(config.builder_dir, _directly_in(config.builder_dir))
    if config.data_dir is not None:
        name = re.split(r"[:/]", config.dataset_name)[0]
        place = config.data_dir / name
        if not place.is_dir() and (config.download or name in PACKAGED):
            TFDSSource(config, config.data_dir)  # new files would be a change later
        names: list[str] = []
        for folder, folders, _ in walk(place, "--example-gen.data-dir"):
            folders[:] = sorted(name for name in folders if name[0] != ".")
            names += [os.path.join(folder, n) for n in _directly_in(Path(folder))]
        return _stat_digest(place, [os.path.relpath(name, place) for name in names])
    return ""


def _directly_in(folder: Path) -> list[str]:
    """The files of a folder that TFDS has written, which has none below."""
    if not folder.is_dir():
        return [""]
    return sorted(f.name for f in folder.iterdir() if f.name[0] != "." and f.is_file())


def _stat_digest(folder: Path, names: Iterable[str]) -> str:
    """Digest the names, sizes and times of files below a folder."""
    return canonical_digest([_stat(os.path.join(folder, n), n) for n in names])


def _stat(path: str, name: str) -> list[Any]:
    name = os.fsencode(name).decode("utf-8", "backslashreplace")
    try:
        stat = os.stat(path)
    except (OSError, ValueError):
        return [name, None]
    return [name, stat.st_size, stat.st_mtime_ns]
