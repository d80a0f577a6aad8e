"""What is printed ends no job: a pipe that is closed, a lost terminal, a full disk."""

import fcntl
import os
import subprocess
import sys
import termios

import pytest

from dlkeras.pipeline import TrainerConfig, run
from dlkeras.pipeline.artifacts.types import Schema
from dlkeras.pipeline.engine.lasting_output import lasting_output
from dlkeras.pipeline.store.publishing import Store
from tests.conftest import ROOT, SCRIPT


def broken_pipe():
    read, write = os.pipe()
    os.close(read)
    return os.fdopen(write, "w", buffering=1)


def full_disk():
    return open("/dev/full", "w", buffering=1)


def lost_terminal():
    ours, theirs = os.openpty()
    os.close(ours)
    return os.fdopen(theirs, "w", buffering=1)


def closed():
    with open(os.devnull, "w") as stream:
        return stream


def nothing():
    return None


STREAMS = [broken_pipe, full_disk, lost_terminal, closed, nothing]


@pytest.mark.parametrize("stream", STREAMS)
def test_what_takes_no_more_is_said_once_and_ends_nothing(monkeypatch, capsys, stream):
    monkeypatch.setattr(sys, "stdout", stream())
    with lasting_output():
        for _ in range(3):
            print("a line", flush=True)
    said = capsys.readouterr().err
    assert said.count("the job goes on") == (0 if stream is nothing else 1)


def test_a_letter_that_the_terminal_has_not_ends_nothing(monkeypatch, tmp_path):
    file = tmp_path / "output"
    with file.open("w", encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with lasting_output():
            print("número 5")
    assert file.read_text() == "n?mero 5\n"


@pytest.mark.job
def test_a_training_whose_reader_goes_away_trains_on(tiny_config, monkeypatch):
    """Keras's progress, the lines of the steps, and those of the monitors."""
    trainer = TrainerConfig(epochs=1, monitor=False)
    config = tiny_config.model_copy(update={"trainer": trainer})
    monkeypatch.setattr(sys, "stdout", broken_pipe())
    result = run(config, until="Trainer")
    assert not result.steps[-1].cached
    assert len(result.artifacts["Model"].history) == 1


@pytest.mark.job
def test_a_job_whose_terminal_is_closed_goes_on(tmp_path):
    """The system sends it SIGHUP, and then there is nothing to write to."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, SCRIPT, "--mlruns", tmp_path, "--until", "SchemaGen"],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    try:
        os.close(theirs)
        said = b""
        while b"ExampleGen" not in said:
            said += os.read(ours, 1000)
        os.close(ours)
        assert process.wait(timeout=120) == 0
    finally:
        process.kill()
    assert Store(tmp_path / "store").artifacts(Schema)


def outcome(command: str) -> tuple[int, str]:
    """The exit code of the first part of a shell's pipe, and what it complains of."""
    script = f"{command}; exit ${{PIPESTATUS[0]}}"
    words = {"PYTHON": sys.executable, "SCRIPT": str(SCRIPT)}
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=os.environ | words,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ('"$PYTHON" "$SCRIPT" --print-config | head -n 1', 0, None),
        ('"$PYTHON" "$SCRIPT" --print-config > /dev/full', 0, "No space left"),
        ('"$PYTHON" "$SCRIPT" --print-config >&-', 0, None),
        ('"$PYTHON" -m dlkeras.cli runs --mlruns . > /dev/full', 1, "No space left"),
    ],
)
def test_a_shell_sees_the_commands_own_exit_code(command, code, said):
    received, complaints = outcome(command)
    assert received == code, complaints
    assert "Traceback" not in complaints and "Exception" not in complaints
    assert len(complaints.splitlines()) <= 1
    assert said is None or said in complaints


def test_a_logger_that_kept_the_output_does_not_close_the_processs_own(capsys):
    """Absl's handler closes its stream at the end; what is said after it was lost."""
    own = sys.stderr
    with lasting_output():
        kept = sys.stderr
    kept.close()
    assert not own.closed
    print("said at the end", file=own)
    assert capsys.readouterr().err == "said at the end\n"
