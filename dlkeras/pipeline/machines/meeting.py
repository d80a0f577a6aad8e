"""Machines that train together meet before their engine starts, if any work is left.

An engine that waits for machines does so in native code: it says nothing and hears no
signal. So they wait for each other here, by their addresses in `TF_CONFIG`, and start
it only where the store lacks the model.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from rich.console import Console

from dlkeras.pipeline.artifacts.types import Artifact
from dlkeras.pipeline.configuration.config import COMPONENTS
from dlkeras.pipeline.engine.call import Call
from dlkeras.pipeline.engine.execution import Job
from dlkeras.pipeline.engine.progress import Progress
from dlkeras.pipeline.machines.cluster import Cluster
from dlkeras.pipeline.store.errors import InputError, PipelineError, WorkerLostError
from dlkeras.pipeline.store.publishing import Store

A = TypeVar("A", bound=Artifact)

TOGETHER = "Trainer"
PAUSE_SECONDS = 0.5
FIRST_SAY_SECONDS = 3.0
SAY_SECONDS = 30.0
# A queue may hold some machines back for long.
PATIENCE_SECONDS = 3600.0


class NotInStore(Exception):
    """A component has something to do."""


@dataclass
class Lookup:
    """An engine that only looks artifacts up.

    Attributes:
        store: the artifacts.
        force: components that run even where their artifact exists.
        progress: shows nothing.
        run_id: it is no run.
    """

    store: Store
    force: Collection[str]
    progress: Progress = field(
        default_factory=lambda: Progress(Console(quiet=True)), init=False
    )
    run_id: str = ""

    def artifact(self, call: Call[A], is_own: bool = True) -> A:
        """Find an artifact by its key.

        Raises:
            NotInStore: it is not there, or shall be made again.
        """
        component, found = call.component, None
        if component.name not in self.force:
            found = self.store.find(component.output, call.key, verify=False)
        if found is None:
            raise NotInStore(component.name)
        return found


def training_is_left(job: Job) -> bool:
    """Whether a run will come to train, so far as the store can tell."""
    if job.until in COMPONENTS[: COMPONENTS.index(TOGETHER)]:
        return False
    try:
        job.carry_out(Lookup(job.store, job.force), until=TOGETHER)
    except NotInStore:
        return True
    except PipelineError:  # the run itself says what is wrong
        pass
    return False


@contextlib.contextmanager
def listening(address: str) -> Iterator[None]:
    """Let the other machines see that this one is there.

    Args:
        address: HOST:PORT of this machine; as the engines do, it listens on all of
            the machine's names, and this name may not be known yet.

    Raises:
        InputError: another process listens there.
    """
    port = int(address.rpartition(":")[2])
    both = socket.has_dualstack_ipv6()
    try:
        server = socket.create_server(
            ("", port),
            family=socket.AF_INET6 if both else socket.AF_INET,
            dualstack_ipv6=both,
            backlog=128,
        )
    except OSError as error:
        raise InputError(
            f"TF_CONFIG: expected a free port of this machine for {address}: "
            f"{error.strerror}"
        ) from error
    # Who asks whether this machine is there is taken from the queue: a full one looks
    # as if nobody listened.
    threading.Thread(target=_take, args=(server,), daemon=True).start()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)  # wakes the thread
        server.close()


def _take(server: socket.socket) -> None:
    """Accept every connection, until the server is closed.

    Who asks ends the connection: the port is then free for an engine at once.
    """
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.settimeout(1)
                connection.recv(1)


def answers(address: str) -> bool:
    """Whether a process listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except OSError:
        return False
    return True


def meet(
    machines: Cluster, say: Callable[[str], None], is_left: Callable[[], bool]
) -> bool:
    """Wait until all machines of a training are there.

    Args:
        machines: all of them.
        say: is told whom this one waits for, now and then.
        is_left: whether there is still something to train; it is asked now and then.

    Returns:
        Whether they are all there; False where nothing was left to train meanwhile.

    Raises:
        WorkerLostError: one did not come.
        InputError: this machine's port is taken.
    """
    others = [w for i, w in enumerate(machines.workers) if i != machines.index]
    if not others:
        return True
    began = time.monotonic()
    tell_at = FIRST_SAY_SECONDS
    with listening(machines.workers[machines.index]):
        while missing := [address for address in others if not answers(address)]:
            waited = time.monotonic() - began
            if waited > PATIENCE_SECONDS:
                raise WorkerLostError(
                    f"expected the machines {', '.join(missing)} of TF_CONFIG within "
                    f"{PATIENCE_SECONDS / 60:.0f} minutes; start all of them again"
                )
            if waited >= tell_at:
                if not is_left():
                    return False
                say(f"waiting for {', '.join(missing)}, to train together")
                tell_at = waited + SAY_SECONDS
            time.sleep(PAUSE_SECONDS)
    return True
