"""Finds mistakes in a configuration before any component runs."""

import contextlib
import importlib.util
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlkeras.judging.slices import check_columns
from dlkeras.pipeline.artifacts.statistics_table import COLUMNS
from dlkeras.pipeline.configuration.config import PipelineConfig, TrainerConfig
from dlkeras.pipeline.configuration.references import find, is_reference
from dlkeras.pipeline.engine.versions import package_versions
from dlkeras.pipeline.examples.sources.manifest import metadata_columns
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import canonical_digest
from dlkeras.pipeline.training.objectives import Number, SeveralLabels
from dlkeras.pipeline.training.own.code import code_of_trainer, modules
from dlkeras.pipeline.training.own.network import (
    augmentation_of,
    builder_of,
    check_callbacks,
    parameters,
    with_typed_arguments,
)
from dlkeras.pipeline.training.search_spaces import Choice, Dimension, chosen, space_of
from dlkeras.untrusted.gate import UntrustedFileError
from dlkeras.untrusted.images import begins_as_image
from dlkeras.untrusted.model_parts import check_parts

if TYPE_CHECKING:
    import keras

# What must be installed for a field to be on, and the extra that brings it.
_EXTRAS = {
    "infra_validator.onnx": ("onnxruntime", "onnx"),
    "infra_validator.litert": ("ai_edge_litert", "litert"),
}
# What is for labels of one class alone.
_OF_CLASSES = {
    "trainer": ("loss", "metrics", "label_smoothing", "class_weight", "objective"),
    "evaluator": ("calibrate", "unsure_below"),
}
# Where MLflow keeps runs, by the schemes of its addresses.
_STORES = {
    *("http", "https", "sqlite", "postgresql", "mysql", "mssql", "file"),
    *("databricks", "databricks-uc", "uc"),
}
_MUST_EXIST = (
    *(("example_gen", name) for name in ("builder_dir", "image_folder", "manifest")),
    *(("example_gen", name) for name in ("image_root", "npz", "beam_python")),
    ("schema_gen", "path"),
)


def check(config: PipelineConfig) -> PipelineConfig:
    """Refuse what a late component would stumble over, after hours of training.

    Args:
        config: the job.

    Returns:
        The job, with the arguments of its network of the kinds that they must be.

    Raises:
        InputError: there is no column to slice by, a search varies what there is not, a
            file or a package is missing, or Keras runs on another backend than
            TensorFlow.
    """
    if config.example_gen.source is not None:
        find(config.example_gen.source, "--example-gen.source")
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise InputError(
            "the pipeline runs on Keras's TensorFlow backend; "
            f"received KERAS_BACKEND={backend}"
        )
    for field, (package, extra) in _EXTRAS.items():
        section, name = field.split(".")
        on = getattr(getattr(config, section), name)
        if on and importlib.util.find_spec(package) is None:
            flag = f"--{section}.{name}".replace("_", "-")
            raise InputError(
                f"{flag}: expected the packages of the extra {extra} "
                f"(pip install 'dlkeras[{extra}]'); {package} is not installed"
            )
    if config.mlruns.is_file():
        raise InputError(f"--mlruns: expected a folder; {config.mlruns} is a file")
    scheme, given, _ = (config.tracking_uri or "").partition("://")
    if given and scheme.partition("+")[0] not in _STORES:
        raise InputError(
            "--tracking-uri: expected an MLflow server or database, such as "
            "http://localhost:5000 or sqlite:///mlflow.db; "
            f"received {config.tracking_uri}"
        )
    for section, name in _MUST_EXIST:
        path = getattr(getattr(config, section), name)
        if path is not None and not path.exists():
            flag = f"--{section}.{name}".replace("_", "-")
            raise InputError(f"{flag}: expected what exists; {path} does not exist")
    folder = getattr(config.bulk_inferrer, "images", None)  # or the user's own
    if isinstance(folder, Path) and not any(map(_is_image, folder.rglob("*"))):
        seen = f"{folder} " + ("has none" if folder.exists() else "does not exist")
        raise InputError(f"--bulk-inferrer.images: expected a folder of images; {seen}")
    _check_slices(config)
    _check_task(config)
    trainer = with_typed_arguments(config.trainer)
    return config.model_copy(update={"trainer": trainer})


