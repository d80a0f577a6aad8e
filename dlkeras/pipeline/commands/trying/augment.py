"""`dlkeras augment`: shows how the augmentation changes your images."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlkeras.pipeline.commands.arguments import count, seed
from dlkeras.pipeline.store.errors import InputError

if TYPE_CHECKING:
    from dlkeras.pipeline.configuration.config import TransformConfig

HELP = "draw what the augmentation makes of images"
# Without a configuration images are shown as large as ImageNet's are trained on.
SIDE = 224


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("images", metavar="IMAGE", nargs="+", type=Path)
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("augmented.png"),
        help="the picture; its ending says how it is written: .png, .pdf, .svg, .jpg "
        "(default: augmented.png)",
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE.json", help="the configuration of a run"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a field of the transform, such as rotation=30; may be given again",
    )
    parser.add_argument("--epochs", type=count, default=6, help="versions of each")
    parser.add_argument("--seed", type=seed, default=0, help="decides them")


def run(options: argparse.Namespace) -> int:
    """Draw the picture, and print where it is."""
    draw_augmentation(
        options.images,
        options.output,
        config=options.config,
        settings=options.set,
        epochs=options.epochs,
        seed=options.seed,
    )
    print(options.output)
    return 0


def draw_augmentation(
    images: Sequence[Path],
    output: Path,
    *,
    config: Path | None,
    settings: Sequence[str],
    epochs: int,
    seed: int,
) -> "TransformConfig":
    """Write a picture of images and of what training would see of them.

    Args:
        images: image files.
        output: the file to write, in the form that its ending says.
        config: the configuration of a run; None takes the defaults, at 224x224.
        settings: `name=value` of fields of `TransformConfig`, over the configuration.
        epochs: how many versions of each image.
        seed: decides them.

    Returns:
        The configuration that was used.

    Raises:
        InputError: an image or the configuration cannot be read, a setting is wrong, or
            the picture cannot be written.
    """
    import numpy as np

    _check_output(output)
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
    temporary = output.with_name(f".{output.stem}.new{output.suffix}")
    try:
        figure.savefig(temporary)
        os.replace(temporary, output)
    except OSError as error:
        raise InputError(
            f"--output: expected a file that can be written; {output}: {error.strerror}"
        ) from error
    return transform


def _check_output(output: Path) -> None:
    """Refuse a picture that cannot be written, before it is drawn."""
    from matplotlib.backend_bases import FigureCanvasBase

    endings = sorted(FigureCanvasBase.get_supported_filetypes())
    if output.suffix.lower().removeprefix(".") not in endings:
        raise InputError(
            f"--output: expected a name that ends in one of .{', .'.join(endings)}; "
            f"received {output}"
        )
    if output.is_dir() or not output.parent.is_dir():
        found = "a folder" if output.is_dir() else f"there is no {output.parent}"
        raise InputError(
            f"--output: expected a file that can be written; {output}: {found}"
        )


def _configured(config: Path | None, settings: Sequence[str]) -> "TransformConfig":
    from pydantic import ValidationError

    from dlkeras.pipeline.configuration.config import (
        TransformConfig,
        describe,
        load_config,
    )

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
    from dlkeras.pipeline.examples.decoding import decode_image, read_image_file

    try:
        return decode_image(read_image_file(path)).pixels
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"IMAGE: expected an image file; {path}: {reason}") from error
