"""Shards of examples: a run of a source's examples, decoded, split and written.

The examples of a source are written in runs of a fixed number; each run makes at most
one shard for each split. A run holds one image in memory at a time and needs nothing of
the others, so that runs may be written one after the other or by several processes, to
the same bytes.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from dlkeras.datasets.splitting import hash_split, hash_split_by_class
from dlkeras.pipeline.configuration.config import ExampleGenConfig
from dlkeras.pipeline.examples.decoding import (
    DecodedImage,
    decode_image,
    decode_in_graph,
    to_png,
)
from dlkeras.pipeline.examples.digest import pixel_digest
from dlkeras.pipeline.examples.sources import Problem, SourceExample
from dlkeras.pipeline.examples.sources.label_kinds import (
    Label,
    LabelKind,
    classes_of,
    label_kind,
)
from dlkeras.pipeline.examples.splits import SPLITS
from dlkeras.pipeline.store.errors import reason
from dlkeras.pipeline.store.publishing import canonical_digest

NAME = "image_examples"
VERSION = "1.0.0"
SUFFIXES = {"tfrecord": "tfrecord", "array_record": "array_record"}


class Row(NamedTuple):
    """What is known of an example that was written.

    Attributes:
        split: where it was written.
        id: its name.
        label: its class's number, several of them, or a number.
        digest: SHA-256 of its pixels, hexadecimal.
        key: what decides its split, hexadecimal; "" where the source has decided.
        stamp: size and time of its file; "" where it is none.
    """

    split: str
    id: str
    label: Label
    digest: str
    key: str
    stamp: str = ""


class WrittenRun(BaseModel):
    """What became of a run of examples.

    Attributes:
        number: the run's place in the source.
        rows: the examples written, in the source's order.
        sizes: bytes of the records written, by split.
        problems: examples that could not be written: id, reason, number of examples.
        channels: 3 where any image has colours, else 1.
        formats: number of images by the format of their files.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    rows: list[Row]
    sizes: dict[str, int]
    problems: list[tuple[str, str, int]]
    channels: int
    formats: dict[str, int]

    @property
    def examples(self) -> dict[str, int]:
        """Number of examples written, by split."""
        counts = Counter(row.split for row in self.rows)
        return {split: counts[split] for split in SPLITS}

    @property
    def digests(self) -> list[str]:
        """For each example SHA-256 of (split, id, label, pixels), hexadecimal."""
        return [canonical_digest(list(row[:4])) for row in self.rows]


def drawn_fractions(config: ExampleGenConfig, given: Iterable[str]) -> dict[str, float]:
    """The splits that a hash deals out, and their shares; empty where there are none.

    Splits that the source has stay; the ones it lacks are taken out of train.

    Args:
        config: the shares of validation and test.
        given: the splits that the source has.
    """
    shares = {"validation": config.validation_fraction, "test": config.test_fraction}
    missing = {name: share for name, share in shares.items() if name not in set(given)}
    return {"train": 1 - sum(missing.values()), **missing} if missing else {}


