"""Rules on the labels: range beside units and loss, balance, order."""

from collections.abc import Iterator

import numpy as np

from dlkeras.diagnosis.facts import Facts
from dlkeras.diagnosis.finding import TrainingFinding, cause
from dlkeras.diagnosis.labels_seen import Labels

OUTPUT_UNITS = "Goodfellow, Bengio and Courville, Deep learning, 6.2.2"
BALANCE = "He and Garcia, Learning from imbalanced data, TKDE 2009"
ORDER = "Bengio, Practical recommendations for gradient-based training, 2012"
SCALING = "LeCun et al., Efficient BackProp, 1998, 4.4"
FAR = 50.0
MAJORITY, ENOUGH, NO_BETTER = 0.9, 32, 0.05
BY_CHANCE, LITTLE = 2.0, 0.3
FEW_CLASSES, ERRORS = 0.25, 4.0
NEIGHBOURS, PROBED, BEHIND = 5, 400, 0.4


def non_finite_labels(facts: Facts) -> Iterator[TrainingFinding]:
    """NaN or infinity among the labels."""
    if facts.labels is None or facts.labels.values.dtype.kind != "f":
        return
    bad = ~np.isfinite(facts.labels.rows)
    if bad.any():
        rows = np.flatnonzero(bad.any(1))
        yield cause(
            "non_finite_labels", "labels are not all numbers: the loss becomes NaN",
            f"{bad.sum()} NaN or infinite",
            f"rows {rows[:3].tolist()} of those looked at",
            fix="leave those rows out: keep = np.isfinite(y)", value=bad.mean(),
            bound=0,
            source="IEEE 754: every sum with NaN is NaN",
        )  # fmt: skip


def labels_beside_loss(facts: Facts) -> Iterator[TrainingFinding]:
    """Labels that the loss does not expect: no classes, or more than units."""
    labels, units = facts.labels, facts.units
    if labels is None or not labels.rows.size or not np.isfinite(labels.rows).all():
        return
    low, high = labels.rows.min(), labels.rows.max()
    seen = f"labels from {low:.4g} to {high:.4g}"
    given = labels.values
    if facts.loss == "sparse" and units > 1 and given.shape[1:] == (units,):
        answers = facts.before if facts.before is not None else facts.answers
        ones = Labels(given).kind == "one_hot"
        if ones and (answers is None or answers.ndim == 2):
            yield cause(
                "one_hot_with_sparse_crossentropy",
                "this loss expects class numbers, and y has a column for each class",
                f"y {given.shape}", fix='loss="categorical_crossentropy"',
                source=OUTPUT_UNITS,
            )  # fmt: skip
            return
    if facts.loss == "sparse" and labels.rows.shape[1] == 1:
        if not labels.whole:
            yield cause(
                "labels_not_whole",
                "the labels are fractions, and this loss cuts them to whole classes",
                seen, f"{len(np.unique(labels.rows))} different values",
                fix="give the class numbers 0, 1, 2, ...: do not scale y",
                source=OUTPUT_UNITS,
            )  # fmt: skip
        elif low < 0 or (units > 1 and high >= units):
            yield cause(
                "labels_out_of_range",
                f"labels lie outside of the {units} classes that the model has",
                seen, fix=f"keras.layers.Dense({int(high) + 1}, ...), or number the "
                "classes from 0", source=OUTPUT_UNITS,
            )  # fmt: skip
    elif facts.loss == "binary" and (low < 0 or high > 1):
        classes = labels.kind == "classes"
        fix = "keras.layers.Dense(1) and loss='mse'"
        if classes:
            fix = (
                f'keras.layers.Dense({int(high) + 1}, activation="softmax") and '
                'loss="sparse_categorical_crossentropy"'
            )
        elif labels.whole and {*np.unique(labels.rows)} <= {-1.0, 1.0}:
            fix = "y = (y + 1) / 2, or loss='hinge' with tanh"
        yield cause(
            "labels_beyond_binary",
            "the binary cross-entropy takes labels of 0 to 1, and these lie beyond",
            seen, "such a loss falls below 0 without end", fix=fix, source=OUTPUT_UNITS,
        )  # fmt: skip
    elif facts.loss == "categorical" and labels.rows.shape[1] == 1 and units > 1:
        yield cause(
            "class_numbers_with_categorical_crossentropy",
            "this loss expects a column for each class, and y has class numbers",
            seen, fix='loss="sparse_categorical_crossentropy"', source=OUTPUT_UNITS,
        )  # fmt: skip


