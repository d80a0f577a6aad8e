"""Hardware, driver, precision, versions and process of a run, as tags."""

import contextlib
import os
import platform
import socket
from pathlib import Path

import psutil

from dlkeras.pipeline.engine.versions import package_versions

ALIVE_TAGS = ("dlkeras.host", "dlkeras.pid", "dlkeras.process_started")


def process_tags() -> dict[str, str]:
    """Which process a run belongs to: host, pid and when the process started."""
    values = (
        socket.gethostname(),
        str(os.getpid()),
        repr(psutil.Process().create_time()),
    )
    return dict(zip(ALIVE_TAGS, values, strict=True))


def environment_tags() -> dict[str, str]:
    """Hardware, driver, precision and versions, as tags."""
    tags = {
        f"version.{name}": version
        for name, version in package_versions(
            "dlkeras",
            "keras",
            "tensorflow",
            "tensorflow-datasets",
            "keras-tuner",
            "mlflow",
            "numpy",
        ).items()
    }
    memory = psutil.virtual_memory().total / 2**30
    tags |= {
        "version.python": platform.python_version(),
        "hardware.cpu": _cpu_model(),
        "hardware.cores": str(os.cpu_count()),
        "hardware.memory": f"{memory:.0f} GiB",
        "hardware.system": platform.platform(),
        "precision": os.environ.get("KERAS_FLOATX", "float32"),
    }
    return tags | _gpu_tags()


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _gpu_tags() -> dict[str, str]:
    import pynvml

    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
        names = [
            pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(index))
            for index in range(count)
        ]
        driver = pynvml.nvmlSystemGetDriverVersion()
    except pynvml.NVMLError:
        return {"hardware.gpu": "none"}
    return {"hardware.gpu": ", ".join(names) or "none", "hardware.gpu_driver": driver}


def process_is_gone(tags: dict[str, str]) -> bool:
    """Whether the process that these tags name ran on this machine, and has ended."""
    host, pid, started = (tags.get(tag) for tag in ALIVE_TAGS)
    if host != socket.gethostname() or not pid or not started:
        return False
    try:
        return psutil.Process(int(pid)).create_time() != float(started)
    except psutil.NoSuchProcess:
        return True
