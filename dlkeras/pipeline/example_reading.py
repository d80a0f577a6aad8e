"""Reading examples back: as a tf.data data set, or record by record."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf

# Records of an ArrayRecord file that are read together.
BLOCK = 256


@dataclass(frozen=True)
class EncodedExample:
    """An example as it is stored: the image as JPEG or PNG bytes."""

    id: str
    label: int
    image: bytes
    format: str


def read_split(folder: Path, split: str, decode: bool = True) -> "tf.data.Dataset":
    """Read a split in its stored order.

    Args:
        folder: the folder of the TFDS data set, TFRecord or ArrayRecord.
        split: "train", "validation" or "test".
        decode: decode the images; otherwise `image` is a string, for `image_decoder`.

    Returns:
        Dictionaries: `image` `(height, width, channels)` uint8, `label` int64, `id` and
        `format` strings, and `index` int64, the position in the split.
    """
    from dlkeras.pipeline.tensorflow_import import tf, tfds

    builder = tfds.builder_from_directory(folder)
    decoders = None if decode else {"image": tfds.decode.SkipDecoding()}
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


def image_decoder(folder: Path) -> Callable[["tf.Tensor"], "tf.Tensor"]:
    """The function that decodes what `read_split` left encoded."""
    from dlkeras.pipeline.tensorflow_import import tfds

    return tfds.builder_from_directory(folder).info.features["image"].decode_example


def stored_bytes(folder: Path, split: str) -> int:
    """Bytes of a split's records, as the metadata of the data set say."""
    from dlkeras.pipeline.tensorflow_import import tfds

    return tfds.builder_from_directory(folder).info.splits[split].num_bytes


def read_encoded(folder: Path, split: str) -> Iterator[EncodedExample]:
    """Read a split in its stored order, images still encoded."""
    from dlkeras.pipeline.tensorflow_import import tf, tfds

    builder = tfds.builder_from_directory(folder)
    for record in _records(builder, split):
        feature = tf.train.Example.FromString(record).features.feature
        yield EncodedExample(
            id=feature["id"].bytes_list.value[0].decode(),
            label=feature["label"].int64_list.value[0],
            image=feature["image"].bytes_list.value[0],
            format=feature["format"].bytes_list.value[0].decode(),
        )


def _is_array_record(builder: Any) -> bool:
    return builder.info.file_format.value == "array_record"


def _records(builder: Any, split: str) -> Iterator[bytes]:
    """Give the records of a split's shards, one shard after the other."""
    from dlkeras.pipeline.tensorflow_import import tf

    files = [i.filename for i in builder.info.splits[split].file_instructions]
    if not _is_array_record(builder):
        for file in files:
            yield from tf.data.TFRecordDataset(file).as_numpy_iterator()
        return
    from array_record.python.array_record_module import ArrayRecordReader

    for file in files:
        reader = ArrayRecordReader(file)
        count = reader.num_records()
        for start in range(0, count, BLOCK):
            yield from reader.read(range(start, min(start + BLOCK, count)))
