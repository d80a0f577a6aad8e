"""One class an image: how a classifier is judged, shown, blessed and asked."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dlkeras.judging.slices import accuracy_by_slice
from dlkeras.judging.uncertainty import (
    bootstrap_interval,
    proportion_interval,
    scale_temperature,
    temperature,
)
from dlkeras.pipeline.artifacts.types import Evaluation
from dlkeras.pipeline.configuration.config import EvaluatorConfig
from dlkeras.pipeline.serving.tasks.blessing_rules import judge_by_mcnemar
from dlkeras.pipeline.serving.tasks.classification_metrics import (
    classification_metrics,
    predictions_table,
)
from dlkeras.pipeline.serving.tasks.task import ROUNDING, Add, Answered, Pictures
from dlkeras.pipeline.store.publishing import Draft

TOP = 3


class Classification:
    """The number of a class, and a probability for each class."""

    name = "classification"
    score_name = "accuracy"
    output = "probabilities"
    not_there = ""
    threshold = 0.0  # no answer is unsure

    def metrics(
        self,
        config: EvaluatorConfig,
        test: Answered,
        validation: Callable[[], Answered],
        labels: tuple[str, ...],
    ) -> dict[str, Any]:
        """Measure a classifier, and how sure the measures are."""
        metrics = classification_metrics(
            *test, labels, config.top_k, config.calibration_bins
        )
        metrics |= _uncertainty(config, metrics, *test, labels)
        truth, answers = validation()
        scale = temperature(truth, answers)
        scaled = classification_metrics(
            test[0],
            scale_temperature(test[1], scale),
            labels,
            config.top_k,
            config.calibration_bins,
        )
        # Without a wrong answer the lowest loss is that of the temperature 0.
        measured = bool((answers.argmax(axis=1) != truth).any())
        applied = scale if config.calibrate and measured else 1.0
        metrics["temperature_scaling"] = {
            "temperature": scale,
            "loss": scaled["loss"],
            "ece": scaled["ece"],
            "applied": applied,
        }
        if config.unsure_below is not None:
            metrics["threshold"] = config.unsure_below
            served = scale_temperature(test[1], applied)
            metrics["unsure"] = _unsure(test[0], served, config.unsure_below)
        return metrics

    def scores(self, config: EvaluatorConfig, test: Answered) -> np.ndarray:
        """Whether each answer is right."""
        return test[1].argmax(axis=1) == test[0]

    def slices(self, config: EvaluatorConfig, test: Answered, table: Any) -> Any:
        """The accuracy of parts of the examples."""
        right = self.scores(config, test)
        return accuracy_by_slice(table, config.slices, right, config.confidence)

    def predictions(
        self, ids: list[str], test: Answered, labels: tuple[str, ...], threshold: float
    ) -> Any:
        """A row for each example."""
        return predictions_table(ids, *test, labels)

    def draw(
        self,
        config: EvaluatorConfig,
        output: Draft,
        metrics: Mapping[str, Any],
        test: Answered,
        labels: tuple[str, ...],
        pictures: Pictures,
    ) -> None:
        """Draw the confusion matrix, the calibration and two galleries."""
        from dlkeras import visualization as show
        from dlkeras.visualization.look.saved_beside import draw_figure

        truth, probabilities = test
        predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
        path, counts = output.figure_path, metrics["confusion_matrix"]
        draw_figure(path("confusion_matrix"), show.confusion_matrix, counts, labels)
        known = {**metrics["calibration"], "ece": metrics["ece"]}
        draw_figure(path("calibration"), show.reliability_diagram, **known)
        wrong = np.flatnonzero(predicted != truth)
        wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
        wrong = wrong[: config.gallery_size]
        unsure = np.argsort(confidence, kind="stable")[: config.gallery_size]
        galleries = {
            "misclassified": (wrong, "Misclassified, the surest first"),
            "worst_confidence": (unsure, "The least confident predictions"),
        }
        raw = pictures({*wrong.tolist(), *unsure.tolist()})
        for name, (chosen, title) in galleries.items():
            if not len(chosen):
                continue
            captions = [
                f"{labels[truth[i]]} taken for {labels[predicted[i]]}\n"
                f"confidence {confidence[i]:.2f}"
                if truth[i] != predicted[i]
                else f"{labels[truth[i]]}, right\nconfidence {confidence[i]:.2f}"
                for i in chosen
            ]
            draw_figure(
                path(name),
                show.image_grid,
                [raw[i] for i in chosen],
                captions,
                columns=min(5, len(chosen)),
                title=title,
            )

    def properties(
        self, metrics: Mapping[str, Any], config: EvaluatorConfig, test: Answered
    ) -> dict[str, Any]:
        """What is told of an evaluation at once."""
        right = self.scores(config, test)
        return {
            "accuracy": metrics["accuracy"],
            "accuracy_interval": metrics["accuracy_interval"],
            "commonest_class": metrics["commonest_class"],
            "balanced_accuracy": metrics["balanced_accuracy"],
            "macro_f1": metrics["macro_f1"],
            "ece": metrics["ece"],
            "examples": len(right),
            "misclassified": int((~right).sum()),
            "temperature": metrics["temperature_scaling"]["applied"],
        }

    def least(
        self, config: EvaluatorConfig, metrics: Mapping[str, Any], add: Add
    ) -> None:
        """The rules that a model must keep by itself."""
        accuracy = metrics["accuracy"]
        passed = accuracy >= config.min_accuracy
        word = "reaches" if passed else "is below"
        add(
            "accuracy",
            config.min_accuracy,
            accuracy,
            passed,
            f"accuracy {accuracy:.4f} {word} {config.min_accuracy:g}",
        )
        if config.refuse_trivial:
            commonest = metrics["commonest_class"]
            label, trivial = commonest["label"], commonest["share"]
            passed = accuracy > trivial + ROUNDING
            word = "more than" if passed else "no more than"
            add(
                "accuracy against always answering the commonest class",
                trivial,
                accuracy,
                passed,
                f"{word} the {trivial:.4f} of always answering {label!r}",
            )

    def compare(
        self,
        config: EvaluatorConfig,
        evaluation: Evaluation,
        baseline: Evaluation,
        add: Add,
    ) -> None:
        """The rules for a model beside the last blessed one."""
        accuracy = evaluation.metrics["accuracy"]
        previous = baseline.metrics["accuracy"]
        bound = previous - config.max_accuracy_drop
        passed = accuracy >= bound - ROUNDING
        add(
            "accuracy against the last blessed model",
            bound,
            accuracy,
            passed,
            f"the last blessed model has {previous:.4f}, "
            + ("at most" if passed else "more than")
            + f" {config.max_accuracy_drop:g} better",
        )
        judge_by_mcnemar(config, evaluation, baseline, add)

    def result(self, p: Mapping[str, Any]) -> str:
        """A line for the terminal, of an evaluation's properties."""
        return (
            f"Test accuracy {p['accuracy']:.4f}: {p['misclassified']} of "
            f"{p['examples']} wrong"
        )

    def note(self, p: Mapping[str, Any]) -> str:
        """A line for the run's page, of an evaluation's properties."""
        return (
            f"accuracy {p['accuracy']:.4f}, {p['misclassified']} of "
            f"{p['examples']} wrong (always {p['commonest_class']['label']!r} would "
            f"reach {p['commonest_class']['share']:.4f}), balanced accuracy "
            f"{p['balanced_accuracy']:.4f}, macro F1 {p['macro_f1']:.4f}, calibration "
            f"error {p['ece']:.4f}"
        )

    def charts(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        """The metrics that MLflow shows."""
        return {
            "test/accuracy": metrics["accuracy"],
            "test/commonest_class_share": metrics["commonest_class"]["share"],
            "test/balanced_accuracy": metrics["balanced_accuracy"],
            "test/macro_f1": metrics["macro_f1"],
            f"test/top_{metrics['top_k']}_accuracy": metrics["top_k_accuracy"],
            "test/loss": metrics["loss"],
            "test/ece": metrics["ece"],
            "test/accuracy_low": metrics["accuracy_interval"][0],
            "test/accuracy_high": metrics["accuracy_interval"][1],
            "test/ece_after_temperature": metrics["temperature_scaling"]["ece"],
            **{
                f"test/{name}": value
                for name, value in metrics.get("unsure", {}).items()
                if value is not None
            },
        }

    def use(self, labels: tuple[str, ...], labels_file: str, threshold: Any) -> str:
        """What a model card says of the output."""
        return (
            f"a probability for each of {len(labels)} classes, in the order of "
            f"`{labels_file}`"
            + (f"; an answer below {threshold:g} is unsure" if threshold else "")
        )

    def limits(self, size: str) -> str:
        """What a model card says of the use."""
        return (
            f"Meant for images like those it was trained on ({size} pixels). It gives "
            "a class to any image, also to one that shows none of the classes."
        )

    def measured(self, metrics: Mapping[str, Any]) -> str:
        """What a model card says of the test."""
        return (
            f"Accuracy {metrics['accuracy']:.4f} (always answering the commonest "
            f"class: {metrics['commonest_class']['share']:.4f}), balanced accuracy "
            f"{metrics['balanced_accuracy']:.4f}, macro F1 {metrics['macro_f1']:.4f}, "
            f"top-{metrics['top_k']} accuracy {metrics['top_k_accuracy']:.4f}, "
            f"cross-entropy {metrics['loss']:.4f}, expected calibration error "
            f"{metrics['ece']:.4f}." + _as_pushed(metrics)
        )

    def by_class(self, metrics: Mapping[str, Any]) -> dict[str, list]:
        """A table with a row for each class."""
        names = ("precision", "recall", "f1", "support")
        classes = metrics["classes"]
        columns = {n: [values[n] for values in classes.values()] for n in names}
        return {"class": list(classes), **columns}

    def answer(
        self, values: np.ndarray, labels: list[str] | None, threshold: float
    ) -> dict[str, Any]:
        """What is answered for an image: the likeliest classes.

        With a threshold, `unsure` says whether even the first is below it.
        """
        order = np.argsort(-values, kind="stable")[:TOP]
        unsure = {"unsure": bool(values[order[0]] < threshold)} if threshold else {}
        return {
            "top": [
                {
                    "label": labels[index] if labels else str(index),
                    "probability": float(values[index]),
                }
                for index in order
            ],
            **unsure,
        }

    def answer_in_words(self, answer: Mapping[str, Any]) -> str:
        """The same in a line."""
        top = ", ".join(f"{p['label']} {p['probability']:.3f}" for p in answer["top"])
        best = answer["top"][0]
        return (
            ("unsure, perhaps " if answer.get("unsure") else "")
            + f"{best['label']}, probability {best['probability']:.3f} "
            f"(top {len(answer['top'])}: {top})"
        )


def _unsure(
    truth: np.ndarray, probabilities: np.ndarray, below: float
) -> dict[str, float | None]:
    """How many test answers are unsure, and how good the others are."""
    sure = probabilities.max(axis=1) >= below
    right = probabilities.argmax(axis=1)[sure] == truth[sure]
    return {
        "unsure_share": float((~sure).mean()),
        "accuracy_of_the_sure": float(right.mean()) if len(right) else None,
    }


def _as_pushed(metrics: Mapping[str, Any]) -> str:
    """What a model card says of the pushed probabilities."""
    scaling, unsure = metrics["temperature_scaling"], metrics.get("unsure")
    words = ""
    if scaling.get("applied", 1.0) != 1.0:
        words += (
            f" The logits are divided by {scaling['applied']:.3f}, the temperature of "
            "least cross-entropy on the validation split: so calibrated, it has "
            f"the cross-entropy {scaling['loss']:.4f} and the expected calibration "
            f"error {scaling['ece']:.4f}."
        )
    if unsure:
        sure = unsure["accuracy_of_the_sure"]
        words += (
            f" Below {metrics['threshold']:g} an answer is unsure: "
            f"{unsure['unsure_share']:.1%} of the test images"
            + ("." if sure is None else f"; of the others {sure:.1%} are right.")
        )
    return words


def _uncertainty(
    config: EvaluatorConfig,
    metrics: dict[str, Any],
    truth: np.ndarray,
    probabilities: np.ndarray,
    labels: tuple[str, ...],
) -> dict[str, Any]:
    """Intervals of the accuracy, of the loss, and of each class's recall."""
    right = probabilities.argmax(axis=1) == truth
    likelihood = np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12)
    for index, label in enumerate(labels):
        of_class = right[truth == index]
        metrics["classes"][label]["recall_interval"] = (
            proportion_interval(of_class, config.confidence) if len(of_class) else None
        )
    return {
        "confidence": config.confidence,
        "accuracy_interval": proportion_interval(right, config.confidence),
        "loss_interval": bootstrap_interval(
            -np.log(likelihood), config.bootstrap_samples, config.confidence
        ),
    }
