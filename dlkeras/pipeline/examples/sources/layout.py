"""How an image folder is laid out: which folder is the class, which the split."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dlkeras.pipeline.examples.sources.source import printable, split_name
from dlkeras.pipeline.store.errors import InputError

FLAG = "--example-gen.image-folder"
# So few images may lie beside the others; more of them are a question to the user.
HANDFUL = 5
MAX_NAMED = 8
NO_CLASS = "in no class folder"
FLAT = "in a split without class folders"


@dataclass(frozen=True)
class Layout:
    """Where in a path its class and its split are.

    Attributes:
        label: the place of the class among the path's folders.
        split: the place of the split; None where the folders name none.
        splits: the split that each name stands for.
    """

    label: int
    split: int | None
    splits: dict[str, str]

    def place(self, folders: Sequence[str]) -> tuple[str, str] | str:
        """The split ("" for none) and class of an image, or why it has none."""
        if self.split is not None:
            name = folders[self.split] if len(folders) > self.split else ""
            if name and name not in self.splits:
                flat = split_name(name) is not None
                return FLAT if flat else "in a folder beside the splits"
        if len(folders) <= self.label:
            return NO_CLASS
        split = "" if self.split is None else self.splits[folders[self.split]]
        return split, folders[self.label]


def find_layout(folders: Sequence[Sequence[str]], layout: str, name: str) -> Layout:
    """Tell the layout from the folders that images lie in.

    Folders below the class's are part of the class, as Keras reads them.

    Args:
        folders: for each image the folders on the way to it.
        layout: "auto"; "classes": the top folders are classes; or "splits".
        name: what to call the folder in an error.

    Raises:
        InputError: the layout is not plain; the line says what was seen, and which flag
            decides.
    """
    tops = {way[0] for way in folders if way}
    inner = _names(folders, 1) or (layout == "splits" and _names(folders, 1, 0))
    # DATA/train/CLASS/IMAGE
    first = int(len(tops) == 1 and not _names(folders, 0) and bool(inner))
    if layout == "classes":
        return Layout(0, None, {})
    splits = _names(folders, first)
    given = set(splits.values())
    beside = [
        way
        for way in folders
        if len(way) > first and way[first] not in splits and not split_name(way[first])
    ]
    if layout == "splits":
        if "train" not in given:
            raise InputError(
                f"--example-gen.layout splits: expected {name}/train/CLASS/IMAGE; it "
                f"has {_seen(folders)}"
            )
        return Layout(first + 1, first, splits)
    if not splits:
        return _classes_first(folders) or Layout(0, None, {})
    if "train" in given and len(beside) <= HANDFUL * (len(given) > 1):
        return Layout(first + 1, first, splits)
    raise InputError(
        f"{FLAG}: expected {name} as CLASS/IMAGE or as train/CLASS/IMAGE with val/ and "
        f"test/; it has {_seen(folders)}: say what its top folders are, with "
        "--example-gen.layout splits (others are left out) or --example-gen.layout "
        "classes"
    )


def _names(
    folders: Sequence[Sequence[str]], place: int, below: int = 1
) -> dict[str, str]:
    """The names of splits at a place of the paths, with folders of classes below."""
    found = {way[place] for way in folders if len(way) > place + below}
    splits = {name: split_name(name) for name in found}
    return {name: split for name, split in splits.items() if split is not None}


def _classes_first(folders: Sequence[Sequence[str]]) -> Layout | None:
    """CLASS/SPLIT/IMAGE, where every image lies so."""
    splits = _names(folders, 1, 0)
    inside = all(len(way) < 1 or (len(way) > 1 and way[1] in splits) for way in folders)
    return Layout(0, 1, splits) if inside and "train" in splits.values() else None


def _seen(folders: Sequence[Sequence[str]]) -> str:
    """Say the top folders, how many images each has, and how deep they lie."""
    numbers = Counter(way[0] for way in folders if way)
    deep: dict[str, set[int]] = {}
    for way in folders:
        if way:
            deep.setdefault(way[0], set()).add(len(way) - 1)
    lines = [
        f"{printable(top)}/ ({number:,} images, "
        + " and ".join(map(str, sorted(deep[top])[:3]))
        + " folders below)"
        for top, number in sorted(numbers.items())[:MAX_NAMED]
    ]
    more = len(numbers) - MAX_NAMED
    return ", ".join(lines) + (f" and {more:,} more" if more > 0 else "")
