"""Evaluator: what a model does on the test split: how well, how surely, how fast."""

from typing import Any

import numpy as np

from dlkeras.judging.robustness import robustness
from dlkeras.judging.slices import accuracy_by_slice
from dlkeras.judging.uncertainty import (
    bootstrap_interval,
    proportion_interval,
    scale_temperature,
    temperature,
)
from dlkeras.pipeline.artifacts.types import (
    Evaluation,
    Examples,
    Model,
    Statistics,
    Transform,
)
from dlkeras.pipeline.batches.shown_images import (
    batch_size,
    first_images,
    gallery_images,
)
from dlkeras.pipeline.configuration.config import EvaluatorConfig
from dlkeras.pipeline.engine.component import component
from dlkeras.pipeline.serving.inference_cost import cost_of_answers
from dlkeras.pipeline.serving.servable import serving_model
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import Draft, canonical_digest


@component(packages=("keras", "tensorflow", "scikit-learn", "scipy"))
def evaluator(
    config: EvaluatorConfig,
    output: Draft[Evaluation],
    examples: Examples,
    transform: Transform,
    model: Model,
    statistics: Statistics,
) -> None:
    """Measure a model on the test split.

    Args:
        config: k of the top-k accuracy, bins of the calibration, size of galleries,
            slices, intervals and corruptions.
        output: gets `metrics.json` (accuracy beside the commonest class's share,
            balanced accuracy, macro F1, top-k accuracy, loss, calibration error,
            precision, recall and F1 for each class, confusion matrix; intervals,
            slices, temperature, robustness and cost),
            `predictions.parquet` (a row for each example: id, label, prediction,
            confidence, a probability for each class) and figures.
        examples: the data set.
        transform: the preprocessing that belongs to the model.
        model: what to measure.
        statistics: the columns by which the examples are sliced, beside those of the
            examples' metadata.

    Raises:
        InputError: the model has another number of outputs than the examples have
            classes, or there is no column to slice by.
    """
    import dlkeras.layers  # noqa: F401  (what a saved network is made of)
    from dlkeras import visualization as show
    from dlkeras.pipeline.batches.input_pipeline import (
        evaluation_batches,
        transform_config,
    )
    from dlkeras.visualization.figure import save_figure

    network = model.network()
    if network.output_shape[-1] != len(examples.labels):
        raise InputError(
            f"expected a model with {len(examples.labels)} outputs, one for each "
            f"class; {model.path.name} has {network.output_shape[-1]}"
        )
    size = batch_size(transform.input_shape)
    truth, probabilities = _answered(
        network, evaluation_batches(examples, transform, "test", size, cached=False)
    )
    identifiers = [
        example["id"].decode()
        for example in examples.dataset("test", decode=False).as_numpy_iterator()
    ]
    metrics = classification_metrics(
        truth, probabilities, examples.labels, config.top_k, config.calibration_bins
    )
    predicted = probabilities.argmax(axis=1)
    table = statistics.table.set_index("id").loc[identifiers]
    if (metadata := examples.metadata) is not None:
        table = table.drop(columns=[name for name in metadata if name in table])
        table = table.join(metadata.reindex(identifiers))
    metrics |= _uncertainty(config, metrics, truth, probabilities, examples.labels)
    metrics["slices"] = accuracy_by_slice(
        table,
        config.slices,
        predicted == truth,
        config.confidence,
    )
    metrics["temperature_scaling"] = _temperature_scaling(
        config,
        network,
        evaluation_batches(examples, transform, "validation", size, cached=False),
        (truth, probabilities, examples.labels),
    )
    raw = first_images(
        examples,
        config.robustness_images,
        *transform.input_shape[:2],
        aspect=transform_config(transform).aspect,
    )
    answer = _answer(transform, network)
    if raw:
        metrics["robustness"] = {
            "images": len(raw),
            **robustness(raw, truth[: len(raw)], answer, size),
        }
    one = [next(examples.dataset("test").take(1).as_numpy_iterator())["image"]]
    metrics["cost"] = cost_of_answers(
        network, lambda: answer(one), config.latency_repetitions
    )
    output.write_json("metrics.json", metrics)
    # Without what is never the same twice: the time.
    cost = {k: v for k, v in metrics["cost"].items() if k != "latency_ms"}
    output.digest = canonical_digest(
        [{**metrics, "cost": cost}, probabilities.astype(float).round(6).tolist()]
    )
    confidence = probabilities.max(axis=1)
    table = predictions_table(identifiers, truth, probabilities, examples.labels)
    table.to_parquet(output.path / "predictions.parquet", index=False)

    figure = show.confusion_matrix(metrics["confusion_matrix"], examples.labels)
    save_figure(figure, output.figure_path("confusion_matrix"))
    figure = show.reliability_diagram(**metrics["calibration"], ece=metrics["ece"])
    save_figure(figure, output.figure_path("calibration"))
    wrong = np.flatnonzero(predicted != truth)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][: config.gallery_size]
    unsure = np.argsort(confidence, kind="stable")[: config.gallery_size]
    galleries = {
        "misclassified": (wrong, "Misclassified, the surest first"),
        "worst_confidence": (unsure, "The least confident predictions"),
    }
    raw = gallery_images(examples, {*wrong.tolist(), *unsure.tolist()})
    for name, (chosen, title) in galleries.items():
        if not len(chosen):
            continue
        captions = [
            f"{examples.labels[truth[i]]} taken for {examples.labels[predicted[i]]}\n"
            f"confidence {confidence[i]:.2f}"
            if truth[i] != predicted[i]
            else f"{examples.labels[truth[i]]}, right\nconfidence {confidence[i]:.2f}"
            for i in chosen
        ]
        figure = show.image_grid(
            [raw[i] for i in chosen],
            captions,
            columns=min(5, len(chosen)),
            title=title,
        )
        save_figure(figure, output.figure_path(name))
    output.properties.update(
        accuracy=metrics["accuracy"],
        accuracy_interval=metrics["accuracy_interval"],
        commonest_class=metrics["commonest_class"],
        balanced_accuracy=metrics["balanced_accuracy"],
        macro_f1=metrics["macro_f1"],
        ece=metrics["ece"],
        examples=len(truth),
        misclassified=int((predicted != truth).sum()),
    )


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


