"""What several commands take: the places of the runs, a run, counts, hours, a port."""

import argparse
import errno
import math
import os
import socket
from pathlib import Path

from dlkeras.pipeline.store.errors import InputError, PipelineError


def add_places(parser: argparse.ArgumentParser) -> None:
    """Say where the runs are."""
    parser.add_argument(
        "--mlruns",
        type=Path,
        default=Path("mlruns"),
        help="folder of the runs (default: mlruns)",
    )
    parser.add_argument(
        "--tracking-uri",
        help="MLflow server or database (default: MLFLOW_TRACKING_URI, else "
        "mlflow.db in the folder of the runs)",
    )


def add_run(parser: argparse.ArgumentParser) -> None:
    """Say which run."""
    parser.add_argument("run", metavar="RUN", help="a run's id, its beginning, or last")


def count(text: str) -> int:
    """A whole number of at least 1."""
    return _whole_number(text, 1, math.inf, "a whole number of at least 1")


def seed(text: str) -> int:
    """A whole number of at least 0."""
    return _whole_number(text, 0, math.inf, "a whole number of at least 0")


def port(text: str) -> int:
    """A port of this machine."""
    return _whole_number(text, 1, 65535, "a port from 1 to 65535")


def _whole_number(text: str, low: int, high: float, what: str) -> int:
    plain = text.isascii() and text.isdigit()  # isdigit alone takes a superscript two
    if not plain or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f"expected {what}; received {text!r}")
    return int(text)


def hours(text: str) -> float:
    """A span of time: neither negative nor infinite."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(
            f"expected a number of hours, at least 0; received {text!r}"
        )
    return value


def listening_socket(host: str, port: int) -> socket.socket:
    """Take a port, so that nobody else can.

    Args:
        host: an address or a name of this machine.
        port: from 1 to 65535.

    Raises:
        InputError: it is no address of this machine.
        PipelineError: another process has the port, or it may not be taken.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except UnicodeError as error:  # a name that can be none
        raise InputError(
            f"--host: expected an address of this machine; received {host}"
        ) from error
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise InputError(
                f"--host: expected an address of this machine; received {host}"
            ) from error
        raise PipelineError(
            f"--port: expected a free port; {port}: {os.strerror(error.errno)}. "
            "Another `dlkeras ui` or `dlkeras serve` may be running"
        ) from error
