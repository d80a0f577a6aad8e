"""Torture: kill, starve and damage pipeline runs, and see whether anything is lost.

    python benchmarks/torture.py                  # everything, about an hour
    python benchmarks/torture.py --quick          # ten points
    python benchmarks/torture.py --only kills writes --random 50 --processes 2

A point is *resumed* when the same command, given again, ends well; it is
*bit-identical* when the trained weights, the history and the hyperparameters are those
of a run that nothing happened to; all else is *lost*. The exit code is the number of
lost points, at most 1.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import torn_files

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "pipelines" / "lenet5_digits.py"
ALWAYS = ["--evaluator.min-accuracy", "0", "--evaluator.max-accuracy-drop", "1"]
JOBS = {
    "LeNet-5": [
        "--tuner.max-trials", "2", "--tuner.epochs", "1", "--trainer.epochs", "3",
        "--trainer.save-freq", "15", "--trainer.learning-rate-schedule", "plateau",
    ],
    "ResNet-20": [
        "--trainer.architecture", "resnet20", "--no-tuner", "--trainer.epochs", "2",
        "--trainer.batch-size", "128", "--transform.height", "16",
        "--transform.width", "16", "--trainer.save-freq", "4",
    ],
}  # fmt: skip
TIMEOUT = 900


@dataclass
class Outcome:
    """What became of the points of one attack."""

    attack: str
    tried: int = 0
    resumed: int = 0
    identical: int = 0
    losses: list[str] = field(default_factory=list)

    def add(self, problem: str | None, resumed: bool, where: str) -> None:
        self.tried += 1
        self.resumed += resumed
        self.identical += problem is None
        if problem is not None:
            self.losses.append(f"{self.attack}, {where}: {problem}")

    def row(self) -> str:
        lost = self.tried - self.identical
        return (
            f"{self.attack:44} {self.tried:6} {self.resumed:8} {self.identical:14} "
            f"{lost:5}"
        )


def command(mlruns: Path, job: str) -> list[str]:
    return [sys.executable, str(SCRIPT), "--mlruns", str(mlruns), *JOBS[job], *ALWAYS]


def environment(fault: str | None = None, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    kept.pop("DLKERAS_FAULT", None)
    kept["PYTHONPATH"] = str(ROOT)
    return kept | ({"DLKERAS_FAULT": fault} if fault else {}) | more


def start(mlruns: Path, job: str, fault: str | None = None, **more: str):
    return subprocess.Popen(
        command(mlruns, job),
        cwd=ROOT,
        env=environment(fault, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=TIMEOUT)
    return process.returncode, output, errors


def content(mlruns: Path) -> dict[str, str]:
    """Digests of what a job made, by artifact type."""
    from dlkeras.pipeline.artifacts import Evaluation, Examples, Hyperparameters, Model
    from dlkeras.pipeline.store import Store, file_digest

    store = Store(mlruns / "store")
    found = {}
    for kind in (Examples, Hyperparameters, Model):
        for artifact in store.artifacts(kind):
            checked = store.find(kind, artifact.record.key)
            assert checked is not None
            found[kind.__name__] = checked.record.digest
    for model in store.artifacts(Model):
        found["history"] = file_digest(model.path / "history.json")
    for searched in store.artifacts(Hyperparameters):
        found["values"] = str(searched.values)
        found.pop("Hyperparameters")  # its digest covers the messages of the trials
    for evaluation in store.artifacts(Evaluation):
        found["accuracy"] = str(evaluation.properties["accuracy"])
    return found


def problems_in_mlflow(mlruns: Path, runs: int = 1) -> str | None:
    """What is wrong with what MLflow shows of the job, if anything."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{mlruns / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("lenet5_digits").experiment_id
    found = client.search_runs([experiment])
    parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    if len(parents) != runs:
        return f"{len(parents)} runs in MLflow where {runs} were started"
    running = [run.info.run_name for run in found if run.info.status == "RUNNING"]
    if running:
        return f"still RUNNING: {running}"
    for run in parents:
        if run.info.status != "FINISHED":
            return f"the run is {run.info.status}"
        for name in run.data.metrics:
            if name.startswith("system/"):
                continue
            steps = [p.step for p in client.get_metric_history(run.info.run_id, name)]
            if len(steps) != len(set(steps)):
                return f"{name} has a point twice: steps {steps}"
    versions = client.search_model_versions("name = 'lenet5_digits'")
    return None if len(versions) == 1 else f"{len(versions)} versions of the model"


