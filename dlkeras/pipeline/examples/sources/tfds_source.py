"""A TensorFlow data set, read record by record, so that each bad one has a number."""

import contextlib
import difflib
import importlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlkeras.datasets import PACKAGED
from dlkeras.pipeline.configuration.config import ExampleGenConfig
from dlkeras.pipeline.examples.sources.source import (
    SPLIT_NAMES,
    Ignored,
    Problem,
    SourceExample,
)
from dlkeras.pipeline.store.errors import InputError, reason

# Records that are read together where none of them is damaged.
BLOCK = 256


class TFDSSource:
    """A data set of TensorFlow Datasets: by name and version, or from its folder.

    Args:
        config: the name or the folder, which splits, and whether to download.
        data_dir: where data sets are prepared.

    Raises:
        InputError: there is no such data set, it is not prepared, or has no image and
            label that can be told.
    """

    def __init__(self, config: ExampleGenConfig, data_dir: Path):
        from dlkeras.pipeline.tensorflow_import import tfds

        if config.builder_dir is not None:
            self._flag = "--example-gen.builder-dir"
            self._builder = _from_directory(config.builder_dir)
        else:
            self._flag = "--example-gen.dataset"
            self._builder = _by_name(config.dataset_name, data_dir, config.download)
        info = self._builder.info
        self._image = self._feature(tfds.features.Image, "image", 0)
        self._label = self._feature(tfds.features.ClassLabel, "label", 1)
        features = info.features
        self._has_ids = "id" in features and isinstance(
            features["id"], tfds.features.Text
        )
        names = features[self._label].names
        if not names:
            raise InputError(
                f"{self._flag}: expected a data set with classes; the label of "
                f"{info.name} has none"
            )
        self.labels = tuple(names)
        self.ignored: list[Ignored] = []
        self.description = f"TensorFlow data set {info.full_name}"
        self._parts = self._instructions(config)
        self._open: dict[tuple[str, int, int], Iterator[bytes]] = {}
        self.splits = frozenset(split for split, _ in self._parts)

    def _feature(self, kind: type, usual: str, place: int) -> str:
        """Find the feature of a kind: the only one, else the one the data set names.

        CIFAR-100 has fine and coarse labels, Oxford's pets have a mask for an image:
        what `as_supervised` gives is meant, or else the feature of the usual name.
        """
        info = self._builder.info
        names = [
            name for name in info.features if isinstance(info.features[name], kind)
        ]
        if len(names) == 1:
            return names[0]
        supervised = info.supervised_keys or ()
        if len(supervised) > place and supervised[place] in names:
            return supervised[place]
        if usual in names:
            return usual
        raise InputError(
            f"{self._flag}: expected a data set with one {kind.__name__} feature, or "
            f"one named {usual!r}; {self._builder.name!r} has "
            f"{dict(info.features.items())}"
        )

    def _instructions(self, config: ExampleGenConfig) -> list[tuple[str, Any]]:
        """Resolve the splits to files and ranges of records."""
        splits = self._builder.info.splits
        wanted = {
            "train": config.train_split,
            "validation": config.validation_split,
            "test": config.test_split,
        }
        used = " ".join(filter(None, wanted.values()))
        used = re.sub(r"\ball\b", " ".join(splits), used)
        for name in splits:
            split = SPLIT_NAMES.get(name)
            # What another expression reads is not read a second time.
            if split and wanted[split] is None and not re.search(rf"\b{name}\b", used):
                wanted[split] = name
        parts: list[tuple[str, Any]] = []
        for split, expression in wanted.items():
            if expression is None:
                continue
            try:
                found = splits[expression].file_instructions
                if any(instruction.take < 0 for instruction in found):  # [5%:1%]
                    raise ValueError
            except (KeyError, ValueError) as error:
                known = ", ".join(f"{n} ({s.num_examples})" for n, s in splits.items())
                raise InputError(
                    f"--example-gen.{split}-split: expected a split of "
                    f"{self._builder.name}, which has {known or 'none'}; received "
                    f"{expression!r}"
                ) from error
            parts += [(split, instruction) for instruction in found]
        if not parts:
            raise InputError(
                f"{self._flag}: expected examples; {self._builder.name} has the splits "
                f"{', '.join(splits) or 'none'}; name one with "
                "--example-gen.train-split"
            )
        return parts

    def __len__(self) -> int:
        return sum(instruction.take for _, instruction in self._parts)

    def examples(
        self, start: int = 0, stop: int | None = None
    ) -> Iterator[SourceExample | Problem]:
        """Go through the splits' files in their stored order, images still encoded."""
        stop = len(self) if stop is None else min(stop, len(self))
        at = 0
        for split, instruction in self._parts:
            first, last = max(start, at), min(stop, at + instruction.take)
            if first < last:
                yield from self._range(split, instruction, first - at, last - at)
            at += instruction.take

    def _range(
        self, split: str, instruction: Any, start: int, stop: int
    ) -> Iterator[SourceExample | Problem]:
        """Read a part of an instruction's records; those it cannot are one problem."""
        file = instruction.filename
        name, number = os.path.basename(file), instruction.skip + start
        end, whole = instruction.skip + stop, instruction.skip + instruction.take
        # A file that was read up to here is read on, not from its beginning again.
        records = self._open.pop((file, number, whole), None)
        if records is None:
            records = _records(file, number, whole - number)
        why = "the file ends here"
        try:
            while number < end:
                record = next(records, None)
                if record is None:
                    break
                yield self._example(split, name, number, record)
                number += 1
        except Exception as error:
            why = reason(error)
        if number == end:
            self._open.clear()
            self._open[file, end, whole] = records
            return
        lost = end - number
        span = f"record {number}" + (f" to {end - 1}" if lost > 1 else "")
        yield Problem(f"{name}, {span}", why, lost)

    def _example(
        self, split: str, file: str, number: int, record: bytes
    ) -> SourceExample | Problem:
        from google.protobuf.message import DecodeError

        from dlkeras.pipeline.tensorflow_import import tf

        where = f"{file}, record {number}"
        try:
            features = tf.train.Example.FromString(record).features.feature
        except DecodeError:
            return Problem(where, "expected a tf.train.Example")
        values = {}
        for name, kind in (
            (self._image, "bytes_list"),
            (self._label, "int64_list"),
            ("id", "bytes_list"),
        ):
            if name == "id" and not self._has_ids:
                continue
            if name not in features:
                return Problem(where, f"expected the feature {name!r}; it is absent")
            found = features[name].WhichOneof("kind")
            if found != kind:
                return Problem(
                    where, f"expected {name!r} as {kind}; received {found or 'nothing'}"
                )
            content = getattr(features[name], kind).value
            if len(content) != 1:
                return Problem(
                    where, f"expected one value of {name!r}; received {len(content)}"
                )
            values[name] = content[0]
        label, encoded = values[self._label], values[self._image]
        if not 0 <= label < len(self.labels):
            return Problem(
                where,
                f"expected a label from 0 to {len(self.labels) - 1}; received {label}",
            )
        identifier = values.get("id", b"").decode("utf-8", "backslashreplace")
        return SourceExample(
            id=identifier or f"{file}__{number}",
            split=split,
            label=label,
            read=lambda: encoded,
        )


