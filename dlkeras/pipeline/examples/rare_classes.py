"""Classes with too few images for every split, and what to do with them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from dlkeras.pipeline.examples.shards import WrittenRun
from dlkeras.pipeline.examples.sources.label_kinds import NO_LABEL, classes_of
from dlkeras.pipeline.examples.sources.relabelled import MERGED, Relabelled
from dlkeras.pipeline.examples.sources.source import Source
from dlkeras.pipeline.store.errors import InputError

FLAG = "--example-gen.rare-classes"
MAX_NAMED = 5


def without_rare_classes(
    source: Source, rare: Mapping[str, int], policy: str, least: int
) -> Source:
    """Take the rare classes out of a source, or together, as the policy says.

    Args:
        source: the source.
        rare: the labels that have too few images, and how many.
        policy: "stop", "leave_out", "merge" or "train_only".
        least: how many a class needs.

    Raises:
        InputError: the policy is "stop"; or what is left is no two classes, or what is
            merged is still too small.
    """
    if not rare or policy == "train_only":
        return source
    merged = isinstance(source, Relabelled) and MERGED in rare
    if policy == "stop" or (policy == "merge" and merged):
        few = ", ".join(
            f"{label} has {count} photo{'s' * (count != 1)}"
            for label, count in list(rare.items())[:MAX_NAMED]
        )
        more = len(rare) - MAX_NAMED
        raise InputError(
            f"expected at least {least} different photos (or groups) in each class of "
            f"{source.description}, one for each split; {few}"
            + (f", and {more} more classes have too few" if more > 0 else "")
            + f": add photos, or pass {FLAG} leave_out (they are not used), merge "
            f'(they become one class "{MERGED}") or train_only (they are never tested)'
        )
    before = source.names if isinstance(source, Relabelled) else None
    names = before or {label: label for label in source.labels}
    gone = MERGED if policy == "merge" else None
    names = {label: gone if name in rare else name for label, name in names.items()}
    if len({name for name in names.values() if name}) < 2:
        raise InputError(
            f"{FLAG} {policy}: expected at least two classes of {least} photos or more "
            f"in {source.description}; it has {len(source.labels) - len(rare)}"
        )
    return Relabelled(source.whole if isinstance(source, Relabelled) else source, names)


def rare_by_listing(source: Source, least: int) -> dict[str, int]:
    """The labels of fewer examples than that, as far as a source knows unread."""
    counts: Counter[int] = getattr(source, "label_counts", None) or Counter()
    return _rare(source.labels, counts, least)


def rare_by_content(
    source: Source, runs: Iterable[WrittenRun], least: int
) -> dict[str, int]:
    """The labels of fewer different images, or groups, than that."""
    keys = {
        (number, row.key)
        for run in runs
        for row in run.rows
        if row.key
        for number in classes_of(row.label)
    }
    return _rare(source.labels, Counter(label for label, _ in keys), least)


def _rare(labels: Any, counts: Counter[int], least: int) -> dict[str, int]:
    return {
        labels[number]: count
        for number, count in sorted(counts.items())
        if 0 < count < least and number != NO_LABEL
    }
