"""Weight files of PyTorch and safetensors, read with numpy; no code in them runs."""

import collections
import json
import math
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

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


# Names and shapes alone: those of ResNet-152 take 100 kilobytes.
_LARGEST_PICKLE = 2**26


class WeightFileError(ValueError):
    """A weight file is corrupt, or holds something other than arrays."""


def read_weight_file(path: str | Path) -> dict[str, np.ndarray]:
    """Read the arrays of a `.pth`, `.pt`, `.bin` or `.safetensors` file by name.

    A PyTorch file holds a pickle, which may ask for any function to be called. Here
    it can ask for arrays and dictionaries and for nothing else, so that a hostile
    file is refused and PyTorch is not needed.

    Args:
        path: The file.

    Returns:
        Arrays by the names of the state dict; `module.` in front of all of them, as
        data-parallel training leaves it, is dropped.

    Raises:
        FileNotFoundError: There is no such file.
        WeightFileError: The file is corrupt, of another format, or hostile.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no weight file {str(path)!r}.")
    try:
        read = _read_safetensors if path.suffix == ".safetensors" else _read_torch
        arrays = read(path)
    except WeightFileError:
        raise
    except Exception as error:  # whatever a broken file makes a parser stumble over
        raise WeightFileError(
            f"{str(path)!r} is not a readable weight file "
            f"({type(error).__name__}: {error})."
        ) from error
    if arrays and all(name.startswith("module.") for name in arrays):
        arrays = {name.removeprefix("module."): a for name, a in arrays.items()}
    return arrays


def _numbers(data: bytes, kind: str) -> np.ndarray:
    if kind != "bfloat16":
        return np.frombuffer(data, kind)
    bits = np.frombuffer(data, "<u2").astype("<u4") << 16
    return bits.view("<f4")


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    if size > len(data) - 8:
        raise WeightFileError(
            f"{str(path)!r} is cut off: its header has {size} bytes, the file "
            f"{len(data)}."
        )
    header = json.loads(data[8 : 8 + size])
    body = memoryview(data)[8 + size :]
    arrays = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        kind, shape = _SAFETENSORS_TYPES[entry["dtype"]], tuple(entry["shape"])
        width = 2 if kind == "bfloat16" else np.dtype(kind).itemsize
        if not 0 <= start <= end <= len(body) or end - start != width * math.prod(
            shape
        ):
            raise WeightFileError(
                f"{str(path)!r} is cut off or corrupt: the bytes {start} to {end} of "
                f"{name!r} are not an array of shape {shape}."
            )
        arrays[name] = _numbers(bytes(body[start:end]), kind).reshape(shape)
    return arrays


class _Storage(NamedTuple):
    numbers: np.ndarray


class _StorageType(NamedTuple):
    kind: str


def _tensor(storage: Any, offset: int, shape: Any, strides: Any, *_: Any) -> np.ndarray:
    """Cut an array out of a storage, as `torch._utils._rebuild_tensor_v2` does."""
    numbers = storage.numbers
    shape, strides = tuple(shape), tuple(strides)
    sizes = (offset, *shape, *strides)
    if any(type(size) is not int or size < 0 for size in sizes):
        raise WeightFileError("An array in the file has a negative or no size.")
    if len(shape) != len(strides):
        raise WeightFileError("An array in the file has more sizes than strides.")
    if math.prod(shape) > max(len(numbers), 2**20):  # one number, many times
        raise WeightFileError(
            f"An array of shape {shape} in the file repeats {len(numbers)} numbers."
        )
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if 0 in shape:
        return np.zeros(shape, numbers.dtype)
    if last >= len(numbers):  # it would read beyond the storage
        raise WeightFileError(
            f"An array of shape {shape} in the file ends at number {last} of "
            f"{len(numbers)}."
        )
    width = numbers.itemsize
    view = np.lib.stride_tricks.as_strided(
        numbers[offset:], shape, [s * width for s in strides]
    )
    return view.copy()


def _parameter(data: Any, *_: Any) -> Any:
    return data


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that knows arrays and ordered dictionaries, and nothing else."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(archive.open(f"{root}/data.pkl"))
        self._archive, self._root = archive, root
        self._storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name in the file, or refuse the file."""
        known = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): _parameter,
        }
        if (module, name) in known:
            return known[module, name]
        if module == "torch" and name in _TORCH_TYPES:
            return _StorageType(_TORCH_TYPES[name])
        raise WeightFileError(
            f"The file asks for {module}.{name}, which is not part of a state dict of "
            "arrays; it was not run. Save `model.state_dict()`, not the model."
        )

    def persistent_load(self, pid: Any) -> Any:
        """Read the numbers of a storage."""
        tag, storage, key, _, count = pid
        if tag != "storage" or not isinstance(storage, _StorageType):
            raise WeightFileError(f"The file refers to {tag!r}, not to a storage.")
        if key not in self._storages:
            member = self._archive.getinfo(f"{self._root}/data/{key}")
            if member.compress_type != zipfile.ZIP_STORED:
                raise WeightFileError("The file's arrays are compressed.")
            numbers = _numbers(self._archive.read(member), storage.kind)
            if len(numbers) != count:
                raise WeightFileError(
                    f"The file's storage {key} has {len(numbers)} numbers instead of "
                    f"{count}."
                )
            self._storages[key] = _Storage(numbers)
        return self._storages[key]


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    if not zipfile.is_zipfile(path):
        raise WeightFileError(
            f"{str(path)!r} is not a zip archive, which `torch.save` has written since "
            "PyTorch 1.6. Load it with torch.load(..., weights_only=True) and save it "
            "again."
        )
    with zipfile.ZipFile(path) as archive:
        (pickled,) = [n for n in archive.namelist() if n.endswith("/data.pkl")]
        if archive.getinfo(pickled).file_size > _LARGEST_PICKLE:
            raise WeightFileError(
                f"{str(path)!r} lists its arrays in more than {_LARGEST_PICKLE} bytes."
            )
        content = _ArraysOnly(archive, pickled.removesuffix("/data.pkl")).load()
    for wrapper in ("state_dict", "model"):  # as training scripts save checkpoints
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not content:
        raise WeightFileError(
            f"{str(path)!r} holds {type(content).__name__}, not a state dict."
        )
    return {k: v for k, v in content.items() if isinstance(v, np.ndarray)}
