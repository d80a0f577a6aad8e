"""The measures of a classifier: accuracy, F1, calibration, by class and overall."""

from typing import Any

import numpy as np


def classification_metrics(
    truth: np.ndarray,
    probabilities: np.ndarray,
    labels: tuple[str, ...],
    top_k: int = 3,
    calibration_bins: int = 15,
) -> dict[str, Any]:
    """Compute the metrics of a classifier.

    Args:
        truth: `(examples,)` integer classes.
        probabilities: `(examples, classes)`, rows add up to 1.
        labels: names of the classes.
        top_k: k of the top-k accuracy.
        calibration_bins: number of equal-width bins of confidence.

    Returns:
        accuracy, commonest_class (label and share: what the same answer to every
        example would reach), balanced_accuracy (mean recall of the classes that
        occur), macro_f1, top_k and top_k_accuracy, loss (cross-entropy, nats), ece,
        classes (precision, recall, f1 and support by name), confusion_matrix (rows are
        the true classes) and calibration (confidence, accuracy and count by bin).
        What is not defined is None, such as the recall of a class without examples.

    Example:
    >>> p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    >>> metrics = classification_metrics(np.array([0, 1, 1]), p, ("a", "b"), top_k=1)
    >>> round(metrics["accuracy"], 3), metrics["confusion_matrix"]
    (0.667, [[1, 0], [1, 1]])
    """
    import sklearn.metrics

    sk: Any = sklearn.metrics
    classes = np.arange(len(labels))
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    matrix = sk.confusion_matrix(truth, predicted, labels=classes)
    hits, support, answered = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    by_class = {
        "precision": ratios(hits, answered),
        "recall": ratios(hits, support),
        "f1": ratios(2 * hits, support + answered),
        "support": support.tolist(),
    }
    commonest = int(support.argmax())
    ordered = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
    calibration = reliability(confidence, predicted == truth, calibration_bins)
    filled = zip(*calibration.values(), strict=True)
    gaps = sum(n * abs(right - sure) for sure, right, n in filled if n)
    return {
        "accuracy": float(sk.accuracy_score(truth, predicted)),
        "commonest_class": {
            "label": labels[commonest],
            "share": float(support[commonest] / len(truth)),
        },
        "balanced_accuracy": mean_of_known(by_class["recall"]),
        "macro_f1": mean_of_known(by_class["f1"]),
        "top_k": top_k,
        "top_k_accuracy": float((ordered == truth[:, None]).any(axis=1).mean()),
        "loss": float(sk.log_loss(truth, probabilities, labels=classes)),
        "ece": gaps / len(truth),
        "classes": {
            label: {name: values[index] for name, values in by_class.items()}
            for index, label in enumerate(labels)
        },
        "confusion_matrix": matrix.tolist(),
        "calibration": calibration,
    }


def ratios(parts: np.ndarray, wholes: np.ndarray) -> list[float | None]:
    """Quotients; None where it would be one by zero."""
    pairs = zip(parts.tolist(), wholes.tolist(), strict=True)
    return [part / whole if whole else None for part, whole in pairs]


def mean_of_known(values: list[float | None]) -> float | None:
    """The mean of what is not None; None where all are."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def reliability(
    confidence: np.ndarray, right: np.ndarray, bins: int
) -> dict[str, list]:
    """Bin predictions by confidence: (0, 1/bins], (1/bins, 2/bins], ... .

    Args:
        confidence: `(examples,)`, 0 to 1.
        right: `(examples,)` booleans.
        bins: number of bins.

    Returns:
        Mean confidence, accuracy and number of the predictions of each bin; those of an
        empty one are None, None and 0.

    Reference:
        Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using
        Bayesian binning", AAAI 2015.
    """
    which = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(which, minlength=bins)
    return {
        "confidence": ratios(np.bincount(which, confidence, bins), count),
        "accuracy": ratios(np.bincount(which, right, bins), count),
        "count": count.tolist(),
    }


def predictions_table(
    identifiers: list[str],
    truth: np.ndarray,
    probabilities: np.ndarray,
    labels: tuple[str, ...],
) -> Any:
    """Give a row for each example: id, label, prediction, confidence, probabilities.

    Args:
        identifiers: names of the examples.
        truth: `(examples,)` integer classes.
        probabilities: `(examples, classes)`.
        labels: names of the classes.

    Returns:
        A pandas table, made at once: a thousand columns are not added one by one.
    """
    import pandas as pd

    names = np.array(labels, dtype=object)
    table = pd.DataFrame(
        {
            "id": identifiers,
            "label": names[truth],
            "prediction": names[probabilities.argmax(axis=1)],
            "confidence": probabilities.max(axis=1),
        }
    )
    columns = [f"p({label})" for label in labels]
    return pd.concat([table, pd.DataFrame(probabilities, columns=columns)], axis=1)
