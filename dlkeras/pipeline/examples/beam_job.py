"""ExampleGen on Apache Beam: the same runs of examples, written by Beam's workers.

Beam does not live in one environment with the newest protobuf, so the pipeline starts
this module with the Python of an environment that has both Beam and dlkeras:

    python -m venv beam && beam/bin/pip install 'dlkeras[pipeline,beam]'
    python pipelines/lenet5_manifest.py --example-gen.beam-python beam/bin/python

Any runner does whose workers see the source and the folder of the runs:
`--example-gen.beam-options "--runner=FlinkRunner ..."`.
"""

import functools
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import dlkeras
from dlkeras.pipeline.configuration.config import ExampleGenConfig
from dlkeras.pipeline.examples.shards import WrittenRun, drawn_fractions, write_run
from dlkeras.pipeline.examples.sources import Source, open_source
from dlkeras.pipeline.examples.sources.relabelled import Relabelled
from dlkeras.pipeline.store.errors import InputError, PipelineError, last_line
from dlkeras.pipeline.store.publishing import write_atomically

JOB = "job.json"


def written_on_beam(
    config: ExampleGenConfig,
    source: Source,
    folder: Path,
    scratch: Path,
    data_dir: Path,
) -> list[WrittenRun]:
    """Write a source's shards with Beam, in a process of its own environment.

    Args:
        config: the source, and the Python that has Beam.
        source: how many examples it has, and what its classes are called instead.
        folder: where to write the shards.
        scratch: where to keep what the workers report.
        data_dir: where TFDS has prepared data sets, unless the configuration says.

    Returns:
        What was written, run by run.

    Raises:
        InputError: there is no such Python, or it has no Beam.
        PipelineError: Beam's job failed.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    runs = -(-len(source) // config.examples_per_shard)
    job = {
        "config": config.model_dump(mode="json"),
        "folder": str(folder.resolve()),
        "scratch": str(scratch.resolve()),
        "data_dir": str(data_dir.resolve()),
        "runs": runs,
        "names": source.names if isinstance(source, Relabelled) else None,
    }
    file = scratch / JOB
    write_atomically(file, json.dumps(job).encode())
    root = Path(dlkeras.__file__).parents[1]
    paths = [str(root), os.environ.get("PYTHONPATH", "")]
    try:
        done = subprocess.run(
            [str(config.beam_python), "-m", __name__, str(file)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    except OSError as error:
        raise InputError(
            "--example-gen.beam-python: expected a Python interpreter; "
            f"{config.beam_python}: {error.strerror}"
        ) from error
    if done.returncode:
        last = last_line(done.stderr)
        kind = InputError if "No module named" in last else PipelineError
        raise kind(
            "--example-gen.beam-python: expected Beam's job to end well; "
            f"{config.beam_python}: {last}"
        )
    reports = [scratch / f"run-{number:06d}.json" for number in range(runs)]
    return [WrittenRun.model_validate_json(report.read_bytes()) for report in reports]


@functools.cache
def _opened(job: str) -> tuple[ExampleGenConfig, Source, Path, Path]:
    """Open the job's source, once in each of a worker's processes."""
    content = json.loads(job)
    config = ExampleGenConfig.model_validate(content["config"], strict=False)
    scratch = Path(content["scratch"])
    private = scratch / f"worker-{os.getpid()}"
    source = open_source(config, Path(content["data_dir"]), private)
    if content["names"]:
        source = Relabelled(source, content["names"])
    return config, source, Path(content["folder"]), scratch


def write_numbered_run(number: int, job: str) -> int:
    """Write one run, in one of Beam's workers, and report it in a file."""
    config, source, folder, scratch = _opened(job)
    start = number * config.examples_per_shard
    examples = source.examples(start, start + config.examples_per_shard)
    fractions = drawn_fractions(config, source.splits)
    classes = len(source.labels)
    run = write_run(number, examples, folder, config, fractions, classes)
    report = scratch / f"run-{number:06d}.json"
    write_atomically(report, run.model_dump_json().encode())
    return number


def main(file: Path) -> None:
    """Run the job that a file describes."""
    import apache_beam as beam  # pyright: ignore[reportMissingImports]
    from apache_beam.options.pipeline_options import (  # pyright: ignore
        PipelineOptions,
    )

    # Pickled by reference: the workers import this module by its own name.
    from dlkeras.pipeline.examples.beam_job import write_numbered_run as write

    job = file.read_text(encoding="utf-8")
    content = json.loads(job)
    options = PipelineOptions(shlex.split(content["config"]["beam_options"]))
    with beam.Pipeline(options=options) as pipeline:
        _ = (
            pipeline
            | "Runs" >> beam.Create(range(content["runs"]))
            | "Spread" >> beam.Reshuffle()
            | "Write" >> beam.Map(write, job)
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
