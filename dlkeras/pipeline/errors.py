"""The errors a pipeline reports in one line, each with the exit code it ends with."""

import re

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


class PipelineError(Exception):
    """A run cannot go on; the message says what was expected, what came, and where.

    Attributes:
        exit_code: what the command ends with: 1, or 2 where the user's input is at
            fault.
    """

    exit_code = 1


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C stopped a run that MLflow knows, and that the same command continues."""


class WorkerLostError(PipelineError):
    """Another machine of a distributed training has ended."""


class InputError(PipelineError):
    """A flag, a configuration file or a data set is not what the pipeline can use."""

    exit_code = 2


class AnomaliesError(InputError):
    """The examples break the schema; the message names the rules and the examples."""


class CorruptArtifactError(PipelineError):
    """A file in the store is not the file that was published there."""


class TrackingError(PipelineError):
    """The MLflow server or its database does not answer."""


class StorageError(PipelineError):
    """The folder of the runs cannot be written: read-only, or the disk is full."""
