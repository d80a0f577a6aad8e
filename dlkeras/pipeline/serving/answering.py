"""Serving by hand: a pushed model found by name, and images classified with it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlkeras.pipeline.examples.decoding import decode, read_image_file, with_channels
from dlkeras.pipeline.examples.decoding import image_pixels as image_pixels
from dlkeras.pipeline.serving.tasks.registry import task_of
from dlkeras.pipeline.store.errors import InputError, reason
from dlkeras.untrusted import models
from dlkeras.untrusted.activations import CheckedSizes
from dlkeras.untrusted.gate import UntrustedFileError
from dlkeras.untrusted.images import begins_as_image


def predict(
    model_path: Path,
    labels: list[str] | None,
    images: Sequence[Path],
    invert: bool = False,
    task: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Classify image files, and the images in folders.

    Args:
        model_path: a `.keras` file: raw uint8 images to class probabilities.
        labels: names of the classes; None uses their numbers.
        images: PNG, JPEG or other image files of any size, or folders of them.
        invert: take 255 minus each pixel.
        task: from `read_task`; default: one class an image.

    Returns:
        For each image its path, as `image`, and as `top` the three likeliest classes:
        label, probability. Where an image has several labels they are `labels`, the
        likeliest first, and `probabilities` those of all; a number has its `name` and
        its `value`. For one that cannot be read its path, and the reason as
        `error`.

    Raises:
        InputError: the model cannot be loaded, or gives no answer.
    """
    model: Any = None
    answers: list[dict[str, Any]] = []
    sizes: Any = None
    task = task or {}
    asked, threshold = task_of(task.get("task", "")), task.get("threshold", 0.5)
    for path in _image_files(images):
        try:
            image = decode(read_image_file(path))[1]
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or reason(error)
            answers.append({"image": str(path), "error": why})
            continue
        if model is None:  # errors come before TensorFlow does
            model = load_safely(model_path)
            sizes = CheckedSizes(model)
            _check_labels(model_path, labels, model.output_shape[-1])
        image = with_channels(image, model.input_shape[-1])
        probabilities = _answer(model, 255 - image if invert else image, path, sizes)
        answer = asked.answer(probabilities, labels, threshold)
        answers.append({"image": str(path), **answer})
    return answers


def _image_files(paths: Sequence[Path]) -> Iterator[Path]:
    """The files that are named, and in place of each folder the images below it."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = False
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if name[0] != ".")
            for name in sorted(names):
                if name[0] != "." and begins_as_image(Path(folder, name)):
                    found = True
                    yield Path(folder, name)
        if not found:
            raise InputError(f"IMAGE: expected images in {path}; it has none")


def _check_labels(model_path: Path, labels: list[str] | None, classes: int) -> None:
    if labels is not None and len(labels) != classes:
        raise InputError(
            f"MODEL: expected a label for each of the {classes} classes of "
            f"{model_path}; {len(labels)} stand beside it"
        )


def _answer(
    model: Any, image: np.ndarray, path: Path, sizes: CheckedSizes
) -> np.ndarray:
    """Ask the network for one image's probabilities."""
    height, width = image.shape[:2]
    for received, expected in zip((height, width), model.input_shape[1:3], strict=True):
        if expected not in (None, received):
            raise InputError(
                f"IMAGE: expected {model.input_shape[1]} x {model.input_shape[2]} "
                f"pixels, which the network takes; {path} has {height} x {width}"
            )
    try:
        sizes.check(height, width)
        return np.asarray(model(image[None], training=False))[0]
    except UntrustedFileError as error:
        raise InputError(f"MODEL: {reason(error)}") from error
    except Exception as error:  # a network from outside may fail anywhere
        raise InputError(
            f"MODEL: the network gives no answer for {path}; {reason(error)}"
        ) from error


def load_safely(path: Path) -> Any:
    """Load a `.keras` file from anywhere: it runs no code, and unpacks to what it says.

    Args:
        path: the file, or a link to one, as caches of downloads have them.

    Returns:
        The Keras model.

    Raises:
        InputError: it is not a whole `.keras` file, is far larger when unpacked, names
            files elsewhere, has a part that is not one of image networks, or does not
            take images and give the probabilities of classes.
    """
    try:
        model = models.load_model(path, _start)
    except (UntrustedFileError, OSError) as error:
        raise InputError(f"MODEL: {reason(error)}") from error
    taken, given = [x.shape for x in model.inputs], [x.shape for x in model.outputs]
    if len(taken) != 1 or len(taken[0]) != 4 or taken[0][-1] not in (1, 3):
        raise InputError(
            "MODEL: expected a network of images (height, width, 1 or 3 channels); "
            f"{path} takes {', '.join(str(shape[1:]) for shape in taken)}"
        )
    if len(given) != 1 or len(given[0]) != 2:
        raise InputError(
            "MODEL: expected a network that gives the probabilities of classes; "
            f"{path} gives {', '.join(str(shape[1:]) for shape in given)}"
        )
    return model


def _start() -> None:
    import dlkeras.pipeline.tensorflow_import  # isort: split

    # It registers what GoogLeNet's auxiliary classifiers consist of.
    import dlkeras.architectures  # noqa: F401
