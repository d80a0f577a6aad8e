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
# Narrow, with what a wing is for below its name: it is read on a phone, too.
WIDTH, LINE, GAP, LETTERS = 560, 19, 8, 62


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
            said = textwrap.wrap(sentence(container, wing), LETTERS)
            indent, kind = (34, "pipeline") if inside else (10, "part")
            height = LINE * (len(said) + 1) + 14
            bars.append(
                f'<rect x="{indent}" y="{y}" width="{WIDTH - 10 - indent}" '
                f'height="{height}" rx="6" class="{kind}"/>'
                f'<text x="{indent + 14}" y="{y + LINE + 3}" class="name">{wing}</text>'
            )
            bars += [
                f'<text x="{indent + 14}" y="{y + LINE * (number + 2) + 3}">'
                f"{html.escape(line)}</text>"
                for number, line in enumerate(said)
            ]
            y += height + 2
        y += GAP
    style = (
        "text{font:14px sans-serif;fill:#1a2733}.name{font-weight:bold}"
        ".pipeline{fill:#dbe9f6}.part{fill:#e7eedd}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" '
        f'viewBox="0 0 {WIDTH} {y}" '
        f'role="img"><title>The wings of dlkeras, from the top down</title>'
        f"<style>{style}</style>{''.join(bars)}</svg>\n"
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
