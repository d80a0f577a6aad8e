"""How a network is compiled: loss, metrics and optimizer, Keras's or the user's own.

A loss or a metric gets the shares of the classes `(batch, classes)`, one-hot where an
image is not mixed, and the probabilities `(batch, classes)`; those whose name begins
with "sparse", as Keras calls them, get class numbers.
"""

import inspect
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dlkeras.pipeline.batches.soft_labels import cross_entropy
from dlkeras.pipeline.configuration.config import TrainerConfig
from dlkeras.pipeline.configuration.references import (
    find,
    is_reference,
    refer,
    told,
)
from dlkeras.pipeline.store.errors import InputError, reason
from dlkeras.pipeline.training.objectives import Classes, Objective
from dlkeras.pipeline.training.own.network import builder_of, parameters

if TYPE_CHECKING:
    import keras

    Loss = Callable[[Any, Any], Any]

# fastai's: the first rate of one cycle is the highest one's 25th part.
DIVISOR, RISING = 25.0, 0.3
FOCAL = "categorical_focal_crossentropy"


def compile_network(
    model: "keras.Model",
    config: TrainerConfig,
    learning_rate: float,
    steps: int,
    objective: Objective,
) -> None:
    """Compile a network as configured; of one that is compiled, keep what it has.

    Args:
        model: images to `(batch, classes)` probabilities.
        config: loss, metrics, optimizer and schedule.
        learning_rate: the highest one.
        steps: number of training steps.
        objective: what is learned; of all but classes, the loss and the metric.

    Raises:
        InputError: Keras knows no such loss, metric or optimizer.
    """
    of_classes = isinstance(objective, Classes)
    if getattr(model, "compiled", False):
        refuse_what_is_compiled(model, config)
        metrics: list[Any] = _metrics_of(model)
        loss, optimizer = adapted(model.loss), model.optimizer
        model.came_compiled = True  # pyright: ignore[reportAttributeAccessIssue]
    else:
        metrics, loss = [], loss_of(config) if of_classes else objective.loss
        optimizer = optimizer_of(config, learning_rate, steps)
    if config.transfer.source and config.transfer.learning_rate_decay < 1:
        from dlkeras.transfer import layerwise_learning_rates

        decay = config.transfer.learning_rate_decay
        optimizer = layerwise_learning_rates(model, optimizer, decay)
    metrics += [kept("metric", name) for name in metrics_of(config)]
    metrics = [adapted(metric) for metric in metrics] if of_classes else []
    model.compile(
        optimizer=optimizer,
        loss=loss,
        # A row that only fills a batch does not count.
        weighted_metrics=[objective.metric, *metrics],
    )


def refuse_what_is_compiled(model: "keras.Model", config: TrainerConfig) -> None:
    """Refuse options that a network which is compiled already would not follow."""
    fields = type(config).model_fields
    decided = ["loss", "optimizer", *OPTIMIZER_OPTIONS, "label_smoothing"]
    if "learning_rate" not in parameters(builder_of(config)):
        decided.append("learning_rate")
    if config.learning_rate_schedule == "one_cycle":
        decided.append("learning_rate_schedule")
    for name in decided:
        if getattr(config, name) != fields[name].default:
            raise InputError(
                f"--trainer.{name.replace('_', '-')}: expected nothing, since "
                f"{model.name} is compiled by its function, which decides it; received "
                f"{getattr(config, name)}"
            )


def loss_of(config: TrainerConfig) -> "Loss":
    """The configured loss of each example; cross-entropy if you don't name one."""
    from dlkeras.pipeline.tensorflow_import import keras

    smoothing = config.label_smoothing
    if config.loss is None:
        if not smoothing:
            return cross_entropy
        loss: Any = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
        return adapted(loss)
    loss = kept("loss", FOCAL if config.loss == "focal" else config.loss)
    if not smoothing:
        return adapted(loss)
    if isinstance(loss, keras.losses.Loss) or "label_smoothing" not in parameters(loss):
        raise InputError(
            "--trainer.label-smoothing: expected a loss of Keras's that has it, by its "
            f"name; received {config.loss}"
        )

    def smoothed(labels: Any, probabilities: Any) -> Any:
        return loss(labels, probabilities, label_smoothing=smoothing)

    return adapted(smoothed)


