"""How sure a measurement is: intervals, McNemar's test, temperature scaling.

References:
    Wilson, "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22, 1927.
    Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 13.
    Dietterich, "Approximate statistical tests for comparing supervised classification
    learning algorithms", Neural Computation 10, 1998 (McNemar's test).
    Guo et al., "On calibration of modern neural networks", ICML 2017.
"""

from typing import Any

import numpy as np

SMALLEST = 1e-30


def proportion_interval(right: np.ndarray, confidence: float) -> list[float]:
    """Wilson's interval of a share of examples, such as an accuracy or a recall.

    It needs no resampling, and says how little a few examples prove: a bootstrap of
    five right answers out of five gives [1, 1].

    Args:
        right: `(examples,)` booleans, at least one.
        confidence: how often the interval holds the true share, such as 0.95.

    Returns:
        The lower and the upper end.

    Example:
    >>> [round(end, 3) for end in proportion_interval(np.ones(5, bool), 0.95)]
    [0.566, 1.0]
    """
    import scipy.stats

    test = scipy.stats.binomtest(int(np.sum(right)), len(right))
    found: Any = test.proportion_ci(confidence, method="wilson")
    return [float(found.low), float(found.high)]


def bootstrap_interval(
    values: np.ndarray, samples: int, confidence: float, seed: int = 0
) -> list[float]:
    """Confidence interval of a mean over examples, by the bootstrap.

    Args:
        values: `(examples,)`, such as the loss of each; of a share of examples use
            `proportion_interval`.
        samples: how often is resampled.
        confidence: share of the resampled means inside, such as 0.95.
        seed: decides what is drawn.

    Returns:
        The lower and the upper end (percentile method).

    Example:
    >>> bootstrap_interval(np.array([0.0, 1.0] * 200), 2000, 0.95)
    [0.45..., 0.54...]
    """
    values = np.asarray(values, "float64")
    if len(values) < 2 or np.ptp(values) == 0:
        mean = float(values.mean()) if len(values) else float("nan")
        return [mean, mean]
    import scipy.stats

    found: Any = scipy.stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=samples,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
        batch=256,
    )
    interval = found.confidence_interval
    return [float(interval.low), float(interval.high)]


def mcnemar(right: np.ndarray, right_before: np.ndarray) -> dict[str, Any]:
    """Exact McNemar test: is one of two models better on the same examples?

    Args:
        right: `(examples,)`, whether the new model is right.
        right_before: the same of the other model.

    Returns:
        `better` and `worse`, the numbers of examples that only the new or only the
        other model gets right, and the two-sided `p_value`.

    Example:
    >>> right = np.array([1, 1, 1, 1, 1, 1, 0], bool)
    >>> mcnemar(right, ~right)
    {'better': 6, 'worse': 1, 'p_value': 0.125}
    """
    import scipy.stats

    better = int((right & ~right_before).sum())
    worse = int((~right & right_before).sum())
    p_value = 1.0
    if better + worse:
        p_value = float(scipy.stats.binomtest(worse, better + worse).pvalue)
    return {"better": better, "worse": worse, "p_value": p_value}


def temperature(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature to divide logits by: it has the least cross-entropy.

    Args:
        truth: `(examples,)` integer classes of examples that were not trained on.
        probabilities: `(examples, classes)`.

    Returns:
        A number from 0.05 to 20; above 1 where the model is too sure of itself.
    """
    import scipy.optimize

    def loss(logarithm: float) -> float:
        scaled = scale_temperature(probabilities, float(np.exp(logarithm)))
        likelihood = scaled[np.arange(len(truth)), truth]
        return -float(np.log(np.maximum(likelihood, SMALLEST)).mean())

    bounds = (np.log(0.05), np.log(20.0))
    found: Any = scipy.optimize.minimize_scalar(loss, bounds=bounds, method="bounded")
    return float(np.exp(found.x))


def scale_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities with their logits divided by a temperature.

    >>> scale_temperature(np.array([[0.8, 0.2]]), 1e9).round(3).tolist()
    [[0.5, 0.5]]
    """
    logits = np.log(np.maximum(probabilities.astype("float64"), SMALLEST)) / temperature
    logits -= logits.max(axis=1, keepdims=True)
    scaled = np.exp(logits)
    return scaled / scaled.sum(axis=1, keepdims=True)
