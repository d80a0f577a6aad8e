"""The pickle in a PyTorch file, read by a machine that knows arrays and nothing else.

Python's own unpickler calls what a file names, asks for the memory that a file claims
(one number makes it 8 GB), and hashes whatever a file builds. This one knows the few
opcodes of a state dict, as PyTorch's own `weights_only` reader does.
"""

import pickletools
from collections.abc import Callable
from typing import Any, NamedTuple

from dlkeras.untrusted.gate import Budget, UntrustedFileError

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
                    "arrays; it was not run. Save `model.state_dict()`, not the model"
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
