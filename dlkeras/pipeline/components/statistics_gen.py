"""StatisticsGen: describes every example and every split, as tables and a page."""

import hashlib
import re
import time
from typing import Any

import numpy as np

from dlkeras.pipeline.artifacts.statistics_table import COLUMNS
from dlkeras.pipeline.artifacts.types import SPLITS, Examples, Statistics
from dlkeras.pipeline.configuration.config import StatisticsGenConfig
from dlkeras.pipeline.engine.component import component
from dlkeras.pipeline.examples.decoding import decode_image
from dlkeras.pipeline.examples.digest import pixel_digest
from dlkeras.pipeline.examples.drift import NUMBER_QUANTILES
from dlkeras.pipeline.examples.left_out import lines_of_left_out
from dlkeras.pipeline.examples.overview.near_duplicates import (
    near_duplicate_pairs,
    perceptual_hashes,
    small_grey,
    thumbnails,
)
from dlkeras.pipeline.examples.overview.notable import notable, shown_ids
from dlkeras.pipeline.examples.overview.statistics_page import (
    MAX_CLASSES,
    MAX_PAIRS,
    thumbnail,
)
from dlkeras.pipeline.examples.sources.label_kinds import (
    NO_LABEL,
    SEPARATOR,
    classes_of,
    label_kind,
)
from dlkeras.pipeline.store.publishing import Draft, canonical_digest

# Pixels are uint8: what the images of a TFDS data set decode to.
LEVELS = 256
QUANTILES = (0, 5, 25, 50, 75, 95, 100)
BLOCK = 512
MAX_LISTED = 1000
PAGE = "statistics.html"


def _lines(statistics: Statistics) -> list[str]:
    p = statistics.properties
    return [
        f"statistics of {p['examples']:,} examples, at {p['images_per_second']:,.0f} "
        f"images/s: {statistics.path / PAGE}"
    ]


@component(packages=("numpy", "pandas", "pillow"), lines=_lines)
def statistics_gen(
    config: StatisticsGenConfig, output: Draft[Statistics], examples: Examples
) -> None:
    """Describe the examples in one pass.

    Args:
        config: number of histogram bins, and images of each class on the page.
        output: gets `examples.parquet`, a row for every example (id, split, label,
            format, height, width, channels, dtype, sha256 of the pixels, perceptual
            hash, mean, std, channels of the file, whether it has no colours);
            `statistics.json`, the splits by number and class: sizes, aspect ratios,
            pixel statistics for each channel, brightness, contrast, formats,
            duplicates and near-duplicates; `statistics.html`, a page of both; figures;
            and `images_per_second` as a property.
        examples: what to describe.
    """
    import pandas as pd

    started = time.perf_counter()
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS if name != "phash"}
    hashes: list[np.ndarray] = []
    thumbs: list[np.ndarray] = []
    waiting: list[np.ndarray] = []
    # Whole numbers, from which all else follows exactly: how often each of the 256
    # levels occurs in a channel, and of each class's pixels number, sum and squares.
    levels = {
        split: np.zeros((examples.channels, LEVELS), dtype="int64") for split in SPLITS
    }
    sums = {
        split: np.zeros((len(examples.labels), 3), dtype="int64") for split in SPLITS
    }
    shown = examples.labels[:MAX_CLASSES]
    gallery: dict[str, list[np.ndarray]] = {label: [] for label in shown}

    kind = label_kind(examples.task)

    def hash_waiting() -> None:
        if waiting:
            small = np.stack(waiting)
            hashes.append(perceptual_hashes(small))
            thumbs.append(thumbnails(small))
            waiting.clear()

    for split in SPLITS:
        for example in examples.encoded(split):
            # ExampleGen has checked the size already.
            pixels = decode_image(example.image, max_pixels=2**62).pixels
            label = kind.cell(example.label, examples.labels)
            histogram = np.stack(
                [
                    np.bincount(pixels[..., c].ravel(), minlength=LEVELS)
                    for c in range(pixels.shape[-1])
                ]
            )
            levels[split] += (
                histogram  # a grey one among coloured ones: in each channel
            )
            whole = _power_sums(histogram.sum(axis=0))
            classes = [n for n in classes_of(example.label) if n != NO_LABEL]
            sums[split][classes] += whole
            mean, std = moments(*whole)
            height, width, channels = pixels.shape
            # A grey image among coloured ones is read as three equal channels.
            row = (
                example.id, split, label, example.format, height, width,
                examples.channels, str(pixels.dtype), pixel_digest(pixels), mean, std,
                channels, _is_grey(pixels),
            )  # fmt: skip
            for column, value in zip(columns.values(), row, strict=True):
                column.append(value)
            waiting.append(small_grey(pixels))
            for number in classes if split == "train" else ():
                picked = gallery.get(examples.labels[number])
                if picked is not None and len(picked) < config.gallery_size:
                    picked.append(thumbnail(pixels))
            if len(waiting) == BLOCK:
                hash_waiting()
    hash_waiting()
    seconds = time.perf_counter() - started
    table = pd.DataFrame(columns)
    all_hashes = np.concatenate(hashes)
    table.insert(
        COLUMNS.index("phash"), "phash", [f"{value:016x}" for value in all_hashes]
    )
    near, complete = near_duplicate_pairs(
        all_hashes,
        np.concatenate(thumbs),
        table.sha256.to_numpy(),
        table.split.to_numpy(),
    )
    summary = {
        "labels": list(examples.labels),
        "histogram_range": [0, LEVELS],
        "splits": {
            split: _describe(
                table[table.split == split],
                levels[split],
                dict(zip(examples.labels, sums[split].tolist(), strict=True)),
                config,
                examples.task,
            )
            for split in SPLITS
        },
        "duplicates_within_splits": int(table.duplicated(["split", "sha256"]).sum()),
        "leaked": leaked(table),
        **_near(table, near, complete),
        "quarantined": examples.properties.get("quarantined", 0),
        "drawn_splits": examples.properties.get("drawn_splits", []),
    }
    if examples.task != "classification":
        summary["task"] = examples.task
    table.to_parquet(output.path / "examples.parquet", index=False)
    output.write_json("statistics.json", summary)
    _illustrate(output, summary, table, gallery, examples)
    output.properties.update(
        examples=len(table),
        images_per_second=round(len(table) / seconds, 1),
        near_duplicates=len(near),
    )
    # The files carry a figure's or a library's version; the content is this.
    rows = table.to_json(orient="values", double_precision=12).encode()
    output.digest = canonical_digest([summary, hashlib.sha256(rows).hexdigest()])


