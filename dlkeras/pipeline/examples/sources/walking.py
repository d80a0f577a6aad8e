"""Going through a folder with the folders that links lead to, and without loops."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from dlkeras.pipeline.store.errors import InputError

# Links double the ways at each of their levels; people make a few to a folder.
MAX_WAYS = 16


def walk(
    folder: Path,
    flag: str,
    on_loop: Callable[[str], None] | None = None,
    on_error: Callable[[OSError], None] | None = None,
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Go through a folder as `os.walk` does, links to folders included.

    Args:
        folder: where to begin.
        flag: which flag names the folder, for the error.
        on_loop: is told the path of a link that leads back to a folder it lies in;
            such a link is not followed.
        on_error: is told of a folder that cannot be read.

    Returns:
        An iterator of (folder, names of folders, names of files); names taken out of
        the folders are not gone into.

    Raises:
        InputError: links lead to one folder by more than 16 ways.
    """
    # The folders on the way to each, itself the last: by what they are, not their path.
    way: tuple[tuple[int, int], ...] = ()
    for above in reversed(Path(os.path.realpath(folder)).parents):
        way = _way(way, above)  # a link to one of them leads back here
    ways = {os.fspath(folder): _way(way, folder)}
    visits: Counter[tuple[int, int]] = Counter()
    for place, folders, names in os.walk(folder, onerror=on_error, followlinks=True):
        way = ways.pop(place)
        visits[way[-1]] += 1
        if visits[way[-1]] > MAX_WAYS:
            raise InputError(
                f"{flag}: expected at most {MAX_WAYS} ways to a folder below {folder}; "
                f"links lead to {os.path.realpath(place)!r} by more: take some out"
            )
        for name in list(folders):
            path = os.path.join(place, name)
            longer = _way(way, path)
            if longer[-1] in way:
                folders.remove(name)
                if on_loop is not None:
                    on_loop(path)
            else:
                ways[path] = longer
        yield place, folders, names


def _way(
    way: tuple[tuple[int, int], ...], path: str | Path
) -> tuple[tuple[int, int], ...]:
    try:
        status = os.stat(path)
    except OSError:  # `os.walk` comes to it, and says so
        return (*way, (-1, len(way)))
    return (*way, (status.st_dev, status.st_ino))
