"""Evaluator: how good, how sure and how fast a model is on the test split."""

from typing import Any

import numpy as np

from dlkeras.augmentation import Policy
from dlkeras.judging.robustness import robustness
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
from dlkeras.pipeline.serving.inference_cost import inference_cost
from dlkeras.pipeline.serving.servable import serving_model
from dlkeras.pipeline.serving.stranger import call_stranger
from dlkeras.pipeline.serving.tasks.registry import task_of
from dlkeras.pipeline.serving.tasks.task import Answered
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import Draft, canonical_digest


def _not_there(evaluation: Evaluation) -> list[str]:
    """What of a classifier's judgement does not fit the task."""
    line = task_of(evaluation.properties.get("task", "")).not_there
    return [line] if line else []


@component(
    packages=("keras", "tensorflow", "scikit-learn", "scipy"),
    lines=lambda evaluation: _not_there(evaluation),
)
def evaluator(
    config: EvaluatorConfig,
    output: Draft[Evaluation],
    examples: Examples,
    transform: Transform,
    model: Model,
    statistics: Statistics,
    *,
    seed: int,
) -> None:
    """Measure a model on the test split.

    Args:
        config: k of the top-k accuracy, bins of the calibration, size of galleries,
            slices, intervals and corruptions.
        output: gets `metrics.json` (for a class the accuracy beside the commonest
            class's share, balanced accuracy, macro F1, top-k accuracy, loss,
            calibration error, precision, recall and F1 for each class, confusion
            matrix, temperature; for several labels and for a number what their task
            measures; intervals, slices, robustness and cost), `predictions.parquet` (a
            row for each example: id, label, prediction, and what the task adds, such
            as a probability for each class) and figures.
        examples: the data set.
        transform: the preprocessing that belongs to the model.
        model: what to measure.
        statistics: the columns by which the examples are sliced, beside those of the
            examples' metadata.
        seed: decides the copies of the augmentation at test time.

    Raises:
        InputError: the model has another number of outputs than the examples have
            classes, or there is no column to slice by.
    """
    import dlkeras.layers  # noqa: F401  (what a saved network is made of)
    from dlkeras.pipeline.batches.input_pipeline import (
        evaluation_batches,
        transform_config,
    )

    call_stranger()  # it imports meanwhile: a blessed model is tried next
    network = model.network()
    if network.output_shape[-1] != len(examples.labels):
        raise InputError(
            f"expected a model with {len(examples.labels)} outputs, one for each "
            f"class; {model.path.name} has {network.output_shape[-1]}"
        )
    size = batch_size(transform.input_shape)
    test = _answered(
        network, evaluation_batches(examples, transform, "test", size, cached=False)
    )
    identifiers = [
        example["id"].decode()
        for example in examples.dataset("test", decode=False).as_numpy_iterator()
    ]
    task = task_of(examples.task)
    metrics = task.metrics(
        config,
        test,
        lambda: _answered(
            network,
            evaluation_batches(examples, transform, "validation", size, cached=False),
        ),
        examples.labels,
    )
    if config.test_time_augmentation:
        metrics["test_time_augmentation"] = _of_copies(
            config, examples, transform, network, test, seed
        )
    answer = _answer(transform, network)
    one = [next(examples.dataset("test").take(1).as_numpy_iterator())["image"]]
    cost = inference_cost(network, lambda: answer(one), config.latency_repetitions)
    # Drawn beside what follows, and not while an answer's time is measured.
    task.draw(
        config,
        output,
        metrics,
        test,
        examples.labels,
        lambda places: gallery_images(examples, places),
    )
    table = statistics.table.set_index("id").loc[identifiers]
    if (metadata := examples.metadata) is not None:
        table = table.drop(columns=[name for name in metadata if name in table])
        table = table.join(metadata.reindex(identifiers))
    metrics["slices"] = task.slices(config, test, table)
    raw = first_images(
        examples,
        config.robustness_images,
        *transform.input_shape[:2],
        aspect=transform_config(transform).aspect,
    )
    if raw:
        metrics["robustness"] = {
            "images": len(raw),
            **robustness(
                raw,
                test[0][: len(raw)],
                answer,
                size,
                lambda truth, answers: task.scores(config, (truth, answers)),
            ),
        }
    metrics["cost"] = cost
    output.write_json("metrics.json", metrics)
    # Without what is never the same twice: the time.
    cost = {k: v for k, v in metrics["cost"].items() if k != "latency_ms"}
    output.digest = canonical_digest(
        [{**metrics, "cost": cost}, test[1].astype(float).round(6).tolist()]
    )
    table = task.predictions(identifiers, test, examples.labels, config.threshold)
    table.to_parquet(output.path / "predictions.parquet", index=False)
    if task.name == "classification" and config.grad_cam_images:
        _draw_grad_cam(config, output, examples, transform, network, test)
    output.properties.update(task.properties(metrics, config, test))


