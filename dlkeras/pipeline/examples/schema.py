"""The schema: rules that a data set of labelled images must keep, as people edit it.

The file is TOML, with the meaning of each rule as a comment above it; JSON is read too.
"""

import json
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from dlkeras.pipeline.configuration.config import describe
from dlkeras.pipeline.examples.labels import repeated
from dlkeras.pipeline.store.errors import InputError, reason

SCHEMA_FILE = "schema.toml"
FLAG = "--schema-gen.path"
PARTS = ("last_run", "drift")
Severity = Literal["stop", "warn"]


class Part(BaseModel):
    """What all parts of a schema have in common: frozen, strict, no extras."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )


class DriftBounds(Part):
    """How far a data set may be from the last run's, where that had other data.

    Bounds are distances from 0 (the same) to 1: Jensen-Shannon divergence (base 2) of
    pixels and brightness, L-infinity distance of the classes' shares.
    """

    max_label_distance: float = Field(default=0.1, ge=0, le=1)
    """largest L-infinity distance of the shares of the classes"""
    max_pixel_divergence: float = Field(default=0.1, ge=0, le=1)
    """largest Jensen-Shannon divergence of the histograms of the pixels"""
    max_brightness_divergence: float = Field(default=0.1, ge=0, le=1)
    """largest Jensen-Shannon divergence of the histograms of the images' means"""


class DriftRules(DriftBounds):
    """How far a data set may be from the one that the schema was made of.

    Bounds are distances as above.
    """

    classes: dict[str, float] = Field(default_factory=dict)
    """share of each class when the schema was made"""
    pixels: list[float] = Field(default_factory=list)
    """share of the pixels in bins of equal width from 0 to 255"""
    brightness: list[float] = Field(default_factory=list)
    """share of the images by their mean, in bins of equal width from 0 to 255"""
    numbers: list[float] | None = None
    """the numbers' 0 %, 5 %, 10 % ... 100 % quantiles"""


class ImageSchema(Part):
    """The rules that a data set of labelled images must keep."""

    task: Literal["multilabel", "regression"] | None = None
    """what a label is, where it is no class"""
    labels: tuple[str, ...] = Field(min_length=1)
    """allowed names of classes"""
    min_label: float | None = None
    """least number that a label may be"""
    max_label: float | None = None
    """greatest number that a label may be"""
    channels: int = Field(ge=1)
    """number of channels of every image"""
    dtype: str = "uint8"
    """type of the pixels"""
    min_height: int = Field(ge=1)
    """least height in pixels"""
    max_height: int = Field(ge=1)
    """greatest height in pixels"""
    min_width: int = Field(ge=1)
    """least width in pixels"""
    max_width: int = Field(ge=1)
    """greatest width in pixels"""
    min_examples_per_class: int = Field(ge=1)
    """least number of examples of each class in each split; where it is 1, a class that
    a hash of the images has left out of a split only warns"""
    max_class_imbalance: float = Field(default=20.0, ge=1)
    """largest ratio of the largest class of train to the smallest"""
    max_contradictions: int = Field(default=0, ge=0)
    """largest number of images that may be in several classes"""
    max_leaked_share: float = Field(default=0.0, ge=0, le=1)
    """largest share of validation and test that may be the same images as in train"""
    max_duplicate_share: float = Field(default=0.05, ge=0, le=1)
    """largest share of a split's examples that repeat another one of the split"""
    max_near_leaked_share: float = Field(default=0.01, ge=0, le=1)
    """largest share of a split's examples that all but repeat an example of train"""
    max_quarantined_share: float = Field(default=0.01, ge=0, le=1)
    """largest share of the source's examples that could not be read and are left out"""
    warnings: tuple[str, ...] = (
        "max_class_imbalance",
        "max_duplicate_share",
        "max_near_leaked_share",
        "drift.max_label_distance",
        "drift.max_pixel_divergence",
        "drift.max_brightness_divergence",
        "last_run.max_label_distance",
        "last_run.max_pixel_divergence",
        "last_run.max_brightness_divergence",
    )
    """rules that warn where they are broken; all others stop the run"""
    last_run: DriftBounds = DriftBounds()
    """how far a data set may be from the last run's"""
    drift: DriftRules = DriftRules()
    """how far a data set may be from the one that the schema was made of"""

    @field_validator("labels")
    @classmethod
    def _name_each_class_once(
        cls, labels: tuple[str, ...], info: ValidationInfo
    ) -> tuple[str, ...]:
        if info.data.get("task") is None and len(labels) < 2:
            raise ValueError(f"expected at least two. Received: {list(labels)}")
        if twice := repeated(labels):
            raise ValueError(f"expected each label once; {twice} comes again")
        return labels

    @model_validator(mode="after")
    def _order_the_ranges(self) -> "ImageSchema":
        for name in ("height", "width"):
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if low > high:
                raise ValueError(
                    f"min_{name} must be at most max_{name}. Received: {low} > {high}"
                )
        return self

    def severity(self, rule: str) -> Severity:
        """Whether a broken rule stops the run."""
        return "warn" if rule in self.warnings else "stop"


