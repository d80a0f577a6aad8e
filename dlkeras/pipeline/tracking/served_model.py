"""The pushed model as MLflow serves it: image bytes or arrays in, probabilities out.

MLflow finds this module by its name in the `MLmodel` file: nothing is pickled, and no
code lies beside the model. What it loads is the `.keras` file, in safe mode, after its
SHA-256 is compared with the manifest.
"""

import base64
import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from dlkeras.pipeline.examples.sources.label_kinds import SEPARATOR
from dlkeras.pipeline.serving.answering import image_pixels, load_safely
from dlkeras.pipeline.serving.asked_images import asked_images, expectation
from dlkeras.pipeline.serving.tasks.registry import read_task, task_of
from dlkeras.pipeline.store.errors import PipelineError, reason
from dlkeras.pipeline.tracking.pushed_model import load_pushed_model
from dlkeras.untrusted.activations import CheckedSizes
from dlkeras.untrusted.images import image_size

# Of all images in a request together.
MAX_PIXELS = 2**26
ANSWERS = ("probabilities", "label")
UNSURE = "unsure"


class ServedModel:
    """A pushed model that answers what a model server is asked.

    Args:
        folder: what the pusher wrote.
        answer: what `predict` gives unless it is asked for something else.
    """

    answer = "probabilities"

    def __init__(self, folder: Path, answer: str = "probabilities"):
        self.answer = _known(answer)
        from dlkeras.pipeline.tensorflow_import import tf

        path, self.labels = load_pushed_model(str(folder), None, folder)
        self.task = read_task(path.parent)
        model = load_safely(path)
        self.channels = int(model.input_shape[-1])
        image = tf.TensorSpec((None, None, None, self.channels), tf.uint8)
        network = tf.function(
            lambda image: model(image, training=False),
            input_signature=[image],
            autograph=False,
        )
        sizes = CheckedSizes(model)

        def checked(batch: np.ndarray) -> Any:
            sizes.check(*batch.shape[1:3])
            return network(batch)

        self._answer = checked

    def get_raw_model(self) -> "ServedModel":
        """What MLflow's wrapper gives if you ask for the model itself."""
        return self

    def predict(
        self, model_input: Any, params: Mapping[str, Any] | None = None
    ) -> np.ndarray:
        """Give probabilities, `(images, classes)` float32, or numbers, `(images, 1)`.

        Args:
            model_input: raw pixels `(images, height, width, channels)`, whole numbers
                from 0 to 255; or a list of image files' contents, as bytes or in base64
                text, of any size, all together of at most 67,108,864 pixels; or either
                as `asked_images` says: named, or as a column of a DataFrame.
            params: `{"answer": "label"}` gives the likeliest class's name ("unsure"
                below the threshold that the model was pushed with), the labels of an
                image joined by `|`, or the number, `(images,)`, which is what
                `mlflow.models.evaluate` compares.

        Raises:
            MlflowException: the input is neither; the server answers 400.
        """
        try:
            wanted = _known((params or {}).get("answer") or self.answer)
            found = np.concatenate(
                [self._probabilities(batch) for batch in self._batches(model_input)]
            )
            return self._labels(found) if wanted == "label" else found
        except ValueError as error:
            raise MlflowException(
                str(error), error_code=INVALID_PARAMETER_VALUE
            ) from error

    def _labels(self, values: np.ndarray) -> np.ndarray:
        task = task_of(self.task["task"])
        threshold = self.task.get("threshold", task.threshold)
        answers = (task.answer(value, self.labels, threshold) for value in values)
        return np.array([_label(answer) for answer in answers])

    def _probabilities(self, batch: np.ndarray) -> np.ndarray:
        return np.asarray(self._answer(batch)).astype("float32")

    def _batches(self, given: Any) -> Iterator[np.ndarray]:
        """Give batches one at a time: image files are decoded when their turn comes."""
        images = asked_images(given, self.channels)
        if isinstance(images, np.ndarray):
            return iter([self._pixels(images)])
        return self._each(
            [v if isinstance(v, bytes) else _from_base64(v) for v in images]
        )

    def _each(self, contents: list[bytes]) -> Iterator[np.ndarray]:
        claimed = 0
        for content in contents:
            with _named():
                width, height = image_size(content)
            claimed += width * height
            if claimed > MAX_PIXELS:
                raise ValueError(
                    f"expected at most {MAX_PIXELS:,} pixels in all images of a "
                    "request; these have more: send them in several"
                )
        for content in contents:
            with _named():
                pixels = image_pixels(content, self.channels)
            yield pixels[None]

    def _pixels(self, values: np.ndarray) -> np.ndarray:
        if values.dtype.kind not in "iuf" or values.ndim != 4:
            raise ValueError(
                expectation(f"an array of {values.dtype} of shape {values.shape}")
            )
        if values.shape[-1] != self.channels or 0 in values.shape:
            raise ValueError(
                f"expected images of {self.channels} channels, (images, height, width, "
                f"{self.channels}), none of them 0; received {values.shape}"
            )
        if values.size > MAX_PIXELS:
            raise ValueError(
                f"expected at most {MAX_PIXELS:,} pixels; received {values.size:,}"
            )
        pixels = values.astype("uint8")
        if not np.array_equal(pixels, values):
            raise ValueError(
                "expected pixels that are whole numbers from 0 to 255; received "
                f"values from {values.min()} to {values.max()}"
            )
        return pixels


@contextlib.contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise ValueError(
            f"expected the bytes of an image file; {reason(error)}"
        ) from error


def _known(answer: Any) -> str:
    if answer not in ANSWERS:
        raise ValueError(
            f"answer: expected {' or '.join(ANSWERS)}; received {str(answer)[:40]!r}"
        )
    return answer


def _label(answer: Mapping[str, Any]) -> Any:
    """What an answer says in brief, whatever the task."""
    if "value" in answer:
        return answer["value"]
    if "labels" in answer:
        return SEPARATOR.join(answer["labels"])
    return UNSURE if answer.get("unsure") else answer["top"][0]["label"]


def _from_base64(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"expected an image file in base64; {reason(error)}"
        ) from error


def _load_pyfunc(
    data_path: str, model_config: Mapping[str, Any] | None = None
) -> ServedModel:
    """What MLflow calls to load the model; `model_config` may say what it answers."""
    try:
        return ServedModel(Path(data_path), **(model_config or {}))
    except PipelineError as error:
        raise MlflowException(str(error)) from error
