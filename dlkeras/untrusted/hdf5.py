"""HDF5 files of weights: their arrays are found by walking objects, each one once.

Links make a graph of an HDF5 file: forty groups that are linked twice have 2**40 paths.
"""

from collections.abc import Iterator
from typing import Any

import h5py

from dlkeras.untrusted.gate import UntrustedFileError
from dlkeras.untrusted.torch_pickle import printable

# Keras makes two groups and two arrays of a layer: EfficientNetV2-L has 4,000 objects.
_MOST_OBJECTS = 20_000


def datasets(file: Any) -> Iterator[tuple[str, Any]]:
    """Give the arrays of an open file with their paths.

    Args:
        file: an `h5py.File`.

    Yields:
        The path and the `h5py.Dataset` of each array of numbers.

    Raises:
        UntrustedFileError: something in it lies in another file, has two names, or is
            not an array of numbers that lie unpacked in a row, as Keras writes them;
            or there are too many parts, or more numbers than the file has room for.
    """
    left = file.id.get_filesize()
    seen = {_address(file)}
    waiting = [("", file)]
    while waiting:
        prefix, group = waiting.pop()
        for name in group:
            path = f"{prefix}{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise UntrustedFileError(
                    f"its entry {printable(path)!r} is a link to somewhere else"
                )
            entry = group[name]
            address = _address(entry)
            if address in seen:
                raise UntrustedFileError(
                    f"its entry {printable(path)!r} has a second name"
                )
            seen.add(address)
            if len(seen) > _MOST_OBJECTS:
                raise UntrustedFileError(f"it has more than {_MOST_OBJECTS:,} entries")
            if isinstance(entry, h5py.Group):
                waiting.append((f"{path}/", entry))
                continue
            if not isinstance(entry, h5py.Dataset):
                raise UntrustedFileError(f"its entry {printable(path)!r} is no array")
            if entry.external or entry.is_virtual:
                raise UntrustedFileError(
                    f"the numbers of {printable(path)!r} lie in another file"
                )
            if entry.dtype.kind not in "fiub" and entry.dtype != "V2":  # V2: bfloat16
                raise UntrustedFileError(
                    f"{printable(path)!r} has values of type {entry.dtype.kind!r}, "
                    "where numbers are expected"
                )
            if entry.id.get_create_plist().get_nfilters() or entry.chunks is not None:
                raise UntrustedFileError(
                    f"{printable(path)!r} is packed or cut into chunks; Keras writes "
                    "neither"
                )
            size = entry.size * entry.dtype.itemsize
            left -= size
            if left < 0 or entry.id.get_storage_size() < size:
                raise UntrustedFileError(
                    f"{printable(path)!r} claims more numbers than the file has"
                )
            yield path, entry


def _address(entry: Any) -> tuple[int, int]:
    known = h5py.h5o.get_info(entry.id)
    return known.fileno, known.addr