def metrics_of(config: TrainerConfig) -> list[str]:
    """The metrics that are named, and the one that the objective asks for."""
    asked = config.objective.removeprefix("val_")
    more = [asked] if asked in PLAIN_METRICS and asked not in config.metrics else []
    # The accuracy is measured in any case; Keras's class of that name is another.
    named = [name for name in config.metrics if name.lower() not in ACCURACY]
    return [*named, *more]


def macro_f1() -> "keras.Metric":
    """The mean of the classes' F1."""
    from dlkeras.pipeline.tensorflow_import import keras

    return keras.metrics.F1Score(average="macro", name="macro_f1")


def balanced_accuracy() -> "keras.Metric":
    """The mean of the classes' recall, over the classes that there are."""
    from dlkeras.pipeline.tensorflow_import import keras

    class BalancedAccuracy(keras.metrics.F1Score):
        """Counts as the F1 does."""

        def result(self) -> Any:
            there = self.true_positives + self.false_negatives
            recall = self.true_positives / keras.ops.maximum(there, 1e-7)
            present = keras.ops.cast(there > 0, recall.dtype)
            return keras.ops.sum(recall) / keras.ops.maximum(
                keras.ops.sum(present), 1e-7
            )

    return BalancedAccuracy(average="macro", name="balanced_accuracy")


ACCURACY = ("accuracy", "acc")
PLAIN_METRICS = {"macro_f1": macro_f1, "balanced_accuracy": balanced_accuracy}
OPTIMIZER_OPTIONS = (
    "weight_decay",
    "clipnorm",
    "gradient_accumulation_steps",
    "ema_momentum",
    "warmup_epochs",
)


def optimizer_of(
    config: TrainerConfig, learning_rate: float, steps: int
) -> "keras.optimizers.Optimizer":
    """The configured optimizer, with its schedule of the learning rate."""
    from dlkeras.pipeline.tensorflow_import import keras

    if config.gradient_accumulation_steps:  # its schedule counts updates
        steps = max(steps // config.gradient_accumulation_steps, 1)
    decay = keras.optimizers.schedules.CosineDecay
    schedule: Any = learning_rate
    if config.learning_rate_schedule == "cosine" and config.warmup_epochs:
        rising = round(steps * min(config.warmup_epochs / config.epochs, 1))
        falling = max(steps - rising, 1)
        schedule = decay(0.0, falling, warmup_target=learning_rate, warmup_steps=rising)
    elif config.learning_rate_schedule == "cosine":
        schedule = decay(learning_rate, steps)
    elif config.learning_rate_schedule == "one_cycle":
        rising = round(RISING * steps)
        schedule = decay(
            learning_rate / DIVISOR,
            max(steps - rising, 1),
            warmup_target=learning_rate,
            warmup_steps=rising,
        )
    options = {
        name: getattr(config, name)
        for name in OPTIMIZER_OPTIONS
        if name != "warmup_epochs" and getattr(config, name)
    }
    if config.ema_momentum:
        options["use_ema"] = True
    if config.optimizer == "sgd":
        return keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True, **options)
    found = kept("optimizer", config.optimizer)
    settings = found.get_config() | options
    if not is_reference(config.optimizer) and config.optimizer[:1] != "{":
        settings["learning_rate"] = schedule  # of an object, its own rate stands
    return type(found).from_config(settings)


def kept(kind: str, text: str) -> Any:
    """The loss, metric or optimizer that a text of the configuration stands for.

    Args:
        kind: "loss", "metric" or "optimizer".
        text: Keras's name, MODULE:NAME, or what Keras writes of an object, in JSON.

    Raises:
        InputError: there is no such thing.
    """
    from dlkeras.pipeline.tensorflow_import import keras

    flag = "--trainer." + {"metric": "metrics"}.get(kind, kind)
    module: Any = {
        "loss": keras.losses,
        "metric": keras.metrics,
        "optimizer": keras.optimizers,
    }[kind]
    try:
        if kind == "metric" and text in PLAIN_METRICS:
            return PLAIN_METRICS[text]()
        if text[:1] == "{":
            return keras.saving.deserialize_keras_object(json.loads(text))
        if is_reference(text):
            found = find(text, flag)
            if kind == "optimizer" and not isinstance(found, module.Optimizer):
                found = found()  # a class, or a function that makes one
            elif inspect.isclass(found):
                found = found()
            return found
        return module.get(text)
    except InputError:
        raise
    except Exception as error:  # of Keras, or of the user's function
        names = ["focal"] * (kind == "loss")
        names += sorted(
            n for n in dir(module) if n[0].islower() == (kind != "optimizer")
        )
        near, article = _near(text, names), "an" if kind == "optimizer" else "a"
        raise InputError(
            f"{flag}: expected {article} {kind} by Keras's name, or MODULE:NAME of "
            f"your own; received {text[:80]!r}{near}"
            + ("" if isinstance(error, ValueError) else f": {reason(error)}")
        ) from error


