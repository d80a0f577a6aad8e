"""Weight files of PyTorch and safetensors, read with numpy; no code in them runs."""

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from dlkeras.untrusted.gate import (
    Budget,
    UntrustedFileError,
    file_size,
    open_regular,
)
from dlkeras.untrusted.torch_pickle import Global, printable, read_pickle, str_of
from dlkeras.untrusted.zips import StoredZip, is_zip, open_stored

# Number types by their names in the two formats; bfloat16 is read as its 16 bits.
_TORCH_TYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}
_SAFETENSORS_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "bfloat16",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
    "U8": "<u1",
    "BOOL": "?",
}

# As training scripts save checkpoints; what data-parallel training, torch.compile and
# Lightning put before every name.
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.", "model.")

# Names and shapes alone: those of ResNet-152 take 100 kilobytes.
_LARGEST_LIST = 2**22
_MOST_DIMENSIONS = 32
# What all arrays of a file may take: bfloat16 doubles, a storage and its array are two
# copies, and tied weights are one storage in several arrays.
_MEMORY_PER_BYTE = 8
_SLACK = 2**24


class WeightFileError(UntrustedFileError):
    """A weight file is corrupt, or holds something other than arrays."""


def read_weight_file(path: str | Path) -> dict[str, np.ndarray]:
    """Read the arrays of a file of PyTorch or a `.safetensors` file by name.

    A PyTorch file holds a pickle, which may ask for any function to be called. Here
    it can ask for arrays and dictionaries and for nothing else, so that a hostile
    file is refused and PyTorch is not needed. All arrays together take at most eight
    times the file's size and 16 MiB.

    Args:
        path: The file.

    Returns:
        Arrays by the names of the state dict, `unwrapped`.

    Raises:
        FileNotFoundError: There is no such file.
        WeightFileError: The file is corrupt, of another format, or hostile; or it is
            a folder, a pipe or a device.
    """
    path = Path(path)
    read = _read_safetensors if path.suffix == ".safetensors" else _read_torch
    try:
        with open_weight_file(path) as file:
            arrays = read(path, file, weight_budget(path, file))
    except (WeightFileError, FileNotFoundError):
        raise
    except UntrustedFileError as error:
        named = str(error).startswith(str(path))
        raise WeightFileError(str(error) if named else f"{path}: {error}") from error
    except Exception as error:  # whatever a broken file makes a parser stumble over
        raise WeightFileError(
            f"{str(path)!r} is not a readable weight file "
            f"({type(error).__name__}: {printable(str(error), 200)})."
        ) from error
    return dict(unwrapped(arrays))


def unwrapped(content: Mapping) -> Mapping:
    """Return the state dict in a checkpoint, by the names of the network.

    Args:
        content: A state dict; or a dictionary that has one under `"state_dict"`,
            `"model_state_dict"` or `"model"`, or has one dictionary of arrays, under
            whatever name.

    Returns:
        The state dict; `module.`, `_orig_mod.` or `model.` in front of all of its
        names, as data-parallel training, `torch.compile` and Lightning leave it, is
        dropped.

    Example:
        >>> unwrapped({"epoch": 3, "model": {"module._orig_mod.fc.bias": 0.5}})
        {'fc.bias': 0.5}
    """
    for wrapper in _WRAPPERS:
        if isinstance(content.get(wrapper), Mapping):
            return unwrapped(content[wrapper])
    arrays = [getattr(x, "shape", ()) for x in content.values()]
    inside = [x for x in content.values() if _has_arrays(x)]
    if len(inside) == 1 and not any(arrays):
        return unwrapped(inside[0])
    for prefix in _PREFIXES:
        if content and all(str(name).startswith(prefix) for name in content):
            bare = {str(n).removeprefix(prefix): x for n, x in content.items()}
            return unwrapped(bare)
    return content


def _has_arrays(content: Any) -> bool:
    """Whether it is a dictionary of arrays, whatever else is in it."""
    return isinstance(content, Mapping) and any(
        getattr(x, "shape", ()) for x in content.values()
    )


