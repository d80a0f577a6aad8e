"""The configuration of a pipeline: one frozen, strict pydantic model per component.

Every field is a command-line flag of a pipeline script (`--trainer.epochs 5`), and its
description is that flag's help. A resolved configuration is plain JSON: it is logged
with the run and replayed with `--config FILE.json`.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from dlkeras.pipeline.configuration.data import (
    ComponentConfig,
    ExampleGenConfig,
    ExampleValidatorConfig,
    PathField,
    SchemaGenConfig,
    StatisticsGenConfig,
    TransformConfig,
)
from dlkeras.pipeline.configuration.description import describe
from dlkeras.pipeline.configuration.flags import flags_of
from dlkeras.pipeline.configuration.key_fields import InKeyOf, NotInKey, T, section
from dlkeras.pipeline.configuration.training import (
    TrainerConfig,
    TransferConfig,
    TunerConfig,
)
from dlkeras.pipeline.store.errors import InputError, reason

__all__ = [
    "COMPONENTS",
    "NAME_PATTERN",
    "BulkInferrerConfig",
    "ComponentConfig",
    "EvaluatorConfig",
    "ExampleGenConfig",
    "ExampleValidatorConfig",
    "InfraValidatorConfig",
    "PathField",
    "PipelineConfig",
    "PusherConfig",
    "SchemaGenConfig",
    "StatisticsGenConfig",
    "TrainerConfig",
    "TransferConfig",
    "TransformConfig",
    "TunerConfig",
    "describe",
    "load_config",
    "merge",
]

# Changing a threshold decides again, and measures nothing again.
OfTheBlessing = Annotated[T, InKeyOf("Blessing")]

# Names become folders and pages: no slash, no leading dot.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"


class EvaluatorConfig(ComponentConfig):
    """What is measured on the test split, and what a model must reach."""

    top_k: int = Field(default=3, ge=1)
    """k of the top-k accuracy"""
    calibration_bins: int = Field(default=15, ge=2)
    """number of equal-width bins of the expected calibration error"""
    gallery_size: int = Field(default=25, ge=1)
    """number of examples in the galleries"""
    grad_cam_images: int = Field(default=5, ge=0)
    """one class an image: number of the worst mistakes for which Grad-CAM draws what
    spoke for the wrong class"""
    test_time_augmentation: int = Field(default=0, ge=0)
    """augmented copies of each test image that are answered, too, and the mean measured
    beside the plain answer; what is served answers each image once"""
    min_accuracy: OfTheBlessing[float] = Field(default=0.96, ge=0, le=1)
    """least test accuracy of a blessed model"""
    threshold: float = Field(default=0.5, gt=0, lt=1)
    """several labels: the probability from which an image has a label"""
    calibrate: bool = False
    """one class an image: divide the logits of what is pushed by the temperature of the
    validation split, so that probabilities are as often right as they say"""
    unsure_below: float | None = Field(default=None, gt=0, lt=1)
    """one class an image: the probability below which the served answer is unsure"""
    min_macro_f1: OfTheBlessing[float] = Field(default=0.0, ge=0, le=1)
    """several labels: least macro F1 of a blessed model"""
    max_mean_absolute_error: OfTheBlessing[float | None] = Field(default=None, gt=0)
    """a number as label: greatest mean absolute error of a blessed model"""
    refuse_trivial: OfTheBlessing[bool] = True
    """refuse a model that is no better than one without eyes: that always gives the
    commonest class of the test split, all of several labels, or the median number"""
    max_accuracy_drop: OfTheBlessing[float] = Field(default=0.01, ge=0, le=1)
    """a blessed model may be at most this much worse than the last blessed one: its
    macro F1 lower, or its mean absolute error greater by this share"""
    significance: OfTheBlessing[float] = Field(default=0.05, ge=0, lt=1)
    """a model that McNemar's test finds worse at this level is not blessed; of numbers
    Wilcoxon's signed-rank test"""
    min_slice_accuracy: OfTheBlessing[float | None] = Field(default=None, ge=0, le=1)
    """least accuracy of every slice (default: none); of several labels all must be
    right"""
    max_latency_ms: OfTheBlessing[float | None] = Field(default=None, gt=0)
    """greatest 95th percentile of the time for one image, in ms (default: none)"""
    first_model: OfTheBlessing[Literal["bless", "refuse"]] = "bless"
    """what becomes of a model that has no blessed one to be compared with"""
    slices: tuple[str, ...] = ("mean",)
    """columns of the statistics, or of the manifest, by which the test examples are
    sliced, numbers by quarters; mean is the brightness"""
    bootstrap_samples: int = Field(default=1000, ge=100)
    """resamples behind the interval of the loss"""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """how often an interval holds the true value"""
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
    tolerance: float | None = Field(default=None, gt=0)
    """largest difference of a probability from the trainer's model (default: 1e-5,
    where it computes in float16 2**-7, in bfloat16 2**-4)"""
    timeout: NotInKey[float] = Field(default=300.0, gt=0)
    """seconds within which the fresh process must answer"""


