"""ExampleGen: any source of labelled images, as one TFDS data set in three splits.

A source yields `SourceExample`s. They are read twice: once to check that every image
can be decoded and to digest its pixels, which decides its split where the source has
none; once to write them. Neither pass holds more than one image.
"""

import contextlib
import difflib
import importlib
import io
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from dlkeras.datasets import PACKAGED
from dlkeras.datasets.splitting import stratified_split
from dlkeras.pipeline.artifacts import SPLITS
from dlkeras.pipeline.config import ExampleGenConfig
from dlkeras.pipeline.errors import InputError
from dlkeras.pipeline.example_digest import pixel_digest
from dlkeras.pipeline.store import Draft, canonical_digest

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"})
MAX_NAMED = 20
SCRATCH = "source"


@dataclass(frozen=True)
class SourceExample:
    """One image of a source: where it is, what it shows, and how to get its bytes."""

    id: str
    split: str
    label: int
    read: Callable[[], bytes]


class Source(Protocol):
    """Where examples come from."""

    description: str
    labels: tuple[str, ...]
    ignored: list[str]

    def examples(self) -> Iterator[SourceExample]:
        """Go through the examples, in the same order every time."""
        ...


class TFDSSource:
    """A data set that TensorFlow Datasets knows by name, or one the package brings."""

    def __init__(self, config: ExampleGenConfig, data_dir: Path):
        from dlkeras.pipeline.tensorflow_import import tfds

        name = config.dataset
        if name in PACKAGED:
            importlib.import_module(PACKAGED[name])
        try:
            self._builder = tfds.builder(name, data_dir=data_dir, try_gcs=False)
        except tfds.core.registered.DatasetNotFoundError as error:
            known = [*PACKAGED, *tfds.list_builders(with_community_datasets=False)]
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise InputError(
                f"--example-gen.dataset: expected the name of a TensorFlow data set; "
                f"received {name!r}{hint}"
            ) from error
        if not (self._builder.is_prepared() or name in PACKAGED or config.download):
            raise InputError(
                f"--example-gen.dataset: {name!r} is not prepared in "
                f"{self._builder.data_dir}; pass --example-gen.data-dir with the "
                "folder that has it, or --example-gen.download"
            )
        with contextlib.redirect_stdout(io.StringIO()):
            self._builder.download_and_prepare()
        features = self._builder.info.features
        self._image = self._feature(features, tfds.features.Image)
        self._label = self._feature(features, tfds.features.ClassLabel)
        self.labels = tuple(features[self._label].names)
        self.ignored: list[str] = []
        self.description = f"TensorFlow data set {self._builder.info.full_name}"

    def _feature(self, features: Mapping[str, Any], kind: type) -> str:
        names = [name for name in features if isinstance(features[name], kind)]
        if len(names) != 1:
            raise InputError(
                f"--example-gen.dataset: expected a data set with one {kind.__name__} "
                f"feature; {self._builder.name!r} has {dict(features.items())}"
            )
        return names[0]

    def examples(self) -> Iterator[SourceExample]:
        """Go through the splits in their stored order, images still encoded."""
        from dlkeras.pipeline.tensorflow_import import tfds

        reading = tfds.ReadConfig(interleave_cycle_length=1, add_tfds_id=True)
        for name in self._builder.info.splits:
            if name not in SPLIT_NAMES:
                continue
            dataset = self._builder.as_dataset(
                split=name,
                shuffle_files=False,
                read_config=reading,
                decoders={self._image: tfds.decode.SkipDecoding()},
            )
            for example in dataset.as_numpy_iterator():
                encoded = example[self._image]
                identifier = example.get("id", example["tfds_id"])
                yield SourceExample(
                    id=identifier.decode(),
                    split=SPLIT_NAMES[name],
                    label=int(example[self._label]),
                    read=lambda encoded=encoded: encoded,
                )