def write_run(
    number: int,
    examples: Iterable[SourceExample | Problem],
    folder: Path,
    config: ExampleGenConfig,
    fractions: Mapping[str, float],
    classes: int,
) -> WrittenRun:
    """Write a run of examples.

    Args:
        number: the run's place in the source.
        examples: the examples.
        folder: where to write the shards.
        config: the form of the shards, and the largest image.
        fractions: from `drawn_fractions`. Each example goes where its hash says; what a
            class lacks then is mended by `deal_out`, when all runs are known.
        classes: number of classes.

    Returns:
        What was written, and what could not be.
    """
    writers: dict[str, Any] = {}
    sizes: dict[str, int] = dict.fromkeys(SPLITS, 0)
    formats: dict[str, int] = {}
    rows: list[Row] = []
    problems: list[tuple[str, str, int]] = []
    channels = 1
    kind = label_kind(config.task)
    try:
        for example in examples:
            if isinstance(example, Problem):
                problems.append((example.id, example.reason, example.count))
                continue
            try:
                image = _whole_image(example.read(), config.max_pixels)
            except (ValueError, OSError) as error:
                why = getattr(error, "strerror", None) or reason(error)
                problems.append((example.id, why, 1))
                continue
            digest = pixel_digest(image.pixels)
            key = _key(example, digest) if fractions else ""
            split = hash_split(key, fractions) if key else example.split or "train"
            label = kind.stored(example.label, classes)
            record = serialize(image.encoded, label, example.id, image.format)
            if split not in writers:
                path = run_path(folder, number, split, config.file_format)
                writers[split] = _writer(path, config.file_format)
            writers[split].write(record)
            sizes[split] += len(record)
            channels = max(channels, image.pixels.shape[-1])
            formats[image.format] = formats.get(image.format, 0) + 1
            stamp = _stamp(example.file) if example.file is not None else ""
            rows.append(Row(split, example.id, example.label, digest, key, stamp))
    finally:
        for writer in writers.values():
            writer.close()
    return WrittenRun(
        number=number,
        rows=rows,
        sizes=sizes,
        problems=problems,
        channels=channels,
        formats=formats,
    )


def _stamp(file: str | Path) -> str:
    status = os.stat(file)
    return f"{status.st_size} {status.st_mtime_ns}"


def _key(example: SourceExample, digest: str) -> str:
    """What decides the split of an example; "" where the source has decided."""
    if example.split not in (None, "train"):
        return ""
    if example.group is None:
        return digest
    return hashlib.sha256(example.group.encode()).hexdigest()


def deal_out(
    runs: list[WrittenRun], folder: Path, file_format: str, fractions: dict[str, float]
) -> list[WrittenRun]:
    """Give every class its examples in every split that is drawn.

    An image of several classes counts for each, and one of none for a class of its own.

    Args:
        runs: all runs, as `write_run` has left them.
        folder: where their shards are; those of a run in which an example moves to
            another split are written again.
        file_format: the form of the shards.
        fractions: from `drawn_fractions`.

    Returns:
        The runs as they are then.
    """
    drawn = [
        (row.key, number)
        for run in runs
        for row in run.rows
        if row.key
        for number in classes_of(row.label)
    ]
    keys, classes = [key for key, _ in drawn], [number for _, number in drawn]
    found = hash_split_by_class(keys, classes, fractions) if drawn else []
    splits = dict(zip(keys, found, strict=True))
    dealt = []
    for run in runs:
        rows = [
            row._replace(split=splits[row.key]) if row.key else row for row in run.rows
        ]
        dealt.append(
            run if rows == run.rows else _moved(run, rows, folder, file_format)
        )
    return dealt


def _moved(
    run: WrittenRun, rows: list[Row], folder: Path, file_format: str
) -> WrittenRun:
    """Write the shards of a run again, each example in its new split."""
    stored = {
        split: _records(run_path(folder, run.number, split, file_format), file_format)
        for split, number in run.examples.items()
        if number
    }
    made = {
        split: run_path(folder, run.number, f"{split}-moved", file_format)
        for split in {row.split for row in rows}
    }
    writers = {split: _writer(path, file_format) for split, path in made.items()}
    sizes: dict[str, int] = dict.fromkeys(SPLITS, 0)
    try:
        for before, after in zip(run.rows, rows, strict=True):
            record = next(stored[before.split])
            writers[after.split].write(record)
            sizes[after.split] += len(record)
    finally:
        for writer in writers.values():
            writer.close()
    for split in stored:
        run_path(folder, run.number, split, file_format).unlink()
    for split, path in made.items():
        path.rename(run_path(folder, run.number, split, file_format))
    return run.model_copy(update={"rows": rows, "sizes": sizes})


