"""ExampleGen: any source of labelled images, as one TFDS data set in three splits.

A source is read once, example by example: decoded, which shows whether it is whole;
digested, which decides its split where the source has none; and written. What cannot be
read ends the run, or is left out and listed, as the configuration says.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from dlkeras.datasets import PACKAGED
from dlkeras.pipeline.artifacts.types import SPLITS, Examples
from dlkeras.pipeline.configuration.config import ExampleGenConfig
from dlkeras.pipeline.engine.component import component
from dlkeras.pipeline.errors import InputError
from dlkeras.pipeline.examples.decoding import decode as decode
from dlkeras.pipeline.examples.labels import repeated
from dlkeras.pipeline.examples.shards import (
    NAME,
    VERSION,
    WrittenRun,
    publish_shards,
    split_rule,
    write_run,
)
from dlkeras.pipeline.examples.sources import Source, open_source
from dlkeras.pipeline.examples.sources import fingerprint as source_fingerprint
from dlkeras.pipeline.store.publishing import Draft, canonical_digest

__all__ = ["decode", "example_gen", "left_out", "source_fingerprint"]

MAX_NAMED = 20
SCRATCH = "source"
QUARANTINE = "quarantine.json"


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
    pixels, or of its group: the same images give the same splits whatever files are
    added, renamed or reordered, and identical images never stand in two of them.

    Args:
        config: which source.
        output: gets the data set, `quarantine.json` (examples that were left out: id,
            reason, number), `metadata.parquet` (what the source knows of the examples
            beside), and `labels`, `channels`, `splits`, `drawn_splits` (those that the
            hash has decided), `source`, `formats` and `builder` (the folder that TFDS
            reads) as properties. Its digest is made of the decoded examples and of the
            metadata.
        data_dir: where TFDS prepares data sets, unless the configuration says.

    Raises:
        InputError: the source does not exist, has fewer than two classes, or has an
            example that cannot be read and `on_error` is "stop"; all such are named.
    """
    scratch = output.path / SCRATCH
    source = open_source(config, data_dir, scratch)
    if twice := repeated(source.labels):
        raise InputError(
            f"expected a name of its own for each class of {source.description}; "
            f"{twice} comes more than once"
        )
    folder = output.path / NAME / VERSION
    folder.mkdir(parents=True)
    if config.beam_python is not None:
        from dlkeras.pipeline.examples.beam_job import written_on_beam

        runs = written_on_beam(config, len(source), folder, scratch, data_dir)
    else:
        runs = list(_written_here(config, source, folder))
    problems = [problem for run in runs for problem in run.problems]
    if problems and config.on_error == "stop":
        raise InputError(_tell(source, problems))
    counts = {name: sum(run.examples[name] for run in runs) for name in SPLITS}
    if not all(counts.values()):
        raise InputError(
            "expected examples in every split; "
            f"{source.description} gives {counts}: add images, or raise "
            "--example-gen.validation-fraction or --example-gen.test-fraction"
        )
    publish_shards(folder, runs, source.labels, source.description, config.file_format)
    shutil.rmtree(scratch, ignore_errors=True)

    output.write_json(
        QUARANTINE,
        [{"id": i, "reason": reason, "examples": n} for i, reason, n in problems],
    )
    formats: dict[str, int] = {}
    for run in runs:
        for name, count in run.formats.items():
            formats[name] = formats.get(name, 0) + count
    channels = max(run.channels for run in runs)
    output.properties.update(
        source=source.description,
        builder=f"{NAME}/{VERSION}",
        file_format=config.file_format,
        ignored=source.ignored,
        outside=getattr(source, "outside", []),
        quarantined=sum(number for *_, number in problems),
        labels=list(source.labels),
        channels=channels,
        splits=counts,
        drawn_splits=_drawn(source),
        formats=dict(sorted(formats.items())),
    )
    digests = sorted(digest for run in runs for digest in run.digests)
    content: list = [list(source.labels), channels, digests]
    # The statistics, and so the schema's judgement, depend on these, too.
    content += [output.properties["drawn_splits"], output.properties["quarantined"]]
    metadata = getattr(source, "metadata", None)
    if metadata is not None:
        metadata = metadata.sort_values("id", ignore_index=True)
        metadata.to_parquet(output.path / Examples.METADATA)
        content.append([list(metadata), metadata.astype(str).to_numpy().tolist()])
    output.digest = canonical_digest(content)


def _written_here(
    config: ExampleGenConfig, source: Source, folder: Path
) -> Iterator[WrittenRun]:
    """Write a source run by run, in this process."""
    split_of = split_rule(config, source.splits)
    size = config.examples_per_shard
    for number, start in enumerate(range(0, len(source), size)):
        examples = source.examples(start, start + size)
        yield write_run(number, examples, folder, config, split_of)


def _drawn(source: Source) -> list[str]:
    """The splits that a hash has decided: those that the source lacks, and train."""
    lacking = set(SPLITS) - source.splits
    return [name for name in SPLITS if name in lacking or (lacking and name == "train")]


def _tell(source: Source, problems: list[tuple[str, str, int]]) -> str:
    lost = sum(number for *_, number in problems)
    named = "; ".join(f"{name}: {reason}" for name, reason, _ in problems[:MAX_NAMED])
    more = len(problems) - MAX_NAMED
    return (
        f"expected examples that can be read whole in {source.description}; "
        f"{lost} cannot: {named}"
        + (f"; and {more} more" if more > 0 else "")
        + " (--example-gen.on-error quarantine leaves them out, and lists them)"
    )


def left_out(examples: Examples) -> list[str]:
    """Say what of the source is not among the examples, a line for each kind."""
    lines = []
    if ignored := examples.properties["ignored"]:
        named = ", ".join(ignored[:5]) + (", ..." if len(ignored) > 5 else "")
        lines.append(f"left out, not CLASS/IMAGE: {len(ignored)} files: {named}")
    if outside := examples.properties.get("outside"):
        named = ", ".join(outside[:5]) + (", ..." if len(outside) > 5 else "")
        lines.append(f"taken from elsewhere, by {len(outside)} links: {named}")
    if number := examples.properties["quarantined"]:
        lines.append(
            f"quarantined, cannot be read: {number} examples, listed in "
            f"{examples.path / QUARANTINE}"
        )
    return lines
