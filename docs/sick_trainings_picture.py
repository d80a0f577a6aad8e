"""Writes the gallery: 12 sick trainings, what TrainingDoctor says, and the cure.

    python docs/sick_trainings_picture.py

Each training runs twice, sick and with the one change that the verdict names (about
five minutes in all). The pictures are SVG, readable on light and on dark pages; the
page `docs/callbacks/sick_trainings.md` is written with them.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from diagnosis_cases import (  # noqa: E402
    SGD,
    a_nan,
    activated,
    all_of,
    linear,
    pixels,
    rate,
    shuffled,
    targets,
    wild_columns,
)
from diagnosis_tasks import (  # noqa: E402
    Recipe,
    blobs,
    cancer,
    dense,
    diabetes,
    digits,
    held_out,
    moons,
)

from dlkeras.callbacks import TrainingDoctor  # noqa: E402

PAGE = ROOT / "docs" / "callbacks" / "sick_trainings.md"
IMAGES = ROOT / "docs" / "images" / "sick_trainings"
SICK, MENDED = "#d1495b", "#2a9d8f"
WIDTH, HEIGHT, LEFT, BOTTOM, LINE = 360, 170, 44, 28, 14


@dataclass(frozen=True)
class Case:
    """A training: what is wrong, and what mends it.

    Attributes:
        title: of its section.
        story: what the person saw.
        task: the recipe.
        sick: makes it sick.
        mended: makes it well.
        curve: which of the logs is drawn.
    """

    title: str
    story: str
    task: Callable[[int], Recipe]
    sick: Callable[[Recipe], Recipe]
    mended: Callable[[Recipe], Recipe] = lambda recipe: recipe
    curve: str = "accuracy"


def logits(recipe: Recipe) -> Recipe:
    """A loss that takes the scores as they are."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return replace(recipe, out=(10, None), loss=loss)


def rescaled(recipe: Recipe) -> Recipe:
    """A first layer that scales pixels."""
    hidden = recipe.hidden
    return replace(recipe, hidden=lambda: [layers.Rescaling(1 / 255), *hidden()])


def normalised(recipe: Recipe) -> Recipe:
    """A first layer that brings every column to mean 0 and spread 1."""
    first, hidden = layers.Normalization(), recipe.hidden
    first.adapt(recipe.x)
    return replace(recipe, hidden=lambda: [first, *hidden()])


def epochs(number: int) -> Callable[[Recipe], Recipe]:
    """As many epochs, sick or mended."""
    return lambda recipe: replace(recipe, epochs=number)


def without_nan(recipe: Recipe) -> Recipe:
    """Without the rows that are no numbers."""
    fine = np.isfinite(recipe.x).all(1)
    return replace(recipe, x=recipe.x[fine], y=recipe.y[fine])


CASES = (
    Case("Softmax over one unit", "The accuracy does not move.", cancer,
         activated("softmax")),
    Case("Scores where the loss expects probabilities", "The accuracy stays low.",
         digits, activated(None), logits),
    Case("A last ReLU", "The accuracy stays that of guessing.", digits,
         activated("relu")),
    Case("Targets that the last layer cannot reach", "The loss stays high.", diabetes,
         all_of(activated("tanh"), targets(lambda y: 4 * y)), targets(lambda y: 4 * y),
         "loss"),
    Case("Labels that were scaled with the pixels",
         "The loss falls to 0, and no answer is right.", digits,
         targets(lambda y: y / 255)),
    Case("Pixels of 0 to 255", "The accuracy is that of guessing.", digits,
         all_of(pixels, rate(0.1, SGD)), all_of(pixels, rescaled, rate(0.1, SGD))),
    Case("Columns of very different scales",
         "The accuracy creeps up, and the loss stays above that of guessing.", blobs,
         wild_columns, all_of(wild_columns, normalised)),
    Case("One NaN", "The loss is nan from the first epoch on.", blobs,
         all_of(a_nan, epochs(25)), all_of(a_nan, without_nan, epochs(25))),
    Case("All weights begin equal", "The accuracy stays that of guessing.", digits,
         lambda r: replace(r, kernel="zeros")),
    Case("A learning rate that is far too large",
         "The loss grows fourfold. The verdict's 0.01 is safe and slow: 66 % after 25 "
         "epochs. Then raise it; 0.1 reaches 96 %.",
         digits, rate(10.0, SGD), rate(0.01, SGD)),
    Case("Layers without an activation", "It finds no more than a line.", moons,
         linear, lambda r: replace(r, hidden=dense(32, 32))),
    Case("Labels that do not belong to their examples",
         "Training gets better, new data do not.", held_out(digits), shuffled,
         epochs(40), "val_accuracy"),
)  # fmt: skip


