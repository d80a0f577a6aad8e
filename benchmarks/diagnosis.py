"""How often TrainingDoctor finds a fault, names its cause first, and is wrong.

Run with `KERAS_BACKEND=tensorflow|jax|torch python benchmarks/diagnosis.py`. Every
fault is trained, and its mended twin with the same seed (once, however many faults have
the same twin); healthy trainings of many kinds come after. Each training is written to
the file of `--rows` as soon as it is done, and what the file holds is not trained
again: a run that was stopped goes on, `--share 1/2` and `2/2` run at the same time.
`--table` prints what `diagnosis_table` makes of the files.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from diagnosis_cases import FAULTS
from diagnosis_healthy import HEALTHY
from diagnosis_parts import PARTS
from diagnosis_table import print_table
from diagnosis_tasks import Recipe
from diagnosis_unseen import UNSEEN

import dlkeras.diagnosis as diagnosis_package
from dlkeras.callbacks import TrainingDoctor
from dlkeras.diagnosis import Diagnosis, check_training
from dlkeras.diagnosis.labels_seen import Labels

FIRST, ALIKE = 3, 0.02


def diagnosed(recipe: Recipe) -> tuple[Diagnosis, dict[str, float]]:
    """The diagnosis after a training, and the logs of its last epoch.

    Of a training that Keras refuses, what `check_training` says.
    """
    doctor = TrainingDoctor(1, on_finding=None, **recipe.doctor)
    logs: dict[str, float] = {}
    last = keras.callbacks.LambdaCallback(on_epoch_end=lambda _, now: logs.update(now))
    try:
        recipe.train(doctor, last)
    except Exception as error:  # a training that Keras refuses; the doctor's would show
        print(f"fit ended: {type(error).__name__}: {error}"[:300], file=sys.stderr)
        return check_training(recipe.model(), recipe.x, recipe.y), logs
    return doctor.diagnosis, logs


def row_of(diagnosis: Diagnosis) -> dict[str, Any]:
    """What is kept of a diagnosis: errors and warnings, the first cause first."""
    return {
        "told": [finding.name for finding in diagnosis.told],
        "notes": [f.name for f in diagnosis if f.severity == "note"],
        "verdict": str(diagnosis.verdict)[:300],
    }


def trained(kind: str, task: Any, seed: int) -> dict[str, Any]:
    """A fault, or with kind "" its twin."""
    keras.utils.set_random_seed(seed)
    twin = task(seed)
    recipe = FAULTS[kind].change(twin) if kind else twin
    diagnosis, logs = diagnosed(recipe)
    last = logs.get("val_loss", logs.get("loss"))
    row = row_of(diagnosis) | {"loss": None if last is None else float(last)}
    if not kind:
        return row
    # Only the same labels under the same loss tell whether a fault did harm.
    same = recipe.loss == twin.loss and np.array_equal(recipe.y, twin.y)
    guess = Labels(np.asarray(twin.y), sparse="sparse" in str(twin.loss)).guessing(
        {"mse": "mean_squared_error", "sparse_categorical_crossentropy": "sparse",
         "categorical_crossentropy": "categorical",
         "binary_crossentropy": "binary"}.get(str(twin.loss), "")
    )  # fmt: skip
    row["alike"] = float(ALIKE * guess) if same and np.isfinite(guess) else None
    return row | {"right": bool(row["told"]) and row["told"][0] in FAULTS[kind].names}


def healthy(kind: str, seed: int) -> dict[str, Any]:
    """A healthy training."""
    keras.utils.set_random_seed(seed)
    model, x, y, options = (HEALTHY | UNSEEN)[kind](seed)
    doctor = TrainingDoctor(1, on_finding=None)
    callbacks = [*options.pop("callbacks", []), doctor]
    model.fit(x, y, verbose=0, callbacks=callbacks, **options)
    return row_of(doctor.diagnosis)


def turned(tasks: tuple, seed: int, most: int) -> tuple:
    """So many of the tasks, another one first with each seed."""
    return (tasks[seed % len(tasks) :] + tasks[: seed % len(tasks)])[:most]


def asked(options: argparse.Namespace) -> Iterator[tuple[dict[str, Any], Any]]:
    """The key of each training, and its task."""
    twins = set()
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for kind in [] if options.skip_faults else [*FAULTS][:: options.every]:
            if options.only not in kind or options.part not in ("all", PARTS[kind]):
                continue
            for task in turned(FAULTS[kind].tasks, seed, options.tasks):
                key = {"of": "sick", "kind": kind, "task": name_of(task), "seed": seed}
                yield key | {"part": PARTS[kind]}, task
                if not options.skip_twins and (name_of(task), seed) not in twins:
                    twins.add((name_of(task), seed))
                    twin = {"of": "twin", "kind": "", "task": name_of(task)}
                    yield twin | {"seed": seed, "part": ""}, task
        for kind in [] if options.skip_healthy else [*HEALTHY, *UNSEEN]:
            place = [*HEALTHY, *UNSEEN].index(kind)
            if options.only in kind and place % options.every == 0:
                part = "written after the rules" if kind in UNSEEN else ""
                key = {"of": "healthy", "kind": kind, "task": "", "seed": seed}
                yield key | {"part": part}, None


def state_of_the_rules() -> str:
    """Eight digits of the code that judges."""
    folder = Path(diagnosis_package.__file__).parent
    code = b"".join(path.read_bytes() for path in sorted(folder.rglob("*.py")))
    return hashlib.sha256(code).hexdigest()[:8]


def name_of(task: Any) -> str:
    return getattr(task, "task", task.__name__)


def main() -> None:
    """Train what is asked and not there yet; print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=FIRST)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", default="", help="kinds whose name has this in it")
    parser.add_argument("--every", type=int, default=1, help="of the kinds")
    parser.add_argument("--tasks", type=int, default=1, help="of a kind, with a seed")
    parser.add_argument("--part", choices=["chosen", "judged", "all"], default="all")
    parser.add_argument("--skip-healthy", action="store_true")
    parser.add_argument("--skip-faults", action="store_true")
    parser.add_argument("--skip-twins", action="store_true")
    parser.add_argument("--share", default="1/1", help="of the trainings: 1/2, 2/2")
    parser.add_argument("--rows", default="diagnosis.jsonl", help="where rows are kept")
    parser.add_argument("--table", nargs="*", help="print what these files say")
    options = parser.parse_args()
    if options.table is not None:
        print_table([Path(name) for name in options.table or [options.rows]])
        return
    mine, others = (int(part) for part in options.share.split("/"))
    backend, file = keras.backend.backend(), Path(options.rows)
    known = [json.loads(line) for line in file.open()] if file.exists() else []
    rules = state_of_the_rules()
    done = {(r["backend"], r["of"], r["kind"], r["task"], r["seed"]) for r in known}
    began = time.perf_counter()
    for index, (key, task) in enumerate(asked(options)):
        seed = key["seed"]
        if (backend, key["of"], key["kind"], key["task"], seed) in done:
            continue
        if index % others != mine - 1:
            continue
        start = time.perf_counter()
        keras.backend.clear_session()
        made = trained(key["kind"], task, seed) if task else healthy(key["kind"], seed)
        seconds = {"seconds": round(time.perf_counter() - start, 1)}
        row = {"backend": backend} | key | made | seconds | {"rules": rules}
        with file.open("a", encoding="utf-8") as rows:
            rows.write(json.dumps(row) + "\n")
        said = ", ".join(row["told"]) or "-"
        print(f"{time.perf_counter() - began:5.0f} s {key['of']:7} {key['kind']:52} "
              f"{key['task']:18} {seed} {said}", flush=True)  # fmt: skip
    print_table([file])


if __name__ == "__main__":
    main()
