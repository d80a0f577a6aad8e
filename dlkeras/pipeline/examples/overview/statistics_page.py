"""The page of the statistics: one HTML file that needs no other file and no network."""

import base64
import importlib.resources
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from dlkeras.pipeline.examples.decoding import to_png
from dlkeras.pipeline.examples.overview.notable import MAX_SHOWN, Notable

MAX_CLASSES = 200
MAX_PAIRS = 20
SIDE = 96
TEMPLATE = "statistics.html.jinja"


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Shrink an image to at most 96 pixels, so that the page stays small.

    Args:
        pixels: `(height, width, 1 or 3)` uint8.
    """
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.thumbnail((SIDE, SIDE))
    return np.asarray(image)


def statistics_page(
    source: str,
    summary: Mapping[str, Any],
    gallery: Mapping[str, list[np.ndarray]],
    figures: Mapping[str, bytes],
    notable: Sequence[Notable] = (),
    pictures: Mapping[str, np.ndarray] | None = None,
    left_out: Sequence[str] = (),
) -> str:
    """Write the statistics of a data set as one HTML page.

    Args:
        source: what the examples are.
        summary: the content of `statistics.json`.
        gallery: for each class some images, `(height, width, channels)` uint8.
        figures: PNG files by name.
        notable: what a person should look at first.
        pictures: images by id, which what is notable and duplicates name.
        left_out: lines of what of the source is not among the examples.

    Returns:
        The page.
    """
    import jinja2

    folder = importlib.resources.files("dlkeras.pipeline.examples.overview")
    page = jinja2.Environment(autoescape=True, trim_blocks=True).from_string(
        (folder / TEMPLATE).read_text(encoding="utf-8")
    )
    splits, labels = summary["splits"], summary["labels"]
    counts = {label: [s["classes"][label] for s in splits.values()] for label in labels}
    return page.render(
        source=source,
        summary=summary,
        splits=splits,
        total=sum(split["examples"] for split in splits.values()),
        counts=counts,
        most=max(map(sum, counts.values()), default=1) or 1,
        measures=_measures(list(splits.values())),
        gallery={
            label: [_png(to_png(image)) for image in gallery.get(label, [])]
            for label in labels[:MAX_CLASSES]
        },
        figures={name.replace("_", " "): _png(data) for name, data in figures.items()},
        notable=notable,
        pictures={k: _png(to_png(image)) for k, image in (pictures or {}).items()},
        left_out=left_out,
        near_shown=summary["near_duplicate_pairs"][:MAX_PAIRS],
        max_classes=MAX_CLASSES,
        max_pairs=MAX_PAIRS,
        most_shown=MAX_SHOWN,
    )


def _png(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


def _measures(splits: list[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """A name and a cell for each split."""

    def quantiles(key: str) -> list[str]:
        shares = ("5%", "50%", "95%")
        return [" / ".join(f"{s[key][q]:.4g}" for q in shares) for s in splits]

    def means(key: str) -> list[str]:
        return [", ".join(f"{value:.1f}" for value in s[key]) for s in splits]

    def formats(split: Mapping[str, Any]) -> str:
        return ", ".join(f"{name} {n:,}" for name, n in split["formats"].items())

    return [
        ("examples", [f"{s['examples']:,}" for s in splits]),
        ("largest to smallest class", [f"{s['imbalance']:.3g}" for s in splits]),
        ("height", [_range(s["height"]) for s in splits]),
        ("width", [_range(s["width"]) for s in splits]),
        ("aspect ratio, 5 / 50 / 95 %", quantiles("aspect_ratio")),
        ("channels", [", ".join(map(str, s["channels"])) for s in splits]),
        ("formats", [formats(s) for s in splits]),
        ("pixel mean", means("channel_mean")),
        ("pixel standard deviation", means("channel_std")),
        ("brightness, 5 / 50 / 95 %", quantiles("brightness")),
        ("contrast, 5 / 50 / 95 %", quantiles("contrast")),
        ("exact duplicates", [f"{s['duplicates']:,}" for s in splits]),
        *_label_measures(splits),
    ]


def _label_measures(
    splits: list[Mapping[str, Any]],
) -> list[tuple[str, list[str]]]:
    """Rows on labels that are no classes."""
    if "numbers" in splits[0]:
        middle = [s["numbers"]["quantiles"] for s in splits]
        cells = [f"{q[0]:.4g} / {q[len(q) // 2]:.4g} / {q[-1]:.4g}" for q in middle]
        return [("smallest, middle and largest number", cells)]
    if "labels_per_image" in splits[0]:
        cells = [
            ", ".join(f"{n} of {k}" for k, n in s["labels_per_image"].items())
            for s in splits
        ]
        return [("images of so many labels", cells)]
    return []


def _range(bounds: list[int]) -> str:
    low, high = bounds
    return str(low) if low == high else f"{low} to {high}"
