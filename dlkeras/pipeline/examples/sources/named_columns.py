"""Which column of a table is the path, the label, the split, the group."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlkeras.pipeline.store.errors import InputError
from dlkeras.untrusted.tables.numbered import NumberedTable

FLAG = "--example-gen.manifest"
ROLES = ("path", "label", "split", "group")
# The names that people give them, without case, spaces and underscores.
_USUAL = {
    "path": "path filename filenames filepath file imagepath imagefile imagename "
    "imageid image imgpath imgname img photo",
    "label": "label class classname labelname category target species",
    "split": "split subset set partition",
    "group": "group groupid",
}
_AN_IMAGE = re.compile(r"\.(png|jpe?g|tiff?|bmp|webp|gif)\b", re.IGNORECASE)


def with_role_names(
    manifest: Path, read: NumberedTable, columns: Mapping[str, str]
) -> Any:
    """Give the columns that mean path, label, split and group those names.

    Args:
        manifest: the table's file, for errors.
        read: the table.
        columns: which column is which, as the user has said.

    Returns:
        The table, its other columns under names that are none of these.

    Raises:
        InputError: a column is missing, or several may be meant.
    """
    table = read.table
    strangers = sorted(set(columns) - set(ROLES))
    if strangers:
        raise InputError(
            f"--example-gen.columns: expected {', '.join(ROLES)} before the sign =; "
            f"received {', '.join(strangers)}"
        )
    names = [str(name) for name in table]
    chosen: dict[str, int] = {}
    for role in ROLES:
        place = place_of(manifest, names, role, columns.get(role))
        if place is not None:
            chosen[role] = place
    missing = [role for role in ROLES[:2] if role not in chosen]
    if missing:
        raise InputError(_format_missing(manifest, names, read.left_out, missing))
    roles = {place: role for role, place in chosen.items()}
    renamed = [
        roles.get(place) or (f"{name} of the table" if name in chosen else name)
        for place, name in enumerate(names)
    ]
    return table.set_axis(renamed, axis=1)


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c not in " _-.")


def place_of(
    manifest: Path, names: list[str], role: str, said: str | None
) -> int | None:
    """The place of the column that has a role; None where there is none.

    Args:
        manifest: the table's file, for errors.
        names: of its columns.
        role: path, label, split or group.
        said: the column's name, where the user has said it.

    Raises:
        InputError: there is no column of that name, or several may be meant.
    """
    if said is not None:
        found = [n for n, name in enumerate(names) if name == said] or [
            n for n, name in enumerate(names) if _plain(name) == _plain(said)
        ]
        if len(found) != 1:
            raise InputError(
                f"--example-gen.columns {role}={said}: expected a column of "
                f"{manifest}, which has {', '.join(names)}"
            )
        return found[0]
    usual = _USUAL[role].split()
    for wanted in ([role], usual):
        found = [
            n
            for n, name in enumerate(names)
            if (name == role if wanted == [role] else _plain(name) in wanted)
        ]
        if len(found) == 1:
            return found[0]
        if len(found) > 1:
            several = " and ".join(names[n] for n in found)
            raise InputError(
                f"{FLAG}: expected one column for {role} in {manifest}; it has "
                f"{several}: say which with --example-gen.columns "
                f"{role}={names[found[0]]}"
            )
    return None


def _format_missing(
    manifest: Path, names: list[str], left_out: tuple[str, ...], missing: list[str]
) -> str:
    text = (
        f"{FLAG}: expected the columns path and label; {manifest} lacks "
        f"{' and '.join(missing)}, it has {', '.join(names)}"
    )
    lists = [name for name in left_out if _plain(name) in _USUAL["label"].split()]
    if lists and "label" in missing:
        return (
            f"{text}; {lists[0]} is a column of lists: "
            "an image has one label here (--example-gen.task multilabel: several)"
        )
    if any(map(_AN_IMAGE.search, names)):
        return f"{text}; its first line must name the columns: path,label"
    wanted = ",".join(f"{role}=NAME" for role in missing)
    return f"{text} (--example-gen.columns {wanted})"
