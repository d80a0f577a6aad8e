"""Typed artifacts: what one component writes and the next ones read.

An artifact is a folder of the store with a record beside its files. The class
says how to read it; readers import what they need when they are called, so that a run
in which everything is cached imports no TensorFlow.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from dlkeras.pipeline.examples.labels import repeated
from dlkeras.pipeline.examples.schema import SCHEMA_FILE, load_schema
from dlkeras.pipeline.examples.schema import ImageSchema as ImageSchema
from dlkeras.pipeline.examples.splits import SPLITS as SPLITS
from dlkeras.pipeline.store.errors import CorruptArtifactError
from dlkeras.pipeline.store.record import RECORD_FILE, InputRecord, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import keras
    import pandas as pd
    import tensorflow as tf

    from dlkeras.pipeline.examples.reading import EncodedExample


@dataclass(frozen=True)
class Artifact:
    """A published folder and its record."""

    path: Path
    record: Record
    producer: ClassVar[str] = ""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a published folder's record, and check it; its files are not looked at.

        Raises:
            CorruptArtifactError: the record was damaged, or is another artifact's.
        """
        file = path / RECORD_FILE
        try:
            record = Record.from_bytes(file.read_bytes())
            if record.type == cls.__name__:
                return cls(path, record)
            reason = f"it is one of {record.type}"
        except (OSError, ValueError):  # pydantic's errors are among them
            reason = "it was damaged" if file.is_file() else "there is none"
        raise CorruptArtifactError(
            f"{file}: expected the record of a published {cls.__name__}; {reason}; "
            f"rebuild it with --force {cls.producer}"
        )

    @property
    def properties(self) -> dict[str, Any]:
        """What the component said about its output, as JSON."""
        return self.record.properties

    def reference(self) -> InputRecord:
        """How another artifact's record names this one."""
        return InputRecord(
            type=self.record.type, key=self.record.key, digest=self.record.digest
        )

    def read_json(self, name: str) -> Any:
        """Parse one of the artifact's JSON files."""
        return json.loads((self.path / name).read_text(encoding="utf-8"))

    @property
    def figures(self) -> dict[str, Path]:
        """The artifact's figures, PNG files by name."""
        return {f.stem: f for f in sorted((self.path / "figures").glob("*.png"))}

    @property
    def figures_by_epoch(self) -> dict[int, dict[str, Path]]:
        """Figures of earlier epochs (from 1), PNG files by name."""
        folders = sorted((self.path / "figures").glob("epoch-*"))
        return {
            int(folder.name.removeprefix("epoch-")): {
                f.stem: f for f in sorted(folder.glob("*.png"))
            }
            for folder in folders
        }


