"""The picture of transfer: the pipeline script's own trainings, some minutes."""

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

from dlkeras import visualization as show

SCRIPT = Path(__file__).parent.parent / "pipelines" / "transfer_vehicles.py"


def transfer(mlruns: Path | None = None) -> Any:
    """Draw how well 5 to 9 are learnt from few labels, from scratch and from 0 to 4.

    Args:
        mlruns: where the script has run before; `None` trains everything anew.
    """
    spec: Any = importlib.util.spec_from_file_location("transfer_vehicles", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    with tempfile.TemporaryDirectory() as folder:
        place = mlruns or Path(folder)
        found, _ = script.compared(None, place, [10, 30, 100], 5)
    title = "Transfer from digits 0-4 to 5-9: 5 seeds, and their mean"
    return show.accuracy_by_examples(found, title)
