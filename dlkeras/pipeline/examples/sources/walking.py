"""Going through a folder with the folders that links lead to, and without loops."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path


def walk(
    folder: Path,
    on_loop: Callable[[str], None] | None = None,
    on_error: Callable[[OSError], None] | None = None,
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Go through a folder as `os.walk` does, links to folders included.

    Args:
        folder: where to begin.
        on_loop: is told the path of a link that leads back to a folder it lies in;
            such a link is not followed.
        on_error: is told of a folder that cannot be read.

    Returns:
        An iterator of (folder, names of folders, names of files); names taken out of
        the folders are not gone into.
    """
    # The real folders on the way to each.
    ways = {os.fspath(folder): {os.path.realpath(folder)}}
    for place, folders, names in os.walk(folder, onerror=on_error, followlinks=True):
        way = ways.pop(place)
        for name in list(folders):
            path = os.path.join(place, name)
            real = os.path.realpath(path)
            if real in way:
                folders.remove(name)
                if on_loop is not None:
                    on_loop(path)
            else:
                ways[path] = way | {real}
        yield place, folders, names
