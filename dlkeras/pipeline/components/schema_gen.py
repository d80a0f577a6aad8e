"""SchemaGen: the rules for the examples, inferred, or read from a curated file."""

from collections.abc import Iterable
from typing import Any

from dlkeras.pipeline.artifacts.types import Schema, Statistics
from dlkeras.pipeline.configuration.config import SchemaGenConfig
from dlkeras.pipeline.engine.component import component
from dlkeras.pipeline.examples.schema import (
    SCHEMA_FILE,
    DriftRules,
    ImageSchema,
    load_schema,
    to_toml,
)
from dlkeras.pipeline.examples.schema_metadata import PROTO_FILE, to_metadata
from dlkeras.pipeline.store.publishing import Draft, canonical_digest, file_digest

__all__ = ["infer_schema", "load_schema", "schema_gen"]


def _curated(config: SchemaGenConfig) -> str | None:
    """The digest of the schema that the user wrote."""
    path = config.path
    return file_digest(path) if path is not None and path.is_file() else None


@component(packages=(), fingerprint=_curated)
def schema_gen(
    config: SchemaGenConfig, output: Draft[Schema], statistics: Statistics
) -> None:
    """Write the schema as `schema.toml`, to be read and edited.

    `schema.pbtxt` is the part of it that TensorFlow Metadata has words for, so that the
    tools of TFX read it; nothing here does.

    Args:
        config: the path of a curated schema, if there is one.
        output: gets `schema.toml`, an `ImageSchema`; `schema.pbtxt`; and `curated` as
            a property.
        statistics: the statistics that the schema is inferred from, all splits.

    Raises:
        InputError: the curated file cannot be read or breaks the form of a schema.
    """
    schema = load_schema(config.path) if config.path else infer_schema(statistics)
    (output.path / SCHEMA_FILE).write_text(to_toml(schema), encoding="utf-8")
    (output.path / PROTO_FILE).write_text(to_metadata(schema), encoding="utf-8")
    # The text of a protocol buffer may differ between versions of its library.
    dumped = schema.model_dump(mode="json", exclude_none=True)
    output.digest = canonical_digest(dumped)
    output.properties["curated"] = config.path is not None


def infer_schema(statistics: Statistics) -> ImageSchema:
    """Take the widest ranges that the training split keeps; leakage is never allowed.

    Validation and test examples outside the training split's labels or number of
    channels are anomalies, but for labels that a hash has left out of a training split
    of its own; sizes may vary as far as they do in any split. The shares of
    the classes, pixels and brightness of the training split are kept, so that a later
    data set can be compared with them.
    """
    splits = statistics.summary["splits"]
    train = splits["train"]
    heights = [size for split in splits.values() for size in split["height"]]
    widths = [size for split in splits.values() for size in split["width"]]
    return ImageSchema(
        labels=tuple(
            label
            for label, count in train["classes"].items()
            if count or "train" in statistics.summary.get("drawn_splits", ())
        ),
        **_label_rules(statistics.summary),
        channels=max(train["channels"]),
        dtype=train["dtypes"][0],
        min_height=min(heights),
        max_height=max(heights),
        min_width=min(widths),
        max_width=max(widths),
        min_examples_per_class=1,
        drift=DriftRules(
            classes=dict(
                zip(train["classes"], _shares(train["classes"].values()), strict=True)
            ),
            pixels=_shares(train["pixel_histogram"]),
            brightness=_shares(train["brightness_histogram"]),
            numbers=train.get("numbers", {}).get("quantiles"),
        ),
    )


def _label_rules(summary: dict[str, Any]) -> dict[str, Any]:
    """The rules for labels that are no classes; numbers vary as in any split."""
    rules = {"task": summary["task"]} if "task" in summary else {}
    splits = summary["splits"].values()
    numbers = [s["numbers"]["quantiles"] for s in splits if "numbers" in s]
    if numbers:
        rules["min_label"] = min(quantiles[0] for quantiles in numbers)
        rules["max_label"] = max(quantiles[-1] for quantiles in numbers)
    return rules


def _shares(counts: Iterable[int]) -> list[float]:
    values = list(counts)
    total = max(sum(values), 1)
    return [round(value / total, 6) for value in values]
