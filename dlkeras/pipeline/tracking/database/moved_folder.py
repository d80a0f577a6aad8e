"""MLflow's absolute paths, mended where the folder of the runs has been moved.

MLflow keeps where the files of each experiment, run and model are. After `mv`, `cp -r`
or a mount at another place, those are in the folder beside the database, and no longer
where it says.
"""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dlkeras.pipeline.store.errors import TrackingError
from dlkeras.pipeline.store.ownership import living_owner
from dlkeras.pipeline.tracking.database.patient_sqlite import opened

ARTIFACTS = "artifacts"
# Where MLflow keeps paths: table, column, and which rows.
LOCATIONS = (
    ("experiments", "artifact_location", ""),
    ("runs", "artifact_uri", ""),
    ("logged_models", "artifact_location", ""),
    ("model_versions", "source", ""),
    ("model_versions", "storage_location", ""),
    ("model_version_tags", "value", " AND key = 'dlkeras.path'"),
    ("datasets", "dataset_source", ""),
)


def mend_locations(file: Path, say: Callable[[str], None], *, reading: bool) -> None:
    """Lead MLflow to the files beside its database, where it names another folder.

    Args:
        file: the database of a folder of runs; the caller holds the lock beside it.
        say: is told where the folder was before.
        reading: whether the caller starts no run; then a folder that others use at its
            old place is left as it is.

    Raises:
        TrackingError: a run that is alive uses the folder by its old path.
    """
    here = file.parent.resolve()
    with closing(opened(file)) as database:
        found = database.execute("SELECT artifact_location FROM experiments")
        roots = {
            root
            for (location,) in found
            if (root := moved_from(location, here)) is not None
        }
        if not roots:
            return
        before = ", ".join(map(str, sorted(roots)))
        owner = _living_run(here)
        if owner is not None:
            if reading:
                return
            raise TrackingError(
                f"{here}: {owner} uses this folder, and calls it {before}; give the "
                "folder one path on all machines, or wait until that run has ended"
            )
        with database:
            for root in roots:
                for old, new in _spellings(root, here):
                    for table, column, rows in LOCATIONS:
                        database.execute(
                            f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                            f"WHERE substr({column}, 1, ?) = ?{rows}",
                            (new, len(old) + 1, len(old), old),
                        )
    say(f"{here} was {before} before: MLflow now finds its files there")


def check_location(name: str, location: str, here: Path) -> None:
    """Refuse a folder that has moved, of a database that is not in it.

    Others may use that database, so its paths are not changed.

    Args:
        name: an experiment.
        location: where the database says that its files are.
        here: the folder of the runs.

    Raises:
        TrackingError: the files are here, and no longer there.
    """
    root = moved_from(location, here)
    if root is not None and not root.exists():
        raise TrackingError(
            f"expected {root}, where MLflow's database has the files of {name!r}; now "
            f"they are in {here}: move the folder back, or link to it: "
            f"ln -s {here} {root}"
        )


def moved_from(location: str | None, here: Path) -> Path | None:
    """The folder of runs that an experiment's files were in, if it is not here."""
    url = urlsplit(location or "")
    if url.scheme not in ("", "file"):
        return None
    path = Path(unquote(url.path) if url.scheme else str(location))
    root = path.parent.parent
    # A location that a user chose elsewhere has no twin here, and a folder that is
    # linked to from here has not moved.
    twin = here / ARTIFACTS / path.name
    mine = path.parent.name == ARTIFACTS and root != here and twin.is_dir()
    return root if mine and not (path.exists() and path.samefile(twin)) else None


def _spellings(root: Path, here: Path) -> list[tuple[str, str]]:
    """The beginnings of paths and addresses in a folder, and what they are now."""
    paths = [
        (f"{root.as_uri()}/", f"{here.as_uri()}/"),
        (f"file://{root}/", f"{here.as_uri()}/"),
        (f"{root}/", f"{here}/"),
    ]
    # A data set's source is JSON, whose first key this is.
    old, new = (json.dumps({"uri": f"{folder}/"})[:-2] for folder in (root, here))
    return [*paths, (old, new)]


def _living_run(here: Path) -> object | None:
    """Who runs a job in the folder at this moment."""
    for file in (here / "store" / "locks").glob("run-*.owner"):
        owner = living_owner(file.with_suffix(".lock"))
        if owner is not None:
            return owner
    return None