def _power_sums(histogram: np.ndarray) -> tuple[int, int, int]:
    """Number, sum and sum of squares of pixels, from how often each level occurs."""
    level = np.arange(LEVELS, dtype="int64")
    return int(histogram.sum()), int(histogram @ level), int(histogram @ level**2)


def _is_grey(pixels: np.ndarray) -> bool:
    return pixels.shape[-1] == 1 or bool((pixels == pixels[..., :1]).all())


def _thumbnails(examples: Examples, wanted: set[str]) -> dict[str, np.ndarray]:
    """The images of these names, small; they are read once more."""
    found = {}
    for split in SPLITS if wanted else ():
        for example in examples.encoded(split):
            if example.id in wanted:
                pixels = decode_image(example.image, max_pixels=2**62).pixels
                found[example.id] = thumbnail(pixels)
    return found


def moments(number: int, total: int, squares: int) -> tuple[float, float]:
    """Mean and standard deviation of whole numbers, the same on every machine.

    >>> moments(2, 1 + 3, 1 + 9)
    (2.0, 1.0)
    """
    if number == 0:
        return 0.0, 0.0
    return total / number, (number * squares - total * total) ** 0.5 / number


def _bins(histogram: np.ndarray, number: int) -> list[int]:
    """Sum 256 levels to fewer bins, as `numpy.histogram` draws their edges."""
    which = np.arange(LEVELS) * number // LEVELS
    return np.bincount(which, histogram, number).astype("int64").tolist()


def _describe(
    table: Any,
    levels: np.ndarray,
    sums: dict[str, list[int]],
    config: StatisticsGenConfig,
    task: str,
) -> dict[str, Any]:
    """Describe one split."""
    by_class = label_kind(task).by_class(table, list(sums))
    counts = {label: int(n) for label, n in by_class.label.value_counts().items()}
    classes = {label: counts.get(label, 0) for label in sums}
    mean, std = moments(*_power_sums(levels.sum(axis=0)))
    by_channel = [moments(*_power_sums(channel)) for channel in levels]
    ratio = table.width / table.height
    filled = [count for count in classes.values() if count]
    brightness, _ = np.histogram(table["mean"], config.histogram_bins, (0, LEVELS))
    return {
        "examples": len(table),
        "classes": classes,
        "imbalance": max(filled) / min(filled) if filled else 1.0,
        "height": _range(table.height),
        "width": _range(table.width),
        "aspect_ratio": _quantiles(ratio),
        "channels": sorted(int(n) for n in table.file_channels.unique()),
        "dtypes": sorted(table.dtype.unique()),
        "formats": {k: int(v) for k, v in sorted(table.format.value_counts().items())},
        "pixel_mean": mean,
        "pixel_std": std,
        "pixel_histogram": _bins(levels.sum(axis=0), config.histogram_bins),
        "channel_mean": [m for m, _ in by_channel],
        "channel_std": [s for _, s in by_channel],
        "channel_histograms": [_bins(c, config.histogram_bins) for c in levels],
        "brightness": _quantiles(table["mean"]),
        "brightness_histogram": brightness.tolist(),
        "contrast": _quantiles(table["std"]),
        "class_pixels": {
            label: dict(zip(("mean", "std"), moments(*own), strict=True))
            for label, own in sums.items()
        },
        "duplicates": int(table.duplicated("sha256").sum()),
        **_labels(table.label, task),
    }