def _temperature_scaling(
    config: EvaluatorConfig, network: Any, validation: Any, test: tuple
) -> dict[str, float]:
    """Fit a temperature on the validation split, and measure the test split with it."""
    scale = temperature(*_answered(network, validation))
    truth, probabilities, labels = test
    scaled = classification_metrics(
        truth,
        scale_temperature(probabilities, scale),
        labels,
        config.top_k,
        config.calibration_bins,
    )
    return {"temperature": scale, "loss": scaled["loss"], "ece": scaled["ece"]}


def _answered(network: Any, batches: Any) -> tuple[np.ndarray, np.ndarray]:
    """True classes, and the network's probabilities; the images are not kept."""
    parts = [(np.asarray(y), np.asarray(network(x))) for x, y in batches]
    truth, probabilities = zip(*parts, strict=True)
    return np.concatenate(truth), np.concatenate(probabilities)


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


def _answer(transform: Transform, network: Any) -> Any:
    """The function of raw images of any size to probabilities, as it is served."""
    from dlkeras.pipeline.tensorflow_import import tf

    served = serving_model(transform.preprocessing(), network, "served")
    image = tf.TensorSpec((None, None, None, transform.input_shape[-1]), tf.uint8)
    call = tf.function(served, input_signature=[image], autograph=False)

    def answer(images: list[np.ndarray]) -> np.ndarray:
        if len({image.shape for image in images}) == 1:
            return np.asarray(call(np.stack(images)))
        return np.concatenate([np.asarray(call(image[None])) for image in images])

    return answer


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
        "precision": _ratios(hits, answered),
        "recall": _ratios(hits, support),
        "f1": _ratios(2 * hits, support + answered),
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
        "balanced_accuracy": _mean(by_class["recall"]),
        "macro_f1": _mean(by_class["f1"]),
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


def _ratios(parts: np.ndarray, wholes: np.ndarray) -> list[float | None]:
    pairs = zip(parts.tolist(), wholes.tolist(), strict=True)
    return [part / whole if whole else None for part, whole in pairs]


def _mean(values: list[float | None]) -> float | None:
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
        "confidence": _ratios(np.bincount(which, confidence, bins), count),
        "accuracy": _ratios(np.bincount(which, right, bins), count),
        "count": count.tolist(),
    }