def _of_copies(
    config: EvaluatorConfig,
    examples: Examples,
    transform: Transform,
    network: Any,
    test: Answered,
    seed: int,
) -> dict[str, float]:
    """Measure the mean of the answers to an image and to augmented copies of it.

    Reference:
        Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep
        convolutional neural networks", NIPS 2012, section 4.1: ten patches of an image.
    """
    from dlkeras.pipeline.batches.augmented_copies import augmented_copies
    from dlkeras.pipeline.batches.input_pipeline import (
        evaluation_batches,
        transform_config,
    )

    policy = Policy(transform_config(transform), 1.0, len(examples.labels))
    size, number = batch_size(transform.input_shape), len(test[0])
    total = test[1].astype("float64")
    for copy in range(config.test_time_augmentation):
        batches = evaluation_batches(examples, transform, "test", size, cached=False)
        copies = augmented_copies(policy, batches, number, seed, copy)
        total += _answered(network, copies)[1]
    mean = total / (config.test_time_augmentation + 1)
    task = task_of(examples.task)
    scores = task.scores(config, (test[0], mean.astype(test[1].dtype)))
    return {
        "copies": config.test_time_augmentation,
        "score": float(np.mean(scores)),
        "score_without": float(np.mean(task.scores(config, test))),
    }


def _draw_grad_cam(
    config: EvaluatorConfig,
    output: Draft,
    examples: Examples,
    transform: Transform,
    network: Any,
    test: Answered,
) -> None:
    """Draw what spoke for the wrong class in the mistakes that are surest."""
    from dlkeras import visualization as show
    from dlkeras.visualization.figure import save_figure

    truth, answers = test
    predicted, confidence = answers.argmax(axis=1), answers.max(axis=1)
    wrong = np.flatnonzero(predicted != truth)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    wrong = wrong[: config.grad_cam_images]
    if not len(wrong):
        return
    pixels = gallery_images(examples, set(wrong.tolist()), whole=True)
    preprocessing = transform.preprocessing()
    images = np.concatenate([np.asarray(preprocessing(pixels[i][None])) for i in wrong])
    names = [f"{name} (wrong)" for name in examples.labels]
    title = "Grad-CAM of the worst mistakes: what spoke for the wrong class"
    try:
        figure = show.grad_cam(network, images, labels=names, title=title)
    except ValueError:  # a network without maps, such as one of dense layers
        return
    save_figure(figure, output.figure_path("grad_cam"))


def _answered(network: Any, batches: Any) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and the network's answers; the images are not kept."""
    parts = [(np.asarray(y), np.asarray(network(x))) for x, y in batches]
    truth, answers = zip(*parts, strict=True)
    return np.concatenate(truth), np.concatenate(answers)


def _answer(transform: Transform, network: Any) -> Any:
    """The function of raw images of any size to answers, as it is served."""
    from dlkeras.pipeline.tensorflow_import import tf

    served = serving_model(transform.preprocessing(), network, "served")
    image = tf.TensorSpec((None, None, None, transform.input_shape[-1]), tf.uint8)
    call = tf.function(served, input_signature=[image], autograph=False)

    def answer(images: list[np.ndarray]) -> np.ndarray:
        if len({image.shape for image in images}) == 1:
            return np.asarray(call(np.stack(images)))
        return np.concatenate([np.asarray(call(image[None])) for image in images])

    return answer
