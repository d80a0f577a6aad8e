"""Torture: kill, starve and damage pipeline runs, and see whether anything is lost.

    python benchmarks/torture.py                  # everything, about an hour
    python benchmarks/torture.py --quick          # ten points
    python benchmarks/torture.py --only kills writes --random 50 --processes 2

A point is *resumed* when the same command, given again, ends well; it is
*bit-identical* when the trained weights, the history, the measurements of the monitors
and the hyperparameters are those of a run that nothing happened to; all else is *lost*.
The exit code is the number of lost points, at most 1.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from torture_attacks import Torture
from tortured_job import JOBS, Outcome, say


def spread(number: int, most: int | None) -> list[int]:
    """The numbers from 1 on; where only a few may be taken, evenly spread."""
    if most is None or most >= number:
        return list(range(1, number + 1))
    return sorted({round(1 + i * (number - 1) / (most - 1)) for i in range(most)})


def attacks(options: argparse.Namespace, folder: Path) -> Iterator[Outcome]:
    chosen = options.only or ["kills", "writes", "enospc", "disk", "torn", "together"]
    for job in options.jobs:
        torture = Torture(job, folder / job, options.processes, options.seed)
        if "kills" in chosen:
            yield torture.random_kills(options.random)
        if "writes" in chosen:
            yield torture.write_kills(spread(torture.boundaries, options.writes))
        if "enospc" in chosen:
            most = options.full or options.writes
            yield torture.full_disk(spread(torture.boundaries, most))
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
        "--jobs", nargs="+", choices=list(JOBS), default=["LeNet-5", "ResNet-20"]
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=["kills", "writes", "enospc", "disk", "torn", "together"],
    )
    parser.add_argument("--random", type=int, default=25, help="kills at random times")
    parser.add_argument("--writes", type=int, help="at most so many write boundaries")
    parser.add_argument("--full", type=int, help="at most so many writes without room")
    parser.add_argument("--offsets", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2, help="points at a time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="ten points")
    options = parser.parse_args()
    if options.quick:
        options.jobs, options.only = ["quick"], ["kills", "writes", "enospc"]
        options.random, options.writes, options.full = 4, 4, 2
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        outcomes.extend(attacks(options, Path(folder)))
    say(
        f"\n{'Attack':44} {'Tried':>6} {'Resumed':>8} {'Bit-identical':>14} {'Lost':>5}"
    )
    for outcome in outcomes:
        say(outcome.row())
    return 1 if any(outcome.losses for outcome in outcomes) else 0


if __name__ == "__main__":
    raise SystemExit(main())