class ImageFolderSource:
    """A folder of images: CLASS/*.png, or SPLIT/CLASS/*.png (SPLIT: train, test)."""

    def __init__(self, folder: Path):
        flag = "--example-gen.image-folder"
        if not folder.is_dir():
            raise InputError(f"{flag}: expected a folder; received {folder}")
        top = sorted(
            f.name for f in folder.iterdir() if f.is_dir() and f.name[0] != "."
        )
        split_folders = {name: SPLIT_NAMES[name] for name in top if name in SPLIT_NAMES}
        if len(split_folders) != len(top) or "train" not in split_folders.values():
            split_folders = {"": "train"}
        inside = [
            (split, file)
            for name, split in split_folders.items()
            for file in sorted((folder / name).glob("[!.]*/[!.]*"))
        ]
        self._files = [
            (split, file.parent.name, file)
            for split, file in inside
            if file.suffix.lower() in IMAGE_SUFFIXES
        ]
        read = {file for _, _, file in self._files}
        names = (
            file.relative_to(folder)
            for file in folder.rglob("*")
            if file.is_file() and file not in read
        )
        self.ignored = sorted(
            name.as_posix()
            for name in names
            if not any(part.startswith(".") for part in name.parts)
        )
        self._folder = folder
        names = sorted({label for _, label, _ in self._files})
        self.labels = tuple(names)
        self.description = f"image folder {folder.name}"
        if not self._files:
            raise InputError(
                f"{flag}: expected images as {folder}/CLASS/*.png or "
                f"{folder}/train/CLASS/*.png (also jpg, jpeg, bmp, gif, webp); "
                "found none"
            )
        if len(names) < 2:
            raise InputError(
                f"{flag}: expected at least two class folders with images in {folder}; "
                f"found one, {names[0]!r}"
            )

    def examples(self) -> Iterator[SourceExample]:
        """Go through the files in the order of their names."""
        for split, label, file in self._files:
            yield SourceExample(
                id=file.relative_to(self._folder).as_posix(),
                split=split,
                label=self.labels.index(label),
                read=file.read_bytes,
            )


