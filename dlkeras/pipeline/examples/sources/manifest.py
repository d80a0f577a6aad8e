"""A manifest: a table of paths and labels, with splits and groups if it has any."""

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dlkeras.pipeline.examples.sources.label_cells import (
    cell_labels,
    with_one_label_column,
)
from dlkeras.pipeline.examples.sources.label_kinds import TaskName, classes_of
from dlkeras.pipeline.examples.sources.named_columns import ROLES, with_role_names
from dlkeras.pipeline.examples.sources.named_files import FileFinder, plain_path
from dlkeras.pipeline.examples.sources.source import (
    Ignored,
    Problem,
    SourceExample,
    printable,
    split_name,
)
from dlkeras.pipeline.store.errors import InputError
from dlkeras.untrusted.gate import UntrustedFileError
from dlkeras.untrusted.images import read_image_file
from dlkeras.untrusted.tables.numbered import NumberedTable
from dlkeras.untrusted.tables.reading import read_numbered_table

FLAG = "--example-gen.manifest"
MAX_NAMED = 5


class ManifestSource:
    """The images that a table names: columns `path`, `label`, and maybe more.

    A path is relative to the table's folder, or to the one that is named for it, and
    stays inside it. `split` is train, validation or test. All examples of one `group`
    (a patient, a film, a camera) go to one split. The examples are gone through in the
    order of a hash of their paths. Any other column is metadata, by which the evaluator
    can slice.

    Several labels of an image are a cell `cat|dog`, a list, or a column of 0 and 1 for
    each class; a number is a cell.

    Args:
        manifest: the table.
        columns: which column is which, by `path`, `label`, `split` and `group`; the
            usual names are known.
        image_root: the folder that paths are relative to; default: the table's.
        task: what a label is.

    Raises:
        InputError: the table cannot be read, lacks a column, has fewer labels than two
            (or than one, of several an image), or puts a group into two splits.
    """

    def __init__(
        self,
        manifest: Path,
        columns: Mapping[str, str] | None = None,
        image_root: Path | None = None,
        task: TaskName = "classification",
    ):
        read, table = _opened(manifest, columns, task)
        self._files = _finder(manifest, image_root)
        self.description = f"manifest {manifest.name}"
        self.ignored: list[Ignored] = []
        self.metadata = _metadata(table)
        # What is made of the user's columns is kept apart: any name may be one of his.
        rows: dict[str, list[Any]] = {"number": read.numbers}
        for name in ROLES:
            rows[name] = _texts(table[name]) if name in table else [None] * len(table)
        place = list(table).index("label")
        found = cell_labels(task, str(read.table.columns[place]), rows["label"])
        rows["label"], rows["wrong"] = found.values, found.problems
        rows["id"] = [printable(plain_path(path or "")) for path in rows["path"]]
        self._has_groups = "group" in table
        self.splits: frozenset[str] = frozenset()
        if "split" in table:
            rows["split"] = [split_name(split or "") for split in rows["split"]]
            self.splits = frozenset(split for split in rows["split"] if split)
            if self._has_groups:
                _check_groups(manifest, rows)
        self.labels, least = found.names, 2 if task == "classification" else 1
        if len(self.labels) < least:
            expected = "two labels" if least == 2 else "one label"
            raise InputError(
                f"{FLAG}: expected at least {expected} in {manifest}; found "
                f"{list(self.labels) or 'none'}"
            )
        seen: set[str] = set()
        rows["twice"] = [name in seen or seen.add(name) for name in rows["id"]]
        order = [hashlib.sha256(name.encode()).digest() for name in rows["id"]]
        self._order = sorted(range(len(order)), key=order.__getitem__)
        self._rows = rows
        self.label_counts = Counter(
            number
            for label, split in zip(rows["label"], rows["split"], strict=True)
            if label is not None and (not self.splits or split == "train")
            for number in classes_of(label)
        )

    def __len__(self) -> int:
        return len(self._order)

    def examples(
        self, start: int = 0, stop: int | None = None
    ) -> Iterator[SourceExample | Problem]:
        """Go through the rows in the order of a hash of their paths."""
        for place in self._order[start:stop]:
            row = {name: values[place] for name, values in self._rows.items()}
            found = self._file(row)
            if isinstance(found, Problem):
                yield found
                continue
            yield SourceExample(
                id=row["id"],
                split=row["split"] if self.splits else None,
                label=row["label"],
                read=partial(read_image_file, found),
                group=row["group"] if self._has_groups else None,
                file=found,
            )

    def _file(self, row: dict[str, Any]) -> str | Problem:
        """The file of a row, or what is wrong with the row."""
        problem = self._problem(row)
        if problem is None:
            try:
                return self._files.find(row["path"])
            except (OSError, ValueError) as error:
                problem = str(error)
        # Shown as it is written: a name may be anything.
        return Problem(f"row {row['number']} ({printable(row['path'] or '')})", problem)

    def _problem(self, row: dict[str, Any]) -> str | None:
        """Say what is wrong with the cells of a row, if anything is."""
        if not row["path"]:
            return "expected a path; it is empty"
        if row["twice"]:
            return f"the path stands in the table twice ({row['id']})"
        if row["wrong"]:
            return row["wrong"]
        if self.splits and not row["split"]:
            return "expected the split train, validation or test"
        if self._has_groups and not row["group"]:
            return "expected a group; it is empty"
        return None


