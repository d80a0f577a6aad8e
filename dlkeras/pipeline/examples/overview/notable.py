"""What a person should look at first in a data set, in words and by example."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dlkeras.pipeline.examples.labels import joined_labels, look_alike
from dlkeras.pipeline.examples.overview.contradictions import contradictions
from dlkeras.pipeline.examples.sources.label_kinds import SEPARATOR, label_kind

MAX_SHOWN = 8
FEW, IMBALANCE = 20, 10.0
# An image is tiny beside the others: a quarter of their usual side, and below this.
TINY = 64


class Notable(NamedTuple):
    """One thing to look at.

    Attributes:
        text: what it is, in words.
        ids: images that show it, in groups that belong side by side.
    """

    text: str
    ids: list[list[str]]


def notable(table: Any, summary: dict[str, Any]) -> list[Notable]:
    """Say what is unusual, the worst first.

    Args:
        table: the rows of the examples.
        summary: the content of `statistics.json`.
    """
    found = [
        *_copies(table, summary),
        *_classes(table, summary),
        *_labels(table, summary),
        *_sizes(table),
        *_grey(table),
    ]
    if lost := summary["quarantined"]:
        found.append(Notable(f"images that could not be read, left out: {lost:,}", []))
    return found


def _copies(table: Any, summary: dict[str, Any]) -> list[Notable]:
    found = []
    if same := contradictions(table):
        ids = [[name for name, _ in images] for images in same]
        text = f"images in several classes, one label is wrong: {len(same):,}"
        found.append(Notable(text, ids[:MAX_SHOWN]))
    if summary["leaked"]:
        ids = [
            [name for names in copies.values() for name in names]
            for copies in summary["leaked"][:MAX_SHOWN]
        ]
        number = len(summary["leaked"])
        found.append(Notable(f"images in several splits: {number:,}", ids))
    if leaks := sum(map(len, summary["near_leaked"].values())):
        pairs = [
            [pair["one"], pair["other"]]
            for pair in summary["near_duplicate_pairs"]
            if "train" in pair["splits"] and len(set(pair["splits"])) > 1
        ]
        text = f"images of validation or test that nearly repeat train: {leaks:,}"
        found.append(Notable(text, pairs[:MAX_SHOWN]))
    return found


def _labels(table: Any, summary: dict[str, Any]) -> list[Notable]:
    """What there is to say of labels that are no classes."""
    if summary.get("task") == "regression":
        ordered = table.sort_values(["label", "id"])
        places = np.linspace(0, len(table) - 1, MAX_SHOWN).round().astype(int)
        shown = ordered.iloc[np.unique(places)]
        numbers = ", ".join(f"{number:.4g}" for number in shown.label)
        text = f"from the smallest {summary['labels'][0]} to the largest: {numbers}"
        return [Notable(text, [list(shown.id)])]
    if summary.get("task") == "multilabel":
        without = table[table.label == ""]
        several = table.label.str.contains(SEPARATOR, regex=False)
        found = []
        if len(without):
            text = f"images without a label: {len(without):,}"
            found.append(Notable(text, [_first(without)]))
        if not several.any():
            text = "no image has two labels: --example-gen.task classification?"
            found.append(Notable(text, []))
        return found
    return []


def _classes(table: Any, summary: dict[str, Any]) -> list[Notable]:
    found = []
    kind = label_kind(summary.get("task", "classification"))
    table = kind.by_class(table, summary["labels"])
    counts = table.label.value_counts()
    few = counts[counts < min(FEW, counts.max() / 2)]
    if len(few):
        named = ", ".join(f"{label} {count}" for label, count in few[::-1].items())
        text = f"classes of few photos: {_short(named)}"
        found.append(Notable(text, [_first(table[table.label.isin(few.index)])]))
    if counts.max() >= IMBALANCE * counts.min():
        found.append(
            Notable(
                f"{counts.idxmax()} has {counts.max():,} photos, {counts.idxmin()} "
                f"{counts.min():,}: {counts.max() / counts.min():,.0f} times fewer",
                [],
            )
        )
    labels = summary["labels"]
    for alike in look_alike(labels):
        text = f"classes that differ by case or spaces alone: {', '.join(alike)}"
        ids = [_first(table[table.label == label], 2) for label in alike]
        found.append(Notable(text, ids))
    for label in joined_labels(labels):
        rows = table[table.label == label]
        found.append(Notable(f"{label} reads like several labels", [_first(rows)]))
    return found


def _sizes(table: Any) -> list[Notable]:
    sides = table[["height", "width"]].min(axis=1)
    tiny = table[(sides < TINY) & (sides < sides.median() / 4)]
    if not len(tiny):
        return []
    text = (
        f"tiny images: {len(tiny):,}, the smallest of {int(sides.min())} pixels, where "
        f"others have {sides.median():.0f}"
    )
    return [Notable(text, [_first(tiny)])]


def _grey(table: Any) -> list[Notable]:
    grey = table[table.grey]
    if table.channels.max() == 1 or not 0 < len(grey) < len(table):
        return []
    text = f"grey images among coloured ones: {len(grey):,}"
    return [Notable(text, [_first(grey)])]


def _first(rows: Any, number: int = MAX_SHOWN) -> list[str]:
    return list(rows.id.unique()[:number])  # a row for each class of an image


def _short(text: str, most: int = 200) -> str:
    return text if len(text) <= most else text[:most].rsplit(",", 1)[0] + ", ..."


def shown_ids(
    found: Sequence[Notable], summary: dict[str, Any], pairs: int
) -> set[str]:
    """The images that the page shows beside those of the classes."""
    ids = {name for item in found for group in item.ids for name in group[:MAX_SHOWN]}
    for pair in summary["near_duplicate_pairs"][:pairs]:
        ids |= {pair["one"], pair["other"]}
    for copies in summary["leaked"][:pairs]:
        ids |= {name for names in copies.values() for name in names[:2]}
    return ids
