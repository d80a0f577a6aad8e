"""Draws the wings of the package from import-linter's contracts.

    python docs/architecture_picture.py

writes docs/images/architecture.svg; a test compares the two.
"""

import ast
import html
import textwrap
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
WIDTH, BAR, GAP, LEFT = 900, 46, 8, 210


def sentence(container: str, wing: str) -> str:
    """The first sentence of a wing's own file."""
    folder = ROOT.joinpath(*container.split("."), wing)
    file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return text.splitlines()[0]


def floors() -> list[tuple[str, list[str]]]:
    """The floors of the package from the top, and those of the pipeline among them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = {
        contract["containers"][0]: [
            [wing.strip(" ()") for wing in layer.split("|")]
            for layer in contract["layers"]
        ]
        for contract in contracts
        if contract["type"] == "layers"
    }
    found = []
    for wings in layers["dlkeras"]:
        if wings == ["pipeline"]:
            found += [
                ("dlkeras.pipeline", floor) for floor in layers["dlkeras.pipeline"]
            ]
        else:
            found.append(("dlkeras", wings))
    return found


def draw() -> str:
    """The picture, as SVG that reads on light and on dark pages."""
    bars, y = [], 10
    for container, wings in floors():
        inside = container != "dlkeras"
        for wing in wings:
            said = textwrap.shorten(sentence(container, wing), 92, placeholder=" ...")
            indent, kind = (34, "pipeline") if inside else (10, "part")
            bars.append(
                f'<rect x="{indent}" y="{y}" width="{WIDTH - 10 - indent}" '
                f'height="{BAR - GAP}" rx="6" class="{kind}"/>'
                f'<text x="{indent + 14}" y="{y + 25}" class="name">{wing}</text>'
                f'<text x="{LEFT}" y="{y + 25}">{html.escape(said)}</text>'
            )
            y += BAR - GAP + 2
        y += GAP
    style = (
        "text{font:14px sans-serif;fill:#1a2733}.name{font-weight:bold}"
        ".pipeline{fill:#dbe9f6}.part{fill:#e7eedd}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" '
        f'role="img"><title>The wings of dlkeras, from the top down</title>'
        f"<style>{style}</style>{''.join(bars)}</svg>\n"
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
