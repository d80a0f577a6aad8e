"""The command `dlkeras predict`: what a pushed model says of image files."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from dlkeras.pipeline.serving.answering import predict
from dlkeras.pipeline.tracking.pushed_model import load_pushed_model


def print_predictions(
    model: str,
    images: Sequence[Path],
    tracking_uri: str | None,
    mlruns: Path,
    *,
    invert: bool = False,
    as_json: bool = False,
) -> int:
    """Print a line for each image, and one on standard error for what cannot be read.

    Args:
        model: a registered name, `name@alias`, `name/version`, or a `.keras` file.
        images: files, or folders of them.
        tracking_uri: the MLflow server or database.
        mlruns: folder of the runs.
        invert: take 255 minus each pixel.
        as_json: print JSON instead.

    Returns:
        The exit code: 0; 1 where some images cannot be read; 2 where none can.
    """
    path, labels = load_pushed_model(model, tracking_uri, mlruns)
    answers = predict(path, labels, images, invert=invert)
    unread = [answer for answer in answers if "error" in answer]
    for answer in unread:
        print(
            f"error: IMAGE: expected an image file; {answer['image']}: "
            f"{answer['error']}",
            file=sys.stderr,
        )
    if len(unread) == len(answers):
        return 2
    if as_json:
        print(json.dumps(answers, indent=2))
        return int(bool(unread))
    for answer in answers:
        if "error" in answer:
            continue
        top = ", ".join(f"{p['label']} {p['probability']:.3f}" for p in answer["top"])
        best = answer["top"][0]
        print(
            f"{answer['image']}: {best['label']}, probability "
            f"{best['probability']:.3f} (top {len(answer['top'])}: {top})"
        )
    return int(bool(unread))
