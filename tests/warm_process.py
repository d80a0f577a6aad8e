"""Runs Python as a process of its own that has imported the libraries already.

`run_python("-m", "dlkeras.cli", "runs")` gives what `subprocess.run` gives for
`python -m dlkeras.cli runs`, some seconds sooner: the process is a fork of one that has
imported TensorFlow and MLflow, and nothing of dlkeras. What a start prints, imports or
costs is seen in a plain process alone.
"""

import atexit
import importlib.util
import os
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
_spec = importlib.util.spec_from_file_location(
    "forkserver", ROOT / "benchmarks" / "forkserver.py"
)
assert _spec is not None and _spec.loader is not None
forkserver = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(forkserver)


@cache
def _server():
    server = forkserver.ForkServer(dict(os.environ))
    atexit.register(server.close)
    return server


def run_python(
    *arguments: object,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    timeout: float = 600,
) -> subprocess.CompletedProcess[str]:
    """Run `python ARGUMENTS` to its end, without a terminal and without input.

    Args:
        arguments: `SCRIPT ...`, `-m MODULE ...` or `-c CODE ...`.
        cwd: the process's folder.
        env: its environment; default: this process's.
        timeout: seconds after which it is killed.
    """
    argv = [os.fspath(a) if isinstance(a, os.PathLike) else str(a) for a in arguments]
    environment = dict(os.environ if env is None else env)
    started = _server().run(argv, environment, Path(cwd))
    code, out, err = started.wait(timeout)
    return subprocess.CompletedProcess(argv, code, out, err)
