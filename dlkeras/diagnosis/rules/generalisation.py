"""Rules on answers to new data: training beside validation, one answer for all."""

from collections.abc import Iterator

import numpy as np

from dlkeras.diagnosis.facts import Facts
from dlkeras.diagnosis.finding import TrainingFinding, cause
from dlkeras.diagnosis.rules.labels import (
    behind_neighbours,
    link_to_inputs,
    neighbours_know,
)

MEMORY = "Zhang et al., Understanding deep learning requires rethinking generalization"
GUESS = "a constant answer has the loss of the labels' own spread"
BASELINE = "Cover and Hart, Nearest neighbor pattern classification, 1967"
# Of a guess's loss and errors: less than this is chance.
CHANCE, FITTED, UNLINKED, FEW_EPOCHS = 0.08, 0.15, 1.5, 4


def learns_by_heart(facts: Facts) -> Iterator[TrainingFinding]:
    """Training examples are known, and new ones are as good as guessed."""
    labels, curve = facts.labels, facts.curve("val_loss")
    if labels is None or not len(curve) or not np.isfinite(curve).any():
        return
    fitted = [gain for gain in facts.gains() if np.isfinite(gain)]
    held = facts.accuracy(held=True)
    best = [facts.removed(float(np.nanmin(curve)))]
    if np.isfinite(held).any() and labels.kind != "numbers" and labels.majority < 1:
        right = labels.majority
        best.append((float(np.nanmax(held)) - right) / (1 - right))
    best = [gain for gain in best if np.isfinite(gain)]
    if fitted and best and max(fitted) > FITTED and max(best) < CHANCE:
        link = link_to_inputs(facts)
        seen = [f"best on new data: {100 * max(best):.0f} % better than a guess"]
        if np.isfinite(link):
            seen.append(f"nearest neighbours: {link:.1f} standard errors above chance")
        yield cause(
            "labels_unrelated",
            "it learns the examples by heart: labels do not belong to their inputs",
            f"training {100 * max(fitted):.0f} % better than a guess", *seen,
            severity="warning", source=MEMORY, value=max(best), bound=CHANCE,
            sure="likely" if link < UNLINKED else "possible",
            fix="shuffle x and y together: order = rng.permutation(len(x))",
        )  # fmt: skip


def unlinked_labels(facts: Facts) -> Iterator[TrainingFinding]:
    """Nothing is learned, and neighbours in the inputs do not share labels either."""
    gained = [gain for gain in facts.gains() if np.isfinite(gain)]
    link = link_to_inputs(facts)
    if gained and max(gained) < FITTED and link < UNLINKED:
        yield cause(
            "no_link_to_labels",
            "inputs and labels show no link",
            f"nearest neighbours: {link:.1f} standard errors above chance",
            severity="note", source=MEMORY, value=link, bound=UNLINKED, sure="possible",
            fix="look at ten examples with their labels, as the model gets them",
        )  # fmt: skip


def one_answer(facts: Facts) -> Iterator[TrainingFinding]:
    """The same answer for every example, where labels differ."""
    answers, labels = facts.answers, facts.labels
    if answers is None or labels is None or not facts.trained or len(answers) < 16:
        return
    if labels.kind in ("classes", "one_hot") and answers.ndim == 2:
        if not (0.0 < labels.majority < 0.9):
            return
        wide = answers.shape[1] > 1
        chosen = answers.argmax(1) if wide else np.round(answers[:, 0])
        same = bool((chosen == chosen[0]).all())
        seen = f"class {int(chosen[0])} for all of {len(answers)} examples"
    elif labels.kind == "numbers" and labels.rows.std() > 0:
        if labels.rows.size != len(labels.values) * answers[0].size:
            return  # scores of classes, by the user's own loss: of another size
        flat = answers.reshape(len(answers), -1).astype(np.float64)
        same = bool(np.median(flat.std(0)) < 1e-3 * labels.rows.std())
        seen = f"answers of {np.nanmean(flat):.4g} for all of {len(answers)} examples"
    else:
        return
    if same and np.isfinite(answers).all():
        yield cause(
            "one_answer", "the model gives one answer to every example", seen,
            f"labels: {100 * labels.majority:.0f} % are the most frequent"
            if labels.kind != "numbers" else f"targets spread {labels.rows.std():.3g}",
            severity="warning", source=GUESS, sure="likely",
            fix="fit 32 examples first: model.fit(x[:32], y[:32], epochs=200)",
        )  # fmt: skip


def less_than_neighbours(facts: Facts) -> Iterator[TrainingFinding]:
    """A vote of nearest neighbours beats what was learned of the training examples.

    The vote leaves each example out, the network was trained on it.
    """
    few = len(facts.curve()) < FEW_EPOCHS or facts.learned
    if few or not behind_neighbours(facts):
        return
    known = neighbours_know(facts)
    gained = max(gain for gain in facts.gains() if np.isfinite(gain))
    yield cause(
        "less_than_neighbours",
        "the model knows less of its own examples than their nearest neighbours do",
        f"neighbours avoid {100 * known:.0f} % of a guess's errors",
        f"the model {100 * max(gained, 0.0):.0f} %", severity="warning",
        source=BASELINE, value=gained, bound=known, sure="likely",
        fix="fit 32 examples first: model.fit(x[:32], y[:32], epochs=200)",
    )  # fmt: skip


GENERALISATION_RULES = (
    learns_by_heart,
    unlinked_labels,
    one_answer,
    less_than_neighbours,
)