class Examples(Artifact):
    """Labelled images in three splits, as a data set that TFDS reads."""

    producer: ClassVar[str] = "ExampleGen"

    METADATA: ClassVar[str] = "metadata.parquet"
    CONTENTS: ClassVar[str] = "contents.parquet"

    def changes_since(self, before: "Examples") -> str | None:
        """Count the files that were touched, added, removed and changed since.

        Returns:
            The counts in words; None where an artifact of an earlier version has none.
        """
        import pandas as pd

        if not all((a.path / self.CONTENTS).is_file() for a in (self, before)):
            return None
        old, new = (
            pd.read_parquet(a.path / self.CONTENTS)
            .drop_duplicates("id")
            .set_index("id")
            for a in (before, self)
        )
        both = old.index.intersection(new.index)
        was, now = old.loc[both], new.loc[both]
        changed = was.sha256 != now.sha256
        counts = {
            "files touched": ((was.stamp != now.stamp) & ~changed).sum(),
            "added": len(new) - len(both),
            "removed": len(old) - len(both),
            "changed": changed.sum(),
        }
        return ", ".join(f"{number} {what}" for what, number in counts.items())

    @property
    def metadata(self) -> "pd.DataFrame | None":
        """What else the source knows of the examples, by id; None where nothing."""
        import pandas as pd

        file = self.path / self.METADATA
        return pd.read_parquet(file).set_index("id") if file.is_file() else None

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the label's integers."""
        labels = tuple(self.properties["labels"])
        if twice := repeated(labels):
            raise CorruptArtifactError(
                f"{self.path / RECORD_FILE}: expected each label once; {twice} stands "
                f"there more often; rebuild it with --force {self.producer}"
            )
        return labels

    @property
    def task(self) -> str:
        """What a label is: "classification", "multilabel" or "regression"."""
        return self.properties.get("task", "classification")

    @property
    def channels(self) -> int:
        """Number of channels of every image."""
        return self.properties["channels"]

    @property
    def splits(self) -> dict[str, int]:
        """Number of examples in each split."""
        return self.properties["splits"]

    def dataset(
        self, split: str, decode: bool = True, shards: "Sequence[int] | None" = None
    ) -> "tf.data.Dataset":
        """Read a split in its stored order.

        Args:
            split: "train", "validation" or "test".
            decode: decode the images; otherwise `image` is a string.
            shards: numbers of the shard files to read; the others are not opened.

        Returns:
            A `tf.data.Dataset` of dictionaries: `image` `(height, width, channels)`
            uint8, `label` int64 (several: `(classes,)` float32; a number: float32),
            `id` and `format` strings, and `index` int64, the position in the split.
        """
        from dlkeras.pipeline.examples.reading import read_split

        folder = self.path / self.properties["builder"]
        return read_split(folder, split, decode, shards)

    def shard_lengths(self, split: str) -> tuple[int, ...]:
        """Number of examples in each shard file of a split."""
        from dlkeras.pipeline.examples.reading import shard_lengths

        return shard_lengths(self.path / self.properties["builder"], split)

    def shard_files(self, split: str) -> tuple[str, ...]:
        """Names of the shard files of a split, inside the artifact."""
        from dlkeras.pipeline.examples.reading import shard_names

        builder = self.properties["builder"]
        names = shard_names(self.path / builder, split)
        return tuple(f"{builder}/{name}" for name in names)

    def decoder(self) -> "Callable[[tf.Tensor], tf.Tensor]":
        """The function that decodes what `dataset` left encoded."""
        from dlkeras.pipeline.examples.reading import image_decoder

        return image_decoder(self.path / self.properties["builder"])

    def stored_bytes(self, split: str) -> int:
        """Bytes of a split's records, images encoded."""
        from dlkeras.pipeline.examples.reading import stored_bytes

        return stored_bytes(self.path / self.properties["builder"], split)

    def encoded(self, split: str) -> "Iterator[EncodedExample]":
        """Read a split in its stored order, the images still encoded."""
        from dlkeras.pipeline.examples.reading import read_encoded

        return read_encoded(self.path / self.properties["builder"], split, self.task)


class Statistics(Artifact):
    """A row for every example (examples.parquet) and a summary (statistics.json)."""

    producer: ClassVar[str] = "StatisticsGen"

    @cached_property
    def table(self) -> "pd.DataFrame":
        """A row for each example: id, split, label, sizes, sha256, mean, std."""
        import pandas as pd

        return pd.read_parquet(self.path / "examples.parquet")

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Counts, sizes, pixel statistics and duplicates, by split."""
        return self.read_json("statistics.json")


class Schema(Artifact):
    """What examples must look like (schema.toml, meant to be read and edited)."""

    producer: ClassVar[str] = "SchemaGen"

    @cached_property
    def schema(self) -> "ImageSchema":
        """The schema itself."""
        return load_schema(self.path / SCHEMA_FILE)


class Anomalies(Artifact):
    """Where examples break the schema (anomalies.json)."""

    producer: ClassVar[str] = "ExampleValidator"

    @cached_property
    def anomalies(self) -> list[dict[str, Any]]:
        """Each anomaly: rule, bound, value, number of examples, and some of them."""
        return self.read_json("anomalies.json")


class Transform(Artifact):
    """The preprocessing that goes with the model; the augmentation stays behind."""

    producer: ClassVar[str] = "Transform"

    PREPROCESSING: ClassVar[str] = "preprocessing.keras"

    def preprocessing(self) -> "keras.Model":
        """Raw uint8 images in, network inputs out; deterministic."""
        from dlkeras.pipeline.tensorflow_import import keras

        return keras.saving.load_model(self.path / self.PREPROCESSING)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the network's input."""
        height, width, channels = self.properties["input_shape"]
        return height, width, channels


