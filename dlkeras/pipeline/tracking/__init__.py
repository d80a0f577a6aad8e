"""Tracking: the only package that imports mlflow; a pipeline run as MLflow shows it.

Without a server everything is kept below the folder of the runs: `mlflow.db` (SQLite)
and `artifacts/`. Each name is imported when it is first used, since MLflow loads
`served_model` where little else is installed.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlkeras.pipeline.tracking.database.connection import connect as connect
    from dlkeras.pipeline.tracking.database.connection import exists as exists
    from dlkeras.pipeline.tracking.database.connection import (
        resolve_tracking_uri as resolve_tracking_uri,
    )
    from dlkeras.pipeline.tracking.database.connection import ui_command as ui_command
    from dlkeras.pipeline.tracking.queries import list_runs as list_runs
    from dlkeras.pipeline.tracking.queries import pushed_folder as pushed_folder
    from dlkeras.pipeline.tracking.queries import roll_back as roll_back
    from dlkeras.pipeline.tracking.session import track as track
    from dlkeras.pipeline.tracking.tracked_run import run_tracked as run_tracked
    from dlkeras.pipeline.tracking.tracker import Tracker as Tracker

_HOMES = {
    "connect": "database.connection",
    "exists": "database.connection",
    "resolve_tracking_uri": "database.connection",
    "ui_command": "database.connection",
    "list_runs": "queries",
    "pushed_folder": "queries",
    "roll_back": "queries",
    "track": "session",
    "run_tracked": "tracked_run",
    "Tracker": "tracker",
}


def __getattr__(name: str) -> Any:
    """Find a public name where it is defined (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """What the package has, for completion."""
    return sorted([*globals(), *_HOMES])