def trained(recipe: Recipe) -> tuple[TrainingDoctor, dict[str, list[float]]]:
    """The doctor after a training, and the curves."""
    keras.utils.set_random_seed(0)
    doctor, log = TrainingDoctor(1, on_finding=None), keras.callbacks.History()
    recipe.train(doctor, log)
    return doctor, log.history


def apart(places: list[float], top: float, bottom: float) -> list[float]:
    """The same places, each a line of text from the next, between top and bottom."""
    order = sorted(range(len(places)), key=places.__getitem__)
    moved, least = list(places), top
    for index in order:
        moved[index] = least = max(places[index], least)
        least += LINE
    most = bottom
    for index in reversed(order):
        moved[index] = most = min(moved[index], most)
        most -= LINE
    return moved


def draw(curves: dict[str, tuple[str, list[float]]], label: str) -> str:
    """Curves over epochs as SVG: `(colour, values)` by what they are called."""
    known = [v for _, values in curves.values() for v in values if np.isfinite(v)]
    low, high = min(known), max(known)
    if label.endswith("accuracy"):
        low, high = 0.0, 1.0
    span, parts = (high - low) or 1.0, []
    right, top = WIDTH - 96, 12
    for place, value in ((HEIGHT - BOTTOM, low), (top, high)):
        parts.append(
            f'<line x1="{LEFT}" x2="{right}" y1="{place}" y2="{place}" '
            'stroke="#888" stroke-width=".6"/>'
            f'<text x="{LEFT - 6}" y="{place + 4}" text-anchor="end">{value:.3g}</text>'
        )
    drawn_points: list[list[tuple[float, float]]] = []
    for colour, values in curves.values():
        step = (right - LEFT) / max(1, len(values) - 1)
        points = [
            (
                LEFT + step * i,
                HEIGHT - BOTTOM - (HEIGHT - BOTTOM - top) * (v - low) / span,
            )
            for i, v in enumerate(values)
            if np.isfinite(v)
        ]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(
            f'<polyline points="{drawn}" fill="none" stroke="{colour}" '
            'stroke-width="2.2"/>'
        )
        drawn_points.append(points)
    ends = [points[-1][1] if points else HEIGHT / 2 for points in drawn_points]
    for (name, (colour, _)), points, end in zip(
        curves.items(), drawn_points, apart(ends, top, HEIGHT - BOTTOM), strict=True
    ):
        name = name if points else f"{name}: nan"
        parts.append(
            f'<text x="{right + 6}" y="{end + 4:.1f}" fill="{colour}">{name}</text>'
        )
    middle = (LEFT + right) / 2
    words = label.replace("val_accuracy", "accuracy on new data")
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{words}, by epoch'
        "</text>"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12" '
        f'fill="#888">{"".join(parts)}</svg>\n'
    )


def section(number: int, case: Case) -> str:
    """Train a case sick and mended; draw it, and write what was said."""
    doctor, sick = trained(case.sick(case.task(0)))
    well, mended = trained(case.mended(case.task(0)))
    if doctor.diagnosis.healthy or not well.diagnosis.healthy:
        raise SystemExit(
            f"{case.title}: expected a sick and a healthy training; the verdicts are "
            f"{doctor.diagnosis.verdict!r} and {well.diagnosis.verdict!r}"
        )
    first: Any = doctor.diagnosis.told[0]
    curves = {"sick": (SICK, sick[case.curve]), "mended": (MENDED, mended[case.curve])}
    name = f"{number:02d}_{first.name}.svg"
    (IMAGES / name).write_text(draw(curves, case.curve), encoding="utf-8")
    print(f"{number}: {doctor.diagnosis.verdict}", flush=True)
    where = f" in `{first.layer}`" if first.layer else ""
    seen = "; ".join(first.evidence)
    return (
        f"## {number}. {case.title}\n\n{case.story}\n\n"
        f"![{case.title}: {case.curve.replace('_', ' ')} over epochs, sick and mended]"
        f"(../images/sick_trainings/{name})\n\n"
        f"- **Verdict** ({first.severity}): {first.what or first.name}{where}\n"
        f"- **Evidence**: {seen}\n"
        f"- **Change**: `{first.fix or first.remedy}`\n"
    )


def main() -> None:
    """Train all, and write the page."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    for old in IMAGES.glob("*.svg"):
        old.unlink()
    sections = [section(number, case) for number, case in enumerate(CASES, 1)]
    PAGE.write_text(
        "# Twelve sick trainings\n\n"
        "What people get wrong most often. Each training ran twice: as it was, and "
        "with the one\nchange that {doc}`training_doctor` names. "
        "`python docs/sick_trainings_picture.py` trains them\nagain and writes this "
        "page, verdicts and curves alike. Every mended training hears that it is\n"
        "healthy.\n\n" + "\n".join(sections),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
