"""`dlkeras predict`: the classes of images, as a pushed model sees them."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

HELP = "classify images with a pushed model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a registered name, name@alias, name/version, or a .keras file",
    )
    parser.add_argument(
        "images",
        metavar="IMAGE",
        nargs="+",
        type=Path,
        help="files, or folders of them",
    )
    parser.add_argument(
        "--invert", action="store_true", help="dark on light: invert the grey levels"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--csv",
        metavar="FILE",
        type=Path,
        help="write a table: the image, what is answered, the error",
    )


def run(options: argparse.Namespace) -> int:
    """Print a line for each image; unreadable files go to standard error.

    Returns:
        The exit code: 0; 1 where some images cannot be read; 2 where none can.
    """
    from dlkeras.pipeline.serving.answering import predict
    from dlkeras.pipeline.serving.tasks.registry import read_task, task_of
    from dlkeras.pipeline.tracking.pushed_model import load_pushed_model

    path, labels = load_pushed_model(
        options.model, options.tracking_uri, options.mlruns
    )
    task = read_task(path.parent)
    answers = predict(path, labels, options.images, invert=options.invert, task=task)
    if options.csv is not None:
        _write_table(options.csv, answers)
    unread = [answer for answer in answers if "error" in answer]
    for answer in unread:
        print(
            f"error: IMAGE: expected an image file; {answer['image']}: "
            f"{answer['error']}",
            file=sys.stderr,
        )
    if len(unread) == len(answers):
        return 2
    if options.csv is not None:
        print(f"{len(answers) - len(unread)} of {len(answers)} images: {options.csv}")
        return int(bool(unread))
    if options.json:
        print(json.dumps(answers, indent=2))
        return int(bool(unread))
    for answer in answers:
        if "error" in answer:
            continue
        words = task_of(task["task"]).answer_in_words(answer)
        print(f"{answer['image']}: {words}")
    return int(bool(unread))


def _write_table(file: Path, answers: list[dict[str, Any]]) -> None:
    from dlkeras.pipeline.serving.answer_table import write_table
    from dlkeras.pipeline.store.errors import InputError

    try:
        write_table(file, answers)
    except OSError as problem:
        raise InputError(
            f"--csv: expected a file that can be written; {file}: {problem.strerror}"
        ) from problem
