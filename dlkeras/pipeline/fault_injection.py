"""Deliberate faults: the process dies, or finds the disk full, at its nth write.

`DLKERAS_FAULT=kill:17` ends the process with SIGKILL at the 17th write boundary of its
life, `DLKERAS_FAULT=enospc:17` raises "No space left on device" there, and with
`DLKERAS_FAULT=count:0` the process says at its end how many it has passed. Without the
variable a boundary costs one comparison. `benchmarks/torture.py` walks through all n.
"""

import atexit
import errno
import os
import signal
import sys

VARIABLE = "DLKERAS_FAULT"
KILL, FULL, COUNT = "kill", "enospc", "count"


class _Boundaries:
    """Counts the write boundaries that the process has passed."""

    def __init__(self, fault: str | None):
        self.passed = 0
        self.kind, self.at = None, 0
        if fault:
            kind, _, number = fault.partition(":")
            if kind not in (KILL, FULL, COUNT) or not number.isdigit():
                raise ValueError(
                    f"{VARIABLE}: expected {KILL}:N, {FULL}:N or {COUNT}:0. "
                    f"Received: {fault!r}"
                )
            self.kind, self.at = kind, int(number)
            if kind == COUNT:
                atexit.register(self._say)

    def _say(self) -> None:
        print(f"{self.passed} write boundaries", file=sys.stderr)


_boundaries = _Boundaries(os.environ.get(VARIABLE))


def write_boundary(path: object) -> None:
    """Mark a point between two writes, where a crash must do no harm.

    Args:
        path: what is being written, for the error's file name.

    Raises:
        OSError: `ENOSPC`, where the environment asks for it.
    """
    if _boundaries.kind is None:
        return
    _boundaries.passed += 1
    if _boundaries.passed != _boundaries.at:
        return
    if _boundaries.kind == KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
