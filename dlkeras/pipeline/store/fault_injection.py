"""Deliberate faults: the process dies, or finds the disk full, at its nth write.

`DLKERAS_FAULT=kill:17` ends the process with SIGKILL at the 17th write boundary of its
life, `DLKERAS_FAULT=enospc:17` raises "No space left on device" there, and with
`DLKERAS_FAULT=count:0` the process says at its end how many it has passed.

`kill-new:3:FILE` and `enospc-new:3:FILE` strike at the third boundary that does not
stand in FILE, and write down there which were passed: processes started one
after the other with the same FILE are struck at one place after the other, until none
is left.

Without the variable a boundary costs one comparison. `benchmarks/torture.py` walks
through all of them.
"""

import atexit
import collections
import errno
import os
import re
import signal
import sys
from pathlib import Path

VARIABLE = "DLKERAS_FAULT"
KILL, FULL, COUNT = "kill", "enospc", "count"
NEW = "-new"
# What differs from run to run in the name of a place: MLflow's identifiers, times.
_VARYING = re.compile(r"[0-9a-f]{32}|\d{8}-\d{6}")


class _Boundaries:
    """Counts the write boundaries that the process has passed."""

    def __init__(self, fault: str | None):
        self.passed = 0
        self.kind, self.at = None, 0
        self.visited: set[str] | None = None
        if fault:
            kind, _, rest = fault.partition(":")
            number, _, file = rest.partition(":")
            new = kind.endswith(NEW) and bool(file)
            plain = kind.removesuffix(NEW) if new else kind
            known = (KILL, FULL) if new else (KILL, FULL, COUNT)
            if plain not in known or not number.isdigit() or bool(file) != new:
                raise ValueError(
                    f"{VARIABLE}: expected {KILL}:N, {FULL}:N, {COUNT}:0, "
                    f"{KILL}{NEW}:N:FILE or {FULL}{NEW}:N:FILE. Received: {fault!r}"
                )
            self.kind, self.at = plain, int(number)
            if new:
                self.file = Path(file)
                text = self.file.read_text("utf-8") if self.file.exists() else ""
                self.visited = set(text.splitlines())
                self.times: dict[str, int] = collections.Counter()
            if plain == COUNT:
                atexit.register(self._say)

    def _say(self) -> None:
        print(f"{self.passed} write boundaries", file=sys.stderr)

    def is_struck(self, place: str) -> bool:
        """Whether the fault happens at this place."""
        if self.visited is not None:
            place = _VARYING.sub("*", place)
            self.times[place] += 1
            place = f"{place} {self.times[place]}"
            if place in self.visited:
                return False
            self.visited.add(place)
            with self.file.open("a", encoding="utf-8") as file:
                file.write(place + "\n")
        self.passed += 1
        return self.passed == self.at


_boundaries = _Boundaries(os.environ.get(VARIABLE))


def is_on() -> bool:
    """Whether the environment asks for a fault."""
    return _boundaries.kind is not None


def write_boundary(path: object) -> None:
    """Mark a point between two writes, where a crash must do no harm.

    Args:
        path: what is being written, for the error's file name.

    Raises:
        OSError: `ENOSPC`, where the environment asks for it.
    """
    if _boundaries.kind is None:
        return
    if not _boundaries.is_struck(str(path)):
        return
    if _boundaries.kind == KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    elif _boundaries.kind == FULL:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