def one_class(facts: Facts) -> Iterator[TrainingFinding]:
    """Labels or targets that are all the same."""
    labels = facts.labels
    if labels is None or len(labels.values) < ENOUGH or not labels.kind:
        return
    if not (facts.cross_entropy or facts.distance) or facts.adversarial:
        return  # a user's own loss may be given labels that it does not need
    rows = labels.rows
    if labels.ignored is None:
        rows = rows.reshape(len(labels.values), -1)
    if (rows == rows[:1]).all():
        yield cause(
            "labels_all_equal",
            "all labels are the same: there is nothing to tell apart",
            f"{len(rows)} looked at, all {np.array2string(rows[0][:4], precision=4)}",
            fix="look at how y is made: np.unique(y, return_counts=True)",
            source=BALANCE,
        )  # fmt: skip


def imbalance(facts: Facts) -> Iterator[TrainingFinding]:
    """Nearly all labels of one class, and a training that knows no more than that."""
    labels = facts.labels
    if labels is None or labels.kind not in ("classes", "one_hot"):
        return
    majority = labels.majority
    if len(labels.values) < ENOUGH or not MAJORITY <= majority < 1:
        return
    gained = [gain for gain in facts.gains() if np.isfinite(gain)]
    # The share is that of the labels that were seen: an accuracy may lie above it by
    # chance.
    error = np.sqrt(majority * (1 - majority) / len(labels.values))
    right = facts.accuracy()[-1] if facts.trained else np.nan
    lucky = right < majority + BY_CHANCE * error and min(gained, default=1.0) < LITTLE
    stuck = bool(gained) and (min(gained) < NO_BETTER or lucky)
    seen = [f"{100 * majority:.0f} % of {len(labels.values)} labels are one class"]
    if stuck and np.isfinite(facts.accuracy()[-1]):
        seen.append(f"accuracy {facts.accuracy()[-1]:.3g}: no better than always that")
    yield cause(
        "one_class_nearly_always", "nearly all labels are one class", *seen,
        severity="warning" if stuck else "note", value=majority, bound=MAJORITY,
        fix="model.fit(..., class_weight={0: ..., 1: ...}), and judge by AUC or F1",
        source=BALANCE, sure="likely",
    )  # fmt: skip


def far_from_one(facts: Facts) -> Iterator[TrainingFinding]:
    """Targets so large that a last layer of weights near 1 needs long to reach them."""
    labels = facts.labels
    if labels is None or labels.kind != "numbers" or facts.learned:
        return
    size = labels.rows.std() + abs(labels.rows.mean())
    if facts.distance and size > FAR:
        yield cause(
            "targets_far_from_one",
            "the targets are far larger than the answers of an untrained network",
            f"mean {labels.rows.mean():.4g}, spread {labels.rows.std():.4g}",
            severity="warning" if facts.trained else "note", value=size, bound=FAR,
            fix="y = (y - y.mean()) / y.std()", source=SCALING, sure="likely",
        )  # fmt: skip


