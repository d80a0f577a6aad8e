"""Figures that are written by two processes: the one that makes them, and a helper.

Writing a figure as PNG and SVG takes half a second. Inside of `figures_beside`
the caller goes on at once; `all_saved` returns when all files are there.
"""

import collections
import contextlib
import contextvars
import functools
import io
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# A figure takes half a second; one that takes longer is written by the one who waits.
PATIENCE = 60.0
# A larger drawing is slow to show.
LARGEST_SVG = 1_000_000
Task = tuple[Any, Path]


def write_figure(figure: Any, png: Path) -> None:
    """Write a figure, or what a function draws, as `save_figure` has it written."""
    from matplotlib import rc_context
    from matplotlib.image import AxesImage

    figure = figure() if callable(figure) else figure
    figure.savefig(png)
    if len(figure.findobj(AxesImage)) > 1:
        return
    drawn = io.BytesIO()
    with rc_context({"svg.hashsalt": "dlkeras"}):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    if drawn.tell() <= LARGEST_SVG:
        png.with_suffix(".svg").write_bytes(drawn.getvalue())


class _Writers:
    """A helper process that writes figures from one end of a queue.

    The one who waits writes from the other end, and once more what the helper has begun
    and not ended, for whatever reason: no figure is lost with it.
    """

    def __init__(self) -> None:
        self._tasks: collections.deque[Task] = collections.deque()
        self._asked, self._idle = threading.Semaphore(0), threading.Event()
        self._idle.set()
        self._failed: list[Task] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dlkeras.visualization.look.saved_beside"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        threading.Thread(target=self._hand_over, daemon=True).start()

    def save(self, figure: Any, png: Path) -> None:
        """Have a figure written, or a function call that draws one; it stays as is."""
        self._tasks.append((figure, png))
        self._asked.release()

    def wait(self) -> None:
        """Write what is left, and wait for the helper."""
        while self._tasks:
            try:
                task = self._tasks.pop()
            except IndexError:  # the helper was faster
                break
            write_figure(*task)
        if not self._idle.wait(PATIENCE):
            self._process.kill()
            self._idle.wait()
        while self._failed:
            write_figure(*self._failed.pop())

    def forget(self) -> None:
        """Write nothing more of what was asked for: nobody wants it."""
        self._tasks.clear()
        self._idle.wait(PATIENCE)
        self._failed.clear()

    def end(self) -> None:
        """End the helper."""
        self._tasks.clear()
        self._process.kill()
        self._process.wait()
        self._asked.release()

    def _hand_over(self) -> None:
        """A thread's: give the helper one figure after the other."""
        assert self._process.stdin is not None and self._process.stdout is not None
        while self._process.poll() is None:
            self._asked.acquire()
            self._idle.clear()
            try:
                task = self._tasks.popleft()
            except IndexError:  # it is written already, or this is the end
                self._idle.set()
                continue
            try:
                self._process.stdin.write(pickle.dumps((task, _style())))
                self._process.stdin.flush()
                done = self._process.stdout.readline()
            except Exception:  # a figure that cannot be handed over, a dead helper
                done = b""
            if not done.startswith(b"saved"):
                self._failed.append(task)
            self._idle.set()


def _style() -> dict[str, Any]:
    """What of matplotlib's settings differs from its own."""
    from matplotlib import rcParams, rcParamsDefault

    # Reading the backend would choose one.
    names: list[Any] = [name for name in rcParams if name != "backend"]
    return {n: rcParams[n] for n in names if rcParams[n] != rcParamsDefault.get(n)}


_writers: contextvars.ContextVar[list[_Writers] | None] = contextvars.ContextVar(
    "writers", default=None
)


@contextlib.contextmanager
def figures_beside() -> Iterator[None]:
    """Let a helper write what is saved inside, once `begin` has been called."""
    mine: list[_Writers] = []
    token = _writers.set(mine)
    try:
        yield
    finally:
        _writers.reset(token)
        for writers in mine:
            writers.end()


def begin() -> None:
    """Start the helper, unless there is one: it imports meanwhile."""
    mine = _writers.get()
    if mine is not None and not mine:
        mine.append(_Writers())


def save(figure: Any, png: Path) -> bool:
    """Have the helper write a figure, or draw it, too; False where there is none.

    Args:
        figure: a figure, or a `functools.partial` that draws one and can be pickled.
        png: where to.
    """
    mine = _writers.get()
    if not mine:
        return False
    mine[0].save(figure, png.resolve())
    return True


def draw_figure(
    png: Path, function: Callable[..., Any], *args: Any, **options: Any
) -> None:
    """Write the figure that a function draws, as `save_figure` writes one.

    Inside of `figures_beside` the helper draws it, too, while the caller goes on.

    Args:
        png: where to.
        function: one of a module, which the helper can import.
        *args: arrays and plain values, which nobody changes afterwards.
        **options: the same.
    """
    task = functools.partial(function, *args, **options)
    if not save(task, png):
        write_figure(task, png)


def all_saved() -> None:
    """Wait until all figures are written."""
    for writers in _writers.get() or ():
        writers.wait()


@contextlib.contextmanager
def saved_at_the_end() -> Iterator[None]:
    """Start the helper, unless there is one, and wait for all that is saved inside."""
    begin()
    try:
        yield
    except BaseException:  # the folder goes: nobody may write into it any more
        for writers in _writers.get() or ():
            writers.forget()
        raise
    all_saved()


def _help() -> None:
    """The helper: write what comes, until the one who asks has ended."""
    from matplotlib import rc_context

    import dlkeras.visualization.figure  # noqa: F401  (before there is one to write)

    while True:
        try:
            (figure, png), style = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        with rc_context(style):
            write_figure(figure, png)
        sys.stdout.write("saved\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _help()
