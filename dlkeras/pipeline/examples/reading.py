"""Reading examples back: as a tf.data data set, or record by record."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlkeras.pipeline.examples.decoding import decode_in_graph
from dlkeras.pipeline.examples.sources.label_kinds import Label, label_kind

if TYPE_CHECKING:
    import tensorflow as tf

# Records of an ArrayRecord file that are read together.
BLOCK = 256
# Records of a TFRecord file that are held: photographs of a camera, perhaps.
AT_ONCE = 16


@dataclass(frozen=True)
class EncodedExample:
    """An example as it is stored: the image as JPEG or PNG bytes."""

    id: str
    label: Label
    image: bytes
    format: str


def read_split(
    folder: Path,
    split: str,
    decode: bool = True,
    shards: Sequence[int] | None = None,
) -> "tf.data.Dataset":
    """Read a split in its stored order.

    Args:
        folder: the folder of the TFDS data set, TFRecord or ArrayRecord.
        split: "train", "validation" or "test".
        decode: decode the images; otherwise `image` is a string, for `image_decoder`.
        shards: numbers of the shard files to read; the others are not opened.

    Returns:
        Dictionaries: `image` `(height, width, channels)` uint8, `label` int64, `id` and
        `format` strings, and `index` int64, the position in the split.
    """
    from dlkeras.pipeline.tensorflow_import import tf

    if shards is not None or not tf.executing_eagerly():  # part of somebody's graph
        dataset = _encoded(folder, split, shards)
    else:
        written = (Path(folder) / "dataset_info.json").stat().st_mtime_ns
        dataset = _kept(Path(folder), split, written)
    if not decode:
        return dataset
    decoder = image_decoder(folder)
    return dataset.map(
        lambda example: {**example, "image": decoder(example["image"])},
        num_parallel_calls=tf.data.AUTOTUNE,
    )


@functools.lru_cache(maxsize=4)
def _kept(folder: Path, split: str, written: int) -> "tf.data.Dataset":
    """A whole split, images encoded: to trace it takes longer than to read a small one.

    Args:
        folder: as for `read_split`.
        split: as for `read_split`.
        written: when; of another data set in the same place it is another.
    """
    del written
    return _encoded(folder, split, None)


def _encoded(
    folder: Path, split: str, shards: Sequence[int] | None
) -> "tf.data.Dataset":
    from dlkeras.pipeline.tensorflow_import import tfds

    builder = tfds.builder_from_directory(folder)
    # TFDS's own decoder gives other pixels than those a served model is asked with.
    encoded = {"image": tfds.decode.SkipDecoding()}
    if shards is None:
        return _read_whole(builder, split, encoded)
    return _read_shards(builder, split, encoded, shards)


def _read_whole(builder: Any, split: str, decoders: Any) -> "tf.data.Dataset":
    """Read all shard files of a split, one after the other."""
    from dlkeras.pipeline.tensorflow_import import tf, tfds

    if _is_array_record(builder):
        features = builder.info.features
        dataset = tf.data.Dataset.from_generator(
            lambda: _records(builder, split),
            output_signature=tf.TensorSpec([], tf.string),
        ).map(
            lambda record: features.deserialize_example(record, decoders=decoders),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        number = builder.info.splits[split].num_examples
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(number))
    else:
        # One shard after the other, none shuffled: the order is the stored one.
        dataset = builder.as_dataset(
            split=split,
            shuffle_files=False,
            decoders=decoders,
            read_config=tfds.ReadConfig(
                interleave_cycle_length=1,
                try_autocache=False,
                shuffle_seed=None,
                assert_cardinality=True,
            ),
        )
    return dataset.enumerate().map(
        lambda index, example: {**example, "index": index},
        num_parallel_calls=tf.data.AUTOTUNE,
    )


def _read_shards(
    builder: Any, split: str, decoders: Any, shards: Sequence[int]
) -> "tf.data.Dataset":
    """Read some shard files of a split, one after the other."""
    from dlkeras.pipeline.tensorflow_import import tf

    info, features = builder.info.splits[split], builder.info.features
    if _is_array_record(builder):
        records = tf.data.Dataset.from_generator(
            lambda: _records(builder, split, shards),
            output_signature=tf.TensorSpec([], tf.string),
        )
    else:
        records = tf.data.TFRecordDataset(
            [str(info.filepaths[shard]) for shard in shards]
        )
    starts = [sum(info.shard_lengths[:shard]) for shard in shards]
    lengths = [info.shard_lengths[shard] for shard in shards]
    stretches = tf.constant(list(zip(starts, lengths, strict=True)), tf.int64)
    places = tf.data.Dataset.from_tensor_slices(stretches).flat_map(
        lambda stretch: tf.data.Dataset.range(stretch[0], stretch[0] + stretch[1])
    )
    # A file that was cut between two records would else be short in silence.
    records = records.apply(tf.data.experimental.assert_cardinality(sum(lengths)))
    return tf.data.Dataset.zip(records, places).map(
        lambda record, index: {
            **features.deserialize_example(record, decoders=decoders),
            "index": index,
        },
        num_parallel_calls=tf.data.AUTOTUNE,
    )


def shard_lengths(folder: Path, split: str) -> tuple[int, ...]:
    """Number of examples in each shard file of a split."""
    from dlkeras.pipeline.tensorflow_import import tfds

    return tuple(tfds.builder_from_directory(folder).info.splits[split].shard_lengths)


def shard_names(folder: Path, split: str) -> tuple[str, ...]:
    """Names of the shard files of a split, inside the folder."""
    from dlkeras.pipeline.tensorflow_import import tfds

    filepaths = tfds.builder_from_directory(folder).info.splits[split].filepaths
    return tuple(path.name for path in filepaths)


def image_decoder(folder: Path) -> Callable[["tf.Tensor"], "tf.Tensor"]:
    """The function that decodes what `read_split` left encoded."""
    from dlkeras.pipeline.tensorflow_import import tfds

    features = tfds.builder_from_directory(folder).info.features
    return functools.partial(decode_in_graph, channels=features["image"].shape[-1])


def stored_bytes(folder: Path, split: str) -> int:
    """Bytes of a split's records, as the metadata of the data set say."""
    from dlkeras.pipeline.tensorflow_import import tfds

    return tfds.builder_from_directory(folder).info.splits[split].num_bytes


