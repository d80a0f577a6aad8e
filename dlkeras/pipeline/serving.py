"""Serving by hand: a pushed model found by name, and images classified with it."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from dlkeras.pipeline.artifacts import PushedModel
from dlkeras.pipeline.errors import InputError, reason
from dlkeras.pipeline.image_decoding import decode, read_image_file, with_channels
from dlkeras.pipeline.image_decoding import image_pixels as image_pixels
from dlkeras.pipeline.labels import read_labels
from dlkeras.pipeline.manifest import check_manifest

TOP = 3
# Weights are noise, which hardly packs: Keras stores them unpacked.
MAX_RATIO = 20
MAX_SLACK = 2**24


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
        from dlkeras.pipeline import tracking

        folder, hint = None, f"; there are no runs in {mlruns} (--mlruns)"
        if tracking.exists(tracking_uri, mlruns):
            hint = ""
            folder = tracking.pushed_folder(tracking_uri, mlruns, model)
        if folder is None:
            raise InputError(
                "MODEL: expected a .keras file, or the name of a registered model "
                f"(name, name@alias or name/version); received {model!r}{hint}"
            )
        path, is_registered = folder / PushedModel.MODEL, True
    if not path.is_file():
        raise InputError(f"MODEL: expected a file; {path} does not exist")
    check_manifest(path.parent, required=is_registered)
    return path, read_labels(path.parent)


def predict(
    model_path: Path,
    labels: list[str] | None,
    images: Sequence[Path],
    invert: bool = False,
) -> list[dict[str, Any]]:
    """Classify image files.

    Args:
        model_path: a `.keras` file: raw uint8 images to class probabilities.
        labels: names of the classes; None uses their numbers.
        images: PNG, JPEG or other image files of any size.
        invert: take 255 minus each pixel.

    Returns:
        For each image its path and the three likeliest classes: label, probability.

    Raises:
        InputError: an image cannot be read, or the model cannot be loaded.
    """
    pixels = [_read(path) for path in images]  # before TensorFlow: errors come at once

    model = load_safely(model_path)
    channels, classes = model.input_shape[-1], model.output_shape[-1]
    if labels is not None and len(labels) != classes:
        raise InputError(
            f"MODEL: expected a label for each of the {classes} classes of "
            f"{model_path}; {len(labels)} stand beside it"
        )
    answers = []
    for path, image in zip(images, pixels, strict=True):
        image = with_channels(image, channels)
        probabilities = np.asarray(model((255 - image if invert else image)[None]))[0]
        order = np.argsort(-probabilities, kind="stable")[:TOP]
        answers.append(
            {
                "image": str(path),
                "top": [
                    {
                        "label": labels[index] if labels else str(index),
                        "probability": float(probabilities[index]),
                    }
                    for index in order
                ],
            }
        )
    return answers


def _read(path: Path) -> np.ndarray:
    try:
        return decode(read_image_file(path))[1]
    except (OSError, ValueError) as error:
        raise InputError(
            f"IMAGE: expected an image file; {path}: {reason(error)}"
        ) from error


def load_safely(path: Path) -> Any:
    """Load a `.keras` file from anywhere: it runs no code, and unpacks to what it says.

    Args:
        path: the file.

    Returns:
        The Keras model.

    Raises:
        InputError: it is not a whole `.keras` file, is far larger when unpacked, names
            files elsewhere, or has a part that safe mode refuses.
    """
    _check_archive(path)
    from dlkeras.pipeline.tensorflow_import import keras

    try:
        return keras.saving.load_model(path)  # safe_mode stays on
    except Exception as error:  # a file from outside may raise anything
        raise InputError(
            f"MODEL: expected a whole Keras model in {path}; {reason(error)}"
        ) from error


def _check_archive(path: Path) -> None:
    """Look at the members of a `.keras` file before anything of it is unpacked."""
    expected = f"MODEL: expected a whole Keras model in {path}; "
    if path.is_symlink():
        raise InputError(f"{expected}it is a link to another file")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        reason = "it is cut short, or of another kind"
        raise InputError(expected + reason) from error
    size = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if size > MAX_RATIO * packed + MAX_SLACK:
        raise InputError(f"{expected}its {packed} bytes are {size} bytes when unpacked")
    names = [PurePosixPath(member.filename) for member in members]
    outside = [str(n) for n in names if n.is_absolute() or ".." in n.parts]
    if outside:
        raise InputError(f"{expected}its member {outside[0]!r} leads out of it")
    with zipfile.ZipFile(path) as archive:
        for member in members:
            if member.filename.endswith(".h5"):
                _check_hdf5(archive.read(member), expected)


def _check_hdf5(content: bytes, expected: str) -> None:
    """Refuse weights that stand in another file."""
    import h5py

    def look(group: Any) -> None:
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise InputError(f"{expected}its weights link to {link.filename!r}")
            if isinstance(link, h5py.HardLink) and isinstance(group[name], h5py.Group):
                look(group[name])
            elif isinstance(link, h5py.HardLink) and group[name].external:
                raise InputError(f"{expected}its weights stand in another file")

    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            look(file)
    except (OSError, RuntimeError, KeyError) as error:
        raise InputError(f"{expected}its weights cannot be read") from error