def _records(file: str, skip: int, take: int) -> Iterator[bytes]:
    """Read a range of a shard's records, each as its bytes."""
    from dlkeras.pipeline.tensorflow_import import tf

    if ".array_record" in os.path.basename(file):
        from array_record.python.array_record_module import ArrayRecordReader

        reader = ArrayRecordReader(file)
        count = reader.num_records()
        if count == 0:
            reader.read([0])  # says what is wrong with the file
        for number in range(skip, min(skip + take, count)):
            yield from reader.read([number])
        return
    dataset = tf.data.TFRecordDataset(file).skip(skip).take(take)
    read = 0
    with contextlib.suppress(tf.errors.DataLossError):  # it comes again, one by one
        for block in dataset.batch(BLOCK).as_numpy_iterator():
            yield from block
            read += len(block)
    yield from dataset.skip(read).as_numpy_iterator()


def _by_name(name: str, data_dir: Path, download: bool) -> Any:
    """Find a data set by its name, and prepare it where that is allowed."""
    from dlkeras.pipeline.tensorflow_import import tfds

    flag = "--example-gen.dataset"
    own = PACKAGED.get(re.split("[:/]", name)[0])  # with or without a version
    if own is not None:
        importlib.import_module(own)
    try:
        builder = tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except tfds.core.registered.DatasetNotFoundError as error:
        known = [*PACKAGED, *tfds.list_builders(with_community_datasets=False)]
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise InputError(
            f"{flag}: expected the name of a TensorFlow data set; received {name!r}"
            f"{hint}"
        ) from error
    except Exception as error:  # a version that does not exist, metadata cut short
        raise InputError(
            f"{flag}: expected a data set that can be read; {name!r} in {data_dir}: "
            f"{reason(error)}"
        ) from error
    if not (builder.is_prepared() or own or download):
        raise InputError(
            f"{flag}: {name!r} is not prepared in {builder.data_dir}; pass "
            "--example-gen.data-dir with the folder that has it, or "
            "--example-gen.download"
        )
    with contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare()
    return builder


def _from_directory(folder: Path) -> Any:
    """Open the folder of a prepared data set, the one with dataset_info.json."""
    from dlkeras.pipeline.tensorflow_import import tfds

    try:
        return tfds.builder_from_directory(folder)
    except Exception as error:  # no such file, JSON cut short, an unknown feature
        raise InputError(
            "--example-gen.builder-dir: expected a folder that TensorFlow Datasets has "
            f"written, with dataset_info.json and features.json; {folder}: "
            f"{reason(error)}"
        ) from error
