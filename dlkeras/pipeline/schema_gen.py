"""SchemaGen: the rules for the examples, inferred, or read from a curated file."""

from pathlib import Path

from pydantic import ValidationError

from dlkeras.pipeline.artifacts import ImageSchema, Statistics
from dlkeras.pipeline.config import SchemaGenConfig, describe
from dlkeras.pipeline.errors import InputError
from dlkeras.pipeline.store import Draft


def schema_gen(config: SchemaGenConfig, output: Draft, statistics: Statistics) -> None:
    """Write the schema as `schema.json`.

    Args:
        config: the path of a curated schema, if there is one.
        output: gets `schema.json`, an `ImageSchema`; and `curated` as a property.
        statistics: the statistics that the schema is inferred from, all splits.

    Raises:
        InputError: the curated file cannot be read or breaks the form of a schema.
    """
    schema = load_schema(config.path) if config.path else infer_schema(statistics)
    output.write_json("schema.json", schema.model_dump(mode="json"))
    output.properties["curated"] = config.path is not None


def infer_schema(statistics: Statistics) -> ImageSchema:
    """Take the widest ranges that the training split keeps; leakage is never allowed.

    Validation and test examples outside the training split's labels or number of
    channels are anomalies; sizes may vary as far as they do in any split.
    """
    splits = statistics.summary["splits"]
    train = splits["train"]
    heights = [size for split in splits.values() for size in split["height"]]
    widths = [size for split in splits.values() for size in split["width"]]
    return ImageSchema(
        labels=tuple(label for label, count in train["classes"].items() if count),
        channels=max(train["channels"]),
        dtype=train["dtypes"][0],
        min_height=min(heights),
        max_height=max(heights),
        min_width=min(widths),
        max_width=max(widths),
        min_examples_per_class=1,
    )


def load_schema(path: Path) -> ImageSchema:
    """Read a curated schema.

    Raises:
        InputError: the message names the file and the key.
    """
    try:
        return ImageSchema.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"--schema-gen.path: expected a readable schema; {path}: {error.strerror}"
        ) from error
    except ValidationError as error:
        raise InputError(f"--schema-gen.path {path}: {describe(error)}") from error
