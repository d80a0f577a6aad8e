"""Chains: one job, killed or starved again and again until there is no place left.

Each process of a chain gets the same command in the same folder, and is struck at a
place where none was struck before; finished components are reused, so that a chain over
all places takes little longer than the parts that are made again. What the last process
ends with is compared with a job that nothing happened to: it has come through all.
"""

import json
import signal
import time
from pathlib import Path

from forkserver import ForkServer
from torture_attacks import Torture
from tortured_job import (
    ROOT,
    Outcome,
    command,
    environment,
    has_finished,
    problems_in_mlflow,
    runs_in,
    say,
)

LONGEST_LIFE = 1 / 3  # share of an undisturbed job's time
KILLS_OF_A_JOB = 8


class Chains:
    """The chains on one job.

    Args:
        torture: the job, its folder, and what it must end with.
        until: when to stop, as of `time.monotonic`; a chain that is cut off goes on
            from there where the folder is kept.
    """

    def __init__(self, torture: Torture, until: float):
        self.torture, self.until = torture, until
        self.server = ForkServer(environment())

    def __enter__(self) -> "Chains":
        return self

    def __exit__(self, *_: object) -> None:
        self.server.close()

    def run(self, mlruns: Path, fault: str | None = None, life: float | None = None):
        """Run the job, or let it live for some seconds."""
        argv = command(mlruns, self.torture.job)[1:]
        process = self.server.run(argv, environment(fault), ROOT)
        return process.wait() if life is None else process.wait(life)

    def writes(
        self, kind: str, stride: int, most: int | None = None, skip: int = 0
    ) -> Outcome:
        """Strike at every write boundary, or at every so many.

        Args:
            kind: "kill" or "enospc".
            stride: 1 takes all of them.
            most: how many at most.
            skip: by how many boundaries all points lie earlier, so that another number
                tries others.
        """
        words = {"kill": "kill -9", "enospc": "no space left"}[kind]
        which = "every write boundary" if stride == 1 else "write boundaries"
        outcome = Outcome(f"{self.torture.job}: {words} at {which}")
        mlruns = self.torture.folder / f"chain-{kind}"
        visited = mlruns.with_suffix(".visited")
        kept = mlruns.with_suffix(".json")
        struck, losses = json.loads(kept.read_text()) if kept.exists() else (0, [])
        cut_off, known = False, -1
        while True:
            cut_off = time.monotonic() > self.until
            if cut_off:
                break
            next_one = stride if struck else stride - skip % stride
            fault = f"{kind}-new:{next_one}:{visited}"
            if most is not None and struck >= most:
                fault = None
            code, _, errors = self.run(mlruns, fault)
            lines = errors.strip().splitlines()
            if code == 0:
                break
            places = visited.read_text().splitlines() if visited.exists() else [""]
            full = code == 1 and len(lines) == 1 and "disk is full" in lines[0]
            if code != -signal.SIGKILL if kind == "kill" else not full:
                losses.append(f"{places[-1]}: exit code {code}: {errors[-400:]}")
                say(f"LOST {outcome.attack}, {losses[-1]}")
            if len(places) == known:
                break  # it does not get any further
            struck, known = struck + 1, len(places)
            kept.write_text(json.dumps([struck, losses]))
        for _ in range(struck - len(losses)):
            outcome.add(None, True, "")
        for loss in losses:
            outcome.add(loss, False, "", quiet=True)
        if cut_off:
            outcome.attack += " (cut off)"
        else:
            runs = 1 if kind == "kill" else len(runs_in(mlruns))
            problem = self.torture.difference(mlruns)
            self._close(outcome, problem or problems_in_mlflow(mlruns, runs))
        say(outcome.row())
        return outcome

    def kills(self, number: int) -> Outcome:
        """Kill at random times, a job several times before it may end."""
        outcome = Outcome(f"{self.torture.job}: kill -9 at random times")
        while outcome.tried < number and time.monotonic() < self.until:
            mlruns = self.torture.folder / f"random-{outcome.tried}"
            fates = Outcome(outcome.attack)
            while fates.tried < min(KILLS_OF_A_JOB, number - outcome.tried):
                life = self.torture.random.uniform(
                    0.2, self.torture.seconds * LONGEST_LIFE
                )
                code, _, errors = self.run(mlruns, life=life)
                if code == 0:
                    break
                died = code == -signal.SIGKILL
                where = f"after {life:.1f} s"
                fates.add(None if died else errors[-400:], died, where)
                if has_finished(mlruns):
                    break  # killed on its way out: the next command is a new run
            runs = 1 + has_finished(mlruns)
            code, _, errors = self.run(mlruns)
            problem = errors[-400:] if code else self.torture.difference(mlruns)
            self._close(fates, problem or problems_in_mlflow(mlruns, runs))
            outcome.take(fates)
        say(outcome.row())
        return outcome

    @staticmethod
    def _close(outcome: Outcome, problem: str | None) -> None:
        """Where the end is not what it must be, every point of the chain is lost."""
        if problem is not None:
            outcome.identical = 0
            outcome.losses.append(problem)
            say(f"LOST {outcome.attack}, at the end: {problem}")
