"""Transfer in the pipeline: where the first weights come from, and what is frozen."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlkeras.pipeline.configuration.config import (
    PipelineConfig,
    TrainerConfig,
    TransferConfig,
)
from dlkeras.pipeline.store.errors import InputError, NoSuchModelError, reason
from dlkeras.pipeline.store.publishing import file_digest
from dlkeras.pipeline.training.own.code import code_of
from dlkeras.untrusted import models
from dlkeras.untrusted.activations import check_activations
from dlkeras.untrusted.gate import UntrustedFileError

if TYPE_CHECKING:
    import keras

APPLICATIONS = "keras.applications:"
FLAG = "--trainer.transfer.source"


def resolve_transfer_source(
    config: PipelineConfig, pushed_folder: Callable[[str], Path]
) -> PipelineConfig:
    """Return a job with the file that the source of its transfer stands for now.

    Args:
        config: the job.
        pushed_folder: gives the folder of a registered model's files, by its name.

    Raises:
        InputError: there is no such source, or it knows other pixels.
    """
    transfer, source = locate_weights(config.trainer.transfer, pushed_folder)
    check_pixels(source, config.transform.scale, config.transform.offset)
    trainer = config.trainer.model_copy(update={"transfer": transfer})
    return config.model_copy(update={"trainer": trainer})


def transfer_fingerprint(trainer: TrainerConfig) -> dict[str, Any] | None:
    """What represents the source's content in the key of what is trained.

    Args:
        trainer: with the path of a file as `resolve_transfer_source` gives it.
    """
    if trainer.transfer.source is None:
        return None
    return locate_weights(trainer.transfer, Path)[1]


def locate_weights(
    config: TransferConfig, pushed_folder: Callable[[str], Path]
) -> tuple[TransferConfig, dict[str, Any] | None]:
    """Find the source's file, and say what identifies its content.

    Args:
        config: what the user asked for.
        pushed_folder: finds the folder of a registered model.

    Returns:
        The configuration with the path of a file in place of a name in the registry,
        and for the key of what is trained: the kind of the source, the SHA-256 of its
        file, and the scale and offset of its pixels where they are known.

    Raises:
        InputError: there is no such source.
    """
    source = config.source
    if source is None:
        return config, None
    import dlkeras.pipeline.tensorflow_import  # noqa: F401  # isort: split
    from dlkeras.architectures import names, pretrained_card, pretrained_names

    if source.startswith(APPLICATIONS):
        return config, {"kind": "keras.applications", "name": source}
    if source.startswith("models:/") or source.endswith(".keras"):
        path = Path(source)
        if source.startswith("models:/"):
            try:
                path = pushed_folder(source) / "model.keras"
            except NoSuchModelError as error:
                raise InputError(
                    f"{FLAG}: expected a registered model, models:/name@alias or "
                    f"models:/name/version; received {source}: {error.found}"
                ) from error
        if not path.is_file():
            raise InputError(f"{FLAG}: expected a file; {path} does not exist")
        config = config.model_copy(update={"source": str(path)})
        return config, {
            "kind": "keras",
            "sha256": file_digest(path),
            "pixels": _pixels(path),
        }
    architecture, colon, weights = source.partition(":")
    if not colon or architecture not in names():
        shipped = [f"{n}:{w}" for n in names() for w in pretrained_names(n)]
        raise InputError(
            f"{FLAG}: expected ARCHITECTURE:WEIGHTS (such as {', '.join(shipped)}), a "
            f".keras file, models:/name@alias or {APPLICATIONS}NAME; received {source}"
        )
    if weights == "imagenet":
        return config, {"kind": "keras.applications", "name": source}
    if not Path(weights).suffix:
        try:
            card = pretrained_card(architecture, weights)
        except ValueError as error:
            raise InputError(f"{FLAG}: {reason(error)}") from error
        pixels = {key: card["pixels"][key] for key in ("scale", "offset")}
        return config, {
            "kind": "own",
            "name": source,
            "sha256": card["sha256"],
            "pixels": pixels,
        }
    if not Path(weights).is_file():
        raise InputError(f"{FLAG}: expected a file; {weights} does not exist")
    if weights.endswith(".index.json"):  # whose bytes are not those of the weights
        raise InputError(
            f"{FLAG}: expected the weights in one file; {weights} is the index of many"
        )
    sha256 = file_digest(Path(weights))
    code = code_of(architecture)
    own = {"code": code} if code else {}
    return config, {"kind": "file", "name": architecture, "sha256": sha256, **own}


def check_pixels(known: dict[str, Any] | None, scale: float, offset: float) -> None:
    """Refuse a preprocessing that gives the network other numbers than it knows.

    Raises:
        InputError: the scale or the offset is another than the source's.
    """
    pixels = (known or {}).get("pixels")
    if pixels is None:
        return
    for name, value in (("scale", scale), ("offset", offset)):
        if abs(pixels[name] - value) > 1e-6 * max(1.0, abs(value)):
            raise InputError(
                f"--transform.{name}: expected {pixels[name]:.9g}, with which the "
                f"source of the transfer was trained; received {value:.9g}"
            )


def transferred_network(
    config: TransferConfig, input_shape: tuple[int, int, int], num_classes: int
) -> "keras.Model":
    """Return the source's network with a new head, frozen as configured.

    Args:
        config: with the path of a file as `locate_weights` gives it.
        input_shape: height, width and channels of the preprocessed images.
        num_classes: number of outputs.

    Raises:
        InputError: the source cannot be read, takes other images, or has no place of
            the name.
    """
    import dlkeras.pipeline.tensorflow_import  # noqa: F401  # isort: split
    from dlkeras.transfer import freeze, penalize_distance, replace_head, unfreeze

    try:
        model = _source_network(str(config.source), input_shape)
    except (ValueError, OSError, TypeError) as error:
        raise InputError(f"{FLAG}: {reason(error)}") from error
    shapes = [tuple(taken.shape) for taken in model.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise InputError(
            f"{FLAG}: expected a network of images of {input_shape}; {config.source} "
            f"takes {', '.join(str(shape[1:]) for shape in shapes)}"
        )
    received = shapes[0][1:]
    fits = (
        have in (None, want) for have, want in zip(received, input_shape, strict=True)
    )
    if not all(fits):
        raise InputError(
            f"{FLAG}: expected a network of images of {input_shape}; {config.source} "
            f"takes {received}: set --transform.height and --transform.width"
        )
    try:
        if str(config.source).endswith(".keras"):
            check_activations(model, *input_shape[:2])
    except UntrustedFileError as error:
        raise InputError(f"{FLAG}: {config.source}: {error}") from error
    try:
        model = replace_head(model, num_classes)
        unfreeze(model, batch_normalization=config.train_batch_normalization)
        if config.freeze_until is not None:
            freeze(model, _place(config.freeze_until))
        if config.distance_penalty:
            penalize_distance(model, config.distance_penalty, config.distance_penalty)
    except ValueError as error:
        raise InputError(f"--trainer.transfer.freeze-until: {reason(error)}") from error
    return model


def transfer_table(model: "keras.Model", config: TransferConfig) -> str:
    """Say stage by stage what is frozen, and how fast the rest learns.

    Args:
        model: a compiled network.
        config: what the transfer was asked to do.

    Returns:
        A table in text.
    """
    from dlkeras.stages import stages

    ends = {name: stage for stage, name in stages(model).items()}
    groups: list[tuple[str, list[Any]]] = []
    held: list[Any] = []
    for layer in model.layers:
        held.append(layer)
        if layer.name in ends:
            groups.append((ends[layer.name], held))
            held = []
    groups.append(("head", held))
    rates = getattr(model.optimizer, "learning_rate_factors", {})
    rows = [("", "parameters", "trainable", "learning rate")]
    for name, layers in groups:
        weights = [w for layer in layers for w in layer.weights]
        trained = [w for layer in layers for w in layer.trainable_weights]
        factors = {rates.get(w.path, 1.0) for w in trained}
        rows.append(
            (
                name,
                f"{_numbers(weights):,}",
                f"{_numbers(trained):,}" if trained else "frozen",
                f"x {max(factors):.3g}" if factors else "-",
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join([f"transfer from {config.source}", *lines])


def _numbers(weights: list[Any]) -> int:
    return sum(int(weight.value.shape.num_elements()) for weight in weights)


def _source_network(source: str, input_shape: tuple[int, int, int]) -> "keras.Model":
    from dlkeras.pipeline.tensorflow_import import keras  # isort: split

    from dlkeras.architectures import create, pretrained_card

    if source.startswith(APPLICATIONS):
        name, _, weights = source.removeprefix(APPLICATIONS).partition(":")
        build = getattr(keras.applications, name, None)
        if build is None or not name[:1].isupper():
            raise ValueError(
                f"expected a network of keras.applications; there is no {name!r}"
            )
        return build(
            include_top=False,
            weights=None if weights == "none" else "imagenet",
            input_shape=input_shape,
        )
    if source.endswith(".keras") and ":" not in source:
        model = models.load_model(source)
        # A pushed model is its preprocessing and its network, one behind the other.
        inner = [x for x in model.layers if isinstance(x, keras.Model)]
        return inner[-1] if inner else model
    architecture, _, weights = source.partition(":")
    if Path(weights).suffix or weights == "imagenet":
        return create(
            architecture, input_shape=input_shape, num_classes=0, weights=weights
        )
    classes = pretrained_card(architecture, weights)["arguments"]["num_classes"]
    return create(
        architecture, input_shape=input_shape, num_classes=classes, weights=weights
    )


def _place(text: str) -> str | float | int:
    """Read the name of a place, a share (with a point) or a number of layers."""
    if re.fullmatch(r"\d+", text):
        return int(text)
    if re.fullmatch(r"\d*\.\d+|\d+\.", text):
        return float(text)
    return text


def _pixels(path: Path) -> dict[str, float] | None:
    """Read the rescaling of a pushed model out of its file, without loading it."""
    try:
        waiting: list[Any] = [models.read_config(path)]
    except UntrustedFileError as error:
        raise InputError(f"{FLAG}: {error}") from error
    while waiting:  # the last is the next, in the file's order
        node = waiting.pop()
        if isinstance(node, list):
            waiting += [x for x in reversed(node) if isinstance(x, dict | list)]
        if not isinstance(node, dict):
            continue
        inside = [x for x in node.values() if isinstance(x, dict | list)]
        waiting += reversed(inside)
        if node.get("class_name") != "Rescaling":
            continue
        given = node.get("config")
        given = given if isinstance(given, dict) else {}
        numbers = {name: given.get(name) for name in ("scale", "offset")}
        if any(isinstance(number, list) for number in numbers.values()):
            return None
        try:
            return {name: float(number) for name, number in numbers.items()}  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            raise InputError(
                f"{FLAG}: expected a scale and an offset in the Rescaling of "
                f"{path}; it has neither or one of them, or no such numbers"
            ) from None
    return None
