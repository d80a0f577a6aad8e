"""The labels in the cells of a table: a class, several classes, or a number."""

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dlkeras.pipeline.examples.labels import label_name
from dlkeras.pipeline.examples.sources.label_kinds import SEPARATOR, Label
from dlkeras.pipeline.examples.sources.named_columns import ROLES, place_of
from dlkeras.pipeline.examples.sources.source import printable
from dlkeras.pipeline.store.errors import InputError, reason
from dlkeras.untrusted.tables.numbered import NumberedTable

# What joins the labels of a cell: the first of these that is in the column.
SEPARATORS = SEPARATOR + ";,"
MAX_LIST = 10_000
_BINARY = {"0": False, "1": True, "false": False, "true": True}


class CellLabels(NamedTuple):
    """The labels of a table.

    Attributes:
        names: of the classes, or of the number.
        values: the label of each row; None where it has none.
        problems: what is wrong with each row's label; None where nothing is.
    """

    names: tuple[str, ...]
    values: list[Label | None]
    problems: list[str | None]


def cell_labels(task: str, name: str, cells: Sequence[Any]) -> CellLabels:
    """Read the labels of a column.

    Args:
        task: "classification", "multilabel" or "regression".
        name: the column's name, which a number is called by.
        cells: texts, None for an empty one; of several labels maybe lists.

    Example:
    >>> cell_labels("multilabel", "label", ["dog|cat", "cat", None]).values
    [(0, 1), (0,), ()]
    >>> cell_labels("regression", "age", ["1.5", "inf"]).problems
    [None, "expected a finite number in age; received 'inf'"]
    """
    if task == "regression":
        return _numbers(name, cells)
    if task == "multilabel":
        return _several(cells)
    named = [cell and printable(label_name(cell)) for cell in cells]
    names = tuple(sorted({label for label in named if label}))
    numbers = {label: number for number, label in enumerate(names)}
    empty = "expected a label; it is empty"
    return CellLabels(
        names,
        [numbers[label] if label else None for label in named],
        [None if label else empty for label in named],
    )


def _numbers(name: str, cells: Sequence[Any]) -> CellLabels:
    values: list[Label | None] = []
    problems: list[str | None] = []
    for cell in cells:
        try:
            values.append(_number(cell or ""))
            problems.append(None)
        except ValueError as error:
            values.append(None)
            problems.append(f"expected a {reason(error)} in {name}; received {cell!r}")
    return CellLabels((printable(name),), values, problems)


def _number(text: str) -> float:
    try:
        value = float(text.replace("_", "no number"))
    except ValueError:
        raise ValueError("number") from None
    if not abs(value) <= float(np.finfo("float32").max):
        raise ValueError("finite number")
    return float(np.float32(value))  # as it is kept


def _several(cells: Sequence[Any]) -> CellLabels:
    texts = [cell for cell in cells if isinstance(cell, str) and cell[:1] != "["]
    separator = next((s for s in SEPARATORS if any(s in t for t in texts)), SEPARATOR)
    found: list[set[str] | ValueError] = []
    for cell in cells:
        try:
            parts = _parts(cell, separator)
        except ValueError as error:
            found.append(error)
            continue
        named = (printable(label_name(part)) for part in parts)
        # It joins the labels of a row in the tables that the pipeline writes.
        found.append({name.replace(SEPARATOR, "/") for name in named} - {""})
    names = sorted({n for labels in found if isinstance(labels, set) for n in labels})
    numbers = {label: number for number, label in enumerate(names)}
    return CellLabels(
        tuple(names),
        [
            tuple(sorted(numbers[name] for name in labels))
            if isinstance(labels, set)
            else None
            for labels in found
        ],
        [str(labels) if isinstance(labels, ValueError) else None for labels in found],
    )


def _parts(cell: Any, separator: str) -> list[str]:
    """The labels that a cell names; an empty one names none."""
    if cell is None:
        return []
    if isinstance(cell, ValueError):
        raise cell
    if isinstance(cell, str) and cell[:1] == "[":
        why = f"expected a list of labels, as ['cat', 'dog']; received {cell[:40]!r}"
        try:
            cell = ast.literal_eval(cell[:MAX_LIST])
        except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
            raise ValueError(why) from error
        if not isinstance(cell, list):
            raise ValueError(why)
    if isinstance(cell, str):
        return cell.split(separator)
    return [str(part) for part in cell if part is not None]


def with_one_label_column(
    manifest: Path, read: NumberedTable, columns: Mapping[str, str]
) -> tuple[NumberedTable, Mapping[str, str]]:
    """Put columns of 0 and 1, one for each class, together into one of lists.

    They are the ones that `label=cat|dog` names; or, in a table that has no column of
    labels, all that hold 0 and 1 alone and are no path, split or group.

    Args:
        manifest: the table's file, for errors.
        read: the table.
        columns: which column is which, as the user has said.

    Returns:
        The table and the columns as they are then.

    Raises:
        InputError: a column that is named is not there.
    """
    table, said = read.table, columns.get("label", "")
    names = [str(name) for name in table]
    if SEPARATOR in said:
        chosen = [part.strip() for part in said.split(SEPARATOR)]
        if missing := [name for name in chosen if name not in names]:
            raise InputError(
                f"--example-gen.columns label={said}: expected columns of {manifest}, "
                f"which has {', '.join(names)}; it lacks {', '.join(missing)}"
            )
    elif said or place_of(manifest, names, "label", None) is not None:
        return read, columns
    else:
        roles = {
            place_of(manifest, names, role, columns.get(role))
            for role in ROLES
            if role != "label"
        }
        chosen = [
            name
            for place, name in enumerate(names)
            if place not in roles and _is_binary(table.iloc[:, place])
        ]
        if len(chosen) < 2:
            return read, columns  # whose error says what is missing
    marks = {
        name: [_binary(cell) for cell in table.iloc[:, names.index(name)]]
        for name in chosen
    }
    labels: list[Any] = []
    for row in zip(*marks.values(), strict=True):
        wrong = [name for name, mark in zip(marks, row, strict=True) if mark is None]
        labels.append(
            ValueError(f"expected 0 or 1 in {', '.join(wrong[:5])}")
            if wrong
            else [name for name, mark in zip(marks, row, strict=True) if mark]
        )
    import pandas as pd

    rest = table.iloc[:, [n for n, name in enumerate(names) if name not in marks]]
    rest = rest.assign(label=pd.Series(labels, index=rest.index, dtype=object))
    others = {role: name for role, name in columns.items() if role != "label"}
    return read._replace(table=rest), {**others, "label": "label"}


def _binary(cell: Any) -> bool | None:
    """Whether a cell says 1; None where it says neither 0 nor 1."""
    return _BINARY.get(str(cell).strip().lower().removesuffix(".0"))


def _is_binary(column: Any) -> bool:
    """Whether nothing but 0 and 1 is in a column, or nothing at all."""
    cells = [cell for cell in column.dropna().unique() if str(cell).strip()]
    return bool(cells) and None not in map(_binary, cells)
