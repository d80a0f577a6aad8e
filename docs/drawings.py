"""Drawings for the site: SVG whose colours follow the page, light or dark.

A diagram's colours become variables that `_static/pages.css` sets, with matplotlib's
own as defaults. Pages hold such a drawing inside them, since a page's colours do not
reach into a picture that is only linked: that one has paper of its own, and follows the
reader's light or dark.
"""

import re
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes

# What a diagram of dlkeras is made of; on everything else colours mean something.
DRAWINGS = ("architecture_", "signal_flow_graph", "inception_module", "residual_block",
            "bottleneck_block", "auxiliary_classifier", "subsampling2d")  # fmt: skip
COLOURS = {
    "#ffffff": "paper", "#000000": "ink", "#666666": "edge", "#cfe4f3": "convolution",
    "#fbe0c4": "pooling", "#cdebdd": "dense", "#e8e8e8": "other",
}  # fmt: skip
DARK = {
    "page": "#1a1c1e", "paper": "#24272c", "ink": "#e4e6e8", "edge": "#8b9096",
    "convolution": "#1d4a6b", "pooling": "#6b4318", "dense": "#1b5a3c",
    "other": "#3d4147",
}  # fmt: skip
MARK = 'class="drawing"'
# Only where the drawing is the whole file: in a page it is no root.
ALONE = (
    "<style>svg:root{--drawing-page:#ffffff}@media (prefers-color-scheme:dark)"
    "{svg:root{"
    + ";".join(f"--drawing-{name}:{colour}" for name, colour in DARK.items())
    + "}}</style>"
)


def themed(svg: str) -> str:
    """Return matplotlib's SVG with variables for its colours, on the page's paper."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r"\s*<!--.*?-->", "", svg, flags=re.S)
    svg = re.sub(r"\s*<style.*?</style>", "", svg, flags=re.S)
    # The figure itself is the page.
    svg = re.sub(r'(id="patch_1">\s*<path [^>]*?style=")fill: #ffffff',
                 r"\1fill: var(--drawing-page, none)", svg, count=1)  # fmt: skip
    svg = re.sub(r' (width|height)="([\d.]+)pt"', r' \1="\2pt"', svg, count=2)
    for colour, name in COLOURS.items():
        svg = svg.replace(colour, f"var(--drawing-{name}, {colour})")
    # Letters are outlines that inherit their colour.
    root = f'<svg {MARK} fill="var(--drawing-ink, #000000)" stroke-linejoin="round" '
    svg = svg.replace("<svg ", root, 1)
    svg = re.sub(r"(<svg [^>]*>)", lambda found: found[1] + ALONE, svg, count=1)
    return re.sub(r"\n+(?=[LQCMz\"])", " ", svg).rstrip() + "\n"


def embed(app: Any, doctree: nodes.document, name: str) -> None:
    """Put drawings into the page in place of links to them."""
    if app.builder.format != "html":
        return
    for node in list(doctree.findall(nodes.image)):
        path = Path(app.srcdir) / node["uri"]
        if path.suffix != ".svg" or not path.exists():
            continue
        text = path.read_text("utf-8")
        if MARK not in text[:200]:
            continue
        alt = escape(node.get("alt", ""), quote=True)
        inside = f'<div class="drawing" role="img" aria-label="{alt}">{text}</div>'
        node.replace_self(nodes.raw("", inside, format="html"))
