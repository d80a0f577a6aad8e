"""The pictures of transfer: the pipeline script's own trainings, minutes to an hour.

The photographs are those of `cifar10_small.tar.xz` in the folder `DLKERAS_DATA`.
"""

import importlib.util
import os
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from dlkeras import visualization as show

SCRIPT = Path(__file__).parent.parent / "pipelines" / "transfer_vehicles.py"


def transfer(mlruns: Path | None = None, photos: Path | None = None) -> Any:
    """Draw how well 5 to 9 are learnt from few labels, from scratch and from 0 to 4.

    Args:
        mlruns: where the script has run before; `None` trains everything again.
        photos: folder of CIFAR-10's photographs, animals to vehicles.
    """
    spec: Any = importlib.util.spec_from_file_location("transfer_vehicles", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    with tempfile.TemporaryDirectory() as folder:
        place = mlruns or Path(folder)
        found, _ = script.compared(photos, place, [10, 30, 100], 5)
    names = "animals to vehicles" if photos else "digits 0-4 to 5-9"
    title = f"Transfer from {names}: 5 seeds, and their mean"
    return show.accuracy_by_examples(found, title=title)


def transfer_photos(mlruns: Path | None = None) -> Any:
    """Draw the same from animals to vehicles; `None` where there are no photographs."""
    archive = Path(os.environ.get("DLKERAS_DATA", "")) / "cifar10_small.tar.xz"
    if not archive.is_file():
        return None
    with tempfile.TemporaryDirectory() as folder, tarfile.open(archive) as photos:
        photos.extractall(folder, filter="data")
        return transfer(mlruns, Path(folder) / "cifar10_small")
