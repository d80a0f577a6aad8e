"""The table of benchmarks/diagnosis.py: what was found, what was said for nothing."""

import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def rows_of(files: list[Path]) -> list[Row]:
    """The newest row of each training."""
    newest: dict[tuple, Row] = {}
    for file in files:
        for line in file.open(encoding="utf-8"):
            row = json.loads(line)
            keys = ("backend", "of", "kind", "task", "seed")
            newest[tuple(row[key] for key in keys)] = row
    return list(newest.values())


def did_harm(row: Row, twins: dict[tuple, Row]) -> bool:
    """Whether a fault left the training worse than its twin, where that can be told.

    It did none where the same labels under the same loss ended within 2 % of a guess's
    loss of the twin's (or below it).
    """
    twin = twins.get((row["backend"], row["task"], row["seed"]))
    known = (
        row.get("alike") is not None and twin is not None and row["loss"] is not None
    )
    return not (known and row["loss"] <= twin["loss"] + row["alike"])


def share(values: list[bool]) -> str:
    """So many of so many, and per cent."""
    per = f" ({100 * sum(values) / len(values):.1f} %)" if values else ""
    return f"{sum(values)} of {len(values)}{per}"


def print_table(files: list[Path]) -> None:
    """Print kinds that were missed, and the counts of each backend."""
    rows = rows_of(files)
    for backend in sorted({row["backend"] for row in rows}):
        mine = [row for row in rows if row["backend"] == backend]
        print_backend(backend, mine)


def print_backend(backend: str, rows: list[Row]) -> None:
    sick = [row for row in rows if row["of"] == "sick"]
    twins = {
        (row["backend"], row["task"], row["seed"]): row
        for row in rows
        if row["of"] == "twin"
    }
    seeds, rules = ({row[key] for row in rows} for key in ("seed", "rules"))
    seconds = sum(row["seconds"] for row in rows)
    print(f"\n{backend}, seeds {sorted(seeds)}, {len(rows)} trainings, "
          f"{seconds:.0f} s, rules {sorted(rules)}")  # fmt: skip
    for kind in dict.fromkeys(row["kind"] for row in sick):
        mine = [row for row in sick if row["kind"] == kind]
        print(f"{mine[0]['part']:7} {kind:56} detected "
              f"{share([bool(r['told']) for r in mine])}, first "
              f"{share([r['right'] for r in mine])}")  # fmt: skip
        for row in mine:
            if not row["right"]:
                harm = "" if did_harm(row, twins) else " (as good as its twin)"
                print(f"          {row['task']} {row['seed']}: told {row['told']}, "
                      f"notes {row['notes']}{harm}")  # fmt: skip
    for part in ("judged", "chosen"):
        mine = [row for row in sick if row["part"] == part]
        harmed = [row for row in mine if did_harm(row, twins)]
        kinds = len({row["kind"] for row in mine})
        for word, those in (("all", mine), ("worse than the twin", harmed)):
            print(f"{part}, {kinds} kinds, {word}: detected "
                  f"{share([bool(r['told']) for r in those])}, cause named first "
                  f"{share([r['right'] for r in those])}")  # fmt: skip
    print_alarms("twins", [*twins.values()])
    fine = [row for row in rows if row["of"] == "healthy"]
    print_alarms("healthy trainings", fine)
    print_alarms("of those, written after the rules", [r for r in fine if r["part"]])


def print_alarms(word: str, rows: list[Row]) -> None:
    """How many of healthy trainings heard something."""
    alarms = [row for row in rows if row["told"]]
    kinds = len({(row["kind"], row["task"]) for row in rows})
    print(f"{word}, {kinds} kinds: alarms {share([bool(r['told']) for r in rows])}")
    for row in alarms:
        print(f"          {row['kind']} {row['task']} {row['seed']}: {row['verdict']}")