def _records(path: Path, file_format: str) -> Iterator[bytes]:
    if file_format == "array_record":
        from array_record.python.array_record_module import ArrayRecordReader

        reader = ArrayRecordReader(os.fspath(path))
        return (reader.read([n])[0] for n in range(reader.num_records()))
    from dlkeras.pipeline.tensorflow_import import tf

    return tf.data.TFRecordDataset(os.fspath(path)).as_numpy_iterator()


def _whole_image(raw: bytes | np.ndarray, max_pixels: int) -> DecodedImage:
    """Decode what a source gave, to the pixels that training will see as well."""
    if isinstance(raw, np.ndarray):
        pixels = raw[..., None] if raw.ndim == 2 else raw
        return DecodedImage(to_png(raw), pixels, "array")
    image = decode_image(raw, max_pixels)
    if image.format == "JPEG" and not _is_read_alike(image):
        return replace(image, encoded=to_png(image.pixels))
    return image


def _is_read_alike(image: DecodedImage) -> bool:
    """Whether TensorFlow reads the pixels that Pillow does; libraries of JPEG vary."""
    from dlkeras.pipeline.tensorflow_import import tf

    try:
        pixels = decode_in_graph(image.encoded, image.pixels.shape[-1])
    except tf.errors.OpError:  # arithmetic coding, for example
        return False
    return np.array_equal(pixels, image.pixels)


def features(labels: Iterable[str], channels: int, kind: LabelKind) -> Any:
    """The features of a data set of examples, as TFDS reads them."""
    from dlkeras.pipeline.tensorflow_import import tfds

    return tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(None, None, channels)),
            "label": kind.feature(list(labels)),
            "id": tfds.features.Text(),
            "format": tfds.features.Text(),
        }
    )


def serialize(encoded: bytes, label: Any, identifier: str, kind: str) -> bytes:
    """Write an example as the features of `features` are stored, always the same."""
    from dlkeras.pipeline.tensorflow_import import tf

    def text(value: bytes) -> Any:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    message = tf.train.Example(
        features=tf.train.Features(
            feature={
                "image": text(encoded),
                "label": label,
                "id": text(identifier.encode()),
                "format": text(kind.encode()),
            }
        )
    )
    # A map's order in the bytes would vary from process to process.
    return message.SerializeToString(deterministic=True)


def _writer(path: Path, file_format: str) -> Any:
    if file_format == "array_record":
        from array_record.python.array_record_module import ArrayRecordWriter

        return ArrayRecordWriter(os.fspath(path), "group_size:1")
    from dlkeras.pipeline.tensorflow_import import tf

    return tf.io.TFRecordWriter(os.fspath(path))


def run_path(folder: Path, number: int, split: str, file_format: str) -> Path:
    """Name of a shard while the number of shards is not known."""
    return folder / f"run-{number:06d}-{split}.{SUFFIXES[file_format]}"


def publish_shards(
    folder: Path,
    runs: list[WrittenRun],
    labels: Iterable[str],
    description: str,
    file_format: str,
    kind: LabelKind,
) -> None:
    """Name the shards as TFDS does, and write the metadata beside them.

    Args:
        folder: where the shards are.
        runs: all runs, in their order.
        labels: names of the classes.
        description: where the images come from.
        file_format: "tfrecord" or "array_record".
        kind: what their labels are.
    """
    from dlkeras.pipeline.tensorflow_import import tfds

    channels = max(run.channels for run in runs)
    infos = []
    for split in SPLITS:
        filled = [run for run in runs if run.examples[split]]
        template = tfds.core.ShardedFileTemplate(
            data_dir=folder,
            dataset_name=NAME,
            split=split,
            filetype_suffix=SUFFIXES[file_format],
        )
        for index, run in enumerate(filled):
            run_path(folder, run.number, split, file_format).rename(
                template.sharded_filepath(shard_index=index, num_shards=len(filled))
            )
        infos.append(
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=[run.examples[split] for run in filled],
                num_bytes=sum(run.sizes[split] for run in filled),
                filename_template=template,
            )
        )
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=features(labels, channels, kind),
        split_infos=infos,
        check_data=False,
        description=description,
    )