def check_networks(
    config: PipelineConfig, checked: Path, say: Callable[[str], None]
) -> None:
    """Build each network that the job may train; what cannot be built is refused.

    That takes Keras and a second, so a job that was found good is not asked again.

    Args:
        config: the job, the source of its transfer resolved.
        checked: a folder that remembers which jobs were found good.
        say: shows a line to the user.

    Raises:
        InputError: names the flag that is at fault.
    """
    trainer, tuner = config.trainer, config.tuner
    # The engine of several machines starts before anything is computed: there the tuner
    # and the trainer look, before they train.
    if trainer.distribution == "multi_worker":
        return
    callbacks = trainer.callbacks if trainer.distribution == "data_parallel" else ()
    if trainer.distribution == "data_parallel" or (tuner.enabled and tuner.workers):
        modules(trainer.model_copy(update={"callbacks": callbacks}))
    asked = {
        "task": config.example_gen.task,
        "trainer": trainer.model_dump(mode="json"),
        "space": dict(tuner.space) if tuner.enabled else None,
        "size": [config.transform.height, config.transform.width],
        "code": code_of_trainer(trainer),
        "versions": package_versions("dlkeras", "keras", "tensorflow"),
    }
    mark = checked / canonical_digest(asked)[:16]
    if mark.exists():
        return
    space = space_of(trainer, tuner) if tuner.enabled else {}
    for tried, flag in _variants(trainer, space):
        _check_names(tried, flag)
    object_ = trainer.optimizer[:1] == "{" or is_reference(trainer.optimizer)
    rate = sorted({"learning_rate", "learning_rate_schedule"} & space.keys())
    if object_ and "optimizer" not in space and rate:
        raise InputError(
            f"--tuner.space {rate[0]}: expected {rate[0]}=off, since the optimizer is "
            "an object of your own, which has its learning rate; or name the optimizer"
        )
    frozen = "frozen_layers" in space
    for tried, _ in _variants(trainer, space, ("architecture",)):
        changed = {"frozen_layers": 0} if frozen else {}
        _check_network(tried.model_copy(update=changed), config, space, say)
    with contextlib.suppress(OSError):  # a folder that is read-only is told of later
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()


def _variants(
    trainer: TrainerConfig,
    space: Mapping[str, Dimension],
    names: tuple[str, ...] = (
        "architecture",
        "activation",
        "kernel_initializer",
        "optimizer",
        "loss",
    ),
) -> Iterator[tuple[TrainerConfig, str]]:
    """The trainer with each value that a search chooses from, and where it was set."""
    varied = {n: d for n, d in space.items() if n in names and isinstance(d, Choice)}
    if not varied:
        yield trainer, "--trainer."
    for name, dimension in varied.items():
        for value in dimension.values:
            yield chosen(trainer, {name: value}), "--tuner.space "


def _check_names(trainer: TrainerConfig, where: str) -> None:
    """Refuse a name that Keras or the registry does not know."""
    from dlkeras.pipeline.tensorflow_import import keras  # isort: split

    from dlkeras.pipeline.training.compiling import kept, loss_of, metrics_of

    check_callbacks(trainer)
    try:
        builder_of(trainer)
        kept("optimizer", trainer.optimizer)
        loss_of(trainer)
        names = {"val_loss", "val_accuracy"}
        for metric in metrics_of(trainer):
            found = kept("metric", metric)
            _check_metric(found, metric)
            names.add(f"val_{getattr(found, '__name__', None) or found.name}")
        # What a compiled network measures is not known by its name.
        if trainer.network is None and trainer.objective not in names:
            raise InputError(
                f"--trainer.objective: expected one of {', '.join(sorted(names))}, or "
                f"a metric of --trainer.metrics; received {trainer.objective!r}"
            )
        augmentation_of(trainer)
    except InputError as error:
        raise InputError(str(error).replace("--trainer.", where, 1)) from error
    for name, module in (
        ("activation", keras.activations),
        ("kernel_initializer", keras.initializers),
    ):
        value = getattr(trainer, name)
        try:
            module.get(value)
        except ValueError as error:
            flag = where + name.replace("_", "-")
            kind = name.rpartition("_")[2]
            raise InputError(
                f"{flag}: expected an {kind} by Keras's name; received {value!r}"
            ) from error


def _check_metric(found: Any, name: str) -> None:
    """Refuse a metric of Keras's that is no number, such as the F1 of each class."""
    from dlkeras.pipeline.tensorflow_import import keras

    if is_reference(name) or not isinstance(found, keras.metrics.Metric):
        return
    try:
        found.update_state([[1.0, 0.0]], [[0.5, 0.5]])
        result: Any = found.result()
    except Exception:  # it may be made for the classes of the data
        return
    if isinstance(result, dict) or keras.ops.ndim(result):
        raise InputError(
            "--trainer.metrics: expected a metric that is one number (macro_f1 is the "
            f"mean F1); {name[:80]} gives one for each class"
        )


