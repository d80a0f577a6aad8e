"""The same image in several classes: at least one of its labels is wrong."""

from typing import Any


def contradictions(table: Any) -> list[list[tuple[str, str]]]:
    """Find images that are in more than one class.

    Args:
        table: the rows of the examples, with `id`, `label` and `sha256`.

    Returns:
        For each such image the (id, label) of its copies.

    Example:
    >>> import pandas as pd
    >>> rows = [("a.png", "cat", "1"), ("b.png", "dog", "1"), ("c.png", "dog", "2")]
    >>> contradictions(pd.DataFrame(rows, columns=["id", "label", "sha256"]))
    [[('a.png', 'cat'), ('b.png', 'dog')]]
    """
    copies = table[table.duplicated("sha256", keep=False)]
    return [
        sorted(zip(same.id, same.label, strict=True))
        for _, same in copies.groupby("sha256", sort=True)
        if same.label.nunique() > 1
    ]