def open_weight_file(path: str | Path) -> IO[bytes]:
    """Open a regular file.

    Raises:
        FileNotFoundError: There is no such file.
        WeightFileError: It is a folder, a pipe, a device or mostly holes.
    """
    try:
        return open_regular(path, written=True)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no weight file {str(path)!r}.") from None
    except UntrustedFileError as error:
        raise WeightFileError(str(error)) from error


def weight_budget(path: Path, file: IO[bytes]) -> Budget:
    """Give what the arrays of a file may take."""
    return Budget(_MEMORY_PER_BYTE * file_size(file) + _SLACK, path)


def _numbers(data: Any, kind: str) -> np.ndarray:
    if kind != "bfloat16":
        return np.frombuffer(data, kind)
    bits = np.frombuffer(data, "<u2").astype("<u4") << 16
    return bits.view("<f4")


def _check_shape(shape: Any) -> tuple[int, ...]:
    shape = tuple(shape)
    if len(shape) > _MOST_DIMENSIONS or any(
        type(size) is not int or not 0 <= size < 2**63 for size in shape
    ):
        raise UntrustedFileError(
            "an array in the file has a negative or no size, or more than "
            f"{_MOST_DIMENSIONS} dimensions"
        )
    return shape


def _read_safetensors(
    path: Path, file: IO[bytes], budget: Budget
) -> dict[str, np.ndarray]:
    budget.spend(file_size(file))
    data = file.read(file_size(file))
    (size,) = struct.unpack("<Q", data[:8])
    if size > len(data) - 8:
        raise WeightFileError(
            f"{str(path)!r} is cut off: its header has {size} bytes, the file "
            f"{len(data)}."
        )
    if size > _LARGEST_LIST:
        raise WeightFileError(
            f"{str(path)!r} lists its arrays in more than {_LARGEST_LIST} bytes."
        )
    try:
        from safetensors import (  # pyright: ignore[reportMissingImports]
            SafetensorError,
            deserialize,
        )
    except ImportError:
        entries = _safetensors_entries(path, data[8 : 8 + size], data[8 + size :])
    else:
        budget.spend(len(data))  # it gives a copy of each array
        try:
            entries = deserialize(data)
        except SafetensorError as error:
            reason = f"{str(path)!r} is cut off or corrupt ({error})."
            raise WeightFileError(reason) from error
    arrays = {}
    for name, entry in entries:
        kind, shape = _SAFETENSORS_TYPES[entry["dtype"]], _check_shape(entry["shape"])
        budget.spend(len(entry["data"]) * (3 if kind == "bfloat16" else 1))
        arrays[name] = _numbers(entry["data"], kind).reshape(shape)
    return arrays


def _safetensors_entries(
    path: Path, header: bytes, body: bytes
) -> list[tuple[str, dict[str, Any]]]:
    """Cut the arrays out of a file, as `safetensors.deserialize` gives them."""
    listed = json.loads(header)
    listed.pop("__metadata__", None)
    entries, used = [], 0
    # Each byte belongs to one array, as the format says: they stand in a row.
    for name, entry in sorted(listed.items(), key=lambda x: x[1]["data_offsets"]):
        start, end = entry["data_offsets"]
        kind, shape = _SAFETENSORS_TYPES[entry["dtype"]], _check_shape(entry["shape"])
        width = 2 if kind == "bfloat16" else np.dtype(kind).itemsize
        if not start == used <= end <= len(body) or end - start != width * math.prod(
            shape
        ):
            raise WeightFileError(
                f"{str(path)!r} is cut off or corrupt: the bytes {start} to {end} of "
                f"{printable(name)!r} are not an array of shape {shape} behind the "
                "array before it."
            )
        entries.append((name, {**entry, "data": memoryview(body)[start:end]}))
        used = end
    if used != len(body):
        raise WeightFileError(
            f"{str(path)!r} is cut off or corrupt: its last {len(body) - used} bytes "
            "belong to no array."
        )
    return entries


class _Storage(NamedTuple):
    numbers: np.ndarray


