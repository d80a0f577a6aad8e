"""Tracking: shows a run in MLflow; the only package that imports mlflow.

Without a server everything is kept below the folder of the runs: `mlflow.db` (SQLite)
and `artifacts/`. Each name is imported when it is first used, since MLflow loads
`served_model` where little else is installed.
"""

from typing import TYPE_CHECKING

from dlkeras.on_demand import on_demand

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

__getattr__, __dir__ = on_demand(__name__)
