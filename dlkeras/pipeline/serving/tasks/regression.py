"""A number an image: how such a model is judged, shown, blessed and asked."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dlkeras.judging.slices import check_columns, slice_names
from dlkeras.judging.uncertainty import bootstrap_interval
from dlkeras.pipeline.artifacts.types import Evaluation
from dlkeras.pipeline.configuration.config import EvaluatorConfig
from dlkeras.pipeline.serving.tasks.blessing_rules import judge_by_wilcoxon
from dlkeras.pipeline.serving.tasks.task import ROUNDING, Add, Answered, Pictures
from dlkeras.pipeline.store.publishing import Draft


class Regression:
    """The number itself, in the unit of the labels."""

    name = "regression"
    score_name = "mean_absolute_error"
    output = "number"
    threshold = 0.5
    not_there = (
        "no classes, confusion matrix and calibration where a label is a number; "
        "--evaluator.min-accuracy and min-slice-accuracy are not used, "
        "--evaluator.max-mean-absolute-error is"
    )

    def metrics(
        self,
        config: EvaluatorConfig,
        test: Answered,
        validation: Callable[[], Answered],
        labels: tuple[str, ...],
    ) -> dict[str, Any]:
        """Measure a model, and how sure the measures are."""
        return regression_metrics(*test) | {
            "name": labels[0],
            "confidence": config.confidence,
            "mean_absolute_error_interval": bootstrap_interval(
                self.scores(config, test), config.bootstrap_samples, config.confidence
            ),
        }

    def scores(self, config: EvaluatorConfig, test: Answered) -> np.ndarray:
        """The absolute error of each example."""
        return np.abs(test[1].reshape(-1).astype("float64") - test[0])

    def slices(self, config: EvaluatorConfig, test: Answered, table: Any) -> Any:
        """The mean absolute error of parts of the examples."""
        check_columns(config.slices, list(table))
        errors, sliced = self.scores(config, test), {}
        for column in config.slices:
            names, ordered = slice_names(table[column])
            sliced[column] = {
                part: {
                    "examples": int(chosen.sum()),
                    "mean_absolute_error": float(errors[chosen].mean()),
                    "interval": bootstrap_interval(
                        errors[chosen], config.bootstrap_samples, config.confidence
                    ),
                }
                for part in ordered
                for chosen in [names == part]
            }
        return sliced

    def predictions(
        self, ids: list[str], test: Answered, labels: tuple[str, ...], threshold: float
    ) -> Any:
        """A row for each example: id, label, prediction, error."""
        import pandas as pd

        truth, given = test[0].astype("float64"), test[1].reshape(-1).astype("float64")
        columns = {"id": ids, "label": truth, "prediction": given}
        return pd.DataFrame({**columns, "error": given - truth})

    def draw(
        self,
        config: EvaluatorConfig,
        output: Draft,
        metrics: Mapping[str, Any],
        test: Answered,
        labels: tuple[str, ...],
        pictures: Pictures,
    ) -> None:
        """Draw answers against labels, and the greatest errors."""
        from dlkeras import visualization as show
        from dlkeras.pipeline.serving.tasks.figures import answers_against_numbers
        from dlkeras.visualization.figure import save_figure

        truth, given = test[0], test[1].reshape(-1)
        figure = answers_against_numbers(truth, given, labels[0], metrics)
        save_figure(figure, output.figure_path("answers_against_numbers"))
        errors = self.scores(config, test)
        worst = np.argsort(-errors, kind="stable")[: config.gallery_size]
        raw = pictures(set(worst.tolist()))
        figure = show.image_grid(
            [raw[i] for i in worst],
            [f"{truth[i]:.4g}\nanswered {given[i]:.4g}" for i in worst],
            columns=min(5, len(worst)),
            title=f"{labels[0]}: the greatest errors first",
        )
        save_figure(figure, output.figure_path("greatest_errors"))

    def properties(
        self, metrics: Mapping[str, Any], config: EvaluatorConfig, test: Answered
    ) -> dict[str, Any]:
        """What is told of an evaluation at once."""
        names = (
            "name", "mean_absolute_error", "root_mean_squared_error", "r2",
            "trivial_mean_absolute_error", "trivial_root_mean_squared_error",
        )  # fmt: skip
        found = {name: metrics[name] for name in names}
        return {"task": "regression", **found, "examples": len(test[0])}

    def least(
        self, config: EvaluatorConfig, metrics: Mapping[str, Any], add: Add
    ) -> None:
        """The rules of the blessing that a model must keep by itself."""
        error, most = metrics["mean_absolute_error"], config.max_mean_absolute_error
        if most is not None:
            passed = error <= most
            word = "is within" if passed else "is above"
            words = f"mean absolute error {error:.4g} {word} {most:g}"
            add("mean absolute error", most, error, passed, words)
        if config.refuse_trivial:
            trivial = metrics["trivial_mean_absolute_error"]
            passed = error < trivial - ROUNDING
            word = "less than" if passed else "no less than"
            add(
                "mean absolute error against always answering the median",
                trivial,
                error,
                passed,
                f"mean absolute error {error:.4g}, {word} the {trivial:.4g} of always "
                f"answering the median, {metrics['median']:.4g}",
            )

    def compare(
        self,
        config: EvaluatorConfig,
        evaluation: Evaluation,
        baseline: Evaluation,
        add: Add,
    ) -> None:
        """The rules for a model beside the last blessed one: less is better."""
        error, previous = (
            e.metrics["mean_absolute_error"] for e in (evaluation, baseline)
        )
        bound = previous * (1 + config.max_accuracy_drop)
        passed = error <= bound * (1 + ROUNDING)
        add(
            "mean absolute error against the last blessed model",
            bound,
            error,
            passed,
            f"the last blessed model has {previous:.4g}, this one "
            + ("at most" if passed else "more than")
            + f" {config.max_accuracy_drop:.3g} of that more",
        )
        judge_by_wilcoxon(config, evaluation, baseline, add)

    def result(self, p: Mapping[str, Any]) -> str:
        """A line for the terminal, of an evaluation's properties."""
        return (
            f"Test mean absolute error {p['mean_absolute_error']:.4g} ({p['name']}; "
            f"always the median: {p['trivial_mean_absolute_error']:.4g}), R2 "
            f"{_said(p['r2'])}, {p['examples']} examples"
        )

    def note(self, p: Mapping[str, Any]) -> str:
        """A line for the run's page, of an evaluation's properties."""
        return (
            f"mean absolute error {p['mean_absolute_error']:.4g} (always the median "
            f"would reach {p['trivial_mean_absolute_error']:.4g}), root mean squared "
            f"error {p['root_mean_squared_error']:.4g} (always the mean: "
            f"{p['trivial_root_mean_squared_error']:.4g}), R2 {_said(p['r2'])}"
        )

    def charts(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        """The metrics that MLflow shows."""
        names = (
            "mean_absolute_error", "root_mean_squared_error", "r2",
            "trivial_mean_absolute_error", "trivial_root_mean_squared_error",
        )  # fmt: skip
        low, high = metrics["mean_absolute_error_interval"]
        found = {f"test/{name}": metrics[name] for name in names} | {
            "test/mean_absolute_error_low": low,
            "test/mean_absolute_error_high": high,
        }
        return {name: value for name, value in found.items() if value is not None}

    def use(self, labels: tuple[str, ...], labels_file: str, threshold: Any) -> str:
        """What a model card says of the output."""
        return f"one number, `{labels[0]}`, in the unit of the training labels"

    def limits(self, size: str) -> str:
        """What a model card says of the use."""
        return (
            f"Meant for images like those it was trained on ({size} pixels). It gives "
            "a number for any image, and is not to be trusted beyond the range of the "
            "training labels."
        )

    def measured(self, metrics: Mapping[str, Any]) -> str:
        """What a model card says of the test."""
        return f"M{self.note(metrics)[1:]}."

    def by_class(self, metrics: Mapping[str, Any]) -> dict[str, list]:
        """There are no classes."""
        return {}

    def answer(
        self, values: np.ndarray, labels: list[str] | None, threshold: float
    ) -> dict[str, Any]:
        """What is answered for an image: the number and its name."""
        return {"name": labels[0] if labels else "number", "value": float(values[0])}

    def answer_in_words(self, answer: Mapping[str, Any]) -> str:
        """The same in a line."""
        return f"{answer['name']} {answer['value']:.6g}"


def regression_metrics(truth: np.ndarray, answers: np.ndarray) -> dict[str, Any]:
    """Compute the metrics of a model that gives a number.

    Args:
        truth: `(examples,)`.
        answers: `(examples,)` or `(examples, 1)`.

    Returns:
        mean_absolute_error and root_mean_squared_error, in the unit of the labels; r2,
        None where the labels are all the same; and what the best constant answers
        reach: trivial_mean_absolute_error (the median), and
        trivial_root_mean_squared_error (the mean), with both numbers.

    Example:
    >>> found = regression_metrics(np.array([1.0, 2.0, 6.0]), np.array([1.0, 3.0, 5.0]))
    >>> round(found["mean_absolute_error"], 4), round(found["r2"], 4)
    (0.6667, 0.8571)
    >>> round(found["trivial_mean_absolute_error"], 4), found["median"]
    (1.6667, 2.0)
    """
    import sklearn.metrics

    sk: Any = sklearn.metrics
    truth, given = truth.astype("float64"), answers.reshape(-1).astype("float64")
    median, mean = float(np.median(truth)), float(truth.mean())
    same = truth.min() == truth.max()
    return {
        "mean_absolute_error": float(sk.mean_absolute_error(truth, given)),
        "root_mean_squared_error": float(sk.root_mean_squared_error(truth, given)),
        "r2": None if same else float(sk.r2_score(truth, given)),
        "median": median,
        "mean": mean,
        "trivial_mean_absolute_error": float(np.abs(truth - median).mean()),
        "trivial_root_mean_squared_error": float(truth.std()),
    }


def _said(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.4f}"
