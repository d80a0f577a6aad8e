"""Drift: how far your data are from the schema, or from the last run's data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlkeras.pipeline.examples.schema import DriftBounds, DriftRules

# Percentages: where the distribution of numbers is kept.
NUMBER_QUANTILES = tuple(range(0, 101, 5))


@dataclass(frozen=True)
class Distributions:
    """What of a training split is compared with that of another one.

    Attributes:
        classes: share of each class.
        pixels: histogram of the pixels, bins of equal width from 0 to 255.
        brightness: histogram of the images' means, with the same bins.
        numbers: quantiles of labels that are numbers, at `NUMBER_QUANTILES`.
    """

    classes: Mapping[str, float]
    pixels: Sequence[float]
    brightness: Sequence[float]
    numbers: Sequence[float] = ()

    @classmethod
    def of_rules(cls, rules: DriftRules) -> "Distributions":
        """What a schema keeps of the data set that it was made of."""
        numbers = rules.numbers or ()
        return cls(rules.classes, rules.pixels, rules.brightness, numbers)

    @classmethod
    def of_summary(cls, summary: Mapping[str, Any]) -> "Distributions":
        """What `statistics.json` says of the training split."""
        train = summary["splits"]["train"]
        total = max(sum(train["classes"].values()), 1)
        return cls(
            {label: count / total for label, count in train["classes"].items()},
            train["pixel_histogram"],
            train["brightness_histogram"],
            train.get("numbers", {}).get("quantiles", ()),
        )


def find_drift(
    was: Distributions,
    now: Distributions,
    bounds: DriftBounds,
    table: Any,
    report: Callable[..., None],
    *,
    prefix: str,
    since: str,
) -> None:
    """Report each distance that is beyond its bound.

    The distances are TFDV's: L-infinity of the shares of the classes, Jensen-Shannon
    divergence of the histograms. What `was` leaves empty is not compared.

    Args:
        was: the distributions to compare with.
        now: those of the training split.
        bounds: the largest distances.
        table: the rows of the examples; those of the class, or of the brightness, that
            has become more frequent are named.
        report: is called with key, rule, bound, value and names for what is found.
        prefix: what comes before a bound's name in the schema.
        since: what `was` is, in some words.
    """
    train = table[table.split == "train"]
    if was.classes:
        changes = {
            label: now.classes.get(label, 0.0) - was.classes.get(label, 0.0)
            for label in sorted({*was.classes, *now.classes})
        }
        worst = max(changes, key=lambda label: abs(changes[label]))
        value = abs(changes[worst])
        if value > bounds.max_label_distance:
            more = list(train[train.label == worst].id) if changes[worst] > 0 else []
            rule = (
                f"L-infinity distance of the classes' shares from {since} "
                f"(class {worst!r}, {was.classes.get(worst, 0):.4g} to "
                f"{now.classes.get(worst, 0):.4g})"
            )
            key = f"{prefix}.max_label_distance"
            report(key, rule, bounds.max_label_distance, round(value, 4), more)
    if len(was.numbers) and len(now.numbers):
        value = kolmogorov_smirnov(was.numbers, now.numbers)
        if value > bounds.max_label_distance:
            rule = f"Kolmogorov-Smirnov distance of the numbers from {since}"
            key = f"{prefix}.max_label_distance"
            report(key, rule, bounds.max_label_distance, round(value, 4), [])
    for kind, name, before, after in (
        ("pixel", "pixels", was.pixels, now.pixels),
        ("brightness", "brightness", was.brightness, now.brightness),
    ):
        if not len(before):
            continue
        key = f"{prefix}.max_{kind}_divergence"
        bound = getattr(bounds, f"max_{kind}_divergence")
        rule = f"Jensen-Shannon divergence of the {name} of train from {since}"
        if len(before) != len(after):
            rule += f" (not comparable: {len(before)} bins then, {len(after)} now)"
            report(key, rule, bound, None, [])
            continue
        value = jensen_shannon(before, after)
        if value > bound:
            ids = _more_frequent(train, before, after) if kind == "brightness" else []
            report(key, rule, bound, round(value, 4), ids)


def kolmogorov_smirnov(one: Sequence[float], other: Sequence[float]) -> float:
    """Largest difference of two cumulative distributions, by their quantiles.

    Args:
        one: quantiles at `NUMBER_QUANTILES`.
        other: those of the other.

    Example:
    >>> same = list(range(21))
    >>> round(kolmogorov_smirnov(same, [q + 5 for q in same]), 9)
    0.25
    """
    shares = np.array(NUMBER_QUANTILES) / 100
    points = np.concatenate([one, other])
    below = [np.interp(points, q, shares, left=0, right=1) for q in (one, other)]
    return float(np.abs(below[0] - below[1]).max())


def _more_frequent(
    train: Any, before: Sequence[float], after: Sequence[float]
) -> list[str]:
    """Name the images whose brightness has become more frequent than any other."""
    grown = _shares(after) - _shares(before)
    number, worst = len(grown), int(np.argmax(grown))
    low, high = 256 * worst / number, 256 * (worst + 1) / number
    brighter = train[(train["mean"] >= low) & (train["mean"] < high)]
    return list(brighter.id.unique())  # a row for each class of an image


def _shares(histogram: Sequence[float]) -> np.ndarray:
    return np.asarray(histogram, dtype="float64") / max(sum(histogram), 1e-300)


def jensen_shannon(one: Sequence[float], other: Sequence[float]) -> float:
    """Jensen-Shannon divergence of two histograms, to base 2: 0 to 1 (Lin 1991).

    >>> jensen_shannon([1, 0], [0, 5]), jensen_shannon([1, 1], [2, 2])
    (1.0, 0.0)
    """
    from scipy.spatial.distance import jensenshannon

    return float(jensenshannon(_shares(one), _shares(other), base=2)) ** 2
