"""What `dlkeras augment` does: image files, and what the augmentation makes of them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from dlkeras.pipeline.configuration.config import TransformConfig, describe, load_config
from dlkeras.pipeline.errors import InputError
from dlkeras.pipeline.examples.decoding import decode_image, read_image_file

# Without a configuration images are shown as large as ImageNet's are trained on.
SIDE = 224


def draw_augmentation(
    images: Sequence[Path],
    output: Path,
    *,
    config: Path | None,
    settings: Sequence[str],
    epochs: int,
    seed: int,
) -> TransformConfig:
    """Write a picture of images and of what training would see of them.

    Args:
        images: image files.
        output: the PNG file to write.
        config: the configuration of a run; None takes the defaults, at 224x224.
        settings: `name=value` of fields of `TransformConfig`, over the configuration.
        epochs: how many versions of each image.
        seed: decides them.

    Returns:
        The configuration that was used.

    Raises:
        InputError: an image or the configuration cannot be read, or a setting is wrong.
    """
    transform = _configured(config, settings)
    pixels = [_read(path) for path in images]  # before TensorFlow: errors come at once

    from dlkeras.pipeline.components.transform import (
        augmentation_preview,
        preprocessing_model,
    )

    channels = max(image.shape[-1] for image in pixels)
    pixels = [np.repeat(x, channels // x.shape[-1], axis=-1) for x in pixels]
    figure = augmentation_preview(
        transform,
        preprocessing_model(transform, channels),
        pixels,
        [path.name[:20] for path in images],
        epochs=epochs,
        seed=seed,
    )
    temporary = output.with_name(f".{output.name}.png")
    try:
        figure.savefig(temporary)
        os.replace(temporary, output)
    except OSError as error:
        raise InputError(
            f"--output: expected a file that can be written; {output}: {error.strerror}"
        ) from error
    return transform


def _configured(config: Path | None, settings: Sequence[str]) -> TransformConfig:
    if config is not None:
        values = load_config(config).transform.model_dump()
    else:
        values = TransformConfig(height=SIDE, width=SIDE).model_dump()
    for setting in settings:
        name, equals, value = setting.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in values:
            known = ", ".join(n for n in values if n not in ("scale", "offset"))
            raise InputError(
                f"--set: expected NAME=VALUE, NAME one of {known}; received {setting!r}"
            )
        values[name] = value
    try:
        # Not strict: what comes from a command line is text.
        return TransformConfig.model_validate(values, strict=False)
    except ValidationError as error:
        raise InputError(f"--set {describe(error)}") from error


def _read(path: Path) -> Any:
    try:
        return decode_image(read_image_file(path)).pixels
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"IMAGE: expected an image file; {path}: {reason}") from error