def sorted_by_class(facts: Facts) -> Iterator[TrainingFinding]:
    """Batches of few classes each, of data that have more."""
    labels, batches = facts.labels, facts.batch_labels
    if labels is None or labels.kind not in ("classes", "one_hot") or len(batches) < 3:
        return
    large = [b for b in batches if len(b) >= 8]
    if len(large) < 3 or len(labels.shares) < 2:
        return
    found = sum(len(np.unique(b.reshape(len(b), -1), axis=0)) for b in large)
    # Of shuffled labels each class is in a batch with this chance.
    chance = 1 - (1 - labels.shares) ** np.array([[len(b)] for b in large])
    lacking = (chance.sum() - found) / (np.sqrt(np.sum(chance * (1 - chance))) + 0.1)
    few = found - len(large) < FEW_CLASSES * (chance.sum() - len(large))
    if few and lacking > ERRORS:
        severity = "note" if facts.nothing_left else "warning"
        seen, usual = found / len(large), chance.sum() / len(large)
        yield cause(
            "sorted_by_class",
            "the data come sorted: each batch has few of the classes",
            f"{seen:.2g} classes in a batch, {usual:.2g} if shuffled",
            severity=severity,
            fix="model.fit(..., shuffle=True), or ds.shuffle(len(x)) before batch",
            source=ORDER, sure="likely",
        )  # fmt: skip


def _neighbours(facts: Facts) -> tuple[np.ndarray, np.ndarray] | None:
    """Each example's class `(n,)` and those of its nearest `(n, 5)`.

    None where it cannot be tried.
    """
    labels = facts.labels
    if labels is None or labels.kind not in ("classes", "one_hot"):
        return None
    inputs = [v for v in facts.inputs if v.dtype.kind in "biuf"]
    if len(inputs) != 1 or len(inputs[0]) != len(labels.values):
        return None
    if len(labels.rows) != len(labels.values):
        return None  # an answer to each position
    x = inputs[0][:PROBED].reshape(min(PROBED, len(inputs[0])), -1).astype(np.float64)
    y = labels.rows[: len(x)]
    y = y.argmax(1) if labels.kind == "one_hot" else y[:, 0]
    if len(x) < 2 * ENOUGH or len(y) != len(x) or not np.isfinite(x).all():
        return None
    x = (x - x.mean(0)) / (x.std(0) + 1e-9)
    far = (x**2).sum(1)
    distance = far[:, None] - 2 * x @ x.T + far
    np.fill_diagonal(distance, np.inf)
    return y, y[np.argpartition(distance, NEIGHBOURS, 1)[:, :NEIGHBOURS]]


def link_to_inputs(facts: Facts) -> float:
    """How many standard errors better than chance the nearest neighbours know a label.

    NaN where it cannot be tried. A link that neighbours do not see may exist: this is
    evidence beside other evidence, never alone.
    """
    if (found := _neighbours(facts)) is None:
        return np.nan
    y, near = found
    same = (near == y[:, None]).mean()
    shares = np.unique(y, return_counts=True)[1] / len(y)
    chance = float(np.sum(shares**2))
    error = np.sqrt(max(chance * (1 - chance), 1e-9) / len(y))
    return float((same - chance) / error)


def neighbours_know(facts: Facts) -> float:
    """The share of a constant answer's errors that a vote of the neighbours avoids.

    Of examples that the vote leaves out, so no network has to be large for as much.
    NaN where it cannot be tried.
    """
    if (found := _neighbours(facts)) is None:
        return np.nan
    y, near = found
    classes = np.unique(y)
    votes = (near[..., None] == classes).sum(1)
    right = float(np.mean(classes[votes.argmax(1)] == y))
    most = float(np.mean(y[:, None] == classes, 0).max())
    return (right - most) / (1 - most) if most < 1 else np.nan


def behind_neighbours(facts: Facts) -> bool:
    """Whether the training knows its own examples far less than their neighbours do."""
    gained = [gain for gain in facts.gains() if np.isfinite(gain)]
    return bool(gained) and neighbours_know(facts) - max(gained) > BEHIND


LABEL_RULES = (
    non_finite_labels,
    labels_beside_loss,
    one_class,
    imbalance,
    far_from_one,
    sorted_by_class,
)
