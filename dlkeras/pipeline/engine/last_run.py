"""The statistics of a pipeline's last run, to compare new data with."""

import contextlib
from typing import Any

from dlkeras.pipeline.artifacts.types import Anomalies, Statistics
from dlkeras.pipeline.engine.execution import Run
from dlkeras.pipeline.engine.lineage import read_lineage_file
from dlkeras.pipeline.store.errors import CorruptArtifactError
from dlkeras.pipeline.store.publishing import Store


def last_statistics(run: Run, statistics: Statistics) -> Statistics | None:
    """Find the statistics of the last run that had other data, and valid ones.

    Runs of the same data are passed over: running a pipeline again changes nothing, and
    a warning does not vanish by it. So are runs that the validator stopped: what it
    refused is no measure for what comes next.

    Args:
        run: the run that asks.
        statistics: what it found.

    Returns:
        The statistics; None where there are none, or no longer.
    """
    store = run.store
    files = (store.root / "runs").glob("*.json")
    for file in sorted(files, key=lambda f: f.stat().st_mtime_ns, reverse=True):
        if file.stem == run.run_id:
            continue
        with contextlib.suppress(CorruptArtifactError, KeyError, TypeError):
            lineage = read_lineage_file(file)
            if lineage["pipeline"] != run.config.name:
                continue
            keys = {step["type"]: step["key"] for step in lineage["steps"]}
            found = _find(store, Statistics, keys.get("Statistics"))
            anomalies = _find(store, Anomalies, keys.get("Anomalies"))
            if found is None or anomalies is None or _stopped(anomalies):
                continue
            if found.record.digest != statistics.record.digest:
                return found
    return None


def _find(store: Store, kind: type, key: str | None) -> Any:
    """Look an artifact of an earlier run up; one that was altered does not count."""
    with contextlib.suppress(CorruptArtifactError):
        return store.find(kind, key) if key else None
    return None


def _stopped(anomalies: Anomalies) -> bool:
    return anomalies.properties["anomalies"] > anomalies.properties["warnings"]
