"""Batches for a process whose Keras is not on TensorFlow: another process makes them.

Preprocessing and augmentation are Keras's and run inside tf.data, which only Keras on
TensorFlow can. So a process with that backend reads, augments and batches as always,
and writes the arrays into a pipe; what comes out is what the pipeline's own process
would train on, bit for bit.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkeras.augmentation import Policy
from dlkeras.pipeline.artifacts.types import Examples, Transform
from dlkeras.pipeline.batches.input_pipeline import (
    fits_in_memory,
    steps_per_epoch,
    transform_config,
)
from dlkeras.pipeline.examples.sources.label_kinds import label_kind
from dlkeras.pipeline.store.errors import PipelineError

if TYPE_CHECKING:
    import tensorflow as tf

_LENGTH_BYTES = 8


def evaluation_batches(
    examples: Examples,
    transform: Transform,
    split: str,
    batch_size: int,
    cached: bool = True,
) -> "tf.data.Dataset":
    """What `input_pipeline.evaluation_batches` gives."""
    arguments = {"split": split, "batch_size": batch_size, "cached": False}
    number = steps_per_epoch(examples, batch_size, split)
    batches = _fed("evaluation_batches", examples, transform, arguments, number)
    # Kept on this side of the pipe: the other is a new process each time.
    fits = cached and fits_in_memory(transform, examples.splits[split])
    return batches.cache() if fits else batches


def training_batches(
    examples: Examples, transform: Transform, **arguments: Any
) -> "tf.data.Dataset":
    """What `input_pipeline.training_batches` gives."""
    arguments.pop("augmentation", None)  # another process does not know the user's
    policy = Policy(
        transform_config(transform),
        arguments["augmentation_strength"],
        len(examples.labels),
    )
    epochs = arguments["epochs"] - arguments["first_epoch"]
    number = epochs * steps_per_epoch(examples, arguments["batch_size"])
    return _fed(
        "training_batches",
        examples,
        transform,
        arguments,
        number,
        shares=policy.mixes,
        weights=arguments.get("sharding") == "file" and arguments["part"][1] > 1,
    )


def _fed(
    function: str,
    examples: Examples,
    transform: Transform,
    arguments: dict[str, Any],
    number: int,
    shares: bool = False,
    weights: bool = False,
) -> "tf.data.Dataset":
    from dlkeras.pipeline.tensorflow_import import tf

    request = json.dumps(
        {
            "function": function,
            "examples": str(examples.path.resolve()),
            "transform": str(transform.path.resolve()),
            "arguments": arguments,
        }
    )
    shape, dtype = label_kind(examples.task).batched(len(examples.labels))
    if shares and dtype == "int64":
        shape, dtype = (len(examples.labels),), "float32"
    labels = tf.TensorSpec((None, *shape), dtype)
    signature = (tf.TensorSpec((None, *transform.input_shape), tf.float32), labels)
    if weights:
        signature += (tf.TensorSpec((None,), tf.float32),)
    made = tf.data.Dataset.from_generator(
        lambda: _received(request), output_signature=signature
    )
    # Keras would count the batches to the end, and complain of it.
    return made.apply(tf.data.experimental.assert_cardinality(number)).prefetch(2)


def _received(request: str) -> Iterator[tuple[np.ndarray, ...]]:
    """Start a process that makes the batches, and take them until there are no more."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dlkeras.pipeline.batches.batch_feeding", request],
        env=os.environ | {"KERAS_BACKEND": "tensorflow"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    stream = process.stdout
    assert stream
    try:
        while length := stream.read(_LENGTH_BYTES):
            with np.load(io.BytesIO(stream.read(int.from_bytes(length)))) as batch:
                yield tuple(batch[name] for name in batch.files)
        if process.wait():
            raise PipelineError(
                f"the process that reads the examples ended with {process.returncode}"
            )
    finally:
        process.kill()
        process.wait()


def feed(request: dict[str, Any], stream: Any) -> None:
    """Write batches into a stream; the started process's part."""
    from dlkeras.pipeline.batches import input_pipeline
    from dlkeras.pipeline.tensorflow_import import tf

    tf.config.set_visible_devices([], "GPU")
    artifacts = []
    for kind, name in ((Examples, "examples"), (Transform, "transform")):
        artifacts.append(kind.read(Path(request[name])))
    made = getattr(input_pipeline, request["function"])
    dataset = made(*artifacts, **request["arguments"])
    for arrays in dataset.as_numpy_iterator():
        batch = io.BytesIO()
        np.savez(batch, *arrays)
        stream.write(batch.tell().to_bytes(_LENGTH_BYTES))
        stream.write(batch.getbuffer())
        stream.flush()


if __name__ == "__main__":
    arrays = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no array
    with contextlib.suppress(BrokenPipeError):  # the reader has had enough
        feed(json.loads(sys.argv[1]), arrays)
