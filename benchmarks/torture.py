"""Torture: kill, starve and damage pipeline runs, and see whether anything is lost.

    python benchmarks/torture.py                  # everything, about an hour
    python benchmarks/torture.py --quick          # eleven points, some minutes
    python benchmarks/torture.py --only kills writes --keep FOLDER --minutes 5
    python benchmarks/torture.py --apart          # each point a job of its own: hours

A job is killed, or finds the disk full, at one place after the other in one folder,
and goes on every time (`torture_chains.py`); `--apart` gives each point its own folder.
A point is *resumed* when the same command, given again, goes on and ends well; it is
*bit-identical* when the trained weights, the history, the measurements of the monitors
and the hyperparameters are those of a run that nothing happened to; all else is *lost*.
With `--keep`, the same command goes on where `--minutes` cut it off. The exit code is 1
where anything is lost.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from torture_attacks import Torture
from torture_chains import Chains
from tortured_job import JOBS, Outcome, say

ATTACKS = ["kills", "writes", "enospc", "disk", "torn", "together"]


def spread(number: int, most: int | None) -> list[int]:
    """The numbers from 1 on; where only a few may be taken, evenly spread."""
    if most is None or most >= number:
        return list(range(1, number + 1))
    return sorted({round(1 + i * (number - 1) / (most - 1)) for i in range(most)})


def attacks(
    options: argparse.Namespace, folder: Path
) -> Iterator[Callable[[], Outcome]]:
    """What is to be done, each in a thread of its own."""
    until = time.monotonic() + 60 * options.minutes
    for job in options.jobs:
        torture = Torture(job, folder / job, options.processes, options.seed)

        def chain(kind: str, most: int | None, of: Torture = torture) -> Outcome:
            # Spread over the job, and at its beginning and its end.
            stride = max(1, of.boundaries // (most + 1)) if most else 1
            with Chains(of, until) as chains:
                return chains.writes(kind, stride, most, skip=options.seed)

        def kills(of: Torture = torture) -> Outcome:
            with Chains(of, until) as chains:
                return chains.kills(options.random)

        if "writes" in options.only:
            yield (
                (lambda t=torture: t.write_kills(spread(t.boundaries, options.writes)))
                if options.apart
                else (lambda c=chain: c("kill", options.writes))
            )
        if "kills" in options.only:
            yield (
                (lambda t=torture: t.random_kills(options.random))
                if options.apart
                else kills
            )
        if "enospc" in options.only:
            most = options.full or options.writes
            yield (
                (lambda t=torture, m=most: t.full_disk(spread(t.boundaries, m)))
                if options.apart
                else (lambda c=chain, m=most: c("enospc", m))
            )
        if job != options.jobs[0]:
            continue
        if "disk" in options.only:
            yield torture.small_disk
            yield torture.read_only
            yield torture.clock
        if "torn" in options.only:
            yield lambda t=torture: t.torn(options.offsets)
        if "together" in options.only:
            yield lambda t=torture: t.together(options.crowd, options.rounds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--jobs", nargs="+", choices=list(JOBS), default=["LeNet-5", "ResNet-20"]
    )
    parser.add_argument("--only", nargs="+", choices=ATTACKS, default=ATTACKS)
    parser.add_argument("--random", type=int, default=25, help="kills at random times")
    parser.add_argument("--writes", type=int, help="at most so many write boundaries")
    parser.add_argument("--full", type=int, help="at most so many writes without room")
    parser.add_argument("--offsets", type=int, default=20)
    parser.add_argument("--crowd", type=int, default=8, help="processes at once")
    parser.add_argument("--rounds", type=int, default=20, help="of a crowd")
    parser.add_argument("--processes", type=int, default=2, help="attacks at a time")
    parser.add_argument(
        "--seed", type=int, default=0, help="which moments, and which boundaries"
    )
    parser.add_argument("--quick", action="store_true", help="four points an attack")
    parser.add_argument("--apart", action="store_true", help="a job for each point")
    parser.add_argument("--keep", type=Path, help="a folder that is kept")
    parser.add_argument("--minutes", type=float, default=1e4, help="end chains after")
    options = parser.parse_args()
    if options.quick:
        options.jobs = ["quick"]
        options.only = [a for a in options.only if a in ("kills", "writes", "enospc")]
        options.random, options.writes, options.full = 4, 4, 3
    with (
        tempfile.TemporaryDirectory(prefix="torture-") as folder,
        ThreadPoolExecutor(1 if options.apart else options.processes) as pool,
    ):
        at = options.keep.resolve() if options.keep else Path(folder)
        started = [pool.submit(attack) for attack in attacks(options, at)]
        outcomes = [future.result() for future in started]
    say(
        f"\n{'Attack':52} {'Tried':>6} {'Resumed':>8} {'Bit-identical':>14} {'Lost':>5}"
    )
    for outcome in outcomes:
        say(outcome.row())
    return 1 if any(outcome.losses for outcome in outcomes) else 0


if __name__ == "__main__":
    raise SystemExit(main())
