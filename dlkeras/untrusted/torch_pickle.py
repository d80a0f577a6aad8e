"""PyTorch's files: the pickle is read by a machine that knows arrays and nothing else.

Python's own unpickler calls what a file names, asks for the memory that a file claims
(one number makes it 8 GB), and hashes whatever a file builds. This one knows the few
opcodes of a state dict, as PyTorch's own `weights_only` reader does.
"""

import math
import pickletools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dlkeras.untrusted.gate import Budget, UntrustedFileError
from dlkeras.untrusted.zips import StoredZip

# Number types by their names; bfloat16 is read as its 16 bits.
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

# Names and shapes alone: those of ResNet-152 take 100 kilobytes.
LARGEST_LIST = 2**22
_MOST_DIMENSIONS = 32

# What one opcode may leave behind: a dictionary takes 64 bytes, its place 8 more.
_BYTES_AN_OPCODE = 100
_LARGEST_KEY = 2**60
_CONSTANTS = {
    "NONE": None,
    "NEWTRUE": True,
    "NEWFALSE": False,
    "EMPTY_TUPLE": (),
}
_NUMBERS = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT")
_TEXTS = ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_IGNORED = frozenset(("PROTO", "FRAME"))


# What training scripts keep beside the weights: their best accuracy, a path, a day,
# the state of NumPy's generator. None of it is made: where it stood, None is.
_LEFT_OUT = {
    "numpy": ("dtype", "ndarray"),
    "numpy._core.multiarray": ("scalar", "_reconstruct"),
    "numpy.core.multiarray": ("scalar", "_reconstruct"),
    "_codecs": ("encode",),
    "pathlib": ("PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath"),
    "pathlib._local": ("PosixPath", "WindowsPath"),
    "datetime": ("datetime", "date", "timedelta"),
    "torch": ("device", "Size", "float32", "float64", "float16", "bfloat16", "int64"),
    "__builtin__": ("set", "frozenset", "list", "dict", "int", "float", "bytearray"),
    "builtins": ("set", "frozenset", "list", "dict", "int", "float", "bytearray"),
}


class Global(NamedTuple):
    """The name of a class or function in the file: it is compared, never imported."""

    module: str
    name: str


def read_pickle(
    pickled: bytes,
    known: dict[Global, Callable[..., Any] | None],
    storage: Callable[[Any], Any],
    budget: Budget,
) -> Any:
    """Read strings, numbers, tuples, lists, dictionaries and arrays from a pickle.

    Args:
        pickled: the pickle.
        known: the names that it may have, and what is called in place of each; None
            where nothing is.
        storage: gives what a persistent id stands for.
        budget: what the values may take.

    Returns:
        The value.

    Raises:
        UntrustedFileError: it asks for something else.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[Any, Any] = {}

    def since_mark() -> list[Any]:
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    for opcode, argument, _ in pickletools.genops(pickled):
        name: str = opcode.name
        budget.spend(_BYTES_AN_OPCODE)
        if name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _NUMBERS or name in _TEXTS:
            stack.append(argument)
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            if name == "GLOBAL":
                found = Global(*str(argument).split(" ", 1))
            else:
                last, module = stack.pop(), stack.pop()
                found = Global(str_of(module), str_of(last))
            if found not in known:
                raise UntrustedFileError(
                    f"the file asks for {printable(found.module)}."
                    f"{printable(found.name)}, which is not part of a state dict of "
                    "arrays; it was not run. Save `model.state_dict()` alone, not the "
                    "model or what else belongs to a training"
                )
            stack.append(found)
        elif name == "EMPTY_DICT":
            stack.append({})
        elif name == "EMPTY_LIST":
            stack.append([])
        elif name == "MARK":
            marks.append(len(stack))
        elif name == "TUPLE":
            stack.append(tuple(since_mark()))
        elif name in _TUPLES:
            items = [stack.pop() for _ in range(_TUPLES[name])]
            stack.append(tuple(items[::-1]))
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name in ("APPEND", "APPENDS"):
            items = [stack.pop()] if name == "APPEND" else since_mark()
            list.extend(stack[-1], items)
        elif name in ("SETITEM", "SETITEMS"):
            pair = name == "SETITEM"
            items = [stack.pop(), stack.pop()][::-1] if pair else since_mark()
            for key, value in zip(items[::2], items[1::2], strict=True):
                # A deeply nested tuple takes forever to hash, and numbers that differ
                # by 2**61 - 1 have one hash: a million of them take forever.
                number = isinstance(key, int) and abs(key) < _LARGEST_KEY
                if not (number or isinstance(key, str)):
                    raise UntrustedFileError(
                        "a key in it is neither text nor a number below 2**60"
                    )
                dict.__setitem__(stack[-1], key, value)
        elif name in ("REDUCE", "NEWOBJ"):
            arguments, found = stack.pop(), stack.pop()
            function = known[found] if isinstance(found, Global) else None
            if function is None:
                raise UntrustedFileError("it calls something that is no function")
            stack.append(function(*arguments))
        elif name == "BUILD":  # attributes of a dictionary, such as `_metadata`
            stack.pop()
        elif name == "BINPERSID":
            stack.append(storage(stack.pop()))
        elif name == "STOP":
            return stack.pop()
        elif name not in _IGNORED:
            raise UntrustedFileError(
                f"it has the opcode {name}, which no state dict of arrays needs"
            )
    raise UntrustedFileError("its list of arrays has no end")


def str_of(value: Any) -> str:
    """Return a text that a file must have here."""
    if not isinstance(value, str):
        raise UntrustedFileError("it has something else where a name is expected")
    return value


def printable(text: str, most: int = 80) -> str:
    """Cut a file's own text to a length that a line can show, without control codes."""
    shown = "".join(c if c.isprintable() else "?" for c in text[:most])
    return f"{shown}..." if len(text) > most else shown


def numbers_of(data: Any, kind: str) -> np.ndarray:
    """Read numbers of a type; bfloat16 is widened to float32."""
    if kind != "bfloat16":
        return np.frombuffer(data, kind)
    bits = np.frombuffer(data, "<u2").astype("<u4") << 16
    return bits.view("<f4")


def checked_shape(shape: Any) -> tuple[int, ...]:
    """Return a shape that an array can have."""
    shape = tuple(shape)
    if len(shape) > _MOST_DIMENSIONS or any(
        type(size) is not int or not 0 <= size < 2**63 for size in shape
    ):
        raise UntrustedFileError(
            "an array in the file has a negative or no size, or more than "
            f"{_MOST_DIMENSIONS} dimensions"
        )
    return shape


class _Storage(NamedTuple):
    numbers: np.ndarray


class TorchFile:
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
            Global("collections", "defaultdict"): lambda *_: {},
        }
        for module, names in _LEFT_OUT.items():
            for name in names:
                known[Global(module, name)] = lambda *_: None
        name = f"{self._root}/data.pkl"
        size = self._archive.sizes[name]
        if size > LARGEST_LIST:
            raise UntrustedFileError(
                f"it lists its arrays in more than {LARGEST_LIST} bytes"
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
            numbers = numbers_of(self._archive.read(name).getbuffer(), number_type)
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
        shape, strides = checked_shape(shape), checked_shape(strides)
        (offset,) = checked_shape((offset,))
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
