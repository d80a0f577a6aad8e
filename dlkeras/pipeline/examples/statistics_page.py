"""The page of the statistics: one HTML file that needs no other file and no network."""

import base64
import html
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from dlkeras.pipeline.examples.decoding import to_png

MAX_CLASSES = 200
MAX_PAIRS = 20
SIDE = 96

STYLE = """
:root { color-scheme: light dark; --line: #8884; --bar: #0072b2; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 68rem;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .6rem; text-align: left;
  vertical-align: middle; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
th[data-sort] { cursor: pointer; }
figure { display: inline-block; margin: .5rem .5rem .5rem 0; background: #fff; }
figure img { max-width: 100%; display: block; }
.bar { background: var(--bar); height: .7rem; min-width: 1px; }
.gallery img { height: 48px; min-width: 16px; image-rendering: pixelated;
  margin-right: 2px; }
.scroll { overflow-x: auto; }
"""

# Click on a heading to sort the rows by that column.
SCRIPT = """
for (const head of document.querySelectorAll("th[data-sort]")) {
  head.addEventListener("click", () => {
    const table = head.closest("table"), body = table.tBodies[0];
    const place = head.cellIndex, down = head.dataset.sort !== "down";
    head.dataset.sort = down ? "down" : "up";
    const key = row => row.cells[place].dataset.value ?? row.cells[place].textContent;
    const rows = [...body.rows].sort((a, b) => {
      const x = key(a), y = key(b);
      const order = isNaN(x - y) ? x.localeCompare(y) : x - y;
      return down ? -order : order;
    });
    body.append(...rows);
  });
}
"""


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
) -> str:
    """Write the statistics of a data set as one HTML page.

    Args:
        source: what the examples are.
        summary: the content of `statistics.json`.
        gallery: for each class some images, `(height, width, channels)` uint8.
        figures: PNG files by name.

    Returns:
        The page.
    """
    splits = summary["splits"]
    parts = [
        f"<h1>{_text(source)}</h1>",
        "<h2>Splits</h2>",
        _splits(splits),
        "<h2>Figures</h2>",
        *(
            f'<figure><img alt="{_text(name.replace("_", " "))}" src="{_png(data)}">'
            "</figure>"
            for name, data in figures.items()
        ),
        "<h2>Classes</h2>",
        _classes(splits, summary["labels"], gallery),
        "<h2>Duplicates</h2>",
        _duplicates(summary),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(source)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + f"\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _text(value: Any) -> str:
    return html.escape(str(value))


def _png(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


def _splits(splits: Mapping[str, Any]) -> str:
    """A column for each split, a row for each measure."""

    def row(name: str, cells: list[str]) -> str:
        return (
            f"<tr><th>{name}</th>"
            + "".join(f'<td class="n">{cell}</td>' for cell in cells)
            + "</tr>"
        )

    def quantiles(key: str) -> list[str]:
        return [
            f"{s[key]['5%']:.4g} / {s[key]['50%']:.4g} / {s[key]['95%']:.4g}"
            for s in splits.values()
        ]

    every = list(splits.values())
    rows = [
        row("examples", [f"{s['examples']:,}" for s in every]),
        row("largest to smallest class", [f"{s['imbalance']:.3g}" for s in every]),
        row("height", [_range(s["height"]) for s in every]),
        row("width", [_range(s["width"]) for s in every]),
        row("aspect ratio, 5 / 50 / 95 %", quantiles("aspect_ratio")),
        row("channels", [", ".join(map(str, s["channels"])) for s in every]),
        row(
            "formats",
            [
                ", ".join(f"{_text(k)} {v:,}" for k, v in s["formats"].items())
                for s in every
            ],
        ),
        row(
            "pixel mean",
            [", ".join(f"{m:.1f}" for m in s["channel_mean"]) for s in every],
        ),
        row(
            "pixel standard deviation",
            [", ".join(f"{m:.1f}" for m in s["channel_std"]) for s in every],
        ),
        row("brightness, 5 / 50 / 95 %", quantiles("brightness")),
        row("contrast, 5 / 50 / 95 %", quantiles("contrast")),
        row("exact duplicates", [f"{s['duplicates']:,}" for s in every]),
    ]
    head = "".join(f'<th class="n">{_text(name)}</th>' for name in splits)
    return (
        f"<table><thead><tr><th></th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _range(bounds: list[int]) -> str:
    low, high = bounds
    return str(low) if low == high else f"{low} to {high}"


def _classes(
    splits: Mapping[str, Any],
    labels: list[str],
    gallery: Mapping[str, list[np.ndarray]],
) -> str:
    """A row for each class: counts, brightness, some images."""
    counts = {label: [s["classes"][label] for s in splits.values()] for label in labels}
    most = max((sum(numbers) for numbers in counts.values()), default=1) or 1
    rows = []
    for label in labels[:MAX_CLASSES]:
        cells = "".join(f'<td class="n">{n:,}</td>' for n in counts[label])
        pixels = splits["train"]["class_pixels"][label]
        width = 100 * sum(counts[label]) / most
        images = "".join(
            f'<img alt="" src="{_png(to_png(image))}">'
            for image in gallery.get(label, [])
        )
        rows.append(
            f"<tr><td>{_text(label)}</td>{cells}"
            f'<td data-value="{sum(counts[label])}" style="width:8rem">'
            f'<div class="bar" style="width:{width:.1f}%"></div></td>'
            f'<td class="n">{pixels["mean"]:.1f}</td>'
            f'<td class="n">{pixels["std"]:.1f}</td>'
            f'<td class="gallery">{images}</td></tr>'
        )
    head = "".join(f'<th class="n" data-sort>{_text(name)}</th>' for name in splits)
    more = (
        f"<p>and {len(labels) - MAX_CLASSES:,} more classes</p>"
        if len(labels) > MAX_CLASSES
        else ""
    )
    return (
        '<div class="scroll"><table><thead><tr><th data-sort>class</th>'
        f'{head}<th data-sort>all</th><th class="n" data-sort>mean</th>'
        '<th class="n" data-sort>std</th><th>of train</th></tr></thead><tbody>'
        f"{''.join(rows)}</tbody></table></div>{more}"
    )


def _duplicates(summary: Mapping[str, Any]) -> str:
    near = summary["near_duplicates"]
    least = "" if near["complete"] else "at least "
    lines = [
        f"<p>Exact copies within a split: {summary['duplicates_within_splits']:,}; "
        f"images that stand in several splits: {len(summary['leaked']):,}; "
        f"near-duplicates within a split: {least}{near['within']:,} pairs, across "
        f"splits: {least}{near['across']:,} pairs; left out because they could not be "
        f"read: {summary['quarantined']:,}.</p>"
    ]
    listed = [
        " = ".join(
            f"{_text(split)}: {_text(', '.join(ids[:5]))}"
            for split, ids in same.items()
        )
        for same in summary["leaked"][:MAX_PAIRS]
    ] + [
        f"{_text(pair['splits'][0])}: {_text(pair['one'])} &asymp; "
        f"{_text(pair['splits'][1])}: {_text(pair['other'])}"
        for pair in summary["near_duplicate_pairs"][:MAX_PAIRS]
    ]
    if listed:
        lines.append("<ul>" + "".join(f"<li>{line}</li>" for line in listed) + "</ul>")
    return "".join(lines)
