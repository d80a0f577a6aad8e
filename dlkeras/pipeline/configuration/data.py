"""The configuration of the components that make, check and preprocess examples."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from dlkeras.pipeline.configuration.description import one_line_error
from dlkeras.pipeline.configuration.key_fields import NotInKey


def _as_path(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str | Path) or value == "":
        raise ValueError(f"expected a path. Received: {value!r}")
    return value if info.mode == "json" else Path(value)


# A path is written as the user gave it, so that a configuration moves with its folder.
PathField = Annotated[
    Path, BeforeValidator(_as_path), PlainSerializer(os.fspath, return_type=str)
]

if TYPE_CHECKING:
    _Model = BaseModel
else:

    class _OneLineErrors(type(BaseModel)):
        """Makes an error of a script's configuration one line with the field's name."""

        def __call__(cls, *args: Any, **fields: Any) -> Any:
            try:
                return super().__call__(*args, **fields)
            except ValidationError as error:
                raise one_line_error(cls.__name__, error) from None

    class _Model(BaseModel, metaclass=_OneLineErrors):
        pass


class ComponentConfig(_Model):
    """What every component's configuration has in common: frozen, strict, no extras."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )


# What you can give in place of a data set's name.
SOURCES = ("builder_dir", "image_folder", "manifest", "npz", "source")


class ExampleGenConfig(ComponentConfig):
    """Which examples to ingest, and how to split a source that has no splits."""

    dataset: str | None = None
    """name of a TensorFlow data set, such as "mnist:3.0.1" (default: "digits", which
    comes with the package, where no other source is given)"""
    builder_dir: PathField | None = None
    """folder of one prepared TensorFlow data set, in place of dataset"""
    data_dir: PathField | None = None
    """folder of prepared TensorFlow data sets (default: inside the store)"""
    download: bool = False
    """allow the data set to be downloaded where data_dir does not have it"""
    train_split: str | None = None
    """TensorFlow data sets: what to train on, such as "train[:80%]" (default: train)"""
    validation_split: str | None = None
    """TensorFlow data sets: what to validate on (default: validation, if unused)"""
    test_split: str | None = None
    """TensorFlow data sets: what to test on (default: test, if not used above)"""
    image_folder: PathField | None = None
    """folder or archive of CLASS/*.png or SPLIT/CLASS/*.png, in place of dataset"""
    layout: Literal["auto", "classes", "splits"] = "auto"
    """what the top folders of image_folder are; auto reads it from their names"""
    manifest: PathField | None = None
    """table of images (CSV, Parquet, Excel, JSON lines): path, label, and split and
    group if any, in place of dataset"""
    task: Literal["classification", "multilabel", "regression"] = "classification"
    """what a label is: a class; any number of classes (manifest: cat|dog, a list, or a
    column of 0 and 1 for each class); or a number (manifest)"""
    columns: dict[str, str] = {}
    """manifest: which column is which, such as path=Filename,label=Class,split=Split
    (default: the usual names); label=cat|dog are columns of 0 and 1"""
    image_root: PathField | None = None
    """manifest: folder that the paths are relative to (default: the table's)"""
    npz: PathField | None = None
    """NumPy archive with x_train, y_train, x_test, y_test, in place of dataset"""
    source: NotInKey[str | None] = None  # its content is
    """MODULE:NAME of a function of your own that yields (image, label, name), or of a
    tf.data set, a PyDataset, two arrays; from a script: main(CONFIG, source=...)"""
    validation_fraction: float = Field(default=0.15, gt=0, lt=1)
    """share of the examples for validation, where the source has no such split"""
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    """share of the examples for the test, where the source has no such split"""
    rare_classes: Literal["stop", "leave_out", "merge", "train_only"] = "stop"
    """a class with fewer images than there are splits to draw (three, mostly) ends the
    run, is left out, becomes part of a class "other", or is trained on alone"""
    on_error: Literal["stop", "quarantine"] = "stop"
    """an example that cannot be read ends the run, or is left out and listed"""
    max_pixels: int = Field(default=64_000_000, ge=1)
    """largest height times width of an image; larger ones are not decoded"""
    file_format: Literal["tfrecord", "array_record"] = "tfrecord"
    """form of the shards"""
    examples_per_shard: int = Field(default=4096, ge=1)
    """examples of the source that are written together"""
    beam_python: NotInKey[PathField | None] = None
    """prepare on Apache Beam, with the Python of the environment that has it"""
    beam_options: NotInKey[str] = (
        "--direct_num_workers=2 --direct_running_mode=multi_processing"
    )
    """options of the Beam runner"""

    @property
    def source_name(self) -> str:
        """The source's short name: that of its file, its folder or its data set."""
        if self.builder_dir is not None:
            return f"{self.builder_dir.parent.name}/{self.builder_dir.name}"
        if self.source is not None:
            return self.source
        path = self.image_folder or self.manifest or self.npz
        return self.dataset_name if path is None else path.name

    @property
    def dataset_name(self) -> str:
        """The TensorFlow data set that is read where no other source is given."""
        return self.dataset or "digits"

    @model_validator(mode="before")
    @classmethod
    def _name_the_source_alone(cls, values: Any) -> Any:
        """Beside another source stands no data set, of a script or a default."""
        if not isinstance(values, Mapping):
            return values
        other = any(values.get(name) is not None for name in SOURCES)
        given = values.get("dataset")
        named = "digits" if given is None else given
        return {**values, "dataset": None if other else named}

    @model_validator(mode="after")
    def _leave_some_for_training(self) -> "ExampleGenConfig":
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(
                f"at most one source must be given. Received: {', '.join(given)}"
            )
        if self.task != "classification" and self.manifest is None:
            source = given[0] if given else f"dataset {self.dataset_name}"
            raise ValueError(
                f"task {self.task} needs a table, --example-gen.manifest, of images "
                f"and labels: {source} has one class an image"
            )
        if self.task == "regression" and self.rare_classes != "stop":
            raise ValueError(
                "rare_classes is for classes; with task regression a label is a "
                f"number. Received: {self.rare_classes}"
            )
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError(
                "validation_fraction + test_fraction must be less than 1. Received: "
                f"{self.validation_fraction} + {self.test_fraction}"
            )
        return self