def _near(text: str, names: list[str]) -> str:
    import difflib

    lower = {name.lower(): name.lower() for name in names}
    near = difflib.get_close_matches(text.lower(), lower, n=2)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def adapted(measure: Any) -> Any:
    """A loss or metric that takes labels of both kinds: numbers, and shares.

    Args:
        measure: a loss of Keras's, or a function of labels and probabilities, whose
            result is that of each example; or a metric.
    """
    from dlkeras.pipeline.tensorflow_import import keras

    if isinstance(measure, str):
        measure = keras.losses.get(measure)
    name = getattr(measure, "__name__", None) or getattr(measure, "name", "loss")
    sparse = type(measure).__name__.startswith("Sparse") or name.startswith("sparse_")

    def labels_for(labels: Any, probabilities: Any) -> Any:
        shares = len(labels.shape) == 2 and labels.shape[-1] == probabilities.shape[-1]
        if sparse:
            return keras.ops.argmax(labels, -1) if shares else labels
        if shares:
            return keras.ops.cast(labels, probabilities.dtype)
        numbers = keras.ops.cast(keras.ops.reshape(labels, [-1]), "int32")
        classes = probabilities.shape[-1]
        return keras.ops.one_hot(numbers, classes, dtype=probabilities.dtype)

    if isinstance(measure, keras.metrics.Metric):
        update = measure.update_state

        def update_state(labels: Any, probabilities: Any, *args: Any, **kw: Any) -> Any:
            given = labels_for(labels, probabilities)
            return update(given, probabilities, *args, **kw)

        measure.update_state = update_state
        return measure
    per_example = measure.call if isinstance(measure, keras.losses.Loss) else measure
    module = per_example.__module__ if hasattr(per_example, "__module__") else ""

    def measured(labels: Any, probabilities: Any) -> Any:
        given = labels_for(labels, probabilities)
        try:
            return per_example(given, probabilities)
        except InputError:
            raise
        except Exception as error:  # of the user's function, or of Keras
            raise InputError(
                f"the loss or metric {name} fails for labels {tuple(given.shape)} and "
                f"probabilities {tuple(probabilities.shape)}: {told(error, module)}"
            ) from error

    measured.__name__ = name
    return measured


def _metrics_of(model: "keras.Model") -> list[Any]:
    """The metrics that a network was compiled with, but for the accuracy."""
    found = getattr(
        model, "_compile_metrics", None
    )  # Keras gives them by no other name
    given = getattr(found, "_user_metrics", None) or []
    metrics = [given] if isinstance(given, str) else given
    if not isinstance(metrics, list | tuple):
        return []
    plain = (*ACCURACY, "sparse_categorical_accuracy")
    return [kept("metric", m) if isinstance(m, str) else m for m in metrics
            if getattr(m, "name", m) not in plain]  # fmt: skip


def written(kind: str, thing: Any) -> str:
    """What a loss, metric or optimizer of a script is called in the configuration.

    Args:
        kind: what it is given as.
        thing: a name, a function or class of the user's, or an object of Keras's.
    """
    from dlkeras.pipeline.tensorflow_import import keras

    if isinstance(thing, str):
        return thing
    if hasattr(thing, "__qualname__"):
        return refer(thing, kind)
    if not hasattr(thing, "get_config"):
        raise InputError(
            f"main({kind}=...): expected a name, a function or an object of Keras's; "
            f"received {type(thing).__name__}"
        )
    wanted = keras.saving.serialize_keras_object(thing)
    name = wanted.get("registered_name")
    if name and keras.saving.get_registered_object(name) is None:
        raise InputError(
            f"main({kind}=...): expected an object of a class that Keras can find "
            f"again: put @keras.saving.register_keras_serializable() above "
            f"{type(thing).__name__}, or give the class itself"
        )
    return json.dumps(wanted, sort_keys=True)