class _TorchFile:
    """A PyTorch file whose storages are read when its arrays ask for them."""

    def __init__(self, archive: StoredZip, root: str, budget: Budget) -> None:
        self._archive, self._root, self._budget = archive, root, budget
        self._storages: dict[str, _Storage] = {}

    def content(self) -> Any:
        """Read what was saved."""
        known = dict.fromkeys(Global("torch", name) for name in _TORCH_TYPES)
        known |= {
            # Made empty and then filled: one that is made of another would be a copy.
            Global("collections", "OrderedDict"): lambda: {},
            Global("torch._utils", "_rebuild_tensor_v2"): self._array,
            Global("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
            # What training scripts keep beside it: their arguments, a schedule.
            Global("argparse", "Namespace"): lambda: {},
            Global("collections", "Counter"): lambda counts: counts,
        }
        name = f"{self._root}/data.pkl"
        size = self._archive.sizes[name]
        if size > _LARGEST_LIST:
            raise UntrustedFileError(
                f"it lists its arrays in more than {_LARGEST_LIST} bytes"
            )
        self._budget.spend(size)
        pickled = self._archive.read(name).getvalue()
        return read_pickle(pickled, known, self._storage, self._budget)

    def _storage(self, asked: Any) -> _Storage:
        """Read the numbers of a storage."""
        tag, kind, key, _, count = asked
        if tag != "storage" or not isinstance(kind, Global) or kind.module != "torch":
            raise UntrustedFileError("it refers to something that is not a storage")
        key = str_of(key)
        if key not in self._storages:
            name = f"{self._root}/data/{key}"
            number_type = _TORCH_TYPES[kind.name]
            widened = 3 if number_type == "bfloat16" else 1
            self._budget.spend(widened * self._archive.sizes[name])
            numbers = _numbers(self._archive.read(name).getbuffer(), number_type)
            if len(numbers) != count:
                raise UntrustedFileError(
                    f"its storage {printable(key)} has {len(numbers)} numbers instead "
                    "of the ones its list names"
                )
            self._storages[key] = _Storage(numbers)
        return self._storages[key]

    def _array(
        self, storage: Any, offset: int, shape: Any, strides: Any, *_: Any
    ) -> np.ndarray:
        """Cut an array out of a storage, as `torch._utils._rebuild_tensor_v2` does."""
        if not isinstance(storage, _Storage):
            raise UntrustedFileError("an array in the file has no storage")
        numbers = storage.numbers
        shape, strides = _check_shape(shape), _check_shape(strides)
        (offset,) = _check_shape((offset,))
        if len(shape) != len(strides):
            raise UntrustedFileError("an array in the file has more sizes than strides")
        if math.prod(shape) > max(len(numbers), 2**20):  # one number, many times
            raise UntrustedFileError(
                f"an array of shape {shape} in the file repeats {len(numbers)} numbers"
            )
        if 0 in shape:
            return np.zeros(shape, numbers.dtype)
        last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if last >= len(numbers):  # it would read beyond the storage
            raise UntrustedFileError(
                f"an array of shape {shape} in the file ends at number {last} of "
                f"{len(numbers)}"
            )
        width = numbers.itemsize
        self._budget.spend(width * math.prod(shape))
        view = np.lib.stride_tricks.as_strided(
            numbers[offset:], shape, [s * width for s in strides]
        )
        return view.copy()


def _read_torch(path: Path, file: IO[bytes], budget: Budget) -> dict[str, np.ndarray]:
    if not is_zip(file):
        raise WeightFileError(
            f"{str(path)!r} is not a zip archive, which `torch.save` has written since "
            "PyTorch 1.6. Load it with torch.load(..., weights_only=True) and save it "
            "again."
        )
    with open_stored(path, file) as archive:
        (pickled,) = [n for n in archive.sizes if n.endswith("/data.pkl")]
        root = pickled.removesuffix("/data.pkl")
        content = _TorchFile(archive, root, budget).content()
    if isinstance(content, dict):
        content = unwrapped(content)
    if not isinstance(content, Mapping) or not content:
        raise WeightFileError(
            f"{str(path)!r} holds {type(content).__name__}, not a state dict."
        )
    return {
        str_of(name): array
        for name, array in content.items()
        if isinstance(array, np.ndarray)
    }