class Torture:
    """The attacks on one job, and what became of them."""

    def __init__(self, job: str, folder: Path, processes: int, seed: int):
        self.job, self.folder, self.processes = job, folder, processes
        self.random = random.Random(seed)
        self.folder.mkdir(parents=True)
        self.reference = folder / "reference"
        started = time.perf_counter()
        code, output, errors = finish(start(self.reference, job))
        if code:
            raise SystemExit(f"the job fails by itself:\n{output}\n{errors}")
        self.seconds = time.perf_counter() - started
        self.expected = content(self.reference)
        say(f"{job}: {self.seconds:.0f} s undisturbed")

    def verdict(
        self, mlruns: Path, runs: int = 1, **more: str
    ) -> tuple[str | None, bool]:
        """Give the command again, and compare what it ends with."""
        code, _output, errors = finish(start(mlruns, self.job, **more))
        if code:
            last = (errors.strip().splitlines() or ["no message"])[-1]
            return f"exit code {code}: {last}", False
        got = content(mlruns)
        if got != self.expected:
            other = [k for k in self.expected if got.get(k) != self.expected[k]]
            return f"other bits: {', '.join(other)}", True
        return problems_in_mlflow(mlruns, runs), True

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
                outcome.add(problem, resumed, str(point))
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
            return None if not _finished(mlruns) else "runs 2"

        return self._each("kill -9 at random times", moments, strike_and_count)

    def boundaries(self) -> int:
        """How many write boundaries the job passes."""
        mlruns = self.folder / "counted"
        low, high = 0, 1
        while self._dies_at(mlruns, high):
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (
                (middle, high) if self._dies_at(mlruns, middle) else (low, middle)
            )
        return low

    def _dies_at(self, mlruns: Path, boundary: int) -> bool:
        shutil.rmtree(mlruns, ignore_errors=True)
        return finish(start(mlruns, self.job, f"kill:{boundary}"))[0] == -signal.SIGKILL

    def write_kills(self, points: list[int]) -> Outcome:
        def strike(mlruns: Path, boundary: object) -> str | None:
            code, _, errors = finish(start(mlruns, self.job, f"kill:{boundary}"))
            return None if code == -signal.SIGKILL else f"it lived: {code} {errors}"

        return self._each("kill -9 at write boundaries", points, strike)

    def full_disk(self, points: list[int]) -> Outcome:
        def strike(mlruns: Path, boundary: object) -> str | None:
            code, _, errors = finish(start(mlruns, self.job, f"enospc:{boundary}"))
            if code == 1 and len(errors.strip().splitlines()) == 1:
                return f"runs {1 + _has_run(mlruns)}" if "full" in errors else errors
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
                with ballast.open("wb") as file:
                    try:
                        while True:
                            file.write(b"\0" * 2**12)
                            file.flush()
                    except OSError:
                        pass
                code, _, errors = finish(process)
                ballast.unlink()
                lines = errors.strip().splitlines()
                if code != 1 or len(lines) != 1 or "full" not in lines[0]:
                    problem = f"expected one line, the disk is full; {code}: {errors}"
                    outcome.add(problem, False, component)
                    continue
                runs = len(_runs(disk / "mlruns")) + 1
                outcome.add(*self.verdict(disk / "mlruns", runs), component)
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
        library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
        if library is None:
            say("libfaketime is not installed: the clock is left alone")
            return outcome
        mlruns = self.folder / "clock"
        shutil.copytree(self.reference, mlruns)
        later = environment(
            LD_PRELOAD=str(library), FAKETIME="-365d", DONT_FAKE_MONOTONIC="1"
        )
        other = subprocess.run(
            [*command(mlruns, self.job), "--seed", "1"],
            cwd=ROOT, env=later, capture_output=True, text=True, timeout=TIMEOUT,
        )  # fmt: skip
        from dlkeras.pipeline.artifacts import Model
        from dlkeras.pipeline.store import Store

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
            subprocess.run(["umount", self.folder], check=True)


def _runs(mlruns: Path) -> list:
    from mlflow import MlflowClient

    if not (mlruns / "mlflow.db").exists():
        return []
    client = MlflowClient(f"sqlite:///{mlruns / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("lenet5_digits")
    if experiment is None:
        return []
    found = client.search_runs([experiment.experiment_id])
    return [run for run in found if "mlflow.parentRunId" not in run.data.tags]


def _finished(mlruns: Path) -> bool:
    return any(run.info.status == "FINISHED" for run in _runs(mlruns))


def _has_run(mlruns: Path) -> bool:
    return bool(_runs(mlruns))


def say(text: str) -> None:
    print(text, flush=True)


def spread(number: int, most: int | None) -> list[int]:
    """The numbers from 1 on; where only a few may be taken, evenly spread."""
    if most is None or most >= number:
        return list(range(1, number + 1))
    return sorted({round(1 + i * (number - 1) / (most - 1)) for i in range(most)})


def attacks(options: argparse.Namespace, folder: Path) -> Iterator[Outcome]:
    chosen = options.only or ["kills", "writes", "enospc", "disk", "torn", "together"]
    for job in options.jobs:
        torture = Torture(job, folder / job, options.processes, options.seed)
        number = 0
        if {"writes", "enospc"} & set(chosen):
            number = torture.boundaries()
            say(f"{job}: {number} write boundaries")
        if "kills" in chosen:
            yield torture.random_kills(options.random)
        if "writes" in chosen:
            yield torture.write_kills(spread(number, options.writes))
        if "enospc" in chosen:
            yield torture.full_disk(spread(number, options.writes))
        if job != options.jobs[0]:
            continue
        if "disk" in chosen:
            yield torture.small_disk()
            yield torture.read_only()
            yield torture.clock()
        if "torn" in chosen:
            yield torture.torn(options.offsets)
        if "together" in chosen:
            yield torture.together(8, options.rounds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--jobs", nargs="+", choices=list(JOBS), default=list(JOBS), metavar="JOB"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=["kills", "writes", "enospc", "disk", "torn", "together"],
    )
    parser.add_argument("--random", type=int, default=25, help="kills at random times")
    parser.add_argument("--writes", type=int, help="at most so many write boundaries")
    parser.add_argument("--offsets", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2, help="points at a time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="ten points")
    options = parser.parse_args()
    if options.quick:
        options.jobs, options.only = ["LeNet-5"], ["kills", "writes", "torn"]
        options.random, options.writes, options.offsets = 4, 6, 5
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        outcomes.extend(attacks(options, Path(folder)))
    say(
        f"\n{'Attack':44} {'Tried':>6} {'Resumed':>8} {'Bit-identical':>14} {'Lost':>5}"
    )
    for outcome in outcomes:
        say(outcome.row())
    losses = [loss for outcome in outcomes for loss in outcome.losses]
    for loss in losses:
        say(f"LOST {loss}")
    return 1 if losses else 0


if __name__ == "__main__":
    raise SystemExit(main())
