"""CrossValidator: trains once for each fold, to see how much the score varies."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlkeras.pipeline.artifacts.types import (
    Artifact,
    Examples,
    Hyperparameters,
    Transform,
)
from dlkeras.pipeline.configuration.config import EvaluatorConfig, TrainerConfig
from dlkeras.pipeline.engine.component import component
from dlkeras.pipeline.serving.tasks.registry import task_of
from dlkeras.pipeline.serving.tasks.task import Answered
from dlkeras.pipeline.store.errors import CorruptArtifactError, InputError
from dlkeras.pipeline.store.publishing import Draft, write_atomically
from dlkeras.pipeline.store.sealed import read_sealed_json, seal_json
from dlkeras.pipeline.training.objectives import objective_of
from dlkeras.pipeline.training.own.code import code_of_trainer
from dlkeras.pipeline.training.own.network import augmentation_of, callbacks_of
from dlkeras.pipeline.training.search_spaces import chosen
from dlkeras.pipeline.training.transfer_source import transfer_fingerprint

# Measures of classes that are from 0 to 1.
SHARES = ("accuracy", "balanced_accuracy", "macro_f1")


class CrossValidation(Artifact):
    """The scores of each fold, their mean and its interval (folds.json)."""

    producer = "CrossValidator"


def _lines(found: CrossValidation) -> list[str]:
    p = found.properties
    return [
        f"{p['folds']} folds: {p['measure']} {p['mean']:.4f}, "
        f"{p['confidence']:.0%} interval {p['low']:.4f} to {p['high']:.4f}"
    ]


@component(
    packages=("keras", "tensorflow", "scikit-learn", "scipy"),
    fingerprint=lambda config: [transfer_fingerprint(config), code_of_trainer(config)],
    lines=_lines,
)
def cross_validator(
    config: TrainerConfig,
    output: Draft[CrossValidation],
    examples: Examples,
    transform: Transform,
    hyperparameters: Hyperparameters | None,
    judging: EvaluatorConfig,
    *,
    seed: int,
    work: Path,
    say: Callable[[str], None],
) -> None:
    """Train without each fold of the training split, and measure on it.

    The folds have as many examples of each class as they can; copies of an image are in
    one fold. Each training is the Trainer's: it stops by the validation split, which
    belongs to no fold. The test split is not touched.

    Args:
        config: the network, its training, and the number of folds.
        output: gets `folds.json`: for each measure the scores of the folds, their mean
            and its interval.
        examples: the data set.
        transform: preprocessing and augmentation.
        hyperparameters: what the tuner found; None takes the configuration's values.
        judging: how sure the interval is.
        seed: decides folds, initial weights, order and augmentation.
        work: the folder of the folds that are done; the others follow.
        say: shows a line to the user.

    Raises:
        InputError: there are more folds than examples of a class.
    """
    config = chosen(config, hyperparameters.values if hyperparameters else {})
    fold_of = _folds(examples, config.folds, seed)
    scores: list[dict[str, float]] = []
    for fold in range(config.folds):
        file = work / f"fold-{fold}.json"
        found = _done(file)
        if found is None:
            answered = _trained(config, examples, transform, fold_of == fold, seed)
            found = _scores(examples, judging, answered)
            write_atomically(file, seal_json(found))
        scores.append(found)
        told = ", ".join(f"{name} {value:.4f}" for name, value in found.items())
        say(f"fold {fold + 1} of {config.folds}: {told}")
    measures = {}
    for name in scores[0]:
        values = [score[name] for score in scores]
        low, high = fold_interval(values, judging.confidence)
        if name in SHARES:
            low, high = max(low, 0.0), min(high, 1.0)
        mean = float(np.mean(values))
        measures[name] = {"folds": values, "mean": mean, "low": low, "high": high}
    output.write_json("folds.json", measures)
    measure = next(iter(measures))
    first = {n: v for n, v in measures[measure].items() if n != "folds"}
    output.properties.update(
        folds=config.folds, measure=measure, confidence=judging.confidence, **first
    )


def fold_interval(
    scores: Sequence[float], confidence: float = 0.95
) -> tuple[float, float]:
    """The interval of the mean score of k folds, corrected since they share examples.

    Of k folds each training shares most examples with the others, so the variance of
    the mean is not s² / k but about (1 / k + 1 / (k - 1)) s²: what is measured on is
    1 / (k - 1) of what is trained on.

    Args:
        scores: of each fold, at least two.
        confidence: how often the interval holds the true value.

    >>> [round(x, 4) for x in fold_interval([0.8, 0.9, 0.85, 0.95, 0.9])]
    [0.7738, 0.9862]

    Reference:
        Nadeau and Bengio, "Inference for the generalization error", Machine Learning
        52, 2003, section 3.
    """
    import scipy.stats

    number = len(scores)
    spread = float(np.std(scores, ddof=1))
    error = spread * math.sqrt(1 / number + 1 / (number - 1))
    quantile: Any = scipy.stats.t.ppf((1 + confidence) / 2, number - 1)
    mean = float(np.mean(scores))
    return mean - float(quantile) * error, mean + float(quantile) * error


def _folds(examples: Examples, number: int, seed: int) -> np.ndarray:
    """The fold of each training example, `(examples,)`; classes are spread evenly."""
    labels, groups = [], []
    for example in examples.encoded("train"):
        label = np.asarray(example.label)
        labels.append(int(label) if examples.task == "classification" else 0)
        groups.append(hash(example.image))
    random = np.random.default_rng(seed)
    fold_of, of_group = np.zeros(len(labels), int), dict[int, int]()
    for label in sorted(set(labels)):
        places = random.permutation(np.flatnonzero(np.array(labels) == label))
        if len(places) < number:
            name = examples.labels[label]
            raise InputError(
                f"--trainer.folds: expected at most {len(places)} folds, the training "
                f"examples of the class {name!r}; received {number}"
            )
        for turn, place in enumerate(places):
            fold_of[place] = of_group.setdefault(groups[place], turn % number)
    return fold_of


def _done(file: Path) -> dict[str, float] | None:
    if not file.is_file():
        return None
    try:
        return read_sealed_json(file, "a fold", "it is trained again")
    except CorruptArtifactError:
        return None


def _scores(
    examples: Examples, judging: EvaluatorConfig, answered: Answered
) -> dict[str, float]:
    """What is measured on a fold."""
    task = task_of(examples.task)
    if task.name != "classification":
        return {task.score_name: float(np.mean(task.scores(judging, answered)))}
    from dlkeras.pipeline.serving.tasks.classification_metrics import (
        classification_metrics,
    )

    metrics = classification_metrics(
        *answered, examples.labels, judging.top_k, judging.calibration_bins
    )
    return {name: float(metrics[name]) for name in (*SHARES, "loss")}


def _trained(
    config: TrainerConfig,
    examples: Examples,
    transform: Transform,
    held_out: np.ndarray,
    seed: int,
) -> Answered:
    """Train without some examples; return their labels and what is answered."""
    from dlkeras.pipeline.tensorflow_import import keras  # isort: split

    from dlkeras.pipeline.batches.class_weights import with_class_weights
    from dlkeras.pipeline.batches.input_pipeline import (
        evaluation_batches,
        training_batches,
    )
    from dlkeras.pipeline.training.keeping import BestEpoch, averaging
    from dlkeras.pipeline.training.network import compiled_network, make_deterministic

    objective = objective_of(examples)
    steps = math.ceil(int((~held_out).sum()) / config.batch_size)
    make_deterministic(seed)
    model = compiled_network(
        config,
        input_shape=transform.input_shape,
        num_classes=len(examples.labels),
        objective=objective,
        learning_rate=config.learning_rate,
        steps=steps * config.epochs,
    )
    judged: Any = {"monitor": config.objective, "mode": config.direction}
    callbacks = [
        *averaging(model),
        *callbacks_of(config),
        BestEpoch(**judged, patience=config.early_stopping_patience),
    ]
    if config.learning_rate_schedule == "plateau":
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(
                **judged,
                factor=config.plateau_factor,
                patience=config.plateau_patience,
            )
        )
    batches = training_batches(
        examples,
        transform,
        batch_size=config.batch_size,
        seed=seed,
        augmentation_strength=config.augmentation_strength,
        first_epoch=0,
        epochs=config.epochs,
        augmentation=augmentation_of(config),
        only=~held_out,
    )
    model.fit(
        with_class_weights(batches, examples, config.class_weight),
        steps_per_epoch=steps,
        epochs=config.epochs,
        validation_data=evaluation_batches(
            examples, transform, "validation", config.batch_size
        ),
        callbacks=callbacks,
        shuffle=False,  # the data set is in its order already
        verbose=0,  # pyright: ignore[reportArgumentType]
    )
    network = objective.finished(keras.Model(model.inputs[0], model.outputs[0]))
    asked = evaluation_batches(
        examples, transform, "train", config.batch_size, cached=False, only=held_out
    )
    parts = [(np.asarray(y), np.asarray(network(x))) for x, y in asked]
    truth, answers = zip(*parts, strict=True)
    return np.concatenate(truth), np.concatenate(answers)
