"""A pushed model by its file, its folder or its name, compared with its manifest."""

from pathlib import Path

from dlkeras.pipeline.artifacts.manifest import check_manifest
from dlkeras.pipeline.artifacts.types import PushedModel
from dlkeras.pipeline.examples.labels import read_labels
from dlkeras.pipeline.store.errors import InputError, NoSuchModelError


def load_pushed_model(
    model: str, tracking_uri: str | None, mlruns: Path
) -> tuple[Path, list[str] | None]:
    """Find a model's file and the names of its classes.

    Args:
        model: path of a `.keras` file or of a folder with `model.keras`, or the name
            of a registered model: `name` (its champion), `name@alias` or
            `name/version`, with or without `models:/` before it.
        tracking_uri: the MLflow server or database.
        mlruns: folder of the runs.

    Returns:
        The file, and the labels beside it; None where there are none.

    Raises:
        InputError: there is no such file, and no such name in the registry.
        CorruptArtifactError: a file is not the one in the manifest beside it.
    """
    path, is_registered = Path(model), False
    if path.is_dir():
        path = path / PushedModel.MODEL
    if path.suffix != ".keras" and not path.exists():
        from dlkeras.pipeline.tracking.database.connection import exists
        from dlkeras.pipeline.tracking.queries import pushed_folder

        try:
            if not exists(tracking_uri, mlruns):
                hint = f"there are no runs in {mlruns} (--mlruns)"
                raise NoSuchModelError(model, hint)
            folder = pushed_folder(tracking_uri, mlruns, model)
        except NoSuchModelError as error:
            raise InputError(
                "MODEL: expected a .keras file, or the name of a registered model "
                f"(name, name@alias or name/version); received {model!r}: {error.found}"
            ) from error
        path, is_registered = folder / PushedModel.MODEL, True
    if not path.is_file():
        what = "is a pipe or a device" if path.exists() else "does not exist"
        raise InputError(f"MODEL: expected a file; {path} {what}")
    check_manifest(path.parent, required=is_registered)
    return path, read_labels(path.parent)
