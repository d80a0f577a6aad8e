"""Locks that say who holds them, and that outlive neither a process nor a machine.

The kernel frees a file lock when its holder dies. Beside it stands a file with the
holder's host, process and purpose: `dlkeras status` shows it, a waiting process names
it, and on a shared folder whose kernel does not carry locks from machine to machine it
decides: the holder touches it every few seconds, and one that has stopped is stale.
"""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 30.0
PATIENCE_SECONDS = 1.0


@dataclass(frozen=True)
class Owner:
    """The process that holds a lock.

    Attributes:
        host: name of its machine.
        pid: its number there.
        started: when it started, in seconds since 1970, to tell it from a later
            process of the same number.
        purpose: what it holds the lock for.
    """

    host: str
    pid: int
    started: float
    purpose: str

    @classmethod
    def this_process(cls, purpose: str) -> "Owner":
        """The process that calls."""
        import psutil

        pid = os.getpid()
        return cls(
            socket.gethostname(), pid, psutil.Process(pid).create_time(), purpose
        )

    @property
    def is_local(self) -> bool:
        """Whether the process runs, or ran, on this machine."""
        return self.host == socket.gethostname()

    @property
    def is_gone(self) -> bool:
        """Whether the process ran on this machine and has ended."""
        import psutil

        if not self.is_local:
            return False
        try:
            return psutil.Process(self.pid).create_time() != self.started
        except psutil.NoSuchProcess:
            return True

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} ({self.purpose})"


def owner_file(lock: Path) -> Path:
    """Where the owner of a lock is written."""
    return lock.with_suffix(".owner")


def read_owner(lock: Path) -> Owner | None:
    """Who holds a lock, or held it when it died; None where nobody is written."""
    try:
        return Owner(**json.loads(owner_file(lock).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


@contextlib.contextmanager
def owned(
    lock: Path, purpose: str, say: Callable[[str], None] = lambda text: None
) -> Iterator[None]:
    """Hold a lock; wait for it where another process holds it.

    Args:
        lock: the lock's file.
        purpose: what for, in a word or two.
        say: is told whom this process waits for, and of an owner that has died.
    """
    held = filelock.FileLock(lock)
    try:
        held.acquire(timeout=PATIENCE_SECONDS)
    except filelock.Timeout:
        say(f"waiting for {read_owner(lock) or 'another process'}")
        held.acquire()
    try:
        _wait_for_another_machine(lock, say)
        with _heartbeat(lock, purpose):
            yield
    finally:
        held.release()


def _wait_for_another_machine(lock: Path, say: Callable[[str], None]) -> None:
    """Wait while the owner beside a free lock is alive on another machine."""
    owner = read_owner(lock)
    if owner is None:
        return
    told, seen, since = False, None, time.monotonic()
    while owner is not None and not owner.is_local:
        with contextlib.suppress(OSError):
            beat = owner_file(lock).stat().st_mtime_ns
            if beat != seen:  # our clock and the file server's may differ
                seen, since = beat, time.monotonic()
        if time.monotonic() - since > STALE_SECONDS:
            break
        if not told:
            say(f"waiting for {owner}")
            told = True
        time.sleep(PATIENCE_SECONDS)
        owner = read_owner(lock)
    if owner is not None:
        say(f"taking over from {owner}, which has died")


@contextlib.contextmanager
def _heartbeat(lock: Path, purpose: str) -> Iterator[None]:
    """Write the owner beside a lock, and touch it until the lock is released."""
    file = owner_file(lock)
    text = json.dumps(vars(Owner.this_process(purpose)))
    file.write_text(text, encoding="utf-8")
    done = threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            with contextlib.suppress(OSError):
                os.utime(file)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        file.unlink(missing_ok=True)
