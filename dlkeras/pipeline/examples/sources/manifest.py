"""A manifest: a CSV or Parquet table of paths and labels, with splits and groups."""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from dlkeras.pipeline.errors import InputError, reason
from dlkeras.pipeline.examples.sources.source import (
    SPLIT_NAMES,
    Problem,
    SourceExample,
    printable,
)
from dlkeras.untrusted.gate import UntrustedFileError
from dlkeras.untrusted.images import read_image_file
from dlkeras.untrusted.tables import read_table

FLAG = "--example-gen.manifest"
COLUMNS = ("path", "label", "split", "group")
MAX_NAMED = 5


class ManifestSource:
    """The images that a table names: columns `path`, `label`, and maybe more.

    A path is relative to the table's folder and stays inside it. `split` is train,
    validation or test. All examples of one `group` (a patient, a film, a camera) go to
    one split. The examples are gone through in the order of a hash of their paths.
    Any other column is metadata, by which the evaluator can slice.

    Args:
        manifest: a .csv or .parquet file.

    Raises:
        InputError: the table cannot be read, lacks a column, has fewer than two
            labels, or puts a group into two splits.
    """

    def __init__(self, manifest: Path):
        table = _read(manifest)
        missing = [name for name in COLUMNS[:2] if name not in table]
        if missing:
            raise InputError(
                f"{FLAG}: expected the columns path and label; {manifest} lacks "
                f"{' and '.join(missing)}, it has {', '.join(map(str, table))}"
            )
        self._root = os.path.realpath(manifest.parent)
        self.description = f"manifest {manifest.name}"
        self.ignored: list[str] = []
        self.metadata = _metadata(table)
        table = table.assign(row=range(2, len(table) + 2))
        for name in COLUMNS:
            if name in table:
                table[name] = table[name].astype("string").str.strip()
        self._has_groups = "group" in table
        if "split" in table:
            table["split"] = table["split"].str.lower().map(SPLIT_NAMES)
            self.splits = frozenset(table["split"].dropna())
            if self._has_groups:
                _check_groups(manifest, table)
        else:
            self.splits = frozenset()
        labels = sorted(table["label"].dropna().replace("", None).dropna().unique())
        if len(labels) < 2:
            raise InputError(
                f"{FLAG}: expected at least two labels in {manifest}; found "
                f"{labels or 'none'}"
            )
        self.labels = tuple(labels)
        self._numbers = {label: number for number, label in enumerate(labels)}
        table["twice"] = table["path"].duplicated()
        order = [
            hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).digest()
            for path in table["path"]
        ]
        numbers = sorted(range(len(table)), key=lambda number: order[number])
        self._table = table.iloc[numbers]

    def __len__(self) -> int:
        return len(self._table)

    def examples(
        self, start: int = 0, stop: int | None = None
    ) -> Iterator[SourceExample | Problem]:
        """Go through the rows in the order of a hash of their paths."""
        part = self._table.iloc[start:stop]
        columns = [part[name] for name in part.columns]
        for values in zip(*columns, strict=True):
            row = dict(zip(part.columns, values, strict=True))
            problem = self._problem(row)
            if problem is not None:
                yield Problem(
                    f"row {row['row']} ({printable(str(row['path']))})", problem
                )
                continue
            yield SourceExample(
                id=printable(row["path"]),
                split=row["split"] if self.splits else None,
                label=self._numbers[row["label"]],
                read=partial(read_image_file, Path(self._root, row["path"])),
                group=row["group"] if self._has_groups else None,
            )

    def _problem(self, row: dict[str, Any]) -> str | None:
        """Say what is wrong with a row of the table, if anything is."""
        path = row["path"]
        if not isinstance(path, str) or not path:
            return "expected a path; it is empty"
        if row["twice"]:
            return "the path stands in the table twice"
        if not isinstance(row["label"], str) or not row["label"]:
            return "expected a label; it is empty"
        if self.splits and not isinstance(row["split"], str):
            return "expected the split train, validation or test"
        if self._has_groups and (not isinstance(row["group"], str) or not row["group"]):
            return "expected a group; it is empty"
        try:
            file = os.path.realpath(os.path.join(self._root, path))
            if os.path.commonpath([self._root, file]) != self._root:
                return "expected a path inside the table's folder"
            if not stat.S_ISREG(os.stat(file).st_mode):
                return "not a regular file"
        except FileNotFoundError:
            return "no such file"
        except (OSError, ValueError) as error:
            return getattr(error, "strerror", None) or reason(error)
        return None


def named_files(manifest: Path) -> list[str]:
    """The files that a table names, as it names them.

    Raises:
        InputError: the table cannot be read.
    """
    table = _read(manifest)
    paths = table.get("path", [])
    return sorted({str(path).strip() for path in paths})


def _read(manifest: Path) -> Any:
    try:
        return read_table(manifest)
    except UntrustedFileError as error:
        raise InputError(f"{FLAG}: {error}") from error
    except OSError as error:
        raise InputError(
            f"{FLAG}: expected a table in CSV (UTF-8) or Parquet; {manifest}: "
            f"{error.strerror}"
        ) from error


def metadata_columns(manifest: Path) -> list[str]:
    """Names of the columns of a table by which the evaluator can slice.

    Raises:
        InputError: the table cannot be read.
    """
    return _described(_read(manifest))


def _described(table: Any) -> list[str]:
    return [str(name) for name in table if name not in (*COLUMNS[:3], "id")]


def _metadata(table: Any) -> Any:
    """The columns beside path, label and split, with the examples' ids, or None."""
    import pandas as pd

    names = _described(table)
    if not names:
        return None
    found = table[names].copy()
    found.insert(0, "id", [printable(str(path).strip()) for path in table["path"]])
    for name in names:
        with contextlib.suppress(ValueError, TypeError):  # a CSV's numbers are text
            blank = found[name].astype("string").str.fullmatch(r"\s*").fillna(True)
            found[name] = pd.to_numeric(found[name].mask(blank.astype(bool)))
    return found.drop_duplicates("id")


def _check_groups(manifest: Path, table: Any) -> None:
    spread = table.groupby("group")["split"].nunique()
    torn = list(spread[spread > 1].index)
    if torn:
        more = ", ..." if len(torn) > MAX_NAMED else ""
        raise InputError(
            f"{FLAG}: expected every group in one split; {len(torn)} groups of "
            f"{manifest} stand in several: {', '.join(torn[:MAX_NAMED])}{more}"
        )