def _check_network(
    trainer: TrainerConfig,
    config: PipelineConfig,
    space: Mapping[str, Dimension],
    say: Callable[[str], None],
) -> None:
    from dlkeras.pipeline.tensorflow_import import keras  # isort: split

    from dlkeras.pipeline.training.network import check_frozen_layers, compiled_network

    task = config.example_gen.task
    objective = {"multilabel": SeveralLabels(), "regression": Number(0.0, 1.0)}

    def build(height: int, width: int, channels: int) -> "keras.Model":
        return compiled_network(
            trainer,
            input_shape=(height, width, channels),
            num_classes=1 if task == "regression" else 2,
            objective=objective.get(task),
            learning_rate=trainer.learning_rate,
            steps=100,
        )

    height, width = config.transform.height, config.transform.width
    try:
        model = build(height, width, 3)  # the images are not known yet
    except InputError as problem:
        try:
            model = build(height, width, 1)
        except InputError as other:
            if trainer.transfer.source is None and _is_built(build):
                raise InputError(
                    f"--transform.height and --transform.width: {trainer.architecture} "
                    f"cannot be built for images of {height}x{width}: "
                    f"{str(problem).partition(': ')[2]}"
                ) from problem
            # Of a source, one is that it has other channels than what was tried.
            raise other if "freeze" in str(other) else problem from None
    check_frozen_layers(model, trainer.frozen_layers, space)
    if trainer.network is not None:
        _check_own(model, trainer, space, say)
        if task == "classification":
            _check_answer(model, trainer)
    keras.backend.clear_session()


def _is_built(build: Callable[[int, int, int], object]) -> bool:
    """Whether a network can be built for the images of ImageNet."""
    try:
        build(224, 224, 3)
    except InputError:
        return False
    return True


def _check_own(
    model: "keras.Model",
    trainer: TrainerConfig,
    space: Mapping[str, Dimension],
    say: Callable[[str], None],
) -> None:
    """Refuse a network of the user's that cannot be kept or searched over."""
    flag = f"--trainer.network {trainer.network}"
    try:
        parts = check_parts({**json.loads(model.to_json()), "compile_config": None})
    except UntrustedFileError as error:
        raise InputError(
            f"{flag}: {error}, so that nobody could load it without running your code; "
            "write a layer as a class with @keras.saving.register_keras_serializable, "
            "and a function with layers"
        ) from error
    own = sorted(
        {part.registered for part in parts if part.registered[:8] != "dlkeras>"}
    )
    if own:
        say(
            f"{trainer.architecture} has parts of your own ({', '.join(own)}): it is "
            "trained and judged, but not pushed, since a pushed model loads without "
            "your code"
        )
    # `compile_network` compiles each network; what came compiled says so.
    rate = {"learning_rate", "optimizer", "learning_rate_schedule"} & space.keys()
    takes = {"learning_rate"} & parameters(builder_of(trainer)).keys()
    if getattr(model, "came_compiled", False) and rate - takes:
        name = sorted(rate - takes)[0]
        raise InputError(
            f"--tuner.space {name}: {trainer.architecture} is compiled by its "
            f"function, which decides it: --tuner.space {name}=off, or give "
            "the function an argument learning_rate, which the search may vary"
        )


def _check_answer(model: "keras.Model", trainer: TrainerConfig) -> None:
    """Refuse a network without probabilities, or without what the objective is."""
    import numpy as np

    flag = f"--trainer.network {trainer.network}"
    given = np.zeros((1, *(side or 1 for side in model.input_shape[1:])), "float32")
    total = float(np.sum(np.asarray(model(given), "float32")))
    if not abs(total - 1) < 1e-2:
        raise InputError(
            f"{flag}: expected probabilities, whose sum is 1; for a black image it is "
            f"{total:.3g}: end the network with a softmax"
        )
    asked = trainer.objective.removeprefix("val_")
    if asked in ("loss", "accuracy"):
        return
    try:
        names = set(model.test_on_batch(given, np.zeros(1, int), return_dict=True))
    except Exception:  # your own loss may be made for the classes of the data
        return
    if trainer.objective[:4] != "val_" or asked not in names:
        known = ", ".join(f"val_{name}" for name in sorted(names))
        raise InputError(
            f"--trainer.objective: expected one of {known}; received "
            f"{trainer.objective!r}"
        )


def _check_task(config: PipelineConfig) -> None:
    """Refuse what is for labels of one class where labels are several, or a number."""
    task = config.example_gen.task
    if task == "classification":
        return
    if task == "regression" and config.transform.cutmix:
        raise InputError(
            "--transform.cutmix: expected 0 where a label is a number: the part of an "
            "image that is pasted into another has no number of its own (mixup works)"
        )
    for section, names in _OF_CLASSES.items():
        part = getattr(config, section)
        plain = type(part).model_validate({})
        for name in names:
            if (value := getattr(part, name)) != getattr(plain, name):
                raise InputError(
                    f"--{section}.{name.replace('_', '-')}: expected nothing, since "
                    f"--example-gen.task {task} decides it; received {value}"
                )


def _is_image(file: Path) -> bool:
    return file.is_file() and begins_as_image(file)


def _check_slices(config: PipelineConfig) -> None:
    known = [name for name in COLUMNS if name != "id"]
    given = config.example_gen
    if given.manifest is not None:
        known += metadata_columns(given.manifest, given.columns, given.task)
    try:
        check_columns(config.evaluator.slices, list(dict.fromkeys(known)))
    except ValueError as error:
        raise InputError(str(error)) from error