class Hyperparameters(Artifact):
    """What the tuner found (hyperparameters.json), and its trials."""

    producer: ClassVar[str] = "Tuner"

    @property
    def values(self) -> dict[str, Any]:
        """The best trial's values, by the name of the trainer's field."""
        return self.properties["values"]

    @cached_property
    def trials(self) -> list[dict[str, Any]]:
        """Every trial: id, status, score, values, metrics by epoch."""
        return self.read_json("trials.json")


class Model(Artifact):
    """A trained network (network.keras), its history (history.json), its findings."""

    producer: ClassVar[str] = "Trainer"

    NETWORK: ClassVar[str] = "network.keras"
    BEST: ClassVar[str] = "best"  # networks of the best epochs, where several are kept
    SOURCES: ClassVar[str] = "source"  # the user's own files, where there are any

    def network(self) -> "keras.Model":
        """The network, without its preprocessing."""
        from dlkeras.pipeline.tensorflow_import import keras

        return keras.saving.load_model(self.path / self.NETWORK)

    @cached_property
    def history(self) -> list[dict[str, float]]:
        """The metrics of every epoch."""
        return self.read_json("history.json")


class Evaluation(Artifact):
    """How a model does on the test split (metrics.json, predictions.parquet)."""

    producer: ClassVar[str] = "Evaluator"

    @cached_property
    def predictions(self) -> "pd.DataFrame":
        """A row for each test example: id, label, prediction, confidence, p(CLASS)."""
        import pandas as pd

        return pd.read_parquet(self.path / "predictions.parquet")

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Overall, per class and confusion matrix, by slice, under corruptions."""
        return self.read_json("metrics.json")


class Blessing(Artifact):
    """Whether a model may be pushed, and why."""

    producer: ClassVar[str] = "Evaluator"

    @property
    def blessed(self) -> bool:
        """Whether the model passed every rule."""
        return self.properties["blessed"]

    @property
    def reason(self) -> str:
        """The rules in one line."""
        return self.properties["reason"]


class ServableModel(Artifact):
    """A model in each form it is served in, which a fresh process has tried."""

    producer: ClassVar[str] = "InfraValidator"

    @property
    def forms(self) -> list[str]:
        """The forms: "keras", "saved_model", and "onnx", "litert" where asked for."""
        return self.properties["forms"]


class PushedModel(Artifact):
    """A model ready to serve: raw image in, probabilities out; manifest and card."""

    producer: ClassVar[str] = "Pusher"

    MODEL: ClassVar[str] = "model.keras"
    MANIFEST: ClassVar[str] = "MANIFEST.sha256"
    LABELS: ClassVar[str] = "labels.json"
    EXAMPLE: ClassVar[str] = "example.json"
    FILES: ClassVar[tuple[str, ...]] = (
        MODEL, EXAMPLE, "labels.json", "task.json", "README.md", "saved_model",
        "network.onnx", "network.tflite", Model.SOURCES,
    )  # fmt: skip

    def question(self) -> list[Any]:
        """A real image for the model server: raw pixels, a batch of one."""
        return self.read_json(self.EXAMPLE)["inputs"]

    @property
    def card(self) -> str:
        """The model card, Markdown."""
        return (self.path / "README.md").read_text(encoding="utf-8")


ARTIFACT_TYPES: dict[str, type[Artifact]] = {
    cls.__name__: cls
    for cls in (
        Examples, Statistics, Schema, Anomalies, Transform, Hyperparameters, Model,
        Evaluation, Blessing, ServableModel, PushedModel,
    )
}  # fmt: skip


def types_in(store: Path) -> dict[str, type[Artifact]]:
    """The types of artifacts in a store by name, those of a user's components, too."""
    records = store.glob(f"*/*/{RECORD_FILE}")
    found = {file.parent.parent.name for file in records}
    own = sorted(found - {*ARTIFACT_TYPES, "incomplete"})  # that may be whole, too
    return ARTIFACT_TYPES | {name: type(name, (Artifact,), {}) for name in own}
