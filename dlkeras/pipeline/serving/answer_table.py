"""Answers as a table: a row for each image, and why one cannot be read."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def write_table(file: Path, answers: Iterable[Mapping[str, Any]]) -> None:
    """Write a row for each image, in CSV; of one that cannot be read, why.

    Args:
        file: where to.
        answers: from `predict`.

    Raises:
        OSError: the file cannot be written.
    """
    answers = list(answers)
    rows = [cells(answer) for answer in answers]
    names = max(rows, key=len, default={})
    with file.open("w", newline="", encoding="utf-8") as opened:
        table = csv.DictWriter(opened, ["image", *names, "error"], restval="")
        table.writeheader()
        for answer, row in zip(answers, rows, strict=True):
            error = answer.get("error", "")
            table.writerow({"image": answer["image"], **row, "error": error})


def cells(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer's columns: the likeliest classes, all labels, or a number.

    >>> list(cells({"top": [{"label": "cat", "probability": 0.4}], "unsure": True}))
    ['label', 'probability', 'unsure']
    """
    if "top" in answer:
        found = {
            f"{name}_{place}" if place > 1 else name: value
            for place, given in enumerate(answer["top"], 1)
            for name, value in given.items()
        }
        return found | ({"unsure": answer["unsure"]} if "unsure" in answer else {})
    if "labels" in answer:
        given = answer["probabilities"].items()
        each = {f"probability of {name}": value for name, value in given}
        return {"labels": "|".join(answer["labels"]), **each}
    return {answer["name"]: answer["value"]} if "value" in answer else {}
