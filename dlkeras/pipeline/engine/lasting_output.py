"""Printing never stops a job, even if the terminal closes or its disk is full."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO


class _Lasting:
    """Hands on to a stream for as long as that takes something; then drops it.

    Args:
        stream: standard output or standard error.
        name: what to call it.
    """

    def __init__(self, stream: TextIO, name: str):
        self._stream, self._name, self._gone = stream, name, False
        self.ended = False

    def write(self, text: str) -> int:
        """Write, or drop the text."""
        with self._survives():
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                kind = self._stream.encoding
                self._stream.write(text.encode(kind, "replace").decode(kind))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hand on what is kept."""
        with self._survives():
            self._stream.flush()

    def close(self) -> None:
        """Flush: who kept this may not end the process's own stream, as absl does."""
        self.flush()

    def __getattr__(self, name: str) -> Any:
        """Anything else of the stream."""
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _survives(self) -> Iterator[None]:
        if self._gone:
            with contextlib.suppress(OSError, ValueError):
                yield
            return
        try:
            yield
        except (OSError, ValueError) as error:  # ValueError: it was closed
            self._gone = True
            if self._stream in (sys.__stdout__, sys.__stderr__):
                _discard(self._stream)
            if self.ended:  # a logger has kept it
                return
            why = getattr(error, "strerror", None) or "closed"
            # Where it is not standard error itself that has gone.
            print(f"{self._name} is gone ({why}); the job goes on", file=sys.stderr)


def _discard(stream: TextIO) -> None:
    """Send what is still to come, also from other code and at the end, nowhere."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()


@contextlib.contextmanager
def lasting_output() -> Iterator[None]:
    """Let what is printed inside never raise.

    `| head`, a terminal that was closed and a full disk behind standard output end no
    training: what it has to say is with MLflow, too.
    """
    if isinstance(sys.stdout, _Lasting):
        yield
        return
    before = sys.stdout, sys.stderr
    with contextlib.ExitStack() as stack:
        if (
            None in before
        ):  # closed: the next file that is opened must not take its place
            while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
                pass
            os.close(number)
        out, err = (
            stream or stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            for stream in before
        )
        ours = _Lasting(out, "standard output")
        errors = _Lasting(err, "standard error")
        sys.stdout, sys.stderr = ours, errors  # type: ignore[assignment]
        try:
            yield
        finally:
            for stream in (ours, errors):
                stream.flush()
                stream.ended = True
            sys.stdout, sys.stderr = before
