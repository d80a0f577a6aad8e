"""`dlkeras doctor`: what your machine has, and what will not work together."""

import argparse
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dlkeras.pipeline.engine.versions import package_version
from dlkeras.pipeline.store.errors import PipelineError, reason

HELP = "check versions, backend, devices and folders"
PACKAGES = (
    "dlkeras",
    "tensorflow",
    "keras",
    "tensorflow-datasets",
    "keras-tuner",
    "tensorboard",
    "mlflow",
    "numpy",
    "pandas",
    "scikit-learn",
    "matplotlib",
    "pydantic",
)
MIN_FREE_GIB = 1.0


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    what: str
    value: str
    ok: bool = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare no flag: it takes only what every command takes."""
    del parser


def run(options: argparse.Namespace) -> int:
    """Print each finding; 1 where one is a problem."""
    problems = 0
    for finding in findings(options.mlruns, options.tracking_uri):
        mark = "ok  " if finding.ok else "BAD "
        print(f"{mark}{finding.what}: {finding.value}")
        problems += not finding.ok
    print(f"problems found: {problems}" if problems else "all well")
    return 1 if problems else 0


def findings(mlruns: Path, tracking_uri: str | None) -> Iterator[Check]:
    """Look at the Python, the packages, the backend, the devices and the folders.

    Args:
        mlruns: folder of the runs.
        tracking_uri: the MLflow server or database.

    Yields:
        A check for each thing; those with `ok=False` say what to do.
    """
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    hint = "" if supported else "; expected 3.11, 3.12 or 3.13"
    yield Check("Python", platform.python_version() + hint, supported)
    for package in PACKAGES:
        version = package_version(package)
        yield Check(package, version, version != "not installed")
    yield from _known_conflicts()
    yield _folder(mlruns)
    yield _mlflow(tracking_uri, mlruns)
    yield from _devices()


def _known_conflicts() -> Iterator[Check]:
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    yield Check(
        "KERAS_BACKEND",
        backend
        if backend == "tensorflow"
        else f"{backend}; the pipeline needs tensorflow: unset it",
        backend == "tensorflow",
    )
    both = "not installed" not in (
        package_version("tensorflow"),
        package_version("tensorflow-cpu"),
    )
    if both:
        yield Check(
            "tensorflow-cpu",
            "installed beside tensorflow, which it overwrites: uninstall both, then "
            "install tensorflow",
            False,
        )
    if package_version("tf-keras") != "not installed" or os.environ.get(
        "TF_USE_LEGACY_KERAS", "0"
    ) not in ("0", ""):
        yield Check(
            "TF_USE_LEGACY_KERAS",
            "Keras 2 is installed or asked for; dlkeras needs Keras 3: unset the "
            "variable, uninstall tf-keras",
            os.environ.get("TF_USE_LEGACY_KERAS", "0") in ("0", ""),
        )
    digits = re.findall(r"\d+", package_version("keras"))
    safe = [int(part) for part in digits[:2]] >= [3, 14]
    yield Check(
        "keras's model files",
        "free of CVE-2025-1550, -8747, -9905, -9906 and CVE-2026-1462"
        if safe
        else "may run code when loaded (CVE-2025-1550 and others): expected Keras 3.14 "
        "or newer",
        safe,
    )


def _folder(mlruns: Path) -> Check:
    """Whether the folder, or where it would be made, can be written."""
    what = f"folder {mlruns}"
    place = mlruns
    while not place.exists():
        place = place.absolute().parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return Check(what, f"cannot be written: {error.strerror}", False)
    free = shutil.disk_usage(place).free / 2**30
    return Check(what, f"writable, {free:.1f} GiB free", free >= MIN_FREE_GIB)


def _mlflow(tracking_uri: str | None, mlruns: Path) -> Check:
    from dlkeras.pipeline import tracking

    uri = tracking.resolve_tracking_uri(tracking_uri, mlruns)
    if not tracking.exists(tracking_uri, mlruns):
        return Check("MLflow", f"{uri} will be made by the first run")
    try:
        tracking.connect(tracking_uri, mlruns, make=False)
    except PipelineError as error:
        return Check("MLflow", str(error), False)
    return Check("MLflow", f"{uri} answers")


def _devices() -> Iterator[Check]:
    try:
        from dlkeras.pipeline.tensorflow_import import keras, tf
    except ImportError as error:
        what = f"fails: {reason(error)}"
        yield Check("import of TensorFlow and Keras", what, False)
        return
    yield Check("floating point", keras.config.floatx())
    devices = tf.config.list_physical_devices()
    kinds = [device.device_type for device in devices]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    yield Check("devices", f"{counts}, {os.cpu_count()} cores")
