"""How often TrainingDoctor finds a fault, names its cause first, and is wrong.

Run with `KERAS_BACKEND=tensorflow|jax|torch python benchmarks/diagnosis.py`. Every
fault is trained beside its mended twin, with the same seed; healthy trainings of many
kinds come after. Detected: a warning or an error. Cause named first: the verdict is one
of the names that a person would give. False alarm: a twin, or a healthy training, with
a warning or an error. The bounds of the rules were chosen on every other kind,
"chosen"; the others, "judged", say how good they are.
"""

import argparse
import json
import sys
import time
from typing import Any

import keras
import numpy as np
from diagnosis_cases import FAULTS, Recipe
from diagnosis_healthy import HEALTHY
from diagnosis_unseen import UNSEEN

from dlkeras.callbacks import TrainingDoctor
from dlkeras.diagnosis import Diagnosis, check_training


def diagnosed(recipe: Recipe) -> tuple[Diagnosis, float]:
    """The diagnosis after a training, and the last loss.

    Of a training that Keras refuses, what `check_training` says.
    """
    doctor = TrainingDoctor(1, on_finding=None, **recipe.doctor)
    losses = [float("nan")]
    last = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: losses.append(logs["loss"])
    )
    try:
        recipe.train(doctor, last)
    except Exception as error:  # a training that Keras refuses; the doctor's would show
        print(f"fit ended: {type(error).__name__}: {error}"[:300], file=sys.stderr)
        return check_training(recipe.model(), recipe.x, recipe.y), losses[-1]
    return doctor.diagnosis, losses[-1]


def names(diagnosis: Diagnosis) -> list[str]:
    """Errors and warnings, the first cause first."""
    return [finding.name for finding in diagnosis.told]


def trial(kind: str, task: Any, seed: int) -> dict[str, Any]:
    """A fault and its twin."""
    fault, row = FAULTS[kind], {"kind": kind, "seed": seed}
    for side, change in (("sick", fault.change), ("twin", lambda r: r)):
        keras.utils.set_random_seed(seed)
        recipe = change(task(seed))
        began = time.perf_counter()
        diagnosis, loss = diagnosed(recipe)
        row[side] = names(diagnosis)
        row[f"{side}_notes"] = [f.name for f in diagnosis if f.severity == "note"]
        row[f"{side}_loss"] = loss
        row[f"{side}_seconds"] = round(time.perf_counter() - began, 1)
        keras.backend.clear_session()
    return row | {"right": bool(row["sick"]) and row["sick"][0] in fault.names}


def healthy(kind: str, seed: int) -> dict[str, Any]:
    """A healthy training."""
    keras.utils.set_random_seed(seed)
    model, x, y, options = (HEALTHY | UNSEEN)[kind](seed)
    doctor = TrainingDoctor(1, on_finding=None)
    callbacks = [*options.pop("callbacks", []), doctor]
    model.fit(x, y, verbose=0, callbacks=callbacks, **options)
    keras.backend.clear_session()
    return {
        "kind": kind,
        "seed": seed,
        "told": names(doctor.diagnosis),
        "why": str(doctor.diagnosis.verdict),
    }


def turned(tasks: tuple, seed: int) -> tuple:
    """The tasks, another one first with each seed."""
    return tasks[seed % len(tasks) :] + tasks[: seed % len(tasks)]


def share(values: list[bool]) -> str:
    """So many of so many, and per cent."""
    return f"{sum(values)} of {len(values)} ({100 * np.mean(values):.0f} %)"


def main() -> None:
    """Train all, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", default="", help="kinds whose name has this in it")
    parser.add_argument("--every", type=int, default=1, help="of the kinds")
    parser.add_argument("--tasks", type=int, default=3, help="at most, of a kind")
    parser.add_argument("--part", choices=["chosen", "judged", "all"], default="all")
    parser.add_argument("--skip-healthy", action="store_true")
    parser.add_argument("--skip-faults", action="store_true")
    parser.add_argument("--json", help="where all rows are written")
    options = parser.parse_args()
    parts = {kind: ("chosen", "judged")[i % 2] for i, kind in enumerate(FAULTS)}
    kinds = [
        kind
        for kind in [*FAULTS][:: options.every]
        if options.only in kind and options.part in ("all", parts[kind])
    ]
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    rows: list[dict] = []
    for kind in [] if options.skip_faults else kinds:
        mine = [
            trial(kind, task, seed)
            for seed in seeds
            for task in turned(FAULTS[kind].tasks, seed)[: options.tasks]
        ]
        rows += mine
        print(
            f"{parts[kind]:7} {kind:52} detected "
            f"{share([bool(r['sick']) for r in mine])}, first "
            f"{share([r['right'] for r in mine])}, alarms "
            f"{sum(bool(r['twin']) for r in mine)}",
            flush=True,
        )
        for row in mine:
            if not row["right"] or row["twin"]:
                print("        ", {k: v for k, v in row.items() if k != "kind"})
    fine: list[dict] = []
    for kind in [] if options.skip_healthy else [*HEALTHY, *UNSEEN][:: options.every]:
        if options.only in kind:
            mine = [healthy(kind, seed) for seed in seeds]
            fine += mine
            alarms = [row for row in mine if row["told"]]
            print(f"healthy {kind:52} alarms {len(alarms)} of {len(mine)}", flush=True)
            for row in alarms:
                print("        ", row["told"], row["why"][:200])
    print(f"\n{keras.backend.backend()}, {options.seeds} seeds")
    for part in ("chosen", "judged"):
        mine = [row for row in rows if parts[row["kind"]] == part]
        if mine:
            print(
                f"{part}: {len({r['kind'] for r in mine})} kinds, detected "
                f"{share([bool(r['sick']) for r in mine])}, cause named first "
                f"{share([r['right'] for r in mine])}, alarms on twins "
                f"{share([bool(r['twin']) for r in mine])}"
            )
    for word, mine in (
        ("healthy", fine),
        ("of those, written after the rules", [r for r in fine if r["kind"] in UNSEEN]),
    ):
        if mine:
            print(
                f"{word}: {len({r['kind'] for r in mine})} kinds, alarms "
                f"{share([bool(r['told']) for r in mine])}"
            )
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"faults": rows, "healthy": fine}, file, indent=1, default=str)


if __name__ == "__main__":
    main()
