"""The configuration of a pipeline: one frozen, strict pydantic model per component.

Every field is a command-line flag of a pipeline script (`--trainer.epochs 5`), and its
description is that flag's help. A resolved configuration is plain JSON: it is logged
with the run and replayed with `--config FILE.json`.
"""

import json
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from dlkeras.pipeline.errors import InputError

COMPONENTS = (
    "ExampleGen",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "Transform",
    "Tuner",
    "Trainer",
    "Evaluator",
    "InfraValidator",
    "Pusher",
)
ComponentName = Literal[
    "ExampleGen",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "Transform",
    "Tuner",
    "Trainer",
    "Evaluator",
    "InfraValidator",
    "Pusher",
]

# Names become folders and pages: no slash, no leading dot.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"

# A path is written as the user gave it, so that a configuration moves with its folder.
PathField = Annotated[Path, PlainSerializer(os.fspath, return_type=str)]


class ComponentConfig(BaseModel):
    """What every component's configuration has in common: frozen, strict, no extras."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )


class ExampleGenConfig(ComponentConfig):
    """Which examples to ingest, and how to split a source that has no splits."""

    dataset: str = "digits"
    """name of a TensorFlow data set ("digits" comes with the package, "mnist:3.0.1")"""
    builder_dir: PathField | None = None
    """folder of one prepared TensorFlow data set, in place of dataset"""
    data_dir: PathField | None = None
    """folder of prepared TensorFlow data sets (default: inside the store)"""
    download: bool = False
    """allow the data set to be downloaded where data_dir does not have it"""
    train_split: str | None = None
    """TensorFlow data sets: what to train on, such as "train[:80%]" (default: train)"""
    validation_split: str | None = None
    """TensorFlow data sets: what to validate on"""
    test_split: str | None = None
    """TensorFlow data sets: what to test on"""
    image_folder: PathField | None = None
    """folder or archive of CLASS/*.png or SPLIT/CLASS/*.png, in place of dataset"""
    manifest: PathField | None = None
    """CSV or Parquet table: path, label, split and group if any, in place of dataset"""
    npz: PathField | None = None
    """NumPy archive with x_train, y_train, x_test, y_test, in place of dataset"""
    validation_fraction: float = Field(default=0.15, gt=0, lt=1)
    """share of the examples for validation, where the source has no such split"""
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    """share of the examples for the test, where the source has no such split"""
    on_error: Literal["stop", "quarantine"] = "stop"
    """an example that cannot be read ends the run, or is left out and listed"""
    max_pixels: int = Field(default=64_000_000, ge=1)
    """largest height times width of an image; larger ones are not decoded"""
    file_format: Literal["tfrecord", "array_record"] = "tfrecord"
    """form of the shards"""
    examples_per_shard: int = Field(default=4096, ge=1)
    """examples of the source that are written together"""
    beam_python: PathField | None = None
    """prepare on Apache Beam, with the Python of the environment that has it"""
    beam_options: str = "--direct_num_workers=2 --direct_running_mode=multi_processing"
    """options of the Beam runner"""

    @model_validator(mode="after")
    def _leave_some_for_training(self) -> "ExampleGenConfig":
        sources = ("builder_dir", "image_folder", "manifest", "npz")
        given = [name for name in sources if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(
                f"at most one source must be given. Received: {', '.join(given)}"
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
    scale: float = 1.275 / 255
    """factor on raw pixels; the default gives LeCun's range -0.1 to 1.175"""
    offset: float = -0.1
    """added after the factor"""
    augment: bool = True
    """augment the training images by what follows"""
    shift: float = Field(default=0.08, ge=0, le=1)
    """largest shift, as a share of the height and width"""
    rotation: float = Field(default=12.0, ge=0, le=180)
    """largest rotation, in degrees"""
    zoom: float = Field(default=0.12, ge=0, lt=1)
    """largest zoom, as a share: 0.1 gives factors from 0.9 to 1.1"""
    fill_mode: Literal["constant", "nearest", "reflect"] = "constant"
    """what stands outside the image; constant is a raw pixel of 0"""
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


class TunerConfig(ComponentConfig):
    """The search for hyperparameters: how, over what, and by how many processes."""

    enabled: bool = True
    """search for hyperparameters before training (--no-tuner skips it)"""
    algorithm: Literal["random", "bayesian", "hyperband"] = "random"
    """how the next trial is chosen"""
    space: dict[str, str] = Field(
        default={"learning_rate": "on", "augmentation_strength": "on"}
    )
    """what is varied, as NAME=on, NAME=off, NAME=LOW:HIGH or NAME=VALUE,VALUE; NAME is
    a field of the trainer, such as dropout, activation or optimizer"""
    max_trials: int = Field(default=3, ge=1)
    """number of trials (hyperband: at most so many)"""
    epochs: int = Field(default=2, ge=1)
    """most epochs of each trial"""
    patience: int | None = Field(default=None, ge=1)
    """end a trial after so many epochs without a lower validation loss"""
    factor: int = Field(default=3, ge=2)
    """hyperband: one trial in so many goes on to the next round"""
    workers: int = Field(default=0, ge=0)
    """number of processes that run trials beside each other; 0 is this one alone"""
    deadline: float = Field(default=3600.0, gt=0)
    """seconds within which some worker must end an epoch or a trial"""
    min_learning_rate: float = Field(default=5e-4, gt=0)
    """lower end of the learning rates tried (sampled in the logarithm)"""
    max_learning_rate: float = Field(default=4e-3, gt=0)
    """upper end of the learning rates tried"""
    min_augmentation_strength: float = Field(default=0.6, ge=0, le=2)
    """lower end of the factor on the changes of the augmentation"""
    max_augmentation_strength: float = Field(default=1.2, ge=0, le=2)
    """upper end of the factor on the changes of the augmentation"""

    @model_validator(mode="after")
    def _order_the_ranges(self) -> "TunerConfig":
        for name in ("learning_rate", "augmentation_strength"):
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if low > high:
                raise ValueError(
                    f"min_{name} must be at most max_{name}. Received: {low} > {high}"
                )
        return self


class TransferConfig(ComponentConfig):
    """Which network the training starts from, and what of it learns."""

    source: str | None = None
    """start from lenet5:mnist (an architecture and its weights, by name or file),
    a .keras file, models:/name@alias, or keras.applications:MobileNetV2"""
    freeze_until: str | None = None
    """freeze up to this stage or layer, share (0.5) or number (12) of layers"""
    train_batch_normalization: bool = False
    """let the statistics and scales of batch normalisations learn, too"""
    learning_rate_decay: float = Field(default=0.5, gt=0, le=1)
    """factor of the learning rate from one stage to the one before"""
    distance_penalty: float = Field(default=0.0, ge=0)
    """L2-SP: strength of the pull towards the source's weights"""


class TrainerConfig(ComponentConfig):
    """The network and how it is trained."""

    architecture: str = "lenet5"
    """name of an architecture of dlkeras.architectures"""
    epochs: int = Field(default=40, ge=1)
    """most epochs to train"""
    batch_size: int = Field(default=32, ge=1)
    """images in a training step"""
    learning_rate: float = Field(default=2e-3, gt=0)
    """initial learning rate of Adam, where no tuner chooses one"""
    learning_rate_schedule: Literal["cosine", "constant", "plateau"] = "cosine"
    """how the learning rate goes on from there: cosine falls to 0 at the last epoch,
    plateau falls when the validation loss no longer does"""
    plateau_factor: float = Field(default=0.3, gt=0, lt=1)
    """factor on the learning rate where the schedule is plateau"""
    plateau_patience: int = Field(default=3, ge=1)
    """epochs without a lower validation loss before that"""
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"] = "adam"
    """what follows the gradients; sgd with Nesterov momentum 0.9"""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """share of units dropped before the output (default: the architecture's own)"""
    width_multiplier: float | None = Field(default=None, gt=0)
    """factor on the numbers of maps and units (default: the architecture's own)"""
    activation: str | None = None
    """Keras's name of the activation (default: the architecture's own)"""
    kernel_initializer: str | None = None
    """Keras's name of the initialiser (default: the architecture's own)"""
    frozen_layers: int = Field(default=0, ge=0)
    """number of layers with weights, from the images on, that are not trained"""
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] | None = None
    """number format of the computation (default: KERAS_FLOATX, else float32)"""
    augmentation_strength: float = Field(default=1.0, ge=0, le=2)
    """factor on the changes of the augmentation, where no tuner chooses one"""
    early_stopping_patience: int = Field(default=12, ge=1)
    """stop after this many epochs without a lower validation loss"""
    keep_checkpoints: int = Field(default=2, ge=2)
    """number of checkpoints (one is written every epoch) kept while training"""
    save_freq: int | None = Field(default=None, ge=1)
    """write a checkpoint every so many steps within an epoch, too"""
    monitor: bool = True
    """measure gradients and activations, and say what is wrong with a training"""
    gradient_frequency: int = Field(default=10, ge=1)
    """training steps between two measurements of the gradients"""
    activation_frequency: int = Field(default=1, ge=1)
    """epochs between two measurements of the activations"""
    on_finding: Literal["warn", "stop"] = "warn"
    """what a finding of severity error does: it is told, or it ends the run"""
    transfer: TransferConfig = TransferConfig()
    """where the first weights come from, and what of the network learns"""


class EvaluatorConfig(ComponentConfig):
    """What is measured on the test split, and what a model must reach."""

    top_k: int = Field(default=3, ge=1)
    """k of the top-k accuracy"""
    calibration_bins: int = Field(default=15, ge=2)
    """number of equal-width bins of the expected calibration error"""
    gallery_size: int = Field(default=25, ge=1)
    """number of examples in the galleries"""
    min_accuracy: float = Field(default=0.96, ge=0, le=1)
    """least test accuracy of a blessed model"""
    max_accuracy_drop: float = Field(default=0.01, ge=0, le=1)
    """a blessed model may be at most this much worse than the last blessed one"""
    significance: float = Field(default=0.05, ge=0, lt=1)
    """a model that McNemar's test finds worse at this level is not blessed"""
    min_slice_accuracy: float | None = Field(default=None, ge=0, le=1)
    """least accuracy of every slice (default: none)"""
    max_latency_ms: float | None = Field(default=None, gt=0)
    """greatest 95th percentile of the time for one image, in ms (default: none)"""
    first_model: Literal["bless", "refuse"] = "bless"
    """what becomes of a model that has no blessed one to be compared with"""
    slices: tuple[str, ...] = ("mean",)
    """columns of the statistics by which the test examples are sliced, numbers by
    quarters; mean is the brightness"""
    bootstrap_samples: int = Field(default=1000, ge=100)
    """resamples behind an interval"""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """share of the resamples inside an interval"""
    robustness_images: int = Field(default=500, ge=0)
    """number of test images that are shifted, blurred, made noisy and pale; 0: none"""
    latency_repetitions: int = Field(default=100, ge=2)
    """number of answers that are timed"""


class InfraValidatorConfig(ComponentConfig):
    """The forms in which a model is served, and how a fresh process tries them."""

    onnx: bool = False
    """write the network as ONNX, too (needs the extra onnx)"""
    litert: bool = False
    """write the network as LiteRT, too (needs the extra litert)"""
    images: int = Field(default=20, ge=1)
    """number of real images that each form must answer"""
    tolerance: float = Field(default=1e-5, gt=0)
    """largest difference of a probability from the trainer's model"""
    timeout: float = Field(default=300.0, gt=0)
    """seconds within which the fresh process must answer"""


class PusherConfig(ComponentConfig):
    """Where a blessed model goes."""

    model_name: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
    )
    """name in the MLflow registry (default: the pipeline's name)"""
    alias: str = Field(default="champion", pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,99}$")
    """alias that the pushed version gets in the MLflow registry"""


class PipelineConfig(ComponentConfig):
    """The whole job: what a pipeline script defines and `run` executes.

    Example:
    >>> config = PipelineConfig(name="mine", trainer=TrainerConfig(epochs=5))
    >>> config.trainer.epochs
    5
    >>> config == PipelineConfig.model_validate_json(config.model_dump_json())
    True
    """

    name: str = Field(default="pipeline", pattern=NAME_PATTERN)
    """name of the pipeline: the MLflow experiment, and the registered model"""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """seed of the initial weights, the order of the examples and the augmentation"""
    mlruns: PathField = Path("mlruns")
    """folder of everything a run keeps: mlflow.db, artifacts/, store/"""
    tracking_uri: str | None = None
    """MLflow server or database (default: MLFLOW_TRACKING_URI, else mlflow.db)"""
    example_gen: ExampleGenConfig = ExampleGenConfig()
    statistics_gen: StatisticsGenConfig = StatisticsGenConfig()
    schema_gen: SchemaGenConfig = SchemaGenConfig()
    example_validator: ExampleValidatorConfig = ExampleValidatorConfig()
    transform: TransformConfig = TransformConfig()
    tuner: TunerConfig = TunerConfig()
    trainer: TrainerConfig = TrainerConfig()
    evaluator: EvaluatorConfig = EvaluatorConfig()
    infra_validator: InfraValidatorConfig = InfraValidatorConfig()
    pusher: PusherConfig = PusherConfig()

    @property
    def model_name(self) -> str:
        """Name of the model in the MLflow registry."""
        return self.pusher.model_name or self.name


def load_config(path: Path) -> PipelineConfig:
    """Read a configuration that an earlier run wrote.

    Args:
        path: a JSON file as `PipelineConfig.model_dump_json` writes it; keys left out
            take their defaults.

    Returns:
        The configuration.

    Raises:
        InputError: the file cannot be read, or a key is unknown or ill-typed; the
            message names the file and the key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--config: expected a readable JSON file; {path}: "
            f"{getattr(error, 'strerror', None) or error}"
        ) from error
    try:
        return PipelineConfig.model_validate_json(text)
    except ValidationError as error:
        raise InputError(f"--config {path}: {describe(error)}") from error


def describe(error: ValidationError, flag: bool = False) -> str:
    """Say in one line what is wrong with the first bad field of a configuration.

    Args:
        error: what pydantic raised.
        flag: name the field as a command-line flag (`--trainer.epochs`) rather than as
            a key (`trainer.epochs`).
    """
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if flag:
        place = "--" + place.replace("_", "-")
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    message = message[0].lower() + message[1:]
    value = first["input"]
    if first["type"] == "json_invalid":
        return message
    if "Received:" in message or isinstance(value, dict | BaseModel):
        return f"{place}: {message}" if first["loc"] else message
    return f"{place}: {message}; received {json.dumps(value, default=str)}"
