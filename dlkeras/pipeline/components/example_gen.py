"""ExampleGen: turns any source of labelled images into a data set of three splits.

A source is read once, example by example: decoded, which shows whether it is whole;
digested, which decides its split where the source has none; and written. What cannot be
read ends the run, or is left out and listed, as the configuration says.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlkeras.datasets import PACKAGED
from dlkeras.pipeline.artifacts.types import SPLITS, Examples
from dlkeras.pipeline.configuration.config import ExampleGenConfig
from dlkeras.pipeline.engine.component import component
from dlkeras.pipeline.examples.decoding import decode as decode
from dlkeras.pipeline.examples.labels import repeated
from dlkeras.pipeline.examples.left_out import (
    LEFT_OUT,
    QUARANTINE,
    by_reason,
    format_missed,
    format_problems,
    lines_of_left_out,
)
from dlkeras.pipeline.examples.rare_classes import (
    rare_by_content,
    rare_by_listing,
    without_rare_classes,
)
from dlkeras.pipeline.examples.shards import (
    NAME,
    VERSION,
    WrittenRun,
    deal_out,
    drawn_fractions,
    publish_shards,
    write_run,
)
from dlkeras.pipeline.examples.sources import Source, open_source
from dlkeras.pipeline.examples.sources import fingerprint as source_fingerprint
from dlkeras.pipeline.examples.sources.label_kinds import label_kind
from dlkeras.pipeline.examples.sources.layout import HANDFUL
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import (
    Draft,
    canonical_digest,
)

__all__ = ["decode", "example_gen", "left_out", "source_fingerprint"]

SCRATCH = "source"
# Beside the data sets: what a run that stopped could not name in a line.
UNREADABLE = "unreadable.txt"


@component(
    # Written by way of TFDS; the packaged data sets are imported by name.
    packages=("tensorflow-datasets", "scikit-learn", "pillow"),
    code=PACKAGED.values(),
    fingerprint=source_fingerprint,
    lines=lambda examples: left_out(examples),
)
def example_gen(
    config: ExampleGenConfig, output: Draft[Examples], data_dir: Path
) -> None:
    """Read a source and write it as a TFDS data set with three splits.

    A split that the source lacks is taken out of `train` by a hash of each image's
    pixels, or of its group, so that every class is in every split: the same images
    give the same splits whatever files are renamed or reordered, files that are added
    move none but in a class that chance would leave out of a split, and identical
    images never land in two of them.

    Args:
        config: which source.
        output: gets the data set, `quarantine.json` (examples that were left out: id,
            reason, number), `left_out.json` (files that are no examples: name, reason),
            `contents.parquet` (of each example's file the size and time, and the
            digest of its pixels), `metadata.parquet` (what the source knows of the
            examples beside), and `labels`, `channels`, `splits`, `drawn_splits` (the
            ones the hash has decided), `source`, `formats` and `builder` (the folder
            that TFDS reads) as properties; `task` where a label is no class, and of
            numbers `target`, their mean and standard deviation in train. Its digest is
            made of the decoded examples and of the metadata.
        data_dir: where TFDS prepares data sets, unless the configuration says.

    Raises:
        InputError: the source does not exist, has fewer than two classes or a class of
            too few images; or has examples that cannot be read, or more than a handful
            of files that are none, and `on_error` is "stop".
    """
    scratch = output.path / SCRATCH
    source = open_source(config, data_dir, scratch)
    log = data_dir.parent / UNREADABLE
    missed = [file for file in source.ignored if not file.expected]
    if len(missed) > HANDFUL and config.on_error == "stop":
        raise InputError(format_missed(source, missed, log))
    if twice := repeated(source.labels):
        raise InputError(
            f"expected a name of its own for each class of {source.description}; "
            f"{twice} comes more than once"
        )
    folder = output.path / NAME / VERSION
    fractions = drawn_fractions(config, source.splits)
    # What ends the run is found when the images are read: images that cannot be read
    # do not count, and are named first.
    stops = config.rare_classes == "stop"
    rare = {} if stops else rare_by_listing(source, len(fractions))
    labels = source.labels
    while True:
        source = without_rare_classes(source, rare, config.rare_classes, len(fractions))
        runs = _written(config, source, folder, scratch, data_dir, fractions, log)
        rare = rare_by_content(source, runs, len(fractions))
        if not rare or config.rare_classes == "train_only":
            break
    runs = deal_out(runs, folder, config.file_format, fractions)
    problems = [problem for run in runs for problem in run.problems]
    counts = {name: sum(run.examples[name] for run in runs) for name in SPLITS}
    if not all(counts.values()):
        raise InputError(
            "expected examples in every split; "
            f"{source.description} gives {counts}: add images, or raise "
            "--example-gen.validation-fraction or --example-gen.test-fraction"
        )
    kind = label_kind(config.task)
    publish_shards(
        folder, runs, source.labels, source.description, config.file_format, kind
    )
    shutil.rmtree(scratch, ignore_errors=True)

    output.write_json(
        QUARANTINE,
        [{"id": i, "reason": reason, "examples": n} for i, reason, n in problems],
    )
    _write_contents(output.path / Examples.CONTENTS, runs)
    output.write_json(LEFT_OUT, [[f.name, f.reason] for f in source.ignored])
    formats: dict[str, int] = {}
    for run in runs:
        for name, count in run.formats.items():
            formats[name] = formats.get(name, 0) + count
    channels = max(run.channels for run in runs)
    output.properties.update(
        source=source.description,
        builder=f"{NAME}/{VERSION}",
        file_format=config.file_format,
        ignored=by_reason(source.ignored),
        rare_classes=_rare_classes(config, labels, source, rare),
        outside=getattr(source, "outside", []),
        quarantined=sum(number for *_, number in problems),
        labels=list(source.labels),
        channels=channels,
        splits=counts,
        drawn_splits=_drawn(source),
        formats=dict(sorted(formats.items())),
    )
    if config.task != "classification":
        output.properties["task"] = config.task
    if config.task == "regression":
        output.properties["target"] = _target(source, runs)
    digests = sorted(digest for run in runs for digest in run.digests)
    content: list = [list(source.labels), channels, digests]
    # The statistics, and so the schema's judgement, depend on these, too.
    content += [output.properties["drawn_splits"], output.properties["quarantined"]]
    content += [config.task] if config.task != "classification" else []
    metadata = getattr(source, "metadata", None)
    if metadata is not None:
        metadata = metadata.sort_values("id", ignore_index=True)
        metadata.to_parquet(output.path / Examples.METADATA)
        content.append([list(metadata), metadata.astype(str).to_numpy().tolist()])
    output.digest = canonical_digest(content)


def _target(source: Source, runs: Iterable[WrittenRun]) -> dict[str, float]:
    """Mean and standard deviation of the numbers to be learned, of train."""
    rows = [row.label for run in runs for row in run.rows if row.split == "train"]
    numbers = np.array(rows, dtype="float64")
    if numbers.min() == numbers.max():
        raise InputError(
            f"expected numbers that differ in the labels of {source.description}; "
            f"every image of train has {numbers[0]:g}"
        )
    return {"mean": float(numbers.mean()), "std": float(numbers.std())}


def _write_contents(file: Path, runs: Iterable[WrittenRun]) -> None:
    import pandas as pd

    rows = [(row.id, row.digest, row.stamp) for run in runs for row in run.rows]
    pd.DataFrame(rows, columns=["id", "sha256", "stamp"]).to_parquet(file, index=False)


def _written(
    config: ExampleGenConfig,
    source: Source,
    folder: Path,
    scratch: Path,
    data_dir: Path,
    fractions: dict[str, float],
    log: Path,
) -> list[WrittenRun]:
    """Write a source run by run, here or on Beam."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if config.beam_python is not None:
        from dlkeras.pipeline.examples.beam_job import written_on_beam

        runs = written_on_beam(config, source, folder, scratch, data_dir)
    else:
        size = config.examples_per_shard
        runs = [
            write_run(
                number,
                source.examples(start, start + size),
                folder,
                config,
                fractions,
                len(source.labels),
            )
            for number, start in enumerate(range(0, len(source), size))
        ]
    problems = [problem for run in runs for problem in run.problems]
    if problems and config.on_error == "stop":
        raise InputError(format_problems(source, problems, log))
    return runs


def _rare_classes(
    config: ExampleGenConfig,
    labels: Sequence[str],
    source: Source,
    rare: Mapping[str, int],
) -> dict[str, Any] | None:
    """Which classes had too few images, and what became of them."""
    gone = sorted(rare) or [label for label in labels if label not in source.labels]
    return {"policy": config.rare_classes, "classes": gone} if gone else None


def _drawn(source: Source) -> list[str]:
    """The splits that a hash has decided: what the source lacks, and train."""
    lacking = set(SPLITS) - source.splits
    return [name for name in SPLITS if name in lacking or (lacking and name == "train")]


def left_out(examples: Examples) -> list[str]:
    """Say what was left out of the examples, a line for each reason."""
    return lines_of_left_out(examples.properties, examples.path)
