"""StatisticsGen: a row for every example, and what the splits look like."""

from typing import Any

import numpy as np

from dlkeras.pipeline.artifacts import SPLITS, Examples
from dlkeras.pipeline.config import StatisticsGenConfig
from dlkeras.pipeline.example_digest import pixel_digest
from dlkeras.pipeline.store import Draft

# Pixels are uint8: what the images of a TFDS data set decode to.
PIXEL_RANGE = (0, 256)


def statistics_gen(
    config: StatisticsGenConfig, output: Draft, examples: Examples
) -> None:
    """Describe the examples in one pass.

    Args:
        config: number of histogram bins.
        output: gets `examples.parquet`, a row for every example (id, split, label,
            height, width, channels, dtype, sha256 of the pixels, mean, std), and
            `statistics.json`: for each split the number of examples, of each class,
            the range of heights and widths, the channels, the pixels' mean, standard
            deviation (over all pixels, 0 to 255) and histogram; and the examples that
            stand in more than one split.
        examples: what to describe.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    splits: dict[str, Any] = {}
    for split in SPLITS:
        histogram = np.zeros(config.histogram_bins, dtype="int64")
        pixels, total, squares = 0, 0.0, 0.0
        for example in examples.dataset(split).as_numpy_iterator():
            image = example["image"]
            values = image.astype("float64")
            histogram += np.histogram(image, config.histogram_bins, PIXEL_RANGE)[0]
            pixels += image.size
            total += values.sum()
            squares += np.square(values).sum()
            rows.append(
                {
                    "id": example["id"].decode(),
                    "split": split,
                    "label": examples.labels[example["label"]],
                    "height": image.shape[0],
                    "width": image.shape[1],
                    "channels": image.shape[2],
                    "dtype": str(image.dtype),
                    "sha256": pixel_digest(image),
                    "mean": values.mean(),
                    "std": values.std(),
                }
            )
        mean = total / pixels if pixels else 0.0
        splits[split] = {
            "pixel_mean": mean,
            "pixel_std": float(np.sqrt(max(squares / max(pixels, 1) - mean**2, 0.0))),
            "pixel_histogram": histogram.tolist(),
        }
    table = pd.DataFrame(rows)
    for split, summary in splits.items():
        summary.update(_describe(table[table.split == split], examples.labels))
    table.to_parquet(output.path / "examples.parquet", index=False)
    output.write_json(
        "statistics.json",
        {
            "labels": list(examples.labels),
            "histogram_range": list(PIXEL_RANGE),
            "splits": splits,
            "duplicates_within_splits": int(
                table.duplicated(["split", "sha256"]).sum()
            ),
            "leaked": leaked(table),
        },
    )
    output.properties["examples"] = len(table)


def _describe(table: Any, labels: tuple[str, ...]) -> dict[str, Any]:
    """Count one split and give the ranges of its images."""
    counts = table.label.value_counts()
    return {
        "examples": len(table),
        "classes": {label: int(counts.get(label, 0)) for label in labels},
        "height": [int(table.height.min()), int(table.height.max())],
        "width": [int(table.width.min()), int(table.width.max())],
        "channels": sorted(int(n) for n in table.channels.unique()),
        "dtypes": sorted(table.dtype.unique()),
    }


def leaked(table: Any) -> list[dict[str, list[str]]]:
    """Find images that stand in more than one split.

    Args:
        table: the rows of the examples.

    Returns:
        For each such image the ids of its copies, by split.
    """
    shared = table.groupby("sha256").split.transform("nunique") > 1
    return [
        {
            str(split): sorted(copies.id)
            for split, copies in same.groupby("split", sort=True)
        }
        for _, same in table[shared].groupby("sha256", sort=True)
    ]
