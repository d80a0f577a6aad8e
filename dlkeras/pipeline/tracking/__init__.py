"""Tracking: the only package that imports mlflow; a pipeline run as MLflow shows it.

Without a server everything is kept below the folder of the runs: `mlflow.db` (SQLite)
and `artifacts/`.
"""

from dlkeras.pipeline.tracking.connection import connect as connect
from dlkeras.pipeline.tracking.connection import exists as exists
from dlkeras.pipeline.tracking.connection import (
    resolve_tracking_uri as resolve_tracking_uri,
)
from dlkeras.pipeline.tracking.connection import ui_command as ui_command
from dlkeras.pipeline.tracking.queries import list_runs as list_runs
from dlkeras.pipeline.tracking.queries import pushed_folder as pushed_folder
from dlkeras.pipeline.tracking.queries import roll_back as roll_back
from dlkeras.pipeline.tracking.session import track as track
from dlkeras.pipeline.tracking.tracker import Tracker as Tracker
