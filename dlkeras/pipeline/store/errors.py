"""The errors a pipeline reports in one line, each with the exit code it ends with."""

import errno
import os
import re
import sys
from collections.abc import Callable

INTERRUPTED = 130
# Errors whose messages say enough.
_KIND = re.compile(r"^[\w.]*(FailedTrialError|InputError|PipelineError): ")
# What TensorFlow puts around its messages: the node, and the operation.
_OF_TENSORFLOW = re.compile(r"^\{\{.*?\}\} | \[Op:.*", re.DOTALL)


def reason(error: BaseException) -> str:
    r"""What an error says, in one line; its kind where it says nothing.

    >>> reason(ValueError("expected a number\n  in line 3")), reason(MemoryError())
    ('expected a number', 'MemoryError')
    """
    text = _OF_TENSORFLOW.sub("", str(error).strip()).strip()
    kind = type(error).__name__
    if isinstance(error, KeyError):  # its text is the bare key
        text = f"{kind}: {text}"
    return text.splitlines()[0].rstrip() if text else kind


def last_line(text: str) -> str:
    """The last line of what a process has said, which names what went wrong."""
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"


def cause_of(traceback: str) -> str:
    r"""Why a trial failed, from its traceback: the last line, without its kind.

    >>> cause_of("Traceback:\n  ...\nkeras_tuner.errors.FailedTrialError: all frozen")
    'all frozen'
    """
    return _KIND.sub("", last_line(traceback))


class PipelineError(Exception):
    """A run cannot go on; the message says what was expected, what came, and where.

    Attributes:
        exit_code: what the command ends with: 1, or 2 where the user's input is at
            fault.
    """

    exit_code = 1


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C stopped a run that MLflow knows, and that the same command continues."""

    def __str__(self) -> str:
        """What became of the run."""
        return (
            "interrupted: the run is marked KILLED, its checkpoints are kept; the same "
            "command continues it"
        )


class WorkerLostError(PipelineError):
    """Another machine of a distributed training has ended."""


class InputError(PipelineError):
    """A flag, a configuration file or a data set is not what the pipeline can use."""

    exit_code = 2


class NoSuchModelError(InputError):
    """The registry has no model of this name, alias or version.

    Args:
        model: what the user wrote.
        found: what there is.
    """

    def __init__(self, model: str, found: str):
        super().__init__(
            "MODEL: expected the name of a registered model (name, name@alias or "
            f"name/version); received {model!r}: {found}"
        )
        self.found = found


class AnomaliesError(InputError):
    """The examples break the schema; the message names the rules and the examples."""


class CorruptArtifactError(PipelineError):
    """A file in the store is not the file that was published there."""


class TrackingError(PipelineError):
    """The MLflow server or its database does not answer."""


class StorageError(PipelineError):
    """The folder of the runs cannot be written: read-only, or the disk is full."""


def exit_code_of(work: Callable[[], int]) -> int:
    """Do what a command does; what it raises becomes a line and an exit code.

    Every command passes through here. What is nobody's fault but the code's is raised
    on, with its traceback. A letter that the terminal lacks is written as its number.

    Args:
        work: returns an exit code.

    Returns:
        The exit code: 130 after Ctrl-C, 0 where the reader of a pipe has gone.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not where a test or a notebook reads
            stream.reconfigure(errors="backslashreplace")
    try:
        code = work()
        sys.stdout.flush()
        return code
    except (PipelineError, KeyboardInterrupt, OSError, MemoryError) as error:
        return report(error)


def report(error: BaseException) -> int:
    """Print what an exception says in a line; return the exit code that it means."""
    if isinstance(error, KeyboardInterrupt):
        print(f"\n{str(error) or 'interrupted'}", file=sys.stderr)
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):  # the reader of a pipe has seen enough
        _discard_output()
        return 0
    text = reason(error)
    if isinstance(error, PipelineError):
        text = str(error)
    elif isinstance(error, OSError) and error.filename is not None:
        text = f"{os.fsdecode(error.filename)}: {error.strerror}"
    elif isinstance(error, OSError) and error.errno == errno.ENOSPC:
        _discard_output()
        text = f"standard output: {error.strerror}"
    print(f"error: {text}", file=sys.stderr)
    return error.exit_code if isinstance(error, PipelineError) else 1


def _discard_output() -> None:
    """Send nowhere what standard output still holds: it would fail at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