def decode(encoded: bytes) -> tuple[bytes, np.ndarray]:
    """Decode an image, and bring it into a form that TensorFlow decodes to the same.

    Args:
        encoded: the bytes of an image file.

    Returns:
        JPEG or PNG bytes, the given ones where they are grey or RGB already, and the
        pixels: (height, width, channels) uint8, channels 1 or 3.

    Raises:
        ValueError: the bytes are not an image that can be decoded whole.
    """
    if not encoded:
        raise ValueError("the file is empty")
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            image.load()
            plain = image.format in ("JPEG", "PNG") and image.mode in ("L", "RGB")
            upright = ImageOps.exif_transpose(image)
            if not plain or image.getexif().get(0x0112, 1) != 1:
                grey = image.mode in ("1", "L", "LA") or image.mode.startswith("I")
                if image.mode.startswith("I"):  # 16 bits a pixel
                    upright = Image.fromarray(
                        (np.asarray(upright) // 257).astype("uint8")
                    )
                upright = upright.convert("L" if grey else "RGB")
                buffer = io.BytesIO()
                upright.save(buffer, format="PNG")
                encoded = buffer.getvalue()
            pixels = np.asarray(upright)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        message = "not an image" if isinstance(error, UnidentifiedImageError) else error
        raise ValueError(str(message)) from error
    return encoded, pixels[..., None] if pixels.ndim == 2 else pixels


def source_fingerprint(config: ExampleGenConfig) -> str:
    """A digest that changes when the files of the source do, without reading them."""
    if config.image_folder is not None:
        folder = config.image_folder
        files = [*folder.glob("*/*"), *folder.glob("*/*/*")]  # as the source reads them
    elif config.data_dir is not None:
        folder = config.data_dir
        name = re.split(r"[:/]", config.dataset)[0]
        files = list((folder / name).glob("**/*"))
    else:
        return ""
    return canonical_digest(
        [
            (file.relative_to(folder).as_posix(), stat.st_size, stat.st_mtime_ns)
            for file in sorted(files)
            if file.is_file()
            for stat in [file.stat()]
        ]
    )


def example_gen(config: ExampleGenConfig, output: Draft, data_dir: Path) -> None:
    """Read a source and write it as a TFDS data set with three splits.

    A split that the source lacks is taken out of `train`: stratified by class, and by
    the rank of the examples' digests, so that the same images give the same splits and
    identical images never stand in two of them.

    Args:
        config: which source.
        output: gets the data set, and `labels`, `channels`, `splits`, `source` and
            `builder` (the folder that TFDS reads) as properties. Its digest is made of
            the decoded examples, since the bytes of TFRecord files vary.
        data_dir: where TFDS prepares data sets, unless the configuration says.

    Raises:
        InputError: the source does not exist, has fewer than two classes, or has an
            image that cannot be decoded; all such images are named.
    """
    if config.image_folder is not None:
        source: Source = ImageFolderSource(config.image_folder)
    elif config.dataset in PACKAGED and config.data_dir is None:
        source = TFDSSource(config, output.path / SCRATCH)  # a second, anew each time
    else:
        source = TFDSSource(config, config.data_dir or data_dir)

    ids, labels, splits, digests, unreadable = [], [], [], [], []
    channels = 1
    for example in _whole(source):
        try:
            _, pixels = decode(example.read())
        except (ValueError, OSError) as error:
            unreadable.append(f"{example.id}: {error}")
            continue
        ids.append(example.id)
        labels.append(example.label)
        splits.append(example.split)
        digests.append(pixel_digest(pixels))
        channels = max(channels, pixels.shape[-1])
    if unreadable:
        more = len(unreadable) - MAX_NAMED
        raise InputError(
            f"expected images that can be decoded in {source.description}; "
            f"{len(unreadable)} cannot: "
            + "; ".join(unreadable[:MAX_NAMED])
            + (f"; and {more} more" if more > 0 else "")
        )
    splits = _with_missing_splits(config, splits, labels, digests)
    counts = {name: splits.count(name) for name in SPLITS}
    if not all(counts.values()):
        raise InputError(
            "expected examples in every split; "
            f"{source.description} gives {counts}: add images, or raise "
            "--example-gen.validation-fraction or --example-gen.test-fraction"
        )
    _write(source, output, dict(zip(ids, splits, strict=True)), channels)
    shutil.rmtree(output.path / SCRATCH, ignore_errors=True)

    output.properties.update(
        source=source.description,
        ignored=source.ignored,
        labels=list(source.labels),
        channels=channels,
        splits=counts,
    )
    rows = sorted(zip(splits, ids, labels, digests, strict=True))
    output.digest = canonical_digest([list(source.labels), channels, rows])


def _whole(source: Source) -> Iterator[SourceExample]:
    """Go through a source, and say in one line that its files are damaged."""
    try:
        yield from source.examples()
    except Exception as error:
        # TensorFlow's errors can only be named once it is imported; others are ours.
        if type(error).__module__.startswith("tensorflow."):
            reason = str(error).strip().splitlines()[0]
            raise InputError(
                f"expected a data set that can be read whole; {source.description}: "
                f"{reason}"
            ) from error
        raise


def _with_missing_splits(
    config: ExampleGenConfig, splits: list[str], labels: list[int], digests: list[str]
) -> list[str]:
    """Take the splits that no example has out of train."""
    wanted = {"validation": config.validation_fraction, "test": config.test_fraction}
    fractions = {name: share for name, share in wanted.items() if name not in splits}
    if not fractions:
        return splits
    fractions = {"train": 1 - sum(fractions.values()), **fractions}
    train = [index for index, split in enumerate(splits) if split == "train"]
    dealt = stratified_split(
        [digests[index] for index in train],
        [labels[index] for index in train],
        fractions,
    )
    result = list(splits)
    for index, split in zip(train, dealt, strict=True):
        result[index] = split
    return result


def _write(
    source: Source, output: Draft, split_of: dict[str, str], channels: int
) -> None:
    """Write the examples through TFDS, in the order of the source."""
    import dlkeras.pipeline.tensorflow_import  # noqa: F401  (quiet, and so first)

    # isort: split
    from dlkeras.datasets.image_examples import ImageExamples

    def reader(split: str) -> Iterator[tuple[str, io.BytesIO, int]]:
        for example in source.examples():
            if split_of[example.id] == split:
                encoded, _ = decode(example.read())
                yield example.id, io.BytesIO(encoded), example.label

    builder = ImageExamples(
        data_dir=output.path,
        readers={name: lambda name=name: reader(name) for name in SPLITS},
        labels=source.labels,
        channels=channels,
        description=source.description,
    )
    with contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare()
    output.properties["builder"] = str(Path(builder.data_dir).relative_to(output.path))
