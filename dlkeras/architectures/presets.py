"""A trained network in a folder, with its preprocessing and its classes' names."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlkeras.untrusted.gate import UntrustedFileError, open_regular, read_regular
from dlkeras.untrusted.models import load_model

CARD, MODEL = "preset.json", "model.keras"
# 100,000 labels of a hundred letters.
MAX_CARD_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Preset:
    """A trained network with its preprocessing and its labels.

    Attributes:
        model: The network.
        labels: What its classes are called, in the order of its outputs.
        scale: Factor that pixels of 0 to 255 are multiplied by before the network.
        offset: Added after that.
    """

    model: Any
    labels: tuple[str, ...]
    scale: float = 1.0
    offset: float = 0.0

    def preprocess_input(self, images: Any) -> Any:
        """Bring pixels of 0 to 255 to the size and the range that the network takes.

        Args:
            images: `(batch, height, width, channels)`.

        Returns:
            Images of the network's size, scaled.
        """
        images = keras.ops.cast(images, "float32")
        height, width = self.model.input_shape[1:3]
        if height and width and tuple(images.shape[1:3]) != (height, width):
            images = keras.ops.image.resize(images, (height, width), antialias=True)
        return images * self.scale + self.offset

    def decode_predictions(
        self, predictions: Any, top: int = 5
    ) -> list[list[tuple[str, float]]]:
        """Return the most probable classes of each image.

        Args:
            predictions: `(batch, classes)` outputs of the network.
            top: How many of an image's classes.

        Returns:
            For each image (label, output), the highest first.

        Raises:
            ValueError: there are not as many outputs as labels.
        """
        outputs = np.asarray(keras.ops.convert_to_numpy(predictions), "float64")
        if outputs.ndim != 2 or outputs.shape[1] != len(self.labels):
            raise ValueError(
                f"predictions must have the shape (batch, {len(self.labels)}): a "
                f"column a label. Received: shape {outputs.shape}"
            )
        best = np.argsort(-outputs, axis=1, kind="stable")[:, :top]
        return [
            [(self.labels[i], float(row[i])) for i in order]
            for row, order in zip(outputs, best, strict=True)
        ]


def save_preset(
    model: Any,
    folder: str | Path,
    labels: Sequence[str],
    *,
    scale: float = 1.0,
    offset: float = 0.0,
) -> None:
    """Save a trained network to a folder; `from_preset` loads it again.

    Args:
        model: The network.
        folder: Where to; it is made if need be.
        labels: What its classes are called, in the order of its outputs.
        scale: Factor for pixels of 0 to 255, if the network has no preprocessing in it.
        offset: Added after that.

    Raises:
        ValueError: there are not as many labels as outputs.
    """
    names = [str(label) for label in labels]
    classes = model.output_shape[-1]
    if len(names) != classes:
        raise ValueError(
            f"labels must name the {classes} classes of model {model.name!r}. "
            f"Received: {len(names)} labels"
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".part.{os.getpid()}.keras"
    model.save(unfinished)
    digest = _digest(unfinished)
    _rename(unfinished, folder / MODEL)
    card = {
        "labels": names,
        "scale": float(scale),
        "offset": float(offset),
        "sha256": digest,
        "keras": keras.__version__,
    }
    unfinished = folder / f".part.{os.getpid()}.json"
    unfinished.write_text(json.dumps(card, indent=1, ensure_ascii=False), "utf-8")
    _rename(unfinished, folder / CARD)


def _rename(unfinished: Path, file: Path) -> None:
    with open_regular(unfinished) as data:
        os.fsync(data.fileno())
    unfinished.replace(file)


def _digest(file: Path) -> str:
    with open_regular(file) as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def from_preset(folder: str | Path) -> Preset:
    """Load a network that `save_preset` kept, with its preprocessing and its labels.

    The file cannot run code, as with every network that this package loads.

    Args:
        folder: The folder.

    Returns:
        The network, its preprocessing and its labels.

    Raises:
        FileNotFoundError: there is no preset in the folder.
        ValueError: its files do not belong together, or are not what they should be.

    Example:
        >>> import tempfile
        >>> from dlkeras.architectures import from_preset, lenet5, save_preset
        >>> folder = tempfile.mkdtemp()
        >>> save_preset(lenet5(num_classes=2), folder, ["cat", "dog"], scale=1 / 255)
        >>> preset = from_preset(folder)
        >>> images = preset.preprocess_input(255 * np.ones((1, 64, 64, 1)))
        >>> answers = preset.decode_predictions(preset.model(images), top=2)
        >>> sorted(label for label, probability in answers[0])
        ['cat', 'dog']
    """
    folder = Path(folder)
    if not (folder / CARD).is_file():
        raise FileNotFoundError(
            f"There is no preset in {str(folder)!r}: {CARD} is missing. "
            "save_preset(model, folder, labels) makes one."
        )
    try:
        card = json.loads(read_regular(folder / CARD, MAX_CARD_BYTES))
        labels = tuple(card["labels"])
        scale, offset = float(card["scale"]), float(card["offset"])
        digest = str(card["sha256"])
        if not all(isinstance(label, str) for label in labels):
            raise TypeError("a label is no text")
    except (ValueError, TypeError, KeyError) as error:
        raise UntrustedFileError(
            f"{str(folder / CARD)!r} is not a preset's card "
            f"({type(error).__name__}: {error})."
        ) from error
    received = _digest(folder / MODEL)
    if received != digest:
        raise UntrustedFileError(
            f"{str(folder / MODEL)!r} is not the network of its {CARD}: SHA-256 "
            f"{digest[:16]}... is expected, received {received[:16]}.... Save it again."
        )
    model = load_model(folder / MODEL)
    if model.output_shape[-1] != len(labels):
        raise UntrustedFileError(
            f"{str(folder / CARD)!r} has {len(labels)} labels for "
            f"{model.output_shape[-1]} outputs."
        )
    return Preset(model, labels, scale, offset)
