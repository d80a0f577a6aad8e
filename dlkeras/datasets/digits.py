"""The TFDS builder `digits`: 1,797 real handwritten digits, 8x8, from scikit-learn."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from sklearn.datasets import load_digits

from dlkeras.datasets.splitting import stratified_split

_CITATION = """
@misc{alpaydin1998optical,
  author = {Alpaydin, E. and Kaynak, C.},
  title = {Optical Recognition of Handwritten Digits},
  howpublished = {UCI Machine Learning Repository},
  year = {1998},
  doi = {10.24432/C50P49}
}
"""


class Digits(tfds.core.GeneratorBasedBuilder):
    """Handwritten digits of 13 people, 8x8 grey levels; nothing is downloaded.

    The test part of the UCI data set "Optical Recognition of Handwritten Digits", in
    the copy that scikit-learn carries. The 17 grey levels 0 to 16 are scaled to 0 to
    255, ink bright on a dark ground. The splits (65 % train, 15 % validation, 20 %
    test) are stratified by class and fixed by a hash of each image's content.

    Example:
    >>> import contextlib, io, tempfile
    >>> builder = Digits(data_dir=tempfile.mkdtemp())
    >>> with contextlib.redirect_stdout(io.StringIO()):  # TFDS's progress
    ...     builder.download_and_prepare()
    >>> [(s, builder.info.splits[s].num_examples) for s in sorted(builder.info.splits)]
    [('test', 359), ('train', 1168), ('validation', 270)]
    """

    VERSION = tfds.core.Version("1.0.0")
    FRACTIONS = {"train": 0.65, "validation": 0.15, "test": 0.2}  # noqa: RUF012

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=type(self).__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(8, 8, 1)),
                    "label": tfds.features.ClassLabel(num_classes=10),
                    "id": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://archive.ics.uci.edu/dataset/80",
            citation=_CITATION,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        digits = load_digits()
        images = np.round(digits.images * (255 / 16)).astype("uint8")[..., None]
        labels = digits.target.tolist()
        hashes = [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
        splits = stratified_split(hashes, labels, self.FRACTIONS)
        return {
            name: self._generate_examples(
                images, labels, [i for i, split in enumerate(splits) if split == name]
            )
            for name in self.FRACTIONS
        }

    def _generate_examples(
        self, images: np.ndarray, labels: list[int], indices: list[int]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in indices:
            yield (
                index,
                {
                    "image": images[index],
                    "label": labels[index],
                    "id": f"digits/{index:04d}",
                },
            )
