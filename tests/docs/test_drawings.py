"""Diagrams on the site: SVG inside the page, in the page's colours."""

import importlib.util
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="needs sphinx of the group docs")
pytest.importorskip("matplotlib")

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_spec = importlib.util.spec_from_file_location("drawings", DOCS / "drawings.py")
drawings = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(drawings)


def test_a_diagram_takes_the_colours_of_its_page_and_has_nothing_behind_it():
    from dlkeras.visualization import signal_flow_graph

    svg = signal_flow_graph("adaptive_model")._repr_svg_()
    text = drawings.themed(svg)
    root = ET.fromstring(text)
    assert root.get("fill") == "var(--drawing-ink, #000000)"  # the letters
    width, height = (float(root.get(side).removesuffix("pt")) for side in
                     ("width", "height"))  # fmt: skip
    assert [width, height] == [float(n) for n in root.get("viewBox").split()[2:]]
    first = re.search(r'id="patch_1">\s*<path [^>]*style="([^"]*)"', text)
    assert first and first[1] == "fill: var(--drawing-page, none)"
    drawn = text.replace(drawings.ALONE, "")
    for colour in drawings.COLOURS:  # each only as a variable's default
        assert drawn.count(colour) == drawn.count(f", {colour})")
    css = (DOCS / "_static" / "pages.css").read_text("utf-8")
    for name in {*re.findall(r"var\((--drawing-\w+)", text)} - {"--drawing-page"}:
        assert css.count(f"{name}:") == 2  # where the system is dark, and on request


def test_a_drawing_that_is_only_linked_is_read_in_light_and_in_dark():
    """As a file of its own it has paper; in a page the rule finds no root."""
    light, dark = drawings.ALONE.split("@media (prefers-color-scheme:dark)")
    assert light == "<style>svg:root{--drawing-page:#ffffff}"
    colours = dict(re.findall(r"--drawing-(\w+):(#\w{6})", dark))
    assert {*colours} == {*drawings.COLOURS.values(), "page"}
    grey = {name: sum(bytes.fromhex(c[1:])) / 3 for name, c in colours.items()}
    papers = {*grey} - {"ink", "edge"}
    assert min(grey["ink"] - grey[name] for name in papers) > 125
    files = [f for f in (DOCS / "images").glob("*.svg")
             if f.name.startswith(drawings.DRAWINGS)]  # fmt: skip
    assert len(files) >= 15
    assert all(drawings.ALONE in file.read_text("utf-8") for file in files)


def test_every_diagram_of_the_pages_is_such_a_drawing():
    found = 0
    for page in DOCS.rglob("*.md"):
        if {"chapters", "capitulos", "slides"} & {*page.parts}:
            continue
        for target in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text("utf-8")):
            if Path(target).name.startswith(drawings.DRAWINGS):
                text = (page.parent / target).read_text("utf-8")
                assert drawings.MARK in text[:200], (page, target)
                found += 1
    assert found >= 20


def test_a_drawing_is_inside_its_page(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(DOCS)!r})\nimport drawings\n"
        "extensions = ['myst_parser']\n"
        "def setup(app): app.connect('doctree-resolved', drawings.embed)\n"
    )
    drawing = (DOCS / "images" / "subsampling2d.svg").read_text("utf-8")
    (source / "box.svg").write_text(drawing)
    (source / "other.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    (source / "index.md").write_text('# A\n\n![a "box"](box.svg)\n\n![b](other.svg)\n')
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "-q", source, tmp_path / "o"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "o" / "index.html").read_text("utf-8")
    assert 'role="img" aria-label="a &quot;box&quot;"' in page
    assert drawing.strip() in page
    assert 'src="_images/other.svg"' in page  # not one of ours: left as it is
