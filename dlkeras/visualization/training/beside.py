"""Figures of epochs, drawn in a process of its own while the training goes on."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np

from dlkeras.visualization.training.watched import Measured, epoch_figures

# A picture takes a quarter of a second; after that, the one that waits for it draws it.
PATIENCE = 60.0


class DrawingProcess:
    """Draws the figures of epochs into folders, one after the other.

    It imports neither Keras nor a backend, ends with the process that started it, and
    leaves whole folders or none. Whatever keeps it from drawing, `wait` draws.

    Args:
        folder: where an epoch's figures go: `FOLDER/figures-0004/NAME.png`.

    Example:
    ```python
    drawing = DrawingProcess(folder)
    drawing.ask(4, 2, measured)  # returns at once
    drawing.wait(4)  # the folder of its figures
    ```
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._process: subprocess.Popen | None = None

    def ask(self, epoch: int, before: int, measured: Measured) -> None:
        """Have an epoch's figures drawn, as `epoch_figures` draws them."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with _request(self._folder, epoch).open("wb") as file:
            np.savez(file, allow_pickle=False, before=before, **measured)
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __spec__.name, str(self._folder.resolve())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            weakref.finalize(self, _end, self._process)
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it has ended: `wait` draws
            self._process.stdin.write(json.dumps(epoch).encode() + b"\n")
            self._process.stdin.flush()

    def is_drawn(self, epoch: int) -> bool:
        """Whether the folder of an epoch is there."""
        return folder_of(self._folder, epoch).is_dir()

    def wait(self, epoch: int) -> Path:
        """Wait for the figures of an epoch that was asked for.

        Returns:
            Their folder.
        """
        folder = folder_of(self._folder, epoch)
        deadline = time.monotonic() + PATIENCE
        while not folder.is_dir():
            ended = self._process is None or self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                draw_asked(self._folder, epoch)
                break
            time.sleep(0.01)
        return folder

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            _end(self._process)


def draw_asked(folder: Path, epoch: int) -> None:
    """Draw what was asked for, unless it is there."""
    request = _request(folder, epoch)
    if not folder_of(folder, epoch).is_dir():
        with np.load(request, allow_pickle=False) as file:
            measured = dict(file)
        draw_epoch(folder, epoch, int(measured.pop("before")), measured)
    request.unlink(missing_ok=True)


def draw_epoch(folder: Path, epoch: int, before: int, measured: Measured) -> Path:
    """Draw an epoch's figures into its folder, which appears whole.

    Args:
        folder: the folder of all.
        epoch: from 1.
        before: as for `epoch_figures`.
        measured: as for `epoch_figures`.

    Returns:
        The folder of the epoch.
    """
    whole = folder_of(folder, epoch)
    incomplete = folder / f"figures-incomplete-{os.getpid()}"
    shutil.rmtree(incomplete, ignore_errors=True)
    incomplete.mkdir(parents=True)
    for name, figure in epoch_figures(measured, epoch, before):
        figure.savefig(incomplete / f"{name}.png")
    try:
        incomplete.rename(whole)
    except OSError:
        shutil.rmtree(incomplete, ignore_errors=True)
        if not whole.is_dir():  # it was not another process that was faster
            raise
    return whole


def folder_of(folder: Path, epoch: int) -> Path:
    """Where the figures of an epoch (from 1) are."""
    return folder / f"figures-{epoch:04d}"


def _request(folder: Path, epoch: int) -> Path:
    return folder / f"measured-{epoch:04d}.npz"


def _end(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


if __name__ == "__main__":
    for line in sys.stdin:  # until the process that asks has ended
        draw_asked(Path(sys.argv[1]), json.loads(line))
