"""`dlkeras why-not`: says why a network does not learn, from its file and images."""

import argparse
from itertools import islice
from pathlib import Path
from typing import Any

from dlkeras.pipeline.commands.arguments import count
from dlkeras.pipeline.store.errors import InputError, reason

HELP = "say why a network does not learn these images"
MOST_IMAGES = 512
# The metric that a verdict compares with always saying the commonest class.
METRICS = ["accuracy"]
PARTS = ("keras.losses", "keras.optimizers", "keras.optimizers.schedules")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("model", metavar="MODEL.keras", type=Path, help="the network")
    parser.add_argument(
        "--data",
        metavar="FOLDER",
        type=Path,
        required=True,
        help="images in a folder for each class; up to 512 are looked at",
    )
    parser.add_argument(
        "--divide-by",
        metavar="NUMBER",
        type=float,
        default=1.0,
        help="what your script divides the pixels, 0 to 255, by (default: 1)",
    )
    parser.add_argument(
        "--loss",
        help="Keras's name of the loss (default: what the file was saved with)",
    )
    parser.add_argument(
        "--epochs",
        type=count,
        default=None,
        help="train so long, too, and look on; the file stays as it is",
    )
    parser.add_argument(
        "--report", metavar="PAGE.html", type=Path, help="write the verdict as a page"
    )


def run(options: argparse.Namespace) -> int:
    """Print the verdict, and what else was found.

    Returns:
        The exit code: 0 where the network can learn; 1 where something is wrong.
    """
    from dlkeras.pipeline.tensorflow_import import keras  # isort: split

    from dlkeras.callbacks import TrainingDoctor
    from dlkeras.diagnosis import check_training
    from dlkeras.untrusted import models
    from dlkeras.untrusted.gate import UntrustedFileError

    if not options.divide_by:
        raise InputError("--divide-by: expected a number other than 0; received 0")
    try:
        model: Any = models.load_model(options.model)
        settings = models.read_config(options.model).get("compile_config") or {}
    except (UntrustedFileError, OSError) as error:
        raise InputError(f"MODEL.keras: {reason(error)}") from error
    _compile(keras, model, settings, options.loss)
    x, y = _images(options.data, model, options.divide_by)
    if options.epochs is None:
        diagnosis = check_training(model, x, y)
        page = diagnosis.to_html()
    else:
        doctor = TrainingDoctor(1, on_finding=None)
        try:
            fit = model.fit(x, y, epochs=options.epochs, verbose=0, callbacks=[doctor])
            diagnosis, page = doctor.diagnosis, doctor.diagnosis.to_html(fit.history)
        except Exception as error:  # what Keras refuses: the checks may say why
            diagnosis = check_training(model, x, y)
            if diagnosis.healthy:
                raise InputError(f"Keras cannot train it; {reason(error)}") from error
            page = diagnosis.to_html()
    print(diagnosis)
    if options.report is not None:
        options.report.write_text(page, encoding="utf-8")
        print(options.report)
    return int(not diagnosis.healthy)


def _compile(
    keras: Any, model: Any, settings: dict[str, Any], loss: str | None
) -> None:
    """Compile a network as it was saved, or with a loss that is named."""
    given = loss or settings.get("loss")
    if not given:
        raise InputError(
            "--loss: expected the loss of the training, such as "
            "sparse_categorical_crossentropy; the file was saved without one"
        )
    try:
        _check_parts([given, settings.get("optimizer")])
        optimizer = keras.optimizers.get(settings.get("optimizer") or "adam")
        model.compile(optimizer, keras.losses.get(given), metrics=METRICS)
    except (TypeError, ValueError) as error:
        raise InputError(
            "--loss: expected a loss and an optimizer of Keras, no others are loaded "
            f"from a file; {reason(error)}"
        ) from error


def _check_parts(settings: Any) -> None:
    """Of a file from anywhere, take losses, optimizers and schedules of Keras alone."""
    if isinstance(settings, dict):
        module = settings.get("module", "keras.losses")
        if module not in PARTS or settings.get("registered_name"):
            raise ValueError(f"the file names {module}.{settings.get('class_name')}")
        settings = list(settings.values())
    if isinstance(settings, list):
        for value in settings:
            _check_parts(value)


def _images(folder: Path, model: Any, divisor: float) -> tuple[Any, Any]:
    """Images `(n, height, width, channels)`, and labels as the loss takes them."""
    import keras
    import numpy as np

    from dlkeras.pipeline.examples.decoding import image_pixels
    from dlkeras.pipeline.examples.sources.image_folder import ImageFolderSource
    from dlkeras.pipeline.examples.sources.source import SourceExample

    shape, given = model.input_shape, model.output_shape
    images = isinstance(shape, tuple) and len(shape) == 4 and shape[-1] in (1, 3)
    if not images or not isinstance(given, tuple) or len(given) != 2:
        raise InputError(
            "MODEL.keras: expected a network from images (height, width, 1 or 3 "
            f"channels) to classes; it takes {shape} and gives {given}"
        )
    source = ImageFolderSource(folder)
    pictures, labels = [], []
    for example in islice(source.examples(), MOST_IMAGES):
        if not isinstance(example, SourceExample):
            continue
        try:
            content: Any = example.read()
            picture = image_pixels(content, shape[-1]).astype("float32")
        except (OSError, ValueError):
            continue
        size = tuple(
            want or have for want, have in zip(shape[1:3], picture.shape, strict=False)
        )
        if pictures:
            size = pictures[0].shape[:2]
        if picture.shape[:2] != size:
            resized = keras.ops.image.resize(picture, size)
            picture = keras.ops.convert_to_numpy(resized)
        pictures.append(picture)
        labels.append(example.label)
    if not pictures:
        raise InputError(f"--data: none of the images in {folder} can be read")
    y = np.array(labels)
    loss = getattr(model.loss, "name", "") or getattr(model.loss, "__name__", "")
    several = model.output_shape[-1] > 1
    if several and "sparse" not in loss and "hinge" not in loss:
        y = np.eye(max(len(source.labels), model.output_shape[-1]))[y]
    return np.stack(pictures) / divisor, y
