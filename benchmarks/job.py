"""Whole jobs beside a plain script: how long one waits, and where the seconds go.

    python benchmarks/job.py
    python benchmarks/job.py --rounds 3 --before ../older-checkout
    python benchmarks/job.py --only photos

Everything runs in a process and a folder of its own, one after the other, since the
machine changes: the plain script of `plain_job.py`, the main job, its cached rerun
beside `import tensorflow, keras`, and a photo job's Trainer of two epochs of 13 steps.
`--before` runs an older checkout beside this one. The tables hold medians.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
# What is wanted, in seconds, or as a multiple of the number beside it.
GOALS = {
    "main job": ("plain script", 1.0),
    "cached rerun": ("import tensorflow, keras", 1.3),
}
PHOTO_TRAINER = 18.0
_DONE = re.compile(r"^(.+?) done in ([\d.]+) s")


def run(command: list, code: Path, folder: Path) -> tuple[float, dict[str, float]]:
    """Run a command with one checkout's code.

    Returns:
        Seconds from start to end, and what it said of its parts.
    """
    environment = os.environ | {
        "PYTHONPATH": str(code), "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3", "MLFLOW_DISABLE_TELEMETRY": "true",
    }  # fmt: skip
    environment.pop("MLFLOW_TRACKING_URI", None)
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    parts: dict[str, float] = defaultdict(float)
    for line in done.stdout.splitlines():
        if found := _DONE.match(line):
            parts[found[1]] += float(found[2])
    return seconds, parts


def write_photos(folder: Path) -> None:
    """Two classes of 64 x 64 photos, 416 of which train: 13 steps of 32."""
    from PIL import Image

    random = np.random.default_rng(0)
    for split, number in {"train": 416, "validation": 64, "test": 64}.items():
        for index in range(number):
            label = index % 2
            pixels = random.normal(80 + 60 * label, 40, (64, 64, 3)).clip(0, 255)
            file = folder / split / "ab"[label] / f"{index}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype("uint8")).save(file)


def round_of(
    code: Path, photos: Path, folder: Path, only: str, *, beside: bool
) -> dict:
    """Run everything once; `beside` runs what is no part of a checkout, too."""
    found = {}
    if only != "photos":
        if beside:
            (folder / "plain").mkdir()
            script = ROOT / "benchmarks" / "plain_job.py"
            found["plain script"] = run([script, folder / "plain"], code, folder)
        main = [code / "pipelines" / "lenet5_digits.py", "--mlruns", folder / "mlruns"]
        found["main job"] = run(main, code, folder)
        if beside:
            importing = ["-c", "import tensorflow, keras"]
            found["import tensorflow, keras"] = run(importing, code, folder)
        found["cached rerun"] = run(main, code, folder)
    if only == "main":
        return found
    photo = [
        code / "pipelines" / "resnet20_image_folder.py",
        "--mlruns", folder / "photo", "--example-gen.image-folder", photos,
        "--trainer.epochs", 2, "--trainer.batch-size", 32, "--no-tuner",
        "--transform.height", 64, "--transform.width", 64, "--until", "Trainer",
    ]  # fmt: skip
    found["photo job until its Trainer"] = run(photo, code, folder)
    return found


def table(name: str, rounds: list[dict]) -> dict[str, float]:
    """Print the medians of one checkout, and what each job says of its parts."""
    print(f"\n{name}: median of {len(rounds)} rounds, seconds")
    totals = {}
    for job in rounds[0]:
        totals[job] = statistics.median(found[job][0] for found in rounds)
        print(f"{totals[job]:8.1f}  {job}")
        parts = rounds[0][job][1]
        known = 0.0
        for part in parts:
            seconds = statistics.median(found[job][1].get(part, 0) for found in rounds)
            known += seconds
            if seconds >= 0.5:
                print(f"{seconds:16.1f}  {part}")
        if parts:
            print(
                f"{totals[job] - known:16.1f}  start, connection and end of the process"
            )
            if "Trainer" in parts and job.startswith("photo"):
                totals["photo job's Trainer"] = statistics.median(
                    found[job][1]["Trainer"] for found in rounds
                )
    return totals


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--only", choices=["main", "photos"], default="", help="one of the two jobs"
    )
    parser.add_argument("--before", type=Path, help="an older checkout, run beside")
    options = parser.parse_args()
    checkouts = {"now": ROOT}
    if options.before:
        checkouts["before"] = options.before.resolve()
    rounds: dict[str, list[dict]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as place:
        photos = Path(place) / "photos"
        write_photos(photos)
        for number in range(options.rounds):
            for name, code in checkouts.items():
                folder = Path(place) / f"{name}-{number}"
                folder.mkdir()
                beside = name == "now"
                found = round_of(code, photos, folder, options.only, beside=beside)
                rounds[name].append(found)
    totals = {name: table(name, found) for name, found in rounds.items()}
    now, missed = totals["now"], 0
    print()
    for job, (other, most) in GOALS.items():
        if job not in now:
            continue
        ratio = now[job] / now[other]
        missed += ratio > most
        print(f"{job}: {ratio:.2f} x {other} (wanted: at most {most:g})")
    if (trainer := now.get("photo job's Trainer")) is not None:
        missed += trainer > PHOTO_TRAINER
        print(
            f"photo job's Trainer: {trainer:.1f} s (wanted: at most {PHOTO_TRAINER:g})"
        )
    return int(missed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
