"""Locks that say who holds them, and that outlive neither a process nor a machine.

The kernel frees a file lock when its holder dies. Beside it lies a file with the
holder's host, process and purpose: `dlkeras status` shows it, a waiting process names
it, and on a shared folder whose kernel does not carry locks from machine to machine it
decides: the holder touches it every few seconds, and one that has stopped is stale.

No two machines' clocks are compared: who watches waits, by a clock of its own, until
the file's time changes, or has not for `STALE_SECONDS`. A holder that was only stopped
for as long may go on: what it publishes is the same, and whole.
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
    import filelock  # not where a pushed model is served

    held = filelock.FileLock(lock)
    try:
        held.acquire(timeout=PATIENCE_SECONDS)
    except filelock.Timeout:
        say(f"waiting for {read_owner(lock) or 'another process'}")
        held.acquire()
    try:
        _remove_dead_owner(lock, say)
        with heartbeat(lock, purpose):
            yield
    finally:
        held.release()


@contextlib.contextmanager
def owned_if_free(lock: Path, purpose: str) -> Iterator[bool]:
    """Hold a lock if it is free; don't wait for another process.

    Args:
        lock: the lock's file.
        purpose: what for, in a word or two.

    Yields:
        Whether this process holds it.
    """
    import filelock  # not where a pushed model is served

    held = filelock.FileLock(lock)
    try:
        held.acquire(blocking=False)
    except filelock.Timeout:
        yield False
        return
    try:
        owner = read_owner(lock)
        # The kernel may not know of a holder on another machine.
        if (owner is None or not owner.is_local) and is_alive(lock):
            yield False
            return
        _remove_dead_owner(lock, lambda text: None)
        with heartbeat(lock, purpose):
            yield True
    finally:
        held.release()


@contextlib.contextmanager
def heartbeat(lock: Path, purpose: str) -> Iterator[None]:
    """Write this process beside a lock, and touch the file until the block ends.

    Args:
        lock: the lock's file, which need not exist.
        purpose: what for, in a word or two.
    """
    file = owner_file(lock)
    text = json.dumps(vars(Owner.this_process(purpose)))
    while True:
        try:
            with file.open("x", encoding="utf-8") as opened:
                try:
                    opened.write(text)
                    opened.flush()
                except OSError:
                    file.unlink(missing_ok=True)
                    raise
            break
        except FileExistsError:  # another machine was faster
            _remove_dead_owner(lock, lambda text: None)
    done = threading.Event()

    def is_ours() -> bool:
        with contextlib.suppress(OSError):
            return file.read_text(encoding="utf-8") == text
        return False

    def beat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            if is_ours():
                with contextlib.suppress(OSError):
                    os.utime(file)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        if is_ours():
            file.unlink(missing_ok=True)


def is_alive(lock: Path) -> bool:
    """Whether the owner beside a lock is alive; where there is none, no.

    Of an owner on another machine it takes `STALE_SECONDS` to see that it is dead.
    """
    if not owner_file(lock).exists():
        return False
    owner = read_owner(lock)
    if owner is not None and owner.is_local:
        return not owner.is_gone
    return _beats(lock)


def take_from_dead(lock: Path) -> Owner | None:
    """Remove the owner beside a lock where it has died.

    Of an owner on another machine that takes `STALE_SECONDS`; that one is alive shows
    within `HEARTBEAT_SECONDS`.

    Returns:
        The owner, for the one process that removed it; None where it is alive, where
        there is none, or where another process was faster.
    """
    owner = read_owner(lock)
    if owner is None:
        return None
    return owner if not is_alive(lock) and _removed(lock, owner) else None


def living_owner(lock: Path) -> Owner | None:
    """The owner beside a lock, if it is alive and touches the file in this folder."""
    owner = read_owner(lock)
    if owner is None or owner.is_gone:
        return None
    return owner if _beats(lock) and owner_file(lock).exists() else None


def _remove_dead_owner(lock: Path, say: Callable[[str], None]) -> None:
    """Wait while the owner beside a free lock is alive on another machine."""
    told = False
    while owner_file(lock).exists():
        owner = read_owner(lock)
        who = owner or "another process"
        # One of this machine would hold the lock, which this process has.
        if owner is None or not owner.is_local:
            if not told:
                say(f"waiting for {who}")
                told = True
            if _beats(lock):
                continue
        if _removed(lock, owner):
            say(f"taking over from {who}, which has died")


def _beats(lock: Path) -> bool:
    """Watch an owner's file until it is touched, or has not been for too long."""
    file = owner_file(lock)
    try:
        first = file.stat().st_mtime_ns
        since = time.monotonic()
        while time.monotonic() - since < STALE_SECONDS:
            time.sleep(PATIENCE_SECONDS)
            if file.stat().st_mtime_ns != first:
                return True
    except FileNotFoundError:  # it is done
        return True
    return False


def _removed(lock: Path, owner: Owner | None) -> bool:
    """Remove an owner's file unless it is another's by now; True for one process."""
    file = owner_file(lock)
    aside = file.with_name(f".{file.name}.{socket.gethostname()}.{os.getpid()}")
    try:
        if read_owner(lock) != owner:
            return False
        file.rename(aside)  # of several processes one succeeds
    except FileNotFoundError:
        return False
    aside.unlink(missing_ok=True)
    return True