def load_schema(path: Path) -> ImageSchema:
    """Read a schema in TOML or JSON.

    Raises:
        InputError: the message names the file and the key.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise InputError(
            f"{FLAG}: expected a readable schema; {path}: {error.strerror}"
        ) from error
    except ValueError as error:  # JSON, TOML and UTF-8 alike
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise InputError(f"{FLAG} {path}: expected {kind}; {reason(error)}") from error
    try:
        # Not strict: TOML and JSON have no tuples.
        schema = ImageSchema.model_validate(values, strict=False)
    except ValidationError as error:
        raise InputError(f"{FLAG} {path}: {describe(error)}") from error
    known = {
        *ImageSchema.model_fields,
        *(f"{part}.{n}" for part in PARTS for n in DriftBounds.model_fields),
    }
    unknown = sorted(set(schema.warnings) - known)
    if unknown:
        raise InputError(
            f"{FLAG} {path}: warnings: expected names of rules; received "
            f"{', '.join(unknown)}"
        )
    return schema


def to_toml(schema: ImageSchema) -> str:
    """Write a schema as TOML, the meaning of each rule above it.

    Example:
    >>> text = to_toml(ImageSchema(labels=("a", "b"), channels=3, min_height=1,
    ...     max_height=9, min_width=1, max_width=9, min_examples_per_class=1))
    >>> "max_height = 9" in text
    True
    >>> tomllib.loads(text)["labels"]
    ['a', 'b']
    """
    lines = ["# The rules for the examples. Edit it, and hand it to", f"# {FLAG}.", ""]
    lines += _fields(schema, skip=PARTS)
    lines += ["[last_run]", *(f"# {line}".rstrip() for line in _doc(DriftBounds)), ""]
    lines += _fields(schema.last_run)
    lines += ["[drift]", *(f"# {line}".rstrip() for line in _doc(DriftRules)), ""]
    lines += _fields(schema.drift, skip={"classes"})
    lines += ["[drift.classes]"]
    lines += [f"{_toml(k)} = {_toml(v)}" for k, v in schema.drift.classes.items()]
    return "\n".join(lines) + "\n"


def _doc(model: type[BaseModel]) -> list[str]:
    return [line.strip() for line in (model.__doc__ or "").strip().splitlines()]


def _fields(part: Part, skip: Collection[str] = ()) -> list[str]:
    lines: list[str] = []
    for name, field in type(part).model_fields.items():
        if name not in skip and getattr(part, name) is not None:
            value = _toml(getattr(part, name))
            meaning = (field.description or "").splitlines()
            lines += [*(f"# {line}" for line in meaning), f"{name} = {value}", ""]
    return lines


def _toml(value: Any) -> str:
    """Write a value: TOML's strings, numbers and lists are JSON's."""
    if isinstance(value, tuple):
        value = list(value)
    return json.dumps(value, ensure_ascii=False)
