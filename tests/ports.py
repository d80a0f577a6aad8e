"""Ports that stay free until the server of a test takes them."""

import random
import socket


def free_ports(number: int = 1) -> list[int]:
    """Ports of 127.0.0.1 below those that systems hand out by themselves.

    A port that the system chose and that was closed again is dealt anew, to a server or
    to a connection of another test, before a process of this one has been started.
    """
    found: set[int] = set()
    while len(found) < number:
        port = random.SystemRandom().randrange(15_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.add(port)
    return sorted(found)


def free_port() -> int:
    """One such port."""
    return free_ports()[0]


def addresses(number: int = 2) -> list[str]:
    """As many addresses of workers, HOST:PORT."""
    return [f"127.0.0.1:{port}" for port in free_ports(number)]
