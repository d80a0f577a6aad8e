"""Runs scripts as forks of a process that has imported the libraries already.

A process of the pipeline spends a good part of its life importing TensorFlow and
MLflow. Here only libraries are imported before the fork, nothing of dlkeras, and
nothing is computed: what is killed is a process like any other, some seconds younger.

Reads one request a line (JSON: `argv`, `env`, `cwd`, `out`, `err`), answers with the
process's number, and, when it has ended, with its exit code; one request at a time.
"""

import contextlib
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

LIBRARIES = (
    "tensorflow", "keras", "tensorflow_datasets", "tensorboard", "mlflow",
    "mlflow.pyfunc", "pandas", "scipy.stats", "scipy.ndimage", "sklearn.datasets",
    "matplotlib.pyplot", "PIL.Image", "keras_tuner", "pydantic",
    "rich.console", "psutil", "pynvml", "h5py",
)  # fmt: skip


class ForkServer:
    """A process that forks the jobs of one thread.

    Args:
        environment: of the server itself.
    """

    def __init__(self, environment: dict[str, str]):
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env=environment | {"TF_CPP_MIN_LOG_LEVEL": "3", "MPLBACKEND": "agg"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, argv: list[str], env: dict[str, str], cwd: Path) -> "Forked":
        """Start a script; the one before must have ended."""
        folder = tempfile.TemporaryDirectory(prefix="forked-")
        out, err = (str(Path(folder.name) / name) for name in ("out", "err"))
        request = {"argv": argv, "env": env, "cwd": str(cwd), "out": out, "err": err}
        assert self._process.stdin
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Forked(int(self.answer()), self, folder)

    def answer(self) -> str:
        """The server's next line."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the fork server ended: {self._process.wait()}")
        return line

    def close(self) -> None:
        """End the server."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


class Forked:
    """A started script."""

    def __init__(self, pid: int, server: ForkServer, folder: Any):
        self.pid, self._server, self._folder = pid, server, folder

    def wait(self, timeout: float = 3600) -> tuple[int, str, str]:
        """Exit code (negative: the signal), output, errors.

        Args:
            timeout: seconds after which the script is killed.
        """
        timer = threading.Timer(timeout, self.kill)
        timer.start()
        try:
            code = int(self._server.answer())
        finally:
            timer.cancel()
        with self._folder:
            texts = [
                Path(self._folder.name, name).read_text("utf-8", errors="replace")
                for name in ("out", "err")
            ]
        return code, texts[0], texts[1]

    def kill(self) -> None:
        """End it as `kill -9` does."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


def serve() -> dict | None:
    """Fork for each request; returns the request in the child, and None at the end."""
    gc.disable()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)  # what TensorFlow's C++ code says of itself
    try:
        for name in LIBRARIES:
            __import__(name)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
    gc.enable()
    gc.freeze()  # so that a child's collector does not copy the parent's memory
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            return request
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


def become(request: dict) -> None:
    """Be the script that the request names."""
    for descriptor, name in ((1, "out"), (2, "err")):
        opened = os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(opened, descriptor)
        os.close(opened)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    kind = argv[0] if (argv := request["argv"])[0] in ("-m", "-c") else None
    sys.argv = argv[1:] if kind == "-m" else argv
    sys.path[0] = "" if kind else str(Path(argv[0]).parent)
    for path in reversed(request["env"].get("PYTHONPATH", "").split(os.pathsep)):
        sys.path.insert(1, path)
    if kind == "-m":
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv = ["-c", *argv[2:]]
        exec(compile(argv[1], "<string>", "exec"), sys.modules["__main__"].__dict__)
    else:
        runpy.run_path(argv[0], run_name="__main__")


if __name__ == "__main__":
    asked = serve()
    if asked is not None:
        become(asked)
