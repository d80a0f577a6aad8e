"""The main job, and then a table of what its model says of every test image.

    python pipelines/digits_predictions.py
    python pipelines/digits_predictions.py --predictions-table.split validation

A component of your own in a pipeline: docs/pipeline/new_component.md follows it.
"""

from typing import Literal

import numpy as np
import pandas as pd

from dlkeras.pipeline import (
    Artifact,
    ComponentConfig,
    Draft,
    NotInKey,
    PipelineConfig,
    Run,
    TransformConfig,
    component,
    main,
    standard,
)
from dlkeras.pipeline.artifacts.types import Examples, Model, Transform


class Predictions(Artifact):
    """What a model says of each example (predictions.parquet)."""


class PredictionsTableConfig(ComponentConfig):
    """Which examples are predicted."""

    split: Literal["train", "validation", "test"] = "test"
    """the split whose examples are predicted"""
    batch_size: NotInKey[int] = 64
    """examples that are predicted together"""


@component(packages=("keras", "tensorflow", "pandas"))
def predictions_table(
    config: PredictionsTableConfig,
    output: Draft[Predictions],
    examples: Examples,
    transform: Transform,
    model: Model,
) -> None:
    """Write a row for each example: its id, its label, the answer."""
    preprocess, network = transform.preprocessing(), model.network()
    rows = []
    for batch in examples.dataset(config.split).batch(config.batch_size):
        answers = np.asarray(network(preprocess(batch["image"]))).argmax(-1)
        for name, label, answer in zip(
            batch["id"], batch["label"], answers, strict=True
        ):
            rows.append((name.numpy().decode(), int(label), int(answer)))
    table = pd.DataFrame(rows, columns=["id", "label", "answer"])
    table.to_parquet(output.path / "predictions.parquet")
    output.properties.update(
        rows=len(table), wrong=int((table.label != table.answer).sum())
    )


def graph(run: Run) -> None:
    """The standard graph, then the table."""
    standard(run)
    run(
        predictions_table,
        run.artifact(Examples),
        run.artifact(Transform),
        run.artifact(Model),
    )


CONFIG = PipelineConfig(
    name="lenet5_digits",
    transform=TransformConfig(height=32, width=32, shift=0.08, rotation=12, zoom=0.12),
)

if __name__ == "__main__":
    raise SystemExit(main(CONFIG, graph=graph))
