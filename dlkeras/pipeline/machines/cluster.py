"""The machines of a training, as `TF_CONFIG` names them, and which of them this is."""

import json
import os
import re
from dataclasses import dataclass
from typing import Literal

from dlkeras.pipeline.store.errors import InputError, reason

Kind = Literal["none", "mirrored", "multi_worker", "data_parallel"]


@dataclass(frozen=True)
class Cluster:
    """The machines of a training, and which of them this process is.

    Attributes:
        workers: addresses, HOST:PORT, of all of them.
        index: the number of this one; 0 is the chief.
    """

    workers: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        """Whether this process evaluates, writes checkpoints and tells MLflow."""
        return self.index == 0


def cluster() -> Cluster:
    """Read `TF_CONFIG`; without it this process is alone.

    Raises:
        InputError: the variable is not what TensorFlow expects.

    Example:
    >>> cluster()
    Cluster(workers=('this',), index=0)
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        return Cluster(("this",), 0)
    try:
        config = json.loads(text)
        workers = tuple(config["cluster"]["worker"])
        index = int(config["task"]["index"])
        if config["task"]["type"] != "worker" or not 0 <= index < len(workers):
            raise ValueError("the task must be one of the workers")
        for address in workers:
            if not re.fullmatch(r".+:[0-9]{1,5}", address):
                raise ValueError(f"{address!r} is no HOST:PORT")
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            'TF_CONFIG: expected {"cluster": {"worker": ["HOST:PORT", ...]}, "task": '
            f'{{"type": "worker", "index": 0}}}}; received {text!r}: {reason(error)}'
        ) from error
    return Cluster(workers, index)


def cluster_of(kind: Kind) -> Cluster:
    """The machines of a training of this kind; one that shares nothing is alone."""
    several = kind in ("multi_worker", "data_parallel")
    return cluster() if several else Cluster(("this",), 0)
