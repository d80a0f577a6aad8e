"""The TFDS builder `image_examples`: labelled images from any source, in one form."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow_datasets as tfds

# (id, encoded JPEG or PNG bytes or uint8 array, integer label)
ExampleReader = Callable[[], Iterator[tuple[str, Any, int]]]


class ImageExamples(tfds.core.GeneratorBasedBuilder):
    """Write labelled images as TFRecord shards that TFDS reads back.

    Args:
        readers: for each split, a function that returns an iterator over its examples:
            `(id, image, label)`, the image a file object of JPEG or PNG bytes, which
            are stored unchanged, or a uint8 array.
        labels: names of the classes.
        channels: number of channels that the images are decoded to, 1 or 3.
        description: where the images come from.
        **kwargs: handed to `tfds.core.GeneratorBasedBuilder` (`data_dir`).
    """

    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self,
        *,
        readers: Mapping[str, ExampleReader],
        labels: Sequence[str],
        channels: int,
        description: str,
        **kwargs: Any,
    ):
        self._readers = readers
        self._labels = list(labels)
        self._channels = channels
        self._description = description
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self._description,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, self._channels)),
                    "label": tfds.features.ClassLabel(names=self._labels),
                    "id": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        return {name: self._generate_examples(name) for name in self._readers}

    def _generate_examples(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for identifier, image, label in self._readers[split]():
            yield identifier, {"image": image, "label": label, "id": identifier}
