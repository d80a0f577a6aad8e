"""Tears a file of every kind in `mlruns/`: is it noticed, and can it be mended?"""

import contextlib
import io
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent


def cuts(size: int, number: int) -> list[int]:
    """Lengths to cut a file of this size to: 0, size - 1, and evenly between."""
    return sorted({round(i * (size - 1) / max(number - 1, 1)) for i in range(number)})


@contextlib.contextmanager
def torn(file: Path, length: int) -> Iterator[None]:
    """Cut a file, and give it back its content."""
    data = file.read_bytes()
    file.write_bytes(data[:length])
    try:
        yield
    finally:
        file.write_bytes(data)


def kind_of(file: Path) -> str:
    """A file's name without its numbers: the files of one kind are one point."""
    return re.sub(r"\d+|[0-9a-f]{8,}", "N", file.name)


def attack(
    reference: Path,
    mlruns: Path,
    command: list[str],
    environment: dict[str, str],
    offsets: int,
) -> Iterator[tuple[str, str | None]]:
    """Tear files of a finished job and of an interrupted one.

    Yields:
        A kind of file and a length, and what was wrong with what came of it, or None.
    """
    shutil.copytree(reference, mlruns)
    command = [str(mlruns) if part == "MLRUNS" else part for part in command]
    yield from _artifacts(mlruns, offsets)
    yield from _lineages(mlruns, offsets)
    yield from _database(mlruns, offsets)
    interrupted = mlruns.with_name("interrupted")
    yield from _work(interrupted, command, environment, str(mlruns), offsets)
    yield from _whole_runs(mlruns, command, environment)


def _artifacts(mlruns: Path, offsets: int) -> Iterator[tuple[str, str | None]]:
    from dlkeras.pipeline.artifacts.types import ARTIFACT_TYPES, RECORD_FILE
    from dlkeras.pipeline.store.errors import CorruptArtifactError
    from dlkeras.pipeline.store.publishing import Store

    store = Store(mlruns / "store")
    for name, kind in ARTIFACT_TYPES.items():
        seen = set()
        for artifact in store.artifacts(kind):
            for file in sorted(artifact.path.rglob("*")):
                if not file.is_file() or kind_of(file) in seen:
                    continue
                seen.add(kind_of(file))
                whole = file.stat().st_size
                # A record ends with a newline, without which nothing is lost.
                for length in cuts(whole - (file.name == RECORD_FILE), offsets):
                    problem = f"{file.name} cut to {length} bytes is not noticed"
                    with torn(file, length):
                        try:
                            store.find(kind, artifact.record.key)
                        except CorruptArtifactError as error:
                            problem = None if str(file) in str(error) else str(error)
                    yield f"{name}/{kind_of(file)} at {length}", problem


def _lineages(mlruns: Path, offsets: int) -> Iterator[tuple[str, str | None]]:
    from dlkeras.cli import main

    file = next((mlruns / "store" / "runs").glob("*.json"))
    for length in cuts(file.stat().st_size - 1, offsets):
        said = io.StringIO()
        with torn(file, length), contextlib.redirect_stderr(said):
            code = main(["show", file.stem, "--mlruns", str(mlruns)])
        lines = said.getvalue().splitlines()
        fine = code == 1 and len(lines) == 1
        yield f"store/runs/N.json at {length}", None if fine else said.getvalue()


def _database(mlruns: Path, offsets: int) -> Iterator[tuple[str, str | None]]:
    """A torn database is refused in one line, or gives what it has."""
    from dlkeras.pipeline import tracking
    from dlkeras.pipeline.store.errors import PipelineError

    copy = mlruns.with_name("database")
    copy.mkdir()
    whole = (mlruns / "mlflow.db").read_bytes()
    for length in cuts(len(whole), offsets):
        (copy / "mlflow.db").write_bytes(whole[:length])
        problem = None
        try:
            tracking.list_runs(None, copy, 5)
        except PipelineError as error:
            problem = str(error) if "\n" in str(error) else None
        except Exception as error:
            problem = repr(error)[:200]
        yield f"mlflow.db at {length}", problem
    tracking.connect(None, mlruns)


def _work(
    mlruns: Path, command: list[str], environment: dict, old: str, offsets: int
) -> Iterator[tuple[str, str | None]]:
    """Checkpoints and the search of a job that was killed while it trained."""
    command = [str(mlruns) if part == old else part for part in command]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, **quiet)
    search = "store/work/Hyperparameters-*/search"
    while process.poll() is None and not list(mlruns.glob(f"{search}/trial_1")):
        time.sleep(0.02)
    process.kill()
    process.wait()
    from dlkeras.pipeline.training.search_recovery import _files, recover_search

    project = next(mlruns.glob(search))
    kept = mlruns.with_name("search")
    shutil.copytree(project, kept)
    for file in _files(kept):
        for length in cuts(file.stat().st_size, offsets):
            said: list[str] = []
            target = project / file.relative_to(kept)
            target.write_bytes(file.read_bytes()[:length])
            recover_search(project, project.parent / "search.copy.json", said.append)
            problem = None if said else "it is not noticed"
            if target.exists() and target.stat().st_size == length and said:
                problem = "it is left as it is"
            yield f"store/work/{kind_of(file)} at {length}", problem
            shutil.rmtree(project, ignore_errors=True)
            shutil.copytree(kept, project)
    process = subprocess.Popen(command, cwd=ROOT, env=environment, **quiet)
    while process.poll() is None and len(list(mlruns.rglob("*.ckpt"))) < 2:
        time.sleep(0.02)
    process.kill()
    process.wait()
    from dlkeras.pipeline.training.train_state import _read

    checkpoint = next(mlruns.glob("store/work/Model-*/*.ckpt"))
    for length in cuts(checkpoint.stat().st_size, offsets):
        with torn(checkpoint, length):
            noticed = _read(checkpoint) is None
        yield (
            f"store/work/{kind_of(checkpoint)} at {length}",
            None if noticed else "taken",
        )
    # What keras-tuner writes and no search reads again is torn along with them.
    others = mlruns.glob(f"{search}/trial_*/build_config.json")
    for file in (next(mlruns.glob(f"{search}/oracle.json"), None), checkpoint, *others):
        if file is not None:
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    said_last = done.stderr.strip()[-200:]
    yield "the interrupted job goes on", said_last if done.returncode else None


def _whole_runs(
    mlruns: Path, command: list[str], environment: dict
) -> Iterator[tuple[str, str | None]]:
    """MLflow's files are only shown; an artifact is rebuilt with the flag it names."""

    def run(*flags: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*command, *flags],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )

    for file in (mlruns / "artifacts").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    done = run()
    yield "MLflow's files, all cut", done.stderr[-200:] if done.returncode else None
    network = next((mlruns / "store" / "Model").glob("*/network.keras"))
    network.write_bytes(network.read_bytes()[:1000])
    done = run()
    flag = re.search(r"--force \w+", done.stderr)
    if done.returncode != 1 or flag is None or len(done.stderr.splitlines()) != 1:
        yield "network.keras, the job given again", done.stderr[-200:]
        return
    done = run(*flag.group().split())
    yield "network.keras, rebuilt", done.stderr[-200:] if done.returncode else None