def read_encoded(
    folder: Path, split: str, task: str = "classification"
) -> Iterator[EncodedExample]:
    """Read a split in its stored order, images still encoded."""
    kind = label_kind(task)
    from dlkeras.pipeline.tensorflow_import import tf, tfds

    builder = tfds.builder_from_directory(folder)
    for record in _records(builder, split):
        feature = tf.train.Example.FromString(record).features.feature
        yield EncodedExample(
            id=feature["id"].bytes_list.value[0].decode(),
            label=kind.read(feature["label"]),
            image=feature["image"].bytes_list.value[0],
            format=feature["format"].bytes_list.value[0].decode(),
        )


def _is_array_record(builder: Any) -> bool:
    return builder.info.file_format.value == "array_record"


def _records(
    builder: Any, split: str, shards: Sequence[int] | None = None
) -> Iterator[bytes]:
    """Give the records of a split's shards, or of some, one shard after the other."""
    from dlkeras.pipeline.tensorflow_import import tf

    files = [i.filename for i in builder.info.splits[split].file_instructions]
    files = files if shards is None else [files[shard] for shard in shards]
    if not _is_array_record(builder):
        for file in files:
            # Some at once: to ask for a record takes longer than to read it.
            some = tf.data.TFRecordDataset(file).batch(AT_ONCE)
            for block in some.as_numpy_iterator():
                yield from block
        return
    from array_record.python.array_record_module import ArrayRecordReader

    for file in files:
        reader = ArrayRecordReader(file)
        count = reader.num_records()
        for start in range(0, count, BLOCK):
            yield from reader.read(range(start, min(start + BLOCK, count)))