class PusherConfig(ComponentConfig):
    """Where a blessed model goes."""

    model_name: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
    )
    """name in the MLflow registry (default: the pipeline's name)"""
    alias: str = Field(default="champion", pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,99}$")
    """alias that the pushed version gets in the MLflow registry"""
    destination: NotInKey[PathField | None] = None
    """folder that TensorFlow Serving watches: the model goes to
    DESTINATION/NAME/VERSION (default: nowhere)"""


class BulkInferrerConfig(ComponentConfig):
    """A folder of images to classify with the pushed model."""

    images: NotInKey[PathField | None] = None  # their content is
    """folder of images without labels: once pushed, the model answers for each"""


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
    bulk_inferrer: BulkInferrerConfig = BulkInferrerConfig()

    @property
    def model_name(self) -> str:
        """Name of the model in the MLflow registry."""
        return self.pusher.model_name or self.name


def camel_case(name: str) -> str:
    """The name of a component whose function or section is `name`.

    >>> camel_case("statistics_gen")
    'StatisticsGen'
    """
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def component_names(model: type[BaseModel]) -> tuple[str, ...]:
    """The components that a configuration has a section for, in its order.

    >>> component_names(PipelineConfig)[:2]
    ('ExampleGen', 'StatisticsGen')
    """
    return tuple(
        camel_case(name)
        for name, field in model.model_fields.items()
        if section(field.annotation)
    )


COMPONENTS = component_names(PipelineConfig)


def load_config(path: Path, base: PipelineConfig | None = None) -> PipelineConfig:
    """Read a configuration, or a part of one, and lay it over another.

    Args:
        path: a JSON file as `PipelineConfig.model_dump_json` writes it.
        base: what a key that the file leaves out takes; default: the defaults.

    Returns:
        The configuration.

    Raises:
        InputError: the file cannot be read, or a key is unknown, given twice or
            ill-typed; the message names the file and the key.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin with a BOM
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--config: expected a readable JSON file; {path}: "
            f"{getattr(error, 'strerror', None) or reason(error)}"
        ) from error
    try:
        given = json.loads(text, object_pairs_hook=_JsonObject)
    except (ValueError, RecursionError) as error:
        raise InputError(f"--config {path}: invalid JSON: {reason(error)}") from error
    if not isinstance(given, _JsonObject):
        raise InputError(
            f"--config {path}: expected a JSON object; received {text[:60]!r}"
        )
    under = base or PipelineConfig()
    model = type(under)
    for problem in _wrong_keys(given, model):
        raise InputError(f"--config {path}: {problem}")
    merged = merge(under.model_dump(mode="json"), given, model)
    try:
        return model.model_validate_json(json.dumps(merged))
    except ValidationError as error:
        raise InputError(f"--config {path}: {describe(error)}") from error


class _JsonObject(dict[str, Any]):
    """A JSON object that knows which keys it was given twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.twice = [name for name in self if names.count(name) > 1]


def merge(
    base: Mapping[str, Any],
    given: Mapping[str, Any],
    model: type[BaseModel] | None = None,
) -> dict[str, Any]:
    """Lay a part of a configuration over another.

    Args:
        base: what lies below.
        given: what lies over it.
        model: of these dictionaries; the value of a field that is a dictionary itself
            is then replaced as a whole, otherwise its keys are added.
    """
    merged = dict(base)
    for name, value in given.items():
        field = _section(model, name) if model else None
        nested = isinstance(value, dict) and isinstance(base.get(name), dict)
        if nested and (field or model is None):
            value = merge(base[name], value, field)
        merged[name] = value
    return merged


def _section(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The model of a field that is a group of fields."""
    field = model.model_fields.get(name)
    return section(field.annotation) if field else None


def _wrong_keys(
    given: _JsonObject, model: type[BaseModel] | None, where: str = ""
) -> Iterator[str]:
    """Say which keys there are not, or are given twice, and what may be meant."""
    for name in given.twice:
        yield f"{where}{name}: expected once; it is given several times"
    for name, value in given.items():
        if model is not None and name not in model.model_fields:
            written = name.replace("-", "_")
            near = [
                where + other
                for other in difflib.get_close_matches(written, model.model_fields)
            ]
            near = near or _ends_with(written.rpartition(".")[2])
            hint = f"did you mean {' or '.join(near[:3])}?" if near else "see --help"
            yield f"{where}{name}: expected a key of the configuration; {hint}"
        elif isinstance(value, _JsonObject):
            section = _section(model, name) if model is not None else None
            yield from _wrong_keys(value, section, f"{where}{name}.")


def _ends_with(name: str) -> list[str]:
    """The places where a key of this name belongs."""
    return [
        ".".join(flag.path)
        for flag in flags_of(PipelineConfig).values()
        if flag.path[-1] == name and not flag.negated
    ]