def named_files(
    manifest: Path,
    columns: Mapping[str, str] | None = None,
    image_root: Path | None = None,
    task: TaskName = "classification",
) -> list[str]:
    """The files that a table names, where they are; else as it names them.

    Raises:
        InputError: the table cannot be read.
    """
    _, table = _opened(manifest, columns, task)
    finder, names = _finder(manifest, image_root), set()
    for path in _texts(table["path"]):
        try:
            names.add(os.path.relpath(finder.find(path or ""), manifest.parent))
        except (OSError, ValueError):
            names.add(path or "")
    return sorted(names)


def _finder(manifest: Path, image_root: Path | None) -> FileFinder:
    if image_root is not None and not image_root.is_dir():
        raise InputError(
            f"--example-gen.image-root: expected a folder; received {image_root}"
        )
    return FileFinder(image_root or manifest.parent, manifest.name)


def _texts(column: Any) -> list[Any]:
    """The cells of a column as text, lists as they are; None for a missing one."""
    if column.dtype == object and any(_is_list(cell) for cell in column):
        return [cell if _is_list(cell) or cell else None for cell in column]
    if column.dtype.kind == "f":  # whole numbers, and some are missing
        whole = column.dropna()
        finite = len(whole) and np.isfinite(whole).all()
        if finite and np.array_equal(whole, np.floor(whole)):
            column = column.astype("Int64")
    texts = column.astype("string").str.strip()
    return [
        None if missing else str(text)
        for text, missing in zip(texts, texts.isna(), strict=True)
    ]


def _is_list(cell: Any) -> bool:
    # What is wrong with a cell takes the place of its list.
    return isinstance(cell, list | np.ndarray | ValueError)


def _opened(
    manifest: Path, columns: Mapping[str, str] | None, task: TaskName
) -> tuple[NumberedTable, Any]:
    """A table as it is read, and with the names of the columns' roles."""
    read, said = _read(manifest, lists=task == "multilabel"), columns or {}
    if task == "multilabel":
        read, said = with_one_label_column(manifest, read, said)
    return read, with_role_names(manifest, read, said)


def _read(manifest: Path, lists: bool = False) -> NumberedTable:
    try:
        return read_numbered_table(manifest, lists)
    except UntrustedFileError as error:
        raise InputError(f"{FLAG}: {error}") from error
    except OSError as error:
        raise InputError(
            f"{FLAG}: expected a table in CSV, Parquet, Excel or JSON lines; "
            f"{manifest}: {error.strerror}"
        ) from error


def metadata_columns(
    manifest: Path,
    columns: Mapping[str, str] | None = None,
    task: TaskName = "classification",
) -> list[str]:
    """Names of the columns of a table by which the evaluator can slice.

    Raises:
        InputError: the table cannot be read.
    """
    return _described(_opened(manifest, columns, task)[1])


def _described(table: Any) -> list[str]:
    return [str(name) for name in table if name not in (*ROLES[:3], "id")]


def _metadata(table: Any) -> Any:
    """The columns beside path, label and split, with the examples' ids, or None."""
    import pandas as pd

    names = _described(table)
    if not names:
        return None
    found = table[names].copy()
    paths = [path or "" for path in _texts(table["path"])]
    found.insert(0, "id", [printable(plain_path(path)) for path in paths])
    for name in names:
        with contextlib.suppress(ValueError, TypeError):  # a CSV's numbers are text
            blank = found[name].astype("string").str.fullmatch(r"\s*").fillna(True)
            found[name] = pd.to_numeric(found[name].mask(blank.astype(bool)))
    return found.drop_duplicates("id")


def _check_groups(manifest: Path, rows: Mapping[str, list[Any]]) -> None:
    splits: dict[str, set[str]] = {}
    for group, split in zip(rows["group"], rows["split"], strict=True):
        if group and split:
            splits.setdefault(group, set()).add(split)
    torn = [group for group, found in sorted(splits.items()) if len(found) > 1]
    if torn:
        more = ", ..." if len(torn) > MAX_NAMED else ""
        raise InputError(
            f"{FLAG}: expected every group in one split; {len(torn)} groups of "
            f"{manifest} stand in several: {', '.join(torn[:MAX_NAMED])}{more}"
        )