class StatisticsGenConfig(ComponentConfig):
    """How finely the examples are described."""

    histogram_bins: int = Field(default=32, ge=2, le=256)
    """number of bins of the histograms of pixels and brightness"""
    gallery_size: int = Field(default=8, ge=0, le=64)
    """images of each class on the page of the statistics"""


class SchemaGenConfig(ComponentConfig):
    """Where the schema comes from: inferred from the statistics, or curated."""

    path: PathField | None = None
    """a curated schema (TOML or JSON) to use in place of the inferred one"""


class ExampleValidatorConfig(ComponentConfig):
    """How anomalies are reported."""

    max_named_examples: int = Field(default=20, ge=1)
    """at most this many offending examples are named for each anomaly"""


class TransformConfig(ComponentConfig):
    """The deterministic preprocessing, and the augmentation of the training split."""

    height: int = Field(default=32, ge=1)
    """height in pixels after resizing"""
    width: int = Field(default=32, ge=1)
    """width in pixels after resizing"""
    aspect: Literal["crop", "pad", "stretch"] = "crop"
    """a photo of another shape is cropped about its middle, padded with black, or
    stretched, which makes an ellipse of a circle"""
    scale: float = 1.275 / 255
    """factor on raw pixels; the default gives LeCun's range -0.1 to 1.175"""
    offset: float = -0.1
    """added after the factor"""
    antialias: bool = True
    """average what a shrunk image leaves out; off is several times as fast"""
    augment: bool = True
    """augment the training images by what follows"""
    shift: float = Field(default=0.08, ge=0, le=1)
    """largest shift, as a share of the height and width"""
    rotation: float = Field(default=12.0, ge=0, le=180)
    """largest rotation, in degrees"""
    zoom: float = Field(default=0.12, ge=0, lt=1)
    """largest zoom, as a share: 0.1 gives factors from 0.9 to 1.1"""
    fill_mode: Literal["constant", "nearest", "reflect"] = "constant"
    """what fills the area outside the image; constant is a raw pixel of 0"""
    horizontal_flip: bool = False
    """mirror half of the images left to right"""
    vertical_flip: bool = False
    """mirror half of the images top to bottom"""
    crop_padding: int = Field(default=0, ge=0)
    """pad by so many pixels, and cut the size out anywhere (ResNet on CIFAR: 4)"""
    min_crop_area: float = Field(default=1.0, gt=0, le=1)
    """cut out this share of the area or more, and enlarge it (Inception: 0.08)"""
    elastic: float = Field(default=0.0, ge=0)
    """elastic distortion: standard deviation of the displacement, in pixels"""
    elastic_sigma: float = Field(default=4.0, gt=0)
    """elastic distortion: width of the Gaussian that smooths it, in pixels"""
    brightness: float = Field(default=0.0, ge=0, le=1)
    """largest change of brightness; 1 makes black of white"""
    contrast: float = Field(default=0.0, ge=0, le=1)
    """largest change of contrast, as a share"""
    saturation: float = Field(default=0.0, ge=0, le=1)
    """largest change of saturation, as a share (colour images)"""
    hue: float = Field(default=0.0, ge=0, le=0.5)
    """largest turn of the hue; 0.5 is half of the circle (colour images)"""
    auto_contrast: float = Field(default=0.0, ge=0, le=1)
    """probability of stretching the pixels over the whole range"""
    noise: float = Field(default=0.0, ge=0, le=1)
    """standard deviation of Gaussian noise, 1 being white; it seldom helps"""
    erasing: float = Field(default=0.0, ge=0, le=1)
    """probability of erasing a random rectangle"""
    cutout: float = Field(default=0.0, ge=0, le=1)
    """side of the square that is erased, as a share of the image's"""
    rand_augment: int = Field(default=0, ge=0, le=4)
    """number of RandAugment's operations on each image"""
    rand_augment_magnitude: float = Field(default=9.0, ge=0, le=10)
    """their magnitude, 0 to 10"""
    mixup: float = Field(default=0.0, ge=0)
    """alpha of mixup's Beta distribution; 0 mixes no images"""
    cutmix: float = Field(default=0.0, ge=0)
    """alpha of CutMix's Beta distribution; 0 mixes no images"""
    preview_examples: int = Field(default=6, ge=1, le=64)
    """number of images on the preview of the augmentation"""

    def in_words(self) -> str:
        """Say the augmentations that are on, in the order of the fields.

        >>> TransformConfig(rotation=0.0, zoom=0.0, horizontal_flip=True).in_words()
        'shift 0.08, horizontal flip'
        >>> TransformConfig(augment=False).in_words()
        'none'
        """
        off = {"min_crop_area": 1.0}
        details = ("elastic_sigma", "rand_augment_magnitude", "preview_examples")
        names = list(type(self).model_fields)
        names = names[names.index("augment") + 1 :] if self.augment else []
        words = []
        for name in names:
            value = getattr(self, name)
            if name in details or isinstance(value, str) or value == off.get(name, 0):
                continue
            word = name.replace("_", " ")
            words.append(word if value is True else f"{word} {value:g}")
        return ", ".join(words) or "none"
