"""What is done to a job: kills, full disks, read-only folders, crowds, clocks."""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torn_files
from tortured_job import (
    ROOT,
    TIMEOUT,
    Outcome,
    command,
    content,
    environment,
    finish,
    has_finished,
    has_run,
    problems_in_mlflow,
    say,
    start,
)

LIBRARY = "*/faketime/libfaketime.so.1"
SLEEP = """import select, time
time.sleep = lambda seconds: select.select([], [], [], seconds) and None
"""


class Torture:
    """The attacks on one job, and what became of them."""

    def __init__(self, job: str, folder: Path, processes: int, seed: int):
        self.job, self.folder, self.processes = job, folder, processes
        self.random = random.Random(seed)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.reference = folder / "reference"
        measured = folder / "reference.json"
        if not measured.exists():
            shutil.rmtree(self.reference, ignore_errors=True)
            started = time.perf_counter()
            code, output, errors = finish(start(self.reference, job, "count:0"))
            counted = re.search(r"(\d+) write boundaries", errors)
            if code or counted is None:
                raise SystemExit(f"the job fails by itself:\n{output}\n{errors}")
            taken = time.perf_counter() - started
            measured.write_text(json.dumps([int(counted.group(1)), taken]))
        self.boundaries, self.seconds = json.loads(measured.read_text())
        self.expected = content(self.reference)
        say(f"{job}: {self.seconds:.0f} s undisturbed, {self.boundaries} boundaries")

    def verdict(
        self, mlruns: Path, runs: int | None = 1, **more: str
    ) -> tuple[str | None, bool]:
        """Give the command again, and compare what it ends with."""
        code, _output, errors = finish(start(mlruns, self.job, **more))
        if code:
            last = (errors.strip().splitlines() or ["no message"])[-1]
            return f"exit code {code}: {last}", False
        return self.difference(mlruns) or problems_in_mlflow(mlruns, runs), True

    def difference(self, mlruns: Path) -> str | None:
        """What a finished job has made otherwise than one that nothing happened to."""
        got = content(mlruns)
        other = [k for k in self.expected if got.get(k) != self.expected[k]]
        return f"other bits: {', '.join(other)}" if other else None

    def _each(
        self, attack: str, points: list, strike: Callable[[Path, object], str | None]
    ) -> Outcome:
        """Strike at each point in a folder of its own, then judge."""
        outcome = Outcome(f"{self.job}: {attack}")

        def one(point: object) -> tuple[object, str | None, bool]:
            mlruns = Path(tempfile.mkdtemp(dir=self.folder))
            try:
                problem = strike(mlruns, point)
                runs = 1
                if problem and problem.startswith("runs "):
                    runs, problem = int(problem.split()[1]), None
                if problem:
                    return point, problem, False
                problem, resumed = self.verdict(mlruns, runs)
                return point, problem, resumed
            finally:
                shutil.rmtree(mlruns, ignore_errors=True)

        with ThreadPoolExecutor(self.processes) as pool:
            for point, problem, resumed in pool.map(one, points):
                where = point if isinstance(point, int) else f"{point:.1f} s"
                outcome.add(problem, resumed, str(where))
        say(outcome.row())
        return outcome

    def random_kills(self, number: int) -> Outcome:
        moments = [self.random.uniform(0, self.seconds) for _ in range(number)]

        def strike(mlruns: Path, moment: object) -> None:
            process = start(mlruns, self.job)
            try:
                process.communicate(timeout=float(str(moment)))
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.communicate()

        def strike_and_count(mlruns: Path, moment: object) -> str | None:
            strike(mlruns, moment)
            return None if not has_finished(mlruns) else "runs 2"

        return self._each("kill -9 at random times", moments, strike_and_count)

    def write_kills(self, points: list[int]) -> Outcome:
        def strike(mlruns: Path, boundary: object) -> str | None:
            code, _, errors = finish(start(mlruns, self.job, f"kill:{boundary}"))
            return None if code == -signal.SIGKILL else f"it lived: {code} {errors}"

        return self._each("kill -9 at write boundaries", points, strike)

    def full_disk(self, points: list[int]) -> Outcome:
        def strike(mlruns: Path, boundary: object) -> str | None:
            code, _, errors = finish(start(mlruns, self.job, f"enospc:{boundary}"))
            if code == 1 and len(errors.strip().splitlines()) == 1:
                return f"runs {1 + has_run(mlruns)}" if "full" in errors else errors
            return f"expected one line and exit code 1; {code}: {errors[-300:]}"

        return self._each("ENOSPC at write boundaries", points, strike)

    def together(self, number: int, rounds: int) -> Outcome:
        outcome = Outcome(f"{self.job}: {number} processes at once, a fresh folder")
        for index in range(rounds):
            mlruns = self.folder / f"together{index}"
            running = [start(mlruns, self.job) for _ in range(number)]
            with ThreadPoolExecutor(number) as pool:
                ended = list(pool.map(finish, running))
            problem = None
            failed = [f"{code}: {errors[-300:]}" for code, _, errors in ended if code]
            made: dict[str, int] = {}
            for _, output, _ in ended:
                for name in re.findall(r"^(\w+) done in", output, re.MULTILINE):
                    made[name] = made.get(name, 0) + 1
            twice = {n: c for n, c in made.items() if c > 1 + (n == "Evaluator")}
            if failed:
                problem = (
                    f"{len(failed)} of {number} failed, the first with {failed[0]}"
                )
            elif twice:
                problem = f"made more than once: {twice}"
            elif content(mlruns) != self.expected:
                problem = "other bits"
            else:
                problem = problems_in_mlflow(mlruns, number)
            outcome.add(problem, not failed, f"round {index + 1}")
            shutil.rmtree(mlruns, ignore_errors=True)
        say(outcome.row())
        return outcome

    def small_disk(self) -> Outcome:
        """A real file system that fills up while the job runs."""
        outcome = Outcome(f"{self.job}: a tmpfs that fills up")
        for component in ("ExampleGen", "Trainer", "Evaluator", "Pusher"):
            with mounted(self.folder / "tmpfs", "size=120m") as disk:
                if disk is None:
                    say("a tmpfs cannot be mounted here: left out")
                    return outcome
                process = start(disk / "mlruns", self.job)
                assert process.stdout
                for line in process.stdout:
                    if line.startswith(f"{component} ..."):
                        break
                ballast = disk / "ballast"
                with (
                    contextlib.suppress(OSError),
                    ballast.open("wb", buffering=0) as file,
                ):
                    while file.write(b"\0" * 2**12):
                        pass
                code, _, errors = finish(process)
                ballast.unlink()
                lines = errors.strip().splitlines()
                if code != 1 or len(lines) != 1 or "full" not in lines[0]:
                    problem = f"expected one line, the disk is full; {code}: {errors}"
                    outcome.add(problem, False, component)
                    continue
                # Where MLflow's own file had no room for FAILED, the run goes on.
                outcome.add(*self.verdict(disk / "mlruns", None), component)
        say(outcome.row())
        return outcome

    def read_only(self) -> Outcome:
        outcome = Outcome(f"{self.job}: a read-only folder")
        with mounted(self.folder / "ro", "size=200m") as disk:
            if disk is None:
                return outcome
            shutil.copytree(self.reference, disk / "mlruns")
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
            code, _, errors = finish(start(disk / "mlruns", self.job))
            subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
            lines = errors.strip().splitlines()
            said = code == 1 and len(lines) == 1 and "writable" in lines[0]
            problem, resumed = self.verdict(disk / "mlruns", 2)
            outcome.add(problem if said else f"{code}: {errors}", resumed, "whole run")
        say(outcome.row())
        return outcome

    def clock(self) -> Outcome:
        """The clock stands a year earlier for the second run of two."""
        outcome = Outcome(f"{self.job}: the clock moved back a year")
        given = os.environ.get("LIBFAKETIME")
        found = [Path(given)] if given else Path("/usr/lib").glob(LIBRARY)
        library = next(iter(found), None)
        if library is None:
            say("Debian's package faketime is not installed: the clock is left alone")
            return outcome
        mlruns = self.folder / "clock"
        shutil.copytree(self.reference, mlruns)
        # With faketime 0.9.10 the system refuses the way in which Python sleeps.
        awake = self.folder / "sleeping otherwise"
        awake.mkdir(exist_ok=True)
        (awake / "sitecustomize.py").write_text(SLEEP)
        later = environment(
            LD_PRELOAD=str(library), FAKETIME="-365d", DONT_FAKE_MONOTONIC="1"
        )
        later["PYTHONPATH"] = os.pathsep.join([str(awake), later["PYTHONPATH"]])
        other = subprocess.run(
            [*command(mlruns, self.job), "--seed", "1"],
            cwd=ROOT, env=later, capture_output=True, text=True, timeout=TIMEOUT,
        )  # fmt: skip
        from dlkeras.pipeline.artifacts.types import Model
        from dlkeras.pipeline.store.publishing import Store

        newest = Store(mlruns / "store").artifacts(Model)[-1].record.config["seed"]
        problem = None
        if other.returncode:
            problem = other.stderr[-300:]
        elif newest != 1:
            problem = "the model made last is not the newest"
        outcome.add(problem, other.returncode == 0, "a run of another seed")
        say(outcome.row())
        return outcome

    def torn(self, offsets: int) -> Outcome:
        outcome = Outcome(f"{self.job}: files torn at {offsets} offsets")
        for kind, problem in torn_files.attack(
            self.reference, self.folder / "torn", command(Path("MLRUNS"), self.job),
            environment(), offsets,
        ):  # fmt: skip
            outcome.add(problem, problem is None, kind)
        say(outcome.row())
        return outcome


class mounted:
    """A small file system of its own; None where this process may not mount one."""

    def __init__(self, folder: Path, options: str):
        self.folder, self.options = folder, options

    def __enter__(self) -> Path | None:
        self.folder.mkdir(parents=True, exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", self.options, "tmpfs", self.folder]
        self.is_mounted = os.geteuid() == 0 and not subprocess.run(mount).returncode
        return self.folder if self.is_mounted else None

    def __exit__(self, *_: object) -> None:
        if self.is_mounted:
            # Lazily: what is asked of MLflow here keeps its database open.
            subprocess.run(["umount", "--lazy", self.folder], check=True)
