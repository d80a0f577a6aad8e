"""Any number of classes an image: how such a model is judged, shown and asked."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dlkeras.judging.slices import accuracy_by_slice
from dlkeras.judging.uncertainty import bootstrap_interval, proportion_interval
from dlkeras.pipeline.artifacts.types import Evaluation
from dlkeras.pipeline.configuration.config import EvaluatorConfig
from dlkeras.pipeline.examples.sources.label_kinds import SEPARATOR
from dlkeras.pipeline.serving.tasks.blessing_rules import judge_by_mcnemar
from dlkeras.pipeline.serving.tasks.classification_metrics import (
    mean_of_known,
    ratios,
    reliability,
)
from dlkeras.pipeline.serving.tasks.task import ROUNDING, Add, Answered, Pictures
from dlkeras.pipeline.store.publishing import Draft


class Multilabel:
    """A probability for each class; those of at least the threshold are the answer."""

    name = "multilabel"
    score_name = "macro_f1"
    output = "probabilities"
    threshold = 0.5
    not_there = (
        "no confusion matrix, top-k accuracy and temperature where an image has "
        "several labels; --evaluator.min-accuracy is not used, "
        "--evaluator.min-macro-f1 is"
    )

    def metrics(
        self,
        config: EvaluatorConfig,
        test: Answered,
        validation: Callable[[], Answered],
        labels: tuple[str, ...],
    ) -> dict[str, Any]:
        """Measure a model, and how sure the measures are."""
        metrics = multilabel_metrics(
            *test, labels, config.threshold, config.calibration_bins
        )
        right = self.scores(config, test)
        losses = _cross_entropy(*test).mean(axis=1)
        return metrics | {
            "confidence": config.confidence,
            "subset_accuracy_interval": proportion_interval(right, config.confidence),
            "loss_interval": bootstrap_interval(
                losses, config.bootstrap_samples, config.confidence
            ),
        }

    def scores(self, config: EvaluatorConfig, test: Answered) -> np.ndarray:
        """Whether all labels of an example are right."""
        truth, probabilities = test
        return ((probabilities >= config.threshold) == (truth > 0.5)).all(axis=1)

    def slices(self, config: EvaluatorConfig, test: Answered, table: Any) -> Any:
        """For parts of the examples, the share with all labels right."""
        right = self.scores(config, test)
        return accuracy_by_slice(table, config.slices, right, config.confidence)

    def predictions(
        self, ids: list[str], test: Answered, labels: tuple[str, ...], threshold: float
    ) -> Any:
        """A row for each example: id, label, prediction, a probability for each."""
        import pandas as pd

        truth, probabilities = test
        table = pd.DataFrame(
            {
                "id": ids,
                "label": _joined(truth > 0.5, labels),
                "prediction": _joined(probabilities >= threshold, labels),
            }
        )
        columns = [f"p({label})" for label in labels]
        return pd.concat([table, pd.DataFrame(probabilities, columns=columns)], axis=1)

    def draw(
        self,
        config: EvaluatorConfig,
        output: Draft,
        metrics: Mapping[str, Any],
        test: Answered,
        labels: tuple[str, ...],
        pictures: Pictures,
    ) -> None:
        """Draw the scores by class, the calibration, and the worst answers."""
        from dlkeras import visualization as show
        from dlkeras.pipeline.serving.tasks.figures import scores_by_class
        from dlkeras.visualization.figure import save_figure

        truth, probabilities = test
        figure = scores_by_class(metrics["classes"])
        save_figure(figure, output.figure_path("scores_by_class"))
        figure = show.reliability_diagram(**metrics["calibration"], ece=metrics["ece"])
        save_figure(figure, output.figure_path("calibration"))
        wrong = np.flatnonzero(~self.scores(config, test))
        losses = _cross_entropy(*test).mean(axis=1)
        wrong = wrong[np.argsort(-losses[wrong], kind="stable")][: config.gallery_size]
        if not len(wrong):
            return
        raw = pictures(set(wrong.tolist()))
        true = _joined(truth > 0.5, labels, ", ")
        given = _joined(probabilities >= config.threshold, labels, ", ")
        captions = [
            f"{true[i] or 'none'}\ntaken for {given[i] or 'none'}" for i in wrong
        ]
        figure = show.image_grid(
            [raw[i] for i in wrong],
            captions,
            columns=min(5, len(wrong)),
            title="Not all labels right, the greatest loss first",
        )
        save_figure(figure, output.figure_path("misclassified"))

    def properties(
        self, metrics: Mapping[str, Any], config: EvaluatorConfig, test: Answered
    ) -> dict[str, Any]:
        """What is told of an evaluation at once."""
        right = self.scores(config, test)
        names = ("macro_f1", "macro_average_precision", "macro_auc", "subset_accuracy")
        return {
            "task": self.name,
            **{name: metrics[name] for name in names},
            "hamming_loss": metrics["hamming_loss"],
            "trivial_macro_f1": metrics["trivial_macro_f1"],
            "examples": len(right),
            "misclassified": int((~right).sum()),
        }

    def least(
        self, config: EvaluatorConfig, metrics: Mapping[str, Any], add: Add
    ) -> None:
        """The rules of the blessing that a model must keep by itself."""
        score = metrics["macro_f1"] or 0.0
        passed = score >= config.min_macro_f1
        word = "reaches" if passed else "is below"
        add(
            "macro F1",
            config.min_macro_f1,
            score,
            passed,
            f"macro F1 {score:.4f} {word} {config.min_macro_f1:g}",
        )
        if config.refuse_trivial:
            trivial = metrics["trivial_macro_f1"]
            passed = score > trivial + ROUNDING
            word = "more than" if passed else "no more than"
            add(
                "macro F1 against always answering every label",
                trivial,
                score,
                passed,
                f"{word} the {trivial:.4f} of always answering every label",
            )

    def compare(
        self,
        config: EvaluatorConfig,
        evaluation: Evaluation,
        baseline: Evaluation,
        add: Add,
    ) -> None:
        """The rules for a model beside the last blessed one."""
        score = evaluation.metrics["macro_f1"] or 0.0
        previous = baseline.metrics["macro_f1"] or 0.0
        bound = previous - config.max_accuracy_drop
        passed = score >= bound - ROUNDING
        add(
            "macro F1 against the last blessed model",
            bound,
            score,
            passed,
            f"the last blessed model has {previous:.4f}, "
            + ("at most" if passed else "more than")
            + f" {config.max_accuracy_drop:g} better",
        )
        judge_by_mcnemar(config, evaluation, baseline, add)

    def result(self, p: Mapping[str, Any]) -> str:
        """A line for the terminal, of an evaluation's properties."""
        return (
            f"Test macro F1 {_said(p['macro_f1'])}, macro average precision "
            f"{_said(p['macro_average_precision'])}; all labels right in "
            f"{p['examples'] - p['misclassified']} of {p['examples']}"
        )

    def note(self, p: Mapping[str, Any]) -> str:
        """A line for the run's page, of an evaluation's properties."""
        return (
            f"macro F1 {_said(p['macro_f1'])} (always every label would reach "
            f"{p['trivial_macro_f1']:.4f}), macro average precision "
            f"{_said(p['macro_average_precision'])}, macro AUC "
            f"{_said(p['macro_auc'])}, all labels right in {p['subset_accuracy']:.4f} "
            f"of the images, Hamming loss {p['hamming_loss']:.4f}"
        )

    def charts(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        """The metrics that MLflow shows."""
        names = (
            "macro_f1", "macro_average_precision", "macro_auc", "subset_accuracy",
            "hamming_loss", "loss", "ece", "trivial_macro_f1",
        )  # fmt: skip
        found = {f"test/{name}": metrics[name] for name in names}
        return {name: value for name, value in found.items() if value is not None}

    def use(self, labels: tuple[str, ...], labels_file: str, threshold: Any) -> str:
        """What a model card says of the output."""
        return (
            f"a probability for each of {len(labels)} labels, in the order of "
            f"`{labels_file}`, each by itself: an image has those of {threshold:g} or "
            "more, which may be none"
        )

    def limits(self, size: str) -> str:
        """What a model card says of the use."""
        return (
            f"Meant for images like those it was trained on ({size} pixels). It knows "
            "no other labels."
        )

    def measured(self, metrics: Mapping[str, Any]) -> str:
        """What a model card says of the test."""
        return (
            f"M{self.note(metrics)[1:]}, binary cross-entropy {metrics['loss']:.4f}, "
            f"expected calibration error {metrics['ece']:.4f}."
        )

    def by_class(self, metrics: Mapping[str, Any]) -> dict[str, list]:
        """A table with a row for each class."""
        names = ("precision", "recall", "f1", "average_precision", "auc", "support")
        classes = metrics["classes"]
        columns = {n: [values[n] for values in classes.values()] for n in names}
        return {"class": list(classes), **columns}

    def answer(
        self, values: np.ndarray, labels: list[str] | None, threshold: float
    ) -> dict[str, Any]:
        """What is answered for an image: its labels, and all probabilities."""
        names = labels or [str(number) for number in range(len(values))]
        given = dict(zip(names, map(float, values), strict=True))
        found = sorted((n for n in names if given[n] >= threshold), key=given.get)  # type: ignore[arg-type]
        return {"labels": found[::-1], "probabilities": given}

    def answer_in_words(self, answer: Mapping[str, Any]) -> str:
        """The same in a line."""
        given = answer["probabilities"]
        found = ", ".join(f"{name} {given[name]:.3f}" for name in answer["labels"])
        if found:
            return found
        likeliest = max(given, key=given.get)
        return f"no label (the likeliest: {likeliest} {given[likeliest]:.3f})"


def multilabel_metrics(
    truth: np.ndarray,
    probabilities: np.ndarray,
    labels: tuple[str, ...],
    threshold: float = 0.5,
    calibration_bins: int = 15,
) -> dict[str, Any]:
    """Compute the metrics of a model of several labels an image.

    Args:
        truth: `(examples, classes)`, 0 or 1.
        probabilities: `(examples, classes)`.
        labels: names of the classes.
        threshold: the probability from which a label counts as given.
        calibration_bins: number of equal-width bins of the probabilities.

    Returns:
        macro_f1, macro_average_precision and macro_auc (means over the classes for
        which they are defined), trivial_macro_f1 (of always answering every label),
        subset_accuracy (all labels of an image right), hamming_loss (share of wrong
        labels), loss (binary cross-entropy, nats), ece and calibration (of all
        probabilities together), threshold, and classes: precision, recall, f1,
        average_precision, auc and support. What is not defined is None.

    Example:
    >>> p = np.array([[0.9, 0.2], [0.8, 0.7], [0.1, 0.6]])
    >>> truth = np.array([[1, 0], [1, 1], [0, 0]])
    >>> found = multilabel_metrics(truth, p, ("cat", "dog"))
    >>> round(found["macro_f1"], 3), round(found["subset_accuracy"], 3)
    (0.833, 0.667)
    """
    import sklearn.metrics

    sk: Any = sklearn.metrics
    truth = (truth > 0.5).astype(int)
    given = (probabilities >= threshold).astype(int)
    hits, support, answered = (truth & given).sum(0), truth.sum(0), given.sum(0)
    columns = range(len(labels))
    some = [0 < support[c] < len(truth) for c in columns]
    by_class = {
        "precision": ratios(hits, answered),
        "recall": ratios(hits, support),
        "f1": ratios(2 * hits, support + answered),
        "average_precision": [
            float(sk.average_precision_score(truth[:, c], probabilities[:, c]))
            if support[c]
            else None
            for c in columns
        ],
        "auc": [
            float(sk.roc_auc_score(truth[:, c], probabilities[:, c]))
            if some[c]
            else None
            for c in columns
        ],
        "support": support.tolist(),
    }
    every = ratios(2 * support, support + len(truth))
    calibration = reliability(
        probabilities.ravel(), truth.ravel() == 1, calibration_bins
    )
    filled = zip(*calibration.values(), strict=True)
    gaps = sum(n * abs(right - sure) for sure, right, n in filled if n)
    return {
        "macro_f1": mean_of_known(by_class["f1"]),
        "macro_average_precision": mean_of_known(by_class["average_precision"]),
        "macro_auc": mean_of_known(by_class["auc"]),
        "trivial_macro_f1": mean_of_known(every) or 0.0,
        "subset_accuracy": float(sk.accuracy_score(truth, given)),
        "hamming_loss": float(sk.hamming_loss(truth, given)),
        "loss": float(_cross_entropy(truth, probabilities).mean()),
        "ece": gaps / truth.size,
        "threshold": threshold,
        "classes": {
            label: {name: values[c] for name, values in by_class.items()}
            for c, label in enumerate(labels)
        },
        "calibration": calibration,
    }


def _cross_entropy(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    p = np.clip(probabilities.astype("float64"), 1e-7, 1 - 1e-7)
    return -np.where(truth > 0.5, np.log(p), np.log(1 - p))


def _joined(
    marks: np.ndarray, labels: tuple[str, ...], separator: str = SEPARATOR
) -> list[str]:
    return [
        separator.join(labels[c] for c in np.flatnonzero(row).tolist()) for row in marks
    ]


def _said(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.4f}"