def _labels(labels: Any, task: str) -> dict[str, Any]:
    """What is known of labels that are no classes."""
    if task == "regression":
        points = np.percentile(labels, NUMBER_QUANTILES)
        inner = points[1:-1].round(6).tolist()
        quantiles = [float(labels.min()), *inner, float(labels.max())]
        numbers = {"mean": float(labels.mean()), "std": float(labels.std(ddof=0))}
        return {"numbers": {**numbers, "quantiles": quantiles}}
    if task == "multilabel":
        each = labels.str.count(re.escape(SEPARATOR)) + (labels != "")
        counts = each.value_counts().sort_index()
        return {"labels_per_image": {str(n): int(count) for n, count in counts.items()}}
    return {}


def _range(column: Any) -> list[int]:
    return [int(column.min()), int(column.max())]


def _quantiles(column: Any) -> dict[str, float]:
    """Quantiles in percent, rounded to what is the same on every machine."""
    values = np.percentile(column, QUANTILES)
    return {f"{q}%": round(float(v), 6) for q, v in zip(QUANTILES, values, strict=True)}


def leaked(table: Any) -> list[dict[str, list[str]]]:
    """Find images that are in more than one split.

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


def _near(table: Any, pairs: np.ndarray, complete: bool) -> dict[str, Any]:
    """Count near-duplicates within and across splits, and list the first of them."""
    splits, ids = table.split.to_numpy(), table.id.to_numpy()
    apart = splits[pairs[:, 0]] != splits[pairs[:, 1]]
    across, within = pairs[apart], pairs[~apart]
    listed = np.concatenate([across[:MAX_LISTED], within])[:MAX_LISTED]
    near_leaked: dict[str, list[str]] = {}
    for split in SPLITS:
        if split != "train":
            names: set[str] = set()
            for one, other in (pairs.T, pairs.T[::-1]):
                leaks = (splits[one] == "train") & (splits[other] == split)
                names.update(ids[other[leaks]].tolist())
            if names:
                near_leaked[split] = sorted(names)
    return {
        "near_duplicates": {
            "within": len(within),
            "across": len(across),
            "complete": complete,
        },
        "near_duplicate_pairs": [
            {"one": ids[a], "other": ids[b], "splits": [splits[a], splits[b]]}
            for a, b in listed
        ],
        "near_leaked": dict(sorted(near_leaked.items())),
    }


def _illustrate(
    output: Draft,
    summary: dict[str, Any],
    table: Any,
    gallery: dict[str, list[np.ndarray]],
    examples: Examples,
) -> None:
    """Draw the figures, and write the page."""
    from dlkeras import visualization as show
    from dlkeras.pipeline.examples.overview.statistics_page import statistics_page
    from dlkeras.visualization.look.saved_beside import all_saved, draw_figure

    splits = summary["splits"]
    figures = {
        "class_balance": (
            show.class_balance,
            {split: described["classes"] for split, described in splits.items()},
        ),
        "pixel_distribution": (
            show.pixel_distribution,
            {split: s["channel_histograms"] for split, s in splits.items()},
        ),
        "brightness_and_contrast": (
            show.brightness_and_contrast,
            {
                split: rows[["mean", "std"]].to_numpy()
                for split, rows in table.groupby("split", sort=False)
            },
        ),
    }
    if table[["height", "width"]].nunique().max() > 1:
        sizes = {
            split: rows[["width", "height"]].to_numpy()
            for split, rows in table.groupby("split", sort=False)
        }
        figures["image_sizes"] = show.image_sizes, sizes
    for name, (draw, shown) in figures.items():
        draw_figure(output.figure_path(name), draw, shown)
    all_saved()
    pictures = {name: output.figure_path(name).read_bytes() for name in figures}
    found = notable(table, summary)
    page = statistics_page(
        examples.properties["source"],
        summary,
        gallery,
        pictures,
        found,
        _thumbnails(examples, shown_ids(found, summary, MAX_PAIRS)),
        lines_of_left_out(examples.properties),
    )
    (output.path / PAGE).write_text(page, encoding="utf-8")
