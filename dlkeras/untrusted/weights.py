"""Weight files of PyTorch and safetensors, read with numpy; no code in them runs."""

import json
import math
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from dlkeras.untrusted.gate import (
    Budget,
    UntrustedFileError,
    file_size,
    open_regular,
)
from dlkeras.untrusted.torch_pickle import (
    LARGEST_LIST,
    TorchFile,
    checked_shape,
    numbers_of,
    printable,
    str_of,
)
from dlkeras.untrusted.zips import is_zip, open_stored

# Number types by their names; bfloat16 is read as its 16 bits.
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
# What torch.compile, FSDP and checkpointed activations put around parts of a network.
_AROUND_PARTS = (
    "_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."
)  # fmt: skip

# What all arrays of a file may take: bfloat16 doubles, a storage and its array are two
# copies, and tied weights are one storage in several arrays.
_MEMORY_PER_BYTE = 8
_SLACK = 2**24


class WeightFileError(UntrustedFileError):
    """A weight file is corrupt, or holds something other than arrays."""


def read_weight_file(path: str | Path) -> dict[str, np.ndarray]:
    """Read the arrays of a file of PyTorch or a `.safetensors` file by name.

    An index (`model.safetensors.index.json`) names the files beside it that hold the
    arrays of a network; they are read one after another.

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
    if path.name.endswith(".index.json"):
        return dict(unwrapped(_read_shards(path)))
    content = _read_one(path)
    if not any(isinstance(x, np.ndarray) for x in content.values()):
        raise WeightFileError(f"{str(path)!r}: {no_arrays(content)}")
    return {n: x for n, x in content.items() if isinstance(x, np.ndarray)}


def _read_one(path: Path) -> dict[str, Any]:
    """Read a single file, `unwrapped`."""
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


def _read_shards(path: Path) -> dict[str, Any]:
    """Read the files that an index names, as Hugging Face's libraries write it."""
    with open_weight_file(path) as file:
        try:
            if file_size(file) > LARGEST_LIST:
                raise ValueError(f"it has more than {LARGEST_LIST} bytes")
            places = json.loads(file.read(LARGEST_LIST))["weight_map"]
            files = dict.fromkeys(str_of(name) for name in places.values())
        except Exception as error:
            raise WeightFileError(
                f"{str(path)!r} is not the index of a network's weight files "
                f"({type(error).__name__}: {printable(str(error), 200)})."
            ) from error
    arrays: dict[str, Any] = {}
    for name in files:
        if Path(name).name != name or name in ("", "..") or "\\" in name:
            raise WeightFileError(
                f"{str(path)!r} names {printable(name)!r}, which is no file beside it."
            )
        found = _read_one(path.parent / name)
        arrays |= {key: found[key] for key in found if places.get(key) == name}
    missing = [key for key in places if key not in arrays]
    if missing:
        raise WeightFileError(
            f"{str(path)!r} lists {printable(missing[0])!r} in "
            f"{places[missing[0]]!r}, which does not have it."
        )
    return arrays


def unwrapped(content: Mapping) -> Mapping:
    """Return the state dict in a checkpoint, by the names of the network.

    Args:
        content: A state dict; or a dictionary that has one under `"state_dict"`,
            `"model_state_dict"` or `"model"`, or has one dictionary of arrays, under
            whatever name.

    Returns:
        The state dict; `module.`, `_orig_mod.` or `model.` in front of all of its
        names, as data-parallel training, `torch.compile` and Lightning leave it, is
        dropped, and what wraps a part of a network anywhere in them. Of the weights
        and their average (`model_ema`, `state_dict_ema`) it is the weights; a warning
        says so.

    Example:
        >>> unwrapped({"epoch": 3, "model": {"module._orig_mod.fc.bias": 0.5}})
        {'fc.bias': 0.5}
    """
    for wrapper in _WRAPPERS:
        if isinstance(content.get(wrapper), Mapping):
            averages = [
                name
                for name, x in content.items()
                if "ema" in str(name).lower() and _has_arrays(x)
            ]
            if averages:
                warnings.warn(
                    f"The checkpoint has weights under {wrapper!r} and their average "
                    f"under {averages[0]!r}; the first are loaded. For the average "
                    f"pass checkpoint[{averages[0]!r}] of torch.load",
                    UserWarning,
                    stacklevel=5,
                )
            return unwrapped(content[wrapper])
    arrays = [getattr(x, "shape", ()) for x in content.values()]
    inside = [x for x in content.values() if _has_arrays(x)]
    inside = inside or [x for x in content.values() if _has_arrays(x, below=True)]
    if len(inside) == 1 and not any(arrays):
        return unwrapped(inside[0])
    for prefix in _PREFIXES:
        if content and all(str(name).startswith(prefix) for name in content):
            bare = {str(n).removeprefix(prefix): x for n, x in content.items()}
            return unwrapped(bare)
    if any(part in str(name) for name in content for part in _AROUND_PARTS):
        return unwrapped({_without_wrappers(n): x for n, x in content.items()})
    return content


def _without_wrappers(name: Any) -> Any:
    for part in _AROUND_PARTS:
        name = str(name).replace(part, "")
    return name


def no_arrays(content: Mapping) -> str:
    """Say what a source has instead of arrays."""
    names = [repr(printable(str(name), 40)) for name in content]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return (
        f"it has no arrays, but {', '.join(names[:8])}{more}. If one of these has the "
        "network's state dict, pass that."
    )


def _has_arrays(content: Any, below: bool = False) -> bool:
    """Whether it is a dictionary of arrays, whatever else is in it."""
    return isinstance(content, Mapping) and any(
        getattr(x, "shape", ()) or (below and _has_arrays(x, below))
        for x in content.values()
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
    if size > LARGEST_LIST:
        raise WeightFileError(
            f"{str(path)!r} lists its arrays in more than {LARGEST_LIST} bytes."
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
        kind, shape = _SAFETENSORS_TYPES[entry["dtype"]], checked_shape(entry["shape"])
        budget.spend(len(entry["data"]) * (3 if kind == "bfloat16" else 1))
        arrays[name] = numbers_of(entry["data"], kind).reshape(shape)
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
        kind, shape = _SAFETENSORS_TYPES[entry["dtype"]], checked_shape(entry["shape"])
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


def _read_torch(path: Path, file: IO[bytes], budget: Budget) -> dict[str, np.ndarray]:
    if not is_zip(file):
        raise WeightFileError(
            f"{str(path)!r} is not a zip archive, which `torch.save` has written since "
            "PyTorch 1.6. Load it with torch.load(..., weights_only=True) and save it "
            "again."
        )
    try:
        with open_stored(path, file) as archive:
            (pickled,) = [n for n in archive.sizes if n.endswith("/data.pkl")]
            root = pickled.removesuffix("/data.pkl")
            content = TorchFile(archive, root, budget).content()
    except UntrustedFileError as error:
        if "/code/__torch__" not in str(error):
            raise
        raise WeightFileError(
            f"{str(path)!r} is a program of TorchScript. Load it with torch.jit.load "
            "and pass what that gives, or save its state_dict()."
        ) from error
    if isinstance(content, dict):
        content = unwrapped(content)
    if not isinstance(content, Mapping) or not content:
        raise WeightFileError(
            f"{str(path)!r} holds {type(content).__name__}, not a state dict."
        )
    return {str(name): x for name, x in content.items()}
