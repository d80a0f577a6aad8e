"""Watches whether the other workers still run.

An engine waits for heartbeats, and so cannot tell a process that has ended from one
that is slow. The kernel of its machine can: it refuses a connection at once where no
process listens, and does not where one listens that is busy or stopped.
"""

import atexit
import contextlib
import faulthandler
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

# Between two looks at a worker.
INTERVAL_SECONDS = 1.0
# So many refusals in a row: meanwhile a training that is over comes to its end.
REFUSALS = 3


def refuses(address: str) -> bool:
    """Whether the machine at HOST:PORT says that no process listens there.

    A machine that does not answer at all says nothing.

    Example:
    >>> with socket.create_server(("127.0.0.1", 0)) as server:
    ...     address = "127.0.0.1:%d" % server.getsockname()[1]
    ...     while_it_listens = refuses(address)
    >>> while_it_listens, refuses(address)
    (False, True)
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


@contextlib.contextmanager
def watch(addresses: Sequence[str], on_end: Callable[[str], None]) -> Iterator[None]:
    """Call a function, in a thread, when a process that was there has ended.

    Args:
        addresses: HOST:PORT of each process.
        on_end: is given the address of the first that has ended.
    """
    over = threading.Event()

    def look() -> None:
        refused: dict[str, int] = {}  # of workers that have been there
        while not over.wait(INTERVAL_SECONDS):
            for address in addresses:
                if not refuses(address):
                    refused[address] = 0
                elif address in refused:
                    refused[address] += 1
                if refused.get(address, 0) >= REFUSALS and not over.is_set():
                    on_end(address)
                    return

    thread = threading.Thread(target=look, name="worker watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def native_wait(seconds: float) -> Iterator[None]:
    """Let Ctrl-C, or too long a time, end this process while native code waits.

    TensorFlow's engine waits for the other machines with Python's lock in its hands: no
    handler of Python runs, and no other thread. It takes SIGTERM for itself, too; it is
    Python's again afterwards. Nothing may have begun that has to be ended in order.

    Args:
        seconds: the wait's longest time; the process then ends with 1.
    """
    heard = (signal.SIGTERM, signal.SIGINT)
    in_main = threading.current_thread() is threading.main_thread()
    before = [signal.signal(n, signal.SIG_DFL) for n in heard] if in_main else []
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            for number, handler in zip(heard, before, strict=False):
                signal.signal(number, handler)


def end_process(exit_code: int) -> NoReturn:
    """End this process without taking TensorFlow's engine down.

    That waits up to 12 seconds for answers of workers that have ended. What Python has
    to do at its end is done.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
