"""The stranger: a fresh process, which loads every form of a model and questions it.

It knows nothing of the training. It imports TensorFlow for as long as judging a model
takes: so it is started when that begins, and waits for what it is to load.
"""

import atexit
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from dlkeras.pipeline.examples.decoding import image_pixels
from dlkeras.pipeline.serving.servable import (
    QUESTIONS,
    TAKES_RAW_IMAGES,
    digests,
    load_form,
)
from dlkeras.pipeline.store.errors import PipelineError, reason

# What a form is asked with: pixels and image files, or what the preprocessing gives.
RAW = ("raw", "file")
PREPARED = ("prepared",)
_waiting: list[subprocess.Popen] = []


def call_stranger() -> None:
    """Start the process that the next `stranger` gives, unless one waits already."""
    if not _waiting:
        _waiting.append(_started())


@contextlib.contextmanager
def stranger() -> Iterator[subprocess.Popen]:
    """The process, which waits for `{"folder", "tolerance", "forms"}` as JSON.

    It is started here where nobody called it before, and ends in any case.
    """
    process = _waiting.pop() if _waiting else _started()
    try:
        yield process
    finally:
        _end(process)


@contextlib.contextmanager
def strangers_sent_home() -> Iterator[None]:
    """End a process that was called and not needed: no model was to be tried."""
    try:
        yield
    finally:
        _send_home()


def _started() -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", __spec__.name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _end(process: subprocess.Popen) -> None:
    process.kill()
    process.communicate()


@atexit.register
def _send_home() -> None:
    while _waiting:
        _end(_waiting.pop())


def answer(folder: Path, request: dict) -> dict[str, float]:
    """Load and question every form; the fresh process's part.

    Args:
        folder: where the forms and the questions are.
        request: `tolerance`, and `forms`: SHA-256 of each file by form.

    Returns:
        The largest difference from the trainer's model, by form.

    Raises:
        PipelineError: a file is another one, or an answer differs.
    """
    with np.load(folder / QUESTIONS, allow_pickle=False) as asked:
        questions = dict(asked)
    differences = {}
    for form, published in request["forms"].items():
        found = digests(folder, form)
        for name in sorted(published.keys() | found.keys()):
            if published.get(name) != found.get(name):
                raise PipelineError(
                    f"{name}: expected SHA-256 {str(published.get(name))[:16]}, "
                    f"received {str(found.get(name))[:16]}"
                )
        try:
            call = load_form(form, folder)
        except Exception as error:  # whatever it is, this form cannot be served
            raise PipelineError(
                f"{form}: expected a model that loads in a fresh process; "
                f"{type(error).__name__}: {reason(error)}"
            ) from error
        given = [
            _difference(form, questions, number, kind, call, request["tolerance"])
            for number in range(sum(name.startswith("raw_") for name in questions))
            for kind in (RAW if form in TAKES_RAW_IMAGES else PREPARED)
        ]
        differences[form] = max(given, default=0.0)
    return differences


def _difference(
    form: str,
    questions: dict[str, np.ndarray],
    number: int,
    kind: str,
    call: Callable[[np.ndarray], np.ndarray],
    tolerance: float,
) -> float:
    """Ask one question in one of its forms, and compare the answer."""
    expected, asked = questions[f"expected_{number}"], questions[f"{kind}_{number}"]
    if kind == "file":
        channels = questions[f"raw_{number}"].shape[-1]
        asked = image_pixels(asked.tobytes(), channels)[None]
    received = call(asked)
    difference = (
        float(np.abs(expected - received).max())
        if expected.shape == received.shape
        else np.inf
    )
    if not difference <= tolerance:
        sent = ", sent as a file" if kind == "file" else ""
        raise PipelineError(
            f"{form}: expected the trainer's probabilities within {tolerance:g} for "
            f"test image {number}{sent}; they differ by {difference:.2g}"
        )
    return difference


if __name__ == "__main__":
    import dlkeras.layers
    import dlkeras.pipeline.tensorflow_import  # noqa: F401  (while the other writes)

    asked = sys.stdin.read()
    if not asked:
        raise SystemExit  # who called has ended
    question = json.loads(asked)
    try:
        reply: dict = answer(Path(question["folder"]), question)
    except PipelineError as problem:
        reply = {"problem": str(problem)}
    print(json.dumps(reply))
