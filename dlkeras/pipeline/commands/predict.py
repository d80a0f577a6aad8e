"""`dlkeras predict`: the classes of images, as a pushed model sees them."""

import argparse
import csv
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
    """Print a line for each image, and one on standard error for what cannot be read.

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
    """Write a row for each image; of one that cannot be read, why."""
    from dlkeras.pipeline.store.errors import InputError

    rows = [_cells(answer) for answer in answers]
    names = max(rows, key=len, default={})
    try:
        with file.open("w", newline="", encoding="utf-8") as opened:
            table = csv.DictWriter(opened, ["image", *names, "error"], restval="")
            table.writeheader()
            for answer, row in zip(answers, rows, strict=True):
                error = answer.get("error", "")
                table.writerow({"image": answer["image"], **row, "error": error})
    except OSError as problem:
        raise InputError(
            f"--csv: expected a file that can be written; {file}: {problem.strerror}"
        ) from problem


def _cells(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer's columns: the likeliest classes, all labels, or a number."""
    if "top" in answer:
        return {
            f"{name}_{place}" if place > 1 else name: value
            for place, given in enumerate(answer["top"], 1)
            for name, value in given.items()
        }
    if "labels" in answer:
        given = answer["probabilities"].items()
        each = {f"probability of {name}": value for name, value in given}
        return {"labels": "|".join(answer["labels"]), **each}
    return {answer["name"]: answer["value"]} if "value" in answer else {}
