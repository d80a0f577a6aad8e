"""Find a pushed model by name and classify images with it."""

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
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

# Images, and pixels, that are held together; threads that read; pixels of a batch; and
# batches that are answered before the model is compiled.
WINDOW, WINDOW_PIXELS, THREADS = 256, 2**24, 8
BATCH_PIXELS, EAGER_CALLS = 2**20, 8


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
        label, probability; with a threshold, whether the answer is `unsure`. Where an
        image has several labels they are `labels`, the
        likeliest first, and `probabilities` those of all; a number has its `name` and
        its `value`. For one that cannot be read its path, and the reason as
        `error`.

    Raises:
        InputError: the model cannot be loaded, or gives no answer.
    """
    answers: list[dict[str, Any]] = []
    asker: _Asker | None = None
    task = task or {}
    asked = task_of(task.get("task", ""))
    threshold = task.get("threshold", asked.threshold)
    for window in _windows(images):
        read: dict[int, np.ndarray] = {}
        for path, found in window:
            answers.append({"image": str(path)})
            if isinstance(found, str):
                answers[-1]["error"] = found
            else:
                read[len(answers) - 1] = found
        if read and asker is None:  # errors come before TensorFlow does
            asker = _Asker(model_path)
            _check_labels(model_path, labels, asker.model.output_shape[-1])
        for places in _alike(read):
            pixels = np.stack([read[place] for place in places])
            paths = [answers[place]["image"] for place in places]
            assert asker is not None
            for place, values in zip(places, asker(pixels, invert, paths), strict=True):
                answers[place] |= asked.answer(values, labels, threshold)
    return answers


def _windows(
    images: Sequence[Path],
) -> Iterator[list[tuple[Path, np.ndarray | str]]]:
    """Some images at a time, which threads read: their pixels, or what is wrong."""

    def read(path: Path) -> tuple[Path, np.ndarray | str]:
        try:
            return path, decode(read_image_file(path))[1]
        except (OSError, ValueError) as error:
            return path, getattr(error, "strerror", None) or reason(error)

    files = image_files(images)
    window: list[tuple[Path, np.ndarray | str]] = []
    pixels = 0
    with ThreadPoolExecutor(THREADS) as threads:
        waiting = deque(threads.submit(read, path) for path in islice(files, THREADS))
        while waiting:
            path, found = waiting.popleft().result()
            waiting += [threads.submit(read, path) for path in islice(files, 1)]
            window.append((path, found))
            pixels += 0 if isinstance(found, str) else found.shape[0] * found.shape[1]
            if len(window) == WINDOW or pixels >= WINDOW_PIXELS:
                yield window
                window, pixels = [], 0
        if window:
            yield window


def _alike(read: Mapping[int, np.ndarray]) -> Iterator[list[int]]:
    """The places of images of one size, as many as fit into a batch."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for place, pixels in read.items():
        by_shape.setdefault(pixels.shape, []).append(place)
    for shape, places in by_shape.items():
        size = max(BATCH_PIXELS // (shape[0] * shape[1]), 1)
        for start in range(0, len(places), size):
            yield places[start : start + size]


class _Asker:
    """A model that is asked for images of one size at a time."""

    def __init__(self, path: Path):
        self.model = load_safely(path)
        self._sizes = CheckedSizes(self.model)
        self._calls, self._compiled = 0, None

    def __call__(
        self, pixels: np.ndarray, invert: bool, paths: Sequence[str]
    ) -> np.ndarray:
        images = np.stack(
            [with_channels(p, self.model.input_shape[-1]) for p in pixels]
        )
        return self._answer(255 - images if invert else images, paths)

    def _answer(self, images: np.ndarray, paths: Sequence[str]) -> np.ndarray:
        height, width = images.shape[1:3]
        expected = self.model.input_shape[1:3]
        for received, wanted in zip((height, width), expected, strict=True):
            if wanted not in (None, received):
                raise InputError(
                    f"IMAGE: expected {expected[0]} x {expected[1]} pixels, which the "
                    f"network takes; {paths[0]} has {height} x {width}"
                )
        try:
            self._sizes.check(height, width)
            return np.asarray(self._call(images))
        except UntrustedFileError as error:
            raise InputError(f"MODEL: {reason(error)}") from error
        except Exception as error:  # a network from outside may fail anywhere
            raise InputError(
                f"MODEL: the network gives no answer for {paths[0]}; {reason(error)}"
            ) from error

    def _call(self, images: np.ndarray) -> Any:
        """Ask step by step at first: to compile takes longer than a few answers do."""
        self._calls += 1
        if self._calls <= EAGER_CALLS:
            return self.model(images, training=False)
        if self._compiled is None:
            from dlkeras.pipeline.tensorflow_import import tf

            model = self.model
            shape = tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)
            self._compiled = tf.function(
                lambda images: model(images, training=False),
                input_signature=[shape],
                autograph=False,
            )
        return self._compiled(images)


def image_files(paths: Sequence[Path]) -> Iterator[Path]:
    """The files that are named, and in place of each folder the images below it.

    Raises:
        InputError: a folder has none.
    """
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
