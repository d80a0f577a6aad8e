"""The errors a pipeline reports in one line, each with the exit code it ends with."""


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
